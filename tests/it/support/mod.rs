//! What the stories share: a running program with a database of its own, and people who call it.

mod browser;
pub mod collector;
mod dice;
mod identity_provider;
mod leavings;
mod postgres;
mod program;
mod raw;
mod receiver;
mod redis;
pub mod vendor;
mod vendor_tls;

pub use browser::{Browser, Seen};
pub use dice::Dice;
pub use identity_provider::IdentityProvider;
pub use leavings::test_folder;
pub use postgres::{fresh_database, fresh_database_url};
pub use program::{Home, Program, program, without_settings};
pub use raw::{RawVendor, Step};
pub use receiver::Receiver;
pub use redis::Redis;
pub use vendor_tls::{Authority, TlsVendor};

use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use time::macros::datetime;
use tokio_util::sync::DropGuard;
use wharfinger::app::server::{Lanes, Stop, serve};
use wharfinger::auth::{Actor, NewKey, Role};
use wharfinger::base::{Clock, Config, Database, Slug};
use wharfinger::door::Handles;
use wharfinger::embed::Embedder;

/// The program, serving on a port of its own, with a database that holds only the workspace `default`.
pub struct TestApp {
    pub handles: Handles,
    pub clock: Clock,
    pub url: String,
    pub admin_key: String,
    pub http: reqwest::Client,
    _stop: DropGuard,
}

/// Somebody who calls: with a key or without.
#[derive(Clone)]
pub struct Person<'a> {
    app: &'a TestApp,
    key: Option<String>,
}

impl TestApp {
    /// Starts the program with a fixed clock and the small deterministic embedder.
    pub async fn start() -> Self {
        let embedder = Embedder::hashed();
        // While it loads, nothing is found by meaning.
        embedder.loaded().await;
        Self::start_with(&[], embedder).await
    }

    /// Starts the program with these settings and this embedder.
    pub async fn start_with(settings: &[(&str, &str)], embedder: Embedder) -> Self {
        Self::start_at(Clock::fixed(datetime!(2026-03-01 12:00 UTC)), settings, embedder).await
    }

    /// Starts the program with a clock that runs, for stories in which the order of writes counts.
    pub async fn start_running() -> Self {
        Self::start_at(Clock::system(), &[], Embedder::hashed()).await
    }

    /// As [`TestApp::start_running`], with these settings.
    pub async fn start_running_with(settings: &[(&str, &str)]) -> Self {
        Self::start_at(Clock::system(), settings, Embedder::hashed()).await
    }

    /// As [`TestApp::start_running`], with this settings' file.
    pub async fn start_running_with_file(file: &str) -> Self {
        Self::start_from(Clock::system(), Some(file), &[], Embedder::hashed()).await
    }

    async fn start_at(clock: Clock, settings: &[(&str, &str)], embedder: Embedder) -> Self {
        Self::start_from(clock, None, settings, embedder).await
    }

    async fn start_from(clock: Clock, file: Option<&str>, settings: &[(&str, &str)], embedder: Embedder) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let data = test_folder("story");
        let data_dir = [("WHARFINGER_DATA_DIR".to_owned(), data.display().to_string())];
        let config = Config::from_sources(file, data_dir.into_iter().chain(settings)).expect("the settings are right");
        let db = Database::new(fresh_database().await, &config.storage);

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let url = config.public_url(address);
        let handles = wharfinger::app::assemble(config, &url, db, clock.clone(), embedder).unwrap();
        let system = Actor::system("test");
        handles.catalog.ensure_workspace(&system, &Slug::parse("default").unwrap(), "Default").await.unwrap();
        let admin = NewKey::with_role("admin", Role::Administrator, None);
        let (_, admin_key) = handles.auth.create_key(&system, admin).await.unwrap();
        let admin_key = admin_key.reveal().to_owned();

