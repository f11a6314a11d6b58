//! Sixty spellings of addresses that are not the public internet's, in every field that takes a URL we call: refused, and
//! nobody is called.

use crate::support::TestApp;
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// `PORT` stands for that of a listener on loopback, so that a call would be seen.
const SPELLINGS: &[&str] = &[
    // This host, in every way to write it.
    "http://127.0.0.1:PORT/",
    "http://127.0.0.2:PORT/",
    "http://127.255.255.254:PORT/",
    "http://127.1:PORT/",
    "http://127.0.1:PORT/",
    "http://2130706433:PORT/",
    "http://0x7f000001:PORT/",
    "http://0x7f.1:PORT/",
    "http://0x7F.0x0.0x0.0x1:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://017700000001:PORT/",
    "http://127.0.0.1.:PORT/",
    "http://%31%32%37.0.0.1:PORT/",
    "http://\u{ff11}\u{ff12}\u{ff17}.0.0.1:PORT/",
    "http://127\u{3002}0\u{3002}0\u{3002}1:PORT/",
    "http://\u{2460}\u{2461}\u{2466}.0.0.1:PORT/",
    "http://0.0.0.0:PORT/",
    "http://0:PORT/",
    "http://0x0:PORT/",
    "http://localhost:PORT/",
    "http://LOCALHOST:PORT/",
    "http://localhost.:PORT/",
    "http://loc%61lhost:PORT/",
    "http:\\\\127.0.0.1:PORT\\",
    "http:/127.0.0.1:PORT/",
    "http:127.0.0.1:PORT/",
    "HTTP://127.0.0.1:PORT/",
    "  http://127.0.0.1:PORT/",
    "ht\ntp://127.0.0.1:PORT/",
    "http://127.0.0.1:PORT/#@public.example",
    "http://public.example@127.0.0.1:PORT/",
    "http://user:pw@127.0.0.1:PORT/",
    "http://127.0.0.1%2f@localhost:PORT/",
    // And in IPv6.
    "http://[::1]:PORT/",
    "http://[0:0:0:0:0:0:0:1]:PORT/",
    "http://[0000::0001]:PORT/",
    "http://[::]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::FFFF:7f00:1]:PORT/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[64:ff9b::127.0.0.1]:PORT/",
    "http://[64:ff9b:1::7f00:1]:PORT/",
    "http://[2002:7f00:1::]:PORT/",
    "http://[fe80::1]/",
    "http://[fd00::1]/",
    "http://[fc00::1]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[::ffff:169.254.169.254]/latest/meta-data/",
    // Metadata services, private, shared, link-local, reserved.
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/latest/meta-data/",
    "http://0xa9fea9fe/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://172.31.255.254/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "https://127.0.0.1:PORT/",
    // Other things than the web.
    "file:///etc/passwd",
    "gopher://127.0.0.1:PORT/",
    "ftp://127.0.0.1:PORT/",
    "dict://127.0.0.1:PORT/",
    "unix:/var/run/docker.sock",
    "//127.0.0.1:PORT/",
    "http://",
    "http://127.0.0.1:PORT/\r\nX-Injected: 1",
];

/// A listener on all of this host's addresses that counts who connects.
async fn listener() -> (u16, Arc<AtomicU32>) {
    let connections = Arc::new(AtomicU32::new(0));
    let socket = match tokio::net::TcpListener::bind("[::]:0").await {
        Ok(socket) => socket,
        // A machine without IPv6.
        Err(_) => tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap(),
    };
    let (port, counted) = (socket.local_addr().unwrap().port(), connections.clone());
    tokio::spawn(async move {
        while socket.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, connections)
}

#[tokio::test]
async fn no_spelling_of_a_forbidden_address_is_called_from_any_field() {
    assert!(SPELLINGS.len() >= 60);
    let app = TestApp::start().await;
    let (port, connections) = listener().await;
    let admin = app.admin();
    let assets = "/api/v1/workspaces/default/assets";
    let empty = json!({"name": "holder", "title": "holder", "kind": "rest"});
    admin.post(assets, &empty).await.expect(201);
    let (mut refused, mut tried) = (0, 0);

    for spelling in SPELLINGS {
        let url = spelling.replace("PORT", &port.to_string());
        let definition = json!({"format": "openapi", "url": url});
        let fields = [
            ("webhook", "/api/v1/workspaces/default/webhooks", json!({"name": "x", "url": url})),
            ("definition", assets, json!({"name": "x", "title": "x", "kind": "rest", "definition": definition})),
            (
                "further definition",
                assets,
                json!({"name": "x", "title": "x", "kind": "rest", "definitions": [definition]}),
            ),
            ("attached", "/api/v1/workspaces/default/assets/holder/versions/latest/definitions", definition.clone()),
        ];
        for (field, path, body) in fields {
            tried += 1;
            let answer = admin.post(path, &body).await;
            assert!((400..500).contains(&answer.status), "{field} took {url:?}: {} {}", answer.status, answer.text);
            refused += 1;
        }
    }

    // Written past the check, as before the operator closed a network: judged again when it is called.
    let webhook = json!({"name": "old", "url": "https://example.com/"});
    let made = admin.post("/api/v1/workspaces/default/webhooks", &webhook).await.expect(201).json();
    let id = made["id"].as_str().unwrap();
    for spelling in SPELLINGS {
        let url = spelling.replace("PORT", &port.to_string());
        let statement = "update webhook set url = $1 where webhook_id = $2::uuid";
        sqlx::query(statement).bind(&url).bind(id).execute(&app.handles.db.write).await.unwrap();
        admin.post(&format!("/api/v1/workspaces/default/webhooks/{id}/test"), &json!({})).await.expect(202);
        app.handles.webhooks.run_due().await.unwrap();
        tried += 1;
    }
    let answered: i64 = sqlx::query_scalar("select count(*) from webhook_attempt where status is not null")
        .fetch_one(&app.handles.db.read)
        .await
        .unwrap();

    println!("{} spellings, {tried} tries, {refused} refused when written", SPELLINGS.len());
    assert_eq!(answered, 0);
    assert_eq!(connections.load(Ordering::SeqCst), 0, "somebody was called");
}
