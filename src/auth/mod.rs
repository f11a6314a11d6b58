//! Who is asking, and what may they do.
//!
//! [`Auth`] turns a credential into an [`Actor`]; every verb of the domains takes one first and asks it: `permission.rs`
//! says what a role may do, `sight.rs` what can be seen, `key_scope.rs` what a key narrows. The verbs that look after
//! keys and roles are in `keys.rs` and `roles.rs`.

mod actor;
mod audit_reach;
mod bearer;
mod group;
mod invitation;
mod jwt;
mod key;
mod key_scope;
mod keys;
mod login_attempt;
mod membership;
mod oidc;
mod password;
mod people;
mod permission;
mod publish_token;
mod remembered;
mod role_assignment;
mod roles;
mod service_account;
mod session;
mod sessions;
mod sight;
mod sign_in;
mod throttle;
mod user;

pub use actor::{Actor, Identity, KeyRef};
pub use group::{Group, LOCAL as LOCAL_GROUPS, unknown_groups};
pub use invitation::{Invitation, InvitationToken};
pub use key::{ApiKey, KeyHolder, NewKey, SecretKey};
pub use key_scope::KeyScope;
pub use keys::ROTATION_OVERLAP;
pub use login_attempt::{BrowserSecret, LASTS as SIGN_IN_LASTS};
pub use people::{Invited, NewServiceAccount, NewUser};
pub use permission::{Grant, Permission, Refused, Role, Scope, UnknownRole};
pub use publish_token::{PUBLISH_TOKEN_LIVES, TokenFor};
pub use role_assignment::{Holder, RoleAssignment};
pub use roles::{Explained, HolderName};
pub use service_account::ServiceAccount;
pub use session::{Browser, Session, SessionToken};
pub use sessions::SignedIn;
pub use sight::{BindSight, Sight};
pub use sign_in::{Begun, ProviderAnswer};
pub use user::User;

use crate::base::{Clock, Config, Database, KeyId, Problem, ServiceAccountId, UserId};
use remembered::{Meaning, Remembered};
use sign_in::SignIn;
use std::sync::Arc;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

/// How long it may be believed who is behind a credential ([`Auth::holds`]).
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    generation: u64,
    /// When the credential, or the first of its holder's roles, ends.
    until: Option<OffsetDateTime>,
}

impl Standing {
    /// Whether the credential, or a role of its holder, has ended by itself since.
    #[must_use]
    pub fn is_over(self, now: OffsetDateTime) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// Turns credentials into actors, and looks after keys and roles; cheap to clone.
#[derive(Clone)]
pub struct Auth {
    db: Database,
    clock: Clock,
    remembered: Remembered,
    sign_in: Arc<SignIn>,
}

impl Auth {
    #[must_use]
    pub fn new(db: Database, clock: Clock, config: &Config, public_url: &str) -> Self {
        let sign_in = Arc::new(SignIn::new(config, public_url, &clock));
        Self { db, clock, remembered: Remembered::new(), sign_in }
    }

    /// Keeps what this process remembers of credentials true while others change them; until `stop`.
    pub async fn follow_changes(self, stop: CancellationToken) {
        self.remembered.follow(&self.db.read, &stop).await;
    }

    /// The actor behind `credential`, the text of a key or a token of a configured issuer. Asks the database only when
    /// something changed.
    ///
    /// # Errors
    /// 401 when no live key has this text or the token is not believed; 503 when the database does not answer.
    pub async fn identify(&self, credential: &str) -> Result<Actor, Problem> {
        self.standing(credential).await.map(|(actor, _)| actor)
    }

    /// As [`Auth::identify`], with how long that may be believed without asking again.
    ///
    /// # Errors
    /// As [`Auth::identify`].
    pub async fn standing(&self, credential: &str) -> Result<(Actor, Standing), Problem> {
        // Read before anything is asked: what changes in between makes the answer old, and not wrong.
        let generation = self.remembered.generation();
        let (actor, until) = match bearer::is_token(credential) {
            true => self.identify_token(credential).await?,
            false => self.identify_key(credential).await?,
        };
        Ok((actor, Standing { generation, until }))
    }

    /// Whether nothing that decides who somebody is changed since this was found out, and no end of it has come. Asks
    /// nothing.
    #[must_use]
    pub fn holds(&self, standing: Standing) -> bool {
        standing.generation == self.remembered.generation() && !standing.is_over(self.clock.now())
    }

    async fn identify_key(&self, credential: &str) -> Result<(Actor, Option<OffsetDateTime>), Problem> {
        let digest = key::hash(credential);
        let now = self.clock.now();
        let meaning = self.remembered.meaning(digest, now, || self.meaning_of_key(digest)).await.map_err(
            |error: Arc<sqlx::Error>| match Arc::try_unwrap(error) {
                Ok(error) => Problem::from(error),
                Err(_) => Problem::unavailable("The database does not answer now."),
            },
        )?;
        match &*meaning {
            Meaning::Somebody { actor, ends_at, changes_at } if ends_at.is_none_or(|end| now < end) => {
                Ok((Actor::clone(actor), [*ends_at, *changes_at].into_iter().flatten().min()))
            }
            Meaning::Unknown => Err(Problem::unauthenticated("This key is not known here.").with_kind("key-unknown")),
            _ => Err(Problem::unauthenticated("This key has expired or was revoked.").with_kind("key-not-live")),
        }
    }

    /// The actor behind `credential`, where that was found out lately and nothing changed since; never waits. None says
    /// nothing of the credential.
    #[must_use]
    pub fn recognise(&self, credential: &str) -> Option<Arc<Actor>> {
        let digest = match bearer::is_token(credential) {
            true => bearer::digest(credential),
            false => key::hash(credential),
        };
        let now = self.clock.now();
        match &*self.remembered.recall(digest, now)? {
            Meaning::Somebody { actor, ends_at, .. } if ends_at.is_none_or(|end| now < end) => Some(actor.clone()),
            _ => None,
        }
    }

    async fn meaning_of_key(&self, digest: [u8; 32]) -> Result<Meaning, sqlx::Error> {
        let Some((key, secret_ends)) = key::find_by_hash(&self.db.read, &digest).await? else {
            return Ok(Meaning::Unknown);
        };
        self.meaning_of(key, secret_ends).await
    }

    /// The actor of a key whose text was given before, at the beginning of a session.
    async fn actor_of_key(&self, id: KeyId) -> Result<Option<(Actor, Option<OffsetDateTime>)>, sqlx::Error> {
        let Some(key) = key::find(&self.db.read, id).await? else { return Ok(None) };
        Ok(match self.meaning_of(key, None).await? {
            Meaning::Somebody { actor, ends_at, changes_at } => {
                Some((Arc::unwrap_or_clone(actor), [ends_at, changes_at].into_iter().flatten().min()))
            }
            _ => None,
        })
    }

    async fn meaning_of(&self, key: ApiKey, secret_ends: Option<OffsetDateTime>) -> Result<Meaning, sqlx::Error> {
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
        Ok(Meaning::Somebody { actor: actor.with_key(key, scopes).into(), ends_at, changes_at })
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
                let key = key::find(&self.db.read, KeyId(id)).await?.filter(|key| key.is_live(now));
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
        let mut held = role_assignment::held_by(&mut conn, Holder::User(id), now).await?;
        held.grants.extend(self.provider_roles(&mut conn, id).await?);
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
