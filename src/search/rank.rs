//! From a read query to ranked slots, totals and counts: everything of a search that needs no database.

use super::{
    fuse::{self, Evidence, Found},
    lexical::{Broken, Scores, Snapshot, Word},
    passages::Stored,
    query::{Filter, Parsed},
    request::Sort,
    roster::{Counted, Entry, Roster, Standing},
    vector::{Near, Vectors},
    words,
};
use crate::auth::Sight;
use crate::base::AssetId;
use serde::{Deserialize, Serialize};
use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
};

/// Most words of a query that are looked for.
const MOST_WORDS: usize = 96;
/// Most values of a facet that an answer names.
const MOST_VALUES: usize = 50;

/// What is held in memory.
#[derive(Debug, Default)]
pub struct Holdings {
    pub roster: Roster,
    pub vectors: Vectors,
    /// By slot: the operations that its vectors after the first are about.
    operations: HashMap<u32, Box<[Box<str>]>>,
}

/// A query, and what stands ready to answer it.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    pub parsed: &'a Parsed,
    /// Beside those in the text.
    pub filters: &'a [Filter],
    pub sort: Sort,
    /// Whether the last word may be the beginning of one: somebody is still typing.
    pub is_open: bool,
    pub sight: &'a Sight,
    pub words: Words<'a>,
    /// The query's vector; none: meaning is left out.
    pub vector: Option<&'a [f32]>,
    pub counts: bool,
    /// The last item of the page before.
    pub after: Option<&'a Place>,
    pub limit: usize,
}

/// Where the evidence about words comes from.
#[derive(Clone, Copy)]
pub enum Words<'a> {
    Index(&'a Snapshot),
    /// Assets the database found by itself, while there is no index.
    Database(&'a [AssetId]),
}

/// An item's place in an order: what a cursor carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    key: Key,
    id: AssetId,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Key {
    /// As bits: it comes back the same.
    Score(u32),
    Time(i64),
    Text(String),
}

/// One ranked asset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    pub id: AssetId,
    pub score: f32,
    pub near: Option<Near>,
    /// How many of the query's words it holds.
    pub words: u16,
}

/// A page of ranked assets.
#[derive(Debug, Default)]
pub struct Ranking {
    pub page: Vec<Ranked>,
    pub total: u64,
    pub facets: Vec<Counted>,
    /// Set when there are more.
    pub next: Option<Place>,
    /// The words looked for: the stems by which each was met.
    pub words: Vec<Word>,
}

impl Holdings {
    /// Takes an asset's vectors in, first its own, then one for each of `operations`.
    pub(super) fn put_vectors(&mut self, stored: Stored) {
        if let Some(slot) = self.roster.slot(stored.asset_id) {
            self.vectors.put(slot, &stored.vectors);
            self.operations.insert(slot, stored.operations.into_iter().map(String::into_boxed_str).collect());
        }
    }

    /// Takes an asset out.
    pub(super) fn remove(&mut self, id: AssetId) {
        if let Some(slot) = self.roster.remove(id) {
            self.vectors.remove(slot);
            self.operations.remove(&slot);
        }
    }

    /// Takes everything out.
    pub(super) fn clear(&mut self) {
        self.roster.clear();
        self.vectors = Vectors::default();
        self.operations.clear();
    }

    /// The operation that a vector of the asset is about, counted from 0.
    #[must_use]
    pub fn operation(&self, id: AssetId, place: u32) -> Option<&str> {
        let operations = self.operations.get(&self.roster.slot(id)?)?;
        operations.get(place as usize).map(|name| &**name)
    }

    /// Ranks what `ask.sight` may see.
    ///
    /// # Errors
    /// [`Broken`] when the index cannot be read.
    pub fn rank(&self, ask: &Ask<'_>) -> Result<Ranking, Broken> {
        let roster = &self.roster;
        let seen: Vec<u32> = roster.seen_by(ask.sight).map(|(slot, _)| slot).collect();
        let is_search = !ask.parsed.text.trim().is_empty();
        let (words, scores) = self.look_for_words(ask)?;
        let near = ask.vector.filter(|_| is_search).map(|vector| self.near(vector, &seen)).unwrap_or_default();

        let mut found = if is_search {
            let text = ask.parsed.text.trim().to_lowercase();
            let evidence = Evidence { words: &scores, near: &near, asked: words.len() };
            fuse::found(&evidence, &seen, |slot| roster.entry(slot).is_some_and(|entry| entry.is_called(&text)))
        } else {
            seen.iter().map(|&slot| Found { slot, score: 0.0 }).collect()
        };
        if let Words::Index(index) = ask.words {
            keep_phrases(index, ask.parsed, &mut found)?;
        }

        let filters: Vec<Filter> = ask.parsed.filters.iter().chain(ask.filters).cloned().collect();
        let compiled = roster.compile(&filters);
        let mut counts = roster.counts();
        let mut passing: Vec<(Found, &Entry)> = Vec::new();
        for found in found {
            let Some(entry) = roster.entry(found.slot) else { continue };
            let standing = compiled.standing(entry);
            if ask.counts {
                roster.count(entry, standing, &mut counts);
            }
            if standing == Standing::Passes {
                passing.push((found, entry));
            }
        }

        let total = passing.len() as u64;
        let sort = if is_search || ask.sort != Sort::Relevance { ask.sort } else { Sort::Updated };
        let (page, next) = page(passing, sort, ask.after, ask.limit);
        let ranked = |(found, entry): (Found, &Entry)| Ranked {
            id: entry.id,
            score: found.score,
            near: near.get(found.slot as usize).copied().flatten(),
            words: scores.words.get(found.slot as usize).copied().unwrap_or_default(),
        };
        Ok(Ranking {
            page: page.into_iter().map(ranked).collect(),
            total,
            facets: if ask.counts { roster.facets(&counts, MOST_VALUES) } else { Vec::new() },
            next,
            words,
        })
    }

