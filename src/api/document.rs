//! The OpenAPI document: what the handlers say of themselves, completed with what is the same for all.

use serde_json::{Map, Value, json};
use utoipa::OpenApi;

/// The document before any route.
pub fn head() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(
        info(
            title = "Wharfinger",
            description = "The register of an organisation's APIs and MCP servers.\n\n\
                Everything public may be read without a credential; keys go into `Authorization: Bearer whf_...`. \
                Times are RFC 3339. Refusals are RFC 9457 problems: a stable `type`, what happened, and what would help. \
                Whatever you may not see is answered as if it did not exist.\n\n\
                Names of assets may hold a slash: in a path it is `%2F`, and tolerated bare.\n\n\
                `ETag` counts the changes of a thing; send it as `If-Match` to change only what you have read, or as \
                `If-None-Match` to be spared what you have. A write with an `Idempotency-Key` is done once however often \
                it is sent.",
            license(name = "Apache-2.0", identifier = "Apache-2.0"),
        ),
        tags(
            (name = "assets", description = "APIs, MCP servers, models, agents and skills."),
            (name = "versions", description = "What was published of an asset, and where it stands in its life."),
            (name = "definitions", description = "The documents of a version, byte for byte."),
            (name = "operations", description = "What can be called: operations of APIs, tools of MCP servers."),
            (name = "deployments", description = "Where versions run."),
            (name = "search", description = "Finding by words and by meaning."),
            (name = "workspaces", description = "Teams' parts of the catalog."),
            (name = "environments", description = "The places where versions run."),
            (name = "metadata", description = "Fields a workspace adds to what it registers."),
            (name = "import and export", description = "Everything at once."),
            (name = "gateway", description = "What models and REST APIs are reached through, under which limits."),
            (name = "registries", description = "Named views of the MCP registry API that clients are pointed at."),
            (name = "upstreams", description = "Other registries and files whose servers a workspace takes over."),
            (name = "approvals", description = "What waits to be seen, and who decided."),
            (name = "access", description = "Asking to call what the gateway leads to, and who decided."),
            (name = "keys", description = "Credentials, and who you are."),
            (name = "webhooks", description = "Who is told of what happens, and what became of it."),
            (name = "audit", description = "Who did what, and whether the record is whole."),
            (name = "people", description = "People, groups and service accounts, their roles and sessions."),
        ),
    )]
    struct Head;
    Head::openapi()
}

/// The whole document: parameters of paths, credentials, conditions and refusals are told here once.
pub fn complete(openapi: utoipa::openapi::OpenApi) -> Value {
    let mut document = serde_json::to_value(openapi).expect("a document is plain data");
    let paths = document["paths"].as_object_mut().expect("a document has paths");
    for (path, item) in paths.iter_mut() {
        let item = item.as_object_mut().expect("a path is an object");
        for (method, operation) in item.iter_mut() {
            complete_operation(path, method, operation);
        }
    }
    let components = &mut document["components"];
    components["schemas"]["Problem"] = problem_schema();
    components["securitySchemes"] = json!({"bearer": {
        "type": "http", "scheme": "bearer", "description": "A key: `whf_` and 43 characters.",
    }});
    document
}

fn complete_operation(path: &str, method: &str, operation: &mut Value) {
    let writes = method != "get";
    let mut parameters: Vec<Value> = path_parameters(path).map(path_parameter).collect();
    if let Some(declared) = operation["parameters"].as_array() {
        // The macro makes bare ones of the path's braces.
        parameters.extend(declared.iter().filter(|one| one["in"] != "path").cloned().map(without_null));
    }
    if writes && path != "/api/v1/import" {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "A name for this deed, new for each: sent again with the same key it is done once.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        }));
    }
    let conditional = |name: &str| parameters.iter().any(|one| one["name"] == name);
    let responses = operation["responses"].as_object().cloned().unwrap_or_default();
    let refusals = refusals(path, writes, operation.get("requestBody").is_some(), conditional("If-Match"));
    let mut all: Map<String, Value> = responses;
    all.values_mut().for_each(tell_headers);
    take_documents(operation);
    if conditional("If-None-Match") {
        all.insert("304".to_owned(), json!({"description": "You have it as it is."}));
    }
    if may_wait(path, method) {
        all.insert(
            "202".to_owned(),
            json!({
                "description": "It changes what is approved and waits for approval; `request` is where it stands.",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }),
        );
    }
    for (status, words) in refusals {
        all.entry(status).or_insert_with(|| {
            json!({
                "description": words,
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            })
        });
    }
    // Answered before there is a request that could be understood, so without a body.
    all.insert("431".to_owned(), json!({"description": "The target and the headers together are too long."}));
    let mut sorted: Vec<_> = all.into_iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    operation["responses"] = Value::Object(sorted.into_iter().collect());
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if operation.get("security").is_none() {
        operation["security"] = if writes { json!([{"bearer": []}]) } else { json!([{}, {"bearer": []}]) };
    }
}

