//! Access: asked for, decided, and the key that comes of it.

use crate::support::vendor::Vendor;
use crate::support::{Answer, Browser, Person, TestApp};
use serde_json::{Value, json};
use wharfinger::auth::Role;

const REQUESTS: &str = "/api/v1/access-requests";

/// The model `chat` in the workspace `team`, with a route to a vendor; and another, which nothing leads to.
async fn team(app: &TestApp, vendor: &Vendor) {
    let admin = app.admin();
    admin.post("/api/v1/workspaces", &json!({"name": "team", "title": "Team"})).await.expect(201);
    for (name, visibility) in [("chat", "internal"), ("unserved", "internal"), ("hidden", "private")] {
        let asset = json!({"name": name, "kind": "model", "title": format!("The {name} model"), "visibility": visibility,
            "version": {"name": "1"}});
        admin.post("/api/v1/workspaces/team/assets", &asset).await.expect(201);
    }
    let of = |what: &str| format!("/api/v1/gateway/{what}?workspace=team");
    let backend = json!({"provider": "openai", "url": format!("{}/v1", vendor.url("ok"))});
    admin.put(&of("backends/eu"), &backend).await.expect(201);
    admin.put(&of("pools/chat"), &json!({"members": [{"backend": "eu"}]})).await.expect(201);
    for name in ["chat", "hidden"] {
        let route = json!({"serves": {"models": [name]}, "pool": "chat", "asset": name});
        admin.put(&of(&format!("routes/{name}")), &route).await.expect(201);
    }
}

async fn started() -> (TestApp, Vendor) {
    let (app, vendor) = super::house::house().await;
    team(&app, &vendor).await;
    (app, vendor)
}

async fn asked(person: &Person<'_>, asset: &str) -> Answer {
    person.post(REQUESTS, &json!({"workspace": "team", "asset": asset, "purpose": "The help desk's answers"})).await
}

fn at(id: &Value, what: &str) -> String {
    format!("{REQUESTS}/{}{what}", id.as_str().unwrap())
}

async fn called(person: &Person<'_>, model: &str) -> u16 {
    let chat = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    person.post("/llm/v1/chat/completions", &chat).await.status
}

