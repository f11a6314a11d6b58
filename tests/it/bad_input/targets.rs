//! Methods, paths, queries and cursors.

use super::{Case, Outcome, Outcome::Harmless, Outcome::Problem, request};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

pub fn cases(key: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |method: &str, target: &str, headers: &[(&str, &str)], outcome: Outcome| {
        let shown: String = target.chars().take(80).collect();
        cases.push(Case::new(
            format!("{method} {shown} {headers:.60?}"),
            request(key, method, target, headers, b""),
            outcome,
        ));
    };

    for method in ["DELETE", "PATCH", "TRACE", "FROB", "get", "PROPFIND", "PURGE"] {
        add(method, "/api/v1/assets", &[], Problem(&[405]));
        add(method, "/healthz", &[], Problem(&[405]));
    }
    for path in [
        "/api/v1/nothing",
        "/api/v2/assets",
        "/nothing",
        "/.git/config",
        "/.env",
        "/debug/pprof",
        "/server-status",
        "/api/v1/assets/../../../etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/static/../Cargo.toml",
        "/static/x/..%2f..%2fCargo.toml",
        "/api/v1/workspaces/none/assets",
        "/api/v1/workspaces/default/assets/none",
        "/api/v1/workspaces/UPPER/assets",
        "/api/v1/workspaces/a%20b/assets/c",
        "/api/v1/workspaces/%F0%9F%9A%A2/assets",
        "/api/v1/workspaces/default/assets/x/versions/1/definitions/none",
        "/api/v1/keys/not-a-uuid/more",
        "/api/v1/workspaces/default/assets/%25%32%65",
        "/\\\\evil.example/",
        "/;a=b",
        "/api/v1//assets",
        "/api/v1/workspaces/' or 1=1 --/assets",
    ] {
        add("GET", &path.replace(' ', "%20"), &[], Problem(&[400, 404, 405, 422]));
    }
    for path in [
        "/%00",
        "/%",
        "/%2",
        "/%zz",
        "/%ff",
        "/%c0%ae%c0%ae/",
        "/%ed%a0%80",
        "/%u0041",
        "/api/v1/workspaces/%00/assets",
        "/api/v1/workspaces/default/assets/%00",
        "/api/v1/workspaces/default/assets/%fe%ff",
        "/api/v1/assets?%00=1",
        "/api/v1/assets?q=%00",
        "/api/v1/search?q=%ff",
        "/api/v1/search?q=%",
        "/api/v1/search?q=%4",
        "/api/v1/search?q=%gg",
        "/api/v1/search?%ff=1",
    ] {
        add("GET", path, &[], Problem(&[400]));
    }
    add("GET", &format!("/api/v1/workspaces/{}/assets", "w".repeat(5_000)), &[], Problem(&[404, 405, 422]));
    add("GET", &format!("/api/v1/workspaces/default/assets/{}", "n".repeat(5_000)), &[], Problem(&[404, 422]));
    add("GET", &format!("/{}", "a/".repeat(5_000)), &[], Problem(&[404]));

    for list in ["/api/v1/assets", "/api/v1/search"] {
        for limit in ["-1", "0", "101", "1e3", "1.5", "abc", "0x10", "99999999999999999999", "%2B5x", "NaN", "5%20"] {
            add("GET", &format!("{list}?limit={limit}"), &[], Problem(&[400, 422]));
        }
        for query in [
            "lmit=5",
            "limit=5&limit=6",
            "kind=boat",
            "stage=sunk",
            "cursor=a&cursor=b",
            "Limit=5",
            "q[]=a",
            "__proto__=1",
        ] {
            add("GET", &format!("{list}?{query}"), &[], Problem(&[400, 422]));
        }
        for (what, cursor) in cursors() {
            cases_of_cursor(&mut add, list, what, &cursor);
        }
    }
    for text in [
        "' or 1=1 --",
        "\"; drop table asset; --",
        "((((((((((",
        "kind:",
        "kind:boat",
        "\"never closed",
        "a AND OR NOT",
        "*",
        "?*~^",
        "{{7*7}}",
        "${jndi:ldap://x}",
        "<script>alert(1)</script>",
        "\u{202e}gnp",
        "\u{0}".trim_matches('\0'),
        "\u{fffd}\u{ffff}",
        "a\u{300}\u{301}\u{302}",
        "-",
        "--",
        ":::",
        "tag:",
        "tag:\"\"",
        "owner:a owner:b owner:c",
    ] {
        let text = percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        add("GET", &format!("/api/v1/search?q={text}"), &[], Harmless);
    }
    add("GET", &format!("/api/v1/search?q={}", "wharf%20".repeat(2_500)), &[], Harmless);
    add("GET", &format!("/api/v1/search?q={}", "%28".repeat(5_000)), &[], Harmless);

    for value in
        ["Basic eDp5", "Bearer", "Bearer ", "Bearer whf_", "Bearer \t", "bearer whf_unknown", "Digest x", "whf_x", ","]
    {
        let bytes =
            format!("GET /api/v1/assets HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: {value}\r\n\r\n");
        cases.push(Case::new(format!("credential {value:?}"), bytes, Problem(&[401])));
    }
    let long = "x".repeat(20_000);
    let bytes =
        format!("GET /api/v1/assets HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {long}\r\n\r\n");
    cases.push(Case::new("credential of 20,000 letters", bytes, Problem(&[401])));
    let two = "GET /api/v1/assets HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer a\r\nx-api-key: b\r\n\r\n";
    cases.push(Case::new("two credentials", two, Problem(&[401])));

    let mut add = |headers: &[(&str, &str)]| {
        cases.push(Case::new(format!("{headers:.80?}"), request(key, "GET", "/api/v1/assets", headers, b""), Harmless));
    };
    for (name, value) in [
        ("Accept", "nonsense"),
        ("Accept", "text/html;q=99999999999"),
        ("Accept", ";;;,,,;q=x"),
        ("Accept-Encoding", "gzip;q=x, *"),
        ("Accept-Encoding", "br, zstd, compress"),
        ("If-None-Match", "W/"),
        ("If-None-Match", "\"unclosed"),
        ("Range", "bytes=0-0,-1"),
        ("Range", "bytes=99999999999999999999-"),
        ("If-Modified-Since", "yesterday"),
        ("X-Request-Id", "a b\tc"),
        ("Cookie", "=;=;;a"),
        ("X-Forwarded-For", "evil, 127.0.0.1"),
        ("X-Forwarded-Host", "evil.example"),
        ("Expect", "200-ok"),
        ("Accept-Language", "****"),
        ("Origin", "null"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("Forwarded", "for=\"[::"),
        ("Traceparent", "zz"),
    ] {
        add(&[(name, value)]);
    }
    cases
}

fn cases_of_cursor(add: &mut impl FnMut(&str, &str, &[(&str, &str)], Outcome), list: &str, what: &str, cursor: &str) {
    add(
        "GET",
        &format!("{list}?cursor={cursor}&limit=5"),
        &[],
        if what.is_empty() { Harmless } else { Problem(&[400, 422]) },
    );
}

fn cursors() -> Vec<(&'static str, String)> {
    let of = |json: &str| URL_SAFE_NO_PAD.encode(json);
    vec![
        ("no base64", "!!!!".to_owned()),
        ("base64 of no JSON", of("nonsense")),
        ("empty object", of("{}")),
        ("null", of("null")),
        ("a number", of("7")),
        ("an empty list", of("[]")),
        ("a list of the wrong kinds", of(r#"[{"a":1},[],null,true]"#)),
        ("NUL inside", of("[\"\\u0000\",\"\\u0000\",\"\\u0000\"]")),
        ("deep", of(&format!("{}{}", "[".repeat(500), "]".repeat(500)))),
        ("long", "A".repeat(9_000)),
        ("SQL", of(r#"["'; drop table asset; --"]"#)),
        ("a path", "..%2F..%2Fetc".to_owned()),
        ("padding", "e30%3D%3D".to_owned()),
    ]
}
