//! Service accounts: which there are, and their keys.

use super::NamePath;
use crate::auth::{Auth, KeyHolder, NewKey, NewServiceAccount, ServiceAccount};
use crate::base::Problem;
use crate::door::{Failure, Path};
use crate::web::fields::{Fields, is_input};
use crate::web::layout::{Layout, status_of, to, unkept_answer};
use askama::Template;
use axum::extract::State;
use axum::response::Response;

#[derive(Template)]
#[template(path = "admin/service_accounts.html")]
struct ServiceAccounts {
    layout: Layout,
    accounts: Vec<ServiceAccount>,
    issuers: Vec<String>,
    /// A key that was just made: of which account, and its text.
    made: Option<(String, String)>,
    problem: Option<Problem>,
}

/// `GET /admin/service-accounts`.
pub(in crate::web) async fn service_accounts(layout: Layout, State(auth): State<Auth>) -> Result<Response, Failure> {
    service_accounts_with(layout, &auth, None, None).await
}

async fn service_accounts_with(
    layout: Layout,
    auth: &Auth,
    made: Option<(String, String)>,
    problem: Option<Problem>,
) -> Result<Response, Failure> {
    let accounts = auth.service_accounts(&layout.actor, None).await?;
    let issuers = auth.issuers();
    let status = status_of(problem.as_ref());
    unkept_answer(&ServiceAccounts { layout, accounts, issuers, made, problem }, status)
}

/// `POST /admin/service-accounts`.
pub(in crate::web) async fn make_service_account(
    layout: Layout,
    State(auth): State<Auth>,
    fields: Fields,
) -> Result<Response, Failure> {
    let new = NewServiceAccount {
        name: fields.get("name").to_owned(),
        description: fields.get("description").to_owned(),
        workspace: None,
        subject: fields.filled("subject").map(|subject| (fields.get("issuer").to_owned(), subject)),
    };
    match auth.create_service_account(&layout.actor, new).await {
        Ok(_) => Ok(to("/admin/service-accounts")),
        Err(problem) if is_input(&problem) => service_accounts_with(layout, &auth, None, Some(problem)).await,
        Err(problem) => Err(Failure(problem)),
    }
}

/// `POST /admin/service-accounts/{name}/key`: makes a key of the account and shows it.
pub(in crate::web) async fn key_of_service_account(
    layout: Layout,
    State(auth): State<Auth>,
    Path(path): Path<NamePath>,
) -> Result<Response, Failure> {
    let account = auth.service_account(&layout.actor, &path.name).await?;
    let new = NewKey {
        name: path.name.clone(),
        holder: KeyHolder::ServiceAccount(account.service_account_id),
        scopes: Vec::new(),
        expires_at: None,
    };
    let (_, secret) = auth.create_key(&layout.actor, new).await?;
    let made = (account.name, secret.reveal().to_owned());
    service_accounts_with(layout, &auth, Some(made), None).await
}

/// `POST /admin/service-accounts/{name}/disable` and `.../enable`.
pub(in crate::web) async fn disable_service_account(
    layout: Layout,
    State(auth): State<Auth>,
    Path(path): Path<NamePath>,
) -> Result<Response, Failure> {
    auth.set_service_account_disabled(&layout.actor, &path.name, true).await?;
    Ok(to("/admin/service-accounts"))
}

pub(in crate::web) async fn enable_service_account(
    layout: Layout,
    State(auth): State<Auth>,
    Path(path): Path<NamePath>,
) -> Result<Response, Failure> {
    auth.set_service_account_disabled(&layout.actor, &path.name, false).await?;
    Ok(to("/admin/service-accounts"))
}