/// Whether a write can change what is approved.
fn may_wait(path: &str, method: &str) -> bool {
    let below = path.strip_prefix("/api/v1/workspaces/{workspace}/assets/{name}").unwrap_or("?");
    match method {
        "get" => false,
        "patch" if below.is_empty() => true,
        _ => below.contains("/definitions") || below.contains("/deployments"),
    }
}

/// Tells what the headers say that the handlers only name.
fn tell_headers(response: &mut Value) {
    let Some(Value::Object(headers)) = response.get_mut("headers") else { return };
    for (name, header) in headers {
        header["description"] = match name.as_str() {
            "Location" => "Where it is.",
            "ETag" => "Its state, for `If-Match` and `If-None-Match`.",
            "Content-Disposition" => "A file name for it.",
            other => unreachable!("the header {other} is told nowhere; a test reads the document"),
        }
        .into();
    }
}

/// Where something to register or a document can be told in JSON of ours, the document can come by itself too.
fn take_documents(operation: &mut Value) {
    let Some(body) = operation.get_mut("requestBody") else { return };
    let content = &mut body["content"];
    if content.get("application/x-ndjson").is_some() {
        // Nothing to import is no mistake: that is what the export of an empty catalog gives.
        body["required"] = false.into();
        return;
    }
    let schema = content["application/json"]["schema"]["$ref"].as_str().unwrap_or_default();
    if schema.ends_with("/NewAsset") || schema.ends_with("/NewDefinition") {
        let text = json!({"schema": {"type": "string", "minLength": 1, "pattern": "\\S"}});
        content["application/yaml"] = text.clone();
        content["application/vnd.oai.openapi+json"] = json!({"schema": {"type": "object"}});
        content["text/plain"] = text;
    }
}

/// A parameter as it can come. The macro takes `Option` for "or null", but text of a query or header is there or not.
fn without_null(mut parameter: Value) -> Value {
    let schema = &mut parameter["schema"];
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|one| one != "null");
        if let [only] = types.as_slice() {
            schema["type"] = only.clone();
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("oneOf") {
        choices.retain(|one| one["type"] != "null");
        if let [only] = choices.as_slice() {
            *schema = only.clone();
        }
    }
    parameter
}

fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|rest| rest.split('}').next())
}