    fn look_for_words(&self, ask: &Ask<'_>) -> Result<(Vec<Word>, Scores), Broken> {
        let slots = self.roster.slots();
        match ask.words {
            Words::Index(index) => {
                let words = index.words_of(&ask.parsed.text, ask.is_open, MOST_WORDS)?;
                let scores = index.score(&words, slots)?;
                Ok((words, scores))
            }
            Words::Database(ids) => {
                let mut scores = Scores::none(slots);
                for (rank, slot) in ids.iter().filter_map(|&id| self.roster.slot(id)).enumerate() {
                    scores.score[slot as usize] = 1.0 / (1.0 + rank as f32);
                    scores.words[slot as usize] = u16::MAX;
                }
                Ok((Vec::new(), scores))
            }
        }
    }

    fn near(&self, vector: &[f32], seen: &[u32]) -> Vec<Option<Near>> {
        let mut wanted = vec![false; self.roster.slots()];
        seen.iter().for_each(|&slot| wanted[slot as usize] = true);
        self.vectors.near(vector, wanted.len(), |slot| wanted[slot as usize])
    }
}

/// Leaves what holds every phrase and nothing excluded.
fn keep_phrases(index: &Snapshot, parsed: &Parsed, found: &mut Vec<Found>) -> Result<(), Broken> {
    let mut analyzer = words::stemming();
    let mut holding = |phrase: &str| -> Result<Option<HashSet<u32>>, Broken> {
        // Of a run the whole is asked for, which is its last token.
        let mut stems: Vec<(usize, String)> = Vec::new();
        for token in words::tokens(&mut analyzer, phrase) {
            match stems.last_mut() {
                Some(last) if last.0 == token.position => last.1 = token.text,
                _ => stems.push((token.position, token.text)),
            }
        }
        if stems.is_empty() {
            return Ok(None);
        }
        Ok(Some(index.phrase(&stems)?.into_iter().collect()))
    };
    for phrase in &parsed.phrases {
        if let Some(holders) = holding(phrase)? {
            found.retain(|found| holders.contains(&found.slot));
        }
    }
    for phrase in &parsed.excluded {
        if let Some(holders) = holding(phrase)? {
            found.retain(|found| !holders.contains(&found.slot));
        }
    }
    Ok(())
}

/// The first `limit` after `after` in this order, and the place to go on from.
fn page<'a>(
    mut all: Vec<(Found, &'a Entry)>,
    sort: Sort,
    after: Option<&Place>,
    limit: usize,
) -> (Vec<(Found, &'a Entry)>, Option<Place>) {
    let order = |a: &(Found, &Entry), b: &(Found, &Entry)| {
        let first = match sort {
            Sort::Relevance => b.0.score.total_cmp(&a.0.score),
            Sort::Name => a.1.folded.title.cmp(&b.1.folded.title),
            Sort::Newest => b.1.created.cmp(&a.1.created),
            Sort::Updated => b.1.updated.cmp(&a.1.updated),
        };
        first.then_with(|| a.1.id.cmp(&b.1.id))
    };
    if let Some(after) = after {
        all.retain(|(found, entry)| comes_after(after, sort, found, entry));
    }
    let is_more = all.len() > limit;
    if is_more && limit > 0 {
        all.select_nth_unstable_by(limit - 1, order);
    }
    all.truncate(limit);
    all.sort_unstable_by(order);
    let next =
        all.last().filter(|_| is_more).map(|(found, entry)| Place { key: key(sort, found, entry), id: entry.id });
    (all, next)
}

fn key(sort: Sort, found: &Found, entry: &Entry) -> Key {
    match sort {
        Sort::Relevance => Key::Score(found.score.to_bits()),
        Sort::Name => Key::Text(entry.folded.title.to_string()),
        Sort::Newest => Key::Time(entry.created),
        Sort::Updated => Key::Time(entry.updated),
    }
}

fn comes_after(place: &Place, sort: Sort, found: &Found, entry: &Entry) -> bool {
    let first = match (&place.key, key(sort, found, entry)) {
        (Key::Score(last), Key::Score(this)) => f32::from_bits(*last).total_cmp(&f32::from_bits(this)),
        (Key::Time(last), Key::Time(this)) => last.cmp(&this),
        (Key::Text(last), Key::Text(this)) => this.cmp(last),
        // A cursor of another order; the caller has refused it.
        _ => Ordering::Less,
    };
    first.then_with(|| entry.id.cmp(&place.id)) == Ordering::Greater
}
