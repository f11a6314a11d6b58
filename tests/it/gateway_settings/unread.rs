//! Policies that this release cannot read: nothing goes on without them.

use super::{GATEWAY, backend, one_route};
use crate::support::TestApp;
use serde_json::json;
use wharfinger::auth::Actor;
use wharfinger::gateway::Gateway;

/// Does what a newer release would, behind this one's back.
async fn stored(app: &TestApp, statement: &'static str) {
    let db = &app.handles.db.write;
    let done = sqlx::query(statement).execute(db).await.unwrap();
    assert_eq!(done.rows_affected(), 1, "{statement}");
    sqlx::query("update gateway_generation set generation = generation + 1").execute(db).await.unwrap();
}

/// A replica that has just started.
async fn fresh(app: &TestApp) -> Gateway {
    let gateway = Gateway::new(app.handles.db.clone(), app.clock.clone(), &app.handles.config);
    gateway.reload().await.unwrap();
    gateway
}

/// The policies on the way of this model; none when it is not served.
fn policies(gateway: &Gateway, model: &str) -> Option<Vec<String>> {
    let snapshot = gateway.snapshot();
    let route = snapshot.route_for_model(&Actor::system("test"), model)?;
    Some(route.policies.iter().map(|policy| policy.name.clone()).collect())
}

#[tokio::test]
async fn a_policy_that_became_unreadable_stays_in_force_and_is_not_done_without_after_a_restart() {
    let app = TestApp::start().await;
    let admin = app.admin();
    one_route(&admin, "gpt-4o").await;
    let house = json!({"rule": {"ipFilter": {"deny": ["10.0.0.0/8"]}}, "reach": "all"});
    admin.put(&format!("{GATEWAY}/policies/house"), &house).await.expect(201);
    let running = &app.handles.gateway;
    let governed = Some(vec!["house".to_owned()]);

    stored(
        &app,
        r#"update gateway_entry set settings = settings || '{"ofNextRelease": true}' where section = 'policy'"#,
    )
    .await;
    running.reload().await.unwrap();
    let restarted = fresh(&app).await;

    assert_eq!(policies(running, "gpt-4o"), governed, "as it was read before");
    let told = running.left_out().join("\n");
    assert!(told.contains("policy house: ") && told.contains("stays in force as it was at revision 1"), "{told}");
    assert_eq!(policies(&restarted, "gpt-4o"), None);
    let told = restarted.left_out().join("\n");
    assert!(told.contains("route chat: the policy house that reaches it cannot be read"), "{told}");

    admin.put(&format!("{GATEWAY}/backends/us"), &backend("b")).await.expect(201);
    assert_eq!(policies(running, "gpt-4o"), governed, "also after the next change of other settings");

    stored(&app, "update gateway_entry set settings = settings - 'ofNextRelease' where section = 'policy'").await;
    for gateway in [running, &restarted] {
        gateway.reload().await.unwrap();
        assert_eq!(policies(gateway, "gpt-4o"), governed);
        assert_eq!(gateway.left_out(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_policy_of_a_workspace_that_was_never_readable_closes_the_routes_of_that_workspace() {
    let app = TestApp::start().await;
    let admin = app.admin();
    one_route(&admin, "gpt-4o").await;
    admin.post("/api/v1/workspaces", &json!({"name": "team", "title": "Team"})).await.expect(201);
    admin.put(&format!("{GATEWAY}/backends/own?workspace=team"), &backend("own")).await.expect(201);
    let pool = json!({"members": [{"backend": "own"}]});
    admin.put(&format!("{GATEWAY}/pools/own?workspace=team"), &pool).await.expect(201);
    let route = json!({"serves": {"models": ["own"]}, "pool": "own"});
    admin.put(&format!("{GATEWAY}/routes/own?workspace=team"), &route).await.expect(201);
    let running = &app.handles.gateway;
    assert_eq!(policies(running, "own"), Some(Vec::new()));

    stored(
        &app,
        r#"insert into gateway_entry (entry_id, section, workspace_id, name, settings, created_at, updated_at)
           select gen_random_uuid(), 'policy', workspace_id, 'strict',
                  '{"rule": {"ofNextRelease": {}}, "reach": "all"}'::jsonb, now(), now()
           from workspace
           where name = 'team'"#,
    )
    .await;
    running.reload().await.unwrap();

    for gateway in [running, &fresh(&app).await] {
        assert_eq!(policies(gateway, "own"), None, "nobody knows what it would have stopped");
        assert_eq!(policies(gateway, "gpt-4o"), Some(Vec::new()), "what it cannot reach goes on");
        let told = gateway.left_out().join("\n");
        assert!(told.contains("policy team/strict: ") && told.contains("route team/own: the policy strict"), "{told}");
    }
}
