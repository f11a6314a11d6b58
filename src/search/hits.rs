//! From ranked assets to hits: the cards, read again with the asker's eyes, and the reasons with their marks.

use super::{
    lexical::Word,
    rank::Ranked,
    request::{Hit, MARK, Matched, Why},
    words,
};
use crate::auth::Sight;
use crate::base::AssetId;
use crate::catalog::{Catalog, Error, Searchable, SearchableOperation};
use moka::sync::Cache;
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};
use tantivy::tokenizer::TextAnalyzer;

/// Memory for prepared assets, in bytes.
const MEMORY: u64 = 24_000_000;
/// How much of a description, and of an operation's, is looked through for words to mark, in bytes.
const LONGEST_DESCRIPTION: usize = 4_000;
const LONGEST_OPERATION: usize = 400;
/// How long an excerpt is, in bytes.
const EXCERPT: usize = 220;
/// Most operations of a hit that are named.
const MOST_MATCHED: usize = 3;
/// From which similarity on the meaning is a reason.
const LEAST_SIMILAR: f32 = 0.25;

/// Assets with their words, ready for marking.
pub(super) struct Hits {
    prepared: Cache<AssetId, Arc<Prepared>>,
}

/// An asset with the words of its texts.
struct Prepared {
    /// Of the asset's name, taken before it was read: another number now means that it changed since.
    generation: u64,
    asset: Searchable,
    title: Tokens,
    name: Tokens,
    tags: Tokens,
    summary: Tokens,
    description: Tokens,
    operations: Vec<Tokens>,
}

/// The words of a text by the hashes of their stems, with their places.
type Tokens = Box<[(u32, u32, u32)]>;

/// The words of a query by the hashes of their stems, with their numbers.
pub(super) struct Asked {
    /// Sorted.
    stems: Vec<(u32, u32)>,
    /// A bit for the last six bits of each hash: most tokens are sorted out by it without a search.
    bits: u64,
    count: u32,
}

impl Asked {
    pub(super) fn of(words: &[Word]) -> Self {
        let numbered = (0..).zip(words);
        let mut stems: Vec<(u32, u32)> =
            numbered.flat_map(|(number, word)| word.stems.iter().map(move |(stem, _)| (hash(stem), number))).collect();
        stems.sort_unstable();
        let bits = stems.iter().fold(0, |bits, (stem, _)| bits | 1 << (stem & 63));
        Self { stems, bits, count: u32::try_from(words.len()).unwrap_or(u32::MAX) }
    }

    /// The number of the word that has this stem.
    fn word(&self, stem: u32) -> Option<u32> {
        if self.bits & 1 << (stem & 63) == 0 {
            return None;
        }
        self.stems.binary_search_by_key(&stem, |known| known.0).ok().map(|at| self.stems[at].1)
    }

    /// How many of the words stand among the tokens; of more than 128 words the last ones count as one.
    fn met(&self, tokens: &Tokens) -> u32 {
        let words = tokens.iter().filter_map(|token| self.word(token.0));
        words.fold(0_u128, |met, word| met | 1 << word.min(127)).count_ones()
    }
}

impl Hits {
    pub(super) fn new() -> Self {
        let prepared = Cache::builder().max_capacity(MEMORY).weigher(|_, prepared: &Arc<Prepared>| prepared.size());
        Self { prepared: prepared.build() }
    }

