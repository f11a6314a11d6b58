//! One file configures the gateway, and comes out again as it went in.

use super::{GATEWAY, places};
use crate::support::{Person, TestApp};
use serde_json::{Value, json};
use wharfinger::auth::Actor;

const RECIPE: &str = include_str!("../../../docs/gateway.yaml");

fn application(file: impl Into<Value>) -> Value {
    let secrets = json!({"AZURE_PROVISIONED_KEY": "key-one", "AZURE_PAY_AS_YOU_GO_KEY": "key-two"});
    json!({"file": file.into(), "secrets": secrets})
}

async fn apply(person: &Person<'_>, body: &Value) -> Value {
    person.post(&format!("{GATEWAY}/apply"), body).await.expect(200).json()
}

fn actions(plan: &Value) -> Vec<String> {
    let steps = plan["steps"].as_array().unwrap().iter();
    steps
        .map(|step| {
            format!(
                "{} {} {}",
                step["action"].as_str().unwrap(),
                step["section"].as_str().unwrap(),
                step["name"].as_str().unwrap()
            )
        })
        .collect()
}

async fn with_team(app: &TestApp) {
    app.admin().post("/api/v1/workspaces", &json!({"name": "search-team", "title": "Search"})).await.expect(201);
}

#[tokio::test]
async fn the_recipe_configures_provisioned_capacity_first_limits_and_a_budget_and_comes_out_as_it_went_in() {
    let app = TestApp::start().await;
    let admin = app.admin();
    with_team(&app).await;

    let plan = apply(&admin, &application(RECIPE)).await;

    assert!(actions(&plan).iter().all(|step| step.starts_with("create")), "{plan}");
    assert_eq!(plan["warnings"], json!([]));
    let out = admin.get(&format!("{GATEWAY}/export")).await.expect(200);
    assert_eq!(out.text, RECIPE);
    let again = apply(&admin, &application(RECIPE)).await;
    assert!(actions(&again).iter().all(|step| step.starts_with("keep")), "{again}");
    let without_secrets = apply(&admin, &json!({"file": RECIPE})).await;
    assert!(actions(&without_secrets).iter().all(|step| step.starts_with("keep")), "stored secrets stay");

    let snapshot = app.handles.gateway.snapshot();
    let route = snapshot.route_for_model(&Actor::system("test"), "gpt-4o").unwrap();
    let order: Vec<_> =
        route.pool.members.iter().map(|member| (member.priority, member.backend.name.as_str())).collect();
    assert_eq!(order, [(1, "provisioned"), (2, "pay-as-you-go")]);
    assert_eq!(route.policies.len(), 3);
    let [provisioned, pay] =
        [0, 1].map(|at| snapshot.price(&route.pool.members[at].backend, "gpt-4o").unwrap().input.micros);
    assert_eq!((provisioned, pay), (0, 2_500_000), "what is paid for already costs nothing more");
}

#[tokio::test]
async fn a_plan_tells_what_would_change_and_changes_nothing() {
    let app = TestApp::start().await;
    let admin = app.admin();
    with_team(&app).await;
    apply(&admin, &application(RECIPE)).await;
    let mut body = application(RECIPE.replace("tokensPerMinute: 20000", "tokensPerMinute: 30000"));
    body["secrets"]["AZURE_PROVISIONED_KEY"] = "key-three".into();
    body["dryRun"] = true.into();

    let plan = apply(&admin, &body).await;

    let changed: Vec<_> = plan["steps"].as_array().unwrap().iter().filter(|step| step["action"] == "change").collect();
    assert_eq!(changed.len(), 2, "{plan}");
    assert_eq!((&changed[0]["name"], &changed[0]["changed"]), (&json!("azure-provisioned"), &json!(["secret"])));
    assert_eq!(changed[1]["changed"], json!(["rule.tokenLimit.tokensPerMinute"]));
    assert_eq!(admin.get(&format!("{GATEWAY}/export")).await.text, RECIPE);
}

