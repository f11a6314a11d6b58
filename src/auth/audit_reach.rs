//! Whose lines of what stands on record an actor may read: of the audit record, and of the prompts that are kept.

use super::{Actor, Permission, Scope};
use crate::audit::Reach;
use crate::base::Problem;

impl Actor {
    /// Everything, or the workspaces whose lines the actor may read.
    ///
    /// # Errors
    /// 401 or 403 when none.
    pub fn audit_reach(&self) -> Result<Reach, Problem> {
        if self.may(Permission::ReadAudit, Scope::Instance) {
            return Ok(Reach::Everything);
        }
        let scopes = self.grants().iter().filter_map(|grant| match grant.scope {
            Scope::Workspace(id) if self.may(Permission::ReadAudit, grant.scope) => Some(id),
            _ => None,
        });
        let workspaces: Vec<_> = scopes.collect();
        if workspaces.is_empty() {
            self.require(Permission::ReadAudit, Scope::Instance)?;
        }
        Ok(Reach::Workspaces(workspaces))
    }
}
