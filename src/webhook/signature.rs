//! Signatures as Standard Webhooks describes them: HMAC-SHA-256 over `id.timestamp.body`, `whsec_` secrets, one signature for
//! each secret that holds.

use super::Webhook;
use crate::base::{KeyRing, SealError, Sealed};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::time::Duration;
use time::OffsetDateTime;

/// How long the secret before the current one signs too.
const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

/// A secret of a webhook. It is made of the key ring, the webhook and a number, and stored nowhere.
pub(super) struct Secret(Sealed<[u8; 32]>);

impl Secret {
    /// The current one.
    ///
    /// # Errors
    /// [`SealError`] when the ring lacks the key it was made with.
    pub fn of(webhook: &Webhook, keys: &KeyRing) -> Result<Self, SealError> {
        Self::generation(webhook, keys, &webhook.secret_key_id, webhook.secret_generation)
    }

    fn generation(webhook: &Webhook, keys: &KeyRing, key_id: &str, number: i32) -> Result<Self, SealError> {
        let message = format!("{} {number}", webhook.webhook_id);
        Ok(Self(Sealed::new(keys.sign_by(key_id, "webhook secret", message.as_bytes())?)))
    }

    /// As its receiver keeps it.
    pub fn reveal(&self) -> String {
        format!("whsec_{}", STANDARD.encode(self.0.expose()))
    }

    fn sign(&self, message: &[u8]) -> String {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.0.expose());
        format!("v1,{}", STANDARD.encode(ring::hmac::sign(&key, message)))
    }
}

/// The headers that sign `body`: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
///
/// # Errors
/// [`SealError`] when the ring lacks the key of the current secret.
pub(super) fn headers(
    webhook: &Webhook,
    keys: &KeyRing,
    id: &str,
    body: &str,
    now: OffsetDateTime,
) -> Result<[(&'static str, String); 3], SealError> {
    let timestamp = now.unix_timestamp();
    let message = format!("{id}.{timestamp}.{body}");
    let mut signatures = vec![Secret::of(webhook, keys)?.sign(message.as_bytes())];
    if let Some(previous) = webhook.previous_key_id.as_deref().filter(|_| now < webhook.secret_changed_at + OVERLAP)
        // A key that is gone takes the old secret with it; the new one signs.
        && let Ok(secret) = Secret::generation(webhook, keys, previous, webhook.secret_generation - 1)
    {
        signatures.push(secret.sign(message.as_bytes()));
    }
    Ok([
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", timestamp.to_string()),
        ("webhook-signature", signatures.join(" ")),
    ])
}
