//! Import: a vendor's resource or an API description becomes everything that serves it.

use crate::auth::Permission;
use crate::base::{HttpClient, Problem, Slug};
use crate::catalog::{Catalog, NewDefinition};
use crate::door::{Caller, Failure, Json, PublicUrl, fetch_definition};
use crate::gateway::settings::Section;
use crate::gateway::{Gateway, Import, Source};
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What to import: exactly one of `azureOpenai`, `compatible` and `openapi`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = GatewayImport)]
pub struct ImportRequest {
    /// Whose all of it becomes; of the instance, with its asset in `default`, where not said.
    #[schema(max_length = 63)]
    workspace: Option<String>,
    /// What all of it is called.
    #[schema(value_type = String, max_length = 63, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
    name: Slug,
    azure_openai: Option<AzureResource>,
    compatible: Option<CompatibleBase>,
    /// A description of a REST API; of one with a chat endpoint in OpenAI's dialect: of a model server.
    openapi: Option<NewDefinition>,
    /// The vendor's API key.
    #[schema(max_length = 8192, format = Password)]
    key: Option<String>,
    /// The models, of Azure the deployments; read from the source where not said.
    #[serde(default)]
    #[schema(max_items = 200)]
    models: Vec<String>,
    /// Tokens a minute the backend can take.
    #[schema(minimum = 1)]
    tokens_per_minute: Option<u64>,
    /// Tokens a minute for each key; 100,000 where not said.
    #[schema(minimum = 1)]
    limit_per_key: Option<u64>,
}

/// An Azure OpenAI resource.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = GatewayAzureResource)]
pub struct AzureResource {
    /// `https://contoso.openai.azure.com`
    #[schema(max_length = 2000)]
    resource: String,
    #[schema(max_length = 100)]
    api_version: Option<String>,
}

/// Anything that speaks OpenAI's dialect.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = GatewayCompatibleBase)]
pub struct CompatibleBase {
    /// Its base address, `https://api.openai.com/v1`; its `/models` is read.
    #[schema(max_length = 2000)]
    url: String,
}

/// What was made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = GatewayImported)]
pub struct ImportedThings {
    name: String,
    models: Vec<String>,
    /// The asset of the catalog, as `workspace/name`.
    asset: String,
    /// The sections that have a thing of this name now.
    made: Vec<Section>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// Makes a backend, pool, route, default limits and an asset of an Azure OpenAI resource, a base address, or a description.
#[utoipa::path(
    post, path = "/api/v1/gateway/import", operation_id = "importBackend", tag = "gateway",
    responses((status = 201, description = "Made, and in force.", body = ImportedThings)),
)]
pub async fn import(
    State(gateway): State<Gateway>,
    State(catalog): State<Catalog>,
    State(http): State<HttpClient>,
    State(url): State<PublicUrl>,
    caller: Caller,
    Json(request): Json<ImportRequest>,
) -> Result<(StatusCode, axum::Json<ImportedThings>), Failure> {
    // Nobody else makes us call others.
    caller.require_somewhere(Permission::ManageGateway)?;
    let source = match (request.azure_openai, request.compatible, request.openapi) {
        (Some(azure), None, None) => Source::AzureOpenai { resource: azure.resource, api_version: azure.api_version },
        (None, Some(base), None) => Source::Compatible { url: base.url },
        (None, None, Some(mut definition)) => {
            fetch_definition(&http, &caller, &mut definition, "body.openapi.url").await?;
            definition.url = None;
            Source::OpenApi { definition }
        }
        _ => {
            let problem =
                Problem::invalid_field("body", "give exactly one of `azureOpenai`, `compatible` and `openapi`");
            return Err(Failure(problem));
        }
    };
    let import = Import {
        workspace: request.workspace.as_deref(),
        name: request.name,
        source,
        key: request.key,
        models: request.models,
        capacity: request.tokens_per_minute,
        limit: request.limit_per_key,
        public_url: url.as_str(),
    };
    let name = import.name.to_string();
    let done = gateway.import(&caller, &catalog, import).await?;
    let answer = ImportedThings {
        name,
        models: done.models,
        asset: format!("{}/{}", done.asset.0, done.asset.1),
        made: done.made.iter().map(|one| one.thing.section()).collect(),
        warnings: done.made.iter().flat_map(|one| &one.warnings).map(ToString::to_string).collect(),
    };
    Ok((StatusCode::CREATED, axum::Json(answer)))
}
