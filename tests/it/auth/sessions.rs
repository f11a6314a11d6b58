//! Sessions: their cookies, their ends, and what keeps others from using them.

use crate::support::{Browser, IdentityProvider, TestApp};
use std::time::Duration;

async fn with_a_key(app: &TestApp) -> Browser {
    let mut browser = Browser::new();
    let page = browser.open(&format!("{}/signin", app.url)).await.expect(200);
    browser.send(&page, "/signin", &[("key", &app.admin_key)]).await.expect(200);
    browser
}

async fn status(app: &TestApp, browser: &mut Browser) -> u16 {
    browser.step(reqwest::Method::GET, &format!("{}/api/v1/me", app.url), None, &[]).await.status
}

#[tokio::test]
async fn a_session_is_new_at_each_sign_in_and_over_after_signing_out() {
    let app = TestApp::start().await;
    let mut browser = with_a_key(&app).await;
    let first = browser.session(&app.url).unwrap().to_owned();
    let mut visitor = Browser::new();
    let page = visitor.open(&format!("{}/signin", app.url)).await;
    visitor.send_once(&page, "/signin", &[("key", &app.admin_key)]).await.expect(303);
    let line = visitor.set.iter().find(|line| line.starts_with("wharfinger-session=")).unwrap();
    assert!(line.contains("; Path=/; HttpOnly; SameSite=Lax"), "{line}");

    let (mut stolen, page) = (browser.clone(), browser.open(&app.url).await);
    assert_eq!(status(&app, &mut browser).await, 200);
    browser.send(&page, "/sign-out", &[]).await.expect(200);

    assert_eq!(browser.session(&app.url), None);
    assert_eq!(status(&app, &mut stolen).await, 401, "the same cookie, kept by somebody");
    let again = with_a_key(&app).await;
    assert_ne!(again.session(&app.url).unwrap(), first);
    let mut conn = app.handles.db.write.acquire().await.unwrap();
    let kept: Vec<Vec<u8>> = sqlx::query_scalar("select token_hash from session").fetch_all(&mut *conn).await.unwrap();
    assert!(kept.len() == 3 && kept.iter().all(|hash| hash.len() == 32));
}

