//! All settings as one file: applied, exported, described; and the change of the keys that seal its secrets.

use crate::base::{Problem, Sealed};
use crate::door::{Caller, Failure, Json, PublicUrl, Query};
use crate::gateway::settings::{File, Section, Step};
use crate::gateway::{Applying, Gateway};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use utoipa::{IntoParams, ToSchema};

/// A file to apply.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = GatewayApplication)]
pub struct Application {
    /// The file as JSON, or its text as YAML; `GET /api/v1/gateway/schema.json` tells its form.
    #[schema(value_type = Object)]
    file: Value,
    /// The values behind the `${NAME}`s of the file; one that is stored already may be left out.
    #[serde(default)]
    secrets: HashMap<String, String>,
    /// Also takes away what the file does not name, within the workspaces it names.
    #[serde(default)]
    prune: bool,
    /// Tells the plan and does nothing.
    #[serde(default)]
    dry_run: bool,
}

/// What was done, or would be.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = GatewayPlan)]
pub struct Plan {
    steps: Vec<Step>,
    /// What is most likely a slip.
    warnings: Vec<String>,
}

/// Brings the gateway's settings to what a file says: all of it, or nothing.
#[utoipa::path(
    post, path = "/api/v1/gateway/apply", operation_id = "applyGateway", tag = "gateway",
    responses((status = 200, description = "Done, or what would be done.", body = Plan)),
)]
pub async fn apply(
    State(gateway): State<Gateway>,
    caller: Caller,
    Json(application): Json<Application>,
) -> Result<axum::Json<Plan>, Failure> {
    let value = match application.file {
        Value::String(text) => read_yaml(&text)?,
        value => value,
    };
    let file = File::read(&value).map_err(|errors| {
        let first = errors.first().map(|one| format!("{}: {}.", one.location, one.message)).unwrap_or_default();
        Problem::invalid(first).with_errors(errors)
    })?;
    let secrets = application.secrets.into_iter().map(|(name, value)| (name, Sealed::new(value))).collect();
    let applying = Applying { file, secrets, prune: application.prune, dry_run: application.dry_run };
    let applied = gateway.apply(&caller, applying).await?;
    Ok(axum::Json(Plan { steps: applied.steps, warnings: applied.warnings }))
}

fn read_yaml(text: &str) -> Result<Value, Problem> {
    let yaml = crate::wire::yaml::parse(text).map_err(|error| {
        let place = format!("line {}, column {}", error.line, error.column);
        Problem::invalid_field(place, error.message)
    })?;
    match yaml.findings.first() {
        Some(twice) => Err(Problem::invalid_field(twice.location.clone(), twice.message.clone())),
        None => Ok(yaml.value),
    }
}

/// In which form, and whose.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// Those of this workspace; all you may read where not said.
    #[param(max_length = 63)]
    workspace: Option<String>,
    /// `yaml` or `json`; YAML where not said.
    #[param(pattern = "^(yaml|json)$")]
    format: Option<String>,
}

/// Gives the gateway's settings as one file, which `apply` takes back; secrets as the references they came by.
#[utoipa::path(
    get, path = "/api/v1/gateway/export", operation_id = "exportGateway", tag = "gateway", params(ExportQuery),
    security(("bearer" = [])),
    responses((status = 200, description = "The file.", content((Object = "application/yaml"), (Object = "application/json")))),
)]
pub async fn export(
    State(gateway): State<Gateway>,
    caller: Caller,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Failure> {
    let file = gateway.export(&caller, query.workspace.as_deref()).await?;
    match query.format.as_deref() {
        None | Some("yaml") => {
            Ok(([(header::CONTENT_TYPE, "application/yaml")], crate::wire::yaml::emit(&file)).into_response())
        }
        Some("json") => Ok(axum::Json(file).into_response()),
        Some(_) => Err(Failure(Problem::invalid_field("query.format", "use `yaml` or `json`"))),
    }
}

/// How many credentials were sealed anew.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GatewayRewrapped)]
pub struct Rewrapped {
    credentials: usize,
}

/// Seals all credentials by the first of the encryption keys, which are read anew; requests go on meanwhile.
#[utoipa::path(
    post, path = "/api/v1/gateway/rewrap", operation_id = "rewrapGateway", tag = "gateway",
    responses((status = 200, description = "Done; older keys may be taken away.", body = Rewrapped)),
)]
pub async fn rewrap(State(gateway): State<Gateway>, caller: Caller) -> Result<axum::Json<Rewrapped>, Failure> {
    Ok(axum::Json(Rewrapped { credentials: gateway.rewrap(&caller).await? }))
}

