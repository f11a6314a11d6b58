//! Signing in for the first time, by the link of an invitation.

use super::{Begun, Person};
use crate::auth::session::{self, Browser, SessionHolder};
use crate::auth::{Auth, invitation, password, user};
use crate::base::{Problem, Sealed};

impl Auth {
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
}

fn used_up() -> Problem {
    Problem::not_found("This invitation does not hold: it was used, replaced by another, or is older than a week.")
        .with_kind("invitation-not-live")
        .with_help("Ask whoever invited you for a new one; if you have chosen a password already, sign in with it.")
}
