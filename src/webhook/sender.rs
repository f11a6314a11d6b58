//! Sending: notices become deliveries, deliveries are posted to their receivers.

use super::delivery::{self, Claimed, Outcome};
use super::{Webhooks, event, signature, subscription};
use crate::base::{Problem, db::Wakeups};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Looks for what is due at least this often.
const IDLE: Duration = Duration::from_secs(1);
/// How long finished deliveries are shown.
const SHOWN: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Webhooks {
    /// Sends until `stop`, over outages of the database.
    pub async fn run(self, stop: CancellationToken) {
        let mut wakeups = Wakeups::new(self.db.write.clone(), crate::notify::CHANNEL);
        let mut tidied = Instant::now();
        while !stop.is_cancelled() {
            match self.run_due().await {
                Ok(0) => {}
                Ok(_) => continue,
                Err(error) => tracing::warn!(error = %error, "Webhooks could not be read"),
            }
            if tidied.elapsed() > Duration::from_secs(3_600) {
                tidied = Instant::now();
                if let Err(error) = delivery::forget_old(&self.db.write, self.clock.now() - SHOWN).await {
                    tracing::warn!(error = %error, "Old deliveries stay");
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = wakeups.next(IDLE) => {}
            }
        }
    }

    /// Hands on what was noticed and sends what is due, once; gives how much that was.
    ///
    /// # Errors
    /// The database's.
    pub async fn run_due(&self) -> Result<usize, sqlx::Error> {
        let now = self.clock.now();
        let handed = delivery::hand_on(&self.db.write, now).await?;
        let claimed = delivery::claim(&self.db.write, now).await?;
        let sent = futures::future::join_all(claimed.iter().map(|one| self.send(one))).await;
        sent.into_iter().collect::<Result<Vec<()>, _>>()?;
        Ok(usize::try_from(handed).unwrap_or(0) + claimed.len())
    }

    async fn send(&self, claimed: &Claimed) -> Result<(), sqlx::Error> {
        let (began, clock) = (self.clock.now(), Instant::now());
        let outcome = match self.post(claimed).await {
            Ok(Some(status)) => Outcome::Answered(status),
            Ok(None) => return delivery::withhold(&self.db.write, claimed.delivery_id, began).await,
            Err(problem) => Outcome::NotSent(problem.detail),
        };
        metrics::counter!("wharfinger_webhook_attempts_total").increment(1);
        delivery::settle(&self.db.write, claimed, &outcome, (began, clock.elapsed()), self.clock.now()).await
    }

    /// The status the receiver answered; none for what the creator may not see (any more).
    async fn post(&self, claimed: &Claimed) -> Result<Option<u16>, Problem> {
        let webhook = subscription::find(&mut *self.db.read.acquire().await?, claimed.webhook_id).await?;
        let Some(webhook) = webhook else { return Ok(None) };
        let Some(creator) = self.auth.recall(&webhook.creator_id).await? else { return Ok(None) };
        let body = event::body(&self.catalog, &self.public_url, (&webhook, claimed), &creator).await?;
        let Some(body) = body else { return Ok(None) };
        let id = claimed.notice_id.to_string();
        let headers = signature::headers(&webhook, &self.keys, &id, &body, self.clock.now())
            .map_err(|error| Problem::unavailable(format!("The event could not be signed: {error}.")))?;
        self.http.post(&webhook.url, event::MEDIA_TYPE, &headers, body).await.map(Some)
    }
}
