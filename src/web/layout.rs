//! `Layout`: what the frame around every page shows, read from the request; and the answer a page becomes.

use super::theme::Theme;
use crate::auth::{Actor, Auth, Identity, Permission, Scope};
use crate::base::Problem;
use crate::catalog::Catalog;
use crate::door::{Caller, Failure, PublicUrl, cookie};
use crate::gateway::Gateway;
use askama::Template;
use axum::extract::{FromRef, FromRequestParts};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};

/// The frame of a page. A page's template has it as its field `layout`.
#[derive(Clone, Debug)]
pub struct Layout {
    pub actor: Actor,
    /// Whether the browser has a session's cookie, where who is behind it is not asked.
    pub may_be_signed_in: bool,
    pub theme: Theme,
    pub place: Place,
    /// What stands in the search box.
    pub text: String,
    /// Path and query of this page: where the reader comes back to after a change of theme.
    pub path: String,
    pub request_id: Option<String>,
    pub public_url: PublicUrl,
    /// How many requests for approval wait for the reader; none for those who decide on none.
    pub waiting: Option<i64>,
    /// How many requests for access wait for the reader; none for those who decide on none.
    pub access_waiting: Option<i64>,
}

/// Where in the site a page is; the navigation marks it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    Home,
    Browse,
    Workspaces,
    Register,
    Gateway,
    /// Only linked for those who know a workspace from within.
    Approvals,
    /// Only linked for those who decide, and from the account's menu.
    Access,
    #[default]
    Elsewhere,
}

impl Place {
    /// The links of the header.
    pub const NAVIGATION: &[(Self, &'static str, &'static str)] = &[
        (Self::Browse, "/browse", "Browse"),
        (Self::Workspaces, "/workspaces", "Workspaces"),
        (Self::Register, "/register", "Register"),
        (Self::Gateway, "/gateway/pools", "Gateway"),
    ];

    #[must_use]
    pub fn is_home(&self) -> bool {
        *self == Self::Home
    }
}

impl Layout {
    /// The frame of a problem's page, for which only the request's headers are known.
    #[must_use]
    pub fn of_problem(headers: &HeaderMap, public_url: PublicUrl, request_id: Option<String>) -> Self {
        Self {
            actor: Actor::anonymous(),
            may_be_signed_in: cookie::session(headers, &public_url).is_some(),
            theme: Theme::of_headers(headers),
            place: Place::Elsewhere,
            text: String::new(),
            path: "/".to_owned(),
            request_id,
            public_url,
            waiting: None,
            access_waiting: None,
        }
    }

    /// The same frame, with this place marked.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// Whether the reader looks after people.
    #[must_use]
    pub fn is_administrator(&self) -> bool {
        self.actor.may(Permission::ManageInstance, Scope::Instance)
    }

    /// Where the reader comes back to after signing in.
    #[must_use]
    pub fn sign_in_path(&self) -> String {
        format!("/signin?next={}", crate::door::segment(&self.path))
    }

    #[must_use]
    pub fn is_at_approvals(&self) -> bool {
        self.place == Place::Approvals
    }

    #[must_use]
    pub fn is_at_access(&self) -> bool {
        self.place == Place::Access
    }

    /// Who reads the page; none without a credential.
    #[must_use]
    pub fn holder(&self) -> Option<String> {
        match &self.actor.identity {
            Identity::Anonymous => None,
            Identity::User { name, .. } => Some(name.to_string()),
            _ => Some(self.actor.to_string()),
        }
    }
}

impl<S> FromRequestParts<S> for Layout
where
    S: Send + Sync,
    Auth: FromRef<S>,
    PublicUrl: FromRef<S>,
    Catalog: FromRef<S>,
    Gateway: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Caller(actor) = Caller::from_request_parts(parts, state).await?;
        let path = match parts.method {
            http::Method::GET | http::Method::HEAD => parts.uri.path_and_query().map_or("/", |path| path.as_str()),
            // The page that answers a form cannot be asked for again.
            _ => parts.uri.path(),
        };
        let waiting = match actor.may_somewhere(Permission::ReviewAssets) {
            // The page is worth more than the number.
            true => Catalog::from_ref(state).approvals_waiting(&actor).await.ok(),
            false => None,
        };
        let access_waiting = match actor.may_somewhere(Permission::GovernWorkspace) {
            true => Gateway::from_ref(state).access_waiting(&actor).await.ok().flatten(),
            false => None,
        };
        Ok(Self {
            may_be_signed_in: false,
            waiting,
            access_waiting,
            theme: Theme::of_headers(&parts.headers),
            place: Place::default(),
            text: String::new(),
            path: path.to_owned(),
            request_id: actor.request_id.as_deref().map(str::to_owned),
            public_url: PublicUrl::from_ref(state),
            actor,
        })
    }
}

/// Nothing from elsewhere, nothing inline, no page of ours in another's frame; scripts make no HTML of text but through
/// the one policy of `app.js`.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types wharfinger";

/// A page as an answer.
///
/// # Errors
/// 500 when the template fails, which none does whose fields are plain data.
pub fn page(template: &impl Template) -> Result<Response, Failure> {
    match template.render() {
        Ok(text) => Ok((page_headers(), text).into_response()),
        Err(error) => {
            tracing::error!(error = %error, "A page could not be written");
            Err(Failure(Problem::internal()))
        }
    }
}

/// The page as the answer to a form: with the status of what was wrong with it, if anything was.
///
/// # Errors
/// As [`page`].
pub fn answer_to_form(template: &impl Template, status: StatusCode) -> Result<Response, Failure> {
    let mut answer = page(template)?;
    *answer.status_mut() = status;
    Ok(answer)
}

/// As [`answer_to_form`], of a page that may hold a secret: nobody keeps it.
///
/// # Errors
/// As [`page`].
pub fn unkept_answer(template: &impl Template, status: StatusCode) -> Result<Response, Failure> {
    let mut answer = answer_to_form(template, status)?;
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

/// The status of a form's page: that of the problem it tells.
pub fn status_of(problem: Option<&Problem>) -> StatusCode {
    problem.map_or(StatusCode::OK, |problem| problem.status)
}

/// Leads on to a path of ours, whose parts are percent-encoded, after something was done.
pub fn to(path: &str) -> Response {
    let location = HeaderValue::from_str(path).expect("a path of ours is ASCII");
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

/// The headers every page carries.
#[must_use]
pub fn page_headers() -> HeaderMap {
    let headers: [(HeaderName, &'static str); 9] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
        // What a page shows depends on who asks and changes with every write.
        (header::CACHE_CONTROL, "private, no-cache"),
        (header::VARY, "Cookie, Authorization, Accept"),
    ];
    headers.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
}
