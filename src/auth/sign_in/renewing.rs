//! What the identity provider says of a person while a session goes on.

use super::by_provider::problem_of;
use super::note;
use crate::auth::oidc::Fault;
use crate::auth::session::{self, SessionHolder, SessionToken, Tokens};
use crate::auth::{Auth, membership};
use crate::base::{Problem, Sealed};

impl Auth {
    /// Asks the provider for what the person's groups are now, in a session whose turn has come. Runs beside a request.
    pub(in crate::auth) async fn refresh_session(
        &self,
        token: SessionToken,
        found: session::Session,
    ) -> Result<(), Problem> {
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
}
