//! Credentials: written and never read back, sealed to their row, sealed anew under load.

use super::{GATEWAY, backend};
use crate::support::{TestApp, fresh_database, test_folder};
use base64::Engine;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use wharfinger::auth::Actor;
use wharfinger::base::{Clock, Config, Database};
use wharfinger::gateway::settings::{Section, Settings};
use wharfinger::gateway::{Gateway, Put, Secret};

const CANARY: &str = "CANARY-6b1f0c2e";

async fn with_credential(app: &TestApp, name: &str, secret: &str) {
    let admin = app.admin();
    let credential = json!({"apiKey": {"value": secret}});
    admin.put(&format!("{GATEWAY}/credentials/{name}"), &credential).await.expect(201);
    let mut settings = backend("a");
    settings["credential"] = name.into();
    admin.put(&format!("{GATEWAY}/backends/{name}"), &settings).await.expect(201);
}

/// What would be sent to the backend of this name.
pub async fn would_send(gateway: &Gateway, name: &str) -> Option<String> {
    let snapshot = gateway.snapshot();
    let backend = snapshot.backends().find(|one| one.name == name)?.clone();
    match backend.credential.as_ref()?.secret().await.unwrap() {
        Secret::ApiKey { value, .. } | Secret::Bearer(value) => Some(value.expose().clone()),
    }
}

#[tokio::test]
async fn a_secret_is_written_and_used_and_never_shown() {
    let app = TestApp::start().await;
    let admin = app.admin();
    with_credential(&app, "vendor", CANARY).await;

    assert_eq!(would_send(&app.handles.gateway, "vendor").await.as_deref(), Some(CANARY));
    for path in ["credentials", "credentials/vendor", "backends", "backends/vendor", "export", "export?format=json"] {
        let answer = admin.get(&format!("{GATEWAY}/{path}")).await.expect(200);
        assert!(!answer.text.contains(CANARY), "{path}: {}", answer.text);
    }
    let bad =
        admin.put(&format!("{GATEWAY}/credentials/x"), &json!({"apiKey": {"value": CANARY, "hedaer": "a"}})).await;
    assert!(bad.status == 422 && !bad.text.contains(CANARY), "{}", bad.text);
    let broken =
        admin.put(&format!("{GATEWAY}/credentials/x"), &json!({"apiKey": {"value": format!("{CANARY}\n")}})).await;
    assert!(broken.status == 422 && !broken.text.contains(CANARY), "{}", broken.text);
    assert!(!format!("{:?}", app.handles.gateway.snapshot()).contains(CANARY), "nor by a debug print");
    for table in ["gateway_entry", "audit", "idempotency", "change", "queue_event"] {
        let statement = format!("select count(*) from {table} t where t::text like '%{CANARY}%'");
        let found = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(statement)).fetch_one(&app.handles.db.read).await;
        assert!(found.is_err() || found.unwrap() == 0, "{table} holds the secret");
    }
    let sealed: Vec<u8> =
        sqlx::query_scalar("select ciphertext from gateway_secret").fetch_one(&app.handles.db.read).await.unwrap();
    assert!(!sealed.windows(6).any(|part| part == b"CANARY"));
}

#[tokio::test]
async fn what_was_answered_can_be_put_back_and_keeps_the_secret() {
    let app = TestApp::start().await;
    let admin = app.admin();
    with_credential(&app, "vendor", CANARY).await;

    let read = admin.get(&format!("{GATEWAY}/credentials/vendor")).await.json();
    admin.put(&format!("{GATEWAY}/credentials/vendor"), &read["settings"]).await.expect(200);
    assert_eq!(would_send(&app.handles.gateway, "vendor").await.as_deref(), Some(CANARY));

    let none = admin.put(&format!("{GATEWAY}/credentials/new"), &json!({"bearer": {"value": "${NEW}"}})).await;
    assert_eq!(none.status, 422, "{}", none.text);
    admin.put(&format!("{GATEWAY}/credentials/vendor"), &json!({"apiKey": {"value": "another"}})).await.expect(200);
    assert_eq!(would_send(&app.handles.gateway, "vendor").await.as_deref(), Some("another"));
}

