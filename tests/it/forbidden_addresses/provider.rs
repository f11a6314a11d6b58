//! What an identity provider names in its own document.

use super::{listener, spelled};
use crate::support::TestApp;
use axum::extract::Path;
use axum::routing::get;
use axum::{Json, Router};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::Arc;

/// A host with as many issuers as there are spellings, each of which names one of them as the address of its keys and of
/// its token endpoint.
async fn issuers(spellings: Arc<Vec<String>>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let own = host.clone();
    let document = move |Path(number): Path<usize>| {
        let issuer = format!("{own}/{number}");
        let document = json!({"issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": spellings[number], "jwks_uri": spellings[number],
            "userinfo_endpoint": spellings[number], "end_session_endpoint": spellings[number]});
        async move { Json(document) }
    };
    let router = Router::new().route("/{number}/.well-known/openid-configuration", get(document));
    tokio::spawn(async move { axum::serve(listener, router).await });
    host
}

fn forged(issuer: &str, audience: &str) -> String {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"typ": "at+jwt", "alg": "RS256", "kid": "k"}));
    let claims = json!({"iss": issuer, "sub": "anna", "aud": audience, "iat": now, "exp": now + 300});
    format!("{header}.{}.{}", part(claims), URL_SAFE_NO_PAD.encode([0; 256]))
}

#[tokio::test]
async fn no_address_that_a_provider_names_leads_us_inside() {
    let (port, connections) = listener().await;
    // The provider's own host is the operator's word.
    let all: Vec<String> = spelled(port).filter(|url| !url.to_lowercase().contains("loc")).collect();
    assert!(all.len() >= 60, "{}", all.len());
    let host = issuers(Arc::new(all.clone())).await;
    let mut file = String::new();
    for number in 0..all.len() {
        write!(
            file,
            "[[oidc]]\nname = 'p{number}'\nissuer = '{host}/{number}'\nclient_id = 'a'\nclient_secret = 'b'\n"
        )
        .unwrap();
    }
    let app = TestApp::start_running_with_file(&file).await;
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let mut read = 0;

    for (number, url) in all.iter().enumerate() {
        // Its keys are asked for by a token that claims to be of this issuer.
        let token = forged(&format!("{host}/{number}"), &app.url);
        let answer = app.with_key(&token).get("/api/v1/me").await;
        assert!([401, 503].contains(&answer.status), "{url:?}: {} {}", answer.status, answer.text);

        // Its token endpoint is asked for by a browser that comes back with a code.
        let begun = browser.get(format!("{}/auth/start/p{number}", app.url)).send().await.unwrap();
        if begun.status() != 303 {
            // A document whose addresses cannot be read is not believed at all.
            assert!(begun.status().as_u16() >= 400, "{url:?}: {}", begun.status());
            continue;
        }
        read += 1;
        let there: url::Url = begun.headers()["location"].to_str().unwrap().parse().unwrap();
        let state = there.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let cookie = begun.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let back = format!("{}/auth/callback/p{number}?code=c&state={state}", app.url);
        let answer = browser.get(back).header("cookie", cookie).send().await.unwrap();
        assert!(answer.status().as_u16() >= 400, "{url:?}: {}", answer.status());
    }

    println!("{} documents, {read} of which could be read", all.len());
    assert!(read >= 50, "{read}");
    connections.none();
}
