//! People: who there is, who is invited, and whose account is closed.

use super::NamePath;
use crate::auth::{Auth, Group, Invited, LOCAL_GROUPS, NewUser, User};
use crate::base::{Limit, Problem};
use crate::door::{Failure, Path, PublicUrl, segment};
use crate::web::fields::{Fields, is_input};
use crate::web::layout::{Layout, status_of, to, unkept_answer};
use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;

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

/// `GET /admin/users`.
pub(in crate::web) async fn users(
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
    let status = status_of(problem.as_ref());
    unkept_answer(&Users { layout, users, groups, next, link, problem }, status)
}

/// `POST /admin/users`: invites somebody and shows the link.
pub(in crate::web) async fn invite(
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
pub(in crate::web) async fn disable(
    layout: Layout,
    State(auth): State<Auth>,
    Path(path): Path<NamePath>,
) -> Result<Response, Failure> {
    auth.set_user_disabled(&layout.actor, &path.name, true).await?;
    Ok(to("/admin/users"))
}

pub(in crate::web) async fn enable(
    layout: Layout,
    State(auth): State<Auth>,
    Path(path): Path<NamePath>,
) -> Result<Response, Failure> {
    auth.set_user_disabled(&layout.actor, &path.name, false).await?;
    Ok(to("/admin/users"))
}

pub(in crate::web) async fn sign_out(
    layout: Layout,
    State(auth): State<Auth>,
    Path(path): Path<NamePath>,
) -> Result<Response, Failure> {
    auth.end_sessions_of(&layout.actor, &path.name).await?;
    Ok(to("/admin/users"))
}
