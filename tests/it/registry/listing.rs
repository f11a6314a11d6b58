//! The list of servers and the versions of one.

use super::*;

async fn three_servers(app: &TestApp) {
    let all = [
        ("com.example/alpha", "1.0.0"),
        ("com.example/beta", "1.10.0"),
        ("com.example/beta", "1.2.0"),
        ("com.example/gamma", "0.1.0"),
    ];
    app.admin().publish_all(app, &all).await;
}

#[tokio::test]
async fn an_entry_has_the_document_and_what_the_registry_knows() {
    let app = TestApp::start().await;
    app.admin().publish(&server("com.example/alpha", "1.0.0")).await.expect(200);

    let answer = app.stranger().list("").await.expect(200);

    assert_eq!(answer.header("content-type"), "application/json");
    let list = answer.json();
    let entry = &list["servers"][0];
    assert_eq!(entry["server"], server("com.example/alpha", "1.0.0"));
    assert_eq!(
        entry["_meta"][OFFICIAL],
        json!({"status": "active", "statusChangedAt": "2026-03-01T12:00:00.000000Z", "isLatest": true,
               "publishedAt": "2026-03-01T12:00:00.000000Z", "updatedAt": "2026-03-01T12:00:00.000000Z"})
    );
    assert_eq!(entry["_meta"]["dev.wharfinger/catalog"]["workspace"], "default");
    assert_eq!(list["metadata"], json!({"count": 1}));
}

#[tokio::test]
async fn an_empty_catalog_is_an_empty_list() {
    let app = TestApp::start().await;

    for path in ["/v0.1/servers", "/workspaces/default/v0.1/servers?limit=1"] {
        let list = app.stranger().get(path).await.expect(200).json();
        assert_eq!(list, json!({"servers": [], "metadata": {"count": 0}}), "{path}");
    }
}

#[tokio::test]
async fn pages_go_by_name_and_then_by_semantic_version_and_end_without_an_empty_one() {
    let app = TestApp::start().await;
    three_servers(&app).await;
    let (mut seen, mut query) = (Vec::new(), "?limit=2".to_owned());

    for page in 1..=2 {
        let list = app.stranger().list(&query).await.expect(200).json();
        assert_eq!(list["metadata"]["count"], 2);
        seen.extend(entries(&list));
        match list["metadata"]["nextCursor"].as_str() {
            Some(cursor) if page == 1 => query = format!("?limit=2&cursor={cursor}"),
            other => assert_eq!((page, other), (2, None), "four entries are two full pages"),
        }
    }

    assert_eq!(
        seen,
        ["com.example/alpha 1.0.0", "com.example/beta 1.2.0", "com.example/beta 1.10.0", "com.example/gamma 0.1.0"]
    );
}

#[tokio::test]
async fn filters_narrow_the_list_and_hold_together() {
    let app = TestApp::start().await;
    three_servers(&app).await;

    for (query, expected) in [
        ("?search=alpha", vec!["com.example/alpha 1.0.0"]),
        ("?search=ALPHA", vec!["com.example/alpha 1.0.0"]),
        ("?search=nothing-like-it", vec![]),
        ("?search=%25", vec![]),
        ("?search=_", vec![]),
        ("?search=%5C", vec![]),
        ("?search=%E6%B5%8B%E8%AF%95", vec![]),
        ("?search=&limit=1", vec!["com.example/alpha 1.0.0"]),
        ("?version=1.2.0", vec!["com.example/beta 1.2.0"]),
        ("?version=latest", vec!["com.example/alpha 1.0.0", "com.example/beta 1.10.0", "com.example/gamma 0.1.0"]),
        ("?version=latest&search=eta&limit=5", vec!["com.example/beta 1.10.0"]),
        ("?version=latest&search=mm", vec!["com.example/gamma 0.1.0"]),
        ("?foreign=parameter&version=9", vec![]),
    ] {
        assert_eq!(entries(&app.stranger().list(query).await.expect(200).json()), expected, "{query}");
    }
}

#[tokio::test]
async fn a_cursor_alone_carries_the_filters_on() {
    let app = TestApp::start().await;
    three_servers(&app).await;

    let first = app.stranger().list("?version=latest&search=com.example&limit=1").await.expect(200).json();
    let cursor = first["metadata"]["nextCursor"].as_str().unwrap();
    assert!(cursor.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "needs no escaping: {cursor}");
    let rest = app.stranger().list(&format!("?limit=50&cursor={cursor}")).await.expect(200).json();

    assert_eq!(entries(&rest), ["com.example/beta 1.10.0", "com.example/gamma 0.1.0"]);
}

