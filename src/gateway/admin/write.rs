//! One write of settings: hold, read all, change, check all, store, record, announce, commit.

use super::super::credential::identity;
use super::super::settings::{BackendSettings, Book, Finding, Owner, Section, Serves, Settings, Thing, check};
use super::{Gateway, missing, store};
use crate::audit;
use crate::auth::Actor;
use crate::base::{FieldError, Problem, Sealed, SealedBox};
use http::StatusCode;
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::collections::HashMap;
use uuid::Uuid;

/// A thing as it stands after a write or a read, with what it is warned of.
#[derive(Clone, Debug)]
pub struct Stored {
    pub thing: Thing,
    pub warnings: Vec<Finding>,
    pub is_new: bool,
}

/// One change that is asked for.
pub(super) struct Edit {
    pub section: Section,
    pub owner: Owner,
    pub name: String,
    pub deed: Deed,
    /// Where it stands in what was sent: `body`, `backends[2]`.
    pub at: String,
}

#[expect(clippy::large_enum_variant, reason = "a few are made for each write, and none is kept")]
pub(super) enum Deed {
    Put {
        settings: Settings,
        /// The text behind a reference, where the sender gives it.
        secret: Option<Sealed<String>>,
        if_match: Option<i64>,
    },
    Delete {
        if_match: Option<i64>,
    },
}

/// A put or deleted thing, before it is stored.
struct Change {
    before: Option<Thing>,
    after: Option<Thing>,
    secret: Option<SealedBox>,
}

impl Gateway {
    /// Does the edits that `edits` asks for in view of what is stored: all of them, or none. The outcomes of what was put,
    /// in order.
    pub(super) async fn write(
        &self,
        actor: &Actor,
        edits: impl FnOnce(&Book) -> Result<Vec<Edit>, Problem>,
    ) -> Result<Vec<Stored>, Problem> {
        let mut tx = self.inner.db.write.begin().await?;
        store::hold(&mut tx).await?;
        let (before, _) = store::load(&mut tx).await?;
        let edits = edits(&before)?;
        let sealed = store::secrets(&mut tx).await?;
        let mut after = before.clone();
        let mut changes = Vec::new();
        for edit in &edits {
            changes.push(self.change(&mut after, edit, &sealed)?);
        }
        self.refuse_wrong(&before, &after, &edits)?;
        self.refuse_missing_assets(&mut tx, &edits).await?;

        let mut is_changed = false;
        for change in &changes {
            is_changed |= self.store(&mut tx, actor, change).await?;
        }
        if is_changed {
            store::bump(&mut tx).await?;
        }
        let findings = self.findings(&mut tx, &after).await?;
        tx.commit().await?;
        if is_changed {
            // Others hear of it by the notification; whoever wrote finds it in force here at once. What is stored is
            // stored: when it cannot be read again now, whoever follows the settings reads it in a moment.
            if let Err(problem) = self.reload().await {
                tracing::warn!(problem = %problem, "New settings are stored and not in force yet");
            }
        }

        let stored = changes.into_iter().filter_map(|change| {
            let thing = change.after?;
            let warnings =
                findings.iter().filter(|one| thing.is(one.section, &one.owner, &one.name)).cloned().collect();
            Some(Stored { is_new: change.before.is_none(), thing, warnings })
        });
        Ok(stored.collect())
    }

