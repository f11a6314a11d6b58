//! The verbs that look after people, groups and service accounts.

use super::group::{self, Group, LOCAL};
use super::invitation::{self, InvitationToken};
use super::permission::{Permission, Scope};
use super::service_account::{self, ServiceAccount};
use super::session::{self, SessionHolder};
use super::user::{self, User};
use super::{Actor, Auth};
use crate::audit;
use crate::base::{Limit, Problem, ServiceAccountId, WorkspaceId};
use serde_json::{Value, json};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// A link that was just made; its token is in no later answer.
#[derive(Debug)]
pub struct Invited {
    pub user: User,
    pub token: InvitationToken,
    pub expires_at: OffsetDateTime,
}

/// Whom to invite.
#[derive(Clone, Debug, Default)]
pub struct NewUser {
    pub name: String,
    pub display_name: String,
    pub email: Option<String>,
    /// Local groups to put them in.
    pub groups: Vec<String>,
}

/// A service account to make.
#[derive(Clone, Debug, Default)]
pub struct NewServiceAccount {
    pub name: String,
    pub description: String,
    /// Whose administrators look after it; none for those of the instance.
    pub workspace: Option<WorkspaceId>,
    /// Issuer and subject of tokens it may come with.
    pub subject: Option<(String, String)>,
}

pub(super) fn nobody(name: &str) -> Problem {
    Problem::not_found(format!("There is nobody named {name} here."))
}

fn no_group(name: &str) -> Problem {
    Problem::not_found(format!("There is no group named {name}."))
}

/// Names of people, groups and service accounts: they stand in owners, in addresses and in the audit record.
fn check_name(name: &str) -> Result<(), Problem> {
    let is_inner = |c: char| c.is_alphanumeric() || "._@:-".contains(c);
    let ends_well = name.starts_with(char::is_alphanumeric) && name.ends_with(char::is_alphanumeric);
    if (1..=100).contains(&name.chars().count()) && ends_well && name.chars().all(is_inner) {
        return Ok(());
    }
    Err(Problem::invalid_field("body.name", "use 1 to 100 letters, digits and inner '.', '_', '-', '@' or ':'"))
}

fn check_text(field: &str, text: &str, longest: usize) -> Result<(), Problem> {
    if text.chars().count() <= longest && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Problem::invalid_field(format!("body.{field}"), format!("must be one line of at most {longest} characters")))
}

fn check_email(email: Option<&str>) -> Result<(), Problem> {
    let plain = |email: &str| {
        email.len() <= 320
            && email
                .split_once('@')
                .is_some_and(|(local, host)| !local.is_empty() && host.len() > 1 && !host.contains('@'))
            && !email.chars().any(|c| c.is_whitespace() || c.is_control())
    };
    match email {
        Some(email) if !plain(email) => Err(Problem::invalid_field("body.email", "is no address of mail")),
        _ => Ok(()),
    }
}

impl Auth {
    fn look_after(&self, actor: &Actor) -> Result<(), Problem> {
        Ok(actor.require(Permission::ManageInstance, Scope::Instance)?)
    }

    /// People by name, after the one named `after`; for administrators.
    ///
    /// # Errors
    /// 401 or 403.
    pub async fn users(&self, actor: &Actor, after: Option<&str>, limit: Limit) -> Result<Vec<User>, Problem> {
        self.look_after(actor)?;
        Ok(user::list(&mut *self.db.read.acquire().await?, after, i64::try_from(limit.0).unwrap_or(i64::MAX)).await?)
    }

    /// One person with the names of their groups; for administrators and for themselves.
    ///
    /// # Errors
    /// 404 when there is nobody of this name the actor may know of.
    pub async fn user(&self, actor: &Actor, name: &str) -> Result<(User, Vec<String>), Problem> {
        let mut conn = self.db.read.acquire().await?;
        let found = user::find_by_name(&mut conn, name).await?.ok_or_else(|| nobody(name))?;
        if actor.user() != Some(found.user_id) {
            self.look_after(actor)?;
        }
        let groups = group::names_of(&mut conn, found.user_id).await?;
        Ok((found, groups))
    }

