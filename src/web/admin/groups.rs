//! Groups: which there are, and who belongs to each.

use super::NamePath;
use crate::auth::{Auth, Group, LOCAL_GROUPS, Permission, Scope};
use crate::base::Problem;
use crate::door::{Failure, Path, segment};
use crate::web::fields::{Fields, is_input};
use crate::web::layout::{Layout, answer_to_form, page, status_of, to};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

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

#[derive(Debug, Deserialize)]
pub(in crate::web) struct MemberPath {
    name: String,
    member: String,
}

/// `GET /admin/groups`.
pub(in crate::web) async fn groups(layout: Layout, State(auth): State<Auth>) -> Result<Response, Failure> {
    layout.actor.require(Permission::ManageInstance, Scope::Instance)?;
    let groups = auth.groups(&layout.actor).await?;
    page(&Groups { layout, groups, problem: None })
}

/// `POST /admin/groups`.
pub(in crate::web) async fn make_group(
    layout: Layout,
    State(auth): State<Auth>,
    fields: Fields,
) -> Result<Response, Failure> {
    match auth.create_group(&layout.actor, fields.get("name"), fields.get("title")).await {
        Ok(group) => Ok(to(&format!("/admin/groups/{}", segment(&group.name)))),
        Err(problem) if is_input(&problem) => {
            let groups = auth.groups(&layout.actor).await?;
            let status = problem.status;
            answer_to_form(&Groups { layout, groups, problem: Some(problem) }, status)
        }
        Err(problem) => Err(Failure(problem)),
    }
}

/// `GET /admin/groups/{name}`.
pub(in crate::web) async fn group(
    layout: Layout,
    State(auth): State<Auth>,
    Path(path): Path<NamePath>,
) -> Result<Response, Failure> {
    group_with(layout, &auth, &path.name, None).await
}

async fn group_with(layout: Layout, auth: &Auth, name: &str, problem: Option<Problem>) -> Result<Response, Failure> {
    let (group, members) = auth.group(&layout.actor, name).await?;
    let status = status_of(problem.as_ref());
    let is_local = group.source == LOCAL_GROUPS;
    answer_to_form(&OneGroup { layout, group, members, is_local, problem }, status)
}

/// `POST /admin/groups/{name}/members`.
pub(in crate::web) async fn add_member(
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
pub(in crate::web) async fn remove_member(
    layout: Layout,
    State(auth): State<Auth>,
    Path(path): Path<MemberPath>,
) -> Result<Response, Failure> {
    auth.set_member(&layout.actor, &path.name, &path.member, false).await?;
    Ok(to(&format!("/admin/groups/{}", segment(&path.name))))
}

/// `POST /admin/groups/{name}/delete`.
pub(in crate::web) async fn delete_group(
    layout: Layout,
    State(auth): State<Auth>,
    Path(path): Path<NamePath>,
) -> Result<Response, Failure> {
    auth.delete_group(&layout.actor, &path.name).await?;
    Ok(to("/admin/groups"))
}
