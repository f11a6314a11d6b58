//! Bodies: sizes, encodings, JSON that is none, and values that do not fit.

use super::{Case, Outcome, Outcome::Harmless, Outcome::Problem, request};
use serde_json::{Value, json};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const WORKSPACES: &str = "/api/v1/workspaces";
const ASSETS: &str = "/api/v1/workspaces/default/assets";

pub fn cases(key: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |what: &str, target: &str, headers: &[(&str, &str)], body: &[u8], outcome: Outcome| {
        let shown: String = String::from_utf8_lossy(body).chars().take(60).collect();
        cases.push(Case::new(
            format!("POST {target}: {what}: {shown}"),
            request(key, "POST", target, headers, body),
            outcome,
        ));
    };

    // Text that is no JSON, or not as we take it.
    let deep = |open: &str, close: &str, levels: usize| {
        format!("{{\"name\":{}1{}}}", open.repeat(levels), close.repeat(levels))
    };
    let strings = [
        "",
        " ",
        "{",
        "}",
        "[",
        "{]",
        "{\"name\"}",
        "{\"name\":}",
        "{\"name\":\"a\",}",
        "{name:\"a\"}",
        "{'name':'a'}",
        "{\"name\":\"a\"} x",
        "{\"name\":\"a\"}{}",
        "// c\n{\"name\":\"a\"}",
        "{\"name\":\"a\" /* c */}",
        "{\"name\":\"a\nb\"}",
        "{\"name\":\"a\tb\"}",
        "{\"name\":\"\\x41\"}",
        "{\"name\":\"\\u00\"}",
        "{\"name\":\"\\ud800\"}",
        "{\"name\":\"\\udc00\\ud800\"}",
        "{\"name\":\"a\\u0000b\"}",
        "{\"na\\u0000me\":\"a\"}",
        "{\"name\":01}",
        "{\"name\":+1}",
        "{\"name\":.5}",
        "{\"name\":1.}",
        "{\"name\":1e}",
        "{\"name\":0x10}",
        "{\"name\":NaN}",
        "{\"name\":Infinity}",
        "{\"name\":-Infinity}",
        "{\"name\":1e999}",
        "{\"name\":-1e999}",
        "{\"name\":True}",
        "{\"name\":nil}",
        "{\"name\":undefined}",
        "{\"name\":\"a}",
        "{\"name\":\"a\",\"name\":\"b\"}",
        "{\"name\":\"a\",\"n\\u0061me\":\"b\"}",
        "{\"title\":{\"a\":1,\"a\":2},\"name\":\"a\"}",
        "null null",
        "a=b&c=d",
        "<name>a</name>",
        "name: a",
        "--boundary\r\n",
        "\u{feff}{\"name\":\"a\"}",
    ];
    for text in strings {
        for target in [WORKSPACES, "/api/v1/keys"] {
            add("no JSON", target, &[JSON], text.as_bytes(), Problem(&[400]));
        }
    }
    for levels in [129, 1_000, 100_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            add("deep", WORKSPACES, &[JSON], deep(open, close, levels).as_bytes(), Problem(&[400, 422]));
        }
    }
    add(
        "deep in a member nobody knows",
        WORKSPACES,
        &[JSON],
        deep("[", "]", 1_000).replace("name", "x").as_bytes(),
        Problem(&[400, 422]),
    );
    add(
        "a number of 500 digits",
        WORKSPACES,
        &[JSON],
        format!("{{\"name\":{}}}", "9".repeat(500)).as_bytes(),
        Problem(&[400, 422]),
    );
    for (what, bytes) in [
        ("no UTF-8", &b"{\"name\":\"\xff\"}"[..]),
        ("overlong UTF-8", b"{\"name\":\"\xc0\xaf\"}"),
        ("a surrogate in UTF-8", b"{\"name\":\"\xed\xa0\x80\"}"),
        ("UTF-16", b"\xff\xfe{\0\"\0a\0\"\0:\x001\0}\0"),
        ("UTF-32", b"{\0\0\0}\0\0\0"),
        ("NUL bytes", b"\0\0\0\0"),
        ("gzip that is not announced", b"\x1f\x8b\x08\x00\x00\x00\x00\x00"),
    ] {
        add(what, WORKSPACES, &[JSON], bytes, Problem(&[400]));
    }

    // Shapes and values.
    for value in [
        json!(null),
        json!(true),
        json!(7),
        json!("text"),
        json!([]),
        json!([{"name": "a"}]),
        json!({}),
        json!({"nmae": "a"}),
    ] {
        for target in [WORKSPACES, "/api/v1/keys"] {
            add("another shape", target, &[JSON], value.to_string().as_bytes(), Problem(&[400, 422]));
        }
    }
    let names = [
        json!(null),
        json!(7),
        json!(true),
        json!([]),
        json!({}),
        json!(""),
        json!(" "),
        json!("a b"),
        json!("-a"),
        json!("a-"),
        json!("../a"),
        json!("a/b/c"),
        json!("/a"),
        json!("a/"),
        json!("ä"),
        json!("🚢"),
        json!("a\u{202e}b"),
        json!("a".repeat(300)),
        json!("a\nb"),
        json!("."),
        json!(".."),
    ];
    for name in names {
        add(
            "name",
            ASSETS,
            &[JSON],
            json!({"name": name, "kind": "rest"}).to_string().as_bytes(),
            if name.is_null() { Problem(&[400, 422]) } else { Problem(&[422]) },
        );
        add("name", WORKSPACES, &[JSON], json!({"name": name, "title": "x"}).to_string().as_bytes(), Problem(&[422]));
    }
    let asset = |member: &str, value: Value| {
        let mut asset = json!({"name": "crate", "kind": "rest", "title": "Crate"});
        asset[member] = value;
        asset.to_string()
    };
    for (member, value) in [
        ("id", json!("x")),
        ("assetId", json!("x")),
        ("createdAt", json!("2026-01-01T00:00:00Z")),
        ("revision", json!(9)),
        ("workspaceId", json!("x")),
        ("isAdmin", json!(true)),
        ("kind", json!("boat")),
        ("kind", json!(1)),
        ("kind", json!(["rest"])),
        ("visibility", json!("secret")),
        ("tags", json!("a")),
        ("tags", json!([1])),
        ("tags", json!([null])),
        ("tags", json!({"a": 1})),
        ("owners", json!([{}])),
        ("contacts", json!(["x"])),
        ("contacts", json!([{"phone": "x"}])),
        ("licence", json!("MIT")),
        ("externalDocs", json!([{"title": "x"}])),
        ("icons", json!([{}])),
        ("metadata", json!([])),
        ("metadata", json!("x")),
        ("version", json!("1.0")),
        ("version", json!(["1.0"])),
        ("version", json!({"name": 1})),
        ("version", json!({"stage": "sunk"})),
        ("version", json!({"name": ""})),
        ("deployments", json!({})),
        ("deployments", json!([{"environment": "A B", "url": "https://a.example"}])),
        ("deployments", json!([{"environment": "e", "url": "javascript:alert(1)"}])),
        ("deployments", json!([{"environment": "e"}])),
        ("deployments", json!([["e", "https://a.example"]])),
        ("definition", json!({})),
        ("definition", json!({"value": "x", "base64": "eA=="})),
        ("definition", json!({"base64": "!!"})),
        ("definition", json!({"format": "boat", "value": "x"})),
        ("definition", json!({"url": "http://127.0.0.1:1/"})),
        ("definition", json!({"url": "file:///etc/passwd"})),
        ("definition", json!({"url": "http://169.254.169.254/"})),
        ("definition", json!({"url": ""})),
        ("definition", json!({"format": "openapi", "value": "{\"openapi\": \"3.1.0\", \"paths\": []}"})),
        ("definition", json!({"format": "openapi", "value": "a: b: c"})),
        ("operations", json!([{"nmae": "x"}])),
        ("tools", json!("x")),
        ("title", json!(["x"])),
        ("title", json!("x".repeat(100_000))),
    ] {
        add(member, ASSETS, &[JSON], asset(member, value).as_bytes(), Problem(&[400, 422]));
    }
    for (what, document) in [
        ("yaml bomb", "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nopenapi: 3.1.0\n".to_owned()),
        ("yaml of itself", "openapi: 3.1.0\ninfo: &i {title: x, x: *i}\n".to_owned()),
        ("deep yaml", format!("openapi: {}", "[".repeat(5_000))),
        ("tabs in yaml", "openapi:\t3.1.0\n\tinfo: x\n".to_owned()),
        ("openapi of another world", "openapi: 9.9.9\ninfo: {title: x, version: '1'}\npaths: {}\n".to_owned()),
        ("xml with entities", "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>".to_owned()),
    ] {
        add(what, ASSETS, &[("Content-Type", "application/yaml")], document.as_bytes(), Harmless);
    }

    // What the body says it is.
    let good = br#"{"name": "x", "title": "x"}"#;
    for kind in [
        "text/plain",
        "text/html",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "image/png",
        "json",
        "/",
        ";",
        "application/json/x",
    ] {
        add(&format!("as {kind}"), WORKSPACES, &[("Content-Type", kind)], good, Problem(&[415]));
    }
    add("as nothing", WORKSPACES, &[], good, Problem(&[415]));
    for coding in ["gzip", "br", "deflate", "zstd", "nonsense", "gzip, gzip"] {
        add(&format!("packed as {coding}"), WORKSPACES, &[JSON, ("Content-Encoding", coding)], good, Problem(&[415]));
    }
    for condition in ["seven", "W/\"1\"", "\"", "\"-1x\""] {
        let bytes =
            request(key, "PATCH", "/api/v1/workspaces/default", &[JSON, ("If-Match", condition)], br#"{"title": "x"}"#);
        cases.push(Case::new(format!("If-Match {condition}"), bytes, Problem(&[400, 412])));
    }
    for idempotency in ["", "a b", "ü", &"k".repeat(300)] {
        let bytes = request(key, "POST", WORKSPACES, &[JSON, ("Idempotency-Key", idempotency)], good);
        cases.push(Case::new(format!("Idempotency-Key {idempotency:.20}"), bytes, Problem(&[400])));
    }

    // Sizes. None of these is read to its end.
    let announced = |length: &str| {
        format!(
            "POST {WORKSPACES} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{{"
        )
    };
    for length in ["8388609", "100000000", "1099511627776", "9223372036854775807"] {
        cases.push(Case::new(format!("{length} bytes announced"), announced(length), Problem(&[413])));
    }
    cases.push(Case::new("a body that stops", announced("100"), Problem(&[408])));
    let mut long = format!("POST {WORKSPACES} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..9 {
        long.extend_from_slice(b"100000\r\n");
        long.resize(long.len() + (1 << 20), b' ');
        long.extend_from_slice(b"\r\n");
    }
    long.extend_from_slice(b"0\r\n\r\n");
    cases.push(Case::new("9 MiB in chunks", long, Problem(&[413])));
    cases
}
