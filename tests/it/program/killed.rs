//! What was acknowledged is stored, however the program or its database ends.

use crate::support::{Home, Program};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const CYCLES: usize = 20;

/// The lines of one batch; each name is used once in the whole story.
fn batch(cycle: usize, number: usize) -> (Vec<String>, String) {
    let names: Vec<String> = (0..20).map(|at| format!("crate-{cycle}-{number}-{at}")).collect();
    let line = |name: &String| {
        json!({"kind": "mcp", "name": name, "title": format!("Crate {name}"),
        "description": "Weighs what lands on the quay.", "tools": [{"name": "weigh", "description": "Weighs."}]})
    };
    let body = names.iter().map(|name| line(name).to_string() + "\n").collect();
    (names, body)
}

async fn import(program: &Program, key: &str, body: String) -> Option<Value> {
    let request = program.http.post(format!("{}/api/v1/import", program.url)).bearer_auth(key);
    let response = request.header("content-type", "application/x-ndjson").body(body).send().await.ok()?;
    if response.status() != 200 { None } else { response.json().await.ok() }
}

async fn is_stored(program: &Program, name: &str) -> bool {
    let path = format!("{}/api/v1/workspaces/default/assets/{name}", program.url);
    program.http.get(path).send().await.unwrap().status() == 200
}

async fn is_found(program: &Program, name: &str) -> bool {
    let request = program.http.get(format!("{}/api/v1/search", program.url)).query(&[("q", name), ("limit", "5")]);
    let found: Value = request.send().await.unwrap().json().await.unwrap();
    found["items"].as_array().is_some_and(|items| items.iter().any(|item| item["name"] == name))
}

#[tokio::test]
async fn killed_twenty_times_during_an_import_it_has_lost_nothing_it_acknowledged() {
    let home = Home::new("killed-often");
    let settings = [("WHARFINGER_DATA_DIR", home.text())];
    let mut acknowledged: Vec<String> = Vec::new();
    let mut key = String::new();

    for cycle in 0..CYCLES {
        let program = Program::serve(&settings).await;
        key = program.admin_key.clone().unwrap_or(key);
        let (client, url) = (program.http.clone(), program.url.clone());
        let importing = {
            let (key, program) = (key.clone(), Program { child: program.child, url, admin_key: None, http: client });
            async move {
                // The moment differs from cycle to cycle, and is never between two batches on purpose.
                let until = Instant::now() + Duration::from_millis(120 + 67 * cycle as u64);
                let mut done = Vec::new();
                let batches = async {
                    for number in 0.. {
                        let (names, body) = batch(cycle, number);
                        match import(&program, &key, body).await {
                            Some(report) => {
                                assert_eq!(report["rejectedTotal"], 0, "{report}");
                                done.extend(names);
                            }
                            None => break,
                        }
                    }
                };
                let killed = async {
                    tokio::time::sleep_until(until.into()).await;
                    program.signal(Signal::KILL);
                };
                tokio::join!(batches, killed);
                done
            }
        };
        acknowledged.extend(importing.await);
    }

    let program = Program::serve(&settings).await;
    assert!(acknowledged.len() >= CYCLES, "{} were acknowledged", acknowledged.len());
    let mut lost = Vec::new();
    for name in &acknowledged {
        if !is_stored(&program, name).await {
            lost.push(name.clone());
        }
    }
    assert!(lost.is_empty(), "lost: {lost:?}");
    for name in acknowledged.iter().step_by(7) {
        let begun = Instant::now();
        while !is_found(&program, name).await {
            assert!(begun.elapsed() < Duration::from_secs(20), "{name} cannot be found");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    assert!(program.stop().await.0);
}

#[tokio::test]
async fn while_postgres_is_gone_answers_are_503_in_time_and_then_well_again() {
    let home = Home::new("postgres-gone");
    let program = Program::serve(&[("WHARFINGER_DATA_DIR", home.text())]).await;
    let key = program.admin_key.clone().unwrap();
    let postmaster = std::fs::read_to_string(home.0.join("postgres/postmaster.pid")).unwrap();
    let postmaster = Pid::from_raw(postmaster.lines().next().unwrap().parse().unwrap()).unwrap();

    kill_process(postmaster, Signal::KILL).unwrap();
    let begun = Instant::now();
    let (mut wells, mut away) = (0, 0);
    while wells < 5 {
        assert!(begun.elapsed() < Duration::from_secs(40), "it does not come back");
        let asked = Instant::now();
        let (_, body) = batch(99, wells + away);
        let request = program.http.post(format!("{}/api/v1/import", program.url)).bearer_auth(&key);
        let answer = request.header("content-type", "application/x-ndjson").body(body).send().await.unwrap();
        match answer.status().as_u16() {
            200 => wells += 1,
            503 => {
                away += 1;
                assert!(answer.headers().contains_key("retry-after"));
            }
            other => panic!("{other}: {}", answer.text().await.unwrap()),
        }
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    }
    assert_eq!(program.http.get(format!("{}/healthz", program.url)).send().await.unwrap().status(), 200);
    assert!(program.stop().await.0);
}
