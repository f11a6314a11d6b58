//! From the stored settings to the snapshot of this process, when they change.

use super::super::credential::{Credential, identity};
use super::super::settings::{Book, Entry, Section, Settings};
use super::super::snapshot::{Parts, Snapshot, UnreadPolicy, asset_of};
use super::super::store::Unread;
use super::{Gateway, store};
use crate::audit;
use crate::base::{CredentialId, PolicyId, Problem, SealedBox, db::Wakeups};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often the stored state is looked at, whether or not anything was notified.
const LOOK: Duration = Duration::from_secs(1);

impl Gateway {
    /// Swaps the snapshot for one of the stored settings, when they are not those it was made of. A failure leaves the old.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn reload(&self) -> Result<(), Problem> {
        // One picture of everything: a secret must be that of the entry it is read with.
        let mut tx = self.inner.db.read.begin_with("begin isolation level repeatable read read only").await?;
        let state = store::state(&mut tx).await?;
        if state == self.inner.loaded.lock().expect("no holder of this lock can panic").0 {
            return Ok(());
        }
        let (book, unread) = store::load(&mut tx).await?;
        let sealed = store::secrets(&mut tx).await?;
        let named: Vec<_> = book
            .routes()
            .filter_map(|(route, settings)| asset_of(&route.owner, settings))
            .map(|(workspace, name)| (workspace.to_owned(), name.to_owned()))
            .collect();
        let assets = store::assets(&mut tx, &named).await?;
        tx.commit().await?;

        let (mut left_out, mut unopened) = (Vec::new(), Vec::new());
        let mut parts = self.parts(book, &sealed, &mut left_out, &mut unopened);
        parts.assets = assets;
        self.add_unread(&mut parts, unread, &mut left_out);
        let (snapshot, wrong) = Snapshot::from_parts(parts);
        left_out.extend(wrong.into_iter().map(|one| format!("{}: {}", one.location, one.message)));

        let is_news = {
            let mut loaded = self.inner.loaded.lock().expect("no holder of this lock can panic");
            // Two reloads may cross; the newer picture stays.
            if loaded.0.generation > state.generation {
                return Ok(());
            }
            let is_news = loaded.1 != left_out;
            let generation = snapshot.generation;
            self.install(snapshot);
            *loaded = (state, left_out.clone());
            tracing::info!(generation, "The gateway goes by new settings");
            is_news
        };
        if is_news {
            for one in &left_out {
                tracing::error!(reason = one, "A part of the gateway's settings is left out");
            }
            self.record_unopened(&unopened).await?;
        }
        Ok(())
    }

    fn parts(
        &self,
        book: Book,
        sealed: &HashMap<Uuid, SealedBox>,
        left_out: &mut Vec<String>,
        unopened: &mut Vec<(Uuid, String)>,
    ) -> Parts {
        let old = self.snapshot();
        let mut parts = Parts { generation: book.generation, workspaces: book.workspaces, ..Parts::default() };
        for thing in book.things {
            let label = thing.label();
            let (id, owner, name, revision) = (thing.id, thing.owner, thing.name, thing.revision);
            macro_rules! entry {
                ($list:ident, $settings:expr) => {
                    parts.$list.push(Entry { id: id.into(), owner, name, revision, settings: $settings })
                };
            }
            match thing.settings {
                Settings::Backend(settings) => entry!(backends, *settings),
                Settings::Pool(settings) => entry!(pools, settings),
                Settings::Policy(settings) => entry!(policies, settings),
                Settings::Route(settings) => entry!(routes, settings),
                Settings::Price(settings) => entry!(prices, settings),
                Settings::Credential(settings) => {
                    let opened = sealed.get(&id).ok_or_else(|| "it has no secret".to_owned()).and_then(|sealed| {
                        let opened = self.ring().and_then(|ring| ring.open(sealed, &identity(id, &owner)));
                        let text = opened.map_err(|error| error.to_string())?;
                        String::from_utf8(text).map_err(|_| "its secret is no text".to_owned())
                    });
                    match opened {
                        Ok(secret) => {
                            let made = Credential::new(CredentialId(id), name, revision, settings.with_secret(secret))
                                .with_client(self.inner.tokens.clone());
                            // The old one keeps its token.
                            let kept = old.credential(CredentialId(id)).filter(|one| one.is_same(&made)).cloned();
                            parts.credentials.push((owner, kept.unwrap_or_else(|| Arc::new(made))));
                        }
                        Err(reason) => {
                            left_out.push(format!("{label}: {reason}"));
                            unopened.push((id, name));
                        }
                    }
                }
            }
        }
        parts
    }

    /// What does not read is left out, but for policies: one that vanished would let through what somebody wanted stopped. As
    /// this process last read it, it stays in force; where it never did, the routes it reaches are closed.
    fn add_unread(&self, parts: &mut Parts, unread: Vec<Unread>, left_out: &mut Vec<String>) {
        let old = self.snapshot();
        for Unread { id, section, owner, name, label, reason, reaches_all } in unread {
            if section != Some(Section::Policy) {
                left_out.push(format!("{label}: {reason}"));
            } else if let Some(known) = old.policy(PolicyId(id)) {
                let revision = known.revision;
                left_out.push(format!("{label}: {reason}; it stays in force as it was at revision {revision}"));
                parts.policies.push(Entry { id: known.id, owner, name, revision, settings: known.settings.clone() });
            } else {
                left_out.push(format!("{label}: {reason}; the routes it reaches are not served"));
                parts.unread_policies.push(UnreadPolicy { owner, name, reaches_all });
            }
        }
    }

    /// A secret that does not open was changed behind our back, or its key is gone; both belong into the record.
    async fn record_unopened(&self, unopened: &[(Uuid, String)]) -> Result<(), Problem> {
        let actor = crate::auth::Actor::system("gateway");
        for (id, name) in unopened {
            let mut tx = self.inner.db.write.begin().await?;
            let subject = audit::Subject { name, id: Some(*id), workspace: None };
            let told = Some(json!({"outcome": "the secret does not open; the credential is left out"}));
            audit::record(
                &mut tx,
                self.inner.clock.now(),
                &actor.trace(),
                "credential.unreadable",
                subject,
                None,
                told,
            )
            .await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Follows the stored settings until `stop`: a change anywhere is in force here within a second.
    pub async fn follow(self, stop: CancellationToken) {
        let mut wakeups = Wakeups::new(self.inner.db.read.clone(), store::CHANNEL);
        let mut was_read = true;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = wakeups.next(LOOK) => {}
            }
            let result = self.reload().await;
            let is_read = result.is_ok();
            if let Err(problem) = result {
                metrics::counter!("wharfinger_gateway_reload_errors_total").increment(1);
                // One line for a database that is away, and not one a second.
                if was_read {
                    tracing::warn!(problem = %problem, "The gateway keeps its settings for now");
                } else {
                    tracing::debug!(problem = %problem, "The gateway keeps its settings for now");
                }
            }
            was_read = is_read;
        }
    }
}
