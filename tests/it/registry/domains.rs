//! Publishing by proof of a domain: a key in the DNS, or the owner of a repository in a workflow's token.

use crate::support::{Answer, IdentityProvider, TestApp};
use base64::{Engine, engine::general_purpose::STANDARD};
use p384::ecdsa::signature::Signer;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use time::format_description::well_known::Rfc3339;
use wharfinger::auth::Role;
use wharfinger::embed::Embedder;

/// The texts a name has, by the name in lower case.
type Zone = Arc<Mutex<HashMap<String, Vec<String>>>>;

/// A DNS server over UDP that knows TXT records, and counts who asks.
async fn a_dns_server() -> (String, Zone, Arc<Mutex<u32>>) {
    let (zone, asked) = (Zone::default(), Arc::new(Mutex::new(0)));
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let (known, count) = (zone.clone(), asked.clone());
    tokio::spawn(async move {
        let mut packet = [0; 1_500];
        while let Ok((length, from)) = socket.recv_from(&mut packet).await {
            *count.lock().unwrap() += 1;
            let answer = answered(&packet[..length], &known.lock().unwrap());
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    (address, zone, asked)
}

/// RFC 1035, 4: the head, the question as it came, an answer for each text.
fn answered(query: &[u8], zone: &HashMap<String, Vec<String>>) -> Vec<u8> {
    let (mut labels, mut at) = (Vec::new(), 12);
    while query[at] != 0 {
        let length = usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..=at + length]).to_lowercase());
        at += length + 1;
    }
    let question = &query[12..at + 5];
    let texts = zone.get(&labels.join(".")).cloned().unwrap_or_default();
    let count = u8::try_from(texts.len()).unwrap();
    // Of a name that is not there: NXDOMAIN.
    let code = if texts.is_empty() { 0x83 } else { 0x80 };
    let mut answer = vec![query[0], query[1], 0x81, code, 0, 1, 0, count, 0, 0, 0, 0];
    answer.extend_from_slice(question);
    for text in texts {
        // The name of the question, TXT, IN, for no time; a text in pieces of at most 255 bytes.
        let pieces: Vec<u8> = text
            .as_bytes()
            .chunks(60)
            .flat_map(|piece| std::iter::once(u8::try_from(piece.len()).unwrap()).chain(piece.iter().copied()))
            .collect();
        answer.extend_from_slice(&[0xC0, 12, 0, 16, 0, 1, 0, 0, 0, 0]);
        answer.extend_from_slice(&u16::try_from(pieces.len()).unwrap().to_be_bytes());
        answer.extend_from_slice(&pieces);
    }
    answer
}

fn document(name: &str) -> Value {
    json!({"$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": name, "description": "Reads files", "version": "1.0.0"})
}

