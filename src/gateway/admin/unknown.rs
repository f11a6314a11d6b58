//! Names in the conditions of policies that nobody here has. Whoever has one may come yet, as people do who sign in for the
//! first time; more often it is a slip, and the policy never applies.

use super::super::settings::{Book, Finding, Owner, Settings, check};
use super::Gateway;
use sqlx::PgConnection;

/// Keys, and who may call with one or without: a condition on keys or on users is met by each of them.
const CALLERS: &str = "
    select named from unnest($1::text[]) as named
    where not exists (select from api_key where name = named and revoked_at is null)
      and not exists (select from user_account where name = named and disabled_at is null)
      and not exists (select from service_account where name = named and disabled_at is null)";
const GROUPS: &str = "
    select named from unnest($1::text[]) as named
    where not exists (select from user_group where name = named and deleted_at is null)";

impl Gateway {
    /// Everything that is wrong with a book, and what it is warned of, with what the database alone knows.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn findings(&self, conn: &mut PgConnection, book: &Book) -> Result<Vec<Finding>, sqlx::Error> {
        let mut findings = check(book, &self.inner.egress);
        findings.extend(of_nobody(conn, book).await?);
        Ok(findings)
    }
}

/// Of the instance's policies alone: who looks after a workspace is not told who there is elsewhere.
async fn of_nobody(conn: &mut PgConnection, book: &Book) -> Result<Vec<Finding>, sqlx::Error> {
    let mut findings = Vec::new();
    for thing in book.things.iter().filter(|thing| thing.owner == Owner::Instance) {
        let Settings::Policy(policy) = &thing.settings else { continue };
        let when = &policy.when;
        for (path, what, names, statement) in [
            ("when.keys", "key", &when.keys, CALLERS),
            ("when.users", "person or service account", &when.users, CALLERS),
            ("when.groups", "group", &when.groups, GROUPS),
        ] {
            if names.is_empty() {
                continue;
            }
            let unknown: Vec<String> = sqlx::query_scalar(statement).bind(names).fetch_all(&mut *conn).await?;
            findings.extend(unknown.into_iter().map(|name| Finding {
                section: thing.section(),
                owner: thing.owner.clone(),
                name: thing.name.clone(),
                path: path.to_owned(),
                message: format!("there is no {what} {name} here"),
                is_error: false,
            }));
        }
    }
    Ok(findings)
}
