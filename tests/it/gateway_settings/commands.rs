//! The commands about the gateway, as an operator types them.

use crate::support::{Home, Program, fresh_database_url, program};
use serde_json::json;
use std::process::Output;

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn a_file_is_applied_after_its_plan_and_exported_as_it_was() {
    let (home, url) = (Home::new("apply"), fresh_database_url(true).await);
    let settings = [("WHARFINGER_DATA_DIR", home.text()), ("WHARFINGER_DATABASE_URL", url.as_str())];
    let running = Program::serve(&settings).await;
    let key = running.admin_key.clone().unwrap();
    let team = running.http.post(format!("{}/api/v1/workspaces", running.url)).bearer_auth(&key);
    let team = team.json(&json!({"name": "search-team", "title": "Search"})).send().await.unwrap();
    assert_eq!(team.status(), 201);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/gateway.yaml");
    let run = async |arguments: &[&str]| {
        let mut command = program(&[("WHARFINGER_URL", running.url.as_str()), ("WHARFINGER_KEY", &key)]);
        command.env("AZURE_PROVISIONED_KEY", "CANARY-one").env("AZURE_PAY_AS_YOU_GO_KEY", "CANARY-two");
        command.stdin(std::process::Stdio::null()).args(arguments).output().await.unwrap()
    };

    let plan = run(&["apply", "-f", file]).await;
    let nothing_yet = run(&["export", "--gateway"]).await;
    let applied = run(&["apply", "-f", file, "--yes"]).await;
    let again = run(&["apply", "-f", file, "--yes"]).await;
    let out = home.0.join("out.yaml");
    let exported = run(&["export", "--gateway", "-o", out.to_str().unwrap()]).await;
    let rewrapped = run(&["rewrap"]).await;

    assert!(!plan.status.success() && said(&plan).contains("+ backend provisioned"), "{}", said(&plan));
    assert!(said(&plan).contains("--yes"), "{}", said(&plan));
    assert_eq!(String::from_utf8_lossy(&nothing_yet.stdout), "{}\n");
    assert!(applied.status.success() && said(&applied).contains("Done: 10 changes"), "{}", said(&applied));
    assert!(said(&again).contains("Nothing to do"), "{}", said(&again));
    assert!(exported.status.success(), "{}", said(&exported));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), std::fs::read_to_string(file).unwrap());
    assert!(rewrapped.status.success(), "{}", said(&rewrapped));
    for output in [&plan, &applied, &again, &exported, &rewrapped] {
        assert!(!said(output).contains("CANARY"), "{}", said(output));
    }
    assert!(running.stop().await.0);
}
