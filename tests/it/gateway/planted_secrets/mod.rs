//! Secrets that are planted, and looked for in everything that comes out: answers, pages, metrics, exports, the log at its
//! most talkative, hooks, every table and every file. They are nowhere; and no caller's credential reaches a vendor.

mod traffic;
mod vendors;

use super::crowd::ADMIN_KEY;
use super::house::VENDOR_KEY;
use crate::support::vendor::{ACCESS_TOKEN, Vendor};
use crate::support::{Browser, Home, Program, fresh_database_url, program};
use base64::Engine;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

const CLIENT_SECRET: &str = "CANARY-oauth-client-secret-77ab10";
const HEADER_SECRET: &str = "CANARY-subscription-key-5b0e31";
const AZURE_KEY: &str = "CANARY-azure-key-19d2c8";
const WRONG_KEY: &str = "whf_CANARY_a_key_that_holds_nowhere_4242";
/// Pages that are looked at, at the most.
const PAGES: usize = 400;

/// Everything that came out, each with where.
#[derive(Default)]
struct Out(Vec<(String, Vec<u8>)>);

impl Out {
    fn add(&mut self, place: impl Into<String>, text: impl Into<Vec<u8>>) {
        self.0.push((place.into(), text.into()));
    }

    /// The places at which one of these stands: as it is, in base64, or as Postgres shows bytes.
    fn holding(&self, secrets: &[(&str, String)]) -> Vec<String> {
        let mut places = Vec::new();
        for (name, secret) in secrets {
            let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            // Without the last characters, which depend on what follows.
            let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret);
            let forms = [secret.clone(), hex, base64[..base64.len() - 2].to_owned()];
            for (place, text) in &self.0 {
                for form in &forms {
                    if let Some(at) = memchr::memmem::find(text, form.as_bytes()) {
                        let around = &text[at.saturating_sub(120)..(at + 40).min(text.len())];
                        places.push(format!("{name} in {place}: {}", String::from_utf8_lossy(around)));
                    }
                }
            }
        }
        places
    }
}

struct House {
    program: Program,
    home: Home,
    vendor: Vendor,
    /// Takes what hooks send.
    receiver: Vendor,
    database: String,
    out: Out,
}

impl House {
    async fn send(&mut self, request: reqwest::RequestBuilder) -> (u16, String) {
        let request = request.build().unwrap();
        let place = format!("{} {}", request.method(), request.url());
        let answer = self.program.http.execute(request).await.unwrap();
        let (status, headers) = (answer.status().as_u16(), format!("{:?}", answer.headers()));
        // A stream that is cut ends in an error, and what came before counts.
        let text = answer.text().await.unwrap_or_default();
        self.out.add(place, format!("{status} {headers} {text}"));
        (status, text)
    }

