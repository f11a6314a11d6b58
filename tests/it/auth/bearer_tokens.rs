//! Tokens of a configured issuer as credentials: honest ones are taken, forged ones nowhere.

use crate::support::{IdentityProvider, TestApp};
use serde_json::{Value, json};
use wharfinger::auth::NewServiceAccount;

fn claims(provider: &IdentityProvider, app: &TestApp) -> Value {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    json!({"iss": provider.issuer, "sub": "anna", "aud": app.url, "iat": now, "exp": now + 300, "client_id": "someone"})
}

#[tokio::test]
async fn a_token_of_a_person_or_of_a_known_program_is_taken() {
    let Some(provider) = IdentityProvider::start().await else { return };
    let app = provider.app(&[("WHARFINGER_OIDC_ROLE", "reader")]).await;
    let mut told = claims(&provider, &app);
    told["groups"] = json!(["pilots"]);
    told["preferred_username"] = json!("anna");
    let token = provider.sign(json!({"typ": "at+jwt"}), told, "own").await;

    let me = app.with_key(&token).get("/api/v1/me").await.expect(200).json();
    assert_eq!(
        (&me["name"], &me["groups"], &me["sight"]["everything"]),
        (&json!("anna"), &json!(["pilots"]), &json!(true))
    );

    let token = provider.token_of_the_pipeline().await;
    let refused = app.with_key(&token).get("/api/v1/me").await.expect(401);
    assert_eq!(refused.json()["type"], "/problems/subject-unknown");
    let admin = app.actor(&app.admin()).await;
    let new = NewServiceAccount {
        name: "pipeline".into(),
        subject: Some((provider.issuer.clone(), "pipeline".into())),
        ..NewServiceAccount::default()
    };
    app.handles.auth.create_service_account(&admin, new).await.unwrap();
    // Refusals are not remembered against a program that is made known.
    let me = app.with_key(&token).get("/api/v1/me").await.expect(200).json();
    assert_eq!(me["actor"], "service account pipeline");
    let caller = app.handles.traffic.identify(&token).await.unwrap();
    assert_eq!(caller.claim("sub"), Some("pipeline"), "what counters may go by");
}

#[tokio::test]
async fn no_forged_token_is_accepted_by_any_protected_operation() {
    let Some(provider) = IdentityProvider::start().await else { return };
    let app = provider.app(&[]).await;
    let forged = forged(&provider, &app).await;
    assert_eq!(forged.len(), 24);
    let document = app.stranger().get("/api/v1/openapi.json").await.expect(200).json();
    let mut operations = Vec::new();
    // The schema of the gateway's file is the same for everybody and asks nobody who they are.
    let protected = document["paths"].as_object().unwrap().iter().filter(|(path, _)| !path.ends_with("/schema.json"));
    let placeholder = regex::Regex::new(r"\{[^}]+\}").unwrap();
    for (path, methods) in protected {
        for method in methods.as_object().unwrap().keys().filter(|method| *method != "parameters") {
            let path = path.replace("{workspace}", "default");
            let path = placeholder.replace_all(&path, "x").into_owned();
            operations.push((method.to_uppercase(), path));
        }
    }
    for (method, path) in [
        ("GET", "/v0.1/servers"),
        ("POST", "/v0.1/publish"),
        ("POST", "/mcp"),
        ("GET", "/"),
        ("GET", "/browse"),
        ("POST", "/llm/v1/chat/completions"),
        ("GET", "/rest/default/x/"),
    ] {
        operations.push((method.to_owned(), path.to_owned()));
    }

    let (mut asked, begun) = (0, std::time::Instant::now());
    for (name, token) in &forged {
        for (method, path) in &operations {
            let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
            let mut request = app.http.request(method.clone(), format!("{}{path}", app.url));
            request = request.header("authorization", format!("Bearer {token}"));
            request = request.header("accept", "application/json, text/event-stream");
            request = request.header("content-type", "application/json").body("{}");
            let answer = request.send().await.unwrap();
            // 64 KiB is more than a head may have.
            let expected: &[u16] = if token.len() > 32 << 10 { &[401, 431] } else { &[401] };
            assert!(expected.contains(&answer.status().as_u16()), "{name}: {method} {path}: {}", answer.status());
            if answer.status() == 401 {
                let challenge = answer.headers().get("www-authenticate").map(|value| value.to_str().unwrap());
                assert!(
                    challenge.is_some_and(|text| text.contains("error=\"invalid_token\"")),
                    "{name}: {method} {path}: {challenge:?}"
                );
            }
            asked += 1;
        }
    }

    println!("{asked} requests with {} forged tokens on {} operations", forged.len(), operations.len());
    let fetched = provider.asked("/jwks").await;
    assert!(fetched <= 2 + begun.elapsed().as_secs() / 30, "{fetched}");
}

