//! Workspaces: which there are, and what each keeps.

use super::changes::{self, Row};
use super::layout::{Layout, Place, page};
use super::{markdown, ways_in, words};
use crate::auth::{Actor, Permission, Scope};
use crate::base::{Limit, Problem};
use crate::catalog::{ApprovalSettings, Card, CardFilter, Catalog, Environment, MetadataSchema, Workspace};
use crate::door::{Failure, Path};
use crate::search::{Request, Search};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use std::collections::HashMap;

/// The path of a workspace's page.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub workspace: String,
}

/// How many workspaces the list shows: the search narrows further.
const MOST: usize = 100;
const ASSETS: usize = 12;

#[derive(Template)]
#[template(path = "workspaces.html")]
struct Workspaces {
    layout: Layout,
    workspaces: Vec<Workspace>,
    /// How many assets of each the actor may see; absent where the search does not know it.
    counts: HashMap<String, u64>,
    total: usize,
}

/// `GET /workspaces`.
pub(super) async fn list(
    layout: Layout,
    State(catalog): State<Catalog>,
    State(search): State<Search>,
) -> Result<Response, Failure> {
    let mut workspaces = catalog.workspaces(&layout.actor).await?;
    let counts = counts(&search, &layout.actor).await?;
    let total = workspaces.len();
    workspaces.truncate(MOST);
    page(&Workspaces { layout: layout.at(Place::Workspaces), workspaces, counts, total })
}

async fn counts(search: &Search, actor: &Actor) -> Result<HashMap<String, u64>, Problem> {
    let answer = search.find(actor, &Request { limit: Limit(1), ..Request::default() }).await?;
    let facet = answer.facets.into_iter().find(|facet| facet.name == "workspace");
    Ok(facet.map(|facet| facet.values).unwrap_or_default().into_iter().map(|one| (one.value, one.count)).collect())
}

#[derive(Template)]
#[template(path = "workspace.html")]
struct Page {
    layout: Layout,
    workspace: Workspace,
    description: String,
    assets: Vec<Card>,
    total: u64,
    environments: Vec<Environment>,
    fields: Vec<MetadataSchema>,
    changes: Vec<Row>,
    may_write: bool,
    may_govern: bool,
    may_audit: bool,
    /// Which approval is asked for; absent for those who may not know the workspace from within.
    approval: Option<ApprovalSettings>,
    may_set_approval: bool,
    /// Requests that wait here, for those who know the workspace from within.
    waiting: i64,
    /// The base address of the MCP registry API of this workspace alone.
    registry: String,
    vscode_registry: String,
}

impl Page {
    /// Whether any environment says what serves there.
    fn names_servers(&self) -> bool {
        self.environments.iter().any(|environment| !environment.server_type.is_empty())
    }
}

/// `GET /workspaces/{workspace}`.
pub(super) async fn show(
    layout: Layout,
    Path(Named { workspace }): Path<Named>,
    State(catalog): State<Catalog>,
) -> Result<Response, Failure> {
    let actor = &layout.actor;
    let workspace = catalog.workspace(actor, &workspace).await?;
    let name = workspace.name.as_str();
    let filter = CardFilter { workspace: Some(name.to_owned()), ..CardFilter::default() };
    let assets = catalog.list(actor, &filter, None, Limit(ASSETS)).await?;
    let environments = catalog.environments(actor, name).await?;
    let fields = catalog.metadata_schemas(actor, name).await?;
    let changes = changes::newest(&catalog, actor, Some(name), 5).await?;
    let may_govern = actor.may(Permission::GovernWorkspace, Scope::Workspace(workspace.workspace_id));
    let may_audit = actor.may(Permission::ReadAudit, Scope::Workspace(workspace.workspace_id));
    let may_write = actor.may(Permission::WriteCatalog, Scope::Workspace(workspace.workspace_id));
    let inside = actor.may(Permission::ReadCatalog, Scope::Workspace(workspace.workspace_id));
    let approval = if inside { Some(catalog.approval_settings(actor, name).await?) } else { None };
    let waiting = catalog.approvals_waiting_in(actor, workspace.workspace_id).await?;
    let may_set_approval = super::approvals::may_set(&layout, workspace.workspace_id);
    let registry = layout.public_url.join(&format!("/workspaces/{name}"));
    page(&Page {
        description: markdown::render(&workspace.description),
        total: assets.total.unwrap_or(assets.items.len() as u64),
        assets: assets.items,
        layout: layout.at(Place::Workspaces),
        workspace,
        environments,
        fields,
        changes,
        may_write,
        may_govern,
        may_audit,
        approval,
        may_set_approval,
        waiting,
        vscode_registry: ways_in::vscode_registry(&registry),
        registry,
    })
}