/// What stands for the braces of a path.
fn path_parameter(name: &str) -> Value {
    let slug =
        || json!({"type": "string", "minLength": 1, "maxLength": 63, "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"});
    let person = || json!({"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[^/\\x00-\\x1F\\x7F]+$"});
    let version = || json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[^/\\x00-\\x1F\\x7F]+$"});
    let (description, schema, example) = match name {
        "workspace" => ("The workspace's name.", slug(), "default"),
        "name" => (
            "The asset's name; a slash as `%2F`.",
            json!({"type": "string", "minLength": 1, "maxLength": 200, "pattern": super::NAME_PATTERN}),
            "payments-api",
        ),
        "version" => ("The version's name, or `latest`.", version(), "latest"),
        "from" => ("The earlier version's name.", version(), "1.0.0"),
        "to" => ("The later version's name, or `latest`.", version(), "latest"),
        "definition" => ("The document's name.", slug(), "openapi"),
        "deployment" => ("The deployment's id.", json!({"type": "string", "format": "uuid"}), ""),
        "approval" | "request" => ("The request's id.", json!({"type": "string", "format": "uuid"}), ""),
        "key" => ("The key's id.", json!({"type": "string", "format": "uuid"}), ""),
        "webhook" => ("The webhook's id.", json!({"type": "string", "format": "uuid"}), ""),
        "delivery" => ("The delivery's id.", json!({"type": "string", "format": "uuid"}), ""),
        "environment" => ("The environment's name.", slug(), "production"),
        "credential" => ("The credential's name.", slug(), "azure-eu"),
        "backend" => ("The backend's name.", slug(), "azure-eu"),
        "pool" => ("The pool's name.", slug(), "chat"),
        "route" => ("The route's name.", slug(), "chat"),
        "policy" => ("The policy's name.", slug(), "team-tokens"),
        "model" => (
            "The model, as it is asked for or as a vendor calls it; a slash as `%2F`.",
            json!({"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[A-Za-z0-9._:/@+-]+$"}),
            "gpt-4o",
        ),
        "user" => ("The person's name.", person(), "anna.smith"),
        "group" => ("The group's name.", person(), "payments-team"),
        "account" => ("The service account's name.", person(), "deploy-pipeline"),
        "assignment" => ("The role assignment's id.", json!({"type": "string", "format": "uuid"}), ""),
        "session" => ("The session's id.", json!({"type": "string", "format": "uuid"}), ""),
        "upstream" => ("The upstream's name.", slug(), "official"),
        "registry" => ("The registry's name.", slug(), "approved"),
        "namespace" => (
            "A reversed domain name.",
            json!({"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?([.][A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$"}),
            "com.example",
        ),
        "field" => ("The field's name.", slug(), "cost-centre"),
        "operation" => ("The operation's name; a slash as `%2F`.", json!({"type": "string", "minLength": 1}), "getPet"),
        "tool" => ("The tool's name; a slash as `%2F`.", json!({"type": "string", "minLength": 1}), "search"),
        other => unreachable!("the path parameter {other} is told nowhere; a test reads the document"),
    };
    let mut parameter =
        json!({"name": name, "in": "path", "required": true, "description": description, "schema": schema});
    if !example.is_empty() {
        parameter["example"] = example.into();
    }
    parameter
}

/// The refusals an operation may answer with, by status.
fn refusals(path: &str, writes: bool, has_body: bool, conditional: bool) -> Vec<(String, &'static str)> {
    let mut all = vec![
        ("400", "The request cannot be understood."),
        ("401", "No credential where one is needed, or one that does not hold."),
        ("422", "A value is wrong; `errors` names each place."),
        ("500", "Our fault; the request id leads to the cause."),
        ("503", "A part that is needed does not answer now; `Retry-After` says when to come back."),
    ];
    let names_a_workspace =
        ["/export", "/keys", "/service-accounts", "/role-assignments", "/me/sessions", "/permissions", "/approvals"];
    let may_be_absent = path.contains('{') || path.contains("/gateway/");
    if may_be_absent || names_a_workspace.iter().any(|end| path.ends_with(end)) {
        all.push(("404", "There is nothing here that you may see."));
    }
    let guarded = ["/gateway/", "/audit", "/webhooks", "/users", "/groups/", "/service-accounts", "/role-assignments"];
    let guarded = guarded.iter().any(|part| path.contains(part));
    let told_to_few = ["/keys", "/history", "/orphans"].iter().any(|end| path.ends_with(end));
    if writes || guarded || told_to_few {
        all.push(("403", "Not allowed; `roles` says which role would do."));
    }
    if writes {
        all.push(("409", "At odds with what is stored, or the same deed is being done."));
    }
    if conditional {
        all.push(("412", "It was changed meanwhile; read it again."));
    }
    if has_body {
        all.push(("408", "The body came too slowly."));
        all.push(("413", "The body is too long."));
        all.push(("415", "A body of this type is not taken here."));
    }
    all.into_iter().map(|(status, words)| (status.to_owned(), words)).collect()
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "A refusal or failure (RFC 9457), or why something waits.",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "description": "The stable name of the sort of problem, below `/problems/`."},
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 202, "maximum": 599},
            "detail": {"type": "string", "description": "What happened."},
            "help": {"type": "string", "description": "What would help."},
            "requestId": {"type": "string", "description": "Under which the request stands in the log."},
            "errors": {
                "type": "array",
                "description": "The places in the input that are wrong.",
                "items": {
                    "type": "object",
                    "required": ["location", "message"],
                    "properties": {
                        "location": {"type": "string", "description": "`body.tags[0]`, `query.limit`, `line 3, column 7`."},
                        "message": {"type": "string"},
                        "value": {"description": "What stood there."},
                    },
                },
            },
        },
        "example": {
            "type": "/problems/invalid", "title": "Invalid input", "status": 422,
            "detail": "Body.title: must have 1 to 300 characters, it has 0.",
            "errors": [{"location": "body.title", "message": "must have 1 to 300 characters, it has 0"}],
        },
    })
}
