//! Tokens for publishing: keys of five minutes that another proof was exchanged for.

use super::key::{self, KeyHolder, NewKey, SecretKey};
use super::{Actor, Auth, Identity, KeyScope, Role};
use crate::audit;
use crate::base::{Problem, WorkspaceId};
use serde_json::json;
use sqlx::PgConnection;
use std::time::Duration;
use time::OffsetDateTime;

/// How long such a token works, as in the official registry.
pub const PUBLISH_TOKEN_LIVES: Duration = Duration::from_secs(300);

/// How the keys behind such tokens are named; with their short life it tells them from keys that people made.
const NAMED: &str = "registry token: ";

/// A statement about keys that are such tokens and ran out.
macro_rules! about_old {
    ($before:literal, $after:literal) => {
        concat!($before, "starts_with(name, $1) and expires_at < $2 and expires_at - created_at <= $3", $after)
    };
}

/// Whom a token stands for.
#[derive(Clone, Debug)]
pub enum TokenFor {
    /// Nobody in person: whoever has proven to own these names, in the workspace that publishes them.
    Names { workspace: WorkspaceId, names: Vec<String> },
    /// A person or service account, for all it may publish.
    Actor(Actor),
}

impl Auth {
    /// A key for publishing, and when it ends. `proof` says in a few words what it was exchanged for.
    ///
    /// # Errors
    /// 401 for an actor that is neither a person nor a service account, or comes with a key already.
    pub async fn publish_token(
        &self,
        asker: &Actor,
        holder: TokenFor,
        proof: &str,
    ) -> Result<(SecretKey, OffsetDateTime), Problem> {
        let now = self.clock.now();
        let ends = now + PUBLISH_TOKEN_LIVES;
        let name = format!("{NAMED}{proof}");
        let (mut new, user, workspace) = match holder {
            TokenFor::Names { workspace, names } => {
                let mut new = NewKey::with_role(name, Role::Publisher, Some(workspace));
                new.scopes = vec![KeyScope::Publish(Some(workspace)).to_string()];
                new.scopes.extend(names.into_iter().map(|name| KeyScope::Name(name).to_string()));
                (new, None, Some(workspace))
            }
            TokenFor::Actor(actor) => {
                let (holder, user) = match actor.identity {
                    Identity::User { id, .. } if actor.key.is_none() => (KeyHolder::Own, Some(id)),
                    Identity::ServiceAccount { id, .. } if actor.key.is_none() => (KeyHolder::ServiceAccount(id), None),
                    _ => return Err(Problem::unauthenticated("Token exchange failed: this token names nobody here.")),
                };
                let mut new = NewKey::with_role(name, Role::Publisher, None);
                new.holder = holder;
                new.scopes = vec![KeyScope::Publish(None).to_string()];
                (new, user, None)
            }
        };
        new.expires_at = Some(ends);
        let secret = SecretKey::generate();
        let mut tx = self.db.write.begin().await?;
        let id = key::insert(&mut tx, &new, user, &key::hash(secret.reveal()), now).await?;
        let subject = audit::Subject { name: &new.name, id: Some(id.0), workspace };
        let after = Some(json!({"scopes": new.scopes}));
        audit::record(&mut tx, now, &asker.trace(), "key.exchange", subject, None, after).await?;
        tx.commit().await?;
        Ok((secret, ends))
    }
}

/// Removes tokens that ran out before `before`.
pub(super) async fn forget(conn: &mut PgConnection, before: OffsetDateTime) -> Result<(), sqlx::Error> {
    // What refers to a key goes first; nothing new comes to refer to one that ran out.
    for statement in [
        about_old!("delete from api_key_use where key_id in (select key_id from api_key where ", ")"),
        about_old!("delete from api_key_secret where key_id in (select key_id from api_key where ", ")"),
        about_old!("delete from api_key k where ", " and not exists (select from session s where s.key_id = k.key_id)"),
    ] {
        let old = sqlx::query(statement).bind(NAMED).bind(before).bind(PUBLISH_TOKEN_LIVES);
        old.execute(&mut *conn).await?;
    }
    Ok(())
}
