//! `Caller`: the actor behind a request, from the credential it carries.

use super::{cookie, layers::RequestId, refused::Asker, respond::Failure};
use crate::auth::{Actor, Auth, SessionToken};
use crate::base::{ClientAddress, Problem};
use axum::extract::{FromRef, FromRequestParts};
use http::{HeaderMap, header, request::Parts};
use std::ops::Deref;

/// The actor who calls: anonymous without a credential, refused (401) with one that does not hold.
#[derive(Clone, Debug)]
pub struct Caller(pub Actor);

impl Deref for Caller {
    type Target = Actor;
    fn deref(&self) -> &Actor {
        &self.0
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Auth: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        Ok(Self(identify(parts, &Auth::from_ref(state)).await?))
    }
}

/// The actor behind a request, with the request's id and where it came from.
///
/// # Errors
/// 401 for a credential that does not hold; 503 when the database does not answer.
pub async fn identify(parts: &Parts, auth: &Auth) -> Result<Actor, Problem> {
    let mut actor = match credential(&parts.headers)? {
        Some(text) => auth.identify(text).await?,
        None => match cookie::session_over(&parts.headers, auth.is_secure()) {
            Some(token) => of_session(auth, &token, parts.uri.path()).await?,
            None => Actor::anonymous(),
        },
    };
    if let Some(id) = parts.extensions.get::<RequestId>() {
        actor = actor.with_request_id(id.as_str());
    }
    actor.address = parts.extensions.get::<ClientAddress>().map(|address| address.0);
    if let Some(asker) = parts.extensions.get::<Asker>() {
        asker.is(&actor);
    }
    Ok(actor)
}

/// Who is behind a session. Pages of a session that is over are those of anybody; a program is told that it is over.
async fn of_session(auth: &Auth, token: &SessionToken, path: &str) -> Result<Actor, Problem> {
    match auth.signed_in(token).await? {
        Some(signed_in) => Ok(signed_in.actor),
        None if path.starts_with("/api/") => {
            Err(Problem::unauthenticated("Your session is over.").with_kind("session-over"))
        }
        None => Ok(Actor::anonymous()),
    }
}

/// The text of the key a request carries: `Authorization: Bearer`, `api-key` or `x-api-key`.
///
/// # Errors
/// 401 for an `Authorization` of another scheme, or credentials that contradict each other.
pub fn credential(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let unreadable = || Problem::unauthenticated("The credential holds characters that no key has.");
    let bearer = match headers.get(header::AUTHORIZATION) {
        None => None,
        Some(value) => {
            let text = value.to_str().map_err(|_| unreadable())?.trim();
            let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
            if !scheme.eq_ignore_ascii_case("bearer") || rest.trim().is_empty() {
                return Err(Problem::unauthenticated(
                    "Invalid Authorization header format. Expected 'Bearer <token>'.",
                ));
            }
            Some(rest.trim())
        }
    };
    let mut found = bearer;
    for name in ["api-key", "x-api-key"] {
        let Some(value) = headers.get(name) else { continue };
        let text = value.to_str().map_err(|_| unreadable())?.trim();
        if found.is_some_and(|other| other != text) {
            return Err(Problem::unauthenticated("The request carries two different credentials."));
        }
        found = Some(text);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_key_is_taken_from_any_of_the_headers_clients_send() {
        for pair in [
            ("authorization", "Bearer whf_x"),
            ("authorization", "bearer  whf_x"),
            ("api-key", "whf_x"),
            ("x-api-key", "whf_x"),
        ] {
            assert_eq!(credential(&headers(&[pair])).unwrap(), Some("whf_x"), "{pair:?}");
        }
        assert_eq!(credential(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn other_schemes_and_contradictions_are_refused() {
        for pairs in [
            vec![("authorization", "Basic eDp5")],
            vec![("authorization", "Bearer")],
            vec![("authorization", "Bearer a"), ("api-key", "b")],
        ] {
            assert_eq!(credential(&headers(&pairs)).unwrap_err().status.as_u16(), 401, "{pairs:?}");
        }
    }
}
