//! The verbs of signing in and out. By an identity provider: `by_provider.rs`; by a key or a password: `by_hand.rs`; by an
//! invitation, which sets the password: `by_invitation.rs`; what ends a session: `ending.rs`; what renews one:
//! `renewing.rs`. Here is what all of them share: how a session begins, and how it stands in the audit record.

mod by_hand;
mod by_invitation;
mod by_provider;
mod ending;
mod renewing;

pub use by_provider::ProviderAnswer;

use super::oidc::{Provider, Providers};
use super::password::Passwords;
use super::session::{self, AtProvider, Browser, SessionHolder, SessionToken};
use super::sessions::Seen;
use super::{Actor, Auth, Identity, publish_token, throttle, user};
use crate::audit;
use crate::base::{Config, Problem, UserId};
use moka::future::Cache;
use serde_json::json;
use sqlx::PgConnection;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;

/// What signing in needs besides the database.
pub(super) struct SignIn {
    pub providers: Providers,
    pub passwords: Passwords,
    /// Sessions as they were found, by hash and generation of [`super::remembered`].
    pub sessions: Cache<([u8; 32], u64), Arc<Seen>>,
    pub public_url: String,
    pub idle: Duration,
    pub lifetime: Duration,
    pub refresh: Duration,
}

/// A session that has just begun.
#[derive(Debug)]
pub struct Begun {
    pub token: SessionToken,
    /// Where the browser wanted to go; a path of ours.
    pub next: String,
}

impl SignIn {
    pub fn new(config: &Config, public_url: &str, clock: &crate::base::Clock) -> Self {
        let settings = &config.sign_in;
        let providers = config.oidc_providers();
        Self {
            providers: Providers::new(providers, settings.oidc_timeout, &config.fetch, public_url, clock),
            passwords: Passwords::default(),
            sessions: Cache::builder().max_capacity(20_000).time_to_live(Duration::from_secs(60)).build(),
            public_url: public_url.to_owned(),
            idle: settings.session_idle_timeout,
            lifetime: settings.session_lifetime,
            refresh: settings.session_refresh,
        }
    }
}

impl Auth {
    /// The providers by which people sign in: name, title, issuer.
    #[must_use]
    pub fn ways_to_sign_in(&self) -> Vec<(String, String, String)> {
        let named = |provider: &Provider| {
            let settings = &provider.settings;
            (settings.name.to_string(), settings.title.clone(), settings.issuer.as_str().to_owned())
        };
        self.sign_in.providers.for_sign_in().map(named).collect()
    }

    /// The providers that gave no usable answer when they were last asked.
    pub fn failing_providers(&self) -> impl Iterator<Item = &str> {
        let failing = self.sign_in.providers.iter().filter(|provider| provider.is_failing());
        failing.map(|provider| provider.settings.name.as_str())
    }

    /// Whether clients come over TLS, by our public address.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.sign_in.public_url.starts_with("https://")
    }

    /// The issuers whose tokens are believed.
    #[must_use]
    pub fn issuers(&self) -> Vec<String> {
        self.sign_in.providers.iter().map(|provider| provider.settings.issuer.as_str().to_owned()).collect()
    }

    /// Removes what nobody needs any more: sessions that ended a month ago, old counts of failures, and tokens for publishing
    /// that ran out a day ago. What was done with any of them stays in the audit record.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn forget_old_sign_ins(&self) -> Result<(), Problem> {
        let now = self.clock.now();
        let mut conn = self.db.write.acquire().await?;
        session::forget(&mut conn, now - Duration::from_secs(30 * 24 * 3600)).await?;
        throttle::forget(&mut conn, now).await?;
        publish_token::forget(&mut conn, now - Duration::from_secs(24 * 3600)).await?;
        Ok(())
    }

    async fn begin(
        &self,
        conn: &mut PgConnection,
        person: Person<'_>,
        at_provider: Option<&AtProvider>,
        browser: &Browser,
        now: OffsetDateTime,
    ) -> Result<SessionToken, Problem> {
        let token = SessionToken::generate();
        let times = (now, now + self.sign_in.lifetime);
        let id = session::insert(conn, &token, SessionHolder::User(person.id), at_provider, browser, times).await?;
        let identity = Identity::User { id: person.id, name: person.name.into() };
        let mut actor = Actor::of(identity, Vec::new());
        if let Some(id) = person.request_id {
            actor = actor.with_request_id(id);
        }
        note(conn, now, &actor, "session.begin", id.0, person.how).await?;
        Ok(token)
    }

    /// The holder of a session as the audit record names it.
    pub(super) async fn trace_of(&self, conn: &mut PgConnection, holder: SessionHolder) -> Result<Actor, Problem> {
        Ok(match holder {
            SessionHolder::User(id) => {
                let name = user::find(conn, id).await?.map(|user| user.name).unwrap_or_default();
                Actor::of(Identity::User { id, name: name.into() }, Vec::new())
            }
            SessionHolder::Key(id) => Actor::of(Identity::Key { id, name: id.to_string().into() }, Vec::new()),
        })
    }
}

/// Whose session begins, and how.
struct Person<'a> {
    id: UserId,
    name: &'a str,
    how: &'a str,
    request_id: Option<&'a str>,
}

pub(super) async fn note(
    conn: &mut PgConnection,
    now: OffsetDateTime,
    actor: &Actor,
    verb: &str,
    id: uuid::Uuid,
    how: &str,
) -> Result<(), Problem> {
    let name = actor.name().unwrap_or_default();
    let subject = audit::Subject { name, id: Some(id), workspace: None };
    audit::record(conn, now, &actor.trace(), verb, subject, None, Some(json!({"how": how}))).await?;
    Ok(())
}
