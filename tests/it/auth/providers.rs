//! Signing in with an identity provider: who comes in, with which groups, and what is refused on the way.

use crate::support::{Browser, IdentityProvider, Seen, TestApp};
use serde_json::json;
use wharfinger::auth::{Actor, HolderName, Role, Scope};
use wharfinger::base::Slug;

/// What the service says of who is behind a browser.
async fn me(app: &TestApp, browser: &mut Browser) -> serde_json::Value {
    let seen = browser.step(reqwest::Method::GET, &format!("{}/api/v1/me", app.url), None, &[]).await;
    serde_json::from_str(&seen.expect(200).text).unwrap()
}

/// The page refuses, says what to do, and nobody is signed in.
#[track_caller]
fn assert_refused(app: &TestApp, browser: &Browser, seen: &Seen, status: u16, says: &str) {
    assert_eq!(seen.status, status, "{}", seen.text);
    for text in [says, "What would help", "Request"] {
        assert!(seen.text.contains(text), "{text} is missing in {}", seen.text);
    }
    assert_eq!(browser.session(&app.url), None);
    assert!(!browser.set.iter().any(|line| line.contains("wharfinger-session=")), "{:?}", browser.set);
}

#[tokio::test]
async fn a_role_given_to_a_group_of_the_provider_counts_for_who_signs_in() {
    let Some(provider) = IdentityProvider::start().await else { return };
    let app = provider.app(&[]).await;
    let system = Actor::system("test");
    let team = app.handles.catalog.ensure_workspace(&system, &Slug::parse("team").unwrap(), "Team").await.unwrap();
    app.admin()
        .post("/api/v1/workspaces/team/assets", &json!({"name": "plans", "kind": "rest", "visibility": "private"}))
        .await
        .expect(201);
    let mut anna = Browser::new();

    let page = anna.sign_in(&app.url, "anna").await.expect(200);
    assert_eq!(page.url.path(), "/");
    assert!(page.text.contains("<span class=\"who\">anna</span>"), "{}", page.text);
    let known = me(&app, &mut anna).await;
    assert_eq!((&known["name"], &known["groups"]), (&json!("anna"), &json!(["harbour", "pilots"])));
    let plans = format!("{}/api/v1/workspaces/team/assets/plans", app.url);
    anna.open(&plans).await.expect(404);

    let scope = Scope::Workspace(team.workspace_id);
    let pilots = HolderName::Group("pilots".into());
    app.handles.auth.assign_role(&system, Role::Reader, &pilots, scope, None).await.unwrap();
    anna.open(&plans).await.expect(200);

    // She leaves the group at the provider; the next sign-in tells us.
    provider.control("user?name=anna", &json!({"groups": ["harbour"]})).await;
    anna.sign_in(&app.url, "anna").await.expect(200);
    assert_eq!(me(&app, &mut anna).await["groups"], json!(["harbour"]));
    anna.open(&plans).await.expect(404);
}

#[tokio::test]
async fn an_answer_counts_once_and_in_the_browser_that_asked() {
    let Some(provider) = IdentityProvider::start().await else { return };
    let app = provider.app(&[]).await;

    let (mut anna, mut stranger) = (Browser::new(), Browser::new());
    let back = anna.reach_callback(&app.url, "anna").await;
    let seen = stranger.open(&back).await;
    assert_refused(&app, &stranger, &seen, 400, "in the same browser");
    // A stranger with a sign-in of his own under way cannot take hers over either.
    stranger.reach_callback(&app.url, "ben").await;
    let seen = stranger.open(&back).await;
    assert_refused(&app, &stranger, &seen, 400, "in the same browser");

    let first = anna.open(&back).await;
    assert_eq!(first.status, 200, "{}", first.text);
    let mut again = anna.clone();
    again.cookies.values_mut().for_each(|jar| drop(jar.remove("wharfinger-session")));
    let seen = again.open(&back).await;
    assert_refused(&app, &again, &seen, 400, "Start again at the sign-in page");

    let mut bent = Browser::new();
    let back = bent.reach_callback(&app.url, "anna").await;
    let seen = bent.open(&back.replace("state=", "state=x")).await;
    assert_refused(&app, &bent, &seen, 400, "Start again at the sign-in page");
}

