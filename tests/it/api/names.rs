//! Names that hold a slash, encoded and bare.

use super::names;
use crate::support::TestApp;
use serde_json::json;

#[tokio::test]
async fn a_slash_in_a_name_is_read_encoded_and_bare() {
    let app = TestApp::start().await;
    let body = json!({"name": "com.example/payments", "kind": "rest", "operations": [{"name": "pay"}],
        "deployments": [{"url": "https://pay.example.com"}]});
    app.admin().register(&body).await.expect(201);

    for name in ["com.example%2Fpayments", "com.example/payments"] {
        let asset = format!("/api/v1/workspaces/default/assets/{name}");
        for below in [
            "",
            "/versions",
            "/versions/latest",
            "/versions/1.0.0/definitions",
            "/versions/1.0.0/diff/latest",
            "/operations",
            "/operations/pay",
            "/tools",
            "/deployments",
        ] {
            app.stranger().get(&format!("{asset}{below}")).await.expect(200);
        }
        app.admin().get(&format!("{asset}/history")).await.expect(200);
        let operations = app.stranger().get(&format!("{asset}/operations")).await.json();
        assert_eq!(names(&operations), ["pay"]);
    }
}

#[tokio::test]
async fn an_encoded_name_may_be_called_like_a_part_of_an_asset() {
    let app = TestApp::start().await;
    app.admin()
        .register(&json!({"name": "com.example/versions", "kind": "rest", "title": "Of versions"}))
        .await
        .expect(201);

    let found = app.stranger().get("/api/v1/workspaces/default/assets/com.example%2Fversions").await.expect(200).json();

    assert_eq!(found["title"], "Of versions");
}
