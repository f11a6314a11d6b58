//! The pages of an asset: what it is, what it offers, its versions and what changed, its documents, where it runs, and
//! how to connect to it. Each view has an address of its own; below `versions/{version}` it is a permanent one.

mod connect;
mod definition;
mod deployments;
mod difference;
mod document_text;
mod frame;
mod lines;
mod operation;
mod operations;
mod overview;
mod pages;
mod schema_table;
mod similar;
mod versions;
mod word_diff;

pub use lines::cut;

use crate::base::Problem;
use crate::catalog::Error;
use crate::door::{AssetPath, Failure, Handles};
use crate::web::Layout;
use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use frame::Frame;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use pages::{PARTS, Tab};
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

/// The routes below `/assets`.
pub fn router() -> Router<Handles> {
    Router::new()
        .route("/assets", get(|| async { Redirect::to("/browse") }))
        .route("/assets/", get(|| async { Redirect::to("/browse") }))
        .route("/assets/{workspace}/{*rest}", get(show))
}

/// What a page is made from: the handles, the frame of the site, and what was asked.
struct Asked {
    handles: Handles,
    layout: Layout,
    headers: HeaderMap,
    workspace: String,
    name: String,
    /// None is the latest one.
    version: Option<String>,
    query: Vec<(String, String)>,
}

async fn show(
    State(handles): State<Handles>,
    layout: Layout,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Failure> {
    let (workspace, path) = read_path(uri.path()).ok_or_else(|| nothing_here(uri.path()))?;
    let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let mut asked = Asked { handles, layout, headers, workspace, name: path.name, version: None, query };

    let parts: Vec<&str> = path.rest.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["versions"] => versions::show(asked).await,
        ["diff"] => difference::choose(&asked),
        ["versions", from, "diff", to] => difference::show(asked, from, to).await,
        ["versions", version, rest @ ..] => {
            asked.version = (*version != "latest").then(|| (*version).to_owned());
            part(asked, rest, uri.path()).await
        }
        rest => part(asked, rest, uri.path()).await,
    }
}

/// A part of the asset at one of its versions.
async fn part(asked: Asked, parts: &[&str], path: &str) -> Result<Response, Failure> {
    match parts {
        [] => overview::show(asked).await,
        ["definition"] => definition::show(asked).await,
        ["definition", document] => definition::download(asked, document).await,
        ["connect"] => connect::show(asked).await,
        ["connect", "requests.http"] => connect::requests(asked).await,
        ["deployments"] => deployments::show(asked).await,
        [word @ ("tools" | "skills" | "operations")] => operations::show(asked, word).await,
        [word @ ("tools" | "skills" | "operations"), name] => operation::show(asked, word, name).await,
        _ => Err(nothing_here(path).into()),
    }
}

impl Asked {
    /// The frame of this asset, with a tab marked.
    async fn frame(&self, tab: Tab) -> Result<Frame, Error> {
        let asset = (self.workspace.as_str(), self.name.as_str());
        Frame::load(&self.handles.catalog, &self.layout.actor, asset, self.version.as_deref(), tab).await
    }

    /// The parameter of this name, as it was sent.
    fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }

    /// A parameter that counts from 0; anything else counts as 0.
    fn number(&self, name: &str) -> usize {
        self.parameter(name).and_then(|text| text.parse::<u32>().ok()).unwrap_or_default() as usize
    }
}

/// Workspace and asset of `/assets/{workspace}/{name}/...`, still encoded.
fn read_path(path: &str) -> Option<(String, AssetPath)> {
    let (workspace, rest) = path.strip_prefix("/assets/")?.split_once('/')?;
    let workspace = percent_decode_str(workspace).decode_utf8().ok()?;
    let path = AssetPath::parse(rest, PARTS)?;
    (!workspace.chars().any(char::is_control)).then(|| (workspace.into_owned(), path))
}

fn nothing_here(path: &str) -> Problem {
    Problem::not_found(format!("There is no page {path}.")).with_help(
        "An asset's pages are its overview, tools or operations, versions, definition, deployments and connect.",
    )
}

/// The page as an answer with an entity tag of its text, or 304 for who has that text already.
fn answer(template: &impl Template, asked: &HeaderMap, request_id: Option<&str>) -> Result<Response, Failure> {
    let text = template.render().map_err(|error| {
        tracing::error!(error = %error, "A page could not be written");
        Problem::internal()
    })?;
    // The request's id stands in the footer and must not make two equal pages differ.
    let mut hash = Sha256::new();
    match request_id {
        Some(id) if !id.is_empty() => text.split(id).for_each(|piece| hash.update(piece)),
        _ => hash.update(&text),
    }
    let tag = HeaderValue::from_str(&format!("W/\"{}\"", &hex::encode(hash.finalize())[..24]));
    let tag = tag.expect("hexadecimal digits are legal in a header");
    let mut headers = crate::web::page_headers();
    headers.insert(header::ETAG, tag.clone());
    if crate::door::is_fresh(asked, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    Ok((headers, text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_workspace_and_an_asset() {
        let (workspace, path) = read_path("/assets/data/com.example%2Fpay/versions/1.0").unwrap();

        assert_eq!((workspace.as_str(), path.name.as_str()), ("data", "com.example/pay"));
        assert_eq!(path.rest, ["versions", "1.0"]);
        assert!(read_path("/assets/data/").is_none());
        assert!(read_path("/assets/%00/a").is_none());
        assert!(read_path("/assets/%ff/a").is_none());
    }

    #[test]
    fn the_tag_is_of_the_text_without_the_request_id() {
        #[derive(Template)]
        #[template(source = "{{ text }} Request {{ id }}", ext = "html")]
        struct Page {
            text: &'static str,
            id: &'static str,
        }
        let tag = |text, id| {
            let response = answer(&Page { text, id }, &HeaderMap::new(), Some(id)).unwrap();
            response.headers()[header::ETAG].clone()
        };

        let first = tag("same", "a1");
        assert_eq!(first, tag("same", "b2"));
        assert_ne!(first, tag("other", "a1"));

        let asked = HeaderMap::from_iter([(header::IF_NONE_MATCH, first)]);
        let again = answer(&Page { text: "same", id: "c3" }, &asked, Some("c3")).unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    }
}
