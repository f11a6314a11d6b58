//! Workspaces with their environments and metadata schemas.

use super::if_match;
use crate::audit;
use crate::auth::{Actor, Permission, Scope};
use crate::base::{EnvironmentId, Slug, WorkspaceId};
use crate::catalog::metadata::{self, Carrier};
use crate::catalog::wrong::Wrong;
use crate::catalog::{
    Catalog, Environment, EnvironmentInput, Error, MetadataSchema, MetadataSchemaInput, NewWorkspace, Workspace,
    WorkspacePatch, environment, workspace,
};
use serde_json::{Map, Value, json};
use sqlx::{PgConnection, types::Json};

impl Catalog {
    /// The workspaces the actor belongs to or may see an asset of, by name.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn workspaces(&self, actor: &Actor) -> Result<Vec<Workspace>, Error> {
        Ok(workspace::list(&mut *self.db.read.acquire().await?, actor.sight()).await?)
    }

    /// The workspace of this name.
    ///
    /// # Errors
    /// 404 when there is none the actor may know of.
    pub async fn workspace(&self, actor: &Actor, name: &str) -> Result<Workspace, Error> {
        let mut conn = self.db.read.acquire().await?;
        self.known_workspace(actor, &mut conn, name).await
    }

    /// Makes a workspace.
    ///
    /// # Errors
    /// 403 for all but administrators, 409 when the name is taken, 422.
    pub async fn create_workspace(&self, actor: &Actor, new: NewWorkspace) -> Result<Workspace, Error> {
        actor.require(Permission::ManageInstance, Scope::Instance)?;
        let mut wrong = Wrong::default();
        let now = self.clock.now();
        let made = Workspace {
            workspace_id: WorkspaceId::new(),
            title: wrong.text("body.title", new.title.as_deref().unwrap_or(new.name.as_str()).trim(), 1..=300),
            description: wrong.text("body.description", &new.description.unwrap_or_default(), 0..=20_000),
            default_visibility: new.default_visibility.unwrap_or_default(),
            name: new.name,
            revision: 1,
            created_at: now,
            updated_at: now,
        };
        wrong.finish()?;

        let mut tx = self.begin().await?;
        if workspace::find(&mut tx, made.name.as_str()).await?.is_some() {
            return Err(Error::PartTaken { what: "workspace name", name: made.name.to_string() });
        }
        workspace::insert(&mut tx, &made).await.map_err(|error| match error.as_database_error() {
            Some(cause) if cause.constraint() == Some("workspace_name_key") => {
                Error::PartTaken { what: "workspace name", name: made.name.to_string() }
            }
            _ => error.into(),
        })?;
        self.record(&mut tx, actor, "workspace.create", &made, None, Some(json!(made))).await?;
        tx.commit().await?;
        self.generations.everything_changed();
        Ok(made)
    }

    /// Changes what `patch` names.
    ///
    /// # Errors
    /// 404, 403, 412, 422.
    pub async fn update_workspace(
        &self,
        actor: &Actor,
        name: &str,
        patch: WorkspacePatch,
        revision: Option<i64>,
    ) -> Result<Workspace, Error> {
        let mut tx = self.begin().await?;
        let before = self.workspace_for(actor, &mut tx, name, Permission::ManageWorkspace).await?;
        if_match(revision, before.revision)?;
        let mut wrong = Wrong::default();
        let after = Workspace {
            title: patch.title.map_or(before.title.clone(), |title| wrong.text("body.title", title.trim(), 1..=300)),
            description: patch
                .description
                .map_or(before.description.clone(), |text| wrong.text("body.description", &text, 0..=20_000)),
            default_visibility: patch.default_visibility.unwrap_or(before.default_visibility),
            updated_at: self.clock.now(),
            revision: before.revision + 1,
            ..before.clone()
        };
        wrong.finish()?;
        workspace::update(&mut tx, &after).await?;
        self.record(&mut tx, actor, "workspace.update", &after, Some(json!(before)), Some(json!(after))).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// The environments of a workspace, by name; members see them, and those who see an asset of it.
    ///
    /// # Errors
    /// 404 when there is no such workspace the actor may know of.
    pub async fn environments(&self, actor: &Actor, workspace: &str) -> Result<Vec<Environment>, Error> {
        let mut conn = self.db.read.acquire().await?;
        let workspace = self.workspace_for_reading(actor, &mut conn, workspace).await?;
        Ok(environment::list(&mut conn, workspace.workspace_id).await?)
    }

    /// The environment of this name.
    ///
    /// # Errors
    /// 404.
    pub async fn environment(&self, actor: &Actor, workspace: &str, name: &str) -> Result<Environment, Error> {
        let mut conn = self.db.read.acquire().await?;
        let workspace = self.workspace_for_reading(actor, &mut conn, workspace).await?;
        environment::find(&mut conn, workspace.workspace_id, name)
            .await?
            .ok_or_else(|| Error::PartNotFound { what: "environment", name: name.to_owned() })
    }

    /// Makes an environment.
    ///
    /// # Errors
    /// 404, 403, 409 when the name is taken, 422.
    pub async fn create_environment(
        &self,
        actor: &Actor,
        workspace: &str,
        new: EnvironmentInput,
    ) -> Result<Environment, Error> {
        let mut tx = self.begin().await?;
        let workspace = self.workspace_for(actor, &mut tx, workspace, Permission::ManageWorkspace).await?;
        let name = new.name.clone().ok_or_else(|| Error::invalid_at("body.name", "give a name"))?;
        if environment::find(&mut tx, workspace.workspace_id, name.as_str()).await?.is_some() {
            return Err(Error::PartTaken { what: "environment name", name: name.to_string() });
        }
        let now = self.clock.now();
        let blank = Environment {
            environment_id: EnvironmentId::new(),
            workspace_id: workspace.workspace_id,
            title: name.to_string(),
            description: String::new(),
            kind: environment::kind_of(&name).to_owned(),
            server_type: String::new(),
            url: None,
            onboarding: String::new(),
            metadata: Json(Map::new()),
            revision: 1,
            created_at: now,
            updated_at: now,
            name,
        };
        let made = patched(blank, new)?;
        metadata::check(&metadata::list(&mut tx, workspace.workspace_id).await?, Carrier::Environment, &made.metadata)?;
        environment::insert(&mut tx, &made).await?;
        self.record(&mut tx, actor, "environment.create", &workspace, None, Some(json!(made))).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// Changes what `input` names; the name itself stays.
    ///
    /// # Errors
    /// 404, 403, 412, 422.
    pub async fn update_environment(
        &self,
        actor: &Actor,
        workspace: &str,
        name: &str,
        input: EnvironmentInput,
        revision: Option<i64>,
    ) -> Result<Environment, Error> {
        let mut tx = self.begin().await?;
        let workspace = self.workspace_for(actor, &mut tx, workspace, Permission::ManageWorkspace).await?;
        let before = environment::find(&mut tx, workspace.workspace_id, name)
            .await?
            .ok_or_else(|| Error::PartNotFound { what: "environment", name: name.to_owned() })?;
        if_match(revision, before.revision)?;
        if input.name.as_ref().is_some_and(|new| *new != before.name) {
            return Err(Error::invalid_at("body.name", "an environment keeps its name; make a new one instead"));
        }
        let mut after = patched(before.clone(), input)?;
        metadata::check(
            &metadata::list(&mut tx, workspace.workspace_id).await?,
            Carrier::Environment,
            &after.metadata,
        )?;
        after.updated_at = self.clock.now();
        after.revision += 1;
        environment::update(&mut tx, &after).await?;
        self.record(&mut tx, actor, "environment.update", &workspace, Some(json!(before)), Some(json!(after))).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Takes an environment away that nothing runs in.
    ///
    /// # Errors
    /// 404, 403, 409 while deployments name it.
    pub async fn delete_environment(&self, actor: &Actor, workspace: &str, name: &str) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let workspace = self.workspace_for(actor, &mut tx, workspace, Permission::ManageWorkspace).await?;
        let found = environment::find(&mut tx, workspace.workspace_id, name)
            .await?
            .ok_or_else(|| Error::PartNotFound { what: "environment", name: name.to_owned() })?;
        let used = environment::deployments(&mut tx, found.environment_id).await?;
        if used > 0 {
            return Err(Error::InUse {
                what: "environment",
                name: name.to_owned(),
                by: format!("{used} deployments run in it"),
            });
        }
        environment::delete(&mut tx, found.environment_id, self.clock.now()).await?;
        self.record(&mut tx, actor, "environment.delete", &workspace, Some(json!(found)), None).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The metadata fields of a workspace, by name.
    ///
    /// # Errors
    /// 404 when there is no such workspace the actor may know of.
    pub async fn metadata_schemas(&self, actor: &Actor, workspace: &str) -> Result<Vec<MetadataSchema>, Error> {
        let mut conn = self.db.read.acquire().await?;
        let workspace = self.workspace_for_reading(actor, &mut conn, workspace).await?;
        Ok(metadata::list(&mut conn, workspace.workspace_id).await?)
    }

    /// The names of the metadata fields that search counts and filters by.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn metadata_facets(&self) -> Result<Vec<String>, Error> {
        Ok(metadata::facets(&mut *self.db.read.acquire().await?).await?)
    }

    /// Makes a metadata field or sets it anew; gives it and whether it is new. What is stored already is not checked
    /// again until it is written.
    ///
    /// # Errors
    /// 404, 403, 422 when the schema is none.
    pub async fn put_metadata_schema(
        &self,
        actor: &Actor,
        workspace: &str,
        input: MetadataSchemaInput,
    ) -> Result<(MetadataSchema, bool), Error> {
        let mut tx = self.begin().await?;
        let workspace = self.workspace_for(actor, &mut tx, workspace, Permission::ManageWorkspace).await?;
        input.check()?;
        let mut wrong = Wrong::default();
        wrong.text("body.title", input.title.as_deref().unwrap_or_default(), 0..=300);
        wrong.text("body.description", input.description.as_deref().unwrap_or_default(), 0..=20_000);
        wrong.finish()?;
        let existed = metadata::put(&mut tx, workspace.workspace_id, &input, self.clock.now()).await?;
        self.record(&mut tx, actor, "metadata-schema.put", &workspace, None, Some(json!(input))).await?;
        let all = metadata::list(&mut tx, workspace.workspace_id).await?;
        tx.commit().await?;
        let stored = all.into_iter().find(|schema| schema.name == input.name);
        let stored =
            stored.ok_or_else(|| Error::PartNotFound { what: "metadata schema", name: input.name.to_string() })?;
        Ok((stored, !existed))
    }

    /// Takes a metadata field away; values that are stored stay until they are written again.
    ///
    /// # Errors
    /// 404, 403.
    pub async fn delete_metadata_schema(&self, actor: &Actor, workspace: &str, name: &str) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let workspace = self.workspace_for(actor, &mut tx, workspace, Permission::ManageWorkspace).await?;
        if !metadata::delete(&mut tx, workspace.workspace_id, name).await? {
            return Err(Error::PartNotFound { what: "metadata schema", name: name.to_owned() });
        }
        self.record(&mut tx, actor, "metadata-schema.delete", &workspace, Some(json!({"name": name})), None).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn workspace_for_reading(
        &self,
        actor: &Actor,
        conn: &mut PgConnection,
        name: &str,
    ) -> Result<Workspace, Error> {
        self.known_workspace(actor, conn, name).await
    }

    async fn record(
        &self,
        conn: &mut PgConnection,
        actor: &Actor,
        verb: &str,
        workspace: &Workspace,
        before: Option<Value>,
        after: Option<Value>,
    ) -> Result<(), Error> {
        let subject = audit::Subject {
            name: workspace.name.as_str(),
            id: Some(workspace.workspace_id.0),
            workspace: Some(workspace.workspace_id),
        };
        Ok(audit::record(conn, self.clock.now(), &actor.trace(), verb, subject, before, after).await?)
    }

    /// Makes the workspace `name` when it is not there yet; for the first start.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn ensure_workspace(&self, actor: &Actor, name: &Slug, title: &str) -> Result<Workspace, Error> {
        let found = workspace::find(&mut *self.db.read.acquire().await?, name.as_str()).await?;
        match found {
            Some(found) => Ok(found),
            None => {
                let new = NewWorkspace {
                    name: name.clone(),
                    title: Some(title.to_owned()),
                    description: None,
                    default_visibility: None,
                };
                match self.create_workspace(actor, new).await {
                    Err(Error::PartTaken { .. }) => self.workspace(actor, name.as_str()).await,
                    other => other,
                }
            }
        }
    }
}

fn patched(mut environment: Environment, input: EnvironmentInput) -> Result<Environment, Error> {
    let mut wrong = Wrong::default();
    let mut set = |field: &mut String, value: Option<String>, location: &str, range| {
        if let Some(value) = value {
            *field = wrong.text(location, value.trim(), range);
        }
    };
    set(&mut environment.title, input.title, "body.title", 1..=300);
    set(&mut environment.description, input.description, "body.description", 0..=20_000);
    set(&mut environment.kind, input.kind, "body.kind", 1..=63);
    set(&mut environment.server_type, input.server_type, "body.serverType", 0..=100);
    set(&mut environment.onboarding, input.onboarding, "body.onboarding", 0..=20_000);
    if let Some(url) = input.url {
        wrong.web_url("body.url", &url);
        environment.url = Some(url);
    }
    environment.metadata = input.metadata.map_or(environment.metadata, Json);
    wrong.finish()?;
    Ok(environment)
}
