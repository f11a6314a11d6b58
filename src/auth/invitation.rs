//! Invitations: single-use links by which somebody without an identity provider chooses a password.

use super::session::{digest, random_text};
use crate::base::{InvitationId, UserId};
use sqlx::{FromRow, PgConnection};
use std::time::Duration;
use time::OffsetDateTime;

/// How long a link works.
pub const LASTS: Duration = Duration::from_secs(7 * 24 * 3600);

/// The text in a link. Printed only by [`InvitationToken::reveal`].
#[derive(Clone)]
pub struct InvitationToken(String);

/// A link in force, and whom it is for.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Invitation {
    pub invitation_id: InvitationId,
    pub user_id: UserId,
    pub name: String,
    pub display_name: String,
    pub email: Option<String>,
    pub expires_at: OffsetDateTime,
}

impl InvitationToken {
    #[must_use]
    pub(super) fn generate() -> Self {
        Self(random_text())
    }

    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for InvitationToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InvitationToken(***)")
    }
}

fn hash(token: &str) -> [u8; 32] {
    digest(&["invitation", token])
}

/// The link in force with this text.
pub(super) async fn find(
    conn: &mut PgConnection,
    token: &str,
    now: OffsetDateTime,
) -> Result<Option<Invitation>, sqlx::Error> {
    sqlx::query_as(
        "select i.invitation_id, i.user_id, u.name, u.display_name, u.email, i.expires_at
         from invitation i
         join user_account u using (user_id)
         where i.token_hash = $1 and i.ended_at is null and i.expires_at > $2 and u.disabled_at is null",
    )
    .bind(hash(token).as_slice())
    .bind(now)
    .fetch_optional(conn)
    .await
}

/// Stores a link; earlier ones of the same person are out of force.
pub(super) async fn insert(
    conn: &mut PgConnection,
    token: &InvitationToken,
    user: UserId,
    created_by: &str,
    now: OffsetDateTime,
) -> Result<OffsetDateTime, sqlx::Error> {
    let expires_at = now + LASTS;
    end_all(conn, user, now).await?;
    sqlx::query(
        "insert into invitation (invitation_id, token_hash, user_id, created_by, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(InvitationId::new())
    .bind(hash(&token.0).as_slice())
    .bind(user)
    .bind(created_by)
    .bind(now)
    .bind(expires_at)
    .execute(conn)
    .await?;
    Ok(expires_at)
}

/// Ends a link because it is used; false when somebody else used it meanwhile.
pub(super) async fn use_up(
    conn: &mut PgConnection,
    id: InvitationId,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query("update invitation set ended_at = $2 where invitation_id = $1 and ended_at is null")
        .bind(id)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Puts every link of somebody out of force.
pub(super) async fn end_all(conn: &mut PgConnection, user: UserId, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query("update invitation set ended_at = $2 where user_id = $1 and ended_at is null")
        .bind(user)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}