async fn verbs(app: &TestApp) -> Vec<String> {
    let found = app.admin().get("/api/v1/audit?workspace=team&limit=100").await.expect(200).json();
    let verbs = found["items"].as_array().unwrap().iter().map(|line| line["verb"].as_str().unwrap().to_owned());
    verbs.filter(|verb| verb.starts_with("access.") || verb.starts_with("role.")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_approved_ends_in_a_key_that_calls_this_and_nothing_else() {
    let (app, _vendor) = started().await;
    let (anna, admin) = (app.person("anna").await, app.admin());
    assert_eq!(called(&anna, "chat").await, 404);

    let request = asked(&anna, "chat").await.expect(201).json();
    let id = &request["id"];
    assert_eq!((&request["state"], &request["asker"]), (&json!("waiting"), &json!("anna")));
    anna.post(&at(id, "/key"), &json!({"name": "desk"})).await.expect(409);
    let waiting = admin.get(&format!("{REQUESTS}?state=waiting")).await.expect(200).json();
    assert_eq!(waiting["items"][0]["purpose"], "The help desk's answers");

    let decided = admin.post(&at(id, "/decision"), &json!({"approve": true, "note": "Go on"})).await.expect(200).json();
    assert_eq!((&decided["state"], &decided["note"]), (&json!("approved"), &json!("Go on")));
    let made = anna.post(&at(id, "/key"), &json!({"name": "desk"})).await.expect(201).json();
    assert_eq!(made["scopes"], json!(["gateway:call:team/chat"]));
    anna.post(&at(id, "/key"), &json!({"name": "again"})).await.expect(409);
    assert!(!anna.get(&at(id, "")).await.expect(200).text.contains("whf_"), "the text is shown once");

    let desk = app.with_key(made["text"].as_str().unwrap());
    assert_eq!(called(&desk, "chat").await, 200);
    assert_eq!(called(&desk, "hidden").await, 404);
    // Traffic believes for a few seconds what it knew of a caller.
    let mut own = called(&anna, "chat").await;
    for _ in 0..20 {
        if own == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        own = called(&anna, "chat").await;
    }
    assert_eq!(own, 200, "and so may she herself");
    desk.post("/api/v1/workspaces/team/assets", &json!({"name": "x", "kind": "rest"})).await.expect(404);
    let verbs = verbs(&app).await;
    for verb in ["access.request", "access.approve", "access.make-key", "role.assign"] {
        assert!(verbs.iter().any(|one| one == verb), "{verb} is not in {verbs:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_is_asked_for_once_and_can_be_taken_back() {
    let (app, _vendor) = started().await;
    let anna = app.person("anna").await;

    let first = asked(&anna, "chat").await.expect(201).json();
    assert_eq!(asked(&anna, "chat").await.expect(409).json()["type"], "/problems/access-asked");
    anna.post(&at(&first["id"], "/withdraw"), &json!({})).await.expect(200);
    anna.post(&at(&first["id"], "/withdraw"), &json!({})).await.expect(409);
    app.admin().post(&at(&first["id"], "/decision"), &json!({"approve": true})).await.expect(409);
    asked(&anna, "chat").await.expect(201);

    assert_eq!(asked(&anna, "unserved").await.expect(409).json()["type"], "/problems/access-not-possible");
    asked(&anna, "hidden").await.expect(404);
    asked(&app.stranger(), "chat").await.expect(401);
    asked(&app.admin(), "chat").await.expect(403);
    let past = json!({"workspace": "team", "asset": "chat", "purpose": "p", "until": "2020-01-01T00:00:00Z"});
    app.person("ben").await.post(REQUESTS, &past).await.expect(422);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_its_makers_and_theirs_who_decide() {
    let (app, _vendor) = started().await;
    let anna = app.person("anna").await;
    let request = asked(&anna, "chat").await.expect(201).json();
    let id = &request["id"];

    let ben = app.person("ben").await;
    for (path, body) in [("", None), ("/withdraw", Some(json!({}))), ("/decision", Some(json!({"approve": true})))] {
        let answer: Answer = match body {
            None => ben.get(&at(id, path)).await,
            Some(body) => ben.post(&at(id, path), &body).await,
        };
        answer.expect(404);
    }
    assert_eq!(ben.get(REQUESTS).await.expect(200).json()["items"], json!([]));
    anna.post(&at(id, "/decision"), &json!({"approve": true})).await.expect(403);
    let publisher = app.member(Role::Publisher, "team").await;
    publisher.post(&at(id, "/decision"), &json!({"approve": true})).await.expect(404);
    let local = app.member(Role::Administrator, "team").await;
    local.post(&at(id, "/decision"), &json!({"approve": false})).await.expect(422);
    local.post(&at(id, "/withdraw"), &json!({})).await.expect(403);
    let declined = local.post(&at(id, "/decision"), &json!({"approve": false, "note": "Use `small`"})).await;
    assert_eq!(declined.expect(200).json()["state"], json!("declined"));
    assert_eq!(anna.get(&at(id, "")).await.json()["note"], "Use `small`");
    assert_eq!(called(&anna, "chat").await, 404);
    asked(&anna, "chat").await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_ends_when_it_was_to_end_and_with_the_role() {
    let (app, _vendor) = started().await;
    let (anna, admin) = (app.person("anna").await, app.admin());
    let request = asked(&anna, "chat").await.expect(201).json();
    let soon = (time::OffsetDateTime::now_utc() + time::Duration::seconds(2))
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap();
    admin.post(&at(&request["id"], "/decision"), &json!({"approve": true, "until": soon})).await.expect(200);
    assert_eq!(called(&anna, "chat").await, 200);
    tokio::time::sleep(std::time::Duration::from_millis(2_200)).await;
    let late = anna.post(&at(&request["id"], "/key"), &json!({"name": "late"})).await.expect(409);
    assert!(late.text.contains("has ended"), "{}", late.text);

    // Asked again, approved, and the role taken back before the key is made.
    let again = asked(&anna, "chat").await.expect(201).json();
    admin.post(&at(&again["id"], "/decision"), &json!({"approve": true})).await.expect(200);
    let roles = admin.get("/api/v1/role-assignments?workspace=team").await.expect(200).json();
    let role = roles["items"].as_array().unwrap().iter().find(|one| one["holder"] == "anna").unwrap();
    assert_eq!((&role["role"], &role["asset"]), (&json!("consumer"), &json!("chat")));
    let path = format!("/api/v1/role-assignments/{}", role["id"].as_str().unwrap());
    admin.delete(&path).await.expect(204);
    let taken = anna.post(&at(&again["id"], "/key"), &json!({"name": "late"})).await.expect(409);
    assert!(taken.text.contains("taken back"), "{}", taken.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_asset_that_is_deleted_meanwhile_is_not_given_any_more() {
    let (app, _vendor) = started().await;
    let (anna, admin) = (app.person("anna").await, app.admin());
    let request = asked(&anna, "chat").await.expect(201).json();
    admin.delete("/api/v1/workspaces/team/assets/chat").await.expect(204);

    let refused = admin.post(&at(&request["id"], "/decision"), &json!({"approve": true})).await.expect(409);
    assert!(refused.text.contains("was deleted"), "{}", refused.text);
    assert_eq!(anna.get(&at(&request["id"], "")).await.expect(200).json()["deleted"], true);
    admin.post(&at(&request["id"], "/decision"), &json!({"approve": false, "note": "It is gone"})).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_decide_at_once_decide_once() {
    let (app, _vendor) = started().await;
    let anna = app.person("anna").await;
    let request = asked(&anna, "chat").await.expect(201).json();
    let (one, other) = (app.admin(), app.member(Role::Administrator, "team").await);
    let path = at(&request["id"], "/decision");
    let (yes, no) = (json!({"approve": true}), json!({"approve": false, "note": "No"}));

    let (first, second) = tokio::join!(one.post(&path, &yes), other.post(&path, &no));

    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    let decisions = verbs(&app).await.into_iter().filter(|verb| verb == "access.approve" || verb == "access.decline");
    assert_eq!(decisions.count(), 1);
}

/// Somebody with a browser, signed in.
async fn signed_in(app: &TestApp, name: &str) -> Browser {
    let invited = app.admin().post("/api/v1/users", &json!({"name": name})).await.expect(201).json();
    let mut browser = Browser::new();
    let page = browser.open(invited["link"].as_str().unwrap()).await.expect(200);
    let password = [("password", "a long enough password"), ("again", "a long enough password")];
    browser.send(&page, "/invitation", &password).await.expect(200);
    browser
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_lead_from_the_asset_to_the_key() {
    let (app, _vendor) = started().await;
    let mut anna = signed_in(&app, "anna").await;
    let mut admin = Browser::new();
    let page = admin.open(&format!("{}/signin", app.url)).await;
    admin.send(&page, "/signin", &[("key", &app.admin_key)]).await.expect(200);
    let at = |path: &str| format!("{}{path}", app.url);

    let asset = anna.open(&at("/assets/team/chat")).await.expect(200);
    assert!(asset.text.contains("Request access") && !asset.text.contains("playground?"), "{}", asset.text);
    let form = anna.open(&at("/access/new?workspace=team&asset=chat")).await.expect(200);
    let wrong = anna.send(&form, "/access/new", &[("purpose", " ")]).await.expect(422);
    assert!(wrong.text.contains("purpose-wrong"), "{}", wrong.text);
    let request = anna.send(&form, "/access/new", &[("purpose", "Answers of the help desk")]).await.expect(200);
    assert!(request.text.contains("Waiting") && request.text.contains("Withdraw the request"), "{}", request.text);
    let path = request.url.path().to_owned();
    assert!(anna.open(&at("/assets/team/chat")).await.text.contains("You asked for access"));

    let home = admin.open(&at("/access")).await.expect(200);
    assert!(
        home.text.contains("Answers of the help desk") && home.text.contains("Access <data value=\"1\">"),
        "{}",
        home.text
    );
    let seen = admin.open(&at(&path)).await.expect(200);
    let decision = format!("{path}/decision");
    let refused = admin.send(&seen, &decision, &[("do", "decline"), ("note", "")]).await.expect(422);
    assert!(refused.text.contains("note-wrong"), "{}", refused.text);
    let approved = admin.send(&seen, &decision, &[("do", "approve"), ("note", "Enjoy")]).await.expect(200);
    assert!(approved.text.contains("Approved"), "{}", approved.text);

    assert!(anna.open(&at("/assets/team/chat")).await.text.contains("Make your key"));
    let seen = anna.open(&at(&path)).await.expect(200);
    let key = anna.send(&seen, &format!("{path}/key"), &[("name", "desk")]).await.expect(200);
    assert!(key.text.contains("whf_") && key.text.contains("shown only this once"), "{}", key.text);
    assert!(!anna.open(&at(&path)).await.text.contains("whf_"));
    assert!(anna.open(&at("/assets/team/chat")).await.text.contains("playground?model=chat"));
    let others = anna.open(&at("/account")).await.expect(200);
    assert!(others.text.contains("gateway:call:team/chat"), "{}", others.text);
    app.stranger().get("/access").await.expect(401);
}
