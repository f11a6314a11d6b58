//! The documents of a version: to read, a page of lines at a time, and to take away byte for byte.

use super::document_text::Lines;
use super::frame::Frame;
use super::pages::Tab;
use super::{Asked, answer};
use crate::catalog::Definition;
use crate::door::{Failure, is_fresh};
use crate::web::Layout;
use askama::Template;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

#[derive(Template)]
#[template(path = "asset/definition.html")]
struct Page<'a> {
    layout: Layout,
    frame: &'a Frame,
    /// The one shown; none when the version has no documents.
    shown: Option<Shown<'a>>,
}

struct Shown<'a> {
    definition: &'a Definition,
    lines: Lines,
    download: String,
    next: Option<String>,
    previous: Option<String>,
}

impl Page<'_> {
    fn address(&self, definition: &Definition) -> String {
        self.frame.pages.part(&format!("definition?document={}", crate::door::segment(&definition.name)))
    }

    fn digest(&self, definition: &Definition) -> String {
        hex::encode(&definition.digest)
    }

    fn size(&self, definition: &Definition) -> String {
        crate::web::words::size(definition.size.unsigned_abs().into())
    }

    fn source(&self, definition: &Definition) -> Option<String> {
        definition.source_url.clone().filter(|url| crate::web::markdown::is_safe_link(url))
    }
}

pub(super) async fn show(asked: Asked) -> Result<Response, Failure> {
    let frame = asked.frame(Tab::Definition).await?;
    let wanted = asked.parameter("document");
    let mut shown = None;
    if wanted.is_some() || !frame.definitions.is_empty() {
        let content = asked.handles.catalog.definition(&asked.layout.actor, frame.path(), wanted).await?;
        let lines = Lines::of(&content.content, asked.number("line"));
        shown = frame.definitions.iter().find(|one| one.name == content.definition.name).map(|definition| {
            let name = crate::door::segment(&definition.name);
            let at = |line: usize| frame.pages.part(&format!("definition?document={name}&line={line}#L{line}"));
            Shown {
                download: frame.permanent().one("definition", &definition.name),
                next: lines.next().map(at),
                previous: lines.previous().map(at),
                definition,
                lines,
            }
        });
    }
    let page = Page { shown, frame: &frame, layout: asked.layout };
    answer(&page, &asked.headers, page.layout.request_id.as_deref())
}

/// The document byte for byte, as a file: it comes from strangers and must not open as a page of this site.
pub(super) async fn download(asked: Asked, document: &str) -> Result<Response, Failure> {
    let version = asked.version.as_deref().unwrap_or("latest");
    let path = (asked.workspace.as_str(), asked.name.as_str(), version);
    let found = asked.handles.catalog.definition(&asked.layout.actor, path, Some(document)).await?;

    let tag = HeaderValue::from_str(&format!("\"{}\"", hex::encode(&found.definition.digest)));
    let tag = tag.expect("hexadecimal digits are legal in a header");
    let file = file_name(found.asset.name.slug(), &found.version.name, &found.definition);
    let media_type = HeaderValue::from_str(&found.definition.media_type)
        .unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"));
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::CONTENT_TYPE, media_type),
        (header::ETAG, tag.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
        (header::VARY, HeaderValue::from_static("Cookie, Authorization")),
    ] {
        headers.insert(name, value);
    }
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{file}\""));
    headers.insert(header::CONTENT_DISPOSITION, disposition.expect("the name holds plain characters only"));
    if is_fresh(&asked.headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    Ok((headers, found.content).into_response())
}

/// `payments-1.2.0-openapi.json`: plain characters only, since it stands in a header and on a disk.
fn file_name(slug: &str, version: &str, definition: &Definition) -> String {
    let ending = match definition.media_type.split(';').next().unwrap_or_default().trim() {
        kind if kind.ends_with("json") => "json",
        kind if kind.ends_with("yaml") => "yaml",
        kind if kind.ends_with("xml") => "xml",
        "text/markdown" => "md",
        "application/graphql" => "graphql",
        _ => "txt",
    };
    let plain = |text: &str| -> String {
        let kept = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
        text.chars().take(80).map(kept).collect()
    };
    format!("{}-{}-{}.{ending}", plain(slug), plain(version), plain(&definition.name))
}