        let stop = Stop::default();
        let router = wharfinger::app::doors(handles.clone());
        let (config, liveness, ends) = (handles.config.clone(), handles.liveness.clone(), stop.clone());
        tokio::spawn(async move { serve(listener, router, config, &liveness, &ends, Arc::new(Lanes::none())).await });
        tokio::spawn(handles.auth.clone().follow_changes(stop.now.clone()));
        let http = reqwest::Client::new();
        Self { handles, clock, url, admin_key, http, _stop: stop.now.drop_guard() }
    }

    pub fn admin(&self) -> Person<'_> {
        Person { app: self, key: Some(self.admin_key.clone()) }
    }

    pub fn stranger(&self) -> Person<'_> {
        Person { app: self, key: None }
    }

    /// Somebody with a key of this role in this workspace, which is made when it is not there.
    pub async fn member(&self, role: Role, workspace: &str) -> Person<'_> {
        let system = Actor::system("test");
        let slug = Slug::parse(workspace).unwrap();
        let workspace = self.handles.catalog.ensure_workspace(&system, &slug, workspace).await.unwrap();
        let name = format!("{}-of-{slug}", role.as_str());
        let new = NewKey::with_role(name, role, Some(workspace.workspace_id));
        let (_, key) = self.handles.auth.create_key(&system, new).await.unwrap();
        Person { app: self, key: Some(key.reveal().to_owned()) }
    }

    /// A person of this name, who is made when not there, with a key of her own.
    pub async fn person(&self, name: &str) -> Person<'_> {
        let text = format!("whf_test_{}", uuid::Uuid::now_v7().simple());
        let digest = <sha2::Sha256 as sha2::Digest>::digest(text.as_bytes()).to_vec();
        let _ = self.handles.auth.create_user(&Actor::system("test"), name, "", None).await;
        let mut conn = self.handles.db.write.acquire().await.unwrap();
        let key = uuid::Uuid::now_v7();
        let statement = "insert into api_key (key_id, name, user_id, created_at)
                         select $1, 'test', user_id, now() from user_account where name = $2";
        sqlx::query(statement).bind(key).bind(name).execute(&mut *conn).await.unwrap();
        let statement = "insert into api_key_secret (secret_hash, key_id, created_at) values ($1, $2, now())";
        sqlx::query(statement).bind(digest).bind(key).execute(&mut *conn).await.unwrap();
        self.with_key(&text)
    }

    /// A local group of these people, who are made when not there.
    pub async fn group(&self, name: &str, members: &[&str]) {
        let mut conn = self.handles.db.write.acquire().await.unwrap();
        let group = uuid::Uuid::now_v7();
        let statement = "insert into user_group (group_id, name, source, created_at) values ($1, $2, 'local', now())";
        sqlx::query(statement).bind(group).bind(name).execute(&mut *conn).await.unwrap();
        for member in members {
            let _ = self.handles.auth.create_user(&Actor::system("test"), member, "", None).await;
            let statement = "insert into user_group_member (group_id, user_id, since)
                             select $1, user_id, now() from user_account where name = $2";
            sqlx::query(statement).bind(group).bind(member).execute(&mut *conn).await.unwrap();
        }
    }

    /// Whoever comes with this key.
    pub fn with_key(&self, key: &str) -> Person<'_> {
        Person { app: self, key: Some(key.to_owned()) }
    }

    /// The actor behind a person, for verbs that are called without a door.
    pub async fn actor(&self, person: &Person<'_>) -> Actor {
        match &person.key {
            None => Actor::anonymous(),
            Some(key) => self.handles.auth.identify(key).await.unwrap(),
        }
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}: {}", self.status, self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Itself when it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

impl Person<'_> {
    /// The text of the key this person comes with.
    pub fn key(&self) -> String {
        self.key.clone().unwrap_or_default()
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(reqwest::Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(reqwest::Method::POST, path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(reqwest::Method::PATCH, path).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(reqwest::Method::PUT, path).json(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(reqwest::Method::DELETE, path)).await
    }

    /// A request with this person's key, for headers and bodies of other kinds.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.app.http.request(method, format!("{}{path}", self.app.url));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.unwrap() }
    }
}

/// The folder of real data beside the project, where it is there; says so where it is not.
pub fn shared() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("WHARFINGER_SHARED").map_or_else(beside, PathBuf::from);
    let there = folder.join("corpus").is_dir();
    if !there {
        eprintln!("skipped: the folder of real data {} is not there", folder.display());
    }
    there.then_some(folder)
}

/// Runs a script of `tests/clients`, a real client, as `scripts/setup test` installs them; where what it needs is not
/// there, it says so (exit 77) and the story ends.
pub async fn visit(script: &'static str, arguments: &[&str]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
    let mut command = std::process::Command::new(path);
    command.args(arguments);

    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();

    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.code() == Some(77) {
        eprintln!("{script}: {said}");
        return;
    }
    println!("{said}");
    assert!(output.status.success(), "{script}: {said}\n{}", String::from_utf8_lossy(&output.stderr));
}