#[tokio::test]
async fn a_cursor_of_another_registry_is_read_and_none_is_refused() {
    let app = TestApp::start().await;
    three_servers(&app).await;

    for (cursor, first) in [
        ("com.example/beta:1.2.0", Some("com.example/beta 1.10.0")),
        ("com.example%2Fbeta%3A1.10.0", Some("com.example/gamma 0.1.0")),
        ("com.example/alpha", Some("com.example/beta 1.2.0")),
        ("com.example/beta:no-such-version", Some("com.example/gamma 0.1.0")),
        ("!!!", Some("com.example/alpha 1.0.0")),
        ("zzz", None),
    ] {
        let list = app.stranger().list(&format!("?cursor={cursor}")).await.expect(200).json();
        assert_eq!(entries(&list).first().map(String::as_str), first, "{cursor}");
    }
}

#[tokio::test]
async fn parameters_out_of_bounds_are_named() {
    let app = TestApp::start().await;

    for query in
        ["?limit=abc", "?limit=1000", "?limit=101", "?limit=-1", "?limit=0", "?limit=1.5", "?include_deleted=perhaps"]
    {
        let answer = app.stranger().list(query).await;
        assert_problem(&answer, 422, "validation failed");
        let error = &answer.json()["errors"][0];
        assert!(error["message"].is_string() && error["location"].as_str().unwrap().starts_with("query."), "{error}");
        assert!(!error["value"].is_null());
    }
    assert_problem(&app.stranger().list("?updated_since=invalid").await, 400, "Invalid updated_since format");
    let contradiction = app.stranger().list("?updated_since=2026-01-01T00:00:00Z&include_deleted=false").await;
    assert_problem(&contradiction, 400, "Cannot set include_deleted=false when using updated_since");
    assert_eq!(app.stranger().list("?search=a%00b").await.status, 400);
}

#[tokio::test]
async fn updated_since_is_strict_and_brings_the_deleted_ones() {
    let app = TestApp::start().await;
    three_servers(&app).await;
    app.admin().set_status("com.example/gamma", "0.1.0", json!({"status": "deleted"})).await.expect(200);
    let since = |at: &str| format!("?updated_since={at}");

    let all = app.stranger().list(&since("1990-01-01T00:00:00Z")).await.expect(200).json();
    assert_eq!(entries(&all).len(), 4);
    let since_beta = app.stranger().list(&since("2026-03-01T12:00:01.000000Z")).await.expect(200).json();
    assert_eq!(entries(&since_beta), ["com.example/beta 1.2.0", "com.example/gamma 0.1.0"]);
    let future = app.stranger().list(&since("2030-01-01T00:00:00Z")).await.expect(200).json();
    assert_eq!(future["servers"], json!([]));
    assert_eq!(entries(&app.stranger().list("").await.expect(200).json()).len(), 3);
    assert_eq!(entries(&app.stranger().list("?include_deleted=true").await.expect(200).json()).len(), 4);
}

#[tokio::test]
async fn versions_are_newest_published_first_with_one_latest() {
    let app = TestApp::start().await;
    let all = [("com.example/a1", "2.0.0"), ("com.example/a1", "1.0.0"), ("com.example/a1", "1.5.0")];
    app.admin().publish_all(&app, &all).await;

    let list = app.stranger().get("/v0.1/servers/com.example%2Fa1/versions").await.expect(200).json();

    assert_eq!(entries(&list), ["com.example/a1 1.5.0", "com.example/a1 1.0.0", "com.example/a1 2.0.0"]);
    assert_eq!(latest(&list), ["2.0.0"]);
    app.admin().set_status("com.example/a1", "1.0.0", json!({"status": "deleted"})).await.expect(200);
    let path = "/v0.1/servers/com.example%2Fa1/versions";
    assert_eq!(entries(&app.stranger().get(path).await.json()).len(), 2);
    assert_eq!(entries(&app.stranger().get(&format!("{path}?include_deleted=true")).await.json()).len(), 3);
    assert_problem(&app.stranger().get("/v0.1/servers/com.example%2Fnone/versions").await, 404, "Server not found");
}

#[tokio::test]
async fn many_versions_can_be_read_page_by_page() {
    let app = TestApp::start().await;
    let all = [("com.example/a1", "1.0.0"), ("com.example/a1", "1.1.0"), ("com.example/a1", "1.2.0")];
    app.admin().publish_all(&app, &all).await;
    let path = "/v0.1/servers/com.example%2Fa1/versions";

    let first = app.stranger().get(&format!("{path}?limit=2")).await.expect(200).json();
    let cursor = first["metadata"]["nextCursor"].as_str().unwrap();
    let last = app.stranger().get(&format!("{path}?limit=2&cursor={cursor}")).await.expect(200).json();

    assert_eq!(entries(&first), ["com.example/a1 1.2.0", "com.example/a1 1.1.0"]);
    assert_eq!(entries(&last), ["com.example/a1 1.0.0"]);
    assert!(last["metadata"].get("nextCursor").is_none());
    assert_eq!(app.stranger().get(&format!("{path}?limit=0")).await.status, 422);
}

