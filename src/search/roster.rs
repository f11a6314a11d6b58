//! The roster: every asset in a slot of its own, with what is needed to filter, count, sort and suggest without a
//! database. Slots are numbered from 0 and never given to another asset, so scores can be kept in plain arrays.

use super::query::{FIELDS, Filter};
use crate::auth::Sight;
use crate::base::{AssetId, WorkspaceId};
use crate::catalog::{Card, Visibility};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// Longest metadata value that can be a facet, in bytes.
const LONGEST_VALUE: usize = 200;

/// What the roster knows of an asset.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: AssetId,
    pub workspace: WorkspaceId,
    pub visibility: Visibility,
    /// Sorted names of groups.
    shared_with: Box<[String]>,
    is_approved: bool,
    pub name: Box<str>,
    pub title: Box<str>,
    /// Title and name in lower case: what is sorted by, suggested from, and compared with a whole query.
    pub folded: Folded,
    /// Microseconds since 1970.
    pub created: i64,
    pub updated: i64,
    /// Ids of the values of all facets, sorted.
    values: Box<[u32]>,
}

#[derive(Clone, Debug)]
pub struct Folded {
    pub title: Box<str>,
    pub name: Box<str>,
}

impl Entry {
    /// Whether somebody of this sight may see it.
    #[must_use]
    pub fn is_seen_by(&self, sight: &Sight) -> bool {
        (self.is_approved && self.visibility.shows(&self.shared_with, sight))
            || sight.is_inside(self.workspace, self.id)
    }

    /// Whether `text`, in lower case, is all of the asset's title or name.
    #[must_use]
    pub fn is_called(&self, text: &str) -> bool {
        let Folded { title, name } = &self.folded;
        **title == *text || **name == *text || name.rsplit('/').next() == Some(text)
    }
}

/// All assets.
#[derive(Debug, Default)]
pub struct Roster {
    slots: HashMap<AssetId, u32>,
    entries: Vec<Option<Entry>>,
    live: usize,
    values: Values,
    /// Metadata fields that count as facets.
    declared: HashSet<String>,
}

/// Every value of every facet, numbered.
#[derive(Debug, Default)]
struct Values {
    fields: Vec<String>,
    texts: Vec<(u16, Box<str>)>,
    ids: HashMap<(u16, Box<str>), u32>,
}

/// How an entry stands to a query's filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Passes,
    /// Fails the filter of this one field; counts among that field's values, so that another one can be chosen.
    FailsOnly(u16),
    Out,
}

/// A query's filters as numbers.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    /// For each field: any of these values.
    required: Vec<(u16, Vec<u32>)>,
    banned: Vec<u32>,
}

/// How often the values of a field occur.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    pub field: String,
    /// Most frequent first.
    pub values: Vec<(String, u64)>,
}

/// Counts by value id.
pub struct Counts(Vec<u32>);

