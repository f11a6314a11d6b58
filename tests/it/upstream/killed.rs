//! Killed at random moments of a run, the program goes on where it was, and record and audit agree.

use crate::support::{Home, Program, TestApp};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const CYCLES: usize = 20;
const SERVERS: usize = 1_500;

async fn get(program: &Program, key: &str, path: &str) -> Value {
    let request = program.http.get(format!("{}{path}", program.url)).bearer_auth(key);
    request.send().await.unwrap().json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_twenty_times_during_a_sync_it_has_everything_once_and_all_of_it_audited() {
    let there = TestApp::start().await;
    let line = |number: usize| {
        json!({"server": {"$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
            "name": format!("com.acme/server-{number:04}"), "description": "Reads", "version": "1.0.0"}})
        .to_string()
            + "\n"
    };
    let lines: String = (0..SERVERS).map(line).collect();
    let request = there.admin().request(reqwest::Method::POST, "/api/v1/import");
    there.admin().send(request.header("content-type", "application/x-ndjson").body(lines)).await.expect(200);

    let home = Home::new("sync-killed");
    let settings = [("WHARFINGER_DATA_DIR", home.text()), ("WHARFINGER_FETCH_ALLOWED_NETWORKS", "127.0.0.0/8")];
    let (mut key, mut seen) = (String::new(), Vec::new());
    for cycle in 0..CYCLES {
        let program = Program::serve(&settings).await;
        key = program.admin_key.clone().unwrap_or(key);
        let base = format!("{}/api/v1/workspaces/default/upstreams", program.url);
        if cycle == 0 {
            let body = json!({"name": "official", "url": there.url, "approve": [{"namespace": "*"}]});
            let made = program.http.post(&base).bearer_auth(&key).json(&body).send().await.unwrap();
            assert_eq!(made.status(), 201);
        } else {
            let everything = cycle % 5 == 0;
            let body = json!({"everything": everything});
            program.http.post(format!("{base}/official/sync")).bearer_auth(&key).json(&body).send().await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(40 + 53 * cycle as u64)).await;
        program.kill().await;
        seen.push(cycle);
    }

    let program = Program::serve(&settings).await;
    let path = "/api/v1/workspaces/default/upstreams/official";
    let body = json!({});
    program.http.post(format!("{}{path}/sync", program.url)).bearer_auth(&key).json(&body).send().await.unwrap();
    let begun = Instant::now();
    let last = loop {
        let runs = get(&program, &key, &format!("{path}/runs?limit=100")).await;
        if runs["items"][0]["state"] == "succeeded" {
            let states: Vec<_> = runs["items"].as_array().unwrap().iter().map(|run| run["state"].clone()).collect();
            println!("{} runs: {}", states.len(), json!(states));
            break runs["items"][0].clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{runs}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    println!("last run: {last}");
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = get(&program, &key, &format!("/v0.1/servers?limit=100{cursor}")).await;
        names.extend(
            page["servers"]
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| entry["server"]["name"].as_str().unwrap().to_owned()),
        );
        match page["metadata"]["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    names.retain(|name| name.starts_with("com.acme/"));
    assert_eq!(names.len(), SERVERS);
    names.dedup();
    assert_eq!(names.len(), SERVERS, "each once");
    for name in names.iter().step_by(37) {
        let path = format!("/api/v1/workspaces/default/assets/{}/history", name.replace('/', "%2F"));
        let history = get(&program, &key, &path).await;
        let verbs: Vec<_> =
            history["items"].as_array().unwrap().iter().map(|line| (&line["verb"], &line["actor"])).collect();
        assert_eq!(verbs, [(&json!("asset.register"), &json!("system upstream official"))], "{name}");
    }
    assert!(program.stop().await.0);
}
