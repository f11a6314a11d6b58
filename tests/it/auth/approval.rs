//! Approval: what waits is seen by nobody outside, a change of what is approved waits, and each decision is bound to what
//! was seen.

use crate::support::{Answer, Person, TestApp};
use serde_json::{Value, json};
use std::time::Duration;
use wharfinger::auth::{Actor, HolderName, Role, Scope};
use wharfinger::base::Slug;

/// A person of this name with this role in `team`.
pub async fn with_role<'a>(app: &'a TestApp, name: &str, role: Role) -> Person<'a> {
    let system = Actor::system("test");
    let team = app.handles.catalog.ensure_workspace(&system, &Slug::parse("team").unwrap(), "Team").await.unwrap();
    let person = app.person(name).await;
    let scope = Scope::Workspace(team.workspace_id);
    app.handles.auth.assign_role(&system, role, &HolderName::User(name.to_owned()), scope, None).await.unwrap();
    person
}

/// Lets `team` ask for approval.
pub async fn require_approval(app: &TestApp, more: Value) {
    let mut settings = json!({"required": true});
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    app.admin().patch("/api/v1/workspaces/team/approval-settings", &settings).await.expect(200);
}

pub async fn waiting(person: &Person<'_>) -> Vec<Value> {
    person.get("/api/v1/approvals").await.expect(200).json()["items"].as_array().unwrap().clone()
}

/// Decides on the request as it is now.
pub async fn decide(person: &Person<'_>, id: &str, verdict: &str, reason: &str) -> Answer {
    let digest = person.get(&format!("/api/v1/approvals/{id}")).await.expect(200).json()["digest"].clone();
    let body = json!({"verdict": verdict, "reason": reason, "digest": digest});
    person.post(&format!("/api/v1/approvals/{id}/decision"), &body).await
}

fn pay(version: &str) -> Value {
    json!({"name": "pay", "kind": "rest", "title": "Pay", "owners": ["anna"], "version": {"name": version},
           "operations": [{"name": "pay", "description": "Pays"}], "deployments": [{"url": "https://pay.example"}]})
}

const PAY: &str = "/api/v1/workspaces/team/assets/pay";

#[tokio::test]
async fn what_is_new_is_seen_by_others_once_somebody_else_approved_it() {
    let app = TestApp::start().await;
    let anna = with_role(&app, "anna", Role::Publisher).await;
    let rita = with_role(&app, "rita", Role::Reviewer).await;
    anna.patch("/api/v1/workspaces/team/approval-settings", &json!({"required": true})).await.expect(403);
    require_approval(&app, json!({})).await;

    let made = anna.post("/api/v1/workspaces/team/assets", &pay("1.0.0")).await.expect(201).json();
    assert_eq!(made["isApproved"], false);
    app.stranger().get(PAY).await.expect(404);
    assert_eq!(app.stranger().get("/api/v1/assets").await.json()["total"], 0);
    rita.get(PAY).await.expect(200);

    let queue = waiting(&rita).await;
    let id = queue[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (queue.len(), &queue[0]["purpose"], &queue[0]["requester"]),
        (1, &json!("publication"), &json!("user anna with key test"))
    );
    app.stranger().get("/api/v1/approvals").await.expect(401);
    let outsider = app.person("otto").await;
    outsider.get(&format!("/api/v1/approvals/{id}")).await.expect(404);
    assert_eq!(waiting(&outsider).await.len(), 0);

    app.handles.catalog.examine_waiting(&app.handles.http).await.unwrap();
    let seen = rita.get(&format!("/api/v1/approvals/{id}")).await.expect(200).json();
    let check = |rule: &str| {
        let all = seen["evidence"].as_array().unwrap();
        all.iter().find(|one| one["rule"] == rule).unwrap_or_else(|| panic!("{rule}"))["outcome"].clone()
    };
    assert_eq!((check("owner-known"), check("licence-present")), (json!("passed"), json!("warned")));
    assert_eq!((&seen["mayDecide"], &seen["evidenceIsOld"]), (&json!(true), &json!(false)));

    decide(&anna, &id, "approve", "").await.expect(403);
    rita.post(&format!("/api/v1/approvals/{id}/comments"), &json!({"body": "Whose money?"})).await.expect(201);
    decide(&rita, &id, "ask-for-changes", "").await.expect(422);
    decide(&rita, &id, "ask-for-changes", "Say whose money.").await.expect(200);
    anna.patch(PAY, &json!({"summary": "Takes customers' money."})).await.expect(200);
    let stale = json!({"verdict": "approve", "digest": seen["digest"]});
    let refused = rita.post(&format!("/api/v1/approvals/{id}/decision"), &stale).await.expect(409);
    assert_eq!(refused.json()["type"], "/problems/approval-changed");
    app.stranger().get(PAY).await.expect(404);

    let done = decide(&rita, &id, "approve", "Fine now.").await.expect(200).json();
    assert_eq!((&done["state"], &done["decidedBy"]), (&json!("approved"), &json!("user rita with key test")));
    let shown = app.stranger().get(PAY).await.expect(200).json();
    assert_eq!((&shown["isApproved"], &shown["version"]["isApproved"]), (&json!(true), &json!(true)));
    assert_eq!(decide(&rita, &id, "approve", "").await.expect(409).json()["type"], "/problems/approval-decided");
    let verbs: Vec<String> = sqlx::query_scalar("select verb from audit where verb like '%appro%' order by sequence")
        .fetch_all(&app.handles.db.read)
        .await
        .unwrap();
    let expected =
        ["workspace.set-approval", "approval.request", "approval.comment", "approval.ask-for-changes", "asset.approve"];
    assert_eq!(verbs, expected);
}

