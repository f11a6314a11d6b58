//! The verbs that give and take roles, and explain them.

use super::permission::{Permission, Role, Scope};
use super::role_assignment::{self, Holder, RoleAssignment};
use super::{Actor, Auth, group, service_account, user};
use crate::audit;
use crate::base::{Problem, RoleAssignmentId, UserId, WorkspaceId};
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;

/// Whom a role is given to, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HolderName {
    User(String),
    Group(String),
    ServiceAccount(String),
}

/// Whether somebody may do something somewhere, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    pub permission: Permission,
    pub allowed: bool,
    /// The role that allows it and where it holds.
    pub role: Option<(Role, Scope)>,
    /// The group through which the role is held.
    pub group: Option<String>,
    /// A role would do, but the key is not meant for it.
    pub narrowed_by_key: bool,
    /// The roles that would allow it, when none is held.
    pub needs: Vec<Role>,
}

/// Each permission at `scope`, for `actor`; pure.
#[must_use]
pub(super) fn explain(actor: &Actor, scope: Scope) -> Vec<Explained> {
    let one = |&permission: &Permission| {
        let grant = actor.grant_for(permission, scope);
        let allowed = actor.may(permission, scope);
        Explained {
            permission,
            allowed,
            role: grant.map(|grant| (grant.role, grant.scope)),
            group: grant.and_then(|grant| grant.group.as_deref().map(str::to_owned)),
            narrowed_by_key: grant.is_some() && !allowed,
            needs: if grant.is_some() { Vec::new() } else { permission.roles().collect() },
        }
    };
    Permission::ALL.iter().map(one).collect()
}

impl Auth {
    /// What the actor may do at `scope`, and why.
    #[must_use]
    pub fn explain_own(&self, actor: &Actor, scope: Scope) -> Vec<Explained> {
        explain(actor, scope)
    }

    /// What somebody else may do at `scope`, and why; for administrators there.
    ///
    /// # Errors
    /// 401 or 403; 404 when there is no such live person.
    pub async fn explain(&self, actor: &Actor, user: &str, scope: Scope) -> Result<Vec<Explained>, Problem> {
        actor.require(Permission::GovernWorkspace, scope)?;
        let missing = || Problem::not_found(format!("There is nobody named {user} here."));
        let found = user::find_by_name(&mut *self.db.read.acquire().await?, user).await?.ok_or_else(missing)?;
        let (somebody, _) = self.actor_of_user(found.user_id, self.clock.now()).await?.ok_or_else(missing)?;
        Ok(explain(&somebody, scope))
    }

    /// The roles given in a workspace and for its assets, or for the whole instance.
    ///
    /// # Errors
    /// 401 or 403 when the actor does not govern there.
    pub async fn roles(&self, actor: &Actor, workspace: Option<WorkspaceId>) -> Result<Vec<RoleAssignment>, Problem> {
        actor.require(Permission::GovernWorkspace, workspace.map_or(Scope::Instance, Scope::Workspace))?;
        Ok(role_assignment::list(&mut *self.db.read.acquire().await?, workspace).await?)
    }

    /// Gives a role; given already, its end is set anew.
    ///
    /// # Errors
    /// 401 or 403 when the actor does not govern there; 422 when there is no such holder or the end lies behind.
    pub async fn assign_role(
        &self,
        actor: &Actor,
        role: Role,
        holder: &HolderName,
        scope: Scope,
        expires_at: Option<OffsetDateTime>,
    ) -> Result<RoleAssignment, Problem> {
        actor.require(Permission::GovernWorkspace, scope)?;
        let now = self.clock.now();
        if expires_at.is_some_and(|end| end <= now) {
            return Err(Problem::invalid_field("body.expiresAt", "must lie ahead"));
        }
        let mut tx = self.db.write.begin().await?;
        let held = found(&mut tx, holder).await?;
        let by = actor.to_string();
        let id = role_assignment::upsert(&mut tx, (role, held, scope), &by, expires_at, now).await?;
        let made = role_assignment::find(&mut tx, id).await?.ok_or_else(Problem::internal)?;
        self.note_role(&mut tx, actor, "role.assign", &made).await?;
        tx.commit().await?;
        self.remembered.changed();
        Ok(made)
    }

    /// Gives a person a role in the caller's transaction, as [`Auth::assign_role`] does; after its commit
    /// [`Auth::roles_changed`] is to be called.
    ///
    /// # Errors
    /// As [`Auth::assign_role`].
    pub async fn assign_role_in(
        &self,
        conn: &mut PgConnection,
        actor: &Actor,
        (role, user, scope): (Role, UserId, Scope),
        expires_at: Option<OffsetDateTime>,
    ) -> Result<RoleAssignment, Problem> {
        actor.require(Permission::GovernWorkspace, scope)?;
        let (by, now) = (actor.to_string(), self.clock.now());
        let given = (role, Holder::User(user), scope);
        let id = role_assignment::upsert(&mut *conn, given, &by, expires_at, now).await?;
        let made = role_assignment::find(&mut *conn, id).await?.ok_or_else(Problem::internal)?;
        self.note_role(conn, actor, "role.assign", &made).await?;
        Ok(made)
    }

