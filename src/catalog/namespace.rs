//! Namespaces: which workspace may publish which names of the MCP registry.
//!
//! A namespace covers itself and what is below it: `com.example` the names `com.example/...` and `com.example.tools/...`.
//! Of several that cover a name the longest counts. A name of no registered namespace is free, unless the operator said
//! otherwise (`registered_namespaces_only`).

use super::{Catalog, Error};
use crate::audit;
use crate::auth::{Actor, Permission, Scope};
use crate::base::{Problem, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A namespace and the workspace that publishes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Namespace {
    /// `com.example`.
    pub name: String,
    #[serde(skip)]
    pub workspace_id: WorkspaceId,
    pub workspace: String,
    pub created_by: String,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// Which workspace is to publish a namespace.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamespaceInput {
    #[schema(max_length = 63)]
    pub workspace: String,
}

/// A legal namespace in lower case: labels of letters, digits and hyphens with dots between.
pub(super) fn legal(name: &str) -> Result<String, Error> {
    let name = name.to_ascii_lowercase();
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if name.len() <= 200 && name.split('.').all(label) {
        return Ok(name);
    }
    Err(Error::invalid_at("path.namespace", "use a reversed domain name like com.example"))
}

/// The namespaces that cover names of this one, the longest first.
fn covering(namespace: &str) -> Vec<String> {
    let mut found = vec![namespace.to_ascii_lowercase()];
    while let Some((shorter, _)) = found.last().and_then(|last| last.rsplit_once('.')) {
        found.push(shorter.to_owned());
    }
    found
}

impl Catalog {
    /// The registered namespaces, by name: all for who administers the instance, else those of the actor's workspaces.
    ///
    /// # Errors
    /// 401 without a credential.
    pub async fn namespaces(&self, actor: &Actor) -> Result<Vec<Namespace>, Error> {
        if actor.is_anonymous() {
            return Err(Error::Problem(Problem::unauthenticated(
                "Namespaces are told to who comes with a credential.",
            )));
        }
        let sight = actor.sight();
        let listed = sqlx::query_as(
            "select n.name, n.workspace_id, w.name as workspace, n.created_by, n.created_at
             from namespace n join workspace w using (workspace_id)
             where w.deleted_at is null and ($1 or n.workspace_id = any($2))
             order by n.name
             limit 5000",
        );
        Ok(listed.bind(sight.everything).bind(&sight.workspaces).fetch_all(&self.db.read).await?)
    }

    /// Gives a namespace to a workspace; gives it and whether it is new.
    ///
    /// # Errors
    /// 401, 403 for who does not administer the instance; 404 for the workspace; 422.
    pub async fn put_namespace(
        &self,
        actor: &Actor,
        name: &str,
        input: &NamespaceInput,
    ) -> Result<(Namespace, bool), Error> {
        actor.require(Permission::ManageInstance, Scope::Instance)?;
        let name = legal(name)?;
        let mut tx = self.begin().await?;
        let workspace = self.known_workspace(actor, &mut tx, &input.workspace).await?;
        let before = covers(&mut tx, std::slice::from_ref(&name)).await?;
        sqlx::query(
            "insert into namespace (name, workspace_id, created_by, created_at) values ($1, $2, $3, $4)
             on conflict (name) do update set workspace_id = excluded.workspace_id",
        )
        .bind(&name)
        .bind(workspace.workspace_id)
        .bind(actor.to_string())
        .bind(self.clock.now())
        .execute(&mut *tx)
        .await?;
        let now = covers(&mut tx, std::slice::from_ref(&name)).await?;
        let subject = audit::Subject { name: &name, id: None, workspace: Some(workspace.workspace_id) };
        let (old, new) = (before.as_ref().map(|one| json!(one)), now.as_ref().map(|one| json!(one)));
        audit::record(&mut tx, self.clock.now(), &actor.trace(), "namespace.put", subject, old, new).await?;
        tx.commit().await?;
        let now = now.ok_or_else(|| Error::PartNotFound { what: "namespace", name })?;
        Ok((now, before.is_none()))
    }

    /// Lets go of a namespace: its names are then as free as others.
    ///
    /// # Errors
    /// 401, 403, 404.
    pub async fn delete_namespace(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        actor.require(Permission::ManageInstance, Scope::Instance)?;
        let mut tx = self.begin().await?;
        let found = covers(&mut tx, &[name.to_ascii_lowercase()]).await?;
        let found = found.ok_or_else(|| Error::PartNotFound { what: "namespace", name: name.to_owned() })?;
        sqlx::query("delete from namespace where name = $1").bind(&found.name).execute(&mut *tx).await?;
        let subject = audit::Subject { name: &found.name, id: None, workspace: Some(found.workspace_id) };
        let old = Some(json!(found));
        audit::record(&mut tx, self.clock.now(), &actor.trace(), "namespace.delete", subject, old, None).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The workspace that publishes this namespace, when it is registered, itself or one above it.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn publisher_of_namespace(&self, namespace: &str) -> Result<Option<Namespace>, Error> {
        Ok(covers(&mut *self.db.read.acquire().await?, &covering(namespace)).await?)
    }

    /// Refuses names that the actor's key is not for, or that another workspace publishes.
    pub(super) async fn permit_name(
        &self,
        actor: &Actor,
        conn: &mut PgConnection,
        workspace: WorkspaceId,
        name: &str,
    ) -> Result<(), Error> {
        permit_by_key(actor, name)?;
        let Some((namespace, _)) = name.split_once('/') else { return Ok(()) };
        let allowed = match covers(conn, &covering(namespace)).await? {
            Some(found) => found.workspace_id == workspace,
            // A reversed domain has a dot; `payments/refunds` is a workspace's own.
            None => !self.registered_namespaces_only || !namespace.contains('.'),
        };
        if allowed {
            return Ok(());
        }
        let detail = format!(
            "You do not have permission to publish this server. The namespace {namespace} is not this workspace's. \
             Attempting to publish: {name}"
        );
        Err(Error::Problem(Problem::forbidden(detail).with_kind("namespace-refused").with_help(
            "An administrator says which workspace publishes a namespace: PUT /api/v1/namespaces/{namespace}.",
        )))
    }
}

/// Refuses names that the actor's key is not for.
pub(super) fn permit_by_key(actor: &Actor, name: &str) -> Result<(), Error> {
    if actor.key_publishes(name) {
        return Ok(());
    }
    let detail = format!(
        "You do not have permission to publish this server. You have permission to publish: {}. \
         Attempting to publish: {name}",
        actor.published_names().join(", ")
    );
    Err(Error::Problem(Problem::forbidden(detail).with_kind("namespace-refused")))
}

/// The first of `names` that is registered, in their order.
async fn covers(conn: &mut PgConnection, names: &[String]) -> Result<Option<Namespace>, sqlx::Error> {
    sqlx::query_as(
        "select n.name, n.workspace_id, w.name as workspace, n.created_by, n.created_at
         from namespace n join workspace w using (workspace_id)
         where n.name = any($1) and w.deleted_at is null
         order by length(n.name) desc
         limit 1",
    )
    .bind(names)
    .fetch_optional(conn)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_covers_what_is_below_it_and_not_what_only_begins_alike() {
        assert_eq!(covering("com.Example.tools"), ["com.example.tools", "com.example", "com"]);
        assert!(!covering("com.examples").contains(&"com.example".to_owned()));
        for wrong in ["", "com..example", "com.example/", "-com", "com.exa mple", "com.*"] {
            assert!(legal(wrong).is_err(), "{wrong}");
        }
        assert_eq!(legal("Com.Example").unwrap(), "com.example");
    }
}
