//! The verbs of views: who may know of one, make, change and take it away.

use super::{RegistryView, RegistryViewInput, ViewAccess, find, insert, list, needs_credential, update};
use crate::audit;
use crate::auth::{Actor, Permission, Scope};
use crate::base::{RegistryViewId, WorkspaceId};
use crate::catalog::{Catalog, Error, Workspace, change, verbs, workspace};
use serde_json::{Value, json};
use sqlx::{PgConnection, Postgres, types::Json};

impl Catalog {
    /// The views the actor may know of, by name: those read anonymously, and for who comes with a credential those of the
    /// instance and of workspaces it knows of.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn registry_views(&self, actor: &Actor) -> Result<Vec<RegistryView>, Error> {
        let mut conn = self.db.read.acquire().await?;
        let views = list(&mut conn).await?;
        let known = workspace::list(&mut conn, actor.sight()).await?;
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
        let known = workspace::list(&mut conn, actor.sight()).await?;
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
        verbs::if_match(revision, before.revision)?;
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
        let known = workspace::list(&mut *conn, actor.sight()).await?;
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

fn missing(name: &str) -> Error {
    Error::PartNotFound { what: "registry", name: name.to_owned() }
}
