//! Named views of the MCP registry API: a saved filter over what may be seen, that clients can be pointed at.
//!
//! A view widens nothing. One that is read anonymously shows public servers, and internal ones only when an administrator
//! said so in the view itself; one for callers with credentials shows what the caller may see, narrowed by the filter.

use super::{Catalog, Error, Workspace, change, workspace};
use crate::audit;
use crate::auth::{Actor, Permission, Scope, Sight};
use crate::base::{Problem, RegistryViewId, Slug, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{PgConnection, Postgres, QueryBuilder, types::Json};
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
            ViewAccess::Credentials => Ok(actor.sight()),
        }
    }

    /// Whether its name is told to who knows of these workspaces: one read with a credential tells the name of its own.
    fn is_told(&self, knows: impl Fn(WorkspaceId) -> bool) -> bool {
        self.access == ViewAccess::Anonymous || self.workspace_id.is_none_or(knows)
    }

    /// Adds the condition that the view shows the asset under the alias `a` of the workspace under the alias `w`.
    pub(super) fn push_shown(&self, query: &mut QueryBuilder<Postgres>, a: &str, w: &str) {
        let filter = &self.filter;
        if let Some(workspace) = self.workspace_id {
            query.push(" and ").push(a).push(".workspace_id = ").push_bind(workspace);
        }
        if !filter.unapproved {
            query.push(" and ").push(a).push(".is_approved");
        }
        if !filter.workspaces.is_empty() {
            query.push(" and ").push(w).push(".name = any(").push_bind(filter.workspaces.clone()).push(")");
        }
        if !filter.tags.is_empty() {
            query.push(" and ").push(a).push(".tags && ").push_bind(filter.tags.clone());
        }
        if !filter.names.is_empty() {
            query.push(" and ").push(a).push(".registry_name = any(").push_bind(filter.names.clone()).push(")");
        }
        if !filter.namespaces.is_empty() {
            let patterns: Vec<String> = filter.namespaces.iter().map(|namespace| pattern(namespace)).collect();
            query.push(" and ").push(a).push(".registry_name like any(").push_bind(patterns).push(")");
        }
        let latest = |query: &mut QueryBuilder<Postgres>| {
            query
                .push(" and exists (select from version l where l.is_latest and l.asset_id = ")
                .push(a)
                .push(".asset_id and ");
        };
        if !filter.stages.is_empty() {
            let stages: Vec<String> = filter.stages.iter().map(|stage| stage.as_str().to_owned()).collect();
            latest(query);
            query.push("l.stage = any(").push_bind(stages).push("))");
        }
        if !filter.transports.is_empty() {
            latest(query);
            query.push("(exists (select from deployment d where d.version_id = l.version_id and d.deleted_at is null and d.transport = any(");
            query.push_bind(filter.transports.clone()).push("))");
            if filter.transports.iter().any(|transport| transport == "stdio") {
                query.push(" or jsonb_exists(l.server::jsonb, 'packages')");
            }
            query.push("))");
        }
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

/// A namespace as a pattern of registry names.
fn pattern(namespace: &str) -> String {
    let escaped = namespace.trim_end_matches('/').replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    match escaped.strip_suffix('*') {
        Some(start) => format!("{start}%/%"),
        None => format!("{escaped}/%"),
    }
}

impl Catalog {
    /// The views the actor may know of, by name: those read anonymously, and for who comes with a credential those of the
    /// instance and of workspaces it knows of.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn registry_views(&self, actor: &Actor) -> Result<Vec<RegistryView>, Error> {
        let mut conn = self.db.read.acquire().await?;
        let views = list(&mut conn).await?;
        let known = workspace::list(&mut conn, &actor.sight()).await?;
        let knows = |id: WorkspaceId| known.iter().any(|one| one.workspace_id == id);
        Ok(views.into_iter().filter(|view| may_know(actor, view) && view.is_told(knows)).collect())
    }

    /// The view of this name.
    ///
    /// # Errors
    /// 404 without one the actor may know of.
    pub async fn registry_view(&self, actor: &Actor, name: &str) -> Result<RegistryView, Error> {
        let mut conn = self.db.read.acquire().await?;
        let found = find(&mut conn, name).await?;
        let known = workspace::list(&mut conn, &actor.sight()).await?;
        let knows = |id: WorkspaceId| known.iter().any(|one| one.workspace_id == id);
        found.filter(|view| may_know(actor, view) && view.is_told(knows)).ok_or_else(|| missing(name))
    }

    /// The view of this name for the registry's own door, which then asks what the caller may see of it. Who comes without a
    /// credential is asked for one whether there is such a view or not.
    ///
    /// # Errors
    /// 404 without such a view, or without one the actor may know of; 401 without a credential.
    pub async fn registry_view_to_serve(&self, actor: &Actor, name: &str) -> Result<RegistryView, Error> {
        if !actor.is_anonymous() {
            return self.registry_view(actor, name).await;
        }
        let found = find(&mut *self.db.read.acquire().await?, name).await?;
        found.filter(|view| may_know(actor, view)).ok_or_else(|| needs_credential(name).into())
    }

    /// Makes a view.
    ///
    /// # Errors
    /// 401, 403 for who governs neither the workspace nor, without one, the instance; 409 when the name is taken; 422.
    pub async fn create_registry_view(&self, actor: &Actor, input: RegistryViewInput) -> Result<RegistryView, Error> {
        let mut tx = self.begin().await?;
        let owner = self.view_owner(actor, &mut tx, input.workspace.as_deref()).await?;
        let name = input.name.clone().ok_or_else(|| Error::invalid_at("body.name", "say it"))?;
        let now = self.clock.now();
        let blank = RegistryView {
            view_id: RegistryViewId::new(),
            name,
            title: String::new(),
            description: String::new(),
            workspace_id: owner.as_ref().map(|owner| owner.workspace_id),
            workspace: owner.map(|owner| owner.name.to_string()),
            access: ViewAccess::default(),
            publishes_internal: false,
            filter: Json::default(),
            revision: 1,
            created_at: now,
            updated_at: now,
        };
        let made = blank.patched(input)?;
        refuse_widening(actor, &made)?;
        if !insert(&mut tx, &made).await? {
            return Err(Error::PartTaken { what: "registry", name: made.name.to_string() });
        }
        self.end_view(tx, actor, "registry-view.create", &made, None, Some(json!(made))).await?;
        Ok(made)
    }

    /// Changes what `input` names of a view; its name and whose it is stay.
    ///
    /// # Errors
    /// As [`Catalog::create_registry_view`]; 404, 412.
    pub async fn update_registry_view(
        &self,
        actor: &Actor,
        name: &str,
        input: RegistryViewInput,
        revision: Option<i64>,
    ) -> Result<RegistryView, Error> {
        let mut tx = self.begin().await?;
        let before = self.view_for_writing(actor, &mut tx, name).await?;
        super::verbs::if_match(revision, before.revision)?;
        if input.name.as_ref().is_some_and(|new| *new != before.name) {
            return Err(Error::invalid_at("body.name", "clients are set to the name; make a new view instead"));
        }
        if input.workspace.is_some() && input.workspace != before.workspace {
            return Err(Error::invalid_at("body.workspace", "a view stays whose it is; make a new one instead"));
        }
        let mut after = before.clone().patched(input)?;
        if after.publishes_internal && !before.publishes_internal || after.filter != before.filter {
            refuse_widening(actor, &after)?;
        }
        after.updated_at = self.clock.now();
        after.revision += 1;
        update(&mut tx, &after).await?;
        self.end_view(tx, actor, "registry-view.update", &after, Some(json!(before)), Some(json!(after))).await?;
        Ok(after)
    }

    /// Takes a view away.
    ///
    /// # Errors
    /// As [`Catalog::update_registry_view`].
    pub async fn delete_registry_view(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let found = self.view_for_writing(actor, &mut tx, name).await?;
        sqlx::query("delete from registry_view where view_id = $1").bind(found.view_id).execute(&mut *tx).await?;
        self.end_view(tx, actor, "registry-view.delete", &found, Some(json!(found)), None).await
    }

    async fn view_for_writing(
        &self,
        actor: &Actor,
        conn: &mut PgConnection,
        name: &str,
    ) -> Result<RegistryView, Error> {
        if actor.is_anonymous() {
            actor.require(Permission::ManageInstance, Scope::Instance)?;
        }
        // Both are asked whatever there is: a view of a workspace that is not known is one that was never made.
        let found = find(&mut *conn, name).await?;
        let known = workspace::list(&mut *conn, &actor.sight()).await?;
        let knows = |id: WorkspaceId| known.iter().any(|one| one.workspace_id == id);
        let found = found.filter(|view| view.workspace_id.is_none_or(knows)).ok_or_else(|| missing(name))?;
        match found.workspace_id {
            Some(workspace) => actor.require(Permission::GovernWorkspace, Scope::Workspace(workspace))?,
            None => actor.require(Permission::ManageInstance, Scope::Instance)?,
        }
        Ok(found)
    }

    async fn view_owner(
        &self,
        actor: &Actor,
        conn: &mut PgConnection,
        workspace: Option<&str>,
    ) -> Result<Option<Workspace>, Error> {
        match workspace {
            None => {
                actor.require(Permission::ManageInstance, Scope::Instance)?;
                Ok(None)
            }
            Some(name) => self.workspace_for(actor, conn, name, Permission::GovernWorkspace).await.map(Some),
        }
    }

    async fn end_view(
        &self,
        mut tx: sqlx::Transaction<'static, Postgres>,
        actor: &Actor,
        verb: &str,
        view: &RegistryView,
        before: Option<Value>,
        after: Option<Value>,
    ) -> Result<(), Error> {
        let subject =
            audit::Subject { name: view.name.as_str(), id: Some(view.view_id.0), workspace: view.workspace_id };
        audit::record(&mut tx, self.clock.now(), &actor.trace(), verb, subject, before, after).await?;
        // Kept answers of other replicas hang on it.
        change::tell(&mut tx, &generation_name(view.name.as_str())).await?;
        tx.commit().await?;
        self.generations.changed(&generation_name(view.name.as_str()));
        Ok(())
    }
}

/// The name whose generation moves when the view of this name changes; no server has such a name.
#[must_use]
pub fn generation_name(view: &str) -> String {
    format!("/registries/{view}")
}

fn may_know(actor: &Actor, view: &RegistryView) -> bool {
    view.access == ViewAccess::Anonymous || !actor.is_anonymous()
}

/// Only who administers the instance shows internal servers to everybody.
fn refuse_widening(actor: &Actor, view: &RegistryView) -> Result<(), Error> {
    if view.publishes_internal {
        actor.require(Permission::ManageInstance, Scope::Instance)?;
    }
    Ok(())
}

fn needs_credential(name: &str) -> Problem {
    Problem::unauthenticated(format!("There is no registry {name} that is read without a credential."))
}

fn missing(name: &str) -> Error {
    Error::PartNotFound { what: "registry", name: name.to_owned() }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_its_own_and_with_a_star_those_that_begin_so() {
        assert_eq!(pattern("com.example"), "com.example/%");
        assert_eq!(pattern("io.github.*"), "io.github.%/%");
        assert_eq!(pattern("a_b%"), "a\\_b\\%/%");
    }
}
