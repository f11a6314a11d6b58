//! Whom an identity provider means, and which of its groups they are in.
//!
//! A person is found by issuer and subject, which the provider signed and never gives twice; never by a name or an
//! address, which somebody else may have had or may claim.

use super::jwt::Claims;
use super::oidc::Provider;
use super::user::{self, User};
use crate::base::{GroupId, Problem, UserId};
use sqlx::PgConnection;
use time::OffsetDateTime;

/// The person linked to a subject of an issuer.
pub(super) async fn linked(
    conn: &mut PgConnection,
    issuer: &str,
    subject: &str,
) -> Result<Option<UserId>, sqlx::Error> {
    sqlx::query_scalar("select user_id from user_link where issuer = $1 and subject = $2")
        .bind(issuer)
        .bind(subject)
        .fetch_optional(conn)
        .await
}

/// When what the provider says of this subject was last taken over.
pub(super) async fn synced_at(
    conn: &mut PgConnection,
    issuer: &str,
    subject: &str,
) -> Result<Option<OffsetDateTime>, sqlx::Error> {
    let found: Option<Option<OffsetDateTime>> =
        sqlx::query_scalar("select synced_at from user_link where issuer = $1 and subject = $2")
            .bind(issuer)
            .bind(subject)
            .fetch_optional(conn)
            .await?;
    Ok(found.flatten())
}

/// The person of these claims, made when this is the first time; what the provider says of name and address is kept.
pub(super) async fn person_of(
    conn: &mut PgConnection,
    provider: &Provider,
    claims: &Claims,
    now: OffsetDateTime,
) -> Result<User, Problem> {
    // Two first sign-ins at once make one person.
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 7))")
        .bind(format!("{} {}", claims.issuer, claims.subject))
        .execute(&mut *conn)
        .await?;
    let display_name: String = claims.text("name").unwrap_or_default().chars().take(200).collect();
    let is_verified = claims.all.get("email_verified").is_none_or(|value| value.as_bool() != Some(false));
    let email = claims.text("email").filter(|email| is_verified && email.len() <= 320);
    if let Some(id) = linked(conn, &claims.issuer, &claims.subject).await? {
        user::describe(conn, id, &display_name, email, now).await?;
        return user::find(conn, id).await?.ok_or_else(Problem::internal);
    }
    let wanted = name_of(claims);
    for number in 1..1_000 {
        let name = if number == 1 { wanted.clone() } else { format!("{wanted}-{number}") };
        if let Some(made) = user::insert(conn, &name, &display_name, email, now).await? {
            sqlx::query("insert into user_link (issuer, subject, user_id, linked_at) values ($1, $2, $3, $4)")
                .bind(&claims.issuer)
                .bind(&claims.subject)
                .bind(made.user_id)
                .bind(now)
                .execute(conn)
                .await?;
            tracing::info!(user.name = %made.name, provider.name = %provider.settings.name, "Somebody signed in for the first time");
            return Ok(made);
        }
    }
    Err(Problem::internal())
}

/// What to call somebody here: what the provider calls them, else the start of their address, else their subject.
fn name_of(claims: &Claims) -> String {
    let of_address = || claims.text("email").and_then(|email| email.split('@').next());
    let candidates = [claims.text("preferred_username"), of_address(), Some(claims.subject.as_str())];
    let plain = |text: &str| {
        let kept = text.chars().filter(|c| c.is_alphanumeric() || "._@-".contains(*c)).take(100).collect::<String>();
        kept.trim_matches(|c: char| !c.is_alphanumeric()).to_owned()
    };
    let found = candidates.into_iter().flatten().map(plain).find(|name| !name.is_empty());
    found.unwrap_or_else(|| "user".to_owned())
}

/// Makes the person's groups of this provider those of `groups`. Where nothing changed no membership is written: that
/// would be told to every replica.
pub(super) async fn sync(
    conn: &mut PgConnection,
    provider: &Provider,
    claims: &Claims,
    user: UserId,
    groups: &[String],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let source = provider.settings.name.as_str();
    sqlx::query("update user_link set synced_at = $3 where issuer = $1 and subject = $2")
        .bind(&claims.issuer)
        .bind(&claims.subject)
        .bind(now)
        .execute(&mut *conn)
        .await?;
    let held: Vec<(GroupId, String)> = sqlx::query_as(
        "select g.group_id, g.claim
         from user_group_member m
         join user_group g using (group_id)
         where m.user_id = $1 and g.source = $2 and g.claim is not null and g.deleted_at is null",
    )
    .bind(user)
    .bind(source)
    .fetch_all(&mut *conn)
    .await?;
    for (group, _) in held.iter().filter(|(_, claim)| !groups.contains(claim)) {
        super::group::remove_member(conn, *group, user).await?;
    }
    for claim in groups.iter().filter(|claim| !held.iter().any(|(_, held)| held == *claim)) {
        if let Some(group) = group_of(conn, source, claim, now).await? {
            super::group::add_member(conn, group, user, now).await?;
        }
    }
    Ok(())
}

/// The group a provider means by `claim`, made when it is new; none when an administrator deleted it.
async fn group_of(
    conn: &mut PgConnection,
    source: &str,
    claim: &str,
    now: OffsetDateTime,
) -> Result<Option<GroupId>, sqlx::Error> {
    let find = "select group_id, deleted_at is null from user_group where source = $1 and claim = $2";
    let found: Option<(GroupId, bool)> =
        sqlx::query_as(find).bind(source).bind(claim).fetch_optional(&mut *conn).await?;
    if let Some((id, is_live)) = found {
        return Ok(is_live.then_some(id));
    }
    // Another group may have the plain name already, or have had it.
    for name in [claim.to_owned(), format!("{source}:{claim}")] {
        if let Some(id) = super::group::insert(conn, &name, "", source, Some(claim), now).await? {
            return Ok(Some(id));
        }
        let found: Option<(GroupId, bool)> =
            sqlx::query_as(find).bind(source).bind(claim).fetch_optional(&mut *conn).await?;
        if let Some((id, is_live)) = found {
            return Ok(is_live.then_some(id));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn somebody_is_called_as_the_provider_calls_them() {
        let named = |all: Value| {
            let all = all.as_object().unwrap().clone();
            name_of(&Claims { issuer: "https://a.example".into(), subject: "s-1".into(), all })
        };

        assert_eq!(named(json!({"preferred_username": "anna.smith", "email": "x@example.com"})), "anna.smith");
        assert_eq!(named(json!({"email": "anna@example.com"})), "anna");
        assert_eq!(named(json!({})), "s-1");
        assert_eq!(named(json!({"preferred_username": " <b>\u{202e}anna\n"})), "banna");
        assert_eq!(named(json!({"preferred_username": "!!"})), "s-1");
    }
}
