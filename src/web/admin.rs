//! For administrators: people, groups and service accounts; and for those who govern a workspace: who holds which role.

use super::account::to;
use super::fields::Fields;
use super::layout::{Layout, Place, page};
use crate::auth::{
    Auth, Group, HolderName, Invited, LOCAL_GROUPS, NewServiceAccount, NewUser, Permission, Role, RoleAssignment,
    Scope, ServiceAccount, User,
};
use crate::base::{Limit, Problem};
use crate::catalog::{Catalog, Workspace};
use crate::door::{Failure, Path, PublicUrl, segment};
use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;

/// How many people a page shows.
const MOST: usize = 50;

#[derive(Template)]
#[template(path = "admin/users.html")]
struct Users {
    layout: Layout,
    users: Vec<User>,
    groups: Vec<Group>,
    next: Option<String>,
    /// An invitation that was just made: for whom, and the link.
    link: Option<(String, String)>,
    problem: Option<Problem>,
}

#[derive(Template)]
#[template(path = "admin/groups.html")]
struct Groups {
    layout: Layout,
    groups: Vec<Group>,
    problem: Option<Problem>,
}

#[derive(Template)]
#[template(path = "admin/group.html")]
struct OneGroup {
    layout: Layout,
    group: Group,
    members: Vec<String>,
    is_local: bool,
    problem: Option<Problem>,
}

#[derive(Template)]
#[template(path = "admin/service_accounts.html")]
struct ServiceAccounts {
    layout: Layout,
    accounts: Vec<ServiceAccount>,
    issuers: Vec<String>,
    /// A key that was just made: of which account, and its text.
    made: Option<(String, String)>,
    problem: Option<Problem>,
}

#[derive(Template)]
#[template(path = "members.html")]
struct Members {
    layout: Layout,
    /// None: the roles of the whole instance.
    workspace: Option<Workspace>,
    held: Vec<RoleAssignment>,
    problem: Option<Problem>,
}

