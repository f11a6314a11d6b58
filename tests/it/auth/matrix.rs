//! The matrix: every role against every route, page and tool, for what is its own, what is shared with it, and what is
//! foreign, gives exactly the answer that the table of roles allows.
//!
//! What a route needs is told here, once, in [`ROUTES`] and [`PAGES`]; who holds it is asked of the table of roles. A route
//! that the program serves and that stands in neither list fails the test.

use crate::support::{Person, TestApp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use wharfinger::auth::{Actor, HolderName, NewKey, Permission, Role, Scope};
use wharfinger::base::Slug;

/// What is needed for an answer other than 401, 403 and 404.
#[derive(Clone, Copy, Debug)]
enum Needs {
    /// Nothing.
    Nothing,
    /// A credential.
    Credential,
    /// To be a person.
    Person,
    /// To be a person, and to see the asset.
    PersonWithSight,
    /// To see the asset.
    Sight,
    /// To know of the workspace.
    Acquaintance,
    /// To know the asset of the request from within.
    Inside,
    /// This permission for the asset, which is seen.
    ForAsset(Permission),
    /// This permission in the workspace, which is known.
    InWorkspace(Permission),
    /// As [`Needs::InWorkspace`], of something that is not there: the allowed are told so.
    Absent(Permission),
    /// Any of these for the asset of the request, which is known from within.
    InsideAny(&'static [Permission]),
    /// This permission for the instance.
    Instance(Permission),
    /// Any of these in some place or other.
    Somewhere(&'static [Permission]),
    /// To be somebody else: it is nobody's of those who ask.
    AnothersOwn,
}

use Needs::*;
use Permission::*;

/// Every operation of the REST API: method, path, a body that does no harm where one is needed, what it needs.
///
/// Writes carry an `If-Match` that never holds, so that one which is allowed ends in 412 where it can.
#[rustfmt::skip]
const ROUTES: &[(&str, &str, &str, Needs)] = &[
    ("get", "/api/v1/workspaces", "", Nothing),
    ("post", "/api/v1/workspaces", r#"{"name": "made-NEW"}"#, Instance(ManageInstance)),
    ("get", "/api/v1/workspaces/{workspace}", "", Acquaintance),
    ("patch", "/api/v1/workspaces/{workspace}", r#"{"title": "T"}"#, InWorkspace(ManageWorkspace)),
    ("get", "/api/v1/workspaces/{workspace}/environments", "", Acquaintance),
    ("post", "/api/v1/workspaces/{workspace}/environments", r#"{"name": "e-NEW", "title": "E"}"#, InWorkspace(ManageWorkspace)),
    ("get", "/api/v1/workspaces/{workspace}/environments/{environment}", "", Acquaintance),
    ("patch", "/api/v1/workspaces/{workspace}/environments/{environment}", r#"{"title": "E"}"#, InWorkspace(ManageWorkspace)),
    ("delete", "/api/v1/workspaces/{workspace}/environments/{environment}", "", InWorkspace(ManageWorkspace)),
    ("get", "/api/v1/workspaces/{workspace}/metadata-schemas", "", Acquaintance),
    ("get", "/api/v1/workspaces/{workspace}/metadata-schemas/{field}", "", Acquaintance),
    ("put", "/api/v1/workspaces/{workspace}/metadata-schemas/{field}", r#"{"schema": {}, "assignedTo": ["asset"]}"#, InWorkspace(ManageWorkspace)),
    ("delete", "/api/v1/workspaces/{workspace}/metadata-schemas/{field}", "", Absent(ManageWorkspace)),
    ("get", "/api/v1/workspaces/{workspace}/approval-settings", "", Acquaintance),
    ("patch", "/api/v1/workspaces/{workspace}/approval-settings", "{}", InWorkspace(GovernWorkspace)),
    ("post", "/api/v1/workspaces/{workspace}/assets", r#"{"name": "new-NEW", "kind": "rest", "visibility": "private"}"#, InWorkspace(WriteCatalog)),
    ("get", "/api/v1/assets", "", Nothing),
    ("get", "/api/v1/search", "", Nothing),
    ("get", "/api/v1/search/suggest", "", Nothing),
    ("post", "/api/v1/import", "", Somewhere(&[WriteCatalog])),
    ("get", "/api/v1/export", "", Nothing),
    ("get", "/api/v1/keys?own=true", "", Credential),
    ("post", "/api/v1/keys", r#"{"name": "k"}"#, Needs::Person),
    ("delete", "/api/v1/keys/{key}", "", AnothersOwn),
    ("post", "/api/v1/keys/{key}/rotate", "{}", AnothersOwn),
    ("get", "/api/v1/me", "", Nothing),
    ("get", "/api/v1/me/permissions", "", Nothing),
    ("post", "/api/v1/reindex", "", Instance(ManageInstance)),
    ("get", "/api/v1/orphans", "", Somewhere(&[WriteCatalog, ReviewAssets, ReadAudit])),
    ("get", "/api/v1/approvals", "", Credential),
    ("post", "/api/v1/approvals", r#"{"workspace": "WORKSPACE", "asset": "ASSET"}"#, ForAsset(WriteCatalog)),
    ("get", "/api/v1/approvals/{approval}", "", Inside),
    ("post", "/api/v1/approvals/{approval}/comments", r#"{"body": "Why?"}"#, InsideAny(&[ReviewAssets, WriteCatalog])),
    ("post", "/api/v1/approvals/{approval}/decision", r#"{"verdict": "approve", "digest": "00"}"#, InsideAny(&[ReviewAssets])),
    ("post", "/api/v1/approvals/{approval}/withdraw", "", InsideAny(&[WriteCatalog])),
    // Requests for access: of those which are not there nobody is told more.
    ("get", "/api/v1/access-requests", "", Credential),
    ("post", "/api/v1/access-requests", r#"{"workspace": "WORKSPACE", "asset": "ASSET", "purpose": "To try"}"#, PersonWithSight),
    ("get", "/api/v1/access-requests/{request}", "", AnothersOwn),
    ("post", "/api/v1/access-requests/{request}/decision", r#"{"approve": true}"#, AnothersOwn),
    ("post", "/api/v1/access-requests/{request}/withdraw", "", AnothersOwn),
    ("post", "/api/v1/access-requests/{request}/key", r#"{"name": "k"}"#, AnothersOwn),
    ("get", "/access", "", Credential),
    ("get", "/access/{request}", "", AnothersOwn),
    ("post", "/access/{request}/decision", "do=approve", AnothersOwn),
    ("get", "/api/v1/workspaces/{workspace}/assets/{name}", "", Sight),
    ("patch", "/api/v1/workspaces/{workspace}/assets/{name}", r#"{"title": "T"}"#, ForAsset(WriteCatalog)),
    ("delete", "/api/v1/workspaces/{workspace}/assets/{name}", "", ForAsset(WriteCatalog)),
    ("post", "/api/v1/workspaces/{workspace}/assets/{name}/restore", "", ForAsset(WriteCatalog)),
    ("get", "/api/v1/workspaces/{workspace}/assets/{name}/history", "", ForAsset(WriteCatalog)),
    ("post", "/api/v1/workspaces/{workspace}/assets/{name}/check", "", FOR_ASSET_ANY),
    ("get", "/api/v1/workspaces/{workspace}/assets/{name}/versions", "", Sight),
    ("post", "/api/v1/workspaces/{workspace}/assets/{name}/versions", r#"{"version": {"name": "1.0.0"}}"#, ForAsset(WriteCatalog)),
    ("get", "/api/v1/workspaces/{workspace}/assets/{name}/versions/{version}", "", Sight),
    ("patch", "/api/v1/workspaces/{workspace}/assets/{name}/versions/{version}", "{}", ForAsset(WriteCatalog)),
    ("delete", "/api/v1/workspaces/{workspace}/assets/{name}/versions/{version}", "", ForAsset(WriteCatalog)),
    ("get", "/api/v1/workspaces/{workspace}/assets/{name}/versions/{from}/diff/{to}", "", Sight),
    ("get", "/api/v1/workspaces/{workspace}/assets/{name}/versions/{version}/definitions", "", Sight),
    ("post", "/api/v1/workspaces/{workspace}/assets/{name}/versions/{version}/definitions", r#"{"format": "markdown", "value": "x"}"#, ForAsset(WriteCatalog)),
    ("get", "/api/v1/workspaces/{workspace}/assets/{name}/versions/{version}/definitions/{definition}", "", Sight),
    ("delete", "/api/v1/workspaces/{workspace}/assets/{name}/versions/{version}/definitions/{definition}", "", ForAsset(WriteCatalog)),
    ("get", "/api/v1/workspaces/{workspace}/assets/{name}/versions/{version}/definitions/{definition}/content", "", Sight),
    ("get", "/api/v1/workspaces/{workspace}/assets/{name}/deployments", "", Sight),
    ("post", "/api/v1/workspaces/{workspace}/assets/{name}/deployments", r#"{"url": "https://x.example"}"#, ForAsset(WriteCatalog)),
    ("get", "/api/v1/workspaces/{workspace}/assets/{name}/deployments/{deployment}", "", Sight),
    ("put", "/api/v1/workspaces/{workspace}/assets/{name}/deployments/{deployment}", r#"{"url": "https://x.example"}"#, ForAsset(WriteCatalog)),
    ("delete", "/api/v1/workspaces/{workspace}/assets/{name}/deployments/{deployment}", "", ForAsset(WriteCatalog)),
    ("get", "/api/v1/workspaces/{workspace}/assets/{name}/operations", "", Sight),
    ("get", "/api/v1/workspaces/{workspace}/assets/{name}/operations/{operation}", "", Sight),
    ("get", "/api/v1/workspaces/{workspace}/assets/{name}/tools", "", Sight),
    ("get", "/api/v1/workspaces/{workspace}/assets/{name}/tools/{tool}", "", Sight),
    // Webhooks: of those which are not there the allowed are told so, and the others that they may not ask.
    ("get", "/api/v1/workspaces/{workspace}/webhooks", "", InWorkspace(GovernWorkspace)),
    ("post", "/api/v1/workspaces/{workspace}/webhooks", r#"{"name": "w", "url": "https://192.0.2.1/x"}"#, InWorkspace(GovernWorkspace)),
    ("get", "/api/v1/workspaces/{workspace}/webhooks/{webhook}", "", Absent(GovernWorkspace)),
    ("patch", "/api/v1/workspaces/{workspace}/webhooks/{webhook}", "{}", Absent(GovernWorkspace)),
    ("delete", "/api/v1/workspaces/{workspace}/webhooks/{webhook}", "", Absent(GovernWorkspace)),
    ("post", "/api/v1/workspaces/{workspace}/webhooks/{webhook}/secret", "", Absent(GovernWorkspace)),
    ("post", "/api/v1/workspaces/{workspace}/webhooks/{webhook}/test", "", Absent(GovernWorkspace)),
    ("get", "/api/v1/workspaces/{workspace}/webhooks/{webhook}/deliveries", "", Absent(GovernWorkspace)),
    ("post", "/api/v1/workspaces/{workspace}/webhooks/{webhook}/deliveries/{delivery}/replay", "", Absent(GovernWorkspace)),
    ("get", "/api/v1/audit", "", Somewhere(&[ReadAudit])),
    ("get", "/api/v1/audit/export", "", Somewhere(&[ReadAudit])),
    ("get", "/api/v1/audit/verify", "", Instance(ManageInstance)),
    ("get", "/api/v1/users", "", Instance(ManageInstance)),
    ("post", "/api/v1/users", r#"{"name": "user-NEW"}"#, Instance(ManageInstance)),
    ("get", "/api/v1/users/{user}", "", Instance(ManageInstance)),
    ("patch", "/api/v1/users/{user}", r#"{"disabled": false}"#, Instance(ManageInstance)),
    ("delete", "/api/v1/users/{user}/sessions", "", Instance(ManageInstance)),
    ("get", "/api/v1/users/{user}/permissions", "", Instance(ManageInstance)),
    ("get", "/api/v1/groups", "", Credential),
    ("post", "/api/v1/groups", r#"{"name": "group-NEW"}"#, Instance(ManageInstance)),
    ("get", "/api/v1/service-accounts", "", Instance(ManageKeys)),
    ("post", "/api/v1/service-accounts", r#"{"name": "account-NEW"}"#, Instance(ManageKeys)),
    ("get", "/api/v1/me/sessions", "", Credential),
    ("delete", "/api/v1/me/sessions", "", Credential),
    ("delete", "/api/v1/me/sessions/{session}", "", AnothersOwn),
    ("get", "/api/v1/workspaces/{workspace}/upstreams", "", InWorkspace(GovernWorkspace)),
    ("post", "/api/v1/workspaces/{workspace}/upstreams", r#"{"name": "u", "url": "https://192.0.2.1/x"}"#, InWorkspace(GovernWorkspace)),
    ("get", "/api/v1/workspaces/{workspace}/upstreams/{upstream}", "", Absent(GovernWorkspace)),
    ("patch", "/api/v1/workspaces/{workspace}/upstreams/{upstream}", "{}", Absent(GovernWorkspace)),
    ("delete", "/api/v1/workspaces/{workspace}/upstreams/{upstream}", "", Absent(GovernWorkspace)),
    ("post", "/api/v1/workspaces/{workspace}/upstreams/{upstream}/sync", "{}", Absent(GovernWorkspace)),
    ("get", "/api/v1/workspaces/{workspace}/upstreams/{upstream}/runs", "", Absent(GovernWorkspace)),
    // The registry's own routes, with and without a workspace.
    ("get", "/v0.1/servers", "", Nothing),
    ("get", "/v0.1/servers/{name}/versions", "", Sight),
    ("get", "/v0.1/servers/{name}/versions/{version}", "", Sight),
    ("put", "/v0.1/servers/{name}/versions/{version}", SERVER, ForAsset(WriteCatalog)),
    ("patch", "/v0.1/servers/{name}/versions/{version}/status", r#"{"status": "active"}"#, ForAsset(WriteCatalog)),
    ("patch", "/v0.1/servers/{name}/status", r#"{"status": "active"}"#, ForAsset(WriteCatalog)),
    ("post", "/v0.1/validate", SERVER, Nothing),
    ("get", "/v0.1/x/changes", "", Nothing),
    ("get", "/workspaces/{workspace}/v0.1/servers", "", Acquaintance),
    ("get", "/workspaces/{workspace}/v0.1/servers/{name}/versions/{version}", "", Sight),
    ("post", "/workspaces/{workspace}/v0.1/publish", SERVER, InWorkspace(WriteCatalog)),
    // Pages.
    ("get", "/", "", Nothing),
    ("get", "/browse", "", Nothing),
    ("get", "/workspaces", "", Nothing),
    ("get", "/workspaces/{workspace}", "", Acquaintance),
    ("get", "/workspaces/{workspace}/feed.atom", "", Acquaintance),
    ("post", "/workspaces/{workspace}/approval", "revision=999999", InWorkspace(GovernWorkspace)),
    ("get", "/approvals", "", Credential),
    ("get", "/approvals/{approval}", "", Inside),
    ("post", "/approvals/{approval}", "do=comment&reason=Why", InsideAny(&[ReviewAssets, WriteCatalog])),
    ("get", "/assets/{workspace}/{name}", "", Sight),
    ("get", "/assets/{workspace}/{name}/tools", "", Sight),
    ("get", "/assets/{workspace}/{name}/versions", "", Sight),
    ("get", "/assets/{workspace}/{name}/connect", "", Sight),
    ("get", "/assets/{workspace}/{name}/definition", "", Sight),
    ("get", "/assets/{workspace}/{name}/deployments", "", Sight),
    ("get", "/feed.atom", "", Nothing),
    ("get", "/register", "", Nothing),
    ("get", "/about", "", Nothing),
    ("get", "/status", "", Nothing),
    ("get", "/problems", "", Nothing),
];

/// Paths below which a builder of another part keeps its own matrix.
const ELSEWHERE: &[&str] = &[
    "/api/v1/gateway",
    "/api/v1/usage",
    "/api/v1/service-accounts/",
    "/api/v1/groups/{group}",
    "/api/v1/registries",
    "/api/v1/namespaces",
    "/api/v1/role-assignments",
];

/// Read or written by those who may write or review the asset.
const FOR_ASSET_ANY: Needs = ForAsset(WriteCatalog);

const SERVER: &str = r#"{"$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
    "name": "ASSET", "description": "Another", "version": "9.9.9"}"#;

/// A place of the catalog.
#[derive(Debug)]
struct Spot {
    workspace: &'static str,
    name: &'static str,
    deployment: String,
    approval: String,
    /// Whether who belongs to the crew sees it, and whether everybody does.
    shared: bool,
    public: bool,
}

/// Who asks.
struct Asker<'a> {
    label: String,
    person: Person<'a>,
    /// In `team`; none for those who hold nothing there.
    role: Option<Role>,
    anonymous: bool,
    /// Administers everything.
    root: bool,
}

impl Asker<'_> {
    fn holds(&self, permission: Permission, spot: &Spot) -> bool {
        self.root || (spot.workspace == "team" && self.role.is_some_and(|role| role.allows(permission)))
    }

    fn inside(&self, spot: &Spot) -> bool {
        self.holds(ReadCatalog, spot)
    }

    fn sees(&self, spot: &Spot) -> bool {
        self.inside(spot) || spot.public || (spot.shared && !self.anonymous)
    }

    /// The status the rules ask for: 200 stands for anything but a refusal.
    fn expected(&self, needs: Needs, spot: &Spot) -> u16 {
        let or = |is: bool, status: u16| if is { 200 } else { status };
        let named = !self.anonymous;
        match needs {
            Nothing => 200,
            Credential => or(named, 401),
            // The root is a key that belongs to nobody.
            Needs::Person => {
                if self.root {
                    403
                } else {
                    or(named, 401)
                }
            }
            AnothersOwn => {
                if named {
                    if self.root { 200 } else { 404 }
                } else {
                    401
                }
            }
            Sight => or(self.sees(spot), 404),
            PersonWithSight if self.anonymous => 401,
            PersonWithSight if self.root => 403,
            PersonWithSight => or(self.sees(spot), 404),
            Acquaintance => or(self.knows(spot), 404),
            _ if !named => 401,
            Inside => or(self.inside(spot), 404),
            InsideAny(any) if self.inside(spot) => or(any.iter().any(|one| self.holds(*one, spot)), 403),
            ForAsset(permission) if self.sees(spot) => or(self.holds(permission, spot), 403),
            InWorkspace(permission) if self.knows(spot) => or(self.holds(permission, spot), 403),
            Absent(permission) if self.knows(spot) && !self.holds(permission, spot) => 403,
            InsideAny(_) | ForAsset(_) | InWorkspace(_) | Absent(_) => 404,
            Instance(permission) => or(self.root && Role::Administrator.allows(permission), 403),
            Somewhere(any) => {
                or(self.root || self.role.is_some_and(|role| any.iter().any(|one| role.allows(*one))), 403)
            }
        }
    }

    /// Whether any asset of the workspace is seen.
    fn knows(&self, spot: &Spot) -> bool {
        match spot.workspace {
            "other" => true,
            "vault" => self.root,
            _ => self.inside(spot),
        }
    }
}

async fn spots(app: &TestApp) -> Vec<Spot> {
    let system = Actor::system("test");
    let mut made = Vec::new();
    for (workspace, name, visibility, shared) in [
        ("team", "com.example/own", "private", false),
        ("other", "com.example/foreign", "private", false),
        ("other", "com.example/shared", "private", true),
        ("other", "com.example/public", "public", false),
        ("vault", "com.example/vaulted", "private", false),
    ] {
        app.handles.catalog.ensure_workspace(&system, &Slug::parse(workspace).unwrap(), workspace).await.unwrap();
        let of = |rest: &str| format!("/api/v1/workspaces/{workspace}{rest}");
        let field = json!({"schema": {"type": "string"}, "assignedTo": ["asset"]});
        app.admin().put(&of("/metadata-schemas/colour"), &field).await;
        app.admin().patch(&of("/approval-settings"), &json!({"required": false})).await.expect(200);
        let server = json!({"$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
            "name": name, "description": "One of them", "version": "1.0.0",
            "_meta": {"io.modelcontextprotocol.registry/publisher-provided": {"tools": [{"name": "call", "description": "Calls"}]}}});
        let body = json!({"visibility": visibility, "sharedWith": if shared { vec!["crew"] } else { vec![] },
            "definition": {"format": "server-json", "value": server},
            "deployments": [{"url": format!("https://{}.example", name.len()), "environment": "prod", "transport": "sse"}]});
        let asset = app.admin().post(&of("/assets"), &body).await.expect(201).json();
        // Something of the asset that waits.
        app.admin().patch(&of("/approval-settings"), &json!({"required": true})).await.expect(200);
        let path = of(&format!("/assets/{}", name.replace('/', "%2F")));
        let waits = app.admin().patch(&path, &json!({"owners": ["somebody"]})).await.expect(202).json();
        made.push(Spot {
            workspace,
            name,
            deployment: asset["deployments"][0]["id"].as_str().unwrap().to_owned(),
            approval: waits["approval"].as_str().unwrap().to_owned(),
            shared,
            public: visibility == "public",
        });
    }
    made
}

async fn askers(app: &TestApp) -> Vec<Asker<'_>> {
    let system = Actor::system("test");
    let team = app.handles.catalog.workspace(&system, "team").await.unwrap();
    app.person("stella").await;
    // Another administrator than the one whose changes wait.
    let root = NewKey::with_role("root", Role::Administrator, None);
    let (_, root) = app.handles.auth.create_key(&system, root).await.unwrap();
    let root = app.with_key(root.reveal());
    let mut all = vec![
        Asker { label: "anonymous".into(), person: app.stranger(), role: None, anonymous: true, root: false },
        Asker { label: "nobody".into(), person: app.person("nobody").await, role: None, anonymous: false, root: false },
        Asker { label: "root".into(), person: root, role: None, anonymous: false, root: true },
    ];
    for role in Role::ALL {
        let name = role.as_str();
        let person = app.person(name).await;
        let (holder, scope) = (HolderName::User(name.to_owned()), Scope::Workspace(team.workspace_id));
        app.handles.auth.assign_role(&system, *role, &holder, scope, None).await.unwrap();
        all.push(Asker { label: name.to_owned(), person, role: Some(*role), anonymous: false, root: false });
    }
    all
}

#[test]
fn every_route_of_the_rest_api_stands_in_the_matrix() {
    let document = wharfinger::api::document("http://127.0.0.1");
    let served: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| (method.clone(), path.clone())))
        .filter(|(_, path)| !ELSEWHERE.iter().any(|other| path.starts_with(other)))
        .collect();
    let told: BTreeSet<(String, String)> = ROUTES
        .iter()
        .filter(|(_, path, ..)| path.starts_with("/api/v1") && !ELSEWHERE.iter().any(|other| path.starts_with(other)))
        .map(|(method, path, ..)| ((*method).to_owned(), path.split('?').next().unwrap().to_owned()))
        .collect();

    let missing: Vec<_> = served.difference(&told).collect();
    let gone: Vec<_> = told.difference(&served).collect();
    assert!(missing.is_empty() && gone.is_empty(), "say what these need: {missing:#?}\nserved no more: {gone:#?}");
}

#[tokio::test]
async fn every_role_gets_of_every_route_what_the_table_allows() {
    let app = TestApp::start().await;
    let members: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).chain(["nobody"]).collect();
    app.group("crew", &members).await;
    let spots = spots(&app).await;
    let askers = askers(&app).await;
    let (mut wrong, mut asked) = (Vec::new(), 0);

    for (method, pattern, body, needs) in ROUTES {
        let is_of_place = pattern.contains('{') || body.contains("ASSET");
        for spot in spots.iter().take(if is_of_place { spots.len() } else { 1 }) {
            // A server whose name is another's elsewhere is found by that: these names are all different.
            for asker in &askers {
                asked += 1;
                let new = format!("{asked}");
                let path = pattern
                    .replace("{workspace}", spot.workspace)
                    .replace("{name}", &spot.name.replace('/', "%2F"))
                    .replace("{version}", "1.0.0")
                    .replace("{from}", "1.0.0")
                    .replace("{to}", "1.0.0")
                    .replace("{definition}", "server-json")
                    .replace("{deployment}", &spot.deployment)
                    .replace("{approval}", &spot.approval)
                    .replace("{environment}", "prod")
                    .replace("{field}", if *method == "delete" { "shade" } else { "colour" })
                    .replace("{operation}", "call")
                    .replace("{tool}", "call")
                    .replace("{user}", "stella")
                    .replace("{key}", NONE)
                    .replace("{assignment}", NONE)
                    .replace("{session}", NONE)
                    .replace("{request}", NONE)
                    .replace("{webhook}", NONE)
                    .replace("{delivery}", NONE)
                    .replace("{upstream}", "absent");
                let text = body.replace("NEW", &new).replace("WORKSPACE", spot.workspace).replace("ASSET", spot.name);
                let mut request = asker.person.request(method.parse::<reqwest::Method>().map(upper).unwrap(), &path);
                if *method != "get" {
                    request = request.header("if-match", "\"999999\"");
                    let is_form = !pattern.starts_with("/api") && body.contains('=');
                    let media = match (is_form, *pattern) {
                        (true, _) => "application/x-www-form-urlencoded",
                        (_, "/api/v1/import") => "application/x-ndjson",
                        _ => "application/json",
                    };
                    if !text.is_empty() || *pattern == "/api/v1/import" {
                        request = request.header("content-type", media).body(text);
                    }
                }
                let answer = asker.person.send(request.header("accept", "application/json")).await;
                let told = match answer.status {
                    status @ (401 | 403 | 404) => status,
                    status if status >= 500 => status,
                    _ => 200,
                };
                let mut expected = asker.expected(*needs, spot);
                if matches!(needs, AnothersOwn) && asker.root {
                    // There is no such key at all.
                    expected = 404;
                }
                if *pattern == CHECK && !asker.anonymous && asker.holds(ReviewAssets, spot) {
                    expected = 200;
                }
                if told != expected {
                    let text: String = answer.text.chars().take(160).collect();
                    wrong.push(format!(
                        "{method} {path} as {} ({needs:?}): {} where {expected} was expected: {text}",
                        asker.label, answer.status
                    ));
                }
            }
        }
    }

    assert!(wrong.is_empty(), "{} of {asked} answers:\n{}", wrong.len(), wrong.join("\n"));
    eprintln!("{asked} answers as the table says");
}

/// The id of nothing.
const NONE: &str = "0192f0c1-2345-7abc-8def-0123456789ab";
const CHECK: &str = "/api/v1/workspaces/{workspace}/assets/{name}/check";

fn upper(method: reqwest::Method) -> reqwest::Method {
    method.as_str().to_uppercase().parse().unwrap()
}

#[tokio::test]
async fn every_tool_of_discovery_gives_what_is_seen() {
    let app = TestApp::start().await;
    let members: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).chain(["nobody"]).collect();
    app.group("crew", &members).await;
    let spots = spots(&app).await;
    let askers = askers(&app).await;
    let ask = async |person: &Person<'_>, method: &str, params: Value| -> Value {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let request = person
            .request(reqwest::Method::POST, "/mcp")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25");
        person.send(request.json(&message)).await.json()["result"].clone()
    };
    let arguments: BTreeMap<&str, fn(&str) -> Value> = BTreeMap::from([
        ("describe_asset", (|name| json!({"name": name})) as fn(&str) -> Value),
        ("get_definition", |name| json!({"name": name})),
        ("list_versions", |name| json!({"name": name})),
        ("connect", |name| json!({"name": name})),
        ("search_catalog", |name| json!({"query": name})),
    ]);
    let tools = ask(&app.admin(), "tools/list", json!({})).await;
    let names: BTreeSet<&str> =
        tools["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, arguments.keys().copied().collect(), "say what a new tool needs");

    for asker in &askers {
        for spot in &spots {
            for (tool, arguments) in &arguments {
                let answer =
                    ask(&asker.person, "tools/call", json!({"name": tool, "arguments": arguments(spot.name)})).await;
                let told = match *tool {
                    "search_catalog" => {
                        let items = answer["structuredContent"]["items"].as_array().unwrap();
                        items.iter().any(|item| item["name"] == spot.name)
                    }
                    _ => answer["isError"] == false,
                };
                assert_eq!(told, asker.sees(spot), "{tool} {} as {}: {answer}", spot.name, asker.label);
            }
        }
    }
}