#[tokio::test]
async fn what_a_provider_says_wrongly_is_not_believed() {
    let Some(provider) = IdentityProvider::start().await else { return };
    let app = provider.app(&[]).await;

    for (mode, says) in [
        ("wrong-nonce", "claim nonce"),
        ("foreign-key", "signature does not fit"),
        ("expired", "has expired"),
        ("wrong-answer-issuer", "another issuer"),
        ("no-iss", "another issuer"),
    ] {
        provider.behave(mode).await;
        let mut anna = Browser::new();
        let seen = anna.sign_in(&app.url, "anna").await;
        assert_refused(&app, &anna, &seen, 400, says);
    }
    provider.behave("ok").await;
    let mut anna = Browser::new();
    let back = anna.reach_callback(&app.url, "anna").await;
    let mut code = url::Url::parse(&back).unwrap();
    let pairs: Vec<_> = code.query_pairs().into_owned().collect();
    code.query_pairs_mut().clear();
    for (name, value) in pairs {
        let value = if name == "code" { "of-somebody-else".to_owned() } else { value };
        code.query_pairs_mut().append_pair(&name, &value);
    }
    let seen = anna.open(code.as_str()).await;
    assert_refused(&app, &anna, &seen, 400, "did not accept the answer");
    let denied = anna.reach_callback(&app.url, "anna").await.replace("code=", "error=access_denied&amp;x=");
    let seen = anna.open(&denied).await;
    assert_refused(&app, &anna, &seen, 403, "did not sign you in");
}

#[tokio::test]
async fn a_provider_that_is_away_is_told_of_and_ends_no_session() {
    let Some(provider) = IdentityProvider::start().await else { return };
    let app = provider.app(&[("WHARFINGER_OIDC_TIMEOUT", "700ms")]).await;
    let mut anna = Browser::new();
    anna.sign_in(&app.url, "anna").await.expect(200);

    for mode in ["down", "hang", "slow"] {
        provider.behave("ok").await;
        let mut ben = Browser::new();
        let back = ben.reach_callback(&app.url, "ben").await;
        provider.behave(mode).await;
        let begun = std::time::Instant::now();
        let seen = ben.open(&back).await;
        assert_refused(&app, &ben, &seen, 503, "does not answer, or not in time");
        assert!(begun.elapsed().as_secs_f32() < 3.0, "{mode}: {:?}", begun.elapsed());
        assert!(seen.headers.contains_key("retry-after"));
        assert_eq!(me(&app, &mut anna).await["name"], "anna", "{mode}");
    }
    let mut admin = Browser::new();
    let page = admin.open(&format!("{}/signin", app.url)).await.expect(200);
    admin.send(&page, "/signin", &[("key", &app.admin_key)]).await.expect(200);
    assert_eq!(me(&app, &mut admin).await["sight"]["everything"], true);
}

#[tokio::test]
async fn a_provider_that_was_never_reached_is_told_of_at_the_first_step() {
    let Some(provider) = IdentityProvider::start().await else { return };
    for (mode, status, says) in [("down", 503, "does not answer"), ("wrong-issuer", 400, "names another issuer")] {
        let app = provider.app(&[("WHARFINGER_OIDC_TIMEOUT", "700ms")]).await;
        provider.behave(mode).await;
        let mut anna = Browser::new();
        let seen = anna.open(&format!("{}/auth/start/oidc", app.url)).await;
        assert_refused(&app, &anna, &seen, status, says);
        let ready = app.stranger().get("/readyz").await.expect(200).json();
        assert_eq!(ready["status"], "degraded");
        assert!(ready["degraded"].as_array().unwrap().iter().any(|one| one["part"] == "identity-provider"), "{ready}");
        assert!(app.stranger().get("/status").await.expect(200).text.contains("nobody new signs in there"));
        provider.behave("ok").await;
    }
    for mode in ["bad-keys", "huge-keys"] {
        let app = provider.app(&[]).await;
        let mut anna = Browser::new();
        let back = anna.reach_callback(&app.url, "anna").await;
        provider.behave(mode).await;
        let seen = anna.open(&back).await;
        assert_ne!(seen.status, 200, "{mode}");
        assert_eq!(anna.session(&app.url), None, "{mode}");
        provider.behave("ok").await;
    }
}

