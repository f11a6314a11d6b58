//! The form of credentials: what is written in it is used, and never comes back.

use super::editing::{form_sent, value};
use super::secrets::would_send;
use super::{GATEWAY, backend};
use crate::support::TestApp;
use serde_json::json;
use wharfinger::auth::Role;

const CANARY: &str = "CANARY-1d9e77ab";

#[tokio::test]
async fn a_credential_is_made_used_changed_and_deleted_by_its_form() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let form = admin.get("/gateway/credentials/new").await.expect(200).text;
    assert!(form.contains("type=\"password\"") && form.contains("the instance, for everybody"), "{form}");
    let new = [("name", "vendor"), ("workspace", ""), ("kind", "apiKey"), ("secret", CANARY), ("do", "save")];
    let listed = form_sent(&admin, "credentials", &new).await.expect(200).text;
    assert!(listed.contains("id=\"credential-vendor\"") && !listed.contains(CANARY), "{listed}");
    let mut settings = backend("a");
    settings["credential"] = "vendor".into();
    admin.put(&format!("{GATEWAY}/backends/vendor"), &settings).await.expect(201);
    assert_eq!(would_send(&app.handles.gateway, "vendor").await.as_deref(), Some(CANARY));

    // Another sort, and the secret as it was.
    let form = admin.get("/gateway/credentials/edit?name=vendor").await.expect(200).text;
    assert!(form.contains("used by vendor") && !form.contains(CANARY), "{form}");
    assert_eq!(value(&form, "kind"), "apiKey");
    assert!(!form.contains("id=\"secret\" name=\"secret\" type=\"password\" value"), "{form}");
    let revision = value(&form, "revision");
    let stored = [("name", "vendor"), ("workspace", ""), ("revision", &*revision)];
    let bearer = [&stored[..], &[("kind", "bearer"), ("secret", ""), ("do", "save")]].concat();
    form_sent(&admin, "credentials", &bearer).await.expect(200);
    assert_eq!(would_send(&app.handles.gateway, "vendor").await.as_deref(), Some(CANARY));
    let kept = admin.get(&format!("{GATEWAY}/credentials/vendor")).await.expect(200).json();
    assert!(kept["settings"]["bearer"].is_object(), "{kept}");

    // By an old form nothing is saved.
    let late = form_sent(&admin, "credentials", &bearer).await;
    assert!(late.status == 412 && late.text.contains("Changed meanwhile"), "{} {}", late.status, late.text);
    let form = admin.get("/gateway/credentials/edit?name=vendor").await.expect(200).text;
    let revision = value(&form, "revision");
    let delete = [("name", "vendor"), ("workspace", ""), ("revision", &*revision), ("do", "delete")];
    let refused = form_sent(&admin, "credentials", &delete).await;
    assert!(refused.status == 409 && refused.text.contains("Not saved"), "{} {}", refused.status, refused.text);
    admin.delete(&format!("{GATEWAY}/backends/vendor")).await.expect(204);
    form_sent(&admin, "credentials", &delete).await.expect(200);
    admin.get(&format!("{GATEWAY}/credentials/vendor")).await.expect(404);
}

#[tokio::test]
async fn what_is_wrong_stands_beside_its_field_and_the_secret_does_not() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let of = |kind: &'static str, more: &[(&'static str, &'static str)]| {
        [&[("name", "vendor"), ("workspace", ""), ("kind", kind), ("secret", CANARY), ("do", "save")], more].concat()
    };
    for (fields, field) in [
        (of("bearer", &[("header", "x-key")]), "header"),
        (of("apiKey", &[("header", "no header")]), "header"),
        (of("clientCredentials", &[("tokenUrl", "https://login.example.com/token")]), "clientId"),
        (of("clientCredentials", &[("clientId", "a")]), "tokenUrl"),
        (
            of(
                "clientCredentials",
                &[("clientId", "a"), ("tokenUrl", "https://login.example.com/t"), ("parameters", "audience")],
            ),
            "parameters",
        ),
        (of("key", &[]), "kind"),
        (vec![("name", "vendor"), ("workspace", ""), ("kind", "bearer"), ("do", "save")], "secret"),
        (
            vec![("name", "Not a name"), ("workspace", ""), ("kind", "bearer"), ("secret", CANARY), ("do", "save")],
            "name",
        ),
    ] {
        let answer = form_sent(&admin, "credentials", &fields).await.expect(422);
        assert!(answer.text.contains(&format!("id=\"{field}-wrong\"")), "{fields:?}: {}", answer.text);
        assert!(!answer.text.contains(CANARY), "{}", answer.text);
    }
    admin.get(&format!("{GATEWAY}/credentials/vendor")).await.expect(404);

    let whole = of(
        "clientCredentials",
        &[
            ("clientId", "gateway"),
            ("tokenUrl", "https://login.example.com/token"),
            ("scopes", "models more"),
            ("parameters", "audience: https://models.example.com"),
        ],
    );
    form_sent(&admin, "credentials", &whole).await.expect(200);
    let taken = form_sent(&admin, "credentials", &whole).await.expect(422);
    assert!(taken.text.contains("this name is taken"), "{}", taken.text);
    let form = admin.get("/gateway/credentials/edit?name=vendor").await.expect(200).text;
    assert_eq!(value(&form, "scopes"), "models more");
    assert!(form.contains("audience: https://models.example.com"), "{form}");
    let stored = admin.get(&format!("{GATEWAY}/credentials/vendor")).await.expect(200).json();
    let parameters = &stored["settings"]["clientCredentials"]["parameters"];
    assert_eq!(*parameters, json!({"audience": "https://models.example.com"}));
}

#[tokio::test]
async fn credentials_are_for_those_who_look_after_them() {
    let app = TestApp::start().await;
    let local = app.member(Role::Administrator, "team").await;
    let publisher = app.member(Role::Publisher, "team").await;
    let of = |workspace: &'static str| {
        [("name", "vendor"), ("workspace", workspace), ("kind", "bearer"), ("secret", CANARY), ("do", "save")]
    };

    publisher.get("/gateway/credentials/new").await.expect(403);
    form_sent(&publisher, "credentials", &of("team")).await.expect(403);
    app.stranger().get("/gateway/credentials/new").await.expect(401);
    form_sent(&local, "credentials", &of("")).await.expect(403);
    form_sent(&local, "credentials", &of("team")).await.expect(200);
    form_sent(&app.admin(), "credentials", &of("")).await.expect(200);

    local.get("/gateway/credentials/edit?name=vendor").await.expect(403);
    let listed = local.get("/gateway/backends").await.expect(200).text;
    assert!(
        listed.contains("id=\"credential-team.vendor\"") && !listed.contains("id=\"credential-vendor\""),
        "{listed}"
    );
    assert!(!publisher.get("/gateway/backends").await.expect(200).text.contains("Credentials"));
}
