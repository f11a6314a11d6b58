//! Who may look after the gateway, and who may call it. Pure.

use crate::auth::{Actor, Permission, Scope};
use crate::base::Problem;
use crate::gateway::settings::{Book, Owner};

/// What somebody wants with settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    Read,
    Manage,
}

impl Right {
    /// Members of a workspace see how it is served; what belongs to the instance is for those who look after it.
    fn permission(self, owner: &Owner) -> Permission {
        match (self, owner) {
            (Self::Read, Owner::Workspace { .. }) => Permission::ReadCatalog,
            (Self::Read, Owner::Instance) => Permission::ManageGateway,
            (Self::Manage, _) => Permission::ManageGateway,
        }
    }
}

fn scope(owner: &Owner) -> Scope {
    owner.workspace_id().map_or(Scope::Instance, Scope::Workspace)
}

pub(super) fn may(actor: &Actor, owner: &Owner, right: Right) -> bool {
    actor.may(right.permission(owner), scope(owner))
}

/// # Errors
/// 401, 403 when the actor may do this nowhere.
pub(super) fn require_somewhere(actor: &Actor, right: Right) -> Result<(), Problem> {
    let permission = match right {
        Right::Read => Permission::ReadCatalog,
        Right::Manage => Permission::ManageGateway,
    };
    Ok(actor.require_somewhere(permission)?)
}

/// # Errors
/// 401, 403 for who does not look after the instance's gateway.
pub(super) fn require_instance(actor: &Actor) -> Result<(), Problem> {
    Ok(actor.require(Right::Manage.permission(&Owner::Instance), Scope::Instance)?)
}

/// The owner of this name, when the actor may do this there.
///
/// # Errors
/// 404 for a workspace the actor does not belong to, as for one that is not there; 401, 403.
pub(super) fn owner(book: &Book, actor: &Actor, workspace: Option<&str>, right: Right) -> Result<Owner, Problem> {
    if actor.is_anonymous() {
        require_somewhere(actor, right)?;
    }
    let missing = || Problem::not_found(format!("There is no workspace {:?}.", workspace.unwrap_or_default()));
    let owner = book.owner(workspace).ok_or_else(missing)?;
    if owner != Owner::Instance && !may(actor, &owner, Right::Read) {
        return Err(missing());
    }
    actor.require(right.permission(&owner), scope(&owner))?;
    Ok(owner)
}
