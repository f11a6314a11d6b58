use super::{find, harbour, names, register, settle};
use crate::support::TestApp;
use serde_json::json;
use wharfinger::auth::Actor;
use wharfinger::base::Limit;
use wharfinger::search::{Degraded, Filters, Request, Sort, Why};

#[tokio::test]
async fn words_find_assets_in_every_form_in_which_people_write_them() {
    let app = TestApp::start().await;
    register(&app, "default", &harbour()).await;
    let system = Actor::system("test");

    for (text, expected) in [
        ("refunding money", "refunds"),
        ("github", "com.example/github"),
        ("create issue", "com.example/github"),
        ("createRefund", "refunds"),
        ("weathr", "weather"),
        ("wea", "weather"),
        ("天气", "weather"),
        ("naive", "weather"),
        ("com.example/github", "com.example/github"),
        ("please show me the weather", "weather"),
    ] {
        let found = find(&app, &system, text).await;
        assert_eq!(names(&found).first(), Some(&expected), "{text}");
        assert_eq!(found.degraded, [], "{text}");
    }
    assert_eq!(names(&find(&app, &system, "zzzzqqqq").await), Vec::<&str>::new());
}

#[tokio::test]
async fn a_hit_says_why_it_is_there() {
    let app = TestApp::start().await;
    register(&app, "default", &harbour()).await;

    let found = find(&app, &Actor::system("test"), "refund card").await;

    let hit = &found.items[0];
    let title = Why::Words { field: "title".into(), text: "\u{E000}Refund\u{E001} API".into() };
    assert!(hit.why.contains(&title), "{:?}", hit.why);
    assert_eq!(hit.matched[0].name, "createRefund");
    assert_eq!(hit.matched[0].description, "Return a \u{E000}card\u{E001} payment");
    assert!(hit.score > 0.0 && hit.score <= 1.0);
    assert!(hit.why.iter().any(|why| matches!(why, Why::Meaning { .. })), "{:?}", hit.why);
}

#[tokio::test]
async fn programs_get_texts_without_the_marks_of_pages() {
    let app = TestApp::start().await;
    register(&app, "default", &harbour()).await;
    let stranger = app.stranger();

    for (path, tool) in [
        ("/api/v1/search?q=refund+card", "Return a card payment"),
        ("/v0.1/x/dev.wharfinger/search?q=open+issue", "Open an issue in a repository"),
    ] {
        let answer = stranger.get(path).await.expect(200);
        let told = answer.json().to_string();
        assert!(told.contains(tool), "{path}: {told}");
        assert!(!told.contains(['\u{E000}', '\u{E001}']), "{path}: {told}");
    }
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "search_catalog", "arguments": {"query": "refund card"}}});
    let request = stranger.request(reqwest::Method::POST, "/mcp").json(&message);
    let request = request.header("accept", "application/json, text/event-stream");
    let told = stranger.send(request.header("mcp-protocol-version", "2025-11-25")).await.json().to_string();
    assert!(told.contains("Return a card payment") && !told.contains(['\u{E000}', '\u{E001}']), "{told}");
}

#[tokio::test]
async fn filters_in_the_text_and_beside_it_narrow_alike() {
    let app = TestApp::start().await;
    register(&app, "default", &harbour()).await;
    let system = Actor::system("test");

    for (text, expected) in [
        ("kind:mcp", vec!["com.example/github"]),
        ("tag:payments -tag:sky", vec!["refunds"]),
        ("owner:TEAM-DEV kind:rest", vec!["weather"]),
        ("kind:mcp,rest tag:code", vec!["com.example/github"]),
        ("kind:grpc", vec![]),
        ("\"money back\"", vec!["refunds"]),
        ("\"back money\"", vec![]),
        ("-weather -issues", vec!["refunds"]),
    ] {
        assert_eq!(names(&find(&app, &system, text).await), expected, "{text}");
    }
    let filters = Filters::default().with("kind", Some("rest")).with("tag", Some("sky"));
    let beside = app.handles.search.find(&system, &Request { filters, ..Request::default() }).await.unwrap();
    assert_eq!(names(&beside), ["weather"]);
    assert!(find(&app, &system, "knd:mcp").await.hints[0].contains("did you mean kind:mcp?"));
}

#[tokio::test]
async fn each_facet_counts_what_the_other_filters_leave() {
    let app = TestApp::start().await;
    register(&app, "default", &harbour()).await;

    let found = find(&app, &Actor::system("test"), "tag:payments kind:mcp").await;

    let counted = |name: &str| {
        let facet = found.facets.iter().find(|facet| facet.name == name).unwrap();
        facet.values.iter().map(|v| (v.value.as_str(), v.count, v.selected)).collect::<Vec<_>>()
    };
    assert_eq!(found.total, 0);
    assert_eq!(counted("kind"), [("rest", 2, false), ("mcp", 0, true)]);
    assert_eq!(counted("tag"), [("code", 1, false), ("payments", 0, true)]);
}