impl Roster {
    /// How many slots there are: one more than the highest number in use.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.entries.len()
    }

    /// How many assets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    #[must_use]
    pub fn slot(&self, id: AssetId) -> Option<u32> {
        self.slots.get(&id).copied()
    }

    #[must_use]
    pub fn entry(&self, slot: u32) -> Option<&Entry> {
        self.entries.get(slot as usize)?.as_ref()
    }

    /// All assets that `sight` may see, with their slots.
    pub fn seen_by<'a>(&'a self, sight: &'a Sight) -> impl Iterator<Item = (u32, &'a Entry)> {
        let all = (0..).zip(&self.entries).filter_map(|(slot, entry)| Some((slot, entry.as_ref()?)));
        all.filter(|(_, entry)| entry.is_seen_by(sight))
    }

    /// Puts an asset in, or its new state in place of the old; gives its slot.
    pub fn put(&mut self, card: &Card) -> u32 {
        let values = self.values_of(card);
        let entry = Entry {
            id: card.asset_id,
            workspace: card.workspace_id,
            visibility: card.visibility,
            shared_with: card.shared_with.clone().into(),
            is_approved: card.is_approved,
            name: card.name.as_str().into(),
            title: card.title.as_str().into(),
            folded: Folded { title: card.title.to_lowercase().into(), name: card.name.to_lowercase().into() },
            created: micros(card.created_at),
            updated: micros(card.updated_at),
            values,
        };
        let slot = self.slot_for(card.asset_id);
        if self.entries[slot as usize].replace(entry).is_none() {
            self.live += 1;
        }
        slot
    }

    /// Takes an asset out; its slot stays its own.
    pub fn remove(&mut self, id: AssetId) -> Option<u32> {
        let slot = self.slot(id)?;
        if self.entries[slot as usize].take().is_some() {
            self.live -= 1;
        }
        Some(slot)
    }

    /// Takes everything out, slots too; which fields are facets stays known.
    pub fn clear(&mut self) {
        *self = Self { declared: std::mem::take(&mut self.declared), ..Self::default() };
    }

    fn slot_for(&mut self, id: AssetId) -> u32 {
        if let Some(&slot) = self.slots.get(&id) {
            return slot;
        }
        let slot = u32::try_from(self.entries.len()).expect("fewer than 2^32 assets");
        self.slots.insert(id, slot);
        self.entries.push(None);
        slot
    }

    fn values_of(&mut self, card: &Card) -> Box<[u32]> {
        let mut values = Vec::new();
        let mut add = |field: &str, value: &str| {
            if !value.is_empty() && value.len() <= LONGEST_VALUE {
                values.push(self.values.intern(field, value));
            }
        };
        add("kind", card.kind.as_str());
        add("workspace", &card.workspace);
        card.stage.iter().for_each(|stage| add("stage", stage.as_str()));
        for (field, several) in [
            ("tag", &card.tags),
            ("owner", &card.owners),
            ("environment", &card.environments),
            ("transport", &card.transports),
        ] {
            several.iter().for_each(|value| add(field, value));
        }
        // All of the metadata, declared or not: a field may be declared a facet later.
        for (field, value) in card.metadata.0.iter().filter(|(field, _)| !FIELDS.contains(&field.as_str())) {
            let several = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            for value in several.iter().take(32) {
                match value {
                    Value::String(text) => add(field, text),
                    Value::Bool(_) | Value::Number(_) => add(field, &value.to_string()),
                    Value::Null | Value::Array(_) | Value::Object(_) => {}
                }
            }
        }
        values.sort_unstable();
        values.dedup();
        values.into()
    }

    /// Says which metadata fields count as facets.
    pub fn declare(&mut self, fields: impl IntoIterator<Item = String>) {
        self.declared = fields.into_iter().filter(|field| !FIELDS.contains(&field.as_str())).collect();
    }

    /// Whether assets can be filtered by the field.
    #[must_use]
    pub fn is_field(&self, field: &str) -> bool {
        FIELDS.contains(&field) || self.declared.contains(field)
    }

    /// The filters as numbers; a value that no asset has lets nothing pass.
    #[must_use]
    pub fn compile(&self, filters: &[Filter]) -> Filters {
        let mut compiled = Filters::default();
        for filter in filters {
            let field = self.values.fields.iter().position(|known| *known == filter.field);
            // A field that no asset has a value of gets a number that none can have.
            let field = field.and_then(|at| u16::try_from(at).ok()).unwrap_or(u16::MAX);
            let ids = self.values.meant(field, &filter.value);
            if filter.is_negated {
                compiled.banned.extend(ids);
                continue;
            }
            match compiled.required.iter_mut().find(|(known, _)| *known == field) {
                Some((_, values)) => values.extend(ids),
                None => compiled.required.push((field, ids)),
            }
        }
        compiled
    }

    /// No counts yet.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts(vec![0; self.values.texts.len()])
    }

    /// Adds an entry's values: all of them, or those of one field only.
    pub fn count(&self, entry: &Entry, standing: Standing, counts: &mut Counts) {
        for &value in &entry.values {
            let counted = match standing {
                Standing::Passes => true,
                Standing::FailsOnly(field) => self.values.texts[value as usize].0 == field,
                Standing::Out => false,
            };
            counts.0[value as usize] += u32::from(counted);
        }
    }

    /// The counts by field: the seven that all assets have first, then the declared ones; at most `most` values each.
    #[must_use]
    pub fn facets(&self, counts: &Counts, most: usize) -> Vec<Counted> {
        let mut by_field: Vec<Vec<(String, u64)>> = vec![Vec::new(); self.values.fields.len()];
        for ((field, text), &count) in self.values.texts.iter().zip(&counts.0) {
            if count > 0 {
                by_field[usize::from(*field)].push((text.to_string(), u64::from(count)));
            }
        }
        let mut facets: Vec<Counted> = Vec::new();
        for (field, mut values) in self.values.fields.iter().zip(by_field) {
            if !values.is_empty() && self.is_field(field) {
                values.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
                values.truncate(most);
                facets.push(Counted { field: field.clone(), values });
            }
        }
        facets.sort_by_key(|facet| {
            (FIELDS.iter().position(|field| *field == facet.field).unwrap_or(FIELDS.len()), facet.field.clone())
        });
        facets
    }

    /// The name of an entry's workspace.
    #[must_use]
    pub fn workspace_of(&self, entry: &Entry) -> &str {
        let field = self.values.fields.iter().position(|field| field == "workspace");
        let texts = entry.values.iter().map(|&value| &self.values.texts[value as usize]);
        texts.into_iter().find(|(of, _)| field == Some(usize::from(*of))).map_or("", |(_, text)| text)
    }

    /// The values of `field` of what `sight` may see, with how many assets have each.
    #[must_use]
    pub fn values_seen(&self, field: &str, sight: &Sight) -> Vec<(String, u64)> {
        let mut counts = self.counts();
        self.seen_by(sight).for_each(|(_, entry)| self.count(entry, Standing::Passes, &mut counts));
        let facets = self.facets(&counts, usize::MAX);
        facets.into_iter().find(|facet| facet.field == field).map(|facet| facet.values).unwrap_or_default()
    }
}

