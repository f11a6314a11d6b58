//! The commands, as an operator types them.

use crate::support::{Home, Program, fresh_database_url, program};
use serde_json::json;
use std::process::Output;
use std::time::Duration;

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn what_is_exported_can_be_imported_back() {
    let (home, url) = (Home::new("commands"), fresh_database_url(true).await);
    let settings = [("WHARFINGER_DATA_DIR", home.text()), ("WHARFINGER_DATABASE_URL", url.as_str())];
    let program = Program::serve(&settings).await;
    let key = program.admin_key.clone().unwrap();
    let (lines, yaml, export) = (home.0.join("in.jsonl"), home.0.join("Crane API.yaml"), home.0.join("out.jsonl"));
    let good = json!({"kind": "mcp", "name": "quay/scales", "title": "Scales", "tools": [{"name": "weigh"}]});
    std::fs::write(&lines, format!("{good}\n{{\"kind\": \"boat\", \"name\": \"x\"}}\nnonsense\n")).unwrap();
    std::fs::write(&yaml, "openapi: 3.1.0\ninfo: {version: '1'}\npaths: {/lift: {post: {summary: Lift a crate}}}\n")
        .unwrap();

    let imported = program.command(&key, &["import", lines.to_str().unwrap(), yaml.to_str().unwrap()]).await;
    let exported = program.command(&key, &["export", "-o", export.to_str().unwrap()]).await;
    let back = program.command(&key, &["import", export.to_str().unwrap()]).await;
    let again = program.command(&key, &["import", export.to_str().unwrap()]).await;

    assert_eq!(imported.status.code(), Some(2), "{}", said(&imported));
    assert!(said(&imported).contains("2 registered, 0 updated, 0 unchanged, 2 rejected"), "{}", said(&imported));
    assert!(said(&imported).contains("in.jsonl:2") && said(&imported).contains("in.jsonl:3"), "{}", said(&imported));
    assert!(exported.status.success(), "{}", said(&exported));
    assert!(std::fs::read_to_string(&export).unwrap().contains("crane-api"), "named by its file");
    assert!(back.status.success() && said(&back).contains("0 registered"), "{}", said(&back));
    assert!(again.status.success() && said(&again).contains("0 registered, 0 updated"), "{}", said(&again));
    assert!(program.stop().await.0);
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked() {
    let (home, url) = (Home::new("keys"), fresh_database_url(true).await);
    let chosen = format!("whf_{}", "k".repeat(40));
    let program = Program::serve(&[
        ("WHARFINGER_DATA_DIR", home.text()),
        ("WHARFINGER_DATABASE_URL", url.as_str()),
        ("WHARFINGER_ADMIN_KEY", &chosen),
    ])
    .await;
    assert!(program.admin_key.is_none(), "a key that was given is not printed");

    let made = program.command(&chosen, &["key", "create", "ci", "--role", "publisher"]).await;
    let text = String::from_utf8(made.stdout.clone()).unwrap().trim().to_owned();
    assert!(text.starts_with("whf_"), "{}", said(&made));
    let listed = said(&program.command(&chosen, &["key", "list"]).await);
    let id = listed.lines().find(|line| line.ends_with("\tci")).unwrap().split('\t').next().unwrap().to_owned();
    let revoked = program.command(&chosen, &["key", "revoke", &id]).await;
    assert!(revoked.status.success(), "{}", said(&revoked));
    let refused = program.command(&text, &["key", "list"]).await;
    let nobody = program.command("", &["key", "list"]).await;

    assert!(!refused.status.success() && said(&refused).contains("revoked"), "{}", said(&refused));
    assert!(said(&nobody).contains("WHARFINGER_KEY"), "{}", said(&nobody));
    assert!(program.stop().await.0);
}

#[tokio::test]
async fn no_start_makes_a_key_behind_the_back_of_a_house_that_revoked_its_own() {
    let (home, url) = (Home::new("revoked"), fresh_database_url(true).await);
    let settings = [("WHARFINGER_DATA_DIR", home.text()), ("WHARFINGER_DATABASE_URL", url.as_str())];
    let first = Program::serve(&settings).await;
    let key = first.admin_key.clone().unwrap();
    let listed = said(&first.command(&key, &["key", "list"]).await);
    let id = listed.lines().find_map(|line| line.strip_suffix("\tfirst admin")).unwrap().split('\t').next().unwrap();
    assert!(first.command(&key, &["key", "revoke", id]).await.status.success());
    assert!(first.stop().await.0);

    let second = Program::serve(&settings).await;
    assert_eq!(second.admin_key, None);
    assert!(!second.command(&key, &["key", "list"]).await.status.success());
    assert!(second.stop().await.0);

    // Who lost every key gets in by the settings, and that is on record.
    let chosen = format!("whf_{}", "n".repeat(40));
    let third = Program::serve(&[&settings[..], &[("WHARFINGER_ADMIN_KEY", &chosen)]].concat()).await;
    let audit = said(&third.command(&chosen, &["audit", "export"]).await);
    assert_eq!(audit.lines().filter(|line| line.contains("key.create") && line.contains("first admin")).count(), 2);
    assert!(third.stop().await.0);
}

#[tokio::test]
async fn metrics_may_have_an_address_of_their_own() {
    let (home, url) = (Home::new("metrics"), fresh_database_url(true).await);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let program = Program::serve(&[
        ("WHARFINGER_DATA_DIR", home.text()),
        ("WHARFINGER_DATABASE_URL", url.as_str()),
        ("WHARFINGER_METRICS_LISTEN", &address),
    ])
    .await;

    let public = program.http.get(format!("{}/metrics", program.url)).send().await.unwrap();
    let own = program.http.get(format!("http://{address}/metrics")).send().await.unwrap();

    assert_eq!((public.status().as_u16(), own.status().as_u16()), (404, 200));
    assert!(own.text().await.unwrap().contains("wharfinger_"));
    assert!(program.stop().await.0);
}

#[tokio::test]
async fn wrong_settings_are_told_all_at_once() {
    let output =
        program(&[("WHARFINGER_LISTEN", "harbour"), ("WHARFINGER_MAX_BODDY", "1")]).arg("check-config").output();
    let output = output.await.unwrap();

    let text = said(&output);
    assert!(!output.status.success());
    assert!(
        text.contains("listen (from the environment)") && text.contains("did you mean WHARFINGER_MAX_BODY?"),
        "{text}"
    );
}

#[tokio::test]
async fn an_idle_program_stops_without_waiting_for_its_deadline() {
    let (home, url) = (Home::new("idle"), fresh_database_url(true).await);
    let program = Program::serve(&[("WHARFINGER_DATA_DIR", home.text()), ("WHARFINGER_DATABASE_URL", &url)]).await;
    tokio::time::sleep(Duration::from_millis(500)).await;

    let (well, took) = program.stop().await;

    assert!(well && took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn the_openapi_document_needs_no_service() {
    let output = program(&[]).arg("openapi").output().await.unwrap();

    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
}

#[tokio::test]
async fn definitions_are_linted_without_a_service() {
    let home = Home::new("lint");
    let folder = home.0.join("apis");
    std::fs::create_dir_all(&folder).unwrap();
    let document = |name: &str, info: &str| {
        let text = format!(
            "openapi: 3.1.0\ninfo: {info}\nservers: [{{url: 'https://crane.example.com'}}]\npaths:\n  /lift:\n    post: {{operationId: lift, summary: Lift a crate, responses: {{'204': {{description: Lifted}}}}}}\n"
        );
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let good = document("good.yaml", "{title: Crane, version: '1', license: {name: MIT}}");
    let odd = document("odd.yaml", "{title: Crane, license: {name: MIT}}");
    let bad =
        document("bad.yaml", "{title: Crane, version: '1', license: {name: MIT}, description: \"Lifts\u{200b} all\"}");
    std::fs::write(folder.join("compose.yaml"), "services: {}\n").unwrap();
    let lint = async |arguments: &[&str]| {
        let output = program(&[]).arg("lint").args(arguments).output().await.unwrap();
        (output.status.code(), said(&output))
    };

    assert_eq!(lint(&[&good]).await, (Some(0), "1 looked at: 0 to mend, 0 to look at\n".to_owned()));
    let (code, told) = lint(&[&odd]).await;
    assert_eq!((code, told.contains("odd.yaml: /info: warning missing-version: ")), (Some(0), true), "{told}");
    assert_eq!(lint(&["--strict", &odd]).await.0, Some(2));
    let (code, told) = lint(&[folder.to_str().unwrap()]).await;
    assert_eq!((code, told.contains("bad.yaml: error hidden-characters: ")), (Some(2), true), "{told}");
    assert!(told.contains("3 looked at: 1 to mend, 1 to look at"), "{told}");
    assert_eq!(lint(&[&good, &folder.join("none.yaml").display().to_string()]).await.0, Some(1));

    let output = program(&[]).args(["lint", "--json", &bad]).output().await.unwrap();
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listed[0]["rule"], "hidden-characters");
    assert_eq!((&listed[0]["severity"], &listed[0]["file"]), (&json!("error"), &json!(bad)));
    assert!(listed[0]["help"].as_str().unwrap().contains("Take the characters out"));
}