    /// Does an edit to the book in memory.
    fn change(&self, book: &mut Book, edit: &Edit, sealed: &HashMap<Uuid, SealedBox>) -> Result<Change, Problem> {
        let now = self.inner.clock.now();
        let before = book.find(edit.section, &edit.owner, &edit.name).cloned();
        let sent = match &edit.deed {
            Deed::Put { if_match, .. } | Deed::Delete { if_match } => *if_match,
        };
        if let Some(sent) = sent {
            let current = before.as_ref().ok_or_else(|| missing(edit.section, &edit.name))?.revision;
            if sent != current {
                return Err(stale(current, sent));
            }
        }
        let Deed::Put { settings, secret, .. } = &edit.deed else {
            let before = before.ok_or_else(|| missing(edit.section, &edit.name))?;
            book.remove(edit.section, &edit.owner, &edit.name);
            return Ok(Change { before: Some(before), after: None, secret: None });
        };

        let id = before.as_ref().map_or_else(Uuid::now_v7, |thing| thing.id);
        let mut thing = Thing {
            id,
            owner: edit.owner.clone(),
            name: edit.name.clone(),
            revision: before.as_ref().map_or(1, |thing| thing.revision),
            settings: settings.clone(),
            created_at: before.as_ref().map_or(now, |thing| thing.created_at),
            updated_at: before.as_ref().map_or(now, |thing| thing.updated_at),
        };
        let mut new_secret = None;
        if let Settings::Credential(credential) = settings {
            let given = secret.as_ref().map(Sealed::expose).map(String::as_str);
            let (reference, text) = match (is_reference(credential.secret()), given) {
                (true, given) => (credential.secret().to_owned(), given),
                (false, _) => (reference_of(&edit.name), Some(credential.secret())),
            };
            thing.settings = credential.clone().with_secret(reference).into();
            match text {
                Some(text) => {
                    refuse_bad_secret(text, &edit.at)?;
                    let place = identity(id, &edit.owner);
                    let is_same = sealed.get(&id).is_some_and(|stored| {
                        self.ring().and_then(|ring| ring.open(stored, &place)).is_ok_and(|old| old == text.as_bytes())
                    });
                    if !is_same {
                        new_secret =
                            Some(self.ring().and_then(|ring| ring.seal(text.as_bytes(), &place)).map_err(no_key)?);
                    }
                }
                None if !sealed.contains_key(&id) => {
                    return Err(Problem::invalid_field(
                        edit.at.clone(),
                        format!("the secret behind {} is needed once", credential.secret()),
                    )
                    .with_help("Send the secret itself, or its value beside the reference."));
                }
                None => {}
            }
        }
        let is_changed = new_secret.is_some() || before.as_ref().is_none_or(|old| old.settings != thing.settings);
        if is_changed && before.is_some() {
            thing.revision += 1;
            thing.updated_at = now;
        }
        book.put(thing.clone());
        Ok(Change { before, after: Some(thing), secret: new_secret })
    }

    /// The book as it would be, and of each edit whether it sets a secret anew; refused as the real write would be.
    pub(super) fn rehearsed(
        &self,
        before: &Book,
        edits: &[Edit],
        sealed: &HashMap<Uuid, SealedBox>,
    ) -> Result<(Book, Vec<bool>), Problem> {
        let mut after = before.clone();
        let mut secrets = Vec::new();
        for edit in edits {
            secrets.push(self.change(&mut after, edit, sealed)?.secret.is_some());
        }
        self.refuse_wrong(before, &after, edits)?;
        Ok((after, secrets))
    }

    /// Refuses what is wrong now and was not before.
    fn refuse_wrong(&self, before: &Book, after: &Book, edits: &[Edit]) -> Result<(), Problem> {
        let known = check(before, &self.inner.egress);
        let touched = |one: &Finding| {
            edits.iter().find(|edit| edit.section == one.section && edit.owner == one.owner && edit.name == one.name)
        };
        let findings: Vec<_> = check(after, &self.inner.egress)
            .into_iter()
            .filter(|one| one.is_error && (touched(one).is_some() || !known.contains(one)))
            .collect();
        if findings.is_empty() {
            return Ok(());
        }
        if edits.iter().all(|edit| matches!(edit.deed, Deed::Delete { .. })) {
            let by: Vec<_> =
                findings.iter().map(|one| super::super::settings::label(one.section, &one.owner, &one.name)).collect();
            let gone = edits.iter().map(|edit| super::super::settings::label(edit.section, &edit.owner, &edit.name));
            let gone = gone.collect::<Vec<_>>().join(", ");
            let problem =
                Problem::conflict("in-use", format!("{} is still used by {}.", sentence(&gone), by.join(", ")));
            return Err(problem.with_help("Change or delete those first."));
        }
        let errors: Vec<FieldError> = findings
            .iter()
            .map(|one| match touched(one) {
                Some(edit) if one.path.is_empty() => FieldError::new(edit.at.clone(), one.message.clone()),
                Some(edit) => FieldError::new(format!("{}.{}", edit.at, one.path), one.message.clone()),
                None => FieldError::new(edits[0].at.clone(), one.to_string()),
            })
            .collect();
        let more = if errors.len() > 1 { format!(" (and {} more)", errors.len() - 1) } else { String::new() };
        Err(Problem::invalid(format!("{}: {}{more}.", errors[0].location, errors[0].message)).with_errors(errors))
    }