impl Filters {
    #[must_use]
    pub fn standing(&self, entry: &Entry) -> Standing {
        let has = |value: &u32| entry.values.binary_search(value).is_ok();
        if self.banned.iter().any(has) {
            return Standing::Out;
        }
        let mut standing = Standing::Passes;
        for (field, values) in &self.required {
            if !values.iter().any(has) {
                if standing != Standing::Passes {
                    return Standing::Out;
                }
                standing = Standing::FailsOnly(*field);
            }
        }
        standing
    }
}

impl Values {
    fn intern(&mut self, field: &str, text: &str) -> u32 {
        let place = self.fields.iter().position(|known| known == field).unwrap_or_else(|| {
            self.fields.push(field.to_owned());
            self.fields.len() - 1
        });
        // Beyond 65,534 fields values share the last number; nothing declares that many facets.
        let field = u16::try_from(place).unwrap_or(u16::MAX - 1);
        let key = (field, Box::from(text));
        if let Some(&id) = self.ids.get(&key) {
            return id;
        }
        let id = u32::try_from(self.texts.len()).expect("fewer than 2^32 values");
        self.texts.push((field, text.into()));
        self.ids.insert(key, id);
        id
    }

    /// The values of the field that equal `text`, capitals aside.
    fn meant(&self, field: u16, text: &str) -> Vec<u32> {
        let text = text.to_lowercase();
        let all = (0..).zip(&self.texts).filter(|(_, (of, _))| *of == field);
        all.filter(|(_, (_, known))| known.to_lowercase() == text).map(|(id, _)| id).collect()
    }
}

fn micros(at: time::OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}