#[tokio::test]
async fn pruning_takes_away_what_the_file_does_not_name_and_only_where_it_names_anything() {
    let app = TestApp::start().await;
    let admin = app.admin();
    with_team(&app).await;
    apply(&admin, &application(RECIPE)).await;
    let own = json!({"provider": "openai", "url": "https://team.example.com/v1"});
    admin.put(&format!("{GATEWAY}/backends/own?workspace=search-team"), &own).await.expect(201);
    let mut body = application(RECIPE.replace("  - name: search-team\n    rule:\n      tokenLimit:\n        counterKey: \"{workspace}\"\n        tokensPerMinute: 60000\n    reach: all\n    when:\n      workspaces: [search-team]\n", ""));

    let kept = apply(&admin, &body).await;
    assert!(!actions(&kept).iter().any(|step| step.starts_with("delete")));
    body["prune"] = true.into();
    let pruned = apply(&admin, &body).await;

    let gone: Vec<_> = actions(&pruned).into_iter().filter(|step| step.starts_with("delete")).collect();
    assert_eq!(gone, ["delete policy search-team"]);
    admin.get(&format!("{GATEWAY}/backends/own?workspace=search-team")).await.expect(200);
}

#[tokio::test]
async fn a_file_with_a_mistake_is_refused_whole_and_names_every_place() {
    let app = TestApp::start().await;
    let admin = app.admin();
    with_team(&app).await;

    let wrong = RECIPE.replace("backend: pay-as-you-go", "backend: payg").replace("soft: 800", "soft: 1800");
    let refused = admin.post(&format!("{GATEWAY}/apply"), &application(wrong)).await.expect(422);
    assert_eq!(places(&refused), ["pools[0].members[1].backend", "policies[2].rule.budget.soft"]);
    let unread = RECIPE.replace("period: month", "period: year");
    let refused = admin.post(&format!("{GATEWAY}/apply"), &application(unread)).await.expect(422);
    assert_eq!(places(&refused), ["policies[2].rule.budget.period"]);
    let refused = admin.post(&format!("{GATEWAY}/apply"), &application("a: [")).await.expect(422);
    assert!(places(&refused)[0].starts_with("line "), "{}", refused.text);
    let refused = admin.post(&format!("{GATEWAY}/apply"), &json!({"file": RECIPE})).await.expect(422);
    assert_eq!(places(&refused), ["credentials[0]", "credentials[1]"], "secrets that nobody gave");

    assert_eq!(admin.get(&format!("{GATEWAY}/export")).await.text, "{}\n");
}

#[tokio::test]
async fn the_published_schema_takes_the_recipe_and_refuses_what_is_no_setting() {
    let app = TestApp::start().await;
    let schema = app.stranger().get(&format!("{GATEWAY}/schema.json")).await.expect(200).json();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let recipe = wharfinger::wire::yaml::parse(RECIPE).unwrap().value;

    let errors: Vec<String> = validator.iter_errors(&recipe).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    for wrong in [
        json!({"backend": []}),
        json!({"backends": [{"name": "a"}]}),
        json!({"pools": [{"name": "a", "members": [], "typo": 1}]}),
        json!({"credentials": [{"name": "a", "apiKey": {"value": "x"}, "bearer": {"value": "y"}}]}),
    ] {
        assert!(!validator.is_valid(&wrong), "{wrong}");
    }
}

#[test]
fn the_committed_schema_is_the_one_that_is_published() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/gateway.schema.json");
    let current =
        format!("{:#}\n", wharfinger::api::gateway_schema("https://wharfinger.example.com/api/v1/gateway/schema.json"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&file, &current).unwrap();
    }

    let committed = std::fs::read_to_string(&file).unwrap_or_default();

    assert!(committed == current, "docs/gateway.schema.json is old; run the tests once with UPDATE_SNAPSHOTS=1");
}
