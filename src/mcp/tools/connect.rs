//! `connect`: how a client uses an MCP server, how an API is called.

use super::super::answer::{Found, Sorry};
use super::{Asked, target};
use crate::base::Limit;
use crate::catalog::connect::{self, Client, ConnectOption, Need, Step, curl};
use crate::catalog::{Kind, VersionDetail};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Name of the asset, or its catalog:// address.
    name: String,
    /// Its workspace; needed only where several have an asset of this name.
    #[serde(default)]
    workspace: Option<String>,
    /// Which version; the latest unless told.
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    #[schemars(schema_with = "client_schema")]
    client: Option<Client>,
    /// For an API: the operation to call; the first few unless told.
    #[serde(default)]
    operation: Option<String>,
}

fn client_schema(_: &mut SchemaGenerator) -> Schema {
    let clients = Client::ALL.map(Client::as_str);
    json_schema!({
        "type": "string", "enum": clients,
        "description": "For an MCP server: the client to configure; `json`, which suits most, unless told.",
    })
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Connections {
    workspace: String,
    name: String,
    kind: String,
    version: String,
    /// The client the steps are for.
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    /// Ways to reach an MCP server: pick one.
    #[serde(rename = "options")]
    ways: Vec<Way>,
    /// Where it runs.
    addresses: Vec<String>,
    /// How to call an API.
    requests: Vec<Call>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Way {
    label: String,
    /// Whether it runs on the user's machine.
    is_local: bool,
    /// What the user has to fill in: written `<name>`, or held by the environment variable.
    needs: Vec<Need>,
    /// What may be set besides.
    optional: Vec<Need>,
    /// Empty when this client cannot use the server this way.
    steps: Vec<Step>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Call {
    operation: String,
    curl: String,
}

/// Requests shown when no operation is named.
const SOME: usize = 3;

pub(super) async fn call(asked: &Asked<'_>, arguments: Arguments) -> Result<Found, Sorry> {
    let (workspace, name) = target::find(asked, arguments.workspace.as_deref(), &arguments.name).await?;
    let version = arguments.version.as_deref().unwrap_or("latest");
    let path = (workspace.as_str(), name.as_str(), version);
    let detail = asked.handles.catalog.version(&asked.actor, path).await?;
    let mut connections = Connections {
        workspace: detail.asset.workspace.clone(),
        name: detail.asset.name.to_string(),
        kind: detail.asset.kind.to_string(),
        version: detail.version.name.clone(),
        client: None,
        ways: Vec::new(),
        addresses: detail.deployments.iter().filter(|one| one.is_active).map(|one| one.url.clone()).collect(),
        requests: Vec::new(),
    };
    if detail.asset.kind == Kind::Mcp {
        let client = arguments.client.unwrap_or(Client::Json);
        let document = asked.handles.catalog.server_document(&asked.actor, path).await?.unwrap_or_default();
        let document = serde_json::from_str(&document).unwrap_or_default();
        connections.client = Some(client.as_str().to_owned());
        connections.ways = connect::options(&document).into_iter().map(|option| way(option, client)).collect();
    } else {
        connections.requests = requests(asked, path, &detail, arguments.operation.as_deref()).await?;
    }
    Ok(Found::new(&connections))
}

fn way(option: ConnectOption, client: Client) -> Way {
    let steps = connect::form(&option, client).map(|form| form.steps).unwrap_or_default();
    Way {
        label: option.label.clone(),
        is_local: option.is_local(),
        needs: option.needs,
        optional: option.optional,
        steps,
    }
}

async fn requests(
    asked: &Asked<'_>,
    path: (&str, &str, &str),
    detail: &VersionDetail,
    wanted: Option<&str>,
) -> Result<Vec<Call>, Sorry> {
    let catalog = &asked.handles.catalog;
    let operations = match wanted {
        Some(wanted) => vec![catalog.operation(&asked.actor, path, wanted).await?.2],
        None => catalog.operations(&asked.actor, path, None, Limit(SOME), true).await?.2.items,
    };
    let active = detail.deployments.iter().find(|one| one.is_active);
    let base = active.or(detail.deployments.first()).map(|one| one.url.as_str()).unwrap_or_default();
    let calls =
        operations.into_iter().filter_map(|one| curl(base, &one).map(|curl| Call { operation: one.name, curl }));
    Ok(calls.collect())
}
