//! What an actor may not see does not exist for it: not in hits, counts, lists, descriptions, nor in refusals.

use super::{called, files_server, harbour, modern, payments_api, refused, register};
use crate::support::Person;
use serde_json::{Value, json};
use wharfinger::auth::Role;

#[tokio::test]
async fn a_private_asset_is_absent_for_others() {
    let app = harbour().await;
    let mut secret = payments_api("private");
    secret["name"] = json!("secret-ledger");
    register(&app, "vault", secret).await;
    register(&app, "vault", {
        let mut hidden = files_server("private");
        hidden["name"] = json!("secret-files");
        hidden
    })
    .await;
    let member = app.member(Role::Reader, "vault").await;
    let other = app.member(Role::Reader, "elsewhere").await;

    for person in [&app.stranger(), &other] {
        let everything = everything_seen_by(person).await;
        assert!(!everything.contains("secret") && !everything.contains("vault"), "{everything}");
        let total = &called(person, "search_catalog", json!({"query": ""})).await["total"];
        assert_eq!(total, 2);
        for (tool, arguments) in [
            ("describe_asset", json!({"name": "secret-ledger"})),
            ("get_definition", json!({"name": "secret-ledger", "workspace": "vault"})),
            ("list_versions", json!({"name": "secret-ledger", "workspace": "vault"})),
            ("connect", json!({"name": "secret-files"})),
        ] {
            let mut absent = arguments.clone();
            absent["name"] = json!("absent-ledger");
            // The same words as for what is not there at all, but for the name that was asked for.
            let words = refused(person, tool, arguments.clone()).await;
            let expected = refused(person, tool, absent).await;
            assert_eq!(words.replace(arguments["name"].as_str().unwrap(), "absent-ledger"), expected, "{tool}");
        }
        let read = modern(person, "resources/read", json!({"uri": "catalog://vault/secret-ledger"})).await.json();
        assert_eq!(read["error"]["code"], -32602);
    }
    for person in [&member, &app.admin()] {
        let everything = everything_seen_by(person).await;
        assert!(everything.contains("secret-ledger") && everything.contains("secret-files"), "{everything}");
        assert_eq!(called(person, "describe_asset", json!({"name": "secret-ledger"})).await["workspace"], "vault");
    }
}

async fn everything_seen_by(person: &Person<'_>) -> String {
    let hits = called(person, "search_catalog", json!({"query": "", "limit": 50})).await;
    let by_word = called(person, "search_catalog", json!({"query": "refund"})).await;
    let list = modern(person, "resources/list", json!({})).await.json();
    format!("{hits}{by_word}{list}")
}

#[tokio::test]
async fn an_answer_to_a_key_is_not_for_shared_caches() {
    let app = harbour().await;

    for (method, params) in [
        ("server/discover", json!({})),
        ("tools/list", json!({})),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("resources/read", json!({"uri": "catalog://default/payments"})),
    ] {
        let scope = async |person: &Person<'_>| -> Value {
            let answer = modern(person, method, params.clone()).await;
            assert_eq!(answer.header("cache-control"), "no-store");
            assert!(answer.json()["result"]["ttlMs"].as_u64().is_some(), "{method}: {}", answer.text);
            answer.json()["result"]["cacheScope"].clone()
        };
        assert_eq!(
            (scope(&app.stranger()).await, scope(&app.admin()).await),
            (json!("public"), json!("private")),
            "{method}"
        );
    }
}
