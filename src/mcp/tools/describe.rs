//! `describe_asset`: what an asset is, with its operations or tools page by page.

use super::super::address::Address;
use super::super::answer::{Found, Link, Sorry};
use super::{Asked, cut, target};
use crate::base::{Cursor, Limit, Problem};
use crate::catalog::{AssetDetail, Kind};
use crate::door::segment;
use crate::wire::Operation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Arguments {
    /// Name of the asset, or its catalog:// address.
    name: String,
    /// Its workspace; needed only where several have an asset of this name.
    #[serde(default)]
    workspace: Option<String>,
    /// `operationsNext` of an earlier answer, for the operations or tools after those.
    #[serde(default)]
    cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Description {
    workspace: String,
    name: String,
    kind: String,
    title: String,
    summary: String,
    /// Markdown; cut after 4,000 characters.
    description: String,
    visibility: String,
    tags: Vec<String>,
    owners: Vec<String>,
    contacts: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    licence: Option<String>,
    documentation: Vec<String>,
    /// The latest version.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<VersionShown>,
    /// How many versions there are; list_versions tells of them.
    version_count: i64,
    deployments: Vec<DeploymentShown>,
    definitions: Vec<DefinitionShown>,
    /// Operations of an API, tools of a server.
    operations: Vec<OperationShown>,
    operation_count: i64,
    /// Leads to the operations after these.
    #[serde(skip_serializing_if = "Option::is_none")]
    operations_next: Option<String>,
    /// Page for people.
    page: String,
    /// Address of the asset as a resource.
    uri: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct VersionShown {
    name: String,
    stage: String,
    /// `active` or `deprecated`.
    status: String,
    /// Why it is deprecated, or what to use instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    status_message: Option<String>,
    /// What its document is: `OpenAPI 3.1.0`.
    format: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct DeploymentShown {
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<String>,
    url: String,
    transport: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct DefinitionShown {
    name: String,
    format: String,
    /// In bytes.
    size: i32,
    /// Address of the document as a resource.
    uri: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct OperationShown {
    name: String,
    /// Method and path of an operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    summary: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deprecated: bool,
}

const DESCRIPTION_LENGTH: usize = 4_000;
const SUMMARY_LENGTH: usize = 200;

pub(super) async fn call(asked: &Asked<'_>, arguments: Arguments) -> Result<Found, Sorry> {
    let (workspace, name) = target::find(asked, arguments.workspace.as_deref(), &arguments.name).await?;
    let cursor = arguments.cursor.as_deref().map(Cursor::from_text);
    let description = description(asked, &workspace, &name, cursor.as_ref()).await?;
    let version = description.version.as_ref().map(|version| version.name.clone());
    let link = version.filter(|_| !description.definitions.is_empty()).map(|version| Link {
        address: Address::definition(&workspace, &name, &version),
        title: format!("The document of {} {version}", description.title),
    });
    Ok(Found::new(&description).with_links(link))
}

/// The same as a resource: its first page of operations, as JSON.
///
/// # Errors
/// 404 when there is none the actor may see.
pub(in super::super) async fn described(asked: &Asked<'_>, workspace: &str, name: &str) -> Result<String, Problem> {
    let description = description(asked, workspace, name, None).await?;
    Ok(serde_json::to_string(&description).expect("a description is plain data"))
}

async fn description(
    asked: &Asked<'_>,
    workspace: &str,
    name: &str,
    cursor: Option<&Cursor>,
) -> Result<Description, Problem> {
    let catalog = &asked.handles.catalog;
    let detail = catalog.find(&asked.actor, workspace, name).await?;
    let (operations, next) = match &detail.version {
        None => (Vec::new(), None),
        Some(version) => {
            let path = (workspace, name, version.name.as_str());
            let (_, _, page) = catalog.operations(&asked.actor, path, cursor, Limit::default(), false).await?;
            (page.items, page.next)
        }
    };
    let page = format!("/assets/{}/{}", segment(workspace), segment(name));
    Ok(Description {
        operations: operations.into_iter().map(|one| shown(one, detail.asset.kind)).collect(),
        operations_next: next.map(|next| next.as_str().to_owned()),
        page: asked.handles.public_url.join(&page),
        ..of_asset(detail)
    })
}

fn of_asset(detail: AssetDetail) -> Description {
    let AssetDetail { asset, version, version_count, operation_count, definitions, deployments } = detail;
    let name = asset.name.to_string();
    let version_name = version.as_ref().map(|version| version.name.clone()).unwrap_or_default();
    let contacts = asset.contacts.0.iter().filter_map(|one| one.email.clone().or(one.url.clone()).or(one.name.clone()));
    Description {
        uri: Address::asset(&asset.workspace, &name).uri(),
        kind: asset.kind.to_string(),
        visibility: asset.visibility.to_string(),
        description: cut(&asset.description, DESCRIPTION_LENGTH),
        contacts: contacts.collect(),
        licence: asset.licence.and_then(|licence| licence.0.name.or(licence.0.url)),
        documentation: asset.external_docs.0.into_iter().map(|doc| doc.url).collect(),
        version: version.map(|version| VersionShown {
            name: version.name,
            stage: version.stage.to_string(),
            status: version.status.to_string(),
            status_message: version.status_message,
            format: version.format_name,
        }),
        version_count,
        deployments: deployments
            .into_iter()
            .map(|one| DeploymentShown { environment: one.environment, url: one.url, transport: one.transport })
            .collect(),
        definitions: definitions
            .into_iter()
            .map(|one| DefinitionShown {
                uri: Address::definition(&asset.workspace, &name, &version_name).uri(),
                name: one.name,
                format: one.format,
                size: one.size,
            })
            .collect(),
        operations: Vec::new(),
        operation_count,
        operations_next: None,
        page: String::new(),
        title: asset.title,
        summary: asset.summary,
        tags: asset.tags,
        owners: asset.owners,
        workspace: asset.workspace,
        name,
    }
}

fn shown(operation: Operation, kind: Kind) -> OperationShown {
    let route = match (&operation.method, &operation.path) {
        (Some(method), Some(path)) if kind != Kind::Mcp => Some(format!("{method} {path}")),
        _ => None,
    };
    let summary = operation.summary.or(operation.description).or(operation.title).unwrap_or_default();
    OperationShown {
        name: operation.name,
        route,
        summary: cut(&summary, SUMMARY_LENGTH),
        deprecated: operation.deprecated,
    }
}