/// The forgeries, by name.
async fn forged(provider: &IdentityProvider, app: &TestApp) -> Vec<(&'static str, String)> {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let typed = json!({"typ": "at+jwt"});
    let with = |name: &str, value: Value| {
        let mut all = claims(provider, app);
        match value {
            Value::Null => drop(all.as_object_mut().unwrap().remove(name)),
            value => all[name] = value,
        }
        all
    };
    let honest = || claims(provider, app);
    let mut made = Vec::new();
    for (name, header, claims, key) in [
        ("no signature", json!({"typ": "at+jwt", "alg": "none"}), honest(), "none"),
        ("the public key as a secret", json!({"typ": "at+jwt", "alg": "HS256"}), honest(), "hmac"),
        ("a key by its address", json!({"typ": "at+jwt", "jku": "https://evil.example/keys"}), honest(), "other"),
        ("a certificate by its address", json!({"typ": "at+jwt", "x5u": "https://evil.example/c"}), honest(), "other"),
        (
            "a key in the header",
            json!({"typ": "at+jwt", "jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}}),
            honest(),
            "other",
        ),
        ("a key id that is a path", json!({"typ": "at+jwt", "kid": "../../dev/null"}), honest(), "own"),
        ("a key id that is SQL", json!({"typ": "at+jwt", "kid": "' or 1=1 --"}), honest(), "own"),
        ("an unknown key id", json!({"typ": "at+jwt", "kid": "unknown"}), honest(), "own"),
        ("another issuer", typed.clone(), with("iss", json!("https://evil.example")), "own"),
        ("the issuer with a slash", typed.clone(), with("iss", json!(format!("{}/", provider.issuer))), "own"),
        ("another audience", typed.clone(), with("aud", json!("https://other.example")), "own"),
        ("audiences without us", typed.clone(), with("aud", json!(["a", "b"])), "own"),
        ("no audience", typed.clone(), with("aud", Value::Null), "own"),
        ("expired", typed.clone(), with("exp", json!(now - 61)), "own"),
        ("not yet valid", typed.clone(), with("nbf", json!(now + 120)), "own"),
        ("an ID token", json!({"typ": "JWT"}), with("nonce", json!("n")), "own"),
        ("no type", json!({}), honest(), "own"),
        ("a critical extension", json!({"typ": "at+jwt", "crit": ["exp"]}), honest(), "own"),
        ("an empty subject", typed.clone(), with("sub", json!("")), "own"),
        ("the key of another", typed.clone(), honest(), "other"),
    ] {
        made.push((name, provider.sign(header, claims, key).await));
    }
    let good = provider.sign(typed.clone(), honest(), "own").await;
    made.push(("a signature cut short", good[..good.len() - 10].to_owned()));
    made.push(("padded base64", format!("{good}==")));
    made.push(("64 KiB", format!("{good}{}", "A".repeat(64 << 10))));
    let twice = format!("{{\"sub\":\"anna\",{}", &honest().to_string()[1..]);
    made.push(("a claim twice", provider.sign(typed, Value::String(twice), "own").await));
    made
}