#[tokio::test]
async fn a_version_is_found_by_its_name_and_by_latest() {
    let app = TestApp::start().await;
    let all =
        [("com.example/a1", "1.0.0"), ("com.example/a1", "1.0.0-rc.1"), ("com.example/b1", "1.0.0+20130313144700")];
    app.admin().publish_all(&app, &all).await;

    let newest = app.stranger().get(&at("com.example/a1", "latest")).await.expect(200).json();
    assert_eq!(newest["server"]["version"], "1.0.0");
    assert_eq!(newest["_meta"][OFFICIAL]["isLatest"], true);
    for version in ["1.0.0%2B20130313144700", "1.0.0+20130313144700", "1.0.0%252B20130313144700"] {
        let found = app.stranger().get(&at("com.example/b1", version)).await.expect(200).json();
        assert_eq!(found["server"]["version"], "1.0.0+20130313144700");
    }
    assert_problem(&app.stranger().get(&at("com.example/a1", "9.9.9")).await, 404, "Server not found");
    assert_problem(&app.stranger().get(&at("com.example/none", "latest")).await, 404, "Server not found");
}

#[tokio::test]
async fn a_client_that_has_the_answer_gets_304_until_it_changes() {
    let app = TestApp::start().await;
    app.admin().publish(&server("com.example/a1", "1.0.0")).await.expect(200);
    let ask = async |path: &str, tag: &str| {
        let stranger = app.stranger();
        stranger.send(stranger.request(reqwest::Method::GET, path).header("if-none-match", tag)).await
    };

    for path in ["/v0.1/servers".to_owned(), at("com.example/a1", "latest")] {
        let tag = app.stranger().get(&path).await.expect(200).header("etag").to_owned();
        assert_eq!(ask(&path, &tag).await.expect(304).text, "");
    }
    let tag = app.stranger().list("").await.header("etag").to_owned();
    app.admin().publish(&server("com.example/a1", "1.0.1")).await.expect(200);
    ask("/v0.1/servers", &tag).await.expect(200);
}

#[tokio::test]
async fn long_answers_are_compressed_when_asked() {
    let app = TestApp::start().await;
    three_servers(&app).await;
    // The client of the stories would undo the compression and hide it.
    let client = reqwest::Client::builder().no_gzip().build().unwrap();
    let get =
        |accept: &'static str| client.get(format!("{}/v0.1/servers", app.url)).header("accept-encoding", accept).send();

    let plain = get("identity").await.unwrap();
    let packed = get("gzip").await.unwrap();

    assert_eq!(packed.headers()["content-encoding"], "gzip");
    assert_ne!(packed.headers()["etag"], plain.headers()["etag"]);
    let (bytes, plain) = (packed.bytes().await.unwrap(), plain.text().await.unwrap());
    assert!(bytes.len() < plain.len() / 2);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut text).unwrap();
    assert_eq!(text, plain);
}

#[tokio::test]
async fn what_the_catalog_knows_makes_a_rich_page() {
    let app = TestApp::start().await;
    let body = json!({"name": "com.example/rich", "kind": "mcp", "title": "Rich", "description": "# Rich\nLong words.",
        "tags": ["money"], "licence": {"name": "MIT"}, "icons": [{"src": "https://example.com/i.png"}],
        "deployments": [{"url": "https://example.com/mcp", "transport": "streamable-http"}]});
    let new = serde_json::from_value(body).unwrap();
    let admin = app.actor(&app.admin()).await;
    app.handles.catalog.register(&admin, "default", new).await.unwrap();

    let entry = app.stranger().get(&at("com.example/rich", "latest")).await.expect(200).json();

    let page = &entry["server"]["_meta"][PUBLISHER]["github"];
    assert_eq!(page["readme"], "# Rich\nLong words.");
    assert_eq!((&page["displayName"], &page["license"]), (&json!("Rich"), &json!("MIT")));
    assert_eq!((&page["topics"], &page["preferredImage"]), (&json!(["money"]), &json!("https://example.com/i.png")));
    assert_eq!(entry["server"]["remotes"][0]["url"], "https://example.com/mcp");
}
