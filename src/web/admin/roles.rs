//! Who holds which role: in a workspace, and everywhere.

use crate::auth::{Auth, HolderName, Permission, Role, RoleAssignment, Scope};
use crate::base::Problem;
use crate::catalog::{Catalog, Workspace};
use crate::door::{Failure, Path};
use crate::web::fields::{Fields, is_input};
use crate::web::layout::{Layout, Place, answer_to_form, status_of, to};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

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
pub(in crate::web) struct WorkspacePath {
    workspace: String,
}

#[derive(Debug, Deserialize)]
pub(in crate::web) struct RolePath {
    workspace: String,
    id: String,
}

#[derive(Debug, Deserialize)]
pub(in crate::web) struct IdPath {
    id: String,
}

/// The workspace whose roles are asked for; without a credential the answer is the same for every name.
async fn place(layout: &Layout, catalog: &Catalog, name: &str) -> Result<Workspace, Problem> {
    if layout.actor.is_anonymous() {
        layout.actor.require(Permission::GovernWorkspace, Scope::Instance)?;
    }
    Ok(catalog.workspace(&layout.actor, name).await?)
}

/// `GET /workspaces/{workspace}/members`.
pub(in crate::web) async fn members(
    layout: Layout,
    State(auth): State<Auth>,
    State(catalog): State<Catalog>,
    Path(path): Path<WorkspacePath>,
) -> Result<Response, Failure> {
    let workspace = place(&layout, &catalog, &path.workspace).await?;
    members_with(layout, &auth, Some(workspace), None).await
}

/// `GET /admin/roles`: who holds a role everywhere.
pub(in crate::web) async fn roles(layout: Layout, State(auth): State<Auth>) -> Result<Response, Failure> {
    members_with(layout, &auth, None, None).await
}

async fn members_with(
    layout: Layout,
    auth: &Auth,
    workspace: Option<Workspace>,
    problem: Option<Problem>,
) -> Result<Response, Failure> {
    let held = auth.roles(&layout.actor, workspace.as_ref().map(|one| one.workspace_id)).await?;
    let status = status_of(problem.as_ref());
    answer_to_form(&Members { layout: layout.at(Place::Workspaces), workspace, held, problem }, status)
}

/// `POST /workspaces/{workspace}/members`: gives a role.
pub(in crate::web) async fn give_role(
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
pub(in crate::web) async fn give_role_everywhere(
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
pub(in crate::web) async fn take_role(
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
pub(in crate::web) async fn take_role_everywhere(
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