impl Members {
    fn roles(&self) -> &'static [Role] {
        Role::ALL
    }

    fn action(&self) -> String {
        match &self.workspace {
            Some(workspace) => format!("/workspaces/{}/members", workspace.name),
            None => "/admin/roles".to_owned(),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct NamePath {
    name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct MemberPath {
    name: String,
    member: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct WorkspacePath {
    workspace: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct RolePath {
    workspace: String,
    id: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct IdPath {
    id: String,
}

/// `GET /admin/users`.
pub(super) async fn users(
    layout: Layout,
    State(auth): State<Auth>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let query = query.unwrap_or_default();
    let after = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "after");
    users_with(layout, &auth, after.map(|(_, after)| after.into_owned()), None, None).await
}

async fn users_with(
    layout: Layout,
    auth: &Auth,
    after: Option<String>,
    link: Option<(String, String)>,
    problem: Option<Problem>,
) -> Result<Response, Failure> {
    let mut users = auth.users(&layout.actor, after.as_deref(), Limit(MOST + 1)).await?;
    let next = (users.len() > MOST).then(|| segment(&users[MOST - 1].name).to_string());
    users.truncate(MOST);
    let groups = auth.groups(&layout.actor).await?.into_iter().filter(|group| group.source == LOCAL_GROUPS).collect();
    let status = problem.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    let answer = page(&Users { layout, users, groups, next, link, problem })?;
    Ok((status, [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], answer).into_response())
}

/// `POST /admin/users`: invites somebody and shows the link.
pub(super) async fn invite(
    layout: Layout,
    State(auth): State<Auth>,
    State(url): State<PublicUrl>,
    fields: Fields,
) -> Result<Response, Failure> {
    let new = NewUser {
        name: fields.get("name").to_owned(),
        display_name: fields.get("display_name").to_owned(),
        email: fields.filled("email"),
        groups: fields.all("group").map(str::to_owned).collect(),
    };
    match auth.invite(&layout.actor, new).await {
        Ok(Invited { user, token, .. }) => {
            let link = url.join(&format!("/invitation?token={}", token.reveal()));
            users_with(layout, &auth, None, Some((user.name, link)), None).await
        }
        Err(problem) if is_input(&problem) => users_with(layout, &auth, None, None, Some(problem)).await,
        Err(problem) => Err(Failure(problem)),
    }
}

/// `POST /admin/users/{name}/disable`, `.../enable` and `.../sign-out`.
pub(super) async fn disable(
    layout: Layout,
    State(auth): State<Auth>,
    Path(path): Path<NamePath>,
) -> Result<Response, Failure> {
    auth.set_user_disabled(&layout.actor, &path.name, true).await?;
    Ok(to("/admin/users"))
}

pub(super) async fn enable(
    layout: Layout,
    State(auth): State<Auth>,
    Path(path): Path<NamePath>,
) -> Result<Response, Failure> {
    auth.set_user_disabled(&layout.actor, &path.name, false).await?;
    Ok(to("/admin/users"))
}

pub(super) async fn sign_out(
    layout: Layout,
    State(auth): State<Auth>,
    Path(path): Path<NamePath>,
) -> Result<Response, Failure> {
    auth.end_sessions_of(&layout.actor, &path.name).await?;
    Ok(to("/admin/users"))
}

/// `GET /admin/groups`.
pub(super) async fn groups(layout: Layout, State(auth): State<Auth>) -> Result<Response, Failure> {
    layout.actor.require(Permission::ManageInstance, Scope::Instance)?;
    let groups = auth.groups(&layout.actor).await?;
    page(&Groups { layout, groups, problem: None })
}

/// `POST /admin/groups`.
pub(super) async fn make_group(layout: Layout, State(auth): State<Auth>, fields: Fields) -> Result<Response, Failure> {
    match auth.create_group(&layout.actor, fields.get("name"), fields.get("title")).await {
        Ok(group) => Ok(to(&format!("/admin/groups/{}", segment(&group.name)))),
        Err(problem) if is_input(&problem) => {
            let groups = auth.groups(&layout.actor).await?;
            let status = problem.status;
            Ok((status, page(&Groups { layout, groups, problem: Some(problem) })?).into_response())
        }
        Err(problem) => Err(Failure(problem)),
    }
}

/// `GET /admin/groups/{name}`.
pub(super) async fn group(
    layout: Layout,
    State(auth): State<Auth>,
    Path(path): Path<NamePath>,
) -> Result<Response, Failure> {
    group_with(layout, &auth, &path.name, None).await
}

async fn group_with(layout: Layout, auth: &Auth, name: &str, problem: Option<Problem>) -> Result<Response, Failure> {
    let (group, members) = auth.group(&layout.actor, name).await?;
    let status = problem.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    let is_local = group.source == LOCAL_GROUPS;
    Ok((status, page(&OneGroup { layout, group, members, is_local, problem })?).into_response())
}

/// `POST /admin/groups/{name}/members`.
pub(super) async fn add_member(
    layout: Layout,
    State(auth): State<Auth>,
    Path(path): Path<NamePath>,
    fields: Fields,
) -> Result<Response, Failure> {
    match auth.set_member(&layout.actor, &path.name, fields.get("member"), true).await {
        Ok(()) => Ok(to(&format!("/admin/groups/{}", segment(&path.name)))),
        // Somebody who is not there is a wrong field, not a missing page.
        Err(problem) if problem.status == StatusCode::NOT_FOUND || is_input(&problem) => {
            let problem = Problem::invalid_field("body.member", problem.detail);
            group_with(layout, &auth, &path.name, Some(problem)).await
        }
        Err(problem) => Err(Failure(problem)),
    }
}

/// `POST /admin/groups/{name}/members/{member}/remove`.
pub(super) async fn remove_member(
    layout: Layout,
    State(auth): State<Auth>,
    Path(path): Path<MemberPath>,
) -> Result<Response, Failure> {
    auth.set_member(&layout.actor, &path.name, &path.member, false).await?;
    Ok(to(&format!("/admin/groups/{}", segment(&path.name))))
}

/// `POST /admin/groups/{name}/delete`.
pub(super) async fn delete_group(
    layout: Layout,
    State(auth): State<Auth>,
    Path(path): Path<NamePath>,
) -> Result<Response, Failure> {
    auth.delete_group(&layout.actor, &path.name).await?;
    Ok(to("/admin/groups"))
}

/// `GET /admin/service-accounts`.
pub(super) async fn service_accounts(layout: Layout, State(auth): State<Auth>) -> Result<Response, Failure> {
    service_accounts_with(layout, &auth, None, None).await
}

async fn service_accounts_with(
    layout: Layout,
    auth: &Auth,
    made: Option<(String, String)>,
    problem: Option<Problem>,
) -> Result<Response, Failure> {
    let accounts = auth.service_accounts(&layout.actor, None).await?;
    let issuers = auth.issuers();
    let status = problem.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    let answer = page(&ServiceAccounts { layout, accounts, issuers, made, problem })?;
    Ok((status, [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], answer).into_response())
}

/// `POST /admin/service-accounts`.
pub(super) async fn make_service_account(
    layout: Layout,
    State(auth): State<Auth>,
    fields: Fields,
) -> Result<Response, Failure> {
    let new = NewServiceAccount {
        name: fields.get("name").to_owned(),
        description: fields.get("description").to_owned(),
        workspace: None,
        subject: fields.filled("subject").map(|subject| (fields.get("issuer").to_owned(), subject)),
    };
    match auth.create_service_account(&layout.actor, new).await {
        Ok(_) => Ok(to("/admin/service-accounts")),
        Err(problem) if is_input(&problem) => service_accounts_with(layout, &auth, None, Some(problem)).await,
        Err(problem) => Err(Failure(problem)),
    }
}

/// `POST /admin/service-accounts/{name}/key`: makes a key of the account and shows it.
pub(super) async fn key_of_service_account(
    layout: Layout,
    State(auth): State<Auth>,
    Path(path): Path<NamePath>,
) -> Result<Response, Failure> {
    let account = auth.service_account(&layout.actor, &path.name).await?;
    let new = crate::auth::NewKey {
        name: path.name.clone(),
        holder: crate::auth::KeyHolder::ServiceAccount(account.service_account_id),
        scopes: Vec::new(),
        expires_at: None,
    };
    let (_, secret) = auth.create_key(&layout.actor, new).await?;
    let made = (account.name, secret.reveal().to_owned());
    service_accounts_with(layout, &auth, Some(made), None).await
}

/// `POST /admin/service-accounts/{name}/disable` and `.../enable`.
pub(super) async fn disable_service_account(
    layout: Layout,
    State(auth): State<Auth>,
    Path(path): Path<NamePath>,
) -> Result<Response, Failure> {
    auth.set_service_account_disabled(&layout.actor, &path.name, true).await?;
    Ok(to("/admin/service-accounts"))
}

pub(super) async fn enable_service_account(
    layout: Layout,
    State(auth): State<Auth>,
    Path(path): Path<NamePath>,
) -> Result<Response, Failure> {
    auth.set_service_account_disabled(&layout.actor, &path.name, false).await?;
    Ok(to("/admin/service-accounts"))
}

/// The workspace whose roles are asked for; without a credential the answer is the same for every name.
async fn place(layout: &Layout, catalog: &Catalog, name: &str) -> Result<Workspace, Problem> {
    if layout.actor.is_anonymous() {
        layout.actor.require(Permission::GovernWorkspace, Scope::Instance)?;
    }
    Ok(catalog.workspace(&layout.actor, name).await?)
}

/// `GET /workspaces/{workspace}/members`.
pub(super) async fn members(
    layout: Layout,
    State(auth): State<Auth>,
    State(catalog): State<Catalog>,
    Path(path): Path<WorkspacePath>,
) -> Result<Response, Failure> {
    let workspace = place(&layout, &catalog, &path.workspace).await?;
    members_with(layout, &auth, Some(workspace), None).await
}

/// `GET /admin/roles`: who holds a role everywhere.
pub(super) async fn roles(layout: Layout, State(auth): State<Auth>) -> Result<Response, Failure> {
    members_with(layout, &auth, None, None).await
}

async fn members_with(
    layout: Layout,
    auth: &Auth,
    workspace: Option<Workspace>,
    problem: Option<Problem>,
) -> Result<Response, Failure> {
    let held = auth.roles(&layout.actor, workspace.as_ref().map(|one| one.workspace_id)).await?;
    let status = problem.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    let answer = page(&Members { layout: layout.at(Place::Workspaces), workspace, held, problem })?;
    Ok((status, answer).into_response())
}

/// `POST /workspaces/{workspace}/members`: gives a role.
pub(super) async fn give_role(
    layout: Layout,
    State(auth): State<Auth>,
    State(catalog): State<Catalog>,
    Path(path): Path<WorkspacePath>,
    fields: Fields,
) -> Result<Response, Failure> {
    let workspace = place(&layout, &catalog, &path.workspace).await?;
    let scope = Scope::Workspace(workspace.workspace_id);
    give(layout, &auth, Some(workspace), scope, &fields).await
}

/// `POST /admin/roles`.
pub(super) async fn give_role_everywhere(
    layout: Layout,
    State(auth): State<Auth>,
    fields: Fields,
) -> Result<Response, Failure> {
    give(layout, &auth, None, Scope::Instance, &fields).await
}

async fn give(
    layout: Layout,
    auth: &Auth,
    workspace: Option<Workspace>,
    scope: Scope,
    fields: &Fields,
) -> Result<Response, Failure> {
    let outcome = async {
        let role: Role = fields.get("role").parse().map_err(|_| Problem::invalid_field("body.role", "is no role"))?;
        let name = fields.get("holder").to_owned();
        let holder = match fields.get("kind") {
            "group" => HolderName::Group(name),
            "service-account" => HolderName::ServiceAccount(name),
            _ => HolderName::User(name),
        };
        auth.assign_role(&layout.actor, role, &holder, scope, fields.end_of_day("until")?).await
    };
    match outcome.await {
        Ok(_) => Ok(to(&back_to(workspace.as_ref()))),
        Err(problem) if is_input(&problem) => members_with(layout, auth, workspace, Some(problem)).await,
        Err(problem) => Err(Failure(problem)),
    }
}

/// `POST /workspaces/{workspace}/members/{id}/remove`: takes a role back.
pub(super) async fn take_role(
    layout: Layout,
    State(auth): State<Auth>,
    State(catalog): State<Catalog>,
    Path(path): Path<RolePath>,
) -> Result<Response, Failure> {
    let workspace = place(&layout, &catalog, &path.workspace).await?;
    take(&layout, &auth, &path.id).await?;
    Ok(to(&back_to(Some(&workspace))))
}

/// `POST /admin/roles/{id}/remove`.
pub(super) async fn take_role_everywhere(
    layout: Layout,
    State(auth): State<Auth>,
    Path(path): Path<IdPath>,
) -> Result<Response, Failure> {
    layout.actor.require(Permission::GovernWorkspace, Scope::Instance)?;
    take(&layout, &auth, &path.id).await?;
    Ok(to("/admin/roles"))
}

async fn take(layout: &Layout, auth: &Auth, id: &str) -> Result<(), Problem> {
    let id = id.parse().map_err(|_| Problem::not_found("There is no such role assignment."))?;
    auth.remove_role(&layout.actor, id).await
}

fn back_to(workspace: Option<&Workspace>) -> String {
    match workspace {
        Some(workspace) => format!("/workspaces/{}/members", workspace.name),
        None => "/admin/roles".to_owned(),
    }
}

/// Whether the page with its form is the answer, with what is wrong.
fn is_input(problem: &Problem) -> bool {
    matches!(problem.status, StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT)
}
