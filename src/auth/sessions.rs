//! The verbs about sessions that are in force: who is behind one, which one has, and ending them.

use super::session::{self, Session, SessionHolder, SessionToken};
use super::sign_in::note;
use super::{Actor, Auth, Identity, Permission, Scope, user};
use crate::base::{Problem, SessionId};
use futures::FutureExt;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;

/// What a session turned out to be.
#[expect(clippy::large_enum_variant, reason = "of those that are kept nearly all are live")]
pub(super) enum Seen {
    Live {
        actor: Actor,
        session: Session,
        asked_at: OffsetDateTime,
        /// When the first of the roles ends, and must be asked for again.
        changes_at: Option<OffsetDateTime>,
    },
    Over,
}

/// Who is behind a session.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub actor: Actor,
    pub session: SessionId,
}

/// Even unchanged, a session is looked up again after this time, which also notes that it is used.
const LONGEST: Duration = Duration::from_secs(60);

impl Session {
    pub(super) fn holder(&self) -> SessionHolder {
        match (self.user_id, self.key_id) {
            (Some(user), _) => SessionHolder::User(user),
            (None, key) => SessionHolder::Key(key.expect("a session has one holder, by a constraint")),
        }
    }
}

impl Auth {
    /// Who is behind this session; none when it is over. Asks the database only when something changed, and once a minute.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn signed_in(&self, token: &SessionToken) -> Result<Option<SignedIn>, Problem> {
        let now = self.clock.now();
        let key = (token.hash(), self.remembered.generation());
        let sessions = &self.sign_in.sessions;
        let mut seen = self.seen(token, key).await?;
        let longest = LONGEST.min(self.sign_in.idle / 4);
        let is_old = |seen: &Seen| match seen {
            Seen::Live { asked_at, changes_at, .. } => {
                now >= *asked_at + longest || changes_at.is_some_and(|at| at <= now)
            }
            Seen::Over => false,
        };
        if is_old(&seen) {
            sessions.invalidate(&key).await;
            seen = self.seen(token, key).await?;
        }
        match &*seen {
            Seen::Live { actor, session, .. } if now < session.expires_at => {
                if session.refresh_at.is_some_and(|due| due <= now) {
                    self.refresh_beside(token.clone(), session.clone());
                }
                Ok(Some(SignedIn { actor: actor.clone(), session: session.session_id }))
            }
            _ => Ok(None),
        }
    }

    async fn seen(&self, token: &SessionToken, key: ([u8; 32], u64)) -> Result<Arc<Seen>, Problem> {
        let sessions = &self.sign_in.sessions;
        if let Some(found) = sessions.get(&key).await {
            return Ok(found);
        }
        // Boxed: it is large, and every request would be moved about with room for it.
        let found = sessions.try_get_with(key, async { self.look_up(token).await.map(Arc::new) }).boxed().await;
        found.map_err(|problem: Arc<Problem>| (*problem).clone())
    }

    async fn look_up(&self, token: &SessionToken) -> Result<Seen, Problem> {
        let now = self.clock.now();
        let mut conn = self.db.read.acquire().await?;
        let found = session::find_by_hash(&mut conn, &token.hash()).await?;
        drop(conn);
        let Some(session) = found.filter(|session| session.is_live(now, self.sign_in.idle)) else {
            return Ok(Seen::Over);
        };
        let actor = match session.holder() {
            SessionHolder::User(id) => self.actor_of_user(id, now).await?,
            SessionHolder::Key(id) => self.actor_of_key(id).await?,
        };
        let Some((actor, changes_at)) = actor else { return Ok(Seen::Over) };
        self.note_session_use(&session, now);
        Ok(Seen::Live { actor, session, asked_at: now, changes_at })
    }

    /// Beside the request: a database that takes no writes still lets people read.
    fn note_session_use(&self, session: &Session, now: OffsetDateTime) {
        if now < session.last_seen_at + LONGEST.min(self.sign_in.idle / 4) / 2 {
            return;
        }
        let (db, id) = (self.db.write.clone(), session.session_id);
        tokio::spawn(async move {
            let noted = match db.acquire().await {
                Ok(mut conn) => session::note_use(&mut conn, id, now).await,
                Err(error) => Err(error),
            };
            if let Err(error) = noted {
                tracing::debug!(error = %error, "The use of a session was not noted");
            }
        });
    }

    fn refresh_beside(&self, token: SessionToken, session: Session) {
        let auth = self.clone();
        tokio::spawn(async move {
            let id = session.session_id;
            if let Err(problem) = auth.refresh_session(token, session).await {
                tracing::info!(session.id = %id, reason = problem.kind, "The groups of a session were not asked for anew");
            }
        });
    }

    /// The actor's own sessions in force, last seen first.
    ///
    /// # Errors
    /// 401 when nobody is signed in.
    pub async fn own_sessions(&self, actor: &Actor) -> Result<Vec<Session>, Problem> {
        let holder = self.holder_of(actor)?;
        let now = self.clock.now();
        let mut found = session::list(&mut *self.db.read.acquire().await?, holder, now).await?;
        found.retain(|session| session.is_live(now, self.sign_in.idle));
        Ok(found)
    }

    /// Ends one of the actor's own sessions, on every replica.
    ///
    /// # Errors
    /// 404 when the actor has no such session.
    pub async fn end_session(&self, actor: &Actor, id: SessionId) -> Result<(), Problem> {
        let holder = self.holder_of(actor)?;
        let now = self.clock.now();
        let mut tx = self.db.write.begin().await?;
        if !session::end(&mut tx, holder, id, now).await? {
            return Err(Problem::not_found("You have no such session."));
        }
        note(&mut tx, now, actor, "session.end", id.0, "ended by its owner").await?;
        tx.commit().await?;
        self.remembered.changed();
        Ok(())
    }

    /// Ends all of the actor's own sessions, this one with them; tells how many.
    ///
    /// # Errors
    /// 401 when nobody is signed in.
    pub async fn end_own_sessions(&self, actor: &Actor) -> Result<u64, Problem> {
        let holder = self.holder_of(actor)?;
        let now = self.clock.now();
        let mut tx = self.db.write.begin().await?;
        let ended = session::end_all(&mut tx, holder, now).await?;
        let id = match holder {
            SessionHolder::User(id) => id.0,
            SessionHolder::Key(id) => id.0,
        };
        note(&mut tx, now, actor, "session.end", id, "signed out everywhere").await?;
        tx.commit().await?;
        self.remembered.changed();
        Ok(ended)
    }

    /// Ends all sessions of somebody else; for administrators.
    ///
    /// # Errors
    /// 401 or 403; 404 when there is nobody of this name.
    pub async fn end_sessions_of(&self, actor: &Actor, name: &str) -> Result<u64, Problem> {
        actor.require(Permission::ManageInstance, Scope::Instance)?;
        let now = self.clock.now();
        let mut tx = self.db.write.begin().await?;
        let found = user::find_by_name(&mut tx, name).await?.ok_or_else(|| super::people::nobody(name))?;
        let ended = session::end_all(&mut tx, SessionHolder::User(found.user_id), now).await?;
        self.note_person(&mut tx, actor, "user.sign-out", &found.name, found.user_id).await?;
        tx.commit().await?;
        self.remembered.changed();
        Ok(ended)
    }

    fn holder_of(&self, actor: &Actor) -> Result<SessionHolder, Problem> {
        match &actor.identity {
            Identity::User { id, .. } => Ok(SessionHolder::User(*id)),
            Identity::Key { id, .. } => Ok(SessionHolder::Key(*id)),
            _ if actor.is_anonymous() => Err(Problem::unauthenticated("Sign in to see your sessions.")),
            _ => Err(Problem::not_found("Sessions belong to people.")),
        }
    }
}