    async fn admin(&mut self, method: reqwest::Method, path: &str, body: Option<&Value>) -> Value {
        let request = self.program.http.request(method, format!("{}{path}", self.program.url)).bearer_auth(ADMIN_KEY);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let (status, text) = self.send(request).await;
        assert!(status < 300, "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// All pages that lead from one to another, as an administrator sees them.
    async fn pages(&mut self, browser: &mut Browser) {
        let mut waiting: VecDeque<String> = [
            "/",
            "/gateway/usage",
            "/gateway/pools",
            "/gateway/backends",
            "/gateway/routes",
            "/gateway/limits",
            "/audit",
            "/account",
            "/status",
        ]
        .map(str::to_owned)
        .into();
        let mut known: BTreeSet<String> = waiting.iter().cloned().collect();
        let mut looked = 0;
        while let Some(path) = waiting.pop_front().filter(|_| looked < PAGES) {
            looked += 1;
            let seen = browser.step(reqwest::Method::GET, &format!("{}{path}", self.program.url), None, &[]).await;
            self.out.add(format!("page {path}"), format!("{} {:?} {}", seen.status, seen.headers, seen.text));
            for href in seen.text.split("href=\"").skip(1) {
                let href = href.split('"').next().unwrap_or_default().replace("&#38;", "&").replace("&amp;", "&");
                let is_ours = href.starts_with('/') && !href.starts_with("//") && !href.starts_with("/static/");
                if is_ours && known.insert(href.clone()) {
                    waiting.push_back(href);
                }
            }
        }
        println!("{looked} pages");
    }

    /// Everything that the REST API gives.
    async fn rest(&mut self) {
        let get = reqwest::Method::GET;
        let document = self.admin(get.clone(), "/api/v1/openapi.json", None).await;
        let mut answered = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            if item.get("get").is_none() {
                continue;
            }
            for name in ["openai", "oauth", "vendor", "limit", "berths"] {
                let mut filled = path.replace("{workspace}", "default");
                while let (Some(open), Some(close)) = (filled.find('{'), filled.find('}')) {
                    filled.replace_range(open..=close, name);
                }
                let request = self.program.http.get(format!("{}{filled}", self.program.url)).bearer_auth(ADMIN_KEY);
                answered += usize::from(self.send(request).await.0 == 200);
                if !path.contains('{') {
                    break;
                }
            }
        }
        for path in ["/metrics", "/readyz", "/v0.1/servers", "/api/v1/gateway/export?format=json"] {
            let request = self.program.http.get(format!("{}{path}", self.program.url)).bearer_auth(ADMIN_KEY);
            self.send(request).await;
        }
        println!("{answered} REST answers");
        assert!(answered > 40, "{answered}");
    }

    /// Every row of every table.
    async fn tables(&mut self) {
        let db = PgPool::connect(&self.database).await.unwrap();
        let tables: Vec<String> =
            sqlx::query_scalar("select table_name::text from information_schema.tables where table_schema = 'public'")
                .fetch_all(&db)
                .await
                .unwrap();
        assert!(tables.iter().any(|table| table == "gateway_secret"));
        for table in tables {
            let statement = format!("select t::text from {table} t");
            let rows: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_all(&db).await.unwrap();
            self.out.add(format!("table {table}"), rows.join("\n"));
        }
    }

    /// Every file of the data directory.
    fn files(&mut self) {
        fn all(folder: &Path, files: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                match entry.path() {
                    path if path.is_dir() => all(&path, files),
                    path => files.push(path),
                }
            }
        }
        let mut files = Vec::new();
        all(&self.home.0, &mut files);
        for file in files {
            // What is being moved on may be gone by now.
            let text = std::fs::read(&file).unwrap_or_default();
            self.out.add(format!("file {}", file.display()), text);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_comes_out_anywhere_and_no_callers_credential_reaches_a_vendor() {
    let (home, database) = (Home::new("planted"), fresh_database_url(true).await);
    let (vendor, receiver) = (Vendor::start().await, Vendor::start().await);
    let collector = receiver.url("collector");
    let settings = [
        ("WHARFINGER_DATA_DIR", home.text()),
        ("WHARFINGER_MODEL_DIR", home.text()),
        ("WHARFINGER_DATABASE_URL", database.as_str()),
        ("WHARFINGER_ADMIN_KEY", ADMIN_KEY),
        ("WHARFINGER_GATEWAY_ALLOWED_HOSTS", "127.0.0.1"),
        ("WHARFINGER_FETCH_ALLOWED_NETWORKS", "127.0.0.0/8"),
        ("WHARFINGER_ACCESS_LOG", "true"),
        ("WHARFINGER_LOG", "trace"),
        ("WHARFINGER_OTLP_ENDPOINT", collector.as_str()),
        ("WHARFINGER_OTLP_METRICS_EVERY", "1s"),
    ];
    let (program, log) = Program::serve_with_log(program(&settings)).await;
    let mut house = House {
        program,
        home: Home(home.0.clone()),
        vendor,
        receiver,
        database: database.clone(),
        out: Out::default(),
    };
    house.configure().await;

    // What is shown once is shown here, and not looked at.
    let base = house.program.url.clone();
    let request = house.program.http.post(format!("{base}/api/v1/keys")).bearer_auth(ADMIN_KEY);
    let body = json!({"name": "app", "role": "consumer", "workspace": "default"});
    let made: Value = request.json(&body).send().await.unwrap().json().await.unwrap();
    let key = made["text"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
    let mut browser = Browser::new();
    let page = browser.open(&format!("{base}/signin")).await.expect(200);
    browser.send(&page, "/signin", &[("key", ADMIN_KEY)]).await.expect(200);
    let session = browser.session(&base).unwrap().to_owned();

    house.traffic(&key, &format!("wharfinger-session={session}")).await;
    house.files();
    house.pages(&mut browser).await;
    house.rest().await;
    // Budgets and events are told a moment later.
    tokio::time::sleep(Duration::from_secs(2)).await;
    house.tables().await;
    let House { program, home: _home, vendor, receiver, mut out, .. } = house;
    let exported = program.command(ADMIN_KEY, &["export", "--gateway"]).await;
    out.add("the command export", [exported.stdout, exported.stderr].concat());
    assert!(program.stop().await.0);
    let log = log.await.unwrap();
    println!("{} bytes of log, {} outputs", log.len(), out.0.len());
    assert!(log.len() > 100_000, "the log is talkative");
    out.add("the log", log);
    let told = receiver.seen.everything.lock().unwrap().join("\n");
    assert!(receiver.requests("ok") > 20, "hooks were told {} times", receiver.requests("ok"));
    assert!(receiver.requests("collector") > 1, "spans and metrics were sent {} times", receiver.requests("collector"));
    out.add("what hooks and the collector were told", told);

    let callers = [
        ("the admin key", ADMIN_KEY.to_owned()),
        ("a client's key", key),
        ("a session", session),
        ("a wrong key", WRONG_KEY.to_owned()),
    ];
    let vendors = [
        ("the vendor's key", VENDOR_KEY.to_owned()),
        ("Azure's key", AZURE_KEY.to_owned()),
        ("the client secret", CLIENT_SECRET.to_owned()),
        ("a secret in a header", HEADER_SECRET.to_owned()),
        ("the access token", ACCESS_TOKEN.to_owned()),
    ];
    // That nothing is found says something only of a search that finds.
    for known in ["berths", "openai", "credentials"] {
        assert!(!out.holding(&[(known, known.to_owned())]).is_empty());
    }
    let found = out.holding(&[&callers[..], &vendors[..]].concat());
    assert!(found.is_empty(), "{} places:\n{}", found.len(), found.join("\n"));
    let mut at_vendor = Out::default();
    at_vendor.add("what vendors got", vendor.seen.everything.lock().unwrap().join("\n"));
    let found = at_vendor.holding(&callers);
    assert!(found.is_empty(), "{}", found.join("\n"));
    let used = vendor.seen.credentials.lock().unwrap().clone();
    for secret in [VENDOR_KEY, AZURE_KEY, ACCESS_TOKEN] {
        assert!(used.iter().any(|one| one.contains(secret)), "{secret} was used");
    }
}