#[tokio::test]
async fn new_keys_of_the_provider_are_found_and_old_ones_forgotten() {
    let Some(provider) = IdentityProvider::start().await else { return };
    let app = provider.app(&[]).await;
    Browser::new().sign_in(&app.url, "anna").await.expect(200);
    assert_eq!(provider.asked("/jwks").await, 1);

    provider.control("keys", &json!(null)).await;
    Browser::new().sign_in(&app.url, "ben").await.expect(200);
    assert_eq!(provider.asked("/jwks").await, 2);

    // New ones once more, at once: a flood of unknown keys must not cost the provider a fetch each.
    provider.control("keys", &json!(null)).await;
    let mut ben = Browser::new();
    let seen = ben.sign_in(&app.url, "ben").await;
    assert_refused(&app, &ben, &seen, 400, "no key of the issuer");
    assert_eq!(provider.asked("/jwks").await, 2);
}

#[tokio::test]
async fn somebody_with_the_same_address_is_somebody_else() {
    let Some(provider) = IdentityProvider::start().await else { return };
    let app = provider.app(&[]).await;
    let (mut anna, mut mallory) = (Browser::new(), Browser::new());

    anna.sign_in(&app.url, "anna").await.expect(200);
    mallory.sign_in(&app.url, "mallory").await.expect(200);

    assert_eq!(me(&app, &mut mallory).await["name"], "mallory");
    assert_eq!(me(&app, &mut mallory).await["groups"], json!([]));
    provider.control("user?name=ben", &json!({"preferred_username": "anna"})).await;
    let mut ben = Browser::new();
    ben.sign_in(&app.url, "ben").await.expect(200);
    assert_eq!(me(&app, &mut ben).await["name"], "anna-2");
}

#[tokio::test]
async fn the_way_back_never_leads_to_another_site() {
    let Some(provider) = IdentityProvider::start().await else { return };
    let app = provider.app(&[]).await;

    for (next, there) in
        [("//evil.example", "/"), ("/%5Cevil.example", "/"), ("https:evil.example", "/"), ("/about", "/about")]
    {
        let mut anna = Browser::new();
        let back = anna.reach_callback_from(&app.url, &format!("/auth/start/oidc?next={next}"), "anna").await;
        let seen = anna.step(reqwest::Method::GET, &back, None, &[]).await.expect(303);
        assert_eq!(seen.headers["location"], there, "{next}");
    }
}

#[tokio::test]
async fn a_disabled_account_is_out_at_once_and_stays_out() {
    let Some(provider) = IdentityProvider::start().await else { return };
    let app = provider.app(&[]).await;
    let admin = app.actor(&app.admin()).await;
    let mut anna = Browser::new();
    anna.sign_in(&app.url, "anna").await.expect(200);

    app.handles.auth.set_user_disabled(&admin, "anna", true).await.unwrap();
    let answer = anna.step(reqwest::Method::GET, &format!("{}/api/v1/me", app.url), None, &[]).await;
    assert_eq!(answer.status, 401);
    let mut again = Browser::new();
    let seen = again.sign_in(&app.url, "anna").await;
    assert_refused(&app, &again, &seen, 403, "disabled by an administrator");

    app.handles.auth.set_user_disabled(&admin, "anna", false).await.unwrap();
    again.sign_in(&app.url, "anna").await.expect(200);
}

#[tokio::test]
async fn groups_follow_while_the_session_goes_on_and_end_with_the_grant() {
    let Some(provider) = IdentityProvider::start().await else { return };
    let app = provider.app(&[("WHARFINGER_OIDC_PROMPT", "consent"), ("WHARFINGER_SESSION_REFRESH", "1s")]).await;
    let mut anna = Browser::new();
    anna.sign_in(&app.url, "anna").await.expect(200);

    provider.control("user?name=anna", &json!({"groups": ["dredgers"]})).await;
    let mut groups = json!(null);
    for _ in 0..100 {
        groups = me(&app, &mut anna).await["groups"].clone();
        if groups == json!(["dredgers"]) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }

    assert_eq!(groups, json!(["dredgers"]));
}
