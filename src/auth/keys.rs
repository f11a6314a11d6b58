//! The verbs that make, rotate and end keys.

use super::key::{self, ApiKey, KeyHolder, NewKey, SecretKey};
use super::permission::{Permission, Refused, Role, Scope};
use super::{Actor, Auth, KeyScope, service_account};
use crate::audit;
use crate::base::{KeyId, Problem, WorkspaceId};
use serde_json::json;
use std::time::Duration;

/// How long the older text of a key works after a rotation, when not said otherwise.
pub const ROTATION_OVERLAP: Duration = Duration::from_secs(24 * 3600);

impl Auth {
    /// Makes a key; its text is in the answer and nowhere else.
    ///
    /// # Errors
    /// 401 or 403 when the actor may not make such a key; 422 for a scope that is none.
    pub async fn create_key(&self, actor: &Actor, new: NewKey) -> Result<(ApiKey, SecretKey), Problem> {
        let user = match new.holder {
            KeyHolder::Role(role, workspace) => {
                let scope = workspace.map_or(Scope::Instance, Scope::Workspace);
                actor.require(Permission::ManageKeys, scope)?;
                if role != Role::Administrator && workspace.is_none() && !actor.may(Permission::ManageInstance, scope) {
                    return Err(refused(actor, Permission::ManageInstance).into());
                }
                None
            }
            KeyHolder::Own => Some(self.own(actor)?),
            KeyHolder::ServiceAccount(id) => {
                let mut conn = self.db.read.acquire().await?;
                let found = service_account::find(&mut conn, id).await?;
                let account = found.ok_or_else(|| Problem::not_found("There is no such service account."))?;
                let scope = account.workspace_id.map_or(Scope::Instance, Scope::Workspace);
                actor.require(Permission::ManageKeys, scope)?;
                None
            }
        };
        if let Some(unknown) = new.scopes.iter().find(|scope| KeyScope::parse(scope).is_none()) {
            return Err(Problem::invalid_field("body.scopes", format!("{unknown:?} is no scope of a key")));
        }
        let secret = SecretKey::generate();
        let mut tx = self.db.write.begin().await?;
        let id = key::insert(&mut tx, &new, user, &key::hash(secret.reveal()), self.clock.now()).await?;
        let workspace = match new.holder {
            KeyHolder::Role(_, workspace) => workspace,
            _ => None,
        };
        let after = json!({"name": new.name, "holder": holder_text(&new), "scopes": new.scopes});
        self.note_key(&mut tx, actor, "key.create", (&new.name, id, workspace), Some(after)).await?;
        tx.commit().await?;
        let key = key::find(&self.db.write, id).await?.ok_or_else(Problem::internal)?;
        Ok((key, secret))
    }

