//! What browsers and crawlers ask of every site.

use crate::base::Problem;
use crate::door::{Failure, PublicUrl};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

#[derive(Template)]
#[template(path = "opensearch.xml", escape = "xml")]
struct OpenSearch {
    public_url: PublicUrl,
}

/// `GET /opensearch.xml`: lets a browser search here from its address bar (OpenSearch 1.1).
pub(super) async fn open_search(State(public_url): State<PublicUrl>) -> Result<Response, Failure> {
    let text = OpenSearch { public_url }.render().map_err(|error| {
        tracing::error!(error = %error, "The OpenSearch description could not be written");
        Problem::internal()
    })?;
    let kind = HeaderValue::from_static("application/opensearchdescription+xml; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind), day()], text).into_response())
}

/// `GET /robots.txt`: a catalog of an organisation is no matter for search engines.
pub(super) async fn robots() -> Response {
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    ([(header::CONTENT_TYPE, kind), day()], "User-agent: *\nDisallow: /\n").into_response()
}

fn day() -> (header::HeaderName, HeaderValue) {
    (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=86400"))
}
