//! Resources and their templates.

use super::{harbour, legacy, modern, register};
use serde_json::{Value, json};

#[tokio::test]
async fn assets_documents_and_operations_are_read_under_their_addresses() {
    let app = harbour().await;
    let stranger = app.stranger();

    let templates = modern(&stranger, "resources/templates/list", json!({})).await.json();
    let read = async |uri: &str| {
        let answer = modern(&stranger, "resources/read", json!({ "uri": uri })).await.json();
        answer["result"]["contents"][0].clone()
    };
    let asset = read("catalog://default/payments").await;
    let document = read("catalog://default/payments/versions/latest/definition").await;
    let operation = read("catalog://default/payments/versions/2.0.0/operations/refund").await;
    let with_bare_slash = read("catalog://default/com.example/files").await;

    assert_eq!(templates["result"]["resourceTemplates"].as_array().unwrap().len(), 3);
    assert_eq!(templates["result"]["cacheScope"], "public");
    let asset: Value = serde_json::from_str(asset["text"].as_str().unwrap()).unwrap();
    assert_eq!((&asset["title"], &asset["operationCount"]), (&json!("Payments"), &json!(1)));
    assert!(document["text"].as_str().unwrap().contains("openapi"));
    let operation: Value = serde_json::from_str(operation["text"].as_str().unwrap()).unwrap();
    assert_eq!(operation["summary"], "Refund a card payment");
    assert!(with_bare_slash["text"].as_str().unwrap().contains("Reads and writes files"));
}

#[tokio::test]
async fn the_list_is_walked_page_by_page() {
    let app = harbour().await;
    for at in 0..120 {
        register(&app, "default", json!({"name": format!("asset-{at}"), "kind": "rest", "visibility": "public"})).await;
    }
    let stranger = app.stranger();

    let (mut uris, mut cursor) = (Vec::new(), Value::Null);
    for _ in 0..3 {
        let params = if cursor.is_null() { json!({}) } else { json!({ "cursor": cursor }) };
        let page = legacy(&stranger, "resources/list", params).await.json();
        uris.extend(page["result"]["resources"].as_array().unwrap().iter().map(|one| one["uri"].to_string()));
        cursor = page["result"]["nextCursor"].clone();
        if cursor.is_null() {
            break;
        }
    }

    uris.sort();
    uris.dedup();
    assert_eq!(uris.len(), 122);
}

#[tokio::test]
async fn what_is_not_there_is_told_in_the_codes_of_each_era() {
    let app = harbour().await;
    let stranger = app.stranger();

    for uri in [
        "catalog://default/nothing",
        "catalog://default/payments/versions/9/definition",
        "file:///etc/passwd",
        "catalog://x",
    ] {
        let modern = modern(&stranger, "resources/read", json!({ "uri": uri })).await;
        let legacy = legacy(&stranger, "resources/read", json!({ "uri": uri })).await;
        let (new, old) = (modern.json(), legacy.json());

        assert_eq!(
            (modern.status, &new["error"]["code"], &new["error"]["data"]["uri"]),
            (200, &json!(-32602), &json!(uri))
        );
        assert_eq!((legacy.status, &old["error"]["code"]), (200, &json!(-32002)), "{uri}");
    }
}
