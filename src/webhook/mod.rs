//! Webhooks: others are told what happened, signed, at least once, and with what the subscription's creator may see only.
//!
//! A deed writes a notice in its own transaction (`notify.rs`). [`sender`] hands notices to the subscriptions that want
//! them, sends, tries again with growing pauses, and lays aside what never arrives; it can be replayed.

mod delivery;
mod event;
mod sender;
mod signature;
mod subscription;

pub use delivery::{Attempt, Delivery, DeliveryState};
pub use subscription::{NewWebhook, Webhook, WebhookPatch};

use crate::audit;
use crate::auth::{Actor, Auth, Permission, Scope};
use crate::base::OnConstraint;
use crate::base::{Clock, Cursor, Database, DeliveryId, HttpClient, KeyRing, Limit, Page, Problem, WebhookId};
use crate::catalog::{Catalog, Workspace};
use serde_json::{Value, json};
use signature::Secret;
use sqlx::PgConnection;
use std::sync::Arc;

/// The verbs of webhooks; cheap to clone.
#[derive(Clone)]
pub struct Webhooks {
    db: Database,
    clock: Clock,
    keys: KeyRing,
    http: HttpClient,
    auth: Auth,
    catalog: Catalog,
    public_url: Arc<str>,
}

impl Webhooks {
    #[must_use]
    pub fn new(catalog: &Catalog, auth: &Auth, http: &HttpClient, keys: &KeyRing, public_url: &str) -> Self {
        Self {
            db: catalog.db().clone(),
            clock: catalog.clock().clone(),
            keys: keys.clone(),
            http: http.clone(),
            auth: auth.clone(),
            catalog: catalog.clone(),
            public_url: public_url.trim_end_matches('/').into(),
        }
    }

    /// The webhooks of a workspace, by name.
    ///
    /// # Errors
    /// 404 for a workspace the actor may not know of, 401 or 403 for those who may not govern it.
    pub async fn list(&self, actor: &Actor, workspace: &str) -> Result<Vec<Webhook>, Problem> {
        let workspace = self.workspace(actor, workspace).await?;
        Ok(subscription::list(&mut *self.db.read.acquire().await?, &workspace).await?)
    }

    /// # Errors
    /// As [`Webhooks::list`]; 404 without such a webhook.
    pub async fn find(&self, actor: &Actor, workspace: &str, id: WebhookId) -> Result<Webhook, Problem> {
        let workspace = self.workspace(actor, workspace).await?;
        found(&mut *self.db.read.acquire().await?, &workspace, id).await
    }

    /// Subscribes; gives the webhook and its secret, which is in no later answer.
    ///
    /// # Errors
    /// As [`Webhooks::list`]; 409 when the name is taken; 422 for an address that may not be reached.
    pub async fn create(&self, actor: &Actor, workspace: &str, new: NewWebhook) -> Result<(Webhook, String), Problem> {
        let workspace = self.workspace(actor, workspace).await?;
        new.check()?;
        self.http.check(&new.url, "body.url").await?;
        let mut tx = self.db.write.begin().await?;
        let now = self.clock.now();
        let key_id = self.keys.current();
        let made = subscription::insert(&mut tx, &workspace, &new, actor, &key_id, now)
            .await
            .on_constraint("webhook_name_in_workspace", || taken(&new.name))?;
        let after = json!({"name": made.name, "url": made.url, "kinds": made.kinds});
        self.record(&mut tx, actor, "webhook.create", (&workspace, &made), None, Some(after)).await?;
        tx.commit().await?;
        let secret = self.secret(&made)?.reveal();
        Ok((made, secret))
    }

