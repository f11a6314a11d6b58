//! A decision is done wholly or not at all, however the program ends: what is seen, the request and the audit record agree.

use crate::support::{Home, Program};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::Duration;

const KILLS: usize = 50;
/// Decisions under way at each kill.
const AT_ONCE: usize = 4;

struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

impl Client {
    async fn send(&self, method: reqwest::Method, path: &str, body: &Value) -> Option<(u16, Value)> {
        let request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key);
        let request = if body.is_null() { request } else { request.json(body) };
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.json().await.ok()?))
    }

    async fn get(&self, path: &str) -> Value {
        self.send(reqwest::Method::GET, path, &Value::Null).await.expect("it serves").1
    }
}

#[tokio::test]
async fn killed_fifty_times_while_approvals_are_decided_state_and_audit_agree() {
    let home = Home::new("killed-deciding");
    let settings = [("WHARFINGER_DATA_DIR", home.text())];
    let mut key = String::new();

    for kill in 0..KILLS {
        let program = Program::serve(&settings).await;
        key = program.admin_key.clone().unwrap_or(key);
        let client = Client { http: program.http.clone(), url: program.url.clone(), key: key.clone() };
        if kill == 0 {
            for at in 0..AT_ONCE {
                let new = json!({"name": format!("berth-{at}"), "kind": "rest"});
                client.send(reqwest::Method::POST, "/api/v1/workspaces/default/assets", &new).await.unwrap();
            }
            let settings = json!({"required": true, "selfApproval": false});
            let path = "/api/v1/workspaces/default/approval-settings";
            client.send(reqwest::Method::PATCH, path, &settings).await.unwrap();
        }
        let reviewer = reviewer(&client).await;
        let deciding = async {
            let rounds = (0..AT_ONCE).map(|at| {
                let (client, reviewer) = (&client, &reviewer);
                async move {
                    for round in 0.. {
                        let name = format!("berth-{at}");
                        let body = json!({"url": format!("https://{name}-{kill}-{round}.example")});
                        let path = format!("/api/v1/workspaces/default/assets/{name}/deployments");
                        let Some((_, asked)) = client.send(reqwest::Method::POST, &path, &body).await else { return };
                        let Some(id) = asked["approval"].as_str() else { return };
                        let path = format!("/api/v1/approvals/{id}");
                        let Some((_, seen)) = reviewer.send(reqwest::Method::GET, &path, &Value::Null).await else {
                            return;
                        };
                        let decision = json!({"verdict": "approve", "digest": seen["digest"]});
                        let path = format!("{path}/decision");
                        if reviewer.send(reqwest::Method::POST, &path, &decision).await.is_none() {
                            return;
                        }
                    }
                }
            });
            futures::future::join_all(rounds).await;
        };
        let killed = async {
            // Another moment each time.
            tokio::time::sleep(Duration::from_millis(40 + (kill as u64 * 37) % 400)).await;
            program.signal(Signal::KILL);
        };
        tokio::join!(deciding, killed);
        program.kill().await;
    }

    let program = Program::serve(&settings).await;
    let client = Client { http: program.http.clone(), url: program.url.clone(), key };
    let mut approved = 0;
    for at in 0..AT_ONCE {
        let name = format!("berth-{at}");
        let asset = client.get(&format!("/api/v1/workspaces/default/assets/{name}")).await;
        let urls: Vec<&str> =
            asset["deployments"].as_array().unwrap().iter().map(|one| one["url"].as_str().unwrap()).collect();
        let mut once = urls.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), urls.len(), "each step is done once: {urls:?}");
        let mut steps = 0;
        let path = format!("/api/v1/approvals?state=approved&limit=100&asset={name}");
        let mut next = client.get(&path).await;
        loop {
            for one in next["items"].as_array().unwrap() {
                let id = one["id"].as_str().unwrap();
                steps += client.get(&format!("/api/v1/approvals/{id}")).await["steps"].as_array().unwrap().len();
                approved += 1;
            }
            let Some(cursor) = next["next"].as_str() else { break };
            next = client.get(&format!("{path}&cursor={cursor}")).await;
        }
        assert_eq!(steps, urls.len(), "what is approved is done, and nothing else: {name}");
        let mut recorded = 0;
        let history = format!("/api/v1/workspaces/default/assets/{name}/history?limit=100");
        let mut next = client.get(&history).await;
        loop {
            recorded += next["items"].as_array().unwrap().iter().filter(|one| one["verb"] == "asset.approve").count();
            let Some(cursor) = next["next"].as_str() else { break };
            next = client.get(&format!("{history}&cursor={cursor}")).await;
        }
        let path = format!("/api/v1/approvals?state=approved&limit=100&asset={name}");
        let mut given = 0;
        let mut next = client.get(&path).await;
        loop {
            given += next["items"].as_array().unwrap().len();
            let Some(cursor) = next["next"].as_str() else { break };
            next = client.get(&format!("{path}&cursor={cursor}")).await;
        }
        assert_eq!(recorded, given, "each approval stands in the audit record: {name}");
    }
    assert!(approved > 0, "something was decided between the kills");
    println!("{approved} approvals over {KILLS} kills");
    assert!(program.stop().await.0);
}

/// Somebody else who may review: a key of its own.
async fn reviewer(client: &Client) -> Client {
    let new = json!({"name": "reviewer", "role": "reviewer", "workspace": "default"});
    let (_, made) = client.send(reqwest::Method::POST, "/api/v1/keys", &new).await.expect("it serves");
    Client { http: client.http.clone(), url: client.url.clone(), key: made["text"].as_str().unwrap().to_owned() }
}