#[tokio::test]
async fn nobody_approves_what_is_his_own_unless_the_workspace_says_so() {
    let app = TestApp::start().await;
    with_role(&app, "anna", Role::Publisher).await;
    let anna = with_role(&app, "anna", Role::Reviewer).await;
    require_approval(&app, json!({})).await;
    anna.post("/api/v1/workspaces/team/assets", &pay("1.0.0")).await.expect(201);
    let id = waiting(&anna).await[0]["id"].as_str().unwrap().to_owned();

    let refused = decide(&anna, &id, "approve", "").await.expect(403).json();
    assert_eq!(refused["type"], "/problems/self-approval");
    app.stranger().get(PAY).await.expect(404);

    require_approval(&app, json!({"selfApproval": true})).await;
    decide(&anna, &id, "approve", "").await.expect(200);
    app.stranger().get(PAY).await.expect(200);
    let two = json!({"version": {"name": "2.0.0"}});
    anna.post(&format!("{PAY}/versions"), &two).await.expect(201);
    assert_eq!(app.stranger().get(PAY).await.json()["version"]["name"], "2.0.0", "approved as it is written");
}

#[tokio::test]
async fn a_change_of_what_is_approved_waits_and_is_done_once() {
    let app = TestApp::start().await;
    let anna = with_role(&app, "anna", Role::Publisher).await;
    let rita = with_role(&app, "rita", Role::Reviewer).await;
    app.person("bert").await;
    anna.post("/api/v1/workspaces/team/assets", &pay("1.0.0")).await.expect(201);
    require_approval(&app, json!({})).await;

    // Words pass, an owner waits.
    let taken = anna.patch(PAY, &json!({"title": "Payments", "owners": ["bert"]})).await.expect(202).json();
    assert_eq!(taken["type"], "/problems/waits-for-approval");
    let shown = app.stranger().get(PAY).await.expect(200).json();
    assert_eq!((&shown["title"], &shown["owners"]), (&json!("Payments"), &json!(["anna"])));
    let owner = taken["approval"].as_str().unwrap().to_owned();
    assert_eq!(taken["request"], format!("/api/v1/approvals/{owner}"));

    // Two addresses join one request, and both are done.
    let runs = format!("{PAY}/deployments");
    let one = anna.post(&runs, &json!({"url": "https://one.example"})).await.expect(202).json();
    let two = anna.post(&runs, &json!({"url": "https://two.example"})).await.expect(202).json();
    assert_eq!(one["approval"], two["approval"]);
    let definition = json!({"format": "openapi", "value": {"openapi": "3.1.0", "info": {"title": "Pay", "version": "1.0.0"},
                            "paths": {"/refunds": {"get": {"operationId": "listRefunds", "responses": {}}}}}});
    anna.post(&format!("{PAY}/versions/1.0.0/definitions"), &definition).await.expect(202);
    let urls = |seen: &Value| -> Vec<String> {
        let all = seen["deployments"].as_array().unwrap().iter();
        all.map(|one| one["url"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(urls(&app.stranger().get(PAY).await.json()), ["https://pay.example"]);

    let change = one["approval"].as_str().unwrap().to_owned();
    let seen = rita.get(&format!("/api/v1/approvals/{change}")).await.expect(200).json();
    let places: Vec<_> =
        seen["differences"].as_array().unwrap().iter().map(|one| one["place"].as_str().unwrap()).collect();
    assert_eq!(places, ["definitions/openapi", "deployments", "operations/listRefunds", "operations/pay"]);
    assert_eq!(seen["steps"].as_array().unwrap().len(), 3);

    let digest = seen["digest"].clone();
    let body = json!({"verdict": "approve", "digest": digest});
    let path = format!("/api/v1/approvals/{change}/decision");
    let outcomes = futures::future::join_all((0..5).map(|_| rita.post(&path, &body))).await;
    let mut statuses: Vec<_> = outcomes.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409]);
    let shown = app.stranger().get(PAY).await.expect(200).json();
    assert_eq!(urls(&shown), ["https://pay.example", "https://one.example", "https://two.example"]);
    assert_eq!(shown["operationCount"], 1);

    decide(&rita, &owner, "reject", "Bert left.").await.expect(200);
    assert_eq!(app.stranger().get(PAY).await.json()["owners"], json!(["anna"]));

    // Fewer who see it need nobody's leave; more do.
    anna.patch(PAY, &json!({"visibility": "internal"})).await.expect(200);
    let wider = anna.patch(PAY, &json!({"visibility": "public"})).await.expect(202).json();
    let id = wider["approval"].as_str().unwrap();
    anna.post(&format!("/api/v1/approvals/{id}/withdraw"), &json!({})).await.expect(200);
    app.stranger().get(PAY).await.expect(404);
}

#[tokio::test]
async fn a_new_version_waits_while_the_approved_one_is_the_latest() {
    let app = TestApp::start().await;
    let anna = with_role(&app, "anna", Role::Publisher).await;
    let rita = with_role(&app, "rita", Role::Reviewer).await;
    let server = |version: &str| {
        json!({"$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
               "name": "com.example/pay", "description": format!("Pays, as {version} does"), "version": version,
               "remotes": [{"type": "streamable-http", "url": format!("https://{}.example/mcp", version.replace('.', "-"))}]})
    };
    anna.post("/workspaces/team/v0.1/publish", &server("1.0.0")).await.expect(200);
    require_approval(&app, json!({})).await;
    anna.post("/workspaces/team/v0.1/publish", &server("2.0.0")).await.expect(200);

    let latest = "/workspaces/team/v0.1/servers/com.example%2Fpay/versions/latest";
    let version = |answer: Answer| answer.expect(200).json()["server"]["version"].clone();
    assert_eq!(version(app.stranger().get(latest).await), "1.0.0");
    assert_eq!(version(rita.get(latest).await), "1.0.0");
    app.stranger().get("/workspaces/team/v0.1/servers/com.example%2Fpay/versions/2.0.0").await.expect(404);
    rita.get("/workspaces/team/v0.1/servers/com.example%2Fpay/versions/2.0.0").await.expect(200);
    let summary = |answer: Answer| answer.expect(200).json()["summary"].clone();
    let asset = "/api/v1/workspaces/team/assets/com.example%2Fpay";
    assert_eq!(summary(app.stranger().get(asset).await), "Pays, as 1.0.0 does");

    let id = waiting(&rita).await[0]["id"].as_str().unwrap().to_owned();
    decide(&rita, &id, "approve", "").await.expect(200);

    assert_eq!(version(app.stranger().get(latest).await), "2.0.0");
    assert_eq!(summary(app.stranger().get(asset).await), "Pays, as 2.0.0 does");

    // An edit of what is approved, and the same by an import, wait.
    let mut edited = server("2.0.0");
    edited["remotes"][0]["url"] = json!("https://elsewhere.example/mcp");
    let path = "/workspaces/team/v0.1/servers/com.example%2Fpay/versions/2.0.0";
    anna.put(path, &edited).await.expect(202);
    let request = anna.request(reqwest::Method::POST, "/api/v1/import?workspace=team").body(edited.to_string());
    let report = anna.send(request.header("content-type", "application/x-ndjson")).await.expect(200).json();
    assert_eq!((&report["proposed"], &report["updated"]), (&json!(1), &json!(0)));
    let shown = app.stranger().get(latest).await.json();
    assert_eq!(shown["server"]["remotes"][0]["url"], "https://2-0-0.example/mcp");
    let id = waiting(&rita).await[0]["id"].as_str().unwrap().to_owned();
    decide(&rita, &id, "approve", "").await.expect(200);
    let shown = app.stranger().get(latest).await.json();
    assert_eq!(shown["server"]["remotes"][0]["url"], "https://elsewhere.example/mcp");
}

#[tokio::test]
async fn an_approval_that_runs_out_is_renewed_or_hides_what_it_showed() {
    let app = TestApp::start().await;
    let anna = with_role(&app, "anna", Role::Publisher).await;
    let rita = with_role(&app, "rita", Role::Reviewer).await;
    require_approval(&app, json!({"validDays": 30, "graceDays": 7})).await;
    anna.post("/api/v1/workspaces/team/assets", &pay("1.0.0")).await.expect(201);
    let id = waiting(&rita).await[0]["id"].as_str().unwrap().to_owned();
    decide(&rita, &id, "approve", "").await.expect(200);
    let days = |days: u64| Duration::from_secs(days * 24 * 3600);

    app.clock.advance(days(31));
    app.handles.catalog.end_approvals().await.unwrap();
    app.handles.catalog.end_approvals().await.unwrap();
    let queue = waiting(&rita).await;
    assert_eq!((queue.len(), &queue[0]["purpose"]), (1, &json!("renewal")));
    app.stranger().get(PAY).await.expect(200);

    app.clock.advance(days(7));
    app.handles.catalog.end_approvals().await.unwrap();
    app.stranger().get(PAY).await.expect(404);

    let renewal = queue[0]["id"].as_str().unwrap().to_owned();
    decide(&rita, &renewal, "approve", "").await.expect(200);
    app.stranger().get(PAY).await.expect(200);
    app.clock.advance(days(20));
    assert_eq!(app.handles.catalog.end_approvals().await.unwrap(), 0);
}

#[tokio::test]
async fn while_the_latest_version_is_hidden_the_asset_has_the_words_of_the_one_that_is_seen() {
    let app = TestApp::start().await;
    let anna = with_role(&app, "anna", Role::Publisher).await;
    let rita = with_role(&app, "rita", Role::Reviewer).await;
    require_approval(&app, json!({"validDays": 1, "graceDays": 0})).await;
    for (version, title) in [("2.0.0", "Indigo"), ("1.0.0", "Amber")] {
        let document = json!({"name": "com.acme/files", "title": title, "description": "Reads", "version": version,
            "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"});
        anna.post("/workspaces/team/v0.1/publish", &document).await.expect(200);
        decide(&rita, waiting(&rita).await[0]["id"].as_str().unwrap(), "approve", "").await.expect(200);
        app.clock.advance(Duration::from_secs(12 * 3600));
    }
    let is_called = async |title: &str| {
        let asset = app.stranger().get("/api/v1/workspaces/team/assets/com.acme%2Ffiles").await.expect(200).json();
        assert_eq!(asset["title"], title, "{asset}");
        let latest = app.stranger().get("/v0.1/servers/com.acme%2Ffiles/versions/latest").await.expect(200).json();
        assert_eq!(latest["server"]["title"], title, "{latest}");
    };
    is_called("Indigo").await;

    app.clock.advance(Duration::from_secs(60));
    assert_eq!(app.handles.catalog.end_approvals().await.unwrap(), 1);
    is_called("Amber").await;
    decide(&rita, waiting(&rita).await[0]["id"].as_str().unwrap(), "approve", "").await.expect(200);
    is_called("Indigo").await;
}

#[tokio::test]
async fn what_belongs_to_nobody_any_more_is_reported_to_those_who_look_after_it() {
    let app = TestApp::start().await;
    let anna = with_role(&app, "anna", Role::Publisher).await;
    app.person("bert").await;
    app.group("ops", &[]).await;
    for (name, owners) in [
        ("kept", json!(["anna", "ghost"])),
        ("grouped", json!(["ops"])),
        ("lost", json!(["bert"])),
        ("none", json!([])),
    ] {
        let body = json!({"name": name, "kind": "rest", "owners": owners});
        anna.post("/api/v1/workspaces/team/assets", &body).await.expect(201);
    }
    sqlx::query("update user_account set disabled_at = now() where name = 'bert'")
        .execute(&app.handles.db.write)
        .await
        .unwrap();

    let names = |answer: Answer| -> Vec<String> {
        let report = answer.expect(200).json();
        report["items"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(anna.get("/api/v1/orphans").await), ["lost", "none"]);
    assert_eq!(names(anna.get("/api/v1/orphans?limit=1").await), ["lost"]);
    app.person("otto").await.get("/api/v1/orphans").await.expect(403);
    app.stranger().get("/api/v1/orphans").await.expect(401);
}

#[tokio::test]
async fn turning_approval_off_tells_what_still_waits() {
    let app = TestApp::start().await;
    let anna = with_role(&app, "anna", Role::Publisher).await;
    require_approval(&app, json!({})).await;
    anna.post("/api/v1/workspaces/team/assets", &pay("1.0.0")).await.expect(201);

    let off = json!({"required": false});
    let told = app.admin().patch("/api/v1/workspaces/team/approval-settings", &off).await.expect(200).json();

    assert_eq!((&told["required"], &told["waiting"]), (&json!(false), &json!(1)));
    let page = anna.get("/workspaces/team").await.expect(200).text;
    assert!(page.contains("1 request waits</a> although nothing more is asked for"), "{page}");
    assert_eq!(app.stranger().get("/api/v1/assets").await.json()["total"], 0);
    let known = app.stranger().get("/api/v1/workspaces/team/approval-settings").await;
    assert!(!known.text.contains("waiting"), "{}", known.text);
    assert_eq!(waiting(&anna).await.len(), 1);
}

#[tokio::test]
async fn an_address_that_clients_fill_in_is_told_as_not_asked() {
    let app = TestApp::start().await;
    let anna = with_role(&app, "anna", Role::Publisher).await;
    require_approval(&app, json!({})).await;
    let server = json!({"$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": "com.example/tenants", "description": "For tenants", "version": "1.0.0",
        "remotes": [{"type": "streamable-http", "url": "https://{tenant}.example.com/mcp",
                     "variables": {"tenant": {"description": "Yours", "isRequired": true}}}]});
    anna.post("/workspaces/team/v0.1/publish", &server).await.expect(200);

    app.handles.catalog.examine_waiting(&app.handles.http).await.unwrap();

    let id = waiting(&anna).await[0]["id"].as_str().unwrap().to_owned();
    let seen = anna.get(&format!("/api/v1/approvals/{id}")).await.expect(200).json();
    let all = seen["evidence"].as_array().unwrap();
    let reachable = all.iter().find(|one| one["rule"] == "remote-reachable").unwrap();
    assert_eq!(reachable["outcome"], "warned");
    assert!(reachable.to_string().contains("has variables that each client fills in"), "{reachable}");
    let checked = anna.post("/api/v1/workspaces/team/assets/com.example%2Ftenants/check", &json!({})).await;
    assert!(checked.text.contains("has variables"), "{} {}", checked.status, checked.text);
}