    /// Changes what `patch` names. Who changes it answers for it from then on: deliveries carry what the changer may see.
    ///
    /// # Errors
    /// As [`Webhooks::create`]; 404.
    pub async fn update(
        &self,
        actor: &Actor,
        workspace: &str,
        id: WebhookId,
        patch: WebhookPatch,
    ) -> Result<Webhook, Problem> {
        let workspace = self.workspace(actor, workspace).await?;
        patch.check()?;
        if let Some(url) = &patch.url {
            self.http.check(url, "body.url").await?;
        }
        let mut tx = self.db.write.begin().await?;
        let before = found(&mut tx, &workspace, id).await?;
        let after = patch.applied(before.clone());
        let after = subscription::update(&mut tx, &after, actor, self.clock.now())
            .await
            .on_constraint("webhook_name_in_workspace", || taken(&after.name))?;
        let told =
            |one: &Webhook| json!({"name": one.name, "url": one.url, "kinds": one.kinds, "isActive": one.is_active});
        let (was, is) = (Some(told(&before)), Some(told(&after)));
        self.record(&mut tx, actor, "webhook.update", (&workspace, &after), was, is).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Makes a new secret, which is in no later answer; the one before signs too for a day.
    ///
    /// # Errors
    /// As [`Webhooks::find`].
    pub async fn rotate_secret(&self, actor: &Actor, workspace: &str, id: WebhookId) -> Result<String, Problem> {
        let workspace = self.workspace(actor, workspace).await?;
        let mut tx = self.db.write.begin().await?;
        found(&mut tx, &workspace, id).await?;
        let rotated = subscription::rotate(&mut tx, id, &self.keys.current(), self.clock.now()).await?;
        self.record(&mut tx, actor, "webhook.rotate-secret", (&workspace, &rotated), None, None).await?;
        tx.commit().await?;
        Ok(self.secret(&rotated)?.reveal())
    }

    /// Ends a subscription, with what waits for it.
    ///
    /// # Errors
    /// As [`Webhooks::find`].
    pub async fn delete(&self, actor: &Actor, workspace: &str, id: WebhookId) -> Result<(), Problem> {
        let workspace = self.workspace(actor, workspace).await?;
        let mut tx = self.db.write.begin().await?;
        let before = found(&mut tx, &workspace, id).await?;
        subscription::delete(&mut tx, id).await?;
        let was = json!({"name": before.name, "url": before.url});
        self.record(&mut tx, actor, "webhook.delete", (&workspace, &before), Some(was), None).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Queues a test event for this webhook.
    ///
    /// # Errors
    /// As [`Webhooks::find`].
    pub async fn test(&self, actor: &Actor, workspace: &str, id: WebhookId) -> Result<Delivery, Problem> {
        let workspace = self.workspace(actor, workspace).await?;
        let mut tx = self.db.write.begin().await?;
        let webhook = found(&mut tx, &workspace, id).await?;
        let queued = delivery::insert_test(&mut tx, &webhook, &workspace, self.clock.now()).await?;
        self.record(&mut tx, actor, "webhook.test", (&workspace, &webhook), None, None).await?;
        tx.commit().await?;
        Ok(queued)
    }

    /// What became of a webhook's events, newest first.
    ///
    /// # Errors
    /// As [`Webhooks::find`]; 422 for a cursor that is none.
    pub async fn deliveries(
        &self,
        actor: &Actor,
        workspace: &str,
        id: WebhookId,
        cursor: Option<&Cursor>,
        limit: Limit,
    ) -> Result<Page<Delivery>, Problem> {
        let workspace = self.workspace(actor, workspace).await?;
        let mut conn = self.db.read.acquire().await?;
        found(&mut conn, &workspace, id).await?;
        let before = match cursor {
            None => None,
            Some(cursor) => {
                Some(cursor.place().map_err(|bad| Problem::invalid_field("query.cursor", bad.to_string()))?)
            }
        };
        let most = i64::try_from(limit.0).unwrap_or(i64::MAX - 1);
        let mut items = delivery::list(&mut conn, id, before, most + 1).await?;
        let more = items.len() > limit.0;
        items.truncate(limit.0);
        let next = items.last().filter(|_| more).map(|last| Cursor::of(&last.event_id));
        Ok(Page { items, total: None, next })
    }

    /// Sends an event once more, whatever became of it before; its id stays.
    ///
    /// # Errors
    /// As [`Webhooks::find`]; 404 without such a delivery.
    pub async fn replay(
        &self,
        actor: &Actor,
        workspace: &str,
        id: WebhookId,
        delivery: DeliveryId,
    ) -> Result<Delivery, Problem> {
        let workspace = self.workspace(actor, workspace).await?;
        let mut tx = self.db.write.begin().await?;
        let webhook = found(&mut tx, &workspace, id).await?;
        let queued = delivery::replay(&mut tx, id, delivery, self.clock.now()).await?;
        let queued = queued.ok_or_else(|| Problem::not_found("This webhook has no delivery of this id."))?;
        let after = json!({"delivery": delivery});
        self.record(&mut tx, actor, "webhook.replay", (&workspace, &webhook), None, Some(after)).await?;
        tx.commit().await?;
        Ok(queued)
    }

    async fn workspace(&self, actor: &Actor, name: &str) -> Result<Workspace, Problem> {
        // Without any credential the answer is the same for every name.
        if actor.is_anonymous() {
            actor.require(Permission::GovernWorkspace, Scope::Instance)?;
        }
        let workspace = self.catalog.workspace(actor, name).await?;
        actor.require(Permission::GovernWorkspace, Scope::Workspace(workspace.workspace_id))?;
        Ok(workspace)
    }

    fn secret(&self, webhook: &Webhook) -> Result<Secret, Problem> {
        Secret::of(webhook, &self.keys).map_err(|error| {
            tracing::error!(error = %error, "The secret of a webhook cannot be made");
            Problem::unavailable("The key from which this webhook's secret is made is not here.")
                .with_help("The operator can put the key back, or you make a new secret.")
        })
    }

    async fn record(
        &self,
        conn: &mut PgConnection,
        actor: &Actor,
        verb: &str,
        (workspace, webhook): (&Workspace, &Webhook),
        before: Option<Value>,
        after: Option<Value>,
    ) -> Result<(), Problem> {
        let subject = audit::Subject {
            name: &webhook.name,
            id: Some(webhook.webhook_id.0),
            workspace: Some(workspace.workspace_id),
        };
        Ok(audit::record(conn, self.clock.now(), &actor.trace(), verb, subject, before, after).await?)
    }
}

fn taken(name: &str) -> Problem {
    Problem::conflict("name-taken", format!("This workspace has a webhook called {name} already."))
}

async fn found(conn: &mut PgConnection, workspace: &Workspace, id: WebhookId) -> Result<Webhook, Problem> {
    let found = subscription::find(conn, id).await?;
    found
        .filter(|webhook| webhook.workspace_id == Some(workspace.workspace_id))
        .ok_or_else(|| Problem::not_found("This workspace has no webhook of this id."))
}
