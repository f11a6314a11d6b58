//! Who is asking, as the service sees it, and what it may do.

use super::keys::scopes_told;
use crate::auth::{Actor, Auth, Explained, Permission, Role, Scope};
use crate::base::{AssetId, Problem, WorkspaceId};
use crate::catalog::{Catalog, Workspace};
use crate::door::{Caller, Failure, Query};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Who is asking.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// `anonymous`, or what sort of actor it is and its name, with the key it came with.
    actor: String,
    anonymous: bool,
    /// The name under which others know you.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    groups: Vec<String>,
    roles: Vec<HeldRole>,
    /// What the key you came with may be used for; empty for everything you may do.
    scopes: Vec<String>,
    sight: Seen,
}

/// A role and where it holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeldRole {
    role: Role,
    /// Everywhere where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace: Option<String>,
    /// For one asset of the workspace only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    asset: Option<AssetId>,
    /// The group through which it is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
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
    /// What is shared with these groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
}

/// A permission, whether you have it, and why or what is missing.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedPermission {
    permission: Permission,
    allowed: bool,
    /// The role because of which it is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<HeldRole>,
    /// A role would do, but the key is not meant for it.
    narrowed_by_key: bool,
    /// The roles that would allow it; empty when one is held.
    needs: Vec<Role>,
}

/// What somebody may do in a place.
#[derive(Debug, Serialize, ToSchema)]
pub struct Permissions {
    /// `instance`, a workspace, or `workspace/asset`.
    at: String,
    permissions: Vec<ExplainedPermission>,
}

/// Where a permission is asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PlaceQuery {
    /// For this asset: the workspace's name, a slash and its name.
    #[param(max_length = 300)]
    pub asset: Option<String>,
    /// In this workspace; everywhere where neither is said.
    #[param(max_length = 200)]
    pub workspace: Option<String>,
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
        .map(|grant| HeldRole::at(grant.role, grant.scope, grant.group.as_deref(), &known))
        .collect();
    Ok(axum::Json(Me {
        actor: caller.to_string(),
        anonymous: caller.is_anonymous(),
        name: caller.name().map(str::to_owned),
        groups: caller.groups().to_vec(),
        roles,
        scopes: scopes_told(caller.key_scopes().iter().map(ToString::to_string), &known),
        sight: Seen {
            everything: sight.everything,
            internal: sight.internal,
            workspaces: sight.workspaces.iter().copied().filter_map(name_of).collect(),
            groups: sight.groups.clone(),
        },
    }))
}

/// Tells what you may do everywhere, in a workspace or with an asset, because of which role, and which one is missing.
#[utoipa::path(
    get, path = "/api/v1/me/permissions", operation_id = "explainOwnPermissions", tag = "keys", params(PlaceQuery),
    responses((status = 200, description = "Each permission.", body = Permissions)),
)]
pub async fn permissions(
    State(catalog): State<Catalog>,
    State(auth): State<Auth>,
    caller: Caller,
    Query(query): Query<PlaceQuery>,
) -> Result<axum::Json<Permissions>, Failure> {
    let (scope, at) = place(&catalog, &caller, &query).await?;
    let known = catalog.workspaces(&caller).await?;
    Ok(axum::Json(Permissions::of(at, auth.explain_own(&caller, scope), &known)))
}

/// The scope a query asks about, and its name.
///
/// # Errors
/// 404 when the actor may not know of the place; 422 when the asset's name has no slash.
pub async fn place(catalog: &Catalog, actor: &Actor, query: &PlaceQuery) -> Result<(Scope, String), Failure> {
    match (&query.asset, &query.workspace) {
        (Some(asset), _) => {
            let (workspace, name) = asset.split_once('/').ok_or_else(|| {
                Failure(Problem::invalid_field("query.asset", "say workspace/name, like payments/refunds"))
            })?;
            let found = catalog.find(actor, workspace, name).await?.asset;
            Ok((found.scope(), format!("{workspace}/{name}")))
        }
        (None, Some(workspace)) => {
            let found = catalog.workspace(actor, workspace).await?;
            Ok((Scope::Workspace(found.workspace_id), workspace.clone()))
        }
        (None, None) => Ok((Scope::Instance, "instance".to_owned())),
    }
}

impl Permissions {
    #[must_use]
    pub fn of(at: String, explained: Vec<Explained>, known: &[Workspace]) -> Self {
        let one = |one: Explained| ExplainedPermission {
            permission: one.permission,
            allowed: one.allowed,
            because: one.role.map(|(role, scope)| HeldRole::at(role, scope, one.group.as_deref(), known)),
            narrowed_by_key: one.narrowed_by_key,
            needs: one.needs,
        };
        Self { at, permissions: explained.into_iter().map(one).collect() }
    }
}

impl HeldRole {
    fn at(role: Role, scope: Scope, group: Option<&str>, known: &[Workspace]) -> Self {
        let name_of = |id: WorkspaceId| known.iter().find(|one| one.workspace_id == id).map(|one| one.name.to_string());
        Self {
            role,
            workspace: scope.workspace().and_then(name_of),
            asset: match scope {
                Scope::Asset(_, asset) => Some(asset),
                _ => None,
            },
            group: group.map(str::to_owned),
        }
    }
}
