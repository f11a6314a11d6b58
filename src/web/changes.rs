//! What changed lately: as rows of a page, and as an Atom feed (RFC 4287).

use super::{asset_path, words};
use crate::auth::Actor;
use crate::base::{Limit, Problem};
use crate::catalog::{Catalog, Kind, NamedChange};
use crate::door::{Caller, Failure, Path, PublicUrl};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use time::OffsetDateTime;

/// A change as a page tells it.
pub struct Row {
    pub kind: Kind,
    pub title: String,
    pub href: String,
    pub workspace: String,
    pub what: &'static str,
    pub at: OffsetDateTime,
    pub ago: String,
}

/// The newest change of each of the `most` assets that changed last.
///
/// # Errors
/// 503 when the database does not answer.
pub async fn newest(
    catalog: &Catalog,
    actor: &Actor,
    workspace: Option<&str>,
    most: usize,
) -> Result<Vec<Row>, Problem> {
    let now = catalog.clock().now();
    let mut seen = Vec::new();
    let changes = catalog.newest_changes(actor, workspace, Limit(most * 5)).await?;
    let firsts = changes.into_iter().filter(|change| {
        let is_first = !seen.contains(&change.asset_id);
        seen.push(change.asset_id);
        is_first
    });
    Ok(firsts.take(most).map(|change| Row::of(change, now)).collect())
}

impl Row {
    fn of(change: NamedChange, now: OffsetDateTime) -> Self {
        Self {
            kind: change.kind,
            href: asset_path(&change.workspace, &change.name),
            title: change.title,
            workspace: change.workspace,
            what: what_happened(&change.verb),
            at: change.at,
            ago: words::ago(change.at, now),
        }
    }
}

/// `registered`, from the verb of a change.
fn what_happened(verb: &str) -> &'static str {
    match verb {
        "register" => "registered",
        "publish-version" => "new version",
        "update-version" => "version changed",
        "deprecate" => "deprecated",
        "delete-version" => "version deleted",
        "restore" => "restored",
        "attach-definition" => "new definition",
        "remove-definition" => "definition removed",
        "deploy" => "new deployment",
        "update-deployment" => "deployment changed",
        "undeploy" => "deployment removed",
        _ => "changed",
    }
}

#[derive(Template)]
#[template(path = "feed.xml", escape = "xml")]
struct Feed {
    title: String,
    /// Where the feed itself, and the page it tells of, stand.
    own: String,
    page: String,
    updated: OffsetDateTime,
    entries: Vec<Entry>,
}

struct Entry {
    id: String,
    title: String,
    href: String,
    at: OffsetDateTime,
    summary: String,
    workspace: String,
    kind: &'static str,
}

/// How many changes the feed tells.
const ENTRIES: usize = 50;

/// `GET /feed.atom`.
pub(super) async fn feed(
    Caller(actor): Caller,
    State(catalog): State<Catalog>,
    State(public_url): State<PublicUrl>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let changes = catalog.newest_changes(&actor, None, Limit(ENTRIES)).await?;
    answer("Changes in the catalog".to_owned(), "", changes, &catalog, &public_url, &headers)
}

/// `GET /workspaces/{workspace}/feed.atom`.
pub(super) async fn feed_of_workspace(
    Caller(actor): Caller,
    Path(workspace): Path<super::workspace::Named>,
    State(catalog): State<Catalog>,
    State(public_url): State<PublicUrl>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let workspace = catalog.workspace(&actor, &workspace.workspace).await?;
    let changes = catalog.newest_changes(&actor, Some(workspace.name.as_str()), Limit(ENTRIES)).await?;
    let below = format!("/workspaces/{}", workspace.name);
    answer(format!("Changes in {}", workspace.title), &below, changes, &catalog, &public_url, &headers)
}

fn answer(
    title: String,
    below: &str,
    changes: Vec<NamedChange>,
    catalog: &Catalog,
    public_url: &PublicUrl,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    let newest = changes.first();
    let etag = format!("\"{}\"", newest.map_or(0, |change| change.mark.sequence));
    let etag = HeaderValue::from_str(&etag).expect("digits are legal in a header");
    if crate::door::is_fresh(headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let updated = newest.map_or_else(|| catalog.clock().now(), |change| change.at);
    let entries = changes
        .into_iter()
        .map(|change| Entry {
            id: format!("urn:uuid:{}#{}", change.asset_id.0, change.mark.sequence),
            title: format!("{}: {}", change.title, what_happened(&change.verb)),
            href: public_url.join(&asset_path(&change.workspace, &change.name)),
            at: change.at,
            summary: change.summary,
            workspace: change.workspace,
            kind: change.kind.as_str(),
        })
        .collect();
    let own = public_url.join(&format!("{below}/feed.atom"));
    let page = public_url.join(if below.is_empty() { "/" } else { below });
    let feed = Feed { title, own, page, updated, entries };
    let text = feed.render().map_err(|error| {
        tracing::error!(error = %error, "A feed could not be written");
        Problem::internal()
    })?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/atom+xml; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        (header::VARY, HeaderValue::from_static("Authorization")),
        (header::ETAG, etag),
    ];
    Ok((headers, text).into_response())
}
