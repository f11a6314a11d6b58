//! Named views of the MCP registry API: a saved filter over what may be seen, that clients can be pointed at.
//!
//! A view widens nothing. One that is read anonymously shows public servers, and internal ones only when an administrator
//! said so in the view itself; one for callers with credentials shows what the caller may see, narrowed by the filter.

mod shown;
mod verbs;

pub use verbs::generation_name;

use crate::auth::{Actor, Sight};
use crate::base::{Problem, RegistryViewId, Slug, WorkspaceId};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Who may read a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum ViewAccess {
    /// Everybody, and everybody the same: clients that send no credential can be pointed at it.
    Anonymous,
    /// Who comes with a credential, of what it may see.
    #[default]
    Credentials,
}

/// What a view shows of what may be seen; an empty list lets everything pass, several must all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ViewFilter {
    #[schema(max_items = 200)]
    pub workspaces: Vec<String>,
    /// One of these.
    #[schema(max_items = 200)]
    pub tags: Vec<String>,
    /// Stages of the latest version.
    #[schema(max_items = 20)]
    pub stages: Vec<super::Stage>,
    /// Namespaces of registry names, like `com.example`, or with a star at the end, like `io.github.*`.
    #[schema(max_items = 200)]
    pub namespaces: Vec<String>,
    /// Registry names.
    #[schema(max_items = 5000)]
    pub names: Vec<String>,
    /// Of the latest version: `streamable-http`, `sse`, or `stdio` for packages.
    #[schema(max_items = 20)]
    pub transports: Vec<String>,
    /// Also what waits for approval, where the caller may see it.
    pub unapproved: bool,
}

/// A named view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistryView {
    #[serde(rename = "id")]
    #[schema(value_type = uuid::Uuid)]
    pub view_id: RegistryViewId,
    #[schema(value_type = String)]
    pub name: Slug,
    pub title: String,
    pub description: String,
    #[serde(skip)]
    pub workspace_id: Option<WorkspaceId>,
    /// Whose view it is; it then shows servers of this workspace only. Absent: the instance's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    pub access: ViewAccess,
    /// Whether an anonymous view shows internal servers to everybody too.
    pub publishes_internal: bool,
    #[schema(value_type = ViewFilter)]
    pub filter: Json<ViewFilter>,
    #[serde(skip)]
    pub revision: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// A view to make, or what to change of one: what is absent stays, or gets its default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RegistryViewInput {
    #[schema(value_type = Option<String>, max_length = 63, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
    pub name: Option<Slug>,
    #[schema(max_length = 300)]
    pub title: Option<String>,
    #[schema(max_length = 2000)]
    pub description: Option<String>,
    /// Whose view it is to be; not said, the instance's, which administrators make.
    #[schema(max_length = 63)]
    pub workspace: Option<String>,
    pub access: Option<ViewAccess>,
    pub publishes_internal: Option<bool>,
    pub filter: Option<ViewFilter>,
}

impl RegistryView {
    /// What the view shows this actor at most.
    ///
    /// # Errors
    /// 401 for a view that asks for a credential, without one.
    pub fn sight(&self, actor: &Actor) -> Result<Sight, Problem> {
        match self.access {
            ViewAccess::Anonymous => Ok(Sight { internal: self.publishes_internal, ..Sight::of_the_public() }),
            ViewAccess::Credentials if actor.is_anonymous() => Err(needs_credential(self.name.as_str())),
            ViewAccess::Credentials => Ok(actor.sight().clone()),
        }
    }

    /// Whether its name is told to who knows of these workspaces: one read with a credential tells the name of its own.
    fn is_told(&self, knows: impl Fn(WorkspaceId) -> bool) -> bool {
        self.access == ViewAccess::Anonymous || self.workspace_id.is_none_or(knows)
    }

    fn patched(mut self, input: RegistryViewInput) -> Result<Self, Problem> {
        let short = |location: &str, text: String, most: usize| {
            if text.chars().count() > most || text.contains('\0') {
                return Err(Problem::invalid_field(location, format!("at most {most} characters")));
            }
            Ok(text.trim().to_owned())
        };
        if let Some(title) = input.title {
            self.title = short("body.title", title, 300)?;
        }
        if let Some(description) = input.description {
            self.description = short("body.description", description, 2_000)?;
        }
        self.access = input.access.unwrap_or(self.access);
        self.publishes_internal = input.publishes_internal.unwrap_or(self.publishes_internal);
        if let Some(filter) = input.filter {
            let lists = [&filter.workspaces, &filter.tags, &filter.namespaces, &filter.names, &filter.transports];
            let words = || lists.iter().flat_map(|list| list.iter());
            if lists.iter().any(|list| list.len() > 5_000)
                || words().any(|word| word.len() > 200 || word.contains('\0'))
            {
                return Err(Problem::invalid_field(
                    "body.filter",
                    "at most 5,000 words of at most 200 characters a list",
                ));
            }
            self.filter = Json(filter);
        }
        if self.title.is_empty() {
            self.title = self.name.to_string();
        }
        if self.publishes_internal && self.access != ViewAccess::Anonymous {
            let message = "says something only of a view with anonymous access";
            return Err(Problem::invalid_field("body.publishesInternal", message));
        }
        Ok(self)
    }
}

fn needs_credential(name: &str) -> Problem {
    Problem::unauthenticated(format!("There is no registry {name} that is read without a credential."))
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select r.view_id, r.name, r.title, r.description, r.workspace_id, w.name as workspace, r.access,
                    r.publishes_internal, r.filter, r.revision, r.created_at, r.updated_at
             from registry_view r left join workspace w using (workspace_id) ",
            $rest
        )
    };
}

async fn find(conn: &mut PgConnection, name: &str) -> Result<Option<RegistryView>, sqlx::Error> {
    sqlx::query_as(select!("where r.name = $1")).bind(name).fetch_optional(conn).await
}

async fn list(conn: &mut PgConnection) -> Result<Vec<RegistryView>, sqlx::Error> {
    sqlx::query_as(select!("order by r.name limit 500")).fetch_all(conn).await
}

async fn insert(conn: &mut PgConnection, view: &RegistryView) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "insert into registry_view (view_id, name, title, description, workspace_id, access, publishes_internal, filter,
                                    created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
         on conflict on constraint registry_view_name_key do nothing",
    )
    .bind(view.view_id)
    .bind(&view.name)
    .bind(&view.title)
    .bind(&view.description)
    .bind(view.workspace_id)
    .bind(view.access)
    .bind(view.publishes_internal)
    .bind(&view.filter)
    .bind(view.created_at)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn update(conn: &mut PgConnection, view: &RegistryView) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update registry_view
         set title = $2, description = $3, access = $4, publishes_internal = $5, filter = $6, updated_at = $7,
             revision = revision + 1
         where view_id = $1",
    )
    .bind(view.view_id)
    .bind(&view.title)
    .bind(&view.description)
    .bind(view.access)
    .bind(view.publishes_internal)
    .bind(&view.filter)
    .bind(view.updated_at)
    .execute(conn)
    .await?;
    Ok(())
}