    /// A route says which asset it belongs to; what is not in the catalog is nobody's.
    pub(super) async fn refuse_missing_assets(&self, conn: &mut PgConnection, edits: &[Edit]) -> Result<(), Problem> {
        for edit in edits {
            let Deed::Put { settings: Settings::Route(route), .. } = &edit.deed else { continue };
            let (path, named) = match (&route.serves, &route.asset) {
                (Serves::Rest(asset), _) => ("serves.rest", asset.as_str()),
                (_, Some(asset)) => ("asset", asset.as_str()),
                _ => continue,
            };
            let place = match edit.owner.workspace_name() {
                Some(workspace) => Some((workspace.as_str(), named)),
                None => named.split_once('/'),
            };
            let Some((workspace, name)) = place else { continue };
            if !store::asset_exists(&mut *conn, workspace, name).await? {
                return Err(Problem::invalid_field(
                    format!("{}.{path}", edit.at),
                    format!("there is no asset {name} in workspace {workspace}"),
                ));
            }
        }
        Ok(())
    }

    /// Stores a change with its audit record; whether there was anything to store.
    async fn store(&self, conn: &mut PgConnection, actor: &Actor, change: &Change) -> Result<bool, Problem> {
        let thing = change.after.as_ref().or(change.before.as_ref()).expect("a change is of something");
        let verb = match (&change.before, &change.after) {
            (None, Some(after)) => {
                store::insert(&mut *conn, after).await?;
                "create"
            }
            (Some(before), Some(after)) if before.revision == after.revision => return Ok(false),
            (Some(before), Some(after)) => {
                store::update(&mut *conn, after).await?;
                drain_verb(&before.settings, &after.settings).unwrap_or("update")
            }
            (Some(before), None) => {
                store::delete(&mut *conn, before.id).await?;
                "delete"
            }
            (None, None) => return Ok(false),
        };
        if let Some(secret) = &change.secret {
            store::put_secret(&mut *conn, thing.id, secret, self.inner.clock.now()).await?;
        }
        let shown = |thing: &Option<Thing>| thing.as_ref().map(|thing| thing.settings.to_value());
        let mut after = shown(&change.after);
        if let (Some(Value::Object(after)), Some(_)) = (&mut after, &change.secret) {
            after.insert("secret".to_owned(), json!("set anew"));
        }
        audit::record(
            conn,
            self.inner.clock.now(),
            &actor.trace(),
            &format!("{}.{verb}", thing.section()),
            audit::Subject { name: &thing.name, id: Some(thing.id), workspace: thing.owner.workspace_id() },
            shown(&change.before),
            after,
        )
        .await?;
        Ok(true)
    }
}

/// What is recorded of a change that takes a backend out or puts it back, and does nothing else.
fn drain_verb(before: &Settings, after: &Settings) -> Option<&'static str> {
    let (Settings::Backend(before), Settings::Backend(after)) = (before, after) else { return None };
    let is_all = BackendSettings { drained: after.drained, ..(**before).clone() } == **after;
    (is_all && before.drained != after.drained).then_some(if after.drained { "drain" } else { "resume" })
}

/// Whether a text stands for a secret: `${NAME}`.
#[must_use]
pub(super) fn is_reference(text: &str) -> bool {
    referenced(text).is_some()
}

/// The name in `${NAME}`.
#[must_use]
pub(super) fn referenced(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (!name.is_empty() && name.len() <= 200 && name.bytes().all(legal)).then_some(name)
}

/// What stands for a secret that came without a reference: `${AZURE_EU}` for the credential `azure-eu`.
fn reference_of(name: &str) -> String {
    format!("${{{}}}", name.to_ascii_uppercase().replace('-', "_"))
}

fn refuse_bad_secret(text: &str, at: &str) -> Result<(), Problem> {
    let wrong = if text.is_empty() || text.len() > 8192 {
        "a secret has 1 to 8,192 bytes"
    } else if text.trim() != text || http::HeaderValue::from_str(text).is_err() {
        "the secret holds what no header can: line breaks, or spaces at its ends"
    } else {
        return Ok(());
    };
    Err(Problem::invalid_field(at, wrong))
}

fn stale(current: i64, sent: i64) -> Problem {
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "stale",
        "Changed meanwhile",
        format!("Somebody else changed this meanwhile: it is at revision {current}, you sent {sent}."),
    )
    .with_help("Read it again, then send the new ETag as If-Match.")
    .with("revision", current)
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|c| c.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The keys of secrets are the operator's affair; the log has the reason.
pub(super) fn no_key(error: crate::base::SealError) -> Problem {
    tracing::error!(error = %error, "A secret could not be sealed or opened");
    Problem::unavailable("Secrets cannot be kept here now; the operator's log says why.")
        .with_kind("sealing-unavailable")
}
