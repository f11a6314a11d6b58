//! Vendors behind TLS: an authority of the house is believed where the settings name it, and nobody else's certificate is.

use super::house::{backend, house_with, install, parts, route};
use crate::support::{Answer, Authority, TestApp, TlsVendor};
use serde_json::{Value, json};
use wharfinger::base::Config;
use wharfinger::gateway::settings::Provider;

/// The program with a route to this vendor; it trusts the authority where it is given.
async fn program(vendor: &TlsVendor, trusted: Option<&Authority>) -> TestApp {
    let file = trusted.map(|authority| authority.file().display().to_string());
    let settings: Vec<_> = file.iter().map(|file| ("WHARFINGER_GATEWAY_CA_FILE", file.as_str())).collect();
    let (app, plain) = house_with(&settings).await;
    let mut settings = backend(&plain, Provider::Openai, "ok");
    settings.url = vendor.url("ok");
    install(&app, route(parts(), "fast", &[("secure", settings)]));
    app
}

async fn ask(app: &TestApp, stream: bool) -> Answer {
    let messages = json!([{"role": "user", "content": "hello"}]);
    let body: Value = json!({"model": "fast", "stream": stream, "max_tokens": 6, "messages": messages});
    app.admin().post("/llm/v1/chat/completions", &body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_of_a_trusted_authority_is_called_over_one_connection_that_is_kept() {
    let authority = Authority::new("the house's own");
    for protocols in [&["h2", "http/1.1"][..], &["http/1.1"], &[]] {
        let vendor = TlsVendor::start(&authority, "127.0.0.1", protocols).await;
        let app = program(&vendor, Some(&authority)).await;

        for stream in [false, true, false, true] {
            let answer = ask(&app, stream).await.expect(200);
            assert!(answer.text.contains(" word"), "{}", answer.text);
        }

        let expected = if protocols.is_empty() { "none" } else { "http/1.1" };
        assert_eq!(*vendor.chosen.lock().unwrap(), [expected], "{protocols:?}");
        assert_eq!(vendor.vendor.requests("ok"), 4);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_not_believed_is_told_and_nothing_is_sent() {
    let (authority, stranger) = (Authority::new("the house's own"), Authority::new("a stranger"));
    let of = async |authority: &Authority, name: &str| TlsVendor::start(authority, name, &["http/1.1"]).await;
    for (vendor, trusted, said) in [
        (of(&authority, "vendor.example.com").await, Some(&authority), "its certificate is for another name"),
        (of(&stranger, "127.0.0.1").await, Some(&authority), "its certificate is of no authority that is trusted here"),
        (of(&authority, "127.0.0.1").await, None, "its certificate is of no authority that is trusted here"),
    ] {
        let app = program(&vendor, trusted).await;

        let refused = ask(&app, false).await.expect(503);

        assert_eq!(refused.json()["error"]["tried"][0]["result"], format!("not trusted ({said})"), "{}", refused.text);
        assert_eq!(vendor.vendor.requests("ok"), 0);
        assert!(vendor.vendor.seen.credentials.lock().unwrap().is_empty());
    }
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_stops_the_start() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for path in [file.path().display().to_string(), "/nowhere/ca.pem".to_owned()] {
        let settings = [("WHARFINGER_GATEWAY_CA_FILE".to_owned(), path.clone())];
        let refused = Config::from_sources(None, settings).unwrap_err().to_string();
        assert!(refused.contains("gateway_ca_file") && refused.contains(&path), "{refused}");
    }
}