    /// What is remembered of credentials is asked anew: roles were given in a transaction that is committed now.
    pub fn roles_changed(&self) {
        self.remembered.changed();
    }

    /// Takes a role back.
    ///
    /// # Errors
    /// 404 when there is no such assignment where the actor governs.
    pub async fn remove_role(&self, actor: &Actor, id: RoleAssignmentId) -> Result<(), Problem> {
        if actor.is_anonymous() {
            actor.require(Permission::GovernWorkspace, Scope::Instance)?;
        }
        let missing = || Problem::not_found("There is no such role assignment.");
        let mut tx = self.db.write.begin().await?;
        let held = role_assignment::find(&mut tx, id).await?.ok_or_else(missing)?;
        if !actor.may(Permission::ReadCatalog, held.scope()) {
            return Err(missing());
        }
        actor.require(Permission::GovernWorkspace, held.scope())?;
        if !role_assignment::delete(&mut tx, id).await? {
            return Err(missing());
        }
        self.note_role(&mut tx, actor, "role.remove", &held).await?;
        tx.commit().await?;
        self.remembered.changed();
        Ok(())
    }

    async fn note_role(
        &self,
        conn: &mut PgConnection,
        actor: &Actor,
        verb: &str,
        one: &RoleAssignment,
    ) -> Result<(), Problem> {
        let name = format!("{} {}", one.holder_kind, one.holder);
        let subject = audit::Subject { name: &name, id: Some(one.role_assignment_id.0), workspace: one.workspace_id };
        let said = json!({
            "role": one.role, "holder": one.holder, "holderKind": one.holder_kind, "asset": one.asset,
            "expiresAt": one.expires_at.map(|at| at.to_string()),
        });
        let (before, after) = if verb == "role.remove" { (Some(said), None) } else { (None, Some(said)) };
        audit::record(conn, self.clock.now(), &actor.trace(), verb, subject, before, after).await?;
        Ok(())
    }

    /// Makes a person, without any role and without a way to sign in; for the program's own parts and administrators.
    ///
    /// # Errors
    /// 401 or 403; 409 when the name is taken.
    pub async fn create_user(
        &self,
        actor: &Actor,
        name: &str,
        display_name: &str,
        email: Option<&str>,
    ) -> Result<user::User, Problem> {
        actor.require(Permission::ManageInstance, Scope::Instance)?;
        let now = self.clock.now();
        let mut tx = self.db.write.begin().await?;
        let made = user::insert(&mut tx, name, display_name, email, now).await?;
        let made = made.ok_or_else(|| Problem::conflict("name-taken", format!("There is somebody named {name}.")))?;
        self.note_person(&mut tx, actor, "user.create", &made.name, made.user_id).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// The service account of this name, for those who manage its keys.
    ///
    /// # Errors
    /// 404 when there is none they manage.
    pub async fn service_account(&self, actor: &Actor, name: &str) -> Result<service_account::ServiceAccount, Problem> {
        if actor.is_anonymous() {
            actor.require(Permission::ManageKeys, Scope::Instance)?;
        }
        let found = service_account::find_by_name(&mut *self.db.read.acquire().await?, name).await?;
        found
            .filter(|one| actor.may(Permission::ManageKeys, one.workspace_id.map_or(Scope::Instance, Scope::Workspace)))
            .ok_or_else(|| Problem::not_found(format!("There is no service account {name} whose keys you manage.")))
    }

    pub(super) async fn note_person(
        &self,
        conn: &mut PgConnection,
        actor: &Actor,
        verb: &str,
        name: &str,
        id: UserId,
    ) -> Result<(), Problem> {
        let subject = audit::Subject { name, id: Some(id.0), workspace: None };
        audit::record(conn, self.clock.now(), &actor.trace(), verb, subject, None, None).await?;
        Ok(())
    }
}

async fn found(conn: &mut PgConnection, name: &HolderName) -> Result<Holder, Problem> {
    let (found, what, name) = match name {
        HolderName::User(name) => {
            (user::find_by_name(conn, name).await?.map(|one| Holder::User(one.user_id)), "user", name)
        }
        HolderName::Group(name) => {
            (group::find_by_name(conn, name).await?.map(|one| Holder::Group(one.group_id)), "group", name)
        }
        HolderName::ServiceAccount(name) => {
            let found = service_account::find_by_name(conn, name).await?;
            (found.map(|one| Holder::ServiceAccount(one.service_account_id)), "service account", name)
        }
    };
    found.ok_or_else(|| Problem::invalid_field("body.holder", format!("there is no {what} named {name}")))
}
