//! The audit record: complete, in the transaction of the deed, and found out when somebody changes it.

mod chain;
mod recording;

use crate::support::TestApp;
use serde_json::json;
use sqlx::AssertSqlSafe;
use wharfinger::audit::chain::Verdict;
use wharfinger::auth::Actor;

/// Registers assets of these names, each an audited deed.
async fn register(app: &TestApp, names: &[&str]) {
    for name in names {
        let body = json!({"name": name, "title": name, "kind": "rest"});
        app.admin().post("/api/v1/workspaces/default/assets", &body).await.expect(201);
    }
}

/// What an auditor is told.
async fn verdict(app: &TestApp) -> Verdict {
    app.handles.audit_trail.verify(&Actor::system("auditor")).await.unwrap()
}

/// What somebody does who rules the database: past the triggers that keep the application from it.
async fn tamper(app: &TestApp, statements: &str) {
    let script = format!("begin; set local session_replication_role = replica; {statements}; commit");
    sqlx::raw_sql(AssertSqlSafe(script)).execute(&app.handles.db.write).await.unwrap();
}
