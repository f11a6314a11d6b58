//! Webhooks of a workspace: who is told of what, and what became of it.

use super::answer;
use super::assets::WorkspacePath;
use super::paging::{All, Paging};
use crate::base::{DeliveryId, Page, Problem, WebhookId};
use crate::door::{Caller, Failure, Json, Path, PublicUrl, Query, segment};
use crate::webhook::{Delivery, NewWebhook, Webhook, WebhookPatch, Webhooks};
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Deserialize)]
pub struct WebhookPath {
    workspace: String,
    webhook: String,
}

#[derive(Debug, Deserialize)]
pub struct DeliveryPath {
    workspace: String,
    webhook: String,
    delivery: String,
}

fn webhook_id(text: &str) -> Result<WebhookId, Problem> {
    text.parse().map_err(|_| Problem::not_found("This workspace has no webhook of this id."))
}

fn delivery_id(text: &str) -> Result<DeliveryId, Problem> {
    text.parse().map_err(|_| Problem::not_found("This webhook has no delivery of this id."))
}

/// A webhook and its secret, shown once.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewWebhookSecret {
    #[serde(flatten)]
    webhook: Webhook,
    /// With which events are signed; in no later answer.
    secret: String,
}

/// A secret, shown once.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookSecret {
    /// With which events are signed; the one before signs too for a day.
    secret: String,
}

/// Lists the webhooks of a workspace; for those who govern it.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/webhooks", operation_id = "listWebhooks", tag = "webhooks",
    security(("bearer" = [])), responses((status = 200, description = "All of them, by name.", body = All<Webhook>)),
)]
pub async fn list(
    State(webhooks): State<Webhooks>,
    caller: Caller,
    Path(path): Path<WorkspacePath>,
) -> Result<axum::Json<All<Webhook>>, Failure> {
    Ok(axum::Json(webhooks.list(&caller, &path.workspace).await?.into()))
}

/// Subscribes an address to what happens in a workspace, and shows the secret of the signatures once.
///
/// Events are CloudEvents 1.0 in structured JSON, signed as Standard Webhooks describes it (`webhook-id`,
/// `webhook-timestamp`, `webhook-signature`). They arrive at least once and in no certain order.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/webhooks", operation_id = "createWebhook", tag = "webhooks",
    responses((
        status = 201, description = "Made; the secret is in no later answer.", body = NewWebhookSecret,
        headers(("Location" = String, description = "Where the webhook is.")),
    )),
)]
pub async fn create(
    State(webhooks): State<Webhooks>,
    State(url): State<PublicUrl>,
    caller: Caller,
    Path(path): Path<WorkspacePath>,
    Json(new): Json<NewWebhook>,
) -> Result<Response, Failure> {
    let (webhook, secret) = webhooks.create(&caller, &path.workspace, new).await?;
    let place = format!("/api/v1/workspaces/{}/webhooks/{}", segment(&path.workspace), webhook.webhook_id);
    Ok(answer::made(&url.join(&place), &NewWebhookSecret { webhook, secret }))
}

/// Gives a webhook.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/webhooks/{webhook}", operation_id = "getWebhook", tag = "webhooks",
    security(("bearer" = [])), responses((status = 200, description = "The webhook.", body = Webhook)),
)]
pub async fn find(
    State(webhooks): State<Webhooks>,
    caller: Caller,
    Path(path): Path<WebhookPath>,
) -> Result<axum::Json<Webhook>, Failure> {
    Ok(axum::Json(webhooks.find(&caller, &path.workspace, webhook_id(&path.webhook)?).await?))
}

/// Changes what the body names of a webhook; events carry what you may see from then on.
#[utoipa::path(
    patch, path = "/api/v1/workspaces/{workspace}/webhooks/{webhook}", operation_id = "updateWebhook", tag = "webhooks",
    responses((status = 200, description = "The webhook as it is now.", body = Webhook)),
)]
pub async fn update(
    State(webhooks): State<Webhooks>,
    caller: Caller,
    Path(path): Path<WebhookPath>,
    Json(patch): Json<WebhookPatch>,
) -> Result<axum::Json<Webhook>, Failure> {
    Ok(axum::Json(webhooks.update(&caller, &path.workspace, webhook_id(&path.webhook)?, patch).await?))
}

/// Ends a webhook, with what waits for it.
#[utoipa::path(
    delete, path = "/api/v1/workspaces/{workspace}/webhooks/{webhook}", operation_id = "deleteWebhook", tag = "webhooks",
    responses((status = 204, description = "Ended.")),
)]
pub async fn delete(
    State(webhooks): State<Webhooks>,
    caller: Caller,
    Path(path): Path<WebhookPath>,
) -> Result<StatusCode, Failure> {
    webhooks.delete(&caller, &path.workspace, webhook_id(&path.webhook)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a new secret and shows it once; the one before signs too for a day.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/webhooks/{webhook}/secret", operation_id = "rotateWebhookSecret",
    tag = "webhooks", responses((status = 200, description = "The new secret.", body = WebhookSecret)),
)]
pub async fn rotate(
    State(webhooks): State<Webhooks>,
    caller: Caller,
    Path(path): Path<WebhookPath>,
) -> Result<axum::Json<WebhookSecret>, Failure> {
    let secret = webhooks.rotate_secret(&caller, &path.workspace, webhook_id(&path.webhook)?).await?;
    Ok(axum::Json(WebhookSecret { secret }))
}

/// Sends a test event.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/webhooks/{webhook}/test", operation_id = "testWebhook", tag = "webhooks",
    responses((status = 202, description = "Queued.", body = Delivery)),
)]
pub async fn test(
    State(webhooks): State<Webhooks>,
    caller: Caller,
    Path(path): Path<WebhookPath>,
) -> Result<(StatusCode, axum::Json<Delivery>), Failure> {
    let queued = webhooks.test(&caller, &path.workspace, webhook_id(&path.webhook)?).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(queued)))
}

/// Lists what became of a webhook's events, newest first; the last thirty days.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/webhooks/{webhook}/deliveries", operation_id = "listWebhookDeliveries",
    tag = "webhooks", params(Paging), security(("bearer" = [])),
    responses((status = 200, description = "One page.", body = Page<Delivery>)),
)]
pub async fn deliveries(
    State(webhooks): State<Webhooks>,
    caller: Caller,
    Path(path): Path<WebhookPath>,
    Query(paging): Query<Paging>,
) -> Result<axum::Json<Page<Delivery>>, Failure> {
    let (cursor, limit) = paging.read()?;
    let id = webhook_id(&path.webhook)?;
    Ok(axum::Json(webhooks.deliveries(&caller, &path.workspace, id, cursor.as_ref(), limit).await?))
}

/// Sends an event once more, whatever became of it; its id stays the same.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/webhooks/{webhook}/deliveries/{delivery}/replay",
    operation_id = "replayWebhookDelivery", tag = "webhooks",
    responses((status = 202, description = "Queued.", body = Delivery)),
)]
pub async fn replay(
    State(webhooks): State<Webhooks>,
    caller: Caller,
    Path(path): Path<DeliveryPath>,
) -> Result<(StatusCode, axum::Json<Delivery>), Failure> {
    let (webhook, delivery) = (webhook_id(&path.webhook)?, delivery_id(&path.delivery)?);
    Ok((StatusCode::ACCEPTED, axum::Json(webhooks.replay(&caller, &path.workspace, webhook, delivery).await?)))
}
