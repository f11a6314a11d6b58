//! What the tools tell.

use super::{called, harbour, refused, register};
use serde_json::{Value, json};

#[tokio::test]
async fn a_hit_leads_to_its_description_its_definition_and_an_install_line() {
    let app = harbour().await;
    let stranger = app.stranger();

    let hits = called(&stranger, "search_catalog", json!({"query": "files", "kind": "mcp"})).await;
    let uri = hits["items"][0]["uri"].as_str().unwrap();
    let described = called(&stranger, "describe_asset", json!({"name": uri})).await;
    let tool = called(&stranger, "get_definition", json!({"name": uri, "tool": "read_file"})).await;
    let connect = called(&stranger, "connect", json!({"name": uri, "client": "claude-code"})).await;

    assert_eq!((&hits["total"], &hits["items"][0]["name"]), (&json!(1), &json!("com.example/files")));
    assert_eq!(uri, "catalog://default/com.example%2Ffiles");
    assert_eq!(described["operations"], json!([{"name": "read_file", "summary": "Reads a file"}]));
    assert!(described["page"].as_str().unwrap().starts_with(&app.url));
    assert_eq!(tool["operation"]["detail"]["inputSchema"]["properties"]["path"]["type"], "string");
    assert_eq!(
        connect["options"][0]["steps"][0]["text"],
        "claude mcp add --transport http files https://files.example.com/mcp"
    );
    assert_eq!(connect["options"][1]["needs"][0]["name"], "FILES_TOKEN");
    assert!(connect["options"][1]["steps"][0]["text"].as_str().unwrap().ends_with("-- npx -y @example/files@1.2.0"));
}

