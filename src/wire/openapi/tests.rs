//! Whole descriptions of our own, one for each edition and one with every fault that is told.

use crate::wire::{Contact, Format, Outline, read_definition};
use serde_json::{Value, json};

const FERRY: &[u8] = include_bytes!("../../../tests/fixtures/openapi/ferry-3.1.yaml");
const HARBOUR: &[u8] = include_bytes!("../../../tests/fixtures/openapi/harbour-2.0.json");
const FAULTS: &[u8] = include_bytes!("../../../tests/fixtures/openapi/faults-3.0.yaml");
const SIGNALS: &[u8] = include_bytes!("../../../tests/fixtures/openapi/signals-3.2.json");

fn outline(content: &[u8]) -> Outline {
    read_definition(content, Some(Format::OpenApi)).expect("a description").outline
}

fn detail<'o>(outline: &'o Outline, name: &str) -> &'o Value {
    &outline.operations.iter().find(|operation| operation.name == name).expect(name).detail
}

fn rules(outline: &Outline) -> Vec<(&str, &str)> {
    outline.findings.iter().map(|finding| (finding.rule.as_str(), finding.location.as_str())).collect()
}

#[test]
fn a_description_says_what_the_api_is() {
    let ferry = outline(FERRY);

    assert_eq!(ferry.format_name, "OpenAPI 3.1.0");
    assert_eq!(ferry.title.as_deref(), Some("Ferry bookings"));
    assert_eq!(ferry.summary.as_deref(), Some("Book a crossing"));
    assert_eq!(ferry.version.as_deref(), Some("1.10"), "as it is written");
    assert_eq!(ferry.licence.unwrap().name.as_deref(), Some("Apache-2.0"));
    assert_eq!(
        ferry.contacts,
        [Contact {
            name: Some("Ferry office".to_owned()),
            email: Some("office@ferry.example".to_owned()),
            url: Some("https://ferry.example/contact".to_owned()),
        }]
    );
    assert_eq!(ferry.external_docs[0].url, "https://ferry.example/docs");
    assert_eq!(ferry.tags, ["crossings", "booking"]);
    assert_eq!(ferry.servers[0].url, "https://api.ferry.example/{stage}");
}

#[test]
fn operations_are_found_named_and_described() {
    let ferry = outline(FERRY);

    let found: Vec<_> = ferry
        .operations
        .iter()
        .map(|one| (one.name.as_str(), one.method.as_deref().unwrap(), one.path.as_deref().unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            ("listCrossings", "GET", "/crossings"),
            ("post_crossings", "POST", "/crossings"),
            ("getCrossing", "GET", "/crossings/{id}"),
            ("get_elsewhere", "GET", "/elsewhere"),
        ]
    );
    assert_eq!(ferry.operations[0].summary.as_deref(), Some("All crossings of a day"));
    assert_eq!(ferry.operations[1].summary.as_deref(), Some("Crossings"), "the path's, where it has none of its own");
    assert!(ferry.operations[1].deprecated && !ferry.operations[0].deprecated);
    assert_eq!(
        rules(&ferry),
        [("missing-operation-id", "/paths"), ("webhooks", "/webhooks"), ("external-reference", "")]
    );
}

#[test]
fn details_are_merged_and_opened() {
    let ferry = outline(FERRY);
    let ship = json!({"type": "object", "title": "Ship", "properties": {
        "name": {"type": "string"}, "next": {"$ref": "#/components/schemas/Crossing"},
    }});
    let crossing = json!({"type": "object", "title": "Crossing", "properties": {
        "from": {"type": "string"}, "ship": ship,
    }});

    assert_eq!(
        detail(&ferry, "listCrossings"),
        &json!({
            "parameters": [
                {"name": "limit", "in": "query", "required": true, "schema": {"type": "integer"}},
                {"name": "trace-id", "in": "header", "required": false, "description": "For the log",
                 "schema": {"type": "string"}},
            ],
            "responses": {
                "200": {"description": "The crossings",
                        "content": {"application/json": {"schema": {"type": "array", "items": crossing}}}},
                "default": {"description": "What went wrong"},
            },
            "security": [{"key": []}],
        })
    );
    let post = detail(&ferry, "post_crossings");
    assert_eq!(post["parameters"][0]["schema"]["maximum"], 100, "the path's parameters hold for each operation");
    assert_eq!(post["requestBody"]["required"], true);
    assert_eq!(post["requestBody"]["content"]["application/json"]["schema"]["title"], "Booking");
    assert_eq!(post["security"], json!([]));
    assert_eq!(detail(&ferry, "getCrossing")["parameters"][0]["in"], "path");
    assert_eq!(detail(&ferry, "get_elsewhere")["$ref"], "other.yaml#/get");
}