#[tokio::test]
async fn a_sealed_secret_that_was_moved_to_another_row_opens_nothing_and_is_recorded() {
    let app = TestApp::start().await;
    with_credential(&app, "one", CANARY).await;
    with_credential(&app, "two", "other").await;

    sqlx::query(
        "update gateway_secret a set kek_id = b.kek_id, wrapped_key = b.wrapped_key, ciphertext = b.ciphertext
         from gateway_secret b where a.entry_id <> b.entry_id",
    )
    .execute(&app.handles.db.write)
    .await
    .unwrap();
    sqlx::query("update gateway_generation set generation = generation + 1")
        .execute(&app.handles.db.write)
        .await
        .unwrap();
    app.handles.gateway.reload().await.unwrap();

    assert_eq!(would_send(&app.handles.gateway, "one").await, None);
    assert_eq!(would_send(&app.handles.gateway, "two").await, None);
    let left_out = app.handles.gateway.left_out().join("\n");
    assert!(left_out.contains("credential one") && !left_out.contains(CANARY), "{left_out}");
    let recorded: i64 = sqlx::query_scalar("select count(*) from audit where verb = 'credential.unreadable'")
        .fetch_one(&app.handles.db.read)
        .await
        .unwrap();
    assert_eq!(recorded, 2);
}

fn key(byte: u8) -> String {
    base64::engine::general_purpose::STANDARD.encode([byte; 32])
}