async fn exchanged(app: &TestApp, method: &str, proof: &Value) -> Result<String, Answer> {
    let answer = app.stranger().post(&format!("/v0.1/auth/{method}"), proof).await;
    match answer.status {
        200 => Ok(answer.json()["registry_token"].as_str().unwrap().to_owned()),
        _ => Err(answer),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_in_the_dns_publishes_the_names_of_the_domain_and_below() {
    let (server, zone, asked) = a_dns_server().await;
    let app = TestApp::start_with(&[("WHARFINGER_DNS_SERVER", &server)], Embedder::hashed()).await;
    app.member(Role::Reader, "acme").await;
    app.member(Role::Reader, "lab").await;
    let now = app.clock.now().format(&Rfc3339).unwrap();
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let curve = p384::ecdsa::SigningKey::from_slice(&[9; 48]).unwrap();
    let by_edwards = hex::encode(pair.sign(now.as_bytes()));
    let by_curve: p384::ecdsa::Signature = curve.sign(now.as_bytes());
    let by_curve = hex::encode(by_curve.to_bytes());
    let proof =
        |domain: &str, signature: &str| json!({"domain": domain, "timestamp": now, "signed_timestamp": signature});
    let edwards = format!("v=MCPv1; k=ed25519; p={}", STANDARD.encode(pair.public_key()));
    let point = curve.verifying_key().to_sec1_point(true);
    let other = format!("v=MCPv1; k=ecdsap384; p={}", STANDARD.encode(point.as_bytes()));
    let spf = "v=spf1 -all".to_owned();
    zone.lock().unwrap().insert("acme.example".to_owned(), vec![spf, edwards.clone()]);

    // Nobody was given the namespace: nothing is asked.
    assert_eq!(exchanged(&app, "dns", &proof("acme.example", &by_edwards)).await.unwrap_err().status, 401);
    assert_eq!(*asked.lock().unwrap(), 0);
    for (namespace, workspace) in [("example.acme", "acme"), ("example.acme.lab", "lab"), ("example.none", "acme")] {
        let path = format!("/api/v1/namespaces/{namespace}");
        app.admin().put(&path, &json!({"workspace": workspace})).await.expect(201);
    }

    let token = exchanged(&app, "dns", &proof("ACME.example", &by_edwards)).await.unwrap();
    let person = app.with_key(&token);
    for name in ["example.acme/files", "example.acme.tools/files"] {
        let published = person.post("/v0.1/publish", &document(name)).await.expect(200).json();
        assert_eq!(published["_meta"]["dev.wharfinger/catalog"]["workspace"], "acme", "{name}");
    }
    // What is another workspace's below it, what only begins alike, and everything else.
    for name in ["example.acme.lab/files", "example.acmes/files", "example.other/files"] {
        person.post("/v0.1/publish", &document(name)).await.expect(403);
    }

    // The key is changed: the new one counts at once, the old one no more.
    zone.lock().unwrap().insert("acme.example".to_owned(), vec![other]);
    assert_eq!(exchanged(&app, "dns", &proof("acme.example", &by_edwards)).await.unwrap_err().status, 401);
    exchanged(&app, "dns", &proof("acme.example", &by_curve)).await.unwrap();
    for (domain, signature, status) in [
        ("none.example", &by_edwards, 401),
        ("127.0.0.1", &by_edwards, 422),
        ("localhost", &by_edwards, 422),
        ("acme.example:53", &by_edwards, 422),
    ] {
        let refused = exchanged(&app, "dns", &proof(domain, signature)).await.unwrap_err();
        assert_eq!(refused.status, status, "{domain}: {}", refused.text);
    }

    // Tokens that ran out are gone a day later, with nothing lost of what they did.
    let count = async || -> i64 {
        sqlx::query_scalar("select count(*) from api_key where name like 'registry token: %'")
            .fetch_one(&app.handles.db.read)
            .await
            .unwrap()
    };
    assert_eq!(count().await, 2);
    app.clock.advance(std::time::Duration::from_secs(3_600));
    app.handles.auth.forget_old_sign_ins().await.unwrap();
    assert_eq!(count().await, 2);
    app.clock.advance(std::time::Duration::from_secs(24 * 3_600));
    app.handles.auth.forget_old_sign_ins().await.unwrap();
    assert_eq!(count().await, 0);
    person.get("/api/v1/me").await.expect(401);
    let lines = app.admin().get("/api/v1/audit?verb=key.exchange").await.expect(200).json();
    assert_eq!(lines["items"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workflow_publishes_the_names_of_its_repositorys_owner() {
    let Some(provider) = IdentityProvider::start().await else { return };
    let table = |more: &str| {
        let issuer = &provider.issuer;
        format!(
            "[[oidc]]\nname = 'ci'\nissuer = '{issuer}'\naudiences = ['mcp-registry']\ntoken_types = ['JWT']\n{more}"
        )
    };
    let app = TestApp::start_running_with_file(&table("owners_below = 'io.github'\n")).await;
    app.member(Role::Reader, "acme").await;
    app.admin().put("/api/v1/namespaces/io.github.acme", &json!({"workspace": "acme"})).await.expect(201);
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let token = async |owner: &str| {
        let claims = json!({"iss": provider.issuer, "sub": format!("repo:{owner}/files:ref:refs/heads/main"),
            "aud": "mcp-registry", "iat": now, "exp": now + 300, "repository_owner": owner, "client_id": "c", "azp": "c"});
        json!({"oidc_token": provider.sign(json!({"typ": "JWT"}), claims, "own").await})
    };

    let published = exchanged(&app, "github-oidc", &token("acme").await).await.unwrap();
    let person = app.with_key(&published);
    let entry = person.post("/v0.1/publish", &document("io.github.acme/files")).await.expect(200).json();
    assert_eq!(entry["_meta"]["dev.wharfinger/catalog"]["workspace"], "acme");
    for name in ["io.github.acme-2/files", "io.github.other/files", "com.acme/files"] {
        person.post("/v0.1/publish", &document(name)).await.expect(403);
    }
    let forged = json!({"iss": provider.issuer, "sub": "x", "aud": "mcp-registry", "iat": now, "exp": now + 300,
        "repository_owner": "acme"});
    let forged = json!({"oidc_token": provider.sign(json!({"typ": "JWT"}), forged, "other").await});
    assert_eq!(exchanged(&app, "github-oidc", &forged).await.unwrap_err().status, 401);

    // An issuer whose word does not count for owners: the claim is nothing.
    let app = TestApp::start_running_with_file(&table("")).await;
    app.member(Role::Reader, "acme").await;
    app.admin().put("/api/v1/namespaces/io.github.acme", &json!({"workspace": "acme"})).await.expect(201);
    if let Ok(token) = exchanged(&app, "github-oidc", &token("acme").await).await {
        app.with_key(&token).post("/v0.1/publish", &document("io.github.acme/files")).await.expect(403);
    }
}