#[tokio::test]
async fn a_session_ends_when_it_rests_too_long_and_when_it_is_too_old() {
    let settings = [("WHARFINGER_SESSION_IDLE_TIMEOUT", "1h"), ("WHARFINGER_SESSION_LIFETIME", "3h")];
    let app = TestApp::start_with(&settings, wharfinger::embed::Embedder::hashed()).await;
    let mut busy = with_a_key(&app).await;
    let mut idle = with_a_key(&app).await;

    for _ in 0..4 {
        app.clock.advance(Duration::from_secs(40 * 60));
        assert_eq!(status(&app, &mut busy).await, 200);
        // What was noted beside the request is noted before time goes on.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(status(&app, &mut idle).await, 401);
    app.clock.advance(Duration::from_secs(40 * 60));

    assert_eq!(status(&app, &mut busy).await, 401, "three hours are over");
}

#[tokio::test]
async fn a_session_begun_with_a_key_ends_with_the_key() {
    let app = TestApp::start().await;
    let mut browser = with_a_key(&app).await;
    let admin = app.actor(&app.admin()).await;
    let keys = app.handles.auth.keys(&admin, None).await.unwrap();

    app.handles.auth.revoke_key(&admin, keys[0].key_id).await.unwrap();

    assert_eq!(status(&app, &mut browser).await, 401);
}

#[tokio::test]
async fn nobody_else_can_send_a_form_in_somebodys_name() {
    let app = TestApp::start().await;
    let mut browser = with_a_key(&app).await;
    let page = browser.open(&app.url).await;
    let token = page.hidden("/sign-out").iter().find(|(name, _)| name == "csrf").unwrap().1.clone();
    let url = format!("{}/preferences/theme", app.url);
    let fields = |token: &str| vec![("theme".to_owned(), "dark".to_owned()), ("csrf".to_owned(), token.to_owned())];
    let own = [("sec-fetch-site", "same-origin")];

    for (token, headers, expected) in [
        (token.as_str(), &own[..], 303),
        ("", &own[..], 403),
        ("AAAA", &own[..], 403),
        (&token, &[("sec-fetch-site", "cross-site")][..], 403),
        (&token, &[("origin", "https://evil.example")][..], 403),
        (&token, &[("origin", "null")][..], 403),
    ] {
        let fields = fields(token);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let seen = browser.clone().step(reqwest::Method::POST, &url, Some(&fields), headers).await;
        assert_eq!(seen.status, expected, "{token} {headers:?}: {}", seen.text);
    }
    // A form that signs the visitor in as somebody else comes without any session.
    let mut visitor = Browser::new();
    let evil = [("origin", "https://evil.example")];
    let seen = visitor.step(reqwest::Method::POST, &format!("{}/signin", app.url), Some(&[("key", "x")]), &evil).await;
    assert_eq!(seen.status, 403);
}

#[tokio::test]
async fn the_api_takes_a_session_for_writes_only_from_our_own_pages() {
    let app = TestApp::start().await;
    let browser = with_a_key(&app).await;
    let cookie = format!("wharfinger-session={}", browser.session(&app.url).unwrap());
    let token = wharfinger::auth::SessionToken::parse(browser.session(&app.url).unwrap()).unwrap().form_token();
    let write = |headers: &[(&str, &str)]| {
        let body = r#"{"name":"of-a-script","title":"Of a script"}"#;
        let mut request = app.http.post(format!("{}/api/v1/workspaces", app.url)).header("cookie", &cookie);
        request = request.header("content-type", "application/json").body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send()
    };

    for headers in [
        &[("sec-fetch-site", "same-origin")][..],
        &[("sec-fetch-site", "cross-site"), ("x-csrf-token", token.as_str())],
        &[("sec-fetch-site", "same-origin"), ("x-csrf-token", "wrong")],
        &[("origin", "https://evil.example"), ("x-csrf-token", token.as_str())],
    ] {
        assert_eq!(write(headers).await.unwrap().status().as_u16(), 403, "{headers:?}");
    }
    let own = [("sec-fetch-site", "same-origin"), ("x-csrf-token", token.as_str())];
    assert_eq!(write(&own).await.unwrap().status().as_u16(), 201);
}

#[tokio::test]
async fn signing_out_leads_to_the_provider_and_a_message_from_there_ends_sessions() {
    let Some(provider) = IdentityProvider::start().await else { return };
    let app = provider.app(&[]).await;
    let mut anna = Browser::new();
    let page = anna.sign_in(&app.url, "anna").await.expect(200);
    let there = anna.send_once(&page, "/sign-out", &[]).await.expect(200);
    let there = there.headers["refresh"].to_str().unwrap().to_owned();
    let place = format!("0; url={}/session/end?", provider.issuer);
    assert!(there.starts_with(&place) && there.contains("id_token_hint="), "{there}");
    assert_eq!(anna.session(&app.url), None);

    let mut other = Browser::new();
    other.sign_in(&app.url, "anna").await.expect(200);
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let claims = |change: serde_json::Value| {
        let mut all = serde_json::json!({"iss": provider.issuer, "sub": "anna", "aud": "wharfinger", "iat": now, "exp": now + 60,
            "jti": "1", "events": {"http://schemas.openid.net/event/backchannel-logout": {}}});
        all.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        all
    };
    let typed = serde_json::json!({"typ": "logout+jwt"});
    let none = serde_json::json!({});
    for (header, claims, key) in [
        (none.clone(), claims(none.clone()), "own"),
        (typed.clone(), claims(none.clone()), "other"),
        (typed.clone(), claims(serde_json::json!({"nonce": "x"})), "own"),
        (typed.clone(), claims(serde_json::json!({"events": {}})), "own"),
        (typed.clone(), claims(serde_json::json!({"aud": "else"})), "own"),
    ] {
        let token = provider.sign(header, claims, key).await;
        assert_eq!(tell(&app, &token).await, 400);
    }
    assert_eq!(status(&app, &mut other).await, 200);

    assert_eq!(tell(&app, &provider.sign(typed, claims(none), "own").await).await, 200);

    assert_eq!(status(&app, &mut other).await, 401);
}

#[tokio::test]
async fn a_message_of_the_provider_may_name_a_session_and_nobody() {
    let Some(provider) = IdentityProvider::start().await else { return };
    let app = provider.app(&[]).await;
    let (mut desk, mut phone) = (Browser::new(), Browser::new());
    for (browser, sid) in [(&mut desk, "desk"), (&mut phone, "phone")] {
        browser.sign_in(&app.url, "anna").await.expect(200);
        // As a provider names its sessions that was asked to (`sid` of the ID token).
        sqlx::query("update session set provider_session = $1 where provider_session is null")
            .bind(sid)
            .execute(&app.handles.db.write)
            .await
            .unwrap();
    }
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let claims = |change: serde_json::Value| {
        let mut all = serde_json::json!({"iss": provider.issuer, "aud": "wharfinger", "iat": now, "exp": now + 60,
            "jti": "1", "events": {"http://schemas.openid.net/event/backchannel-logout": {}}});
        all.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        all
    };
    let signed = async |change: serde_json::Value| {
        provider.sign(serde_json::json!({"typ": "logout+jwt"}), claims(change), "own").await
    };

    for neither in
        [serde_json::json!({}), serde_json::json!({"sid": ""}), serde_json::json!({"sub": "", "sid": "desk"})]
    {
        assert_eq!(tell(&app, &signed(neither).await).await, 400);
    }
    assert_eq!(tell(&app, &signed(serde_json::json!({"sid": "desk"})).await).await, 200);

    assert_eq!(status(&app, &mut desk).await, 401);
    assert_eq!(status(&app, &mut phone).await, 200, "another session of the same person goes on");
}

async fn tell(app: &TestApp, token: &str) -> u16 {
    let request = app.http.post(format!("{}/auth/backchannel-logout/oidc", app.url));
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    request.body(format!("logout_token={token}")).send().await.unwrap().status().as_u16()
}