#[tokio::test]
async fn a_metadata_field_becomes_a_facet_when_it_is_declared() {
    let app = TestApp::start().await;
    let system = Actor::system("test");
    let catalog = &app.handles.catalog;
    let tier = json!({"name": "tier", "schema": {"type": "string"}, "assignedTo": ["asset"], "facet": true});
    catalog.put_metadata_schema(&system, "default", serde_json::from_value(tier).unwrap()).await.unwrap();

    register(&app, "default", &[json!({"name": "a", "kind": "rest", "metadata": {"tier": "gold"}})]).await;

    let found = find(&app, &system, "tier:gold").await;
    assert_eq!(names(&found), ["a"]);
    let facet = found.facets.iter().find(|facet| facet.name == "tier").unwrap();
    assert_eq!((facet.values[0].value.as_str(), facet.values[0].count), ("gold", 1));
}

#[tokio::test]
async fn pages_follow_one_another_without_gap_or_repetition() {
    let app = TestApp::start().await;
    let assets: Vec<_> = (0..25)
        .map(|n| json!({"name": format!("api-{n:02}"), "kind": "rest", "title": format!("Api {n:02} {}", "pay ".repeat(n))}))
        .collect();
    register(&app, "default", &assets).await;
    let system = Actor::system("test");

    for (text, sort) in [("", Sort::Name), ("", Sort::Newest), ("pay", Sort::Relevance), ("api", Sort::Updated)] {
        let mut seen = Vec::new();
        let mut request = Request { text: text.into(), sort, limit: Limit(10), ..Request::default() };
        let total = loop {
            let page = app.handles.search.find(&system, &request).await.unwrap();
            seen.extend(page.items.iter().map(|hit| hit.card.name.clone()));
            match page.next {
                Some(next) => request.cursor = Some(next),
                None => break page.total,
            }
        };
        let mut distinct = seen.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!((seen.len() as u64, distinct.len()), (total, seen.len()), "{text:?} {sort:?}");
        if sort == Sort::Name {
            assert_eq!(seen, distinct, "by title");
        }
    }
}

#[tokio::test]
async fn a_cursor_of_another_question_is_refused() {
    let app = TestApp::start().await;
    register(&app, "default", &harbour()).await;
    let system = Actor::system("test");
    let first = Request { limit: Limit(1), ..Request::default() };
    let cursor = app.handles.search.find(&system, &first).await.unwrap().next;

    let other = Request { text: "weather".into(), cursor, ..first };
    let problem = app.handles.search.find(&system, &other).await.unwrap_err();

    assert_eq!((problem.status.as_u16(), problem.errors[0].location.as_str()), (422, "query.cursor"));
}

#[tokio::test]
async fn what_changes_or_goes_is_found_as_it_now_is() {
    let app = TestApp::start().await;
    register(&app, "default", &harbour()).await;
    let (system, catalog) = (Actor::system("test"), &app.handles.catalog);

    let patch = serde_json::from_value(json!({"title": "Thunderstorms"})).unwrap();
    catalog.update(&system, "default", "weather", patch, None).await.unwrap();
    catalog.delete(&system, "default", "refunds", None).await.unwrap();
    settle(&app).await;

    assert_eq!(names(&find(&app, &system, "thunderstorms").await), ["weather"]);
    assert_eq!(names(&find(&app, &system, "refund").await), Vec::<&str>::new());
    assert_eq!(find(&app, &system, "").await.total, 2);

    catalog.restore(&system, "default", "refunds").await.unwrap();
    settle(&app).await;
    assert_eq!(names(&find(&app, &system, "refund").await)[0], "refunds");
}

#[tokio::test]
async fn a_text_that_is_being_typed_is_completed() {
    let app = TestApp::start().await;
    register(&app, "default", &harbour()).await;
    let suggest = |text: &str| app.handles.search.suggest(&Actor::system("test"), text, 5);

    assert_eq!(suggest("git")[0].asset, Some(("default".into(), "com.example/github".into())));
    assert_eq!(suggest("pay")[0].text, "tag:payments");
    assert_eq!(suggest("card kind:m")[0].text, "card kind:mcp");
    assert_eq!(suggest("  "), []);
}

#[tokio::test]
async fn vectors_are_made_once_for_equal_texts() {
    let app = TestApp::start().await;
    register(&app, "default", &harbour()).await;
    let count = || async {
        let db = app.handles.db.read.clone();
        sqlx::query_scalar::<_, i64>("select count(*) from embedding").fetch_one(&db).await.unwrap()
    };
    let before = count().await;

    settle(&app).await;
    app.handles.catalog.ensure_workspace(&Actor::system("test"), &"other".parse().unwrap(), "Other").await.unwrap();
    register(&app, "other", &harbour()[..1]).await;

    assert_eq!(before, 6, "three assets and three operations");
    assert_eq!(count().await, before);
    assert_eq!(app.handles.search.status().await.unwrap().pending, 0);
}

#[tokio::test]
async fn without_a_model_words_decide_and_the_answer_says_so() {
    let app = TestApp::start_with(&[], wharfinger::embed::Embedder::absent("none here")).await;
    register(&app, "default", &harbour()).await;

    let found = find(&app, &Actor::system("test"), "weather").await;

    assert_eq!((names(&found), found.degraded.as_slice()), (vec!["weather"], [Degraded::Semantic].as_slice()));
    let status = app.handles.search.status().await.unwrap();
    assert_eq!((status.pending, status.reason.as_deref()), (3, Some("none here")));
}
