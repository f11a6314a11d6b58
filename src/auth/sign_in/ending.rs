//! Signing out: here, and where the identity provider says so.

use super::by_provider::problem_of;
use super::note;
use crate::auth::oidc::Fault;
use crate::auth::session::{self, SessionHolder, SessionToken};
use crate::auth::{Auth, membership};
use crate::base::Problem;

impl Auth {
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
}
