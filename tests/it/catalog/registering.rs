use crate::support::TestApp;
use serde_json::json;
use wharfinger::auth::Actor;
use wharfinger::base::Limit;
use wharfinger::catalog::{AssetPatch, CardFilter, Error, Stage, Status, VersionPatch, Visibility};

fn asset(body: serde_json::Value) -> wharfinger::catalog::NewAsset {
    serde_json::from_value(body).unwrap()
}

#[tokio::test]
async fn one_call_registers_all() {
    let app = TestApp::start().await;
    let (catalog, admin) = (&app.handles.catalog, Actor::system("test"));

    catalog
        .register(&admin, "default", asset(json!({
            "name": "payments", "kind": "rest", "title": "Payments", "tags": ["money", " money ", ""], "owners": ["pay-team"],
            "version": {"name": "2.1.0", "stage": "preview"},
            "deployments": [{"environment": "prod-eu", "url": "https://pay.example.com"}],
            "operations": [{"name": "refund", "method": "post", "path": "/refunds", "tags": ["a", "b"]}, {"name": "list"}],
            "metadata": {"cost-centre": "4711"},
        })))
        .await
        .unwrap();

    let found = catalog.find(&admin, "default", "payments").await.unwrap();
    assert_eq!(found.asset.tags, ["money"]);
    assert_eq!(found.asset.registry_name, "default/payments");
    assert_eq!(
        found.version.as_ref().map(|version| (version.name.as_str(), version.stage)),
        Some(("2.1.0", Stage::Preview))
    );
    assert_eq!(found.operation_count, 2);
    assert_eq!(found.deployments[0].environment.as_deref(), Some("prod-eu"));
    assert_eq!(catalog.environments(&admin, "default").await.unwrap()[0].kind, "production");
    let (_, _, refund) = catalog.operation(&admin, ("default", "payments", "latest"), "refund").await.unwrap();
    assert_eq!((refund.method.as_deref(), refund.tags.len()), (Some("POST"), 2));
}

#[tokio::test]
async fn a_name_is_given_once_also_while_its_asset_is_deleted() {
    let app = TestApp::start().await;
    let (catalog, admin) = (&app.handles.catalog, Actor::system("test"));
    let body = || asset(json!({"name": "payments", "kind": "rest"}));
    catalog.register(&admin, "default", body()).await.unwrap();

    let again = catalog.register(&admin, "default", body()).await;
    catalog.delete(&admin, "default", "payments", None).await.unwrap();
    let deleted = catalog.register(&admin, "default", body()).await;
    catalog.restore(&admin, "default", "payments").await.unwrap();

    assert!(matches!(again, Err(Error::NameTaken { .. })), "{again:?}");
    assert!(matches!(deleted, Err(Error::NameOfDeleted { .. })), "{deleted:?}");
    assert!(catalog.find(&admin, "default", "payments").await.is_ok());
}

#[tokio::test]
async fn the_latest_version_is_the_highest_that_is_not_deleted() {
    let app = TestApp::start().await;
    let (catalog, admin) = (&app.handles.catalog, Actor::system("test"));
    let version = |name: &str| asset(json!({"version": {"name": name}}));
    catalog
        .register(&admin, "default", asset(json!({"name": "a", "kind": "rest", "version": {"name": "1.0.0"}})))
        .await
        .unwrap();
    for name in ["snapshot", "1.10.0", "1.2.0", "2.0.0-rc.1"] {
        catalog.publish_version(&admin, "default", "a", version(name)).await.unwrap();
    }
    let latest = async || catalog.find(&admin, "default", "a").await.unwrap().version.unwrap().name;

    assert_eq!(latest().await, "2.0.0-rc.1");
    catalog.delete_version(&admin, ("default", "a", "2.0.0-rc.1"), None).await.unwrap();

    assert_eq!(latest().await, "1.10.0");
    let (_, page) = catalog.versions(&admin, "default", "a", None, Limit(10)).await.unwrap();
    let names: Vec<_> = page.items.iter().map(|version| version.name.as_str()).collect();
    assert_eq!(names, ["1.10.0", "1.2.0", "1.0.0", "snapshot"]);
    let taken = catalog.publish_version(&admin, "default", "a", version("1.2.0")).await;
    assert!(matches!(taken, Err(Error::VersionTaken { .. })));
}

