//! Who is asking, as the service sees it.

use crate::auth::{Identity, Role, Scope};
use crate::catalog::Catalog;
use crate::door::{Caller, Failure};
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

/// Who is asking.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// `anonymous`, or `key` and its name.
    actor: String,
    anonymous: bool,
    roles: Vec<HeldRole>,
    sight: Seen,
}

/// A role and where it holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeldRole {
    role: Role,
    /// Everywhere where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace: Option<String>,
}

/// What the asker may see besides public assets.
#[derive(Debug, Serialize, ToSchema)]
pub struct Seen {
    /// All there is.
    everything: bool,
    /// Internal assets of every workspace.
    internal: bool,
    /// Private assets of these workspaces.
    workspaces: Vec<String>,
}

/// Tells who you are, which roles you hold and what you may see.
#[utoipa::path(
    get, path = "/api/v1/me", operation_id = "getMe", tag = "keys",
    responses((status = 200, description = "You.", body = Me)),
)]
pub async fn find(State(catalog): State<Catalog>, caller: Caller) -> Result<axum::Json<Me>, Failure> {
    let known = catalog.workspaces(&caller).await?;
    let name_of = |id| known.iter().find(|one| one.workspace_id == id).map(|one| one.name.to_string());
    let sight = caller.sight();
    let roles = caller
        .grants()
        .iter()
        .map(|grant| HeldRole {
            role: grant.role,
            workspace: match grant.scope {
                Scope::Workspace(id) => name_of(id),
                Scope::Instance => None,
            },
        })
        .collect();
    Ok(axum::Json(Me {
        actor: caller.to_string(),
        anonymous: caller.identity == Identity::Anonymous,
        roles,
        sight: Seen {
            everything: sight.everything,
            internal: sight.internal,
            workspaces: sight.workspaces.into_iter().filter_map(name_of).collect(),
        },
    }))
}
