use super::{find, names, register};
use crate::support::TestApp;
use serde_json::json;
use wharfinger::auth::{Actor, Role};

#[tokio::test]
async fn what_is_hidden_leaves_no_trace_in_hits_counts_facets_and_completions() {
    let app = TestApp::start().await;
    let member = app.actor(&app.member(Role::Reader, "team").await).await;
    let outsider = app.actor(&app.member(Role::Reader, "other").await).await;
    let assets = ["public", "internal", "private"].map(|visibility| {
        json!({"name": format!("{visibility}-pay"), "kind": "rest", "title": format!("Pay {visibility}"),
               "visibility": visibility, "tags": [format!("tag-{visibility}")], "owners": [format!("own-{visibility}")],
               "operations": [{"name": format!("{visibility}Operation")}]})
    });
    register(&app, "team", &assets).await;

    for (actor, seen) in [
        (Actor::anonymous(), vec!["public"]),
        (outsider, vec!["public", "internal"]),
        (member, vec!["public", "internal", "private"]),
    ] {
        for text in ["pay", "", "private", "tag:tag-private", "privateOperation", "\"pay private\""] {
            let found = find(&app, &actor, text).await;
            let hidden: Vec<&str> =
                ["public", "internal", "private"].into_iter().filter(|one| !seen.contains(one)).collect();
            let told = format!("{:?} {:?} {:?}", names(&found), found.facets, found.hints);
            for hidden in hidden.iter().filter(|hidden| !text.contains(**hidden)) {
                assert!(!told.contains(hidden), "{actor} {text}: {told}");
            }
            assert_eq!(found.total as usize, found.items.len(), "{actor} {text}");
            let facet = found.facets.iter().find(|facet| facet.name == "kind");
            assert!(facet.is_none_or(|kinds| kinds.values[0].count <= seen.len() as u64), "{actor} {text}");
        }
        assert_eq!(find(&app, &actor, "").await.total as usize, seen.len(), "{actor}");
        assert_eq!(app.handles.search.suggest(&actor, "pay", 10).len(), seen.len(), "{actor}");
        assert_eq!(app.handles.search.suggest(&actor, "owner:own", 10).len(), seen.len(), "{actor}");
    }
}

#[tokio::test]
async fn what_becomes_private_is_hidden_before_the_index_knows() {
    let app = TestApp::start().await;
    register(&app, "default", &[json!({"name": "pay", "kind": "rest"})]).await;
    assert_eq!(names(&find(&app, &Actor::anonymous(), "pay").await), ["pay"]);

    let patch = serde_json::from_value(json!({"visibility": "private"})).unwrap();
    app.handles.catalog.update(&Actor::system("test"), "default", "pay", patch, None).await.unwrap();

    assert_eq!(names(&find(&app, &Actor::anonymous(), "pay").await), Vec::<&str>::new());
}