    /// Makes a local user and the link by which they choose a password; for one who is there, a new link, which also
    /// serves who forgot the password.
    ///
    /// # Errors
    /// 401 or 403; 409 when the name is of somebody who signs in elsewhere or was disabled; 422 for a name that is none
    /// or a group that is not there.
    pub async fn invite(&self, actor: &Actor, new: NewUser) -> Result<Invited, Problem> {
        self.look_after(actor)?;
        check_name(&new.name)?;
        check_text("displayName", &new.display_name, 200)?;
        check_email(new.email.as_deref())?;
        let now = self.clock.now();
        let mut tx = self.db.write.begin().await?;
        let made = user::insert(&mut tx, &new.name, &new.display_name, new.email.as_deref(), now).await?;
        let invited = match made {
            Some(made) => made,
            None => {
                let found = user::find_by_name(&mut tx, &new.name).await?.ok_or_else(|| nobody(&new.name))?;
                if found.disabled_at.is_some() {
                    return Err(Problem::conflict("account-disabled", format!("{} is disabled.", found.name))
                        .with_help("Enable the account first."));
                }
                if user::is_linked(&mut tx, found.user_id).await? {
                    return Err(Problem::conflict(
                        "name-taken",
                        format!("{} signs in with an identity provider and needs no invitation.", found.name),
                    ));
                }
                found
            }
        };
        for name in &new.groups {
            let found = group::find_by_name(&mut tx, name).await?.filter(|group| group.source == LOCAL);
            let found = found.ok_or_else(|| {
                Problem::invalid_field("body.groups", format!("there is no local group named {name}"))
            })?;
            group::add_member(&mut tx, found.group_id, invited.user_id, now).await?;
        }
        let token = InvitationToken::generate();
        let expires_at = invitation::insert(&mut tx, &token, invited.user_id, &actor.to_string(), now).await?;
        self.note_person(&mut tx, actor, "user.invite", &invited.name, invited.user_id).await?;
        tx.commit().await?;
        self.remembered.changed();
        Ok(Invited { user: invited, token, expires_at })
    }

    /// Ends what somebody may do, with every session and invitation, or lets them in again.
    ///
    /// # Errors
    /// 401 or 403; 404; 409 for oneself.
    pub async fn set_user_disabled(&self, actor: &Actor, name: &str, is_disabled: bool) -> Result<User, Problem> {
        self.look_after(actor)?;
        let now = self.clock.now();
        let mut tx = self.db.write.begin().await?;
        let found = user::find_by_name(&mut tx, name).await?.ok_or_else(|| nobody(name))?;
        if is_disabled && actor.user() == Some(found.user_id) {
            return Err(Problem::conflict("own-account", "You cannot disable yourself; another administrator can."));
        }
        let changed = user::set_disabled(&mut tx, found.user_id, is_disabled.then_some(now), now).await?;
        if changed {
            if is_disabled {
                session::end_all(&mut tx, SessionHolder::User(found.user_id), now).await?;
                invitation::end_all(&mut tx, found.user_id, now).await?;
            }
            let verb = if is_disabled { "user.disable" } else { "user.enable" };
            self.note_person(&mut tx, actor, verb, &found.name, found.user_id).await?;
        }
        let found = user::find(&mut tx, found.user_id).await?.ok_or_else(|| nobody(name))?;
        tx.commit().await?;
        self.remembered.changed();
        Ok(found)
    }

    /// Every group; anybody who is signed in may know which there are, since assets are shared with them.
    ///
    /// # Errors
    /// 401 for anonymous callers.
    pub async fn groups(&self, actor: &Actor) -> Result<Vec<Group>, Problem> {
        if actor.is_anonymous() {
            return Err(Problem::unauthenticated("Groups are listed for who is signed in."));
        }
        Ok(group::list(&mut *self.db.read.acquire().await?).await?)
    }

