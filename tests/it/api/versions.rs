//! Versions: publishing, stages, comparing; and where they run.

use super::{names, petstore};
use crate::support::TestApp;
use serde_json::json;

const ASSET: &str = "/api/v1/workspaces/default/assets/pet-store";

#[tokio::test]
async fn a_further_version_is_published_by_its_document_alone() {
    let app = TestApp::start().await;
    let admin = app.admin();
    admin.register(&petstore("1.0.0")).await.expect(201);

    let made = admin.post(&format!("{ASSET}/versions"), &petstore("1.1.0")).await.expect(201);
    let again = admin.post(&format!("{ASSET}/versions"), &petstore("1.1.0")).await.expect(409);

    assert!(made.header("location").ends_with("/pet-store/versions/1.1.0"), "{}", made.header("location"));
    assert_eq!((&made.json()["isLatest"], &made.json()["operationCount"]), (&json!(true), &json!(2)));
    assert_eq!(again.json()["type"], "/problems/version-taken");
    assert_eq!(names(&admin.get(&format!("{ASSET}/versions")).await.json()), ["1.1.0", "1.0.0"]);
}

#[tokio::test]
async fn a_version_moves_through_its_stages_and_out_of_sight() {
    let app = TestApp::start().await;
    let admin = app.admin();
    admin.register(&petstore("1.0.0")).await.expect(201);
    admin.post(&format!("{ASSET}/versions"), &petstore("2.0.0")).await.expect(201);

    let patch = json!({"stage": "deprecated", "statusMessage": "Use 2.0.0"});
    let old = admin.patch(&format!("{ASSET}/versions/1.0.0"), &patch).await.expect(200).json();
    admin.delete(&format!("{ASSET}/versions/2.0.0")).await.expect(204);

    assert_eq!(
        (&old["stage"], &old["status"], &old["statusMessage"]),
        (&json!("deprecated"), &json!("deprecated"), &json!("Use 2.0.0"))
    );
    admin.get(&format!("{ASSET}/versions/2.0.0")).await.expect(404);
    assert_eq!(admin.get(&format!("{ASSET}/versions/latest")).await.json()["name"], "1.0.0");
}

#[tokio::test]
async fn the_difference_of_two_versions_says_what_breaks() {
    let app = TestApp::start().await;
    let admin = app.admin();
    admin.register(&petstore("1.0.0")).await.expect(201);
    let mut next = petstore("2.0.0");
    next["paths"]["/pets"]["get"]["parameters"][0]["schema"]["maximum"] = json!(50);
    next["paths"]["/pets"]["post"] = json!({"operationId": "makePet", "responses": {"201": {"description": "Made"}}});
    next["paths"].as_object_mut().unwrap().remove("/pets/{id}");
    admin.post(&format!("{ASSET}/versions"), &next).await.expect(201);

    let diff = app.stranger().get(&format!("{ASSET}/versions/1.0.0/diff/latest")).await.expect(200).json();

    assert_eq!((&diff["from"], &diff["to"], &diff["breaking"]), (&json!("1.0.0"), &json!("2.0.0"), &json!(true)));
    assert_eq!(diff["operations"]["added"][0]["name"], "makePet");
    assert_eq!(diff["operations"]["removed"][0]["name"], "getPet");
    let changed = &diff["operations"]["changed"][0];
    assert_eq!((&changed["name"], &changed["breaking"]), (&json!("listPets"), &json!(true)));
    assert_eq!(changed["changes"][0]["location"], "/parameters/query/limit/schema/maximum");
    assert_eq!(diff["fields"][0]["field"], "definitions");
}

#[tokio::test]
async fn deployments_come_are_set_anew_and_go() {
    let app = TestApp::start().await;
    let admin = app.admin();
    admin.register(&json!({"name": "pet-store", "kind": "rest"})).await.expect(201);
    let list = format!("{ASSET}/deployments");

    let made = admin.post(&list, &json!({"environment": "staging", "url": "https://a.example.com"})).await.expect(201);
    let at = made.header("location").strip_prefix(&app.url).unwrap().to_owned();
    let set = admin.put(&at, &json!({"url": "https://b.example.com", "active": false})).await.expect(200).json();

    assert_eq!(
        (&set["url"], &set["active"], set.get("environment")),
        (&json!("https://b.example.com"), &json!(false), None)
    );
    assert_eq!(app.stranger().get(&at).await.expect(200).json()["version"], "1.0.0");
    assert_eq!(app.stranger().get(&list).await.expect(200).json()["total"], 1);
    admin.delete(&at).await.expect(204);
    admin.get(&at).await.expect(404);
    let environments = admin.get("/api/v1/workspaces/default/environments").await.expect(200).json();
    assert_eq!((names(&environments), &environments["items"][0]["kind"]), (vec!["staging"], &json!("staging")));
}
