//! What a first start shows: the program's own API and MCP server, and a small workspace of samples.

use crate::auth::Actor;
use crate::base::{Problem, Slug};
use crate::door::Handles;
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::time::Duration;

const SAMPLES: &str = "samples";
const STEP: &str = "seeded";

/// Registers what a first start shows; later starts do nothing. Of several replicas that start at once one does it and the
/// others wait, and one that is stopped half way is continued by the next start: what is there already stays as it is.
///
/// # Errors
/// 503 when the database does not answer.
pub async fn first_start(handles: &Handles, own_api: &Value) -> Result<(), Problem> {
    /// Any number that nothing else locks.
    const LOCK: i64 = 0x73_65_65;
    let db = &handles.catalog.db().write;
    if is_done(&mut *db.acquire().await?).await? {
        return Ok(());
    }
    // Tried for and not waited on: a statement may not wait for as long as this takes on a slow machine. The lock ends with
    // its connection, however this does.
    let mut turn = db.acquire().await?.detach();
    while !sqlx::query_scalar::<_, bool>("select pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut turn).await? {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    if is_done(&mut turn).await? {
        return Ok(());
    }
    let actor = Actor::system("first start");
    let slug = |name: &str| Slug::parse(name).expect("these names are slugs");
    handles.catalog.ensure_workspace(&actor, &slug("default"), "Default").await?;
    handles.catalog.ensure_workspace(&actor, &slug(SAMPLES), "Samples").await?;

    let lines: Vec<String> = lines(handles.public_url.as_str(), own_api).iter().map(Value::to_string).collect();
    let numbered: Vec<_> = lines.iter().enumerate().map(|(at, line)| (at + 1, line.as_bytes())).collect();
    for line in handles.catalog.import(&actor, "default", &numbered, false).await? {
        if let Err(problem) = line.result {
            tracing::error!(line = line.line, %problem, "A sample could not be registered");
        }
    }
    sqlx::query("insert into instance (name, value) values ($1, 'yes') on conflict (name) do nothing")
        .bind(STEP)
        .execute(&mut turn)
        .await?;
    Ok(())
}

async fn is_done(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select exists (select from instance where name = $1)").bind(STEP).fetch_one(conn).await
}

/// The assets as import lines.
fn lines(public_url: &str, own_api: &Value) -> Vec<Value> {
    vec![
        json!({
            "workspace": "default", "name": "wharfinger-api", "kind": "rest", "tags": ["wharfinger", "catalog"],
            "definition": {"format": "openapi", "value": own_api},
            "deployments": [{"environment": "local", "url": public_url}],
        }),
        json!({
            "workspace": "default", "name": "wharfinger/discovery", "kind": "mcp", "title": "Wharfinger discovery",
            "summary": "Lets agents find the organisation's APIs and MCP servers by meaning.",
            "description": "Lets agents find the organisation's APIs and MCP servers by meaning, read how they are \
                            called, and get the configuration that connects to them.",
            "tags": ["wharfinger", "catalog", "discovery"],
            "deployments": [{"environment": "local", "url": format!("{public_url}/mcp"), "transport": "streamable-http"}],
            "tools": [
                {"name": "search_catalog", "description": "Find APIs, MCP servers, agents, models and skills by what they do."},
                {"name": "describe_asset", "description": "What an asset is, where it runs, and what can be called."},
                {"name": "get_definition", "description": "The document of an asset, or one operation or tool with its schema."},
                {"name": "list_versions", "description": "The versions of an asset, latest first."},
                {"name": "connect", "description": "The configuration with which a client connects to a server."},
            ],
        }),
        json!({
            "workspace": SAMPLES, "name": "payments", "owners": ["payments-team"],
            "definition": {"format": "openapi", "value": include_str!("payments.yaml")},
            "deployments": [
                {"environment": "production", "url": "https://payments.example.com/v2"},
                {"environment": "staging", "url": "https://payments.staging.example.com/v2"},
            ],
        }),
        json!({
            "workspace": SAMPLES, "owners": ["support-desk"],
            "definition": {"format": "server-json", "value": include_str!("tickets.json")},
        }),
        json!({
            "workspace": SAMPLES, "owners": ["platform-team"], "version": {"stage": "preview"},
            "definition": {"format": "server-json", "value": include_str!("berths.json")},
        }),
        json!({
            "workspace": SAMPLES, "name": "stowage-planner", "owners": ["terminal-operations"], "tags": ["stowage"],
            "definition": {"format": "agent-card", "value": include_str!("stowage-agent.json")},
        }),
        json!({
            "workspace": SAMPLES, "name": "cargo-manifests", "kind": "graphql", "title": "Cargo manifests",
            "summary": "What each ship carries, for whom, and which papers are still missing.", "owners": ["cargo-desk"],
            "tags": ["cargo"], "version": {"name": "2026.1", "stage": "production"},
            "deployments": [{"environment": "production", "url": "https://cargo.example.com/graphql"}],
            "operations": [
                {"name": "manifest", "description": "The manifest of one voyage with its consignments."},
                {"name": "consignments", "description": "Consignments by consignee, port and seal number."},
                {"name": "missingPapers", "description": "Which bills of lading have not come in."},
            ],
        }),
        json!({
            "workspace": SAMPLES, "name": "container-code-reader", "kind": "model", "title": "Container code reader",
            "summary": "Reads the code of a container from the gate camera's picture.", "owners": ["gate-team"],
            "tags": ["gate"], "version": {"name": "3.0.0", "stage": "testing"},
            "deployments": [{"environment": "staging", "url": "https://models.staging.example.com/container-codes"}],
        }),
    ]
}