    /// A group and the names of its members; for administrators.
    ///
    /// # Errors
    /// 401 or 403; 404.
    pub async fn group(&self, actor: &Actor, name: &str) -> Result<(Group, Vec<String>), Problem> {
        self.look_after(actor)?;
        let mut conn = self.db.read.acquire().await?;
        let found = group::find_by_name(&mut conn, name).await?.ok_or_else(|| no_group(name))?;
        let members = group::members_of(&mut conn, found.group_id).await?;
        Ok((found, members))
    }

    /// Makes a local group.
    ///
    /// # Errors
    /// 401 or 403; 409 when the name is or was taken; 422.
    pub async fn create_group(&self, actor: &Actor, name: &str, title: &str) -> Result<Group, Problem> {
        self.look_after(actor)?;
        check_name(name)?;
        check_text("title", title, 200)?;
        let mut tx = self.db.write.begin().await?;
        let taken =
            || Problem::conflict("name-taken", format!("There is or was a group named {name}; choose another name."));
        let now = self.clock.now();
        let id = group::insert(&mut tx, name, title, LOCAL, None, now).await?.ok_or_else(taken)?;
        self.note_thing(&mut tx, actor, "group.create", (name, id.0, None), json!({"title": title})).await?;
        let made = group::find_by_name(&mut tx, name).await?.ok_or_else(|| no_group(name))?;
        tx.commit().await?;
        Ok(made)
    }

    /// Deletes a group; its roles and what is shared with it go with it, its name stays taken.
    ///
    /// # Errors
    /// 401 or 403; 404.
    pub async fn delete_group(&self, actor: &Actor, name: &str) -> Result<(), Problem> {
        self.look_after(actor)?;
        let mut tx = self.db.write.begin().await?;
        let found = group::find_by_name(&mut tx, name).await?.ok_or_else(|| no_group(name))?;
        group::delete(&mut tx, found.group_id, self.clock.now()).await?;
        self.note_thing(&mut tx, actor, "group.delete", (name, found.group_id.0, None), json!({})).await?;
        tx.commit().await?;
        self.remembered.changed();
        Ok(())
    }

    /// Puts somebody into a local group, or takes them out.
    ///
    /// # Errors
    /// 401 or 403; 404; 409 for a group whose members an identity provider names.
    pub async fn set_member(&self, actor: &Actor, name: &str, member: &str, is_member: bool) -> Result<(), Problem> {
        self.look_after(actor)?;
        let now = self.clock.now();
        let mut tx = self.db.write.begin().await?;
        let found = group::find_by_name(&mut tx, name).await?.ok_or_else(|| no_group(name))?;
        if found.source != LOCAL {
            let source = &found.source;
            let problem = Problem::conflict("group-not-local", format!("{source} says who is in {name}."));
            return Err(problem.with_help("Change the group at the identity provider, or make a local one."));
        }
        let person = user::find_by_name(&mut tx, member).await?.ok_or_else(|| nobody(member))?;
        let changed = if is_member {
            group::add_member(&mut tx, found.group_id, person.user_id, now).await?
        } else {
            group::remove_member(&mut tx, found.group_id, person.user_id).await?
        };
        if changed {
            let verb = if is_member { "group.add" } else { "group.remove" };
            let said = json!({"member": person.name});
            self.note_thing(&mut tx, actor, verb, (name, found.group_id.0, None), said).await?;
        }
        tx.commit().await?;
        self.remembered.changed();
        Ok(())
    }

    /// Service accounts of a workspace, or all whose keys the actor manages.
    ///
    /// # Errors
    /// 401 or 403 for who does not manage keys there.
    pub async fn service_accounts(
        &self,
        actor: &Actor,
        workspace: Option<WorkspaceId>,
    ) -> Result<Vec<ServiceAccount>, Problem> {
        match workspace {
            Some(workspace) => actor.require(Permission::ManageKeys, Scope::Workspace(workspace))?,
            None => actor.require_somewhere(Permission::ManageKeys)?,
        }
        let mut found = service_account::list(&mut *self.db.read.acquire().await?, workspace).await?;
        let scope = |one: &ServiceAccount| one.workspace_id.map_or(Scope::Instance, Scope::Workspace);
        found.retain(|one| actor.may(Permission::ManageKeys, scope(one)));
        Ok(found)
    }

