//! Who is asking, and what may they do.

mod actor;
mod key;
mod permission;

pub use actor::{Actor, Identity, Sight};
pub use key::{ApiKey, NewKey, SecretKey};
pub use permission::{Grant, Permission, Refused, Role, Scope};

use crate::base::{Clock, Database, KeyId, Problem, WorkspaceId};
use moka::future::Cache;
use std::{sync::Arc, time::Duration};

/// How long an identified key is believed without asking the database again.
const REMEMBERED: Duration = Duration::from_secs(1);

/// Turns credentials into actors; cheap to clone.
#[derive(Clone)]
pub struct Auth {
    db: Database,
    clock: Clock,
    seen: Cache<[u8; 32], Option<Arc<ApiKey>>>,
}

impl Auth {
    #[must_use]
    pub fn new(db: Database, clock: Clock) -> Self {
        let seen = Cache::builder().max_capacity(10_000).time_to_live(REMEMBERED).build();
        Self { db, clock, seen }
    }

    /// The actor behind `credential`, the text of a key.
    ///
    /// # Errors
    /// 401 when no live key has this text; 503 when the database does not answer.
    pub async fn identify(&self, credential: &str) -> Result<Actor, Problem> {
        let hash = key::hash(credential);
        let found = self
            .seen
            .try_get_with(hash, async {
                key::find_by_hash(&self.db.read, &hash).await.map(|found| found.map(Arc::new))
            })
            .await
            .map_err(|error: Arc<sqlx::Error>| match Arc::try_unwrap(error) {
                Ok(error) => Problem::from(error),
                Err(_) => Problem::unavailable("The database does not answer now."),
            })?;

        let now = self.clock.now();
        match found {
            Some(key) if key.is_live(now) => Ok(Actor::of_key(&key)),
            Some(_) => Err(Problem::unauthenticated("This key has expired or was revoked.").with_kind("key-not-live")),
            None => Err(Problem::unauthenticated("This key is not known here.").with_kind("key-unknown")),
        }
    }

    /// Makes a key; its text is in the answer and nowhere else.
    ///
    /// # Errors
    /// 401 or 403 when the actor may not manage keys there.
    pub async fn create_key(&self, actor: &Actor, new: NewKey) -> Result<(ApiKey, SecretKey), Problem> {
        let scope = new.workspace.map_or(Scope::Instance, Scope::Workspace);
        actor.require(Permission::ManageKeys, scope)?;
        let secret = SecretKey::generate();
        let mut tx = self.db.write.begin().await?;
        let key = key::insert(&mut tx, &new, &key::hash(secret.reveal()), self.clock.now()).await?;
        crate::audit::record(
            &mut tx,
            self.clock.now(),
            &actor.trace(),
            "key.create",
            crate::audit::Subject { name: &key.name, id: Some(key.key_id.0), workspace: key.workspace_id },
            None,
            Some(serde_json::json!({"name": key.name, "role": key.role})),
        )
        .await?;
        tx.commit().await?;
        Ok((key, secret))
    }

    /// Keeps `text` as an administrator's key; a second time changes nothing. For the first start, before anybody can ask.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn ensure_admin_key(&self, name: &str, text: &str) -> Result<(), Problem> {
        let new = NewKey { name: name.to_owned(), role: Role::Administrator, workspace: None, expires_at: None };
        key::insert_if_absent(&self.db.write, &new, &key::hash(text), self.clock.now()).await?;
        Ok(())
    }

    /// Whether any administrator's key exists.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn has_admin_key(&self) -> Result<bool, Problem> {
        Ok(key::any_administrator(&self.db.read).await?)
    }

    /// The keys of a workspace, or all of them for an administrator who names none; newest first.
    ///
    /// # Errors
    /// 401 or 403 when the actor may not manage keys there.
    pub async fn keys(&self, actor: &Actor, workspace: Option<WorkspaceId>) -> Result<Vec<ApiKey>, Problem> {
        actor.require(Permission::ManageKeys, workspace.map_or(Scope::Instance, Scope::Workspace))?;
        Ok(key::list(&self.db.read, workspace).await?)
    }

    /// Ends a key at once here, and within [`REMEMBERED`] on other replicas.
    ///
    /// # Errors
    /// 404 when there is no such live key; 403 when the actor may not manage it.
    pub async fn revoke_key(&self, actor: &Actor, id: KeyId) -> Result<(), Problem> {
        let missing = || Problem::not_found("There is no live key of this id.");
        let key = key::find(&self.db.read, id).await?.ok_or_else(missing)?;
        actor.require(Permission::ManageKeys, key.workspace_id.map_or(Scope::Instance, Scope::Workspace))?;
        let mut tx = self.db.write.begin().await?;
        if !key::revoke(&mut tx, id, self.clock.now()).await? {
            return Err(missing());
        }
        crate::audit::record(
            &mut tx,
            self.clock.now(),
            &actor.trace(),
            "key.revoke",
            crate::audit::Subject { name: &key.name, id: Some(id.0), workspace: key.workspace_id },
            None,
            None,
        )
        .await?;
        tx.commit().await?;
        self.seen.invalidate_all();
        Ok(())
    }
}
