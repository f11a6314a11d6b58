//! The page of usage: what it is narrowed to stays on the way, and is left again.

use crate::support::TestApp;

#[tokio::test]
async fn what_usage_is_narrowed_to_stays_on_the_way() {
    let app = TestApp::start().await;
    let page = app.admin().get("/gateway/usage?range=7d&by=route&model=fast&key=a%26b").await.expect(200);

    let text = page.text.replace("&#38;", "&");

    for expected in [
        "/gateway/usage?range=90d&by=route&key=a%26b&model=fast",
        "/gateway/usage?range=7d&by=route&key=a%26b\"",
        "/gateway/usage?range=7d&by=route&model=fast\"",
    ] {
        assert!(text.contains(&format!("href=\"{expected}")), "{expected} in {text}");
    }
    let csv = text.split("href=\"/api/v1/gateway/usage/chargeback?").nth(1).unwrap().split('"').next().unwrap();
    assert!(csv.ends_with("&key=a%26b&model=fast"), "{csv}");
    let csv = app.admin().get(&format!("/api/v1/gateway/usage/chargeback?{csv}")).await.expect(200);
    assert!(csv.text.starts_with("day,workspace,key"), "{}", csv.text);
}
