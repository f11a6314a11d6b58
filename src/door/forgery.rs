//! Requests that another site makes in somebody's name (CSRF), kept out in one place for every door.
//!
//! A write that comes with a session's cookie, and with no other credential, must come from a page of ours (what the
//! browser says in `Sec-Fetch-Site` or `Origin`) and carry the session's form token: in the field `csrf` of a form, or in
//! the header `X-CSRF-Token` for scripts of ours. REST takes the cookie on the same terms, so that pages may call it;
//! programs send a key or a token, which no browser adds by itself, and are asked for nothing more. The token is put into
//! every form of every page on the way out: no page can forget it.

use super::writes::writes;
use super::{
    body::read_body,
    caller::credential,
    cookie,
    handles::{Handles, PublicUrl},
    respond::render_problem,
    same_origin,
};
use crate::base::Problem;
use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, header};
use subtle::ConstantTimeEq;

/// The name of the field in forms.
const FIELD: &str = "csrf";
const HEADER: HeaderName = HeaderName::from_static("x-csrf-token");

/// How a form is sent.
enum Form {
    Encoded,
    Multipart(String),
}

/// Refuses forged writes, and puts the token into the forms of the answer.
pub(super) async fn guard(State(handles): State<Handles>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let url = &handles.public_url;
    let is_write = writes(request.method());
    // A form of another site may also sign its visitor in, as somebody else.
    if is_write
        && form(headers).is_some()
        && let Err(problem) = same_origin::require(headers, url)
    {
        return render_problem(&problem);
    }
    let has_credential = !matches!(credential(headers), Ok(None));
    let Some(session) = cookie::session(headers, url).filter(|_| !has_credential) else {
        return next.run(request).await;
    };
    let token = session.form_token();
    let request = match is_write {
        false => request,
        true => {
            if let Err(problem) = same_origin::require(headers, url) {
                return render_problem(&problem);
            }
            match with_token(request, &token).await {
                Ok(request) => request,
                Err(problem) => return render_problem(&problem),
            }
        }
    };
    let response = next.run(request).await;
    if !is_page(&response) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, usize::MAX).await else {
        return render_problem(&Problem::internal());
    };
    head.headers.remove(header::CONTENT_LENGTH);
    let body = match std::str::from_utf8(&bytes) {
        Ok(html) => Body::from(with_field(html, &token)),
        Err(_) => Body::from(bytes),
    };
    Response::from_parts(head, body)
}

/// The page with the form token of the session that these headers have.
#[must_use]
pub fn with_form_token(html: String, headers: &HeaderMap, url: &PublicUrl) -> String {
    match cookie::session(headers, url) {
        Some(session) => with_field(&html, &session.form_token()),
        None => html,
    }
}

/// The request, when it carries the token; its body is read for that only when it is a form.
async fn with_token(request: Request, token: &str) -> Result<Request, Problem> {
    let fits = |given: &[u8]| bool::from(given.ct_eq(token.as_bytes()));
    if let Some(given) = request.headers().get(&HEADER) {
        return if fits(given.as_bytes()) { Ok(request) } else { Err(refused()) };
    }
    let form = form(request.headers()).ok_or_else(refused)?;
    let (head, body) = request.into_parts();
    let bytes = read_body(body).await?;
    let given = match form {
        Form::Encoded => {
            let mut fields = url::form_urlencoded::parse(&bytes);
            fields.find(|(name, _)| name == FIELD).map(|(_, value)| value.into_owned().into_bytes())
        }
        Form::Multipart(boundary) => multipart_field(bytes.clone(), &boundary).await,
    };
    if given.is_some_and(|given| fits(&given)) {
        return Ok(Request::from_parts(head, Body::from(bytes)));
    }
    Err(refused())
}

async fn multipart_field(bytes: Bytes, boundary: &str) -> Option<Vec<u8>> {
    let stream = futures::stream::once(async move { Ok::<_, std::io::Error>(bytes) });
    let mut parts = multer::Multipart::new(stream, boundary);
    while let Ok(Some(part)) = parts.next_field().await {
        if part.name() == Some(FIELD) {
            return part.bytes().await.ok().map(|value| value.to_vec());
        }
    }
    None
}

fn form(headers: &HeaderMap) -> Option<Form> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    if let Ok(boundary) = multer::parse_boundary(kind) {
        return Some(Form::Multipart(boundary));
    }
    let media_type = kind.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded").then_some(Form::Encoded)
}

fn is_page(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

/// Each form that posts, with the token as its first field. Text that people wrote has its `<` escaped, and Markdown
/// makes no forms: what looks like one here is ours.
fn with_field(html: &str, token: &str) -> String {
    let mut made = String::with_capacity(html.len() + 256);
    let mut rest = html;
    while let Some(start) = rest.find("<form") {
        let Some(length) = rest[start..].find('>') else { break };
        let (before, after) = rest.split_at(start + length + 1);
        made.push_str(before);
        if before[start..].contains("method=\"post\"") {
            made.push_str(&format!("<input type=\"hidden\" name=\"{FIELD}\" value=\"{token}\">"));
        }
        rest = after;
    }
    made.push_str(rest);
    made
}

fn refused() -> Problem {
    Problem::forbidden("This was sent without the token of your session's pages.")
        .with_kind("form-token-missing")
        .with_help(
            "Open the page again and send it from there: you may have signed in anew meanwhile. Programs send a key in \
             Authorization, and no cookie.",
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_posts_gets_the_token() {
        let page = "<form action=\"/a\" method=\"get\"><input></form><form method=\"post\" action=\"/b\"><b></form>\
                    <form action=\"/c\" method=\"post\"></form>&lt;form method=\"post\">";

        let made = with_field(page, "T");

        let field = "<input type=\"hidden\" name=\"csrf\" value=\"T\">";
        assert_eq!(made.matches(field).count(), 2);
        assert!(made.contains(&format!("action=\"/b\">{field}<b>")));
        assert_eq!(made.replace(field, ""), page);
    }
}
