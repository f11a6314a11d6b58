//! Signing in and out: the page, the way to an identity provider and back, and invitations.

use super::fields::{Fields, Visitor};
use super::layout::{Layout, page, status_of};
use super::theme::is_local;
use crate::auth::{Actor, Auth, Begun, BrowserSecret, Invitation, ProviderAnswer};
use crate::base::{Problem, Sealed};
use crate::catalog::{CardFilter, Catalog};
use crate::door::{Failure, Path, PublicUrl, cookie};
use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    layout: Layout,
    /// Name, title and host of each provider.
    providers: Vec<(String, String, String)>,
    next: String,
    /// What was typed as a name.
    name: String,
    problem: Option<Problem>,
    /// Which of the two forms the problem is about.
    with_key: bool,
    public_assets: Option<u64>,
}

#[derive(Template)]
#[template(path = "invitation.html")]
struct Invited {
    layout: Layout,
    invitation: Invitation,
    token: String,
    problem: Option<Problem>,
}

#[derive(Template)]
#[template(path = "signed_out.html")]
struct SignedOut {
    layout: Layout,
    /// Where the session at the provider ends.
    there: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct ProviderPath {
    provider: String,
}

/// `GET /signin`.
pub(super) async fn show(
    layout: Layout,
    State(auth): State<Auth>,
    State(catalog): State<Catalog>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let next = next_of(parameter(query.as_deref(), "next"));
    if !layout.actor.is_anonymous() {
        return Ok(to(&next, []));
    }
    form(layout, &auth, &catalog, next, String::new(), None, false).await
}

/// `POST /signin`: with a key, or with name and password.
pub(super) async fn submit(
    layout: Layout,
    State(auth): State<Auth>,
    State(catalog): State<Catalog>,
    State(url): State<PublicUrl>,
    headers: HeaderMap,
    Visitor(browser): Visitor,
    fields: Fields,
) -> Result<Response, Failure> {
    let next = next_of(fields.filled("next"));
    let with_key = fields.filled("key").is_some();
    let outcome = match fields.filled("key") {
        Some(key) => auth.sign_in_with_key(&Sealed::new(key), &browser).await,
        None => {
            let password = Sealed::new(fields.get("password").to_owned());
            auth.sign_in_with_password(fields.get("name"), password, &browser, layout.request_id.as_deref()).await
        }
    };
    match outcome {
        Ok(begun) => Ok(begin(&auth, &headers, &url, begun, next).await),
        Err(problem) if problem.status.is_server_error() => Err(Failure(problem)),
        Err(problem) => {
            form(layout, &auth, &catalog, next, fields.get("name").to_owned(), Some(problem), with_key).await
        }
    }
}

/// `GET /auth/start/{provider}`: sends the browser to the provider.
pub(super) async fn start(
    State(auth): State<Auth>,
    State(url): State<PublicUrl>,
    Path(path): Path<ProviderPath>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let next = next_of(parameter(query.as_deref(), "next"));
    // One secret a browser, so that two windows may sign in at once.
    let secret = cookie::sign_in(&headers, &url).unwrap_or_else(BrowserSecret::generate);
    let there = auth.begin_sign_in(&path.provider, &next, &secret).await?;
    Ok(to(there.as_str(), [cookie::keep_sign_in(&secret, &url)]))
}

/// `GET /auth/callback`: the browser is back from the provider of the plain settings.
pub(super) async fn callback(
    layout: Layout,
    State(auth): State<Auth>,
    State(url): State<PublicUrl>,
    headers: HeaderMap,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    back(crate::base::config::PLAIN_PROVIDER, &layout, &auth, &url, &headers, visitor, query.as_deref()).await
}

/// `GET /auth/callback/{provider}`.
pub(super) async fn callback_of(
    layout: Layout,
    State(auth): State<Auth>,
    State(url): State<PublicUrl>,
    Path(path): Path<ProviderPath>,
    headers: HeaderMap,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    back(&path.provider, &layout, &auth, &url, &headers, visitor, query.as_deref()).await
}

async fn back(
    provider: &str,
    layout: &Layout,
    auth: &Auth,
    url: &PublicUrl,
    headers: &HeaderMap,
    Visitor(browser): Visitor,
    query: Option<&str>,
) -> Result<Response, Failure> {
    let answer = ProviderAnswer {
        state: parameter(query, "state"),
        code: parameter(query, "code"),
        issuer: parameter(query, "iss"),
        error: parameter(query, "error"),
    };
    let secret = cookie::sign_in(headers, url);
    let request_id = layout.request_id.as_deref();
    let begun = auth.finish_sign_in(provider, answer, secret.as_ref(), &browser, request_id).await?;
    let next = next_of(Some(begun.next.clone()));
    Ok(begin(auth, headers, url, begun, next).await)
}

/// `POST /sign-out`: ends the session here, and leads to where it ends at the provider.
pub(super) async fn sign_out(
    layout: Layout,
    State(auth): State<Auth>,
    State(url): State<PublicUrl>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let there = match cookie::session(&headers, &url) {
        Some(token) => auth.sign_out(&token).await?,
        None => None,
    };
    let cookies = [cookie::drop_session(&url), cookie::drop_sign_in(&url)];
    let Some(there) = there.map(String::from) else { return Ok(to("/", cookies)) };
    // Not a redirect: the page's policy lets forms lead to our own site only, and browsers hold redirects to it.
    let refresh = HeaderValue::from_str(&format!("0; url={there}")).map_err(|_| Problem::internal())?;
    let layout = Layout { actor: Actor::anonymous(), ..layout };
    let mut answer = page(&SignedOut { layout, there })?;
    answer.headers_mut().insert(header::REFRESH, refresh);
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for cookie in cookies {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(answer)
}

/// `POST /auth/backchannel-logout/{provider}`: the provider itself says that sessions are over (OpenID Connect
/// Back-Channel Logout 1.0, 2.5).
pub(super) async fn ended_there(
    State(auth): State<Auth>,
    Path(path): Path<ProviderPath>,
    fields: Fields,
) -> Result<Response, Failure> {
    auth.sign_out_at_provider(&path.provider, fields.get("logout_token")).await?;
    Ok((StatusCode::OK, [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))]).into_response())
}

