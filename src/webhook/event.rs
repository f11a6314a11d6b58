//! The event a receiver gets: CloudEvents 1.0, structured JSON.

use super::Webhook;
use super::delivery::Claimed;
use crate::auth::{Actor, Permission, Scope};
use crate::base::Problem;
use crate::catalog::Catalog;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

/// The media type of structured CloudEvents.
pub(super) const MEDIA_TYPE: &str = "application/cloudevents+json";

/// The event as text, with what `actor` may see now; none when that is nothing.
///
/// # Errors
/// 503 when the database does not answer.
pub(super) async fn body(
    catalog: &Catalog,
    public_url: &str,
    (webhook, delivery): (&Webhook, &Claimed),
    actor: &Actor,
) -> Result<Option<String>, Problem> {
    let mut data = delivery.data.as_object().cloned().unwrap_or_default();
    let mut source = public_url.to_owned();
    if let Some(asset) = delivery.asset_id {
        let Some(seen) = catalog.told(actor.sight(), asset).await? else { return Ok(None) };
        source = format!("{public_url}/workspaces/{}", seen.workspace);
        let address =
            format!("{public_url}/api/v1/workspaces/{}/assets/{}", seen.workspace, seen.name.replace('/', "%2F"));
        data.insert("url".to_owned(), address.into());
        let told = serde_json::to_value(&seen).expect("it is plain data");
        data.insert("asset".to_owned(), told);
    } else if let Some(workspace) = delivery.workspace_id {
        let scope = Scope::Workspace(workspace);
        if !actor.may(Permission::ReadCatalog, scope) {
            return Ok(None);
        }
    } else if !actor.may(Permission::ReadCatalog, Scope::Instance) {
        return Ok(None);
    }
    let time = delivery.at.format(&Rfc3339).unwrap_or_default();
    let event: Value = json!({
        "specversion": "1.0",
        "id": delivery.notice_id,
        "source": source,
        "type": format!("wharfinger.{}", delivery.kind),
        "subject": delivery.subject,
        "time": time,
        "datacontenttype": "application/json",
        "data": data,
    });
    tracing::trace!(webhook = %webhook.webhook_id, "An event was written");
    Ok(Some(event.to_string()))
}
