//! The published document: it tells every route, and it is the one that is committed.

use crate::support::{TestApp, visit};
use serde_json::Value;
use std::path::Path;

/// The document as it is served, with the address of no machine.
fn document() -> Value {
    wharfinger::api::document("https://wharfinger.example.com")
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(move |(method, operation)| (method.clone(), path.clone(), operation.clone()))
    });
    all.collect()
}

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let current = format!("{:#}\n", document());
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&file, &current).unwrap();
    }

    let committed = std::fs::read_to_string(&file).unwrap_or_default();

    assert!(committed == current, "docs/openapi.json is old; run the tests once with UPDATE_SNAPSHOTS=1");
}

#[test]
fn every_operation_is_told_completely() {
    let mut ids = std::collections::HashSet::new();
    for (method, path, operation) in operations(&document()) {
        let what = format!("{method} {path}");
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{what}: an id of its own");
        assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{what}: a sentence");
        assert!(operation["tags"].as_array().is_some_and(|tags| tags.len() == 1), "{what}: a tag");
        let braces = path.matches('{').count();
        let none = Vec::new();
        let parameters = operation["parameters"].as_array().unwrap_or(&none);
        assert_eq!(parameters.iter().filter(|one| one["in"] == "path").count(), braces, "{what}: its path");
        for parameter in parameters {
            assert!(
                parameter["description"].is_string()
                    || parameter["schema"]["$ref"].is_string()
                    || parameter["name"].as_str().is_some_and(|name| [
                        "kind",
                        "sort",
                        "stage",
                        "visibility",
                        "tag",
                        "owner",
                        "workspace",
                        "environment"
                    ]
                    .contains(&name)),
                "{what}: {}",
                parameter["name"]
            );
            assert!(parameter["schema"].is_object(), "{what}: {}", parameter["name"]);
            // A parameter is there or not; none comes as null.
            assert!(!parameter["schema"].to_string().contains("\"null\""), "{what}: {}", parameter["name"]);
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            let is_problem = response["content"]["application/problem+json"].is_object();
            // What waits for approval is told as a problem, though it is none: the same members say why and what follows.
            let told_as_problem = (status.as_str() >= "400" && status != "431")
                || (status == "202" && response["description"].as_str().unwrap().contains("approval"));
            assert_eq!(is_problem, told_as_problem, "{what}: {status}");
        }
        assert!(operation["security"].is_array(), "{what}: who may");
    }
}

#[test]
fn whatever_it_refers_to_is_in_it() {
    let document = document();
    let text = document.to_string();

    for reference in text.split(r##""$ref":"#"##).skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn every_route_of_the_document_is_served_and_no_other_method() {
    let app = TestApp::start().await;
    let served = app.stranger().get("/api/v1/openapi.json").await.expect(200).json();
    assert_eq!(served["servers"][0]["url"], app.url);
    assert_eq!(served["openapi"], "3.1.0");

    for (method, path, _) in operations(&served) {
        let concrete =
            path.split('{').enumerate().fold(String::new(), |whole, (at, part)| match (at, part.split_once('}')) {
                (0, _) | (_, None) => whole + part,
                (_, Some((_, rest))) => format!("{whole}nothing{rest}"),
            });
        let request = app.stranger().request(method.to_uppercase().parse().unwrap(), &concrete);
        let answer = app.stranger().send(request).await;
        assert!(![405, 500, 501].contains(&answer.status), "{method} {path}: {}", answer.status);
        let told = |text: &str| text.contains("There is nothing at");
        assert!(answer.status != 404 || !told(&answer.text), "{method} {path} is not routed");
    }
    let page = app.stranger().get("/api/docs").await.expect(200);
    assert!(
        page.header("content-type").starts_with("text/html") && page.text.contains("Registers an asset in one call.")
    );
}

/// A server with what the document's examples speak of.
async fn as_in_the_examples() -> TestApp {
    let app = TestApp::start().await;
    let description = include_str!("../../src/app/seed/payments.yaml");
    let address = "/api/v1/workspaces/default/assets?name=payments-api";
    let request = app.admin().request(reqwest::Method::POST, address).header("content-type", "application/yaml");
    app.admin().send(request.body(description)).await.expect(201);
    app
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_says_is_true_for_strangers() {
    let app = as_in_the_examples().await;

    visit("schemathesis", &[&app.url]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_says_is_true_for_administrators() {
    let app = as_in_the_examples().await;

    visit("schemathesis", &[&app.url, &app.admin_key]).await;
}
