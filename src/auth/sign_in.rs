//! The verbs of signing in and out: by an identity provider, by a key, by a password.

use super::invitation;
use super::login_attempt::{self, BrowserSecret};
use super::oidc::{Fault, Granted, Provider, Providers};
use super::password::{self, Passwords};
use super::session::{self, AtProvider, Browser, SessionHolder, SessionToken, Tokens};
use super::sessions::Seen;
use super::throttle::{self, Tries};
use super::{Actor, Auth, Identity, membership, publish_token, user};
use crate::audit;
use crate::base::{Config, Problem, Sealed, UserId};
use http::StatusCode;
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

/// An answer of a provider, as the browser brought it.
#[derive(Clone, Debug, Default)]
pub struct ProviderAnswer {
    pub state: Option<String>,
    pub code: Option<String>,
    pub issuer: Option<String>,
    pub error: Option<String>,
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

    /// Our address at this provider.
    fn redirect(&self, provider: &Provider) -> String {
        let name = &provider.settings.name;
        match name.as_str() {
            crate::base::config::PLAIN_PROVIDER => format!("{}/auth/callback", self.public_url),
            _ => format!("{}/auth/callback/{name}", self.public_url),
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

    fn provider(&self, name: &str) -> Result<&Provider, Problem> {
        let found = self.sign_in.providers.for_sign_in().find(|provider| provider.settings.name.as_str() == name);
        found.ok_or_else(|| Problem::not_found("There is no identity provider of this name."))
    }

    /// Where the browser goes to sign in. `next` is the path of ours it comes back to in the end.
    ///
    /// # Errors
    /// 404 for an unknown provider; 503 when it cannot be used now.
    pub async fn begin_sign_in(
        &self,
        provider: &str,
        next: &str,
        browser: &BrowserSecret,
    ) -> Result<url::Url, Problem> {
        let provider = self.provider(provider)?;
        let state = session::random_text();
        let redirect = self.sign_in.redirect(provider);
        let authorization = provider.authorization(&redirect, &browser.proof(&state)).await;
        let authorization = authorization.map_err(|fault| problem_of(provider, &fault))?;
        let mut conn = self.db.write.acquire().await?;
        let name = provider.settings.name.as_str();
        login_attempt::insert(&mut conn, &state, browser, name, next, self.clock.now()).await?;
        Ok(authorization)
    }

    /// Begins the session of whom the provider vouches for.
    ///
    /// # Errors
    /// 400 for an answer that is not to a question of this browser, is used or late, or is not believed; 403 when the
    /// provider or we refuse the person; 503 when the provider cannot be asked.
    pub async fn finish_sign_in(
        &self,
        provider: &str,
        answer: ProviderAnswer,
        secret: Option<&BrowserSecret>,
        browser: &Browser,
        request_id: Option<&str>,
    ) -> Result<Begun, Problem> {
        let provider = self.provider(provider)?;
        let outcome = self.finish(provider, answer, secret, browser, request_id).await;
        if let Err(problem) = &outcome {
            tracing::info!(provider.name = %provider.settings.name, reason = problem.kind, "A sign-in was refused: {}", problem.detail);
            metrics::counter!("wharfinger_sign_ins_refused_total", "reason" => problem.kind).increment(1);
        }
        outcome
    }

    async fn finish(
        &self,
        provider: &Provider,
        answer: ProviderAnswer,
        secret: Option<&BrowserSecret>,
        browser: &Browser,
        request_id: Option<&str>,
    ) -> Result<Begun, Problem> {
        let (Some(state), Some(secret)) = (answer.state, secret) else { return Err(stale()) };
        let mut conn = self.db.write.acquire().await?;
        let attempt = login_attempt::take(&mut conn, &state, secret).await?.ok_or_else(stale)?;
        drop(conn);
        if attempt.provider != provider.settings.name.as_str() || attempt.expires_at <= self.clock.now() {
            return Err(stale());
        }
        let fault = |fault: Fault| problem_of(provider, &fault);
        provider.check_answer_issuer(answer.issuer.as_deref()).await.map_err(fault)?;
        if let Some(error) = answer.error {
            return Err(refused_there(provider, &error));
        }
        let code = answer.code.ok_or_else(stale)?;
        let redirect = self.sign_in.redirect(provider);
        let granted = provider.exchange(&code, &redirect, &secret.proof(&state)).await.map_err(fault)?;
        self.begin_of(provider, granted, attempt.next, browser, request_id).await
    }

    async fn begin_of(
        &self,
        provider: &Provider,
        granted: Granted,
        next: String,
        browser: &Browser,
        request_id: Option<&str>,
    ) -> Result<Begun, Problem> {
        let now = self.clock.now();
        let claims = granted.claims.as_ref().ok_or_else(Problem::internal)?;
        let mut tx = self.db.write.begin().await?;
        let person = membership::person_of(&mut tx, provider, claims, now).await?;
        if person.disabled_at.is_some() {
            return Err(disabled());
        }
        let groups = provider.groups(claims).unwrap_or_default();
        membership::sync(&mut tx, provider, claims, person.user_id, &groups, now).await?;
        let refreshes = granted.refresh_token.is_some();
        let at_provider = AtProvider {
            name: provider.settings.name.to_string(),
            sid: claims.text("sid").map(str::to_owned),
            tokens: Tokens {
                id_token: granted.id_token.map(|token| token.expose().clone()),
                refresh_token: granted.refresh_token.map(|token| token.expose().clone()),
            },
            refresh_at: refreshes.then(|| now + self.sign_in.refresh),
        };
        let how = format!("by {}", provider.settings.name);
        let person = Person { id: person.user_id, name: &person.name, how: &how, request_id };
        let token = self.begin(&mut tx, person, Some(&at_provider), browser, now).await?;
        tx.commit().await?;
        self.remembered.changed();
        Ok(Begun { token, next })
    }

    /// Begins a session with a key: it may what the key may, and ends with it.
    ///
    /// # Errors
    /// 401 for a key that does not hold; 429 after too many tries.
    pub async fn sign_in_with_key(&self, key: &Sealed<String>, browser: &Browser) -> Result<Begun, Problem> {
        let now = self.clock.now();
        let tries = Tries::by_address(browser.address);
        let mut conn = self.db.write.acquire().await?;
        tries.check(&mut conn, now).await?;
        let actor = match self.identify(key.expose()).await {
            Ok(actor) => actor,
            Err(problem) if problem.status == StatusCode::UNAUTHORIZED => {
                tries.failed(&mut conn, now).await?;
                return Err(problem.with_help("Check that the whole key was copied; it begins with whf_."));
            }
            Err(problem) => return Err(problem),
        };
        drop(conn);
        let id = match (&actor.key, &actor.identity) {
            (Some(key), _) => key.id,
            (None, Identity::Key { id, .. }) => *id,
            _ => return Err(Problem::unauthenticated("Only keys open a session here.")),
        };
        let mut tx = self.db.write.begin().await?;
        let token = SessionToken::generate();
        let times = (now, now + self.sign_in.lifetime);
        let session = session::insert(&mut tx, &token, SessionHolder::Key(id), None, browser, times).await?;
        note(&mut tx, now, &actor, "session.begin", session.0, "with a key").await?;
        tx.commit().await?;
        Ok(Begun { token, next: "/".to_owned() })
    }

    /// Begins the session of a local user. Whether the name or the password was wrong is not told, nor to be measured.
    ///
    /// # Errors
    /// 401; 429 after too many tries.
    pub async fn sign_in_with_password(
        &self,
        name: &str,
        password: Sealed<String>,
        browser: &Browser,
        request_id: Option<&str>,
    ) -> Result<Begun, Problem> {
        let now = self.clock.now();
        let tries = Tries::of(name, browser.address);
        let mut conn = self.db.write.acquire().await?;
        tries.check(&mut conn, now).await?;
        let found = user::find_with_password(&mut conn, name).await?;
        // Not held while the hash is computed: few connections would be left to others.
        drop(conn);
        let hash = found.as_ref().and_then(|(_, hash)| hash.clone());
        let fits = self.sign_in.passwords.fits(password, hash).await?;
        let person = found.map(|(user, _)| user).filter(|user| fits && user.disabled_at.is_none());
        let mut tx = self.db.write.begin().await?;
        let Some(person) = person else {
            tries.failed(&mut tx, now).await?;
            tx.commit().await?;
            return Err(wrong_credentials());
        };
        tries.succeeded(&mut tx).await?;
        let person = Person { id: person.user_id, name: &person.name, how: "with a password", request_id };
        let token = self.begin(&mut tx, person, None, browser, now).await?;
        tx.commit().await?;
        Ok(Begun { token, next: "/".to_owned() })
    }

    /// The invitation of this link.
    ///
    /// # Errors
    /// 404 when it was used, replaced, is too old or never was.
    pub async fn invitation(&self, token: &str) -> Result<invitation::Invitation, Problem> {
        let mut conn = self.db.read.acquire().await?;
        invitation::find(&mut conn, token, self.clock.now()).await?.ok_or_else(used_up)
    }

    /// Takes an invitation up: the password is set, other sessions of the person end, and one begins.
    ///
    /// # Errors
    /// 404 as for [`Auth::invitation`]; 422 for a password that will not do.
    pub async fn accept_invitation(
        &self,
        token: &str,
        password: Sealed<String>,
        browser: &Browser,
        request_id: Option<&str>,
    ) -> Result<Begun, Problem> {
        let invited = self.invitation(token).await?;
        password::check(password.expose(), &invited.name, invited.email.as_deref())?;
        let hash = self.sign_in.passwords.hash(password).await?;
        let now = self.clock.now();
        let mut tx = self.db.write.begin().await?;
        if !invitation::use_up(&mut tx, invited.invitation_id, now).await? {
            return Err(used_up());
        }
        user::set_password(&mut tx, invited.user_id, &hash, now).await?;
        session::end_all(&mut tx, SessionHolder::User(invited.user_id), now).await?;
        let person = Person { id: invited.user_id, name: &invited.name, how: "by an invitation", request_id };
        let token = self.begin(&mut tx, person, None, browser, now).await?;
        tx.commit().await?;
        self.remembered.changed();
        Ok(Begun { token, next: "/".to_owned() })
    }

    /// Ends this session; gives where the browser ends that at the provider too.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn sign_out(&self, token: &SessionToken) -> Result<Option<url::Url>, Problem> {
        let now = self.clock.now();
        let mut tx = self.db.write.begin().await?;
        let Some(found) = session::find_by_hash(&mut tx, &token.hash()).await?.filter(|one| one.ended_at.is_none())
        else {
            return Ok(None);
        };
        let holder = found.holder();
        session::end(&mut tx, holder, found.session_id, now).await?;
        let actor = self.trace_of(&mut tx, holder).await?;
        note(&mut tx, now, &actor, "session.end", found.session_id.0, "signed out").await?;
        tx.commit().await?;
        self.remembered.changed();
        let Some(provider) = found.provider.as_deref().and_then(|name| self.sign_in.providers.named(name)) else {
            return Ok(None);
        };
        let tokens = found.sealed.as_deref().and_then(|sealed| token.unseal(found.session_id, sealed));
        let back = format!("{}/", self.sign_in.public_url);
        Ok(provider.end_session(tokens.unwrap_or_default().id_token().as_ref(), &back).await)
    }

    /// Ends the sessions that a provider's logout token speaks of.
    ///
    /// # Errors
    /// 400 when the token is not believed; 503 when the provider's keys cannot be had.
    pub async fn sign_out_at_provider(&self, provider: &str, logout_token: &str) -> Result<(), Problem> {
        let provider = self.provider(provider)?;
        let (subject, sid) = provider.logout_token(logout_token).await.map_err(|fault| match fault {
            Fault::Unreachable => problem_of(provider, &fault),
            _ => Problem::bad_request("The logout token is not believed.").with_kind("sign-in-not-believed"),
        })?;
        let now = self.clock.now();
        let mut tx = self.db.write.begin().await?;
        let (issuer, name) = (provider.settings.issuer.as_str(), provider.settings.name.as_str());
        let users = match (&subject, &sid) {
            (Some(subject), _) => membership::linked(&mut tx, issuer, subject).await?.into_iter().collect(),
            (None, Some(sid)) => session::users_at_provider(&mut tx, name, sid).await?,
            (None, None) => Vec::new(),
        };
        for user in users {
            session::end_at_provider(&mut tx, name, user, sid.as_deref(), now).await?;
            let actor = self.trace_of(&mut tx, SessionHolder::User(user)).await?;
            note(&mut tx, now, &actor, "session.end", user.0, "the identity provider said so").await?;
        }
        tx.commit().await?;
        self.remembered.changed();
        Ok(())
    }

    /// Asks the provider for what the person's groups are now, in a session whose turn has come. Runs beside a request.
    pub(super) async fn refresh_session(&self, token: SessionToken, found: session::Session) -> Result<(), Problem> {
        let (Some(user), Some(due)) = (found.user_id, found.refresh_at) else { return Ok(()) };
        let id = found.session_id;
        let Some(provider) = found.provider.as_deref().and_then(|name| self.sign_in.providers.named(name)) else {
            return Ok(());
        };
        let tokens = found.sealed.as_deref().and_then(|sealed| token.unseal(id, sealed)).unwrap_or_default();
        let Some(refresh_token) = tokens.refresh_token.clone().map(Sealed::new) else { return Ok(()) };
        let now = self.clock.now();
        let mut conn = self.db.write.acquire().await?;
        if !session::take_refresh_turn(&mut conn, id, due, now + self.sign_in.refresh).await? {
            return Ok(());
        }
        drop(conn);
        let granted = match provider.refresh(&refresh_token).await {
            Ok(granted) => granted,
            // The provider ended what it granted: whoever it was is not vouched for any more.
            Err(Fault::Refused(word)) if word == "invalid_grant" => {
                let mut tx = self.db.write.begin().await?;
                session::end(&mut tx, SessionHolder::User(user), id, now).await?;
                let actor = self.trace_of(&mut tx, SessionHolder::User(user)).await?;
                note(&mut tx, now, &actor, "session.end", id.0, "the identity provider renews it no more").await?;
                tx.commit().await?;
                self.remembered.changed();
                return Ok(());
            }
            // A provider that is away ends nothing.
            Err(fault) => return Err(problem_of(provider, &fault)),
        };
        let mut tx = self.db.write.begin().await?;
        let kept = Tokens {
            id_token: granted.id_token.as_ref().map(|token| token.expose().clone()).or(tokens.id_token),
            refresh_token: granted.refresh_token.map(|token| token.expose().clone()).or(tokens.refresh_token),
        };
        session::set_sealed(&mut tx, id, &token.seal(id, &kept)).await?;
        if let Some(claims) = &granted.claims {
            let linked = membership::linked(&mut tx, provider.settings.issuer.as_str(), &claims.subject).await?;
            // OpenID Connect Core, 12.2: a refresh speaks of the same subject.
            if linked == Some(user)
                && let Some(groups) = provider.groups(claims)
            {
                membership::sync(&mut tx, provider, claims, user, &groups, now).await?;
            }
        }
        tx.commit().await?;
        self.remembered.changed();
        Ok(())
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

/// A fault of the provider as a page or answer.
fn problem_of(provider: &Provider, fault: &Fault) -> Problem {
    let title = &provider.settings.title;
    match fault {
        Fault::Unreachable => Problem::unavailable(format!(
            "The identity provider {title} does not answer, or not in time."
        ))
        .with_kind("provider-unavailable")
        .with_help(
            "Try again in a minute. Who is signed in stays so; an administrator can sign in with a key meanwhile.",
        ),
        Fault::Wrong(reason) => not_believed(format!("The identity provider {title} cannot be used: {reason}."))
            .with_help(
                "Start again at the sign-in page; if it stays, tell the operator, who finds the reason in the log.",
            ),
        Fault::Token(refusal) => not_believed(format!("What {title} says of you is not believed: {refusal}."))
            .with_help("Start again at the sign-in page; if it stays, tell the operator the request id."),
        Fault::Refused(word) => {
            not_believed(format!("{title} did not accept the answer your browser brought ({word})."))
                .with_help("Each answer counts once. Start again at the sign-in page.")
        }
    }
}

fn not_believed(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "sign-in-not-believed", "Not signed in", detail)
}

fn stale() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "sign-in-stale",
        "Not signed in",
        "This answer belongs to no sign-in that is under way in this browser: it was used before, is older than ten \
         minutes, or was begun elsewhere.",
    )
    .with_help("Start again at the sign-in page, with cookies allowed, and finish in the same browser.")
}

fn refused_there(provider: &Provider, error: &str) -> Problem {
    let known =
        ["access_denied", "login_required", "consent_required", "interaction_required", "temporarily_unavailable"];
    let word = known.into_iter().find(|known| *known == error).unwrap_or("an error");
    let detail = format!("{} did not sign you in ({word}).", provider.settings.title);
    Problem::new(StatusCode::FORBIDDEN, "sign-in-refused", "Not signed in", detail).with_help(
        "Start again at the sign-in page, or ask whoever runs the identity provider whether you may use this service.",
    )
}

fn disabled() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "account-disabled",
        "Account disabled",
        "Your account here was disabled by an administrator.",
    )
    .with_help("Ask an administrator of this service to enable it again.")
}

fn wrong_credentials() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "wrong-credentials", "Not signed in", "The name or the password is wrong.")
        .with_help("Try again, or ask an administrator for a new invitation, which lets you choose another password.")
}

fn used_up() -> Problem {
    Problem::not_found("This invitation does not hold: it was used, replaced by another, or is older than a week.")
        .with_kind("invitation-not-live")
        .with_help("Ask whoever invited you for a new one; if you have chosen a password already, sign in with it.")
}
