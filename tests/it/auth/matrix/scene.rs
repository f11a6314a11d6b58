//! Where the matrix is played: five assets of three workspaces with what belongs to them, and who asks.

use crate::support::{Person, TestApp};
use serde_json::json;
use wharfinger::auth::{Actor, HolderName, NewKey, NewServiceAccount, Permission, Role, Scope};
use wharfinger::base::Slug;

/// The id of nothing.
pub const NONE: &str = "0192f0c1-2345-7abc-8def-0123456789ab";

/// A place of the catalog.
#[derive(Debug)]
pub struct Spot {
    pub workspace: &'static str,
    pub name: &'static str,
    deployment: String,
    approval: String,
    /// Whether who belongs to the crew sees it, and whether everybody does.
    shared: bool,
    public: bool,
}

/// Who asks.
pub struct Asker<'a> {
    pub label: String,
    pub person: Person<'a>,
    /// In `team`; none for those who hold nothing there.
    pub role: Option<Role>,
    pub anonymous: bool,
    /// Administers everything.
    pub root: bool,
}

impl Asker<'_> {
    pub fn holds(&self, permission: Permission, spot: &Spot) -> bool {
        self.root || (spot.workspace == "team" && self.role.is_some_and(|role| role.allows(permission)))
    }

    pub fn inside(&self, spot: &Spot) -> bool {
        self.holds(Permission::ReadCatalog, spot)
    }

    pub fn sees(&self, spot: &Spot) -> bool {
        self.inside(spot) || spot.public || (spot.shared && !self.anonymous)
    }

    /// Whether any asset of the workspace is seen.
    pub fn knows(&self, spot: &Spot) -> bool {
        match spot.workspace {
            "other" => true,
            "vault" => self.root,
            _ => self.inside(spot),
        }
    }
}

impl Spot {
    /// A place that is not there; its names are as long as those of the vault.
    pub fn absent() -> Self {
        Self {
            workspace: "fault",
            name: "com.example/faulted",
            deployment: NONE.to_owned(),
            approval: NONE.to_owned(),
            shared: false,
            public: false,
        }
    }

    /// What it is called by beside its names.
    pub fn ids(&self) -> [&str; 2] {
        [&self.deployment, &self.approval]
    }

    /// A path of the matrix for this spot. What a row takes away is made before, so that it is there for each who asks.
    pub async fn fill(&self, app: &TestApp, method: &str, pattern: &str, new: &str) -> String {
        let mut path = pattern
            .replace("{workspace}", self.workspace)
            .replace("{name}", &self.name.replace('/', "%2F"))
            .replace("{version}", "1.0.0")
            .replace("{from}", "1.0.0")
            .replace("{to}", "1.0.0")
            .replace("{definition}", "server-json")
            .replace("{deployment}", &self.deployment)
            .replace("{approval}", &self.approval)
            .replace("{environment}", "prod")
            .replace("{field}", if method == "delete" { "shade" } else { "colour" })
            .replace("{operation}", "call")
            .replace("{tool}", "call")
            .replace("{user}", "stella")
            .replace("{upstream}", "absent")
            .replace("{digest}", "none");
        for nothing in ["{key}", "{session}", "{webhook}", "{delivery}", "{request}"] {
            path = path.replace(nothing, NONE);
        }
        if self.workspace == Self::absent().workspace {
            return path.replace("{assignment}", NONE).replace("{view}", &format!("lost-{new}"));
        }
        if path.contains("{assignment}") {
            let role = json!({"role": "reader", "holderKind": "user", "holder": "stella", "workspace": self.workspace});
            let made = app.admin().post("/api/v1/role-assignments", &role).await.expect(201).json();
            path = path.replace("{assignment}", made["id"].as_str().unwrap());
        }
        if path.contains("{view}") {
            let view = json!({"name": format!("gone-{new}"), "workspace": self.workspace});
            app.admin().post("/api/v1/registries", &view).await.expect(201);
            path = path.replace("{view}", &format!("gone-{new}"));
        }
        path
    }
}

pub async fn spots(app: &TestApp) -> Vec<Spot> {
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
    for workspace in ["team", "other", "vault"] {
        belongings(app, workspace).await;
    }
    gate(app, None).await;
    let anonymous = "/api/v1/namespaces/io.modelcontextprotocol.anonymous";
    app.admin().put(anonymous, &json!({"workspace": "team"})).await.expect(201);
    made
}

/// What a workspace has beside assets: a service account, a named registry, settings of the gateway.
async fn belongings(app: &TestApp, workspace: &str) {
    let system = Actor::system("test");
    let id = app.handles.catalog.workspace(&system, workspace).await.unwrap().workspace_id;
    let name = format!("robot-{workspace}");
    let robot = NewServiceAccount { name, workspace: Some(id), ..NewServiceAccount::default() };
    app.handles.auth.create_service_account(&system, robot).await.unwrap();
    let view = json!({"name": format!("view-{workspace}"), "workspace": workspace, "access": "credentials"});
    app.admin().post("/api/v1/registries", &view).await.expect(201);
    gate(app, Some(workspace)).await;
}

/// One thing of each section of the gateway's settings, all named `gate`.
async fn gate(app: &TestApp, workspace: Option<&str>) {
    let query = workspace.map(|workspace| format!("?workspace={workspace}")).unwrap_or_default();
    let model = format!("{}-model", workspace.unwrap_or("instance"));
    for (section, settings) in [
        ("credentials", json!({"bearer": {"value": "s3cret"}})),
        ("backends", json!({"provider": "openai", "url": "https://api.example.com/v1"})),
        ("pools", json!({"members": [{"backend": "gate"}]})),
        ("routes", json!({"serves": {"models": [model]}, "pool": "gate"})),
        ("policies", json!({"rule": {"tokenLimit": {"tokensPerMinute": 1000}}})),
        ("prices", json!({"input": 1})),
    ] {
        app.admin().put(&format!("/api/v1/gateway/{section}/gate{query}"), &settings).await.expect(201);
    }
}

pub async fn askers(app: &TestApp) -> Vec<Asker<'_>> {
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
