//! What somebody may not see does not exist for them.

use super::names;
use crate::support::TestApp;
use serde_json::json;
use wharfinger::auth::Role;

#[tokio::test]
async fn a_private_asset_is_absent_for_others_from_lists_counts_and_error_texts() {
    let app = TestApp::start().await;
    app.member(Role::Reader, "team").await;
    let secret =
        json!({"name": "secret", "kind": "rest", "visibility": "private", "tags": ["hush"], "owners": ["ghost"]});
    app.admin().post("/api/v1/workspaces/team/assets", &secret).await.expect(201);
    let outsider = app.member(Role::Publisher, "default").await;

    for person in [app.stranger(), outsider.clone()] {
        for query in ["", "?workspace=team", "?tag=hush", "?owner=ghost", "?kind=rest"] {
            let list = person.get(&format!("/api/v1/assets{query}")).await.expect(200).json();
            assert_eq!((names(&list).len(), &list["total"]), (0, &json!(0)), "{query}");
        }
        let workspaces = person.get("/api/v1/workspaces").await.json();
        assert!(!names(&workspaces).contains(&"team"));
        let found = person.get("/api/v1/search?q=secret").await.expect(200);
        assert!(found.json()["total"] == 0 && !found.text.contains("hush"), "{}", found.text);
        let parts = ["", "/versions", "/versions/1.0.0", "/operations", "/deployments", "/similar"];
        for below in parts.into_iter().chain(["/versions/1.0.0/diff/latest"]) {
            let hidden = person.get(&format!("/api/v1/workspaces/team/assets/secret{below}")).await.expect(404);
            let missing = person.get(&format!("/api/v1/workspaces/team/assets/absent{below}")).await.expect(404);
            assert_eq!(masked(&hidden.text, "secret"), masked(&missing.text, "absent"));
        }
    }
    let asset = "/api/v1/workspaces/team/assets/secret";
    let (hidden, missing) = (
        outsider.patch(asset, &json!({"title": "x"})).await.expect(404),
        outsider.patch("/api/v1/workspaces/team/assets/absent", &json!({"title": "x"})).await.expect(404),
    );
    assert_eq!(masked(&hidden.text, "secret"), masked(&missing.text, "absent"));
    let (hidden, missing) = (
        outsider.post("/api/v1/workspaces/team/assets", &secret).await.expect(404),
        outsider.post("/api/v1/workspaces/nowhere/assets", &secret).await.expect(404),
    );
    assert_eq!(masked(&hidden.text, "team"), masked(&missing.text, "nowhere"));
}

/// The text without the asked name and the request's own id.
fn masked(text: &str, name: &str) -> String {
    let mut body: serde_json::Value = serde_json::from_str(text).unwrap();
    body.as_object_mut().unwrap().remove("requestId");
    body.to_string().replace(name, "NAME")
}

#[tokio::test]
async fn members_of_the_workspace_see_it_and_others_with_a_key_see_what_is_internal() {
    let app = TestApp::start().await;
    let member = app.member(Role::Reader, "team").await;
    let outsider = app.member(Role::Reader, "default").await;
    for visibility in ["public", "internal", "private"] {
        let body = json!({"name": visibility, "kind": "rest", "visibility": visibility});
        app.admin().post("/api/v1/workspaces/team/assets", &body).await.expect(201);
    }

    for (person, count) in [(app.stranger(), 1), (outsider, 2), (member.clone(), 3), (app.admin(), 3)] {
        assert_eq!(person.get("/api/v1/assets").await.expect(200).json()["total"], count);
    }
    let refused = member.delete("/api/v1/workspaces/team/assets/private").await.expect(403);
    assert_eq!(refused.json()["roles"], json!(["publisher", "administrator"]));
}

#[tokio::test]
async fn everybody_is_told_who_they_are() {
    let app = TestApp::start().await;
    let member = app.member(Role::Publisher, "team").await;

    let nobody = app.stranger().get("/api/v1/me").await.expect(200).json();
    let somebody = member.get("/api/v1/me").await.expect(200).json();

    assert_eq!((&nobody["anonymous"], &nobody["roles"]), (&json!(true), &json!([])));
    assert_eq!(somebody["roles"], json!([{"role": "publisher", "workspace": "team"}]));
    assert_eq!(somebody["sight"], json!({"everything": false, "internal": true, "workspaces": ["team"]}));
}
