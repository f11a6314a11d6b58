//! The reader's own page: who they are here, what they may do and why, their sessions and their keys.

use super::fields::Fields;
use super::layout::{Layout, status_of, to, unkept_answer};
use super::words;
use crate::auth::{ApiKey, Auth, KeyHolder, KeyScope, NewKey, ROTATION_OVERLAP, Scope, Session, User};
use crate::base::{KeyId, Problem, SessionId, WorkspaceId};
use crate::catalog::{Catalog, Workspace};
use crate::door::{Failure, Path, PublicUrl, cookie};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "account.html")]
struct Account {
    layout: Layout,
    user: Option<User>,
    roles: Vec<HeldRole>,
    groups: Vec<String>,
    sessions: Vec<OwnSession>,
    keys: Vec<OwnKey>,
    /// A key that was just made or rotated: its name and text, shown this once.
    made: Option<(String, String)>,
    problem: Option<Problem>,
    workspaces: Vec<Workspace>,
}

struct HeldRole {
    role: &'static str,
    says: &'static str,
    place: String,
    why: String,
}

struct OwnSession {
    session: Session,
    /// `Firefox on Linux`.
    browser: String,
    is_this: bool,
}

struct OwnKey {
    key: ApiKey,
    scopes: Vec<String>,
    is_live: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct OnePath {
    id: String,
}

/// `GET /account`.
pub(super) async fn show(
    layout: Layout,
    State(auth): State<Auth>,
    State(catalog): State<Catalog>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    if layout.actor.is_anonymous() {
        return Ok(to("/signin?next=%2Faccount"));
    }
    show_with(layout, &auth, &catalog, &headers, None, None).await
}

async fn show_with(
    layout: Layout,
    auth: &Auth,
    catalog: &Catalog,
    headers: &HeaderMap,
    made: Option<(String, String)>,
    problem: Option<Problem>,
) -> Result<Response, Failure> {
    let actor = &layout.actor;
    let workspaces = catalog.workspaces(actor).await?;
    let place_of = |id: WorkspaceId| workspaces.iter().find(|one| one.workspace_id == id);
    let roles = actor.grants().iter().map(|grant| HeldRole {
        role: grant.role.as_str(),
        says: grant.role.description(),
        place: match grant.scope {
            Scope::Instance => "everywhere".to_owned(),
            Scope::Workspace(id) => place_of(id).map_or_else(String::new, |one| format!("in {}", one.title)),
            Scope::Asset(id, _) => {
                place_of(id).map_or_else(String::new, |one| format!("for one asset in {}", one.title))
            }
        },
        why: grant.group.as_deref().map_or_else(|| "given to you".to_owned(), |group| format!("by the group {group}")),
    });
    let roles = roles.collect();
    let this = match cookie::session(headers, &layout.public_url) {
        Some(token) => auth.signed_in(&token).await?.map(|signed_in| signed_in.session),
        None => None,
    };
    let own = |session: Session| OwnSession {
        browser: words::browser(&session.user_agent),
        is_this: Some(session.session_id) == this,
        session,
    };
    let sessions = match auth.own_sessions(actor).await {
        Ok(found) => found.into_iter().map(own).collect(),
        Err(problem) if problem.status == StatusCode::NOT_FOUND => Vec::new(),
        Err(problem) => return Err(Failure(problem)),
    };
    let now = catalog.clock().now();
    let told = |scope: &String| match KeyScope::parse(scope) {
        Some(KeyScope::Publish(Some(id))) => {
            place_of(id).map_or_else(|| scope.clone(), |one| format!("catalog:publish:{}", one.name))
        }
        _ => scope.clone(),
    };
    let keys = auth.own_keys(actor).await?.into_iter().map(|key| OwnKey {
        scopes: key.scopes.iter().map(told).collect(),
        is_live: key.is_live(now),
        key,
    });
    let keys = keys.collect();
    let user = match (actor.user(), actor.name()) {
        (Some(_), Some(name)) => Some(auth.user(actor, name).await?.0),
        _ => None,
    };
    let status = status_of(problem.as_ref());
    let groups = actor.groups().to_vec();
    let page = Account { layout, user, roles, groups, sessions, keys, made, problem, workspaces };
    unkept_answer(&page, status)
}

/// `POST /account/sessions/{id}/end`.
pub(super) async fn end_session(
    layout: Layout,
    State(auth): State<Auth>,
    Path(path): Path<OnePath>,
) -> Result<Response, Failure> {
    let id: SessionId = path.id.parse().map_err(|_| Problem::not_found("You have no such session."))?;
    auth.end_session(&layout.actor, id).await?;
    Ok(to("/account#sessions"))
}

/// `POST /account/sign-out-everywhere`.
pub(super) async fn end_sessions(
    layout: Layout,
    State(auth): State<Auth>,
    State(url): State<PublicUrl>,
) -> Result<Response, Failure> {
    auth.end_own_sessions(&layout.actor).await?;
    let mut answer = to("/signin");
    answer.headers_mut().append(header::SET_COOKIE, cookie::drop_session(&url));
    Ok(answer)
}

/// `POST /account/keys`: makes a key and shows its text.
pub(super) async fn make_key(
    layout: Layout,
    State(auth): State<Auth>,
    State(catalog): State<Catalog>,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, Failure> {
    let outcome = async {
        let name = fields.filled("name").filter(|name| name.chars().count() <= 200);
        let name = name.ok_or_else(|| Problem::invalid_field("body.name", "must have 1 to 200 characters"))?;
        let expires_at = fields.end_of_day("until")?;
        if expires_at.is_some_and(|end| end <= catalog.clock().now()) {
            return Err(Problem::invalid_field("body.until", "must lie ahead"));
        }
        let mut scopes: Vec<String> = fields.all("scope").map(str::to_owned).collect();
        for workspace in fields.all("publish") {
            let workspace = catalog.workspace(&layout.actor, workspace).await?;
            scopes.push(KeyScope::Publish(Some(workspace.workspace_id)).to_string());
        }
        let new = NewKey { name, holder: KeyHolder::Own, scopes, expires_at };
        auth.create_key(&layout.actor, new).await
    };
    match outcome.await {
        Ok((key, secret)) => {
            let made = (key.name, secret.reveal().to_owned());
            show_with(layout, &auth, &catalog, &headers, Some(made), None).await
        }
        Err(problem) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => {
            show_with(layout, &auth, &catalog, &headers, None, Some(problem)).await
        }
        Err(problem) => Err(Failure(problem)),
    }
}

/// `POST /account/keys/{id}/rotate`: gives the key another text and shows it.
pub(super) async fn rotate_key(
    layout: Layout,
    State(auth): State<Auth>,
    State(catalog): State<Catalog>,
    headers: HeaderMap,
    Path(path): Path<OnePath>,
) -> Result<Response, Failure> {
    let (key, secret) = auth.rotate_key(&layout.actor, key_id(&path)?, ROTATION_OVERLAP).await?;
    let made = (key.name, secret.reveal().to_owned());
    show_with(layout, &auth, &catalog, &headers, Some(made), None).await
}

/// `POST /account/keys/{id}/revoke`.
pub(super) async fn revoke_key(
    layout: Layout,
    State(auth): State<Auth>,
    Path(path): Path<OnePath>,
) -> Result<Response, Failure> {
    auth.revoke_key(&layout.actor, key_id(&path)?).await?;
    Ok(to("/account#keys"))
}

fn key_id(path: &OnePath) -> Result<KeyId, Problem> {
    path.id.parse().map_err(|_| Problem::not_found("There is no live key of this id."))
}