/// `GET /invitation?token=`.
pub(super) async fn invitation(
    layout: Layout,
    State(auth): State<Auth>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let token = parameter(query.as_deref(), "token").unwrap_or_default();
    let invitation = auth.invitation(&token).await?;
    page(&Invited { layout, invitation, token, problem: None })
}

/// `POST /invitation`: sets the password and begins the session.
pub(super) async fn accept(
    layout: Layout,
    State(auth): State<Auth>,
    State(url): State<PublicUrl>,
    headers: HeaderMap,
    Visitor(browser): Visitor,
    fields: Fields,
) -> Result<Response, Failure> {
    let token = fields.get("token").to_owned();
    let outcome = match fields.get("password") == fields.get("again") {
        true => {
            let password = Sealed::new(fields.get("password").to_owned());
            auth.accept_invitation(&token, password, &browser, layout.request_id.as_deref()).await
        }
        false => Err(Problem::invalid_field("body.password", "is not twice the same")),
    };
    match outcome {
        Ok(begun) => Ok(begin(&auth, &headers, &url, begun, "/account".to_owned()).await),
        Err(problem) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => {
            let invitation = auth.invitation(&token).await?;
            let status = problem.status;
            let answer = page(&Invited { layout, invitation, token, problem: Some(problem) })?;
            Ok((status, answer).into_response())
        }
        Err(problem) => Err(Failure(problem)),
    }
}

/// The answer that gives the browser its new session; one it had before is over.
async fn begin(auth: &Auth, headers: &HeaderMap, url: &PublicUrl, begun: Begun, next: String) -> Response {
    if let Some(before) = cookie::session(headers, url)
        && let Err(problem) = auth.sign_out(&before).await
    {
        tracing::warn!(error = %problem, "The session before was not ended");
    }
    to(&next, [cookie::keep_session(&begun.token, url), cookie::drop_sign_in(url)])
}

async fn form(
    layout: Layout,
    auth: &Auth,
    catalog: &Catalog,
    next: String,
    name: String,
    problem: Option<Problem>,
    with_key: bool,
) -> Result<Response, Failure> {
    let host = |issuer: &str| url::Url::parse(issuer).ok().and_then(|url| url.host_str().map(str::to_owned));
    let providers = auth.ways_to_sign_in().into_iter();
    let providers = providers.map(|(name, title, issuer)| (name, title, host(&issuer).unwrap_or_default())).collect();
    let all = catalog.list(&layout.actor, &CardFilter::default(), None, crate::base::Limit(1)).await?;
    let status = status_of(problem.as_ref());
    let wait = problem.as_ref().and_then(|problem| problem.retry_after);
    let mut answer =
        (status, page(&SignIn { layout, providers, next, name, problem, with_key, public_assets: all.total })?)
            .into_response();
    if let Some(wait) = wait {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    Ok(answer)
}

/// A path of ours, whatever was asked for.
fn next_of(asked: Option<String>) -> String {
    asked.filter(|path| is_local(path)).unwrap_or_else(|| "/".to_owned())
}

fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let mut found = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    found.find(|(own, value)| own == name && value.len() <= 8_000).map(|(_, value)| value.into_owned())
}

/// Leads on, with these cookies.
fn to<const N: usize>(there: &str, cookies: [HeaderValue; N]) -> Response {
    let Ok(there) = HeaderValue::from_str(there) else { return Failure(Problem::internal()).into_response() };
    let mut answer = (StatusCode::SEE_OTHER, [(header::LOCATION, there)]).into_response();
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for cookie in cookies {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_stays_here() {
        for evil in ["//evil.example", "/\\evil.example", "https:evil.example", "https://evil.example/", "javascript:x"]
        {
            assert_eq!(next_of(Some(evil.to_owned())), "/", "{evil}");
        }
        assert_eq!(next_of(Some("/browse?q=a".to_owned())), "/browse?q=a");
    }
}