fn write_keys(file: &Path, text: &str) {
    std::fs::write(file, text).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A database, and a file with one key of this name.
async fn keyed(id: &str) -> (Database, PathBuf) {
    let config = Config::from_sources(None, []).unwrap();
    let file = test_folder("keys").join("encryption-keys");
    write_keys(&file, &format!("{id}:{}\n", key(1)));
    (Database::new(fresh_database().await, &config.storage), file)
}

fn gateway(db: &Database, file: &Path) -> Gateway {
    let settings = [("WHARFINGER_ENCRYPTION_KEY_FILE".to_owned(), file.display().to_string())];
    let config = Config::from_sources(None, settings).unwrap();
    Gateway::new(db.clone(), Clock::system(), &config)
}

async fn put_credential(gateway: &Gateway, name: &str, secret: &str) {
    put_credential_of(gateway, None, name, secret).await;
}

async fn put_credential_of(gateway: &Gateway, workspace: Option<&str>, name: &str, secret: &str) {
    let value = json!({"apiKey": {"value": secret}});
    let settings = Settings::read(Section::Credential, value).unwrap();
    let put = Put { workspace, name, settings, if_match: None };
    gateway.put(&Actor::system("test"), put).await.unwrap();
}

async fn kek_ids(db: &Database) -> Vec<String> {
    sqlx::query_scalar("select distinct kek_id from gateway_secret order by 1").fetch_all(&db.read).await.unwrap()
}

#[tokio::test]
async fn keys_are_changed_under_load_and_the_old_one_can_go() {
    let (db, file) = keyed("old").await;
    let gateway = gateway(&db, &file);
    gateway.start().await.unwrap();
    for number in 0..20 {
        put_credential(&gateway, &format!("c-{number}"), &format!("secret-{number}")).await;
    }

    write_keys(&file, &format!("new:{}\nold:{}\n", key(2), key(1)));
    let writer = gateway.clone();
    let load = tokio::spawn(async move {
        for number in 0..20 {
            put_credential(&writer, &format!("c-{number}"), &format!("changed-{number}")).await;
        }
    });
    gateway.rewrap(&Actor::system("test")).await.unwrap();
    load.await.unwrap();
    gateway.rewrap(&Actor::system("test")).await.unwrap();

    assert_eq!(kek_ids(&db).await, ["new"]);
    write_keys(&file, &format!("new:{}\n", key(2)));
    let again = self::gateway(&db, &file);
    again.start().await.unwrap();
    assert_eq!(again.left_out(), Vec::<String>::new(), "every secret opens by the new key alone");
}

#[tokio::test]
async fn a_replica_that_did_not_change_the_keys_seals_by_the_new_one() {
    let (db, file) = keyed("old").await;
    let (gateway, replica) = (gateway(&db, &file), gateway(&db, &file));
    gateway.start().await.unwrap();
    replica.start().await.unwrap();
    put_credential(&gateway, "before", CANARY).await;
    let generation = gateway.snapshot().generation;

    write_keys(&file, &format!("new:{}\nold:{}\n", key(2), key(1)));
    assert_eq!(gateway.rewrap(&Actor::system("test")).await.unwrap(), 1);
    assert!(gateway.snapshot().generation > generation, "all replicas read their settings again");
    write_keys(&file, &format!("new:{}\n", key(2)));
    put_credential(&replica, "after", CANARY).await;

    assert_eq!(kek_ids(&db).await, ["new"]);
    for one in [&gateway, &replica, &self::gateway(&db, &file)] {
        one.start().await.unwrap();
        assert_eq!(one.left_out(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn credentials_of_a_deleted_workspace_are_sealed_anew_too() {
    let (db, file) = keyed("old").await;
    let gateway = gateway(&db, &file);
    gateway.start().await.unwrap();
    let run = async |statement: &'static str| {
        sqlx::query(statement).execute(&db.write).await.unwrap();
    };
    run("insert into workspace (workspace_id, name, title, created_at, updated_at)
         values (gen_random_uuid(), 'team', 'Team', now(), now())")
    .await;
    put_credential_of(&gateway, Some("team"), "own", CANARY).await;

    run("update workspace set deleted_at = now()").await;
    write_keys(&file, &format!("new:{}\nold:{}\n", key(2), key(1)));
    assert_eq!(gateway.rewrap(&Actor::system("test")).await.unwrap(), 1);
    write_keys(&file, &format!("new:{}\n", key(2)));

    run("update workspace set deleted_at = null").await;
    let again = self::gateway(&db, &file);
    again.start().await.unwrap();
    assert_eq!(again.left_out(), Vec::<String>::new());
}

#[tokio::test]
async fn a_start_with_other_keys_than_the_secrets_were_sealed_with_is_refused() {
    let (db, file) = keyed("one").await;
    let gateway = gateway(&db, &file);
    gateway.start().await.unwrap();
    put_credential(&gateway, "vendor", CANARY).await;

    write_keys(&file, &format!("one:{}\n", key(9)));
    let refused = self::gateway(&db, &file).start().await.unwrap_err().to_string();
    assert!(refused.contains("the encryption key one in") && refused.contains("is not the one"), "{refused}");

    write_keys(&file, &format!("two:{}\n", key(2)));
    let refused = self::gateway(&db, &file).start().await.unwrap_err().to_string();
    assert!(refused.contains("sealed with the encryption key one, which is not in"), "{refused}");

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = format!("{:#}", self::gateway(&db, &file).start().await.unwrap_err());
    assert!(refused.contains("can be read by others"), "{refused}");
}

/// A token server that counts how often it is asked.
async fn token_server(status: u16) -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    use axum::{Router, routing::post};
    use std::sync::atomic::{AtomicUsize, Ordering};
    let asked = std::sync::Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let answer = move |body: String| {
        let number = counter.fetch_add(1, Ordering::SeqCst);
        async move {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            assert!(body.contains("grant_type=client_credentials") && body.contains("scope=a+b"), "{body}");
            let body = json!({"access_token": format!("token-{number}"), "token_type": "Bearer", "expires_in": 3600});
            (http::StatusCode::from_u16(status).unwrap(), axum::Json(body))
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let router = Router::new().route("/token", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, asked)
}

async fn with_client_credentials(app: &TestApp, url: &str) {
    let admin = app.admin();
    let credential: Value = json!({"clientCredentials": {
        "tokenUrl": url, "clientId": "us", "clientSecret": CANARY, "scopes": ["a", "b"],
    }});
    admin.put(&format!("{GATEWAY}/credentials/oauth"), &credential).await.expect(201);
    let mut settings = backend("a");
    settings["credential"] = "oauth".into();
    admin.put(&format!("{GATEWAY}/backends/oauth"), &settings).await.expect(201);
}

#[tokio::test]
async fn a_token_is_fetched_once_for_all_who_wait_and_again_when_it_ends() {
    let settings = [("WHARFINGER_GATEWAY_ALLOWED_HOSTS", "127.0.0.1")];
    let app = TestApp::start_with(&settings, wharfinger::embed::Embedder::hashed()).await;
    let (url, asked) = token_server(200).await;
    with_client_credentials(&app, &url).await;
    let count = || asked.load(std::sync::atomic::Ordering::SeqCst);

    let all = futures::future::join_all((0..200).map(|_| would_send(&app.handles.gateway, "oauth"))).await;
    assert!(all.iter().all(|token| token.as_deref() == Some("token-0")));
    assert_eq!(count(), 1);

    app.admin().put(&format!("{GATEWAY}/backends/other"), &backend("b")).await.expect(201);
    would_send(&app.handles.gateway, "oauth").await;
    assert_eq!(count(), 1, "a change of other settings fetches nothing");

    app.clock.advance(std::time::Duration::from_secs(3550));
    assert_eq!(would_send(&app.handles.gateway, "oauth").await.as_deref(), Some("token-1"));
}

#[tokio::test]
async fn a_token_server_that_refuses_is_not_stormed() {
    let settings = [("WHARFINGER_GATEWAY_ALLOWED_HOSTS", "127.0.0.1")];
    let app = TestApp::start_with(&settings, wharfinger::embed::Embedder::hashed()).await;
    let (url, asked) = token_server(401).await;
    with_client_credentials(&app, &url).await;
    let snapshot = app.handles.gateway.snapshot();
    let credential = snapshot.backends().next().unwrap().credential.clone().unwrap();

    for _ in 0..20 {
        let error = credential.secret().await.unwrap_err().to_string();
        assert!(error.contains("answered 401") && !error.contains(CANARY), "{error}");
    }
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1);
}
