//! How often somebody may fail to sign in.
//!
//! Tries are counted by account and address together, by account, and by address. The first bound is tight; the second
//! is wider, so that a stranger cannot lock somebody out by failing in their name; what is refused for the first two does
//! not count against the address, so that others behind it go on. Names that nobody has are counted like others.

use super::session::digest;
use crate::base::Problem;
use sqlx::PgConnection;
use std::net::IpAddr;
use std::time::Duration;
use time::OffsetDateTime;

/// How long failures are remembered.
const WINDOW: Duration = Duration::from_secs(15 * 60);
const BY_BOTH: i32 = 10;
const BY_ACCOUNT: i32 = 100;
const BY_ADDRESS: i32 = 100;

/// Who tries.
#[derive(Debug)]
pub(super) struct Tries(Vec<([u8; 32], i32)>);

impl Tries {
    /// `account` is what was typed, whether or not there is such an account.
    pub(super) fn of(account: &str, address: Option<IpAddr>) -> Self {
        let account = account.to_lowercase();
        let address = address.map(network).unwrap_or_default();
        Self(vec![
            (digest(&["both", &account, &address]), BY_BOTH),
            (digest(&["account", &account]), BY_ACCOUNT),
            (digest(&["address", &address]), BY_ADDRESS),
        ])
    }

    /// Of who brings something that cannot be guessed: only the work is bounded.
    pub(super) fn by_address(address: Option<IpAddr>) -> Self {
        Self(vec![(digest(&["address only", &address.map(network).unwrap_or_default()]), BY_ADDRESS)])
    }

    /// # Errors
    /// 429 with the time to wait.
    pub(super) async fn check(&self, conn: &mut PgConnection, now: OffsetDateTime) -> Result<(), Problem> {
        for (subject, bound) in &self.0 {
            let found: Option<(i32, OffsetDateTime)> =
                sqlx::query_as("select failures, since from sign_in_throttle where subject_hash = $1 and since > $2")
                    .bind(subject.as_slice())
                    .bind(now - WINDOW)
                    .fetch_optional(&mut *conn)
                    .await?;
            if let Some((failures, since)) = found
                && failures >= *bound
            {
                let wait = (since + WINDOW - now).try_into().unwrap_or(WINDOW);
                return Err(too_many(wait));
            }
        }
        Ok(())
    }

    /// Counts a failure.
    pub(super) async fn failed(&self, conn: &mut PgConnection, now: OffsetDateTime) -> Result<(), sqlx::Error> {
        for (subject, _) in &self.0 {
            sqlx::query(
                "insert into sign_in_throttle as t (subject_hash, failures, since) values ($1, 1, $2)
                 on conflict (subject_hash) do update
                 set failures = case when t.since > $3 then t.failures + 1 else 1 end,
                     since = case when t.since > $3 then t.since else excluded.since end",
            )
            .bind(subject.as_slice())
            .bind(now)
            .bind(now - WINDOW)
            .execute(&mut *conn)
            .await?;
        }
        Ok(())
    }

    /// Who succeeds starts anew, from this address.
    pub(super) async fn succeeded(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query("delete from sign_in_throttle where subject_hash = $1")
            .bind(self.0[0].0.as_slice())
            .execute(conn)
            .await?;
        Ok(())
    }
}

pub(super) async fn forget(conn: &mut PgConnection, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query("delete from sign_in_throttle where since <= $1").bind(now - WINDOW).execute(conn).await?;
    Ok(())
}

/// An IPv6 user has a whole /64 to choose from.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{:x}", address.to_bits() >> 64),
    }
}

fn too_many(wait: Duration) -> Problem {
    let minutes = wait.as_secs().div_ceil(60).max(1);
    Problem::new(
        http::StatusCode::TOO_MANY_REQUESTS,
        "too-many-attempts",
        "Too many attempts",
        "There were too many failed attempts to sign in.",
    )
    .with_help(format!("Wait {minutes} min and try again, or ask an administrator for a new invitation."))
    .with_retry_after(wait)
}