#[test]
fn swagger_2_is_told_in_the_same_shape() {
    let harbour = outline(HARBOUR);

    let servers: Vec<_> = harbour.servers.iter().map(|server| server.url.as_str()).collect();
    assert_eq!(servers, ["https://harbour.example:8443/api", "http://harbour.example:8443/api"]);
    let enter = detail(&harbour, "enterShip");
    assert_eq!(
        enter["parameters"],
        json!([{"name": "dry", "in": "query", "required": false, "schema": {"type": "boolean", "default": false}}])
    );
    assert_eq!(enter["requestBody"]["description"], "The ship");
    assert_eq!(enter["requestBody"]["content"]["application/json"]["schema"]["title"], "Ship");
    let media_types: Vec<_> = enter["responses"]["201"]["content"].as_object().unwrap().keys().collect();
    assert_eq!(media_types, ["application/json", "application/xml"]);
    assert_eq!(
        detail(&harbour, "addPapers")["requestBody"],
        json!({"required": true, "content": {"multipart/form-data": {"schema": {
            "type": "object",
            "properties": {
                "scan": {"type": "string", "format": "binary", "description": "As PDF"},
                "pages": {"type": "integer"},
            },
            "required": ["scan"],
        }}}})
    );
    assert!(harbour.findings.is_empty(), "{:?}", harbour.findings);
}

#[test]
fn version_3_2_brings_further_methods() {
    let signals = outline(SIGNALS);

    let methods: Vec<_> = signals.operations.iter().map(|operation| operation.method.as_deref().unwrap()).collect();
    assert_eq!(methods, ["QUERY", "LINK"]);
    assert_eq!(
        detail(&signals, "findSignals")["responses"]["200"]["content"]["application/jsonl"]["itemSchema"],
        json!({"enum": ["fog", "clear"], "title": "Signal"})
    );
}

#[test]
fn faults_are_told_with_their_place_and_the_rest_is_taken() {
    let faults = outline(FAULTS);

    let names: Vec<_> = faults.operations.iter().map(|operation| operation.name.as_str()).collect();
    assert_eq!(names, ["pilot", "pilot_2", "pilot_2_2", "get_tugs_a_b", "get_tugs_a_b_2", "get_root"]);
    let told = rules(&faults);
    for expected in [
        ("missing-title", "/info"),
        ("missing-version", "/info"),
        ("unexpected-type", "/info/description"),
        ("path-without-slash", "/paths/pilots~1{id}"),
        ("undeclared-path-parameter", "/paths/pilots~1{id}/get"),
        ("dangling-reference", "/paths/pilots~1{id}/get/responses/200"),
        ("method-in-capitals", "/paths/~1pilots/GET"),
        ("duplicate-operation-id", "/paths/~1pilots/GET/operationId"),
        ("missing-responses", "/paths/~1pilots/post"),
        ("unexpected-type", "/paths/~1pilots/put"),
        ("unexpected-type", "/paths/~1locks"),
        ("made-name-taken", "/paths/~1tugs~1a.b/get"),
        ("external-reference", ""),
    ] {
        assert!(told.contains(&expected), "{expected:?} in {told:#?}");
    }
    assert!(faults.findings.is_sorted_by_key(|finding| std::cmp::Reverse(finding.severity)), "warnings first");
}

#[test]
fn what_no_reader_could_use_is_refused_with_its_place() {
    for (text, location, reason) in [
        ("[1]", "", "an object"),
        ("{}", "", "neither `openapi` nor `swagger`"),
        ("openapi: 4.0.0\npaths: {}", "/openapi", "is not read"),
        ("swagger: 1.2\npaths: {}", "/swagger", "is not read"),
        ("openapi: 3.0.0\npaths: []", "/paths", "is a list"),
        ("openapi: 3.0.0\npaths: 5", "/paths", "a single value"),
        ("openapi: 3.1.0\nwebhooks: x", "/webhooks", "a single value"),
        ("openapi: 3.0.0\ninfo: {title: t}", "", "neither paths"),
    ] {
        let refusal = read_definition(text.as_bytes(), Some(Format::OpenApi)).expect_err(text);
        assert_eq!(refusal.errors[0].location, location, "{text}");
        assert!(refusal.message.contains(reason), "{text}: {refusal}");
    }
}

#[test]
fn versions_are_read_as_people_write_them() {
    for (text, name, count) in [
        ("openapi: 3.0\npaths: {}", "OpenAPI 3.0", 0),
        ("openapi: 3\npaths: {}", "OpenAPI 3", 0),
        ("swagger: 2.0\npaths: {}", "OpenAPI 2.0", 0),
        ("openapi: '3.1'\ncomponents: {}", "OpenAPI 3.1", 1),
        ("openapi: 3.9.0\npaths: {}", "OpenAPI 3.9.0", 1),
        ("openapi: 3.1.0\npaths:\nwebhooks: {a: {}}", "OpenAPI 3.1.0", 1),
    ] {
        let outline = outline(text.as_bytes());
        assert_eq!(outline.format_name, name, "{text}");
        let beyond_info = outline.findings.iter().filter(|finding| finding.location != "/info").count();
        assert_eq!(beyond_info, count, "{text}: {:?}", outline.findings);
    }
}

#[test]
fn many_operations_share_the_room_for_details() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string", "description": "x".repeat(3_000)}}});
    let operation = json!({"responses": {"200": {
        "description": "ok", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Big"}}},
    }}});
    let paths: serde_json::Map<_, _> = (0..20_000).map(|n| (format!("/p{n}"), json!({"get": operation}))).collect();
    let document = json!({"openapi": "3.1.0", "paths": paths, "components": {"schemas": {"Big": schema}}});

    let outline = super::read(&document).unwrap();

    let all: usize = outline.operations.iter().map(|operation| operation.detail.to_string().len()).sum();
    assert_eq!(outline.operations.len(), 20_000);
    assert!(all < 16 << 20, "{all}");
}
