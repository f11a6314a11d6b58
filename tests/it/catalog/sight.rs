use crate::support::TestApp;
use serde_json::json;
use wharfinger::auth::{Actor, Role};
use wharfinger::base::{Limit, Problem};
use wharfinger::catalog::{CardFilter, Mark};

#[tokio::test]
async fn each_sees_its_own_part_and_no_trace_of_the_rest() {
    let app = TestApp::start().await;
    let catalog = &app.handles.catalog;
    let member = app.actor(&app.member(Role::Reader, "team").await).await;
    let outsider = app.actor(&app.member(Role::Publisher, "other").await).await;
    for visibility in ["public", "internal", "private"] {
        let new = json!({"name": format!("{visibility}-api"), "kind": "rest", "visibility": visibility});
        catalog.register(&Actor::system("test"), "team", serde_json::from_value(new).unwrap()).await.unwrap();
    }

    for (actor, expected) in [(Actor::anonymous(), 1), (outsider.clone(), 2), (member, 3), (Actor::system("test"), 3)] {
        let page = catalog.list(&actor, &CardFilter::default(), None, Limit(10)).await.unwrap();
        assert_eq!((page.items.len(), page.total), (expected, Some(expected as u64)), "{actor}");
        let counted: i64 = catalog.counts(&actor).await.unwrap().kinds.iter().map(|(_, count)| count).sum();
        assert_eq!(counted, expected as i64, "{actor}");
        assert_eq!(catalog.changes(&actor, Mark::default(), Limit(10)).await.unwrap().len(), expected, "{actor}");
        let named = catalog.cards_containing(actor.sight(), &["api".to_owned()], 10).await;
        assert_eq!(named.expect("a private database answers").len(), expected, "{actor}");
    }
    let hidden: Problem = catalog.find(&outsider, "team", "private-api").await.unwrap_err().into();
    let missing: Problem = catalog.find(&outsider, "team", "missing-api").await.unwrap_err().into();
    assert_eq!(hidden.detail.replace("private", "missing"), missing.detail);
}

#[tokio::test]
async fn writing_asks_first_who_writes() {
    let app = TestApp::start().await;
    let catalog = &app.handles.catalog;
    let reader = app.actor(&app.member(Role::Reader, "team").await).await;
    let outsider = app.actor(&app.member(Role::Publisher, "other").await).await;
    let publisher = app.actor(&app.member(Role::Publisher, "team").await).await;
    let new = || serde_json::from_value(json!({"name": "a", "kind": "rest", "visibility": "private"})).unwrap();

    for (actor, status) in [(Actor::anonymous(), 401), (reader, 403), (outsider.clone(), 404)] {
        let problem: Problem = catalog.register(&actor, "team", new()).await.unwrap_err().into();
        assert_eq!(problem.status.as_u16(), status, "{actor}");
    }
    catalog.register(&publisher, "team", new()).await.unwrap();
    let problem: Problem = catalog.delete(&outsider, "team", "a", None).await.unwrap_err().into();
    assert_eq!(problem.status.as_u16(), 404);
}
