//! Bearer tokens of the configured issuers: who is behind one.
//!
//! A subject is a service account that an administrator mapped to it, or a person. A person whose token comes before
//! they ever signed in is made then, as at a first sign-in; a program is not, since nobody would know what it is for.

use super::oidc::{Fault, Provider};
use super::permission::{Grant, Role, Scope};
use super::remembered::Meaning;
use super::{Actor, Auth, jwt::Claims, membership, service_account};
use crate::base::{Problem, UserId};
use sqlx::PgConnection;
use std::sync::Arc;
use time::OffsetDateTime;

/// Whether a credential is a signed token and no key of ours.
pub(super) fn is_token(credential: &str) -> bool {
    credential.starts_with("ey") && credential.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Under what a token is remembered.
pub(super) fn digest(token: &str) -> [u8; 32] {
    super::session::digest(&["bearer", token])
}

impl Auth {
    /// The actor behind a token; asks as rarely as for a key.
    pub(super) async fn identify_token(&self, text: &str) -> Result<(Actor, Option<OffsetDateTime>), Problem> {
        let now = self.clock.now();
        // Verified again when anything changed, and each minute: keys are taken back too.
        let digest = digest(text);
        let meaning = self.remembered.meaning(digest, now, async || self.meaning_of_token(text).await).await;
        let meaning = meaning.map_err(|problem: Arc<Problem>| (*problem).clone())?;
        match &*meaning {
            Meaning::Somebody { actor, ends_at, changes_at } if ends_at.is_none_or(|end| now < end) => {
                Ok((Actor::clone(actor), [*ends_at, *changes_at].into_iter().flatten().min()))
            }
            _ => Err(not_believed("The token has expired or its owner may not come in any more.")),
        }
    }

    /// The namespace of the owner of the repository that a workflow's token names (`io.github.acme`); none for tokens of an
    /// issuer whose word does not count for that.
    ///
    /// # Errors
    /// 401 for a token that is not believed, 503 when the keys of its issuer cannot be had.
    pub async fn namespace_of_owner(&self, text: &str) -> Result<Option<String>, Problem> {
        let (provider, claims) = self.believed(text).await?;
        let (Some(below), Some(owner)) = (&provider.settings.owners_below, claims.text("repository_owner")) else {
            return Ok(None);
        };
        let legal = owner.len() <= 39 && owner.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        Ok(legal.then(|| format!("{below}.{owner}")))
    }

    async fn believed(&self, text: &str) -> Result<(&Provider, Claims), Problem> {
        self.sign_in.providers.bearer(text).await.map_err(|fault| match fault {
            Fault::Unreachable => Problem::unavailable("The keys of the token's issuer cannot be had now.")
                .with_kind("provider-unavailable"),
            fault => {
                // Why is for the operator: a forger learns nothing.
                tracing::info!(reason = %fault, "A bearer token was refused");
                not_believed("The token is not believed: its issuer, audience, times, type or signature are not as they must be.")
            }
        })
    }

    async fn meaning_of_token(&self, text: &str) -> Result<Meaning, Problem> {
        let (provider, claims) = self.believed(text).await?;
        let now = self.clock.now();
        let expires = claims.all.get("exp").and_then(serde_json::Value::as_f64).unwrap_or_default();
        let ends_at =
            OffsetDateTime::from_unix_timestamp(expires as i64).ok().map(|end| end + provider.settings.clock_skew);
        let account =
            service_account::find_by_subject(&mut *self.db.read.acquire().await?, &claims.issuer, &claims.subject)
                .await?;
        let found = match account {
            Some(account) => self.actor_of_service_account(account, now).await?,
            None => {
                let person = self.person_behind(provider, &claims, now).await?;
                self.actor_of_user(person, now).await?
            }
        };
        let Some((actor, changes_at)) = found else { return Ok(Meaning::Ended) };
        Ok(Meaning::Somebody { actor: actor.with_claims(claims.texts()).into(), ends_at, changes_at })
    }

    async fn person_behind(
        &self,
        provider: &Provider,
        claims: &Claims,
        now: OffsetDateTime,
    ) -> Result<UserId, Problem> {
        let issued = claims.all.get("iat").and_then(serde_json::Value::as_f64).unwrap_or_default();
        let issued = OffsetDateTime::from_unix_timestamp(issued as i64).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let mut conn = self.db.read.acquire().await?;
        let linked = membership::linked(&mut conn, &claims.issuer, &claims.subject).await?;
        let synced = membership::synced_at(&mut conn, &claims.issuer, &claims.subject).await?;
        drop(conn);
        let groups = provider.groups(claims);
        if let Some(user) = linked {
            // An older token says what was once.
            let (Some(groups), true) = (groups, synced.is_none_or(|at| at < issued)) else { return Ok(user) };
            let mut tx = self.db.write.begin().await?;
            membership::sync(&mut tx, provider, claims, user, &groups, now.min(issued)).await?;
            tx.commit().await?;
            return Ok(user);
        }
        // RFC 9068, 2.2: in a token a program got for itself, subject and client are the same.
        if claims.text("client_id").or(claims.text("azp")) == Some(claims.subject.as_str()) {
            return Err(Problem::unauthenticated("No service account comes with this subject.")
                .with_kind("subject-unknown")
                .with_help("Let an administrator make a service account with the token's issuer and subject."));
        }
        let mut tx = self.db.write.begin().await?;
        let person = membership::person_of(&mut tx, provider, claims, now).await?;
        membership::sync(&mut tx, provider, claims, person.user_id, &groups.unwrap_or_default(), now.min(issued))
            .await?;
        tx.commit().await?;
        Ok(person.user_id)
    }

    /// Roles that the settings give to all users of a provider; they are as the settings are now.
    pub(super) async fn provider_roles(
        &self,
        conn: &mut PgConnection,
        user: UserId,
    ) -> Result<Vec<Grant>, sqlx::Error> {
        let giving = || self.sign_in.providers.iter().filter(|provider| provider.settings.role.is_some());
        if giving().next().is_none() {
            return Ok(Vec::new());
        }
        let issuers: Vec<String> =
            sqlx::query_scalar("select issuer from user_link where user_id = $1").bind(user).fetch_all(conn).await?;
        let linked =
            giving().filter(|provider| issuers.iter().any(|issuer| issuer == provider.settings.issuer.as_str()));
        let roles = linked.filter_map(|provider| provider.settings.role.as_deref()?.parse::<Role>().ok());
        Ok(roles.map(|role| Grant::new(role, Scope::Instance)).collect())
    }
}

fn not_believed(detail: &str) -> Problem {
    Problem::unauthenticated(detail)
        .with_kind("token-not-believed")
        .with_help("Get a new token from the issuer for this service's audience, or send a key.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_tokens_are_told_apart() {
        assert!(is_token("eyJhbGciOiJub25lIn0.e30."));
        for key in ["whf_abc", "", "a.b.c", "eyJ", "eyJ.x"] {
            assert!(!is_token(key), "{key}");
        }
    }

    #[test]
    fn the_roles_of_settings_are_roles() {
        let words: Vec<_> = Role::ALL.iter().map(|role| role.as_str()).collect();
        assert_eq!(words, crate::base::config::PROVIDER_ROLES);
    }
}
