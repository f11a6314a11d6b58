//! Local users: invited by an administrator, with a password of their own, and safe from guessing.

use crate::support::{Browser, TestApp};
use std::time::Duration;
use wharfinger::auth::NewUser;

const PASSWORD: &str = "four words of harbour";

async fn invite(app: &TestApp, name: &str) -> String {
    let admin = app.actor(&app.admin()).await;
    let new = NewUser { name: name.to_owned(), ..NewUser::default() };
    let invited = app.handles.auth.invite(&admin, new).await.unwrap();
    format!("{}/invitation?token={}", app.url, invited.token.reveal())
}

async fn accept(link: &str, password: &str) -> (Browser, crate::support::Seen) {
    let mut browser = Browser::new();
    let page = browser.open(link).await.expect(200);
    let seen = browser.send_once(&page, "/invitation", &[("password", password), ("again", password)]).await;
    (browser, seen)
}

async fn sign_in(app: &TestApp, name: &str, password: &str) -> (Browser, crate::support::Seen) {
    let mut browser = Browser::new();
    let page = browser.open(&format!("{}/signin", app.url)).await.expect(200);
    let seen = browser.send_once(&page, "/signin", &[("name", name), ("password", password)]).await;
    (browser, seen)
}

#[tokio::test]
async fn an_invitation_works_once_for_a_week_and_until_the_next() {
    let app = TestApp::start().await;
    let replaced = invite(&app, "anna").await;
    let link = invite(&app, "anna").await;
    Browser::new().open(&replaced).await.expect(404);

    let (_, seen) = accept(&link, "short").await;
    assert_eq!(seen.status, 422);
    let (browser, seen) = accept(&link, PASSWORD).await;
    assert_eq!(seen.status, 303, "{}", seen.text);
    assert!(browser.session(&app.url).is_some());

    Browser::new().open(&link).await.expect(404);
    let late = invite(&app, "ben").await;
    app.clock.advance(Duration::from_secs(7 * 24 * 3600));
    Browser::new().open(&late).await.expect(404);
    let (browser, seen) = sign_in(&app, "anna", PASSWORD).await;
    assert_eq!(seen.status, 303, "{}", seen.text);
    assert!(browser.session(&app.url).is_some());
}

#[tokio::test]
async fn a_stranger_learns_nothing_of_who_is_here() {
    let app = TestApp::start().await;
    accept(&invite(&app, "anna").await, PASSWORD).await;
    invite(&app, "without").await;

    let mut pages = Vec::new();
    for (name, password) in
        [("anna", "a wrong password"), ("nobody", "a wrong password"), ("without", "a wrong password")]
    {
        let (browser, seen) = sign_in(&app, name, password).await;
        assert_eq!((seen.status, browser.session(&app.url)), (401, None));
        let request = seen.headers["x-request-id"].to_str().unwrap();
        pages.push(seen.text.replace(request, "R").replace(&format!("value=\"{name}\""), "value=\"N\""));
    }

    assert_eq!(pages[0], pages[1]);
    assert_eq!(pages[0], pages[2]);
}

#[tokio::test]
async fn guessing_is_slowed_down_for_the_guessed_alone() {
    let app = TestApp::start().await;
    for name in ["anna", "ben"] {
        accept(&invite(&app, name).await, PASSWORD).await;
    }

    let mut refused = 0;
    for _ in 0..200 {
        let (_, seen) = sign_in(&app, "anna", "a wrong password").await;
        if seen.status == 429 {
            refused += 1;
            assert!(seen.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 15 * 60);
        }
    }

    assert_eq!(refused, 190);
    assert_eq!(sign_in(&app, "anna", PASSWORD).await.1.status, 429, "also with the right one, or guessing would go on");
    assert_eq!(sign_in(&app, "ben", PASSWORD).await.1.status, 303);
    app.clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(sign_in(&app, "anna", PASSWORD).await.1.status, 303);
}