    /// Makes a service account, without roles and keys.
    ///
    /// # Errors
    /// 401 or 403; 409 when the name or the subject is taken; 422, also for an issuer that is not configured.
    pub async fn create_service_account(
        &self,
        actor: &Actor,
        new: NewServiceAccount,
    ) -> Result<ServiceAccount, Problem> {
        let scope = new.workspace.map_or(Scope::Instance, Scope::Workspace);
        actor.require(Permission::ManageKeys, scope)?;
        check_name(&new.name)?;
        check_text("description", &new.description, 1_000)?;
        if let Some((issuer, subject)) = &new.subject {
            // Whoever may name a subject says who may act as the account: for the whole instance's providers that is an
            // administrator's to say.
            self.look_after(actor)?;
            if !self.sign_in.providers.iter().any(|provider| provider.settings.issuer.as_str() == issuer) {
                return Err(Problem::invalid_field("body.issuer", "is no issuer of the settings"));
            }
            if !(1..=255).contains(&subject.len()) {
                return Err(Problem::invalid_field("body.subject", "must have 1 to 255 characters"));
            }
        }
        let now = self.clock.now();
        let mut tx = self.db.write.begin().await?;
        let made = service_account::insert(&mut tx, &new.name, &new.description, new.workspace, now).await?;
        let taken = |what: String| Problem::conflict("name-taken", what);
        let made = made.ok_or_else(|| taken(format!("There is a service account named {}.", new.name)))?;
        if let Some((issuer, subject)) = &new.subject
            && !service_account::set_subject(&mut tx, made.service_account_id, issuer, subject).await?
        {
            return Err(taken("Another service account comes with this subject already.".to_owned()));
        }
        let said = json!({"subject": new.subject.map(|(issuer, subject)| format!("{subject} at {issuer}"))});
        let about = (made.name.as_str(), made.service_account_id.0, made.workspace_id);
        self.note_thing(&mut tx, actor, "service-account.create", about, said).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// Ends what a service account may do, with all its keys, or lets it work again.
    ///
    /// # Errors
    /// 404 when there is none the actor manages.
    pub async fn set_service_account_disabled(
        &self,
        actor: &Actor,
        name: &str,
        is_disabled: bool,
    ) -> Result<ServiceAccount, Problem> {
        let found = self.service_account(actor, name).await?;
        let now = self.clock.now();
        let id: ServiceAccountId = found.service_account_id;
        let mut tx = self.db.write.begin().await?;
        if service_account::set_disabled(&mut tx, id, is_disabled.then_some(now)).await? {
            let verb = if is_disabled { "service-account.disable" } else { "service-account.enable" };
            self.note_thing(&mut tx, actor, verb, (&found.name, id.0, found.workspace_id), json!({})).await?;
        }
        let found = service_account::find(&mut tx, id).await?.ok_or_else(Problem::internal)?;
        tx.commit().await?;
        self.remembered.changed();
        Ok(found)
    }

    async fn note_thing(
        &self,
        conn: &mut PgConnection,
        actor: &Actor,
        verb: &str,
        (name, id, workspace): (&str, Uuid, Option<WorkspaceId>),
        said: Value,
    ) -> Result<(), Problem> {
        let subject = audit::Subject { name, id: Some(id), workspace };
        audit::record(conn, self.clock.now(), &actor.trace(), verb, subject, None, Some(said)).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_can_stand_in_an_address() {
        for good in ["anna", "anna.smith", "a", "anna@example.com", "oidc:platform", "Änne-2"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", " anna", "anna smith", "-a", "a/b", "<b>", "a\u{202e}b", &"x".repeat(101)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_of_mail_are_looked_at_roughly() {
        assert!(check_email(Some("anna@example.com")).is_ok() && check_email(None).is_ok());
        for bad in ["anna", "@x", "a@", "a b@example.com", "a@b@c"] {
            assert!(check_email(Some(bad)).is_err(), "{bad}");
        }
    }
}