#[tokio::test]
async fn who_read_an_older_revision_does_not_overwrite_a_newer() {
    let app = TestApp::start().await;
    let (catalog, admin) = (&app.handles.catalog, Actor::system("test"));
    catalog.register(&admin, "default", asset(json!({"name": "a", "kind": "rest"}))).await.unwrap();
    let title = |text: &str| AssetPatch { title: Some(text.to_owned()), ..AssetPatch::default() };

    let first = catalog.update(&admin, "default", "a", title("First"), Some(1)).await.unwrap();
    let second = catalog.update(&admin, "default", "a", title("Second"), Some(1)).await;

    assert_eq!(first.revision, 2);
    assert!(matches!(second, Err(Error::Stale { current: 2, sent: 1 })), "{second:?}");
    assert_eq!(catalog.find(&admin, "default", "a").await.unwrap().asset.title, "First");
}

#[tokio::test]
async fn a_deprecated_stage_is_a_deprecated_status() {
    let app = TestApp::start().await;
    let (catalog, admin) = (&app.handles.catalog, Actor::system("test"));
    catalog.register(&admin, "default", asset(json!({"name": "a", "kind": "mcp"}))).await.unwrap();

    let patch = VersionPatch { stage: Some(Stage::Deprecated), status_message: Some("use b".to_owned()) };
    let version = catalog.update_version(&admin, ("default", "a", "latest"), patch, None).await.unwrap();

    assert_eq!((version.status, version.status_message.as_deref()), (Status::Deprecated, Some("use b")));
    let filter = CardFilter { stage: Some(Stage::Deprecated), ..CardFilter::default() };
    assert_eq!(catalog.list(&admin, &filter, None, Limit(10)).await.unwrap().total, Some(1));
}

#[tokio::test]
async fn a_workspace_decides_what_its_assets_are_when_they_say_nothing() {
    let app = TestApp::start().await;
    let (catalog, admin) = (&app.handles.catalog, Actor::system("test"));
    let new = serde_json::from_value(json!({"name": "lab", "defaultVisibility": "private"})).unwrap();
    catalog.create_workspace(&admin, new).await.unwrap();

    let silent = catalog.register(&admin, "lab", asset(json!({"name": "a", "kind": "rest"}))).await.unwrap();
    let told = catalog
        .register(&admin, "lab", asset(json!({"name": "b", "kind": "rest", "visibility": "public"})))
        .await
        .unwrap();

    assert_eq!((silent.asset.visibility, told.asset.visibility), (Visibility::Private, Visibility::Public));
}

#[tokio::test]
async fn required_metadata_is_required() {
    let app = TestApp::start().await;
    let (catalog, admin) = (&app.handles.catalog, Actor::system("test"));
    let field = json!({"name": "cost-centre", "schema": {"type": "string", "pattern": "^[0-9]{4}$"},
                       "assignedTo": ["asset"], "requiredFor": ["asset"], "facet": true});
    let (_, is_new) =
        catalog.put_metadata_schema(&admin, "default", serde_json::from_value(field.clone()).unwrap()).await.unwrap();
    let (_, is_new_again) =
        catalog.put_metadata_schema(&admin, "default", serde_json::from_value(field).unwrap()).await.unwrap();

    let without = catalog.register(&admin, "default", asset(json!({"name": "a", "kind": "rest"}))).await;
    let with = asset(json!({"name": "a", "kind": "rest", "metadata": {"cost-centre": "4711"}}));

    assert!((is_new, is_new_again) == (true, false));
    assert!(matches!(without, Err(Error::Invalid { .. })), "{without:?}");
    catalog.register(&admin, "default", with).await.unwrap();
    catalog.publish_version(&admin, "default", "a", asset(json!({"version": {"name": "2.0.0"}}))).await.unwrap();
    assert_eq!(catalog.metadata_facets().await.unwrap(), ["cost-centre"]);
}

#[tokio::test]
async fn the_server_json_we_make_says_what_we_know_now() {
    let app = TestApp::start().await;
    let (catalog, admin) = (&app.handles.catalog, Actor::system("test"));
    catalog
        .register(&admin, "default", asset(json!({"name": "x/made", "kind": "mcp", "title": "Before"})))
        .await
        .unwrap();

    let patch = AssetPatch { title: Some("After".to_owned()), ..AssetPatch::default() };
    catalog.update(&admin, "default", "x/made", patch, None).await.unwrap();
    let runs = serde_json::from_value(json!({"url": "https://made.example.com/mcp"})).unwrap();
    catalog.deploy(&admin, ("default", "x/made", "latest"), runs, None).await.unwrap();

    let shown = catalog.server_document(&admin, ("default", "x/made", "latest")).await.unwrap().unwrap();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["title"], "After");
    assert_eq!(shown["remotes"][0]["url"], "https://made.example.com/mcp");
}