    /// The hits for a page of ranked assets, in its order. What `sight` may not see by the database is left out, whatever
    /// the ranking knew. `operation` gives the name of an asset's operation by its place among the vectors.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) async fn of(
        &self,
        catalog: &Catalog,
        sight: &Sight,
        ranked: &[Ranked],
        asked: &Asked,
        operation: impl Fn(&Ranked) -> Option<(String, f32)>,
    ) -> Result<Vec<Hit>, Error> {
        let prepared = self.prepare(catalog, ranked.iter().map(|ranked| ranked.id)).await?;
        let hits = ranked.iter().filter_map(|ranked| {
            let prepared = prepared.get(&ranked.id).filter(|prepared| prepared.is_seen_by(sight))?;
            Some(prepared.hit(ranked, asked, operation(ranked)))
        });
        Ok(hits.collect())
    }

    async fn prepare(
        &self,
        catalog: &Catalog,
        ids: impl Iterator<Item = AssetId>,
    ) -> Result<HashMap<AssetId, Arc<Prepared>>, Error> {
        let generations = catalog.generations();
        let mut found = HashMap::new();
        let mut missing = Vec::new();
        for id in ids {
            let current = self
                .prepared
                .get(&id)
                .filter(|prepared| generations.of_name(&prepared.asset.card.registry_name) == prepared.generation);
            match current {
                Some(prepared) => drop(found.insert(id, prepared)),
                None => missing.push(id),
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let before = generations.of_all();
        let assets = catalog.searchable(&missing).await?;
        let prepared: Vec<_> = {
            let mut analyzer = words::stemming();
            let generation = |asset: &Searchable| generations.of_name(&asset.card.registry_name);
            assets.into_iter().map(|asset| Arc::new(Prepared::of(generation(&asset), asset, &mut analyzer))).collect()
        };
        // Something changed meanwhile: what was read is good for this answer, but not known to be good for the next.
        let is_quiet = generations.of_all() == before;
        for prepared in prepared {
            let id = prepared.asset.card.asset_id;
            if is_quiet {
                self.prepared.insert(id, prepared.clone());
            }
            found.insert(id, prepared);
        }
        Ok(found)
    }
}

impl Prepared {
    fn of(generation: u64, asset: Searchable, analyzer: &mut TextAnalyzer) -> Self {
        let mut tokens = |text: &str| tokens(analyzer, text);
        let card = &asset.card;
        Self {
            generation,
            title: tokens(&card.title),
            name: tokens(&card.name),
            tags: tokens(&card.tags.join(", ")),
            summary: tokens(&card.summary),
            description: tokens(cut(&asset.description, LONGEST_DESCRIPTION)),
            operations: asset.operations.iter().map(|operation| tokens(&told(operation))).collect(),
            asset,
        }
    }

    /// Roughly, in bytes.
    fn size(&self) -> u32 {
        let operations: usize = self.operations.iter().map(|tokens| tokens.len() * 12 + 200).sum();
        let texts = self.asset.description.len() + self.asset.card.summary.len();
        let told: usize =
            self.asset.operations.iter().filter_map(|operation| operation.description.as_ref()).map(String::len).sum();
        u32::try_from(2_000 + operations + 3 * texts + told).unwrap_or(u32::MAX)
    }

    fn is_seen_by(&self, sight: &Sight) -> bool {
        let card = &self.asset.card;
        (card.is_approved && card.visibility.shows(&card.shared_with, sight))
            || sight.is_inside(card.workspace_id, card.asset_id)
    }

    fn hit(&self, ranked: &Ranked, asked: &Asked, nearest: Option<(String, f32)>) -> Hit {
        let card = &self.asset.card;
        let mut why = Vec::new();
        let mut add = |field: &str, text: Option<String>| {
            let is_there = text.is_some();
            why.extend(text.map(|text| Why::Words { field: field.to_owned(), text }));
            is_there
        };
        if !add("title", marked(&card.title, &self.title, asked)) {
            add("name", marked(&card.name, &self.name, asked));
        }
        if !add("summary", marked(&card.summary, &self.summary, asked)) {
            let description = cut(&self.asset.description, LONGEST_DESCRIPTION);
            add("description", excerpt(description, &self.description, asked));
        }
        add("tag", marked(&card.tags.join(", "), &self.tags, asked));
        if let Some(near) = ranked.near.filter(|near| near.score >= LEAST_SIMILAR) {
            why.push(Why::Meaning { similarity: near.score });
        }
        Hit { card: card.clone(), score: ranked.score.min(1.0), why, matched: self.matched(asked, nearest) }
    }

    /// The operations that hold half of the words or more, and the one nearest in meaning.
    fn matched(&self, asked: &Asked, nearest: Option<(String, f32)>) -> Vec<Matched> {
        let mut fitting: Vec<(f32, usize)> = Vec::new();
        for (at, (operation, tokens)) in self.asset.operations.iter().zip(&self.operations).enumerate() {
            let similarity = nearest.as_ref().filter(|(name, _)| *name == operation.name).map(|near| near.1);
            let similarity = similarity.filter(|similarity| *similarity >= LEAST_SIMILAR);
            let met = asked.met(tokens);
            if similarity.is_some() || (met > 0 && 2 * met >= asked.count) {
                let words = met as f32 / asked.count.max(1) as f32;
                fitting.push((0.5 * words + 0.5 * similarity.unwrap_or(0.0), at));
            }
        }
        fitting.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        fitting.truncate(MOST_MATCHED);
        let matched = fitting.into_iter().map(|(score, at)| {
            let (operation, tokens) = (&self.asset.operations[at], &self.operations[at]);
            let told = told(operation);
            let description = told.get(operation.name.len()..).unwrap_or_default().trim();
            let description = match marked(&told, tokens, asked) {
                // The name stands on a line of its own; only what is said about it is shown with marks.
                Some(marked) => marked.split_once('\n').map(|(_, rest)| rest.trim().to_owned()).unwrap_or_default(),
                None => description.to_owned(),
            };
            Matched { name: operation.name.clone(), title: operation.title.clone(), description, score }
        });
        matched.collect()
    }
}

/// The name of an operation, and on further lines what is said about it.
fn told(operation: &SearchableOperation) -> String {
    let about = operation.summary.as_deref().filter(|text| !text.trim().is_empty());
    let about = about.or(operation.description.as_deref()).unwrap_or_default();
    format!("{}\n{}", operation.name, cut(about, LONGEST_OPERATION))
}

fn tokens(analyzer: &mut TextAnalyzer, text: &str) -> Tokens {
    let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    let tokens = words::tokens(analyzer, text).into_iter();
    tokens.map(|token| (hash(&token.text), place(token.offset_from), place(token.offset_to))).collect()
}

fn hash(stem: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    stem.hash(&mut hasher);
    // Half of the hash does: a false mark among four billion words harms nobody.
    (hasher.finish() >> 32) as u32
}

/// The places of the asked words in a text, in order, none within another.
fn places(tokens: &Tokens, asked: &Asked) -> Vec<(usize, usize)> {
    let mut places: Vec<(usize, usize)> = Vec::new();
    for &(stem, from, to) in tokens {
        if asked.word(stem).is_none() {
            continue;
        }
        let (from, to) = (from as usize, to as usize);
        match places.last_mut() {
            // A run stands there in parts and as a whole.
            Some(last) if from < last.1 => *last = (last.0.min(from), last.1.max(to)),
            _ => places.push((from, to)),
        }
    }
    places
}

/// The text with marks around the asked words; none when it has none of them.
fn marked(text: &str, tokens: &Tokens, asked: &Asked) -> Option<String> {
    let places = places(tokens, asked);
    (!places.is_empty()).then(|| mark(text, &places))
}

fn mark(text: &str, places: &[(usize, usize)]) -> String {
    let mut marked = String::with_capacity(text.len() + 6 * places.len());
    let mut at = 0;
    for &(from, to) in places {
        let (Some(before), Some(word)) = (text.get(at..from), text.get(from..to)) else { continue };
        marked.push_str(before);
        marked.push(MARK.0);
        marked.push_str(word);
        marked.push(MARK.1);
        at = to;
    }
    marked.push_str(text.get(at..).unwrap_or_default());
    marked
}

/// The stretch of a long text around the first asked words, marked.
fn excerpt(text: &str, tokens: &Tokens, asked: &Asked) -> Option<String> {
    let places = places(tokens, asked);
    let first = places.first()?.0;
    let start = match text.floor_char_boundary(first.saturating_sub(EXCERPT / 4)) {
        0 => 0,
        // Begins with a whole word.
        start => text[start..first].find(char::is_whitespace).map_or(first, |space| start + space + 1),
    };
    let end = text.floor_char_boundary((start + EXCERPT).min(text.len()));
    let end = if end == text.len() {
        end
    } else {
        text[start..end].rfind(char::is_whitespace).map_or(end, |space| start + space)
    };
    let within = places.iter().filter(|place| place.0 >= start && place.1 <= end);
    let within: Vec<_> = within.map(|place| (place.0 - start, place.1 - start)).collect();
    let mut excerpt = mark(&text[start..end], &within).split_whitespace().collect::<Vec<_>>().join(" ");
    if start > 0 {
        excerpt.insert(0, '…');
    }
    if end < text.len() {
        excerpt.push('…');
    }
    Some(excerpt)
}

fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &[&str]) -> Asked {
        let words: Vec<Word> = words.iter().map(|word| Word { stems: vec![((*word).to_owned(), 1.0)] }).collect();
        Asked::of(&words)
    }

    fn plain(text: &str) -> String {
        text.replace(MARK.0, "[").replace(MARK.1, "]")
    }

    #[test]
    fn words_are_marked_in_whatever_form_they_stand() {
        let text = "Refunds a refunded payment; GitHub";
        let tokens = tokens(&mut words::stemming(), text);

        let marked = marked(text, &tokens, &asked(&["refund", "hub", "github"])).unwrap();

        assert_eq!(plain(&marked), "[Refunds] a [refunded] payment; [GitHub]");
    }

    #[test]
    fn a_text_without_the_words_has_no_marks() {
        let tokens = tokens(&mut words::stemming(), "weather");
        assert_eq!(marked("weather", &tokens, &asked(&["refund"])), None);
    }

    #[test]
    fn an_excerpt_surrounds_the_first_words() {
        let text = format!("{} gives the money back {}", "before ".repeat(60), "after ".repeat(60));
        let tokens = tokens(&mut words::stemming(), &text);

        let excerpt = plain(&excerpt(&text, &tokens, &asked(&["money"])).unwrap());

        assert!(excerpt.starts_with("…before") && excerpt.ends_with("after…"), "{excerpt}");
        assert!(excerpt.contains("gives the [money] back") && excerpt.len() < EXCERPT + 20, "{excerpt}");
    }
}
