//! `Key`: what records have in common that are summed up together. What a record does not have is the nil id or the empty
//! text.

use crate::gateway::usage::UsageRecord;
use hashbrown::Equivalent;
use serde::Serialize;
use std::hash::{Hash, Hasher};
use time::OffsetDateTime;
use uuid::Uuid;

/// A key that is kept.
#[derive(Debug)]
pub(super) struct Key {
    minute: i64,
    workspace_id: Uuid,
    key_id: Uuid,
    key_name: String,
    user_name: String,
    route: String,
    asset: String,
    model: String,
    backend: String,
}

/// A key that lies elsewhere: in a record, or in a [`Key`], which is found by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub(super) struct KeyOf<'a> {
    /// Since 1970, in UTC.
    #[serde(skip)]
    minute: i64,
    pub(super) workspace_id: Uuid,
    key_id: Uuid,
    pub(super) key_name: &'a str,
    user_name: &'a str,
    route: &'a str,
    asset: &'a str,
    pub(super) model: &'a str,
    backend: &'a str,
}

impl<'a> KeyOf<'a> {
    pub(super) fn of(record: &'a UsageRecord) -> Self {
        Self {
            minute: record.at.unix_timestamp().div_euclid(60),
            workspace_id: record.workspace_id.map_or(Uuid::nil(), |id| id.0),
            key_id: record.key_id.map_or(Uuid::nil(), |id| id.0),
            key_name: &record.key_name,
            user_name: &record.user_name,
            route: &record.route,
            asset: &record.asset,
            model: &record.model,
            backend: &record.backend,
        }
    }

    /// With the first minute of the period of so many that its own lies in.
    pub(super) fn at_start_of(self, minutes: i64) -> Self {
        Self { minute: self.minute.div_euclid(minutes) * minutes, ..self }
    }

    pub(super) fn start_at(&self) -> OffsetDateTime {
        // It was made from a time; only in the first year there is can a period begin before all times.
        OffsetDateTime::from_unix_timestamp(self.minute * 60).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl Key {
    pub(super) fn as_of(&self) -> KeyOf<'_> {
        KeyOf {
            minute: self.minute,
            workspace_id: self.workspace_id,
            key_id: self.key_id,
            key_name: &self.key_name,
            user_name: &self.user_name,
            route: &self.route,
            asset: &self.asset,
            model: &self.model,
            backend: &self.backend,
        }
    }
}

impl From<KeyOf<'_>> for Key {
    fn from(of: KeyOf<'_>) -> Self {
        Self {
            minute: of.minute,
            workspace_id: of.workspace_id,
            key_id: of.key_id,
            key_name: of.key_name.to_owned(),
            user_name: of.user_name.to_owned(),
            route: of.route.to_owned(),
            asset: of.asset.to_owned(),
            model: of.model.to_owned(),
            backend: of.backend.to_owned(),
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_of() == other.as_of()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_of().hash(state);
    }
}

impl Equivalent<Key> for KeyOf<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self == key.as_of()
    }
}
