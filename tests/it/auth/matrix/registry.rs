//! What every resource of the MCP registry API needs: at the root, of a workspace, and of a named registry.

use super::needs::{Needs::*, Row};
use wharfinger::auth::Permission::*;

/// Each resource that `registry::path` tells apart, and how it is asked for.
pub const RESOURCES: &[(&str, &str)] = &[
    ("Servers", "/servers"),
    ("Versions", "/servers/{name}/versions"),
    ("Version", "/servers/{name}/versions/{version}"),
    ("VersionStatus", "/servers/{name}/versions/{version}/status"),
    ("ServerStatus", "/servers/{name}/status"),
    ("Publish", "/publish"),
    ("Validate", "/validate"),
    ("Health", "/health"),
    ("Ping", "/ping"),
    ("About", "/version"),
    ("Extensions", "/x"),
    ("Search", "/x/search"),
    ("Changes", "/x/changes"),
    ("ManagedSettings", "/x/managed-settings"),
    ("Token", "/auth/{method}"),
];

const SERVER: &str = r#"{"$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
    "name": "ASSET", "description": "Another", "version": "9.9.9"}"#;
const ACTIVE: &str = r#"{"status": "active"}"#;

#[rustfmt::skip]
pub const ROUTES: &[Row] = &[
    ("get", "/v0.1/servers", "", Nothing),
    ("get", "/v0.1/servers/{name}/versions", "", Sight),
    ("get", "/v0.1/servers/{name}/versions/{version}", "", Sight),
    ("put", "/v0.1/servers/{name}/versions/{version}", SERVER, ForAsset(WriteCatalog)),
    ("delete", "/v0.1/servers/{name}/versions/8.8.8", "", NotThere),
    ("patch", "/v0.1/servers/{name}/versions/{version}/status", ACTIVE, ForAsset(WriteCatalog)),
    ("patch", "/v0.1/servers/{name}/status", ACTIVE, ForAsset(WriteCatalog)),
    ("post", "/v0.1/publish", SERVER, Somewhere(&[WriteCatalog])),
    ("post", "/v0.1/validate", SERVER, Nothing),
    ("get", "/v0.1/health", "", Nothing),
    ("get", "/v0.1/ping", "", Nothing),
    ("get", "/v0.1/version", "", Nothing),
    ("get", "/v0.1/x", "", Nothing),
    ("get", "/v0.1/x/search?q=x", "", Nothing),
    ("get", "/v0.1/x/changes", "", Nothing),
    ("get", "/v0.1/x/managed-settings", "", Nothing),
    ("post", "/v0.1/auth/none", "{}", Nothing),
    ("post", "/v0.1/auth/oidc", r#"{"oidc_token": "a.b.c"}"#, Proof),
    // Below a workspace.
    ("get", "/workspaces/{workspace}/v0.1/servers", "", Acquaintance),
    ("get", "/workspaces/{workspace}/v0.1/servers/{name}/versions", "", Sight),
    ("get", "/workspaces/{workspace}/v0.1/servers/{name}/versions/{version}", "", Sight),
    ("put", "/workspaces/{workspace}/v0.1/servers/{name}/versions/{version}", SERVER, ForAsset(WriteCatalog)),
    ("delete", "/workspaces/{workspace}/v0.1/servers/{name}/versions/8.8.8", "", NotThere),
    ("patch", "/workspaces/{workspace}/v0.1/servers/{name}/versions/{version}/status", ACTIVE, ForAsset(WriteCatalog)),
    ("patch", "/workspaces/{workspace}/v0.1/servers/{name}/status", ACTIVE, ForAsset(WriteCatalog)),
    ("post", "/workspaces/{workspace}/v0.1/publish", SERVER, InWorkspace(WriteCatalog)),
    ("post", "/workspaces/{workspace}/v0.1/validate", SERVER, Nothing),
    ("get", "/workspaces/{workspace}/v0.1/health", "", Nothing),
    ("get", "/workspaces/{workspace}/v0.1/ping", "", Nothing),
    ("get", "/workspaces/{workspace}/v0.1/version", "", Nothing),
    ("get", "/workspaces/{workspace}/v0.1/x", "", Nothing),
    ("get", "/workspaces/{workspace}/v0.1/x/search?q=x", "", Acquaintance),
    ("get", "/workspaces/{workspace}/v0.1/x/changes", "", Acquaintance),
    ("get", "/workspaces/{workspace}/v0.1/x/managed-settings", "", Acquaintance),
    ("post", "/workspaces/{workspace}/v0.1/auth/none", "{}", Nothing),
    ("post", "/workspaces/{workspace}/v0.1/auth/oidc", r#"{"oidc_token": "a.b.c"}"#, Proof),
    // A named registry of a workspace, for who comes with a credential; it is read only.
    ("get", "/registries/view-{workspace}/v0.1/servers", "", View),
    ("get", "/registries/view-{workspace}/v0.1/servers/{name}/versions", "", ViewOfAsset),
    ("get", "/registries/view-{workspace}/v0.1/servers/{name}/versions/{version}", "", ViewOfAsset),
    ("get", "/registries/view-{workspace}/v0.1/health", "", View),
    ("get", "/registries/view-{workspace}/v0.1/ping", "", View),
    ("get", "/registries/view-{workspace}/v0.1/version", "", View),
    ("get", "/registries/view-{workspace}/v0.1/x", "", View),
    ("get", "/registries/view-{workspace}/v0.1/x/managed-settings", "", View),
    ("post", "/registries/view-{workspace}/v0.1/publish", SERVER, Nothing),
    ("put", "/registries/view-{workspace}/v0.1/servers/{name}/versions/{version}", SERVER, Nothing),
    ("post", "/registries/view-{workspace}/v0.1/validate", SERVER, Nothing),
];
