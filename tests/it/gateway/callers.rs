//! Who calls the gateway is known from memory, and only as long as nothing changed.

use super::house::house;
use crate::support::{Person, TestApp};
use serde_json::json;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use wharfinger::auth::{Actor, HolderName, Role, Scope};

const GATEWAY: &str = "/api/v1/gateway";
const CHAT: &str = "/llm/v1/chat/completions";

async fn ask(person: &Person<'_>) -> u16 {
    let body = json!({"model": "fast", "max_tokens": 6, "messages": [{"role": "user", "content": "hello"}]});
    person.post(CHAT, &body).await.status
}

/// A route to a model for whoever may call, and Anna, who may, with a key of hers.
async fn called(app: &TestApp, url: &str) -> (String, String) {
    let admin = app.admin();
    let backend = json!({"provider": "openai", "url": url});
    admin.put(&format!("{GATEWAY}/backends/vendor"), &backend).await.expect(201);
    admin.put(&format!("{GATEWAY}/pools/chat"), &json!({"members": [{"backend": "vendor"}]})).await.expect(201);
    let route = json!({"serves": {"models": ["fast"]}, "pool": "chat"});
    admin.put(&format!("{GATEWAY}/routes/chat"), &route).await.expect(201);
    let made = app.person("anna").await.post("/api/v1/keys", &json!({"name": "app"})).await.expect(201).json();
    (made["id"].as_str().unwrap().to_owned(), made["text"].as_str().unwrap().to_owned())
}

/// What is answered once it is something else than `status`; within a time that is no promise but an end.
async fn until_not(person: &Person<'_>, status: u16) -> (u16, Duration) {
    let begun = Instant::now();
    loop {
        let answered = ask(person).await;
        if answered != status {
            return (answered, begun.elapsed());
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "still {status}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_given_or_taken_and_a_key_revoked_count_with_the_next_request() {
    let (app, vendor) = house().await;
    let (id, text) = called(&app, &format!("{}/v1", vendor.url("ok"))).await;
    let key = app.with_key(&text);
    let (system, anna) = (Actor::system("test"), HolderName::User("anna".into()));
    assert_ne!(ask(&key).await, 200);

    for _ in 0..3 {
        let role = app.handles.auth.assign_role(&system, Role::Consumer, &anna, Scope::Instance, None).await.unwrap();
        assert_eq!(ask(&key).await, 200);
        app.handles.auth.remove_role(&system, role.role_assignment_id).await.unwrap();
        assert_eq!(ask(&key).await, 404, "what one may not call is not there");
    }
    // One that ends by itself ends then.
    let end = OffsetDateTime::now_utc() + Duration::from_millis(700);
    app.handles.auth.assign_role(&system, Role::Consumer, &anna, Scope::Instance, Some(end)).await.unwrap();
    assert_eq!(ask(&key).await, 200);
    tokio::time::sleep(Duration::from_millis(750)).await;
    assert_eq!(ask(&key).await, 404);

    app.handles.auth.assign_role(&system, Role::Consumer, &anna, Scope::Instance, None).await.unwrap();
    assert_eq!(ask(&key).await, 200);
    app.admin().delete(&format!("/api/v1/keys/{id}")).await.expect(204);
    assert_eq!(ask(&key).await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_asked_of_the_database_until_it_tells_of_a_change() {
    let (app, vendor) = house().await;
    let (id, text) = called(&app, &format!("{}/v1", vendor.url("ok"))).await;
    let key = app.with_key(&text);
    let (system, anna) = (Actor::system("test"), HolderName::User("anna".into()));
    app.handles.auth.assign_role(&system, Role::Consumer, &anna, Scope::Instance, None).await.unwrap();
    // What the database told of the key and the role has come by then, also on a busy machine.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(ask(&key).await, 200);

    // Revoked where nobody is told: who asked would find it.
    let mut conn = app.handles.db.write.acquire().await.unwrap();
    for statement in
        ["set session_replication_role = replica", "update api_key set revoked_at = now() where key_id = $1::uuid"]
    {
        let query = sqlx::query(statement);
        let query = if statement.contains("$1") { query.bind(&id) } else { query };
        query.execute(&mut *conn).await.unwrap();
    }
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        assert_eq!(ask(&key).await, 200);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    // Told of a change of whomever, it asks.
    sqlx::query("select pg_notify('access_changed', 'api_key')").execute(&mut *conn).await.unwrap();
    sqlx::query("set session_replication_role = default").execute(&mut *conn).await.unwrap();
    let (status, took) = until_not(&key, 200).await;
    println!("refused {took:?} after the database told of a change");
    assert_eq!(status, 401);
}
