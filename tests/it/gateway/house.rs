//! What the stories of traffic share: the program with a gateway of its own settings, and vendors that do as told.

use crate::support::TestApp;
use crate::support::vendor::Vendor;
use serde_json::Value;
use wharfinger::gateway::settings::{
    BackendSettings, BreakerSettings, Callers, CredentialSettings, Member, PoolSettings, Provider, RouteSettings,
    Serves, Span,
};
use wharfinger::gateway::{Parts, Snapshot};

/// The key that vendors are given, and that nobody else may see.
pub const VENDOR_KEY: &str = "sk-CANARY-of-the-vendor";

/// The program, allowed to reach vendors on this machine.
pub async fn house() -> (TestApp, Vendor) {
    house_with(&[]).await
}

/// As [`house`], with these settings too.
pub async fn house_with(more: &[(&str, &str)]) -> (TestApp, Vendor) {
    let settings = [("WHARFINGER_GATEWAY_ALLOWED_HOSTS", "127.0.0.1"), ("WHARFINGER_DRAIN_TIMEOUT", "10s")];
    // Vendors name waits by the date, so the clock runs.
    let app = TestApp::start_running_with(&[&settings[..], more].concat()).await;
    (app, Vendor::start().await)
}

/// A backend of this provider in this mood, quick to give up.
pub fn backend(vendor: &Vendor, provider: Provider, mood: &str) -> BackendSettings {
    let end = if matches!(provider, Provider::AzureOpenai | Provider::Rest) { "" } else { "/v1" };
    let mut settings = BackendSettings::new(provider, format!("{}{end}", vendor.url(mood)));
    settings.credential = Some("vendor".into());
    settings.timeouts.connect = Span::millis(500);
    settings.timeouts.first_byte = Span::millis(700);
    settings.timeouts.idle = Span::millis(700);
    settings.timeouts.total = Span::seconds(10);
    settings.breaker = BreakerSettings { count: None, trip: Span::millis(400), ..BreakerSettings::default() };
    settings
}

/// Settings with the vendor's credential.
pub fn parts() -> Parts {
    let key = CredentialSettings::ApiKey { value: VENDOR_KEY.into(), header: None };
    Parts::default().with_credential("vendor", key)
}

/// These backends in one pool, each in a priority group of its own, behind a route for one model.
pub fn route(parts: Parts, model: &str, backends: &[(&str, BackendSettings)]) -> Parts {
    let members = backends.iter().zip(1..).map(|((name, _), priority)| Member { priority, ..Member::new(*name) });
    let pool = PoolSettings { members: members.collect(), ..PoolSettings::default() };
    let settings = RouteSettings {
        title: String::new(),
        serves: Serves::Models(vec![model.to_owned()]),
        pool: model.to_owned(),
        asset: None,
        dialects: Vec::new(),
        policies: Vec::new(),
        callers: Callers::Everyone,
        disabled: false,
    };
    let with = backends.iter().fold(parts, |parts, (name, settings)| parts.with_backend(name, settings.clone()));
    with.with_pool(model, pool).with_route(model, settings)
}

pub fn install(app: &TestApp, parts: Parts) {
    let (snapshot, wrong) = Snapshot::from_parts(parts);
    assert!(wrong.is_empty(), "{wrong:?}");
    app.handles.gateway.install(snapshot);
}

/// The data of a stream's events, read as clients do, who give up at one that is no JSON.
pub fn events(text: &str) -> Vec<Value> {
    let data = text.split("\n\n").map(|event| {
        let lines: Vec<_> = event.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim_start).collect();
        lines.join("\n")
    });
    let read = |data: String| match data.as_str() {
        "[DONE]" => Value::from(data),
        _ => serde_json::from_str(&data)
            .unwrap_or_else(|error| panic!("an event that no client reads ({error}): {data}")),
    };
    data.filter(|data| !data.is_empty()).map(read).collect()
}

/// What came of a stream, and whether it ended as one that is whole.
pub async fn read(mut response: reqwest::Response) -> (String, bool) {
    let mut text = Vec::new();
    let ended_well = loop {
        match response.chunk().await {
            Ok(Some(piece)) => text.extend_from_slice(&piece),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    (String::from_utf8(text).unwrap(), ended_well)
}
