//! Checks of backends and of their credentials.

use super::{Checker, legal_model, plain_header, settable_header};
use crate::gateway::settings::{BackendSettings, BreakerSettings, CredentialSettings, Provider, Section, Span};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn credential(on: &mut Checker<'_>, settings: &CredentialSettings) {
    match settings {
        CredentialSettings::ApiKey { header: Some(header), .. } => {
            if http::HeaderName::from_bytes(header.as_bytes()).is_err() || header.len() > 100 {
                on.wrong("apiKey.header", "is no name of a header");
            }
        }
        CredentialSettings::ApiKey { .. } | CredentialSettings::Bearer { .. } => {}
        CredentialSettings::ClientCredentials { token_url, client_id, scopes, parameters, .. } => {
            on.url("clientCredentials.tokenUrl", token_url);
            on.refuse(client_id.is_empty(), "clientCredentials.clientId", "must not be empty");
            on.text("clientCredentials.clientId", client_id, 500);
            for (at, scope) in scopes.iter().enumerate() {
                // RFC 6749, 3.3.
                let legal = !scope.is_empty() && scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
                on.refuse(!legal, &format!("clientCredentials.scopes[{at}]"), "is no scope");
            }
            for name in parameters.keys() {
                let ours = ["grant_type", "client_id", "client_secret", "scope"].contains(&name.as_str());
                on.refuse(ours, &format!("clientCredentials.parameters.{name}"), "is set by the gateway itself");
            }
        }
    }
}

pub(super) fn check(on: &mut Checker<'_>, settings: &BackendSettings) {
    on.title(&settings.title);
    on.url("url", &settings.url);
    if let Some(name) = &settings.credential {
        // Its owner's own only: with another's backend one could have another's secret sent to oneself.
        if on.book.find(Section::Credential, &on.thing.owner, name).is_none() {
            on.wrong("credential", format!("there is no credential {name}{}", on.near(Section::Credential, name)));
        }
    }
    models(on, settings);
    for (name, value) in &settings.headers {
        if let Err(message) = settable_header(name).and_then(|()| plain_header(name, value)) {
            on.wrong(format!("headers.{name}"), message);
        }
        on.refuse(http::HeaderValue::from_str(value).is_err(), &format!("headers.{name}"), "holds what no header can");
    }
    let capacity = &settings.capacity;
    on.refuse(
        capacity.tokens_per_minute == Some(0),
        "capacity.tokensPerMinute",
        "must be at least 1; drain it instead",
    );
    on.refuse(
        capacity.requests_per_minute == Some(0),
        "capacity.requestsPerMinute",
        "must be at least 1; drain it instead",
    );
    on.refuse(
        capacity.concurrent_requests == Some(0),
        "capacity.concurrentRequests",
        "must be at least 1; drain it instead",
    );
    timeouts(on, settings);
    breaker(on, &settings.breaker);
}

fn models(on: &mut Checker<'_>, settings: &BackendSettings) {
    on.refuse(settings.models.len() > 500, "models", "at most 500");
    for (alias, vendor) in &settings.models {
        if let Err(message) = legal_model(alias).and_then(|()| legal_model(vendor)) {
            on.wrong(format!("models.{alias}"), message);
        }
    }
    if settings.provider == Provider::Rest {
        on.refuse(!settings.models.is_empty(), "models", "a REST API serves no models");
        on.refuse(!settings.prices.is_empty(), "prices", "a REST API has no tokens to price");
    }
    on.refuse(
        settings.api_version.is_some() && settings.provider != Provider::AzureOpenai,
        "apiVersion",
        "only azure-openai has versions of its API",
    );
    if let Some(version) = &settings.api_version {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
        on.refuse(version.len() > 100 || !version.bytes().all(legal), "apiVersion", "write it like 2024-10-21");
    }
    for alias in settings.prices.keys() {
        if settings.vendor_model(alias).is_none() {
            on.wrong(format!("prices.{alias}"), "this model is not served here, so the price would never count");
        }
    }
}

fn timeouts(on: &mut Checker<'_>, settings: &BackendSettings) {
    let timeouts = &settings.timeouts;
    for (path, Span(span)) in [
        ("timeouts.connect", timeouts.connect),
        ("timeouts.firstByte", timeouts.first_byte),
        ("timeouts.idle", timeouts.idle),
        ("timeouts.total", timeouts.total),
    ] {
        on.refuse(span.is_zero() || span > 24 * HOUR, path, "must be longer than nothing and at most a day");
    }
    if timeouts.first_byte > timeouts.total {
        on.warn("timeouts.firstByte", "is longer than the total, which ends first");
    }
    let drain = &settings.drain;
    on.refuse(
        drain.time.0.is_zero() || drain.time.0 > HOUR,
        "drain.time",
        "must be longer than nothing and at most an hour",
    );
    on.refuse(drain.bytes == 0 || drain.bytes > 1 << 30, "drain.bytes", "must be between 1 and 1073741824");
    on.refuse(drain.at_once == 0 || drain.at_once > 10_000, "drain.atOnce", "must be between 1 and 10000");
}

fn breaker(on: &mut Checker<'_>, breaker: &BreakerSettings) {
    on.refuse(
        breaker.count.is_none() && breaker.percentage.is_none(),
        "breaker.count",
        "give a count or a percentage; without either it would never trip",
    );
    on.refuse(breaker.count == Some(0), "breaker.count", "must be at least 1");
    on.refuse(
        breaker.percentage.is_some_and(|percentage| !(1..=100).contains(&percentage)),
        "breaker.percentage",
        "must be between 1 and 100",
    );
    on.refuse(breaker.minimum_requests == 0, "breaker.minimumRequests", "must be at least 1");
    for (path, Span(span)) in [
        ("breaker.interval", breaker.interval),
        ("breaker.trip", breaker.trip),
        ("breaker.longestTrip", breaker.longest_trip),
    ] {
        on.refuse(span < Duration::from_millis(100) || span > 24 * HOUR, path, "must be between 100ms and a day");
    }
    on.refuse(breaker.statuses.len() > 20, "breaker.statuses", "at most 20 ranges");
    for (at, range) in breaker.statuses.iter().enumerate() {
        let path = format!("breaker.statuses[{at}]");
        on.refuse(range.min > range.max, &path, "min is above max, so no status is in it");
        on.refuse(range.min < 200 || range.max > 599, &path, "statuses lie between 200 and 599");
    }
    if breaker.longest_trip < breaker.trip {
        on.warn("breaker.longestTrip", "is shorter than the trip itself");
    }
}
