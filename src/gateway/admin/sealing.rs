//! The keys of secrets: checked at the start, changed under load.

use super::super::credential::identity_in;
use super::rights;
use super::write::no_key;
use super::{Gateway, store};
use crate::audit;
use crate::auth::Actor;
use crate::base::{Problem, SealError};
use anyhow::{Context, bail};
use serde_json::json;

/// What each key seals when it is first used.
const KNOWN: &[u8] = b"wharfinger";

impl Gateway {
    /// Reads the keys and the settings, and refuses to start when the keys are not those the secrets were sealed with.
    ///
    /// # Errors
    /// Names the key and the place where it should be; or the database's.
    pub async fn start(&self) -> anyhow::Result<()> {
        let ring = self.ring().context("the keys that seal credentials cannot be read")?;
        let mut conn = self.inner.db.write.acquire().await?;
        for id in ring.ids() {
            let place = format!("sealing_key {id}");
            match store::sealing_key(&mut conn, &id).await? {
                Some(sealed) if ring.open(&sealed, &place).is_ok_and(|text| text == KNOWN) => {}
                Some(_) => bail!(
                    "the encryption key {id} in {} is not the one of this name that the credentials in the database were \
                     sealed with; put the right one back",
                    ring.place()
                ),
                None => {
                    // The ring seals by its first key; a key further down is known once it has been the first.
                    if id == ring.current() {
                        let sealed = ring.seal_by(&id, KNOWN, &place)?;
                        store::put_sealing_key(&mut conn, &sealed, self.inner.clock.now()).await?;
                    }
                }
            }
        }
        let sealed = store::secrets(&mut conn).await?;
        drop(conn);
        let known = ring.ids();
        if let Some(missing) = sealed.values().find(|one| !known.contains(&one.kek_id)) {
            bail!(
                "credentials in the database are sealed with the encryption key {}, which is not in {}; put it back",
                missing.kek_id,
                ring.place()
            );
        }
        self.reload().await?;
        Ok(())
    }

    /// Reads the file of keys again and seals every data key by the first of them; secrets themselves are not touched, and
    /// requests go on. Afterwards older keys may be taken out. How many were changed.
    ///
    /// # Errors
    /// 403 for all but those who look after the instance's gateway; 503 when a key is missing or wrong.
    pub async fn rewrap(&self, actor: &Actor) -> Result<usize, Problem> {
        rights::require_instance(actor)?;
        let ring = self.ring().map_err(no_key)?;
        let now = self.inner.clock.now();
        // Who writes a secret holds this too, and reads the file meanwhile: what was sealed by an older key is stored by
        // now, and what is sealed later is sealed by the new one.
        let mut tx = self.inner.db.write.begin().await?;
        store::hold(&mut tx).await?;
        ring.reload().map_err(no_key)?;
        let current = ring.current();
        if store::sealing_key(&mut tx, &current).await?.is_none() {
            let sealed = ring.seal_by(&current, KNOWN, &format!("sealing_key {current}")).map_err(no_key)?;
            store::put_sealing_key(&mut tx, &sealed, now).await?;
        }
        let mut changed = 0;
        for (id, name, workspace, before) in store::secrets_everywhere(&mut tx).await? {
            let after = match ring.rewrap(&before, &identity_in(id, workspace)) {
                Ok(None) => continue,
                Ok(Some(after)) => after,
                Err(error @ SealError::DoesNotOpen) => {
                    tracing::error!(credential = name, error = %error, "A secret stays as it is");
                    continue;
                }
                Err(error) => return Err(no_key(error)),
            };
            if store::rewrap_secret(&mut tx, id, &before, &after).await? {
                changed += 1;
            }
        }
        let subject = audit::Subject { name: &current, id: None, workspace: None };
        let told = json!({"key": current, "credentials": changed});
        audit::record(&mut tx, now, &actor.trace(), "credential.rewrap", subject, None, Some(told)).await?;
        // Other replicas read the secrets again, and so their files, while the older keys still stand there.
        store::bump(&mut tx).await?;
        tx.commit().await?;
        if let Err(problem) = self.reload().await {
            tracing::warn!(problem = %problem, "Secrets are sealed anew, and the settings are read again in a moment");
        }
        Ok(changed)
    }
}