/// Gives the JSON Schema of the gateway's file.
#[utoipa::path(
    get, path = "/api/v1/gateway/schema.json", operation_id = "getGatewaySchema", tag = "gateway",
    responses((status = 200, description = "JSON Schema (2020-12).", content((Object = "application/schema+json")))),
)]
pub async fn schema(State(url): State<PublicUrl>) -> Response {
    let schema = schema_document(&url.join("/api/v1/gateway/schema.json"));
    ([(header::CONTENT_TYPE, "application/schema+json")], schema.to_string()).into_response()
}

/// The JSON Schema of the file, made of the schemas of the REST document; `id` is its address.
#[must_use]
pub fn schema_document(id: &str) -> Value {
    let document = crate::api::document("");
    let components = &document["components"]["schemas"];
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": id,
        "title": "The settings of Wharfinger's gateway",
        "description": "What `wharfinger apply -f` takes and `wharfinger export --gateway` gives.",
        "type": "object",
        "additionalProperties": false,
        "properties": {},
        "$defs": {},
    });
    let mut needed = Vec::new();
    for section in Section::ALL {
        let name = settings_schema(section);
        let mut item = components[name].clone();
        needed.extend(references(&item));
        name_it(&mut item, section);
        schema["properties"][section.plural()] = json!({"type": "array", "items": item});
    }
    // What the sections refer to, and what that refers to.
    while let Some(name) = needed.pop() {
        if schema["$defs"].get(&name).is_none() {
            schema["$defs"][&name] = components[&name].clone();
            needed.extend(references(&components[&name]));
        }
    }
    let text = schema.to_string().replace("#/components/schemas/", "#/$defs/");
    serde_json::from_str(&text).expect("only addresses within it were changed")
}

const fn settings_schema(section: Section) -> &'static str {
    match section {
        Section::Credential => "GatewayCredentialSettings",
        Section::Backend => "GatewayBackendSettings",
        Section::Pool => "GatewayPoolSettings",
        Section::Policy => "GatewayPolicySettings",
        Section::Route => "GatewayRouteSettings",
        Section::Price => "GatewayPriceSettings",
    }
}

/// A thing of a file has its name and its workspace beside its settings.
fn name_it(item: &mut Value, section: Section) {
    let key = if section == Section::Price { "model" } else { "name" };
    let own = json!({
        key: {"type": "string", "maxLength": 200},
        "workspace": {"type": "string", "maxLength": 63, "description": "Whose it is; of the instance where absent."},
    });
    let Value::Object(item) = item else { return };
    // A choice is written as one object with one of its members.
    if let Some(Value::Array(choices)) = item.remove("oneOf") {
        let mut properties = Map::new();
        for choice in choices {
            properties.extend(choice["properties"].as_object().cloned().unwrap_or_default());
        }
        let words: Vec<Value> = properties.keys().map(|word| json!({"required": [word]})).collect();
        item.insert("type".to_owned(), "object".into());
        item.insert("properties".to_owned(), properties.into());
        item.insert("oneOf".to_owned(), words.into());
        item.insert("additionalProperties".to_owned(), false.into());
    }
    let mut properties = own.as_object().cloned().unwrap_or_default();
    properties.extend(item["properties"].as_object().cloned().unwrap_or_default());
    item.insert("properties".to_owned(), properties.into());
    let mut required = vec![json!(key)];
    required.extend(item.get("required").and_then(Value::as_array).cloned().unwrap_or_default());
    item.insert("required".to_owned(), required.into());
}

fn references(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, value)| match value {
                Value::String(text) if key == "$ref" => {
                    text.strip_prefix("#/components/schemas/").map(str::to_owned).into_iter().collect()
                }
                other => references(other),
            })
            .collect(),
        Value::Array(list) => list.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}