    /// Keeps `text` as an administrator's key; a second time changes nothing, not even after it was revoked. For a start,
    /// before anybody can ask.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn ensure_admin_key(&self, name: &str, text: &str) -> Result<(), Problem> {
        let mut tx = self.db.write.begin().await?;
        let new = NewKey::with_role(name, Role::Administrator, None);
        if let Some(id) = key::insert_if_absent(&mut tx, &new, &key::hash(text), self.clock.now()).await? {
            let after = json!({"name": new.name, "holder": holder_text(&new), "scopes": new.scopes});
            self.note_key(&mut tx, &Actor::system("start"), "key.create", (name, id, None), Some(after)).await?;
        }
        tx.commit().await?;
        self.remembered.changed();
        Ok(())
    }

    /// Whether there ever was an administrator's key, in force or revoked.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn had_admin_key(&self) -> Result<bool, Problem> {
        Ok(key::ever_administrator(&self.db.read).await?)
    }

    /// The keys of a workspace, or all of them for an administrator who names none; newest first.
    ///
    /// # Errors
    /// 401 or 403 when the actor may not manage keys there.
    pub async fn keys(&self, actor: &Actor, workspace: Option<WorkspaceId>) -> Result<Vec<ApiKey>, Problem> {
        actor.require(Permission::ManageKeys, workspace.map_or(Scope::Instance, Scope::Workspace))?;
        Ok(key::list(&self.db.read, workspace).await?)
    }

    /// The actor's own keys, newest first; none for who is no person.
    ///
    /// # Errors
    /// 401 without a credential.
    pub async fn own_keys(&self, actor: &Actor) -> Result<Vec<ApiKey>, Problem> {
        match actor.user() {
            Some(user) => Ok(key::of_user(&self.db.read, user).await?),
            None if actor.is_anonymous() => Err(Problem::unauthenticated("Sign in to see your keys.")),
            None => Ok(Vec::new()),
        }
    }

    /// The actor as it is with this key of its own, whose text need not be known for that: to try what the key may do.
    ///
    /// # Errors
    /// 404 when it has no such live key; 401 without a credential; 403 when it came with a key that is meant for
    /// something else.
    pub async fn with_own_key(&self, actor: &Actor, id: KeyId) -> Result<Actor, Problem> {
        let user = self.own(actor)?;
        let key = key::find(&self.db.read, id).await?.filter(|key| key.user_id == Some(user));
        let found = match key {
            Some(key) => self.actor_of_key(key.key_id).await?,
            None => None,
        };
        let (mut with_key, _) = found.ok_or_else(missing)?;
        with_key.request_id.clone_from(&actor.request_id);
        with_key.address = actor.address;
        Ok(with_key)
    }

    /// Gives a key a second text; the older ones work for `overlap` longer.
    ///
    /// # Errors
    /// 404 when there is no such live key the actor may know of; 403 when the actor may not manage it.
    pub async fn rotate_key(
        &self,
        actor: &Actor,
        id: KeyId,
        overlap: Duration,
    ) -> Result<(ApiKey, SecretKey), Problem> {
        let (key, now) = (self.managed_key(actor, id).await?, self.clock.now());
        if !key.is_live(now) {
            return Err(missing());
        }
        let secret = SecretKey::generate();
        let mut tx = self.db.write.begin().await?;
        key::end_secrets(&mut tx, id, now + overlap).await?;
        key::insert_secret(&mut tx, id, &key::hash(secret.reveal()), now).await?;
        let after = json!({"overlapSeconds": overlap.as_secs()});
        self.note_key(&mut tx, actor, "key.rotate", (&key.name, id, key.workspace_id), Some(after)).await?;
        tx.commit().await?;
        self.remembered.changed();
        let key = key::find(&self.db.write, id).await?.ok_or_else(Problem::internal)?;
        Ok((key, secret))
    }

    /// Ends a key at once, here and on every replica.
    ///
    /// # Errors
    /// 404 when there is no such live key the actor may know of; 403 when the actor may not manage it.
    pub async fn revoke_key(&self, actor: &Actor, id: KeyId) -> Result<(), Problem> {
        let key = self.managed_key(actor, id).await?;
        let mut tx = self.db.write.begin().await?;
        if !key::revoke(&mut tx, id, self.clock.now()).await? {
            return Err(missing());
        }
        self.note_key(&mut tx, actor, "key.revoke", (&key.name, id, key.workspace_id), None).await?;
        tx.commit().await?;
        self.remembered.changed();
        Ok(())
    }

    /// The key, when it is the actor's own or the actor manages such keys.
    async fn managed_key(&self, actor: &Actor, id: KeyId) -> Result<ApiKey, Problem> {
        if actor.is_anonymous() {
            return Err(Problem::unauthenticated("Keys are changed by those who own or manage them."));
        }
        let key = key::find(&self.db.read, id).await?.ok_or_else(missing)?;
        if key.user_id.is_some() && key.user_id == actor.user() {
            self.own(actor)?;
            return Ok(key);
        }
        let account = match key.service_account_id {
            Some(account) => service_account::find(&mut *self.db.read.acquire().await?, account).await?,
            None => None,
        };
        let workspace = key.workspace_id.or(account.and_then(|account| account.workspace_id));
        let scope = workspace.map_or(Scope::Instance, Scope::Workspace);
        if !actor.may(Permission::ReadCatalog, scope) {
            return Err(missing());
        }
        actor.require(Permission::ManageKeys, scope)?;
        Ok(key)
    }

    /// Makes a key of the actor's own in the caller's transaction; its text is in the answer and nowhere else.
    ///
    /// # Errors
    /// As [`Auth::create_key`].
    pub async fn create_own_key_in(
        &self,
        conn: &mut sqlx::PgConnection,
        actor: &Actor,
        new: &NewKey,
    ) -> Result<(KeyId, SecretKey), Problem> {
        let user = self.own(actor)?;
        let secret = SecretKey::generate();
        let id = key::insert(&mut *conn, new, Some(user), &key::hash(secret.reveal()), self.clock.now()).await?;
        let after = json!({"name": new.name, "holder": holder_text(new), "scopes": new.scopes});
        self.note_key(conn, actor, "key.create", (&new.name, id, None), Some(after)).await?;
        Ok((id, secret))
    }

    /// The person whose own keys these are; a key that is meant for something else makes no keys.
    ///
    /// # Errors
    /// 401 without a credential; 403 for who is no person, and for a key with scopes.
    pub fn own(&self, actor: &Actor) -> Result<crate::base::UserId, Problem> {
        if !actor.key_scopes().is_empty() {
            return Err(Problem::forbidden("This key is meant for something else than managing keys.")
                .with_kind("key-scope")
                .with_help("Sign in, or use a key without scopes."));
        }
        match actor.user() {
            Some(user) => Ok(user),
            None if actor.is_anonymous() => Err(Problem::unauthenticated("This needs signing in, or a key.")),
            None => Err(Problem::forbidden(format!("{actor} is no person and has no keys of its own.")).with_help(
                "Say which role the key is to have and in which workspace, or whose service account's it is.",
            )),
        }
    }

    async fn note_key(
        &self,
        conn: &mut sqlx::PgConnection,
        actor: &Actor,
        verb: &str,
        (name, id, workspace): (&str, KeyId, Option<WorkspaceId>),
        after: Option<serde_json::Value>,
    ) -> Result<(), sqlx::Error> {
        let subject = audit::Subject { name, id: Some(id.0), workspace };
        audit::record(conn, self.clock.now(), &actor.trace(), verb, subject, None, after).await
    }
}

fn missing() -> Problem {
    Problem::not_found("There is no live key of this id.")
}

fn refused(actor: &Actor, permission: Permission) -> Refused {
    actor.require(permission, Scope::Instance).expect_err("asked for because the actor may not")
}

fn holder_text(new: &NewKey) -> String {
    match new.holder {
        KeyHolder::Role(role, _) => format!("role {}", role.as_str()),
        KeyHolder::Own => "its maker".to_owned(),
        KeyHolder::ServiceAccount(id) => format!("service account {id}"),
    }
}
