//! Who is asking, and what may they do.
//!
//! [`Auth`] turns a credential into an [`Actor`]; every verb of the domains takes one first and asks it: `permission.rs`
//! says what a role may do, `sight.rs` what can be seen, `key_scope.rs` what a key narrows. The verbs that look after
//! keys and roles are in `keys.rs` and `roles.rs`.

mod actor;
mod group;
mod key;
mod key_scope;
mod keys;
mod permission;
mod remembered;
mod role_assignment;
mod roles;
mod service_account;
mod sight;
mod user;

pub use actor::{Actor, Identity, KeyRef};
pub use group::{Group, unknown_groups};
pub use key::{ApiKey, KeyHolder, NewKey, SecretKey};
pub use key_scope::KeyScope;
pub use keys::ROTATION_OVERLAP;
pub use permission::{Grant, Permission, Refused, Role, Scope, UnknownRole};
pub use role_assignment::{Holder, RoleAssignment};
pub use roles::{Explained, HolderName};
pub use service_account::ServiceAccount;
pub use sight::{BindSight, Sight};
pub use user::User;

use crate::base::{Clock, Database, Problem, ServiceAccountId, UserId};
use remembered::{Meaning, Remembered};
use std::sync::Arc;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

/// Turns credentials into actors, and looks after keys and roles; cheap to clone.
#[derive(Clone)]
pub struct Auth {
    db: Database,
    clock: Clock,
    remembered: Remembered,
}

impl Auth {
    #[must_use]
    pub fn new(db: Database, clock: Clock) -> Self {
        Self { db, clock, remembered: Remembered::new() }
    }

    /// Keeps what this process remembers of credentials true while others change them; until `stop`.
    pub async fn follow_changes(self, stop: CancellationToken) {
        self.remembered.follow(&self.db.read, &stop).await;
    }

    /// The actor behind `credential`, the text of a key. Asks the database only when something changed.
    ///
    /// # Errors
    /// 401 when no live key has this text; 503 when the database does not answer.
    pub async fn identify(&self, credential: &str) -> Result<Actor, Problem> {
        let digest = key::hash(credential);
        let now = self.clock.now();
        let meaning = self.remembered.meaning(digest, now, || self.meaning_of_key(digest)).await.map_err(
            |error: Arc<sqlx::Error>| match Arc::try_unwrap(error) {
                Ok(error) => Problem::from(error),
                Err(_) => Problem::unavailable("The database does not answer now."),
            },
        )?;
        match &*meaning {
            Meaning::Somebody { actor, ends_at, .. } if ends_at.is_none_or(|end| now < end) => Ok(actor.clone()),
            Meaning::Unknown => Err(Problem::unauthenticated("This key is not known here.").with_kind("key-unknown")),
            _ => Err(Problem::unauthenticated("This key has expired or was revoked.").with_kind("key-not-live")),
        }
    }

    async fn meaning_of_key(&self, digest: [u8; 32]) -> Result<Meaning, sqlx::Error> {
        let Some((key, secret_ends)) = key::find_by_hash(&self.db.read, &digest).await? else {
            return Ok(Meaning::Unknown);
        };
        let now = self.clock.now();
        if !key.is_live(now) || secret_ends.is_some_and(|end| end <= now) {
            return Ok(Meaning::Ended);
        }
        let ends_at = [key.expires_at, secret_ends].into_iter().flatten().min();
        let found = match (key.role, key.user_id, key.service_account_id) {
            (Some(role), ..) => {
                let identity = Identity::Key { id: key.key_id, name: key.name.as_str().into() };
                let scope = key.workspace_id.map_or(Scope::Instance, Scope::Workspace);
                Some((Actor::of(identity, vec![Grant::new(role, scope)]), None))
            }
            (None, Some(user), _) => self.actor_of_user(user, now).await?,
            (None, None, Some(account)) => self.actor_of_service_account(account, now).await?,
            (None, None, None) => None,
        };
        let Some((actor, changes_at)) = found else { return Ok(Meaning::Ended) };
        // A scope this release does not know allows nothing.
        let scopes: Vec<_> = key.scopes.iter().filter_map(|text| KeyScope::parse(text)).collect();
        if scopes.is_empty() && !key.scopes.is_empty() {
            return Ok(Meaning::Ended);
        }
        self.note_use(&key, now);
        let key = KeyRef { id: key.key_id, name: key.name.into() };
        Ok(Meaning::Somebody { actor: actor.with_key(key, scopes), ends_at, changes_at })
    }

    /// The actor that this lasting id means (`user:...`, `service-account:...`, `key:...`), as it is now; none when it is
    /// gone, disabled or has ended. For what is done later on behalf of somebody.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn recall(&self, actor_id: &str) -> Result<Option<Actor>, Problem> {
        let Some((sort, id)) = actor_id.split_once(':') else { return Ok(None) };
        let now = self.clock.now();
        let Ok(id) = id.parse::<uuid::Uuid>() else { return Ok(None) };
        let found = match sort {
            "user" => self.actor_of_user(UserId(id), now).await?,
            "service-account" => self.actor_of_service_account(ServiceAccountId(id), now).await?,
            "key" => {
                let key = key::find(&self.db.read, crate::base::KeyId(id)).await?.filter(|key| key.is_live(now));
                key.and_then(|key| {
                    let role = key.role?;
                    let scope = key.workspace_id.map_or(Scope::Instance, Scope::Workspace);
                    let identity = Identity::Key { id: key.key_id, name: key.name.as_str().into() };
                    Some((Actor::of(identity, vec![Grant::new(role, scope)]), None))
                })
            }
            _ => None,
        };
        Ok(found.map(|(actor, _)| actor))
    }

    /// A person as an actor, and when the first of its roles ends; none when it is unknown or disabled.
    async fn actor_of_user(
        &self,
        id: UserId,
        now: OffsetDateTime,
    ) -> Result<Option<(Actor, Option<OffsetDateTime>)>, sqlx::Error> {
        let mut conn = self.db.read.acquire().await?;
        let Some(user) = user::find(&mut conn, id).await?.filter(|user| user.disabled_at.is_none()) else {
            return Ok(None);
        };
        let held = role_assignment::held_by(&mut conn, Holder::User(id), now).await?;
        let groups = group::names_of(&mut conn, id).await?;
        let identity = Identity::User { id, name: user.name.into() };
        Ok(Some((Actor::of(identity, held.grants).in_groups(groups), held.first_end)))
    }

    async fn actor_of_service_account(
        &self,
        id: ServiceAccountId,
        now: OffsetDateTime,
    ) -> Result<Option<(Actor, Option<OffsetDateTime>)>, sqlx::Error> {
        let mut conn = self.db.read.acquire().await?;
        let found = service_account::find(&mut conn, id).await?.filter(|account| account.disabled_at.is_none());
        let Some(account) = found else { return Ok(None) };
        let held = role_assignment::held_by(&mut conn, Holder::ServiceAccount(id), now).await?;
        let identity = Identity::ServiceAccount { id, name: account.name.into() };
        Ok(Some((Actor::of(identity, held.grants), held.first_end)))
    }

    /// Beside the request: when a key was last used is worth no waiting and no failing.
    fn note_use(&self, key: &ApiKey, now: OffsetDateTime) {
        let (db, id) = (self.db.write.clone(), key.key_id);
        tokio::spawn(async move {
            if let Err(error) = key::note_use(&db, id, now).await {
                tracing::debug!(error = %error, "The use of a key was not noted");
            }
        });
    }
}
