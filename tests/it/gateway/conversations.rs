//! Responses that a later request goes on from: they lead back to their backend, and belong to whom they were given.

use super::house::{backend, house, install, parts, route};
use crate::support::TestApp;
use serde_json::{Value, json};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use wharfinger::auth::Role;
use wharfinger::gateway::settings::Provider;

const RESPONSES: &str = "/llm/v1/responses";

fn asking(previous: Option<&str>) -> Value {
    json!({"model": "fast", "input": "hello", "max_output_tokens": 4, "previous_response_id": previous})
}

async fn stored(app: &TestApp) -> i64 {
    sqlx::query_scalar("select count(*) from gateway_response").fetch_one(&app.handles.db.read).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_goes_on_from_a_response_of_another() {
    let (app, vendor) = house().await;
    install(&app, route(parts(), "fast", &[("one", backend(&vendor, Provider::Openai, "ok"))]));
    let (ann, ben) = (app.member(Role::Consumer, "team").await, app.member(Role::Consumer, "team").await);
    let first = ann.post(RESPONSES, &asking(None)).await.expect(200).json();
    let id = first["id"].as_str().unwrap();

    ann.post(RESPONSES, &asking(Some(id))).await.expect(200);
    let refused = ben.post(RESPONSES, &asking(Some(id))).await.expect(403).json();

    assert_eq!(refused["error"]["code"], "response_of_another", "{refused}");
    ben.post(RESPONSES, &asking(Some("resp_of_before"))).await.expect(200);
    assert_eq!(vendor.requests("ok"), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_replica_knows_whose_a_response_is() {
    let (app, vendor) = house().await;
    install(&app, route(parts(), "fast", &[("one", backend(&vendor, Provider::Openai, "ok"))]));
    let stop = CancellationToken::new();
    tokio::spawn(app.handles.traffic.clone().run(stop.clone()));
    app.admin().post(RESPONSES, &asking(None)).await.expect(200);
    let begun = std::time::Instant::now();
    while stored(&app).await == 0 {
        assert!(begun.elapsed() < Duration::from_secs(5), "it is written down soon");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // As another replica would write it.
    sqlx::query(
        "insert into gateway_response (response_hash, backend_id, holder, at)
         values (sha256('resp_elsewhere'::bytea), gen_random_uuid(), 'user:somebody', now())",
    )
    .execute(&app.handles.db.write)
    .await
    .unwrap();

    app.admin().post(RESPONSES, &asking(Some("resp_elsewhere"))).await.expect(403);
    stop.cancel();
}