#[tokio::test]
async fn an_api_is_described_and_called() {
    let app = harbour().await;
    let stranger = app.stranger();

    let described = called(&stranger, "describe_asset", json!({"name": "payments"})).await;
    let operation = called(&stranger, "get_definition", json!({"name": "payments", "operation": "refund"})).await;
    let document = called(&stranger, "get_definition", json!({"name": "payments"})).await;
    let connect = called(&stranger, "connect", json!({"name": "payments", "operation": "refund"})).await;
    let versions = called(&stranger, "list_versions", json!({"name": "payments", "workspace": "default"})).await;

    assert_eq!(described["operations"][0]["route"], "PUT /refunds/{id}");
    assert_eq!(described["deployments"][0]["url"], "https://pay.example.com/v2");
    assert_eq!(operation["operation"]["detail"]["parameters"][0]["name"], "id");
    assert_eq!(document["document"]["format"], "openapi");
    let text: Value = serde_json::from_str(document["document"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(text["info"]["title"], "Payments");
    let curl = connect["requests"][0]["curl"].as_str().unwrap();
    assert!(curl.starts_with("curl -X PUT 'https://pay.example.com/v2/refunds/<id>'"), "{curl}");
    assert_eq!((&versions["total"], &versions["items"][0]["isLatest"]), (&json!(1), &json!(true)));
}

#[tokio::test]
async fn long_documents_come_piece_by_piece() {
    let app = harbour().await;
    let text = format!("# Guide\n\n{}", "né ".repeat(10_000));
    register(&app, "default", json!({"name": "guide", "kind": "skill", "visibility": "public", "definition": {"format": "markdown", "value": text}})).await;
    let stranger = app.stranger();

    let (mut offset, mut whole) = (json!(0), String::new());
    for _ in 0..3 {
        let piece = called(&stranger, "get_definition", json!({"name": "guide", "offset": offset})).await;
        whole.push_str(piece["document"]["text"].as_str().unwrap());
        offset = piece["document"]["nextOffset"].clone();
        if offset.is_null() {
            break;
        }
    }

    assert_eq!(whole, text);
    let beyond = refused(&stranger, "get_definition", json!({"name": "guide", "offset": 90_000})).await;
    assert!(beyond.contains("`offset`") && beyond.contains("30009"), "{beyond}");
}

#[tokio::test]
async fn many_operations_are_listed_page_by_page() {
    let app = harbour().await;
    let tools: Vec<_> =
        (0..45).map(|at| json!({"name": format!("tool_{at}"), "description": "Does a thing"})).collect();
    register(&app, "default", json!({"name": "toolbox", "kind": "mcp", "visibility": "public", "tools": tools})).await;
    let stranger = app.stranger();

    let first = called(&stranger, "describe_asset", json!({"name": "toolbox"})).await;
    let second =
        called(&stranger, "describe_asset", json!({"name": "toolbox", "cursor": first["operationsNext"]})).await;

    assert_eq!((first["operations"].as_array().unwrap().len(), &first["operationCount"]), (30, &json!(45)));
    assert_eq!((second["operations"].as_array().unwrap().len(), &second["operationsNext"]), (15, &Value::Null));
}

#[tokio::test]
async fn what_goes_wrong_is_said_so_that_a_model_can_mend_it() {
    let app = harbour().await;
    register(&app, "treasury", super::payments_api("public")).await;
    let stranger = app.stranger();

    for (tool, arguments, expected) in [
        ("search_catalog", json!({}), "missing field `query`"),
        ("search_catalog", json!({"query": "x", "limit": 0}), "`limit` is from 1 to 50"),
        ("search_catalog", json!({"query": "x", "limit": -1}), "`limit`: invalid value"),
        ("search_catalog", json!({"query": "x", "colour": "red"}), "unknown field `colour`"),
        ("search_catalog", json!({"query": "x", "cursor": "!"}), "cursor"),
        ("describe_asset", json!({"name": "payment"}), "There is no asset \"payment\""),
        ("describe_asset", json!({"name": "payments"}), "`workspace`: default, treasury"),
        ("describe_asset", json!({"name": "catalog://x"}), "no address of an asset"),
        ("describe_asset", json!({"name": "nothing", "workspace": "default"}), "search_catalog finds"),
        ("get_definition", json!({"name": "com.example/files", "tool": "read"}), "There are read_file"),
        ("get_definition", json!({"name": "com.example/files", "tool": "a", "operation": "b"}), "not both"),
        ("get_definition", json!({"name": "com.example/files", "version": "9"}), "has no version \"9\""),
        ("list_versions", json!({"name": "com.example/files", "cursor": "!"}), "cursor"),
        ("connect", json!({"name": "com.example/files", "client": "emacs"}), "`client`: unknown variant `emacs`"),
    ] {
        let words = refused(&stranger, tool, arguments.clone()).await;
        assert!(words.contains(expected), "{tool} {arguments}: {words}");
    }
}

#[tokio::test]
async fn structured_content_fits_the_schema_that_was_announced() {
    let app = harbour().await;
    let stranger = app.stranger();
    let tools = super::modern(&stranger, "tools/list", json!({})).await.json();

    for (tool, arguments) in [
        ("search_catalog", json!({"query": ""})),
        ("describe_asset", json!({"name": "payments"})),
        ("describe_asset", json!({"name": "com.example/files"})),
        ("get_definition", json!({"name": "payments"})),
        ("get_definition", json!({"name": "payments", "operation": "refund"})),
        ("list_versions", json!({"name": "payments"})),
        ("connect", json!({"name": "payments"})),
        ("connect", json!({"name": "com.example/files"})),
    ] {
        let announced = tools["result"]["tools"].as_array().unwrap().iter().find(|one| one["name"] == tool).unwrap();
        let input = jsonschema::validator_for(&announced["inputSchema"]).unwrap();
        let output = jsonschema::validator_for(&announced["outputSchema"]).unwrap();
        let content = called(&stranger, tool, arguments.clone()).await;
        assert!(input.is_valid(&arguments), "{tool} {arguments}");
        assert!(output.validate(&content).is_ok(), "{tool}: {:?}", output.validate(&content));
    }
}
