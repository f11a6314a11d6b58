//! A committed state of the index, and what the words of a query score in it.

use super::{Broken, Names};
use crate::base::AssetId;
use std::sync::Arc;
use tantivy::{
    DocSet, InvertedIndexReader, Searcher, SegmentReader, Term,
    fieldnorm::FieldNormReader,
    query::{EnableScoring, PhraseQuery, Query, TermQuery},
    schema::{Field, IndexRecordOption},
};

/// BM25's saturation and length parameters.
const K1: f32 = 1.2;
const B: f32 = 0.75;
/// What stands in for an asset that the caller's table does not have.
const NO_SLOT: u32 = u32::MAX;

/// One word of a query: the stems by which it may be met, each with its weight. The word itself weighs 1; its
/// continuations and corrections less.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    pub stems: Vec<(String, f32)>,
}

/// What a query scores, by slot.
#[derive(Clone, Debug)]
pub struct Scores {
    /// 0 where no word was met.
    pub score: Vec<f32>,
    /// How many words of the query were met.
    pub words: Vec<u16>,
    /// The word counted last, from 1: a word met by several stems counts once.
    last: Vec<u16>,
}

impl Scores {
    /// Nothing met yet, in a table of `slots` places.
    #[must_use]
    pub fn none(slots: usize) -> Self {
        Self { score: vec![0.0; slots], words: vec![0; slots], last: vec![0; slots] }
    }
}

/// A committed state of the index; keeps its files.
pub struct Snapshot {
    pub(super) searcher: Searcher,
    pub(super) segments: Vec<Segment>,
    pub(super) names: Names,
    fields: [Scored; 3],
    documents: u64,
}

/// A field that scores, and how much its score weighs. A match in the title or in a tool's name counts again on top of
/// the one in the text that holds them too: weights found best on the reference queries.
struct Scored {
    field: Field,
    weight: f32,
    /// BM25's length part for each of the 256 lengths that are told apart.
    lengths: Box<[f32; 256]>,
}

pub(super) struct Segment {
    fields: [(Arc<InvertedIndexReader>, FieldNormReader); 3],
    plain: Arc<InvertedIndexReader>,
    /// The slot of each document; [`NO_SLOT`] for deleted ones and those the table does not have.
    pub(super) slots: Vec<u32>,
}

impl Snapshot {
    pub(super) fn of(
        searcher: &Searcher,
        names: Names,
        slot_of: impl Fn(AssetId) -> Option<u32>,
    ) -> Result<Self, Broken> {
        let readers = searcher.segment_readers();
        let segments =
            readers.iter().map(|reader| Segment::of(reader, names, &slot_of)).collect::<Result<Vec<_>, _>>()?;
        let documents = readers.iter().map(|reader| u64::from(reader.max_doc())).sum::<u64>();
        let scored = |place: usize, field, weight| {
            let tokens: u64 = segments.iter().map(|segment: &Segment| segment.fields[place].0.total_num_tokens()).sum();
            let average = (tokens as f32 / documents.max(1) as f32).max(1.0);
            let length = |id: usize| {
                let length = FieldNormReader::id_to_fieldnorm(u8::try_from(id).expect("an array of 256"));
                K1 * (1.0 - B + B * length as f32 / average)
            };
            Scored { field, weight, lengths: Box::new(std::array::from_fn(length)) }
        };
        let fields = [scored(0, names.everything, 1.0), scored(1, names.title, 0.5), scored(2, names.operations, 0.5)];
        Ok(Self { searcher: searcher.clone(), segments, names, fields, documents })
    }

    /// How many assets it holds, give or take deleted ones that are not merged away yet.
    #[must_use]
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// The score of every asset: BM25 in the whole text, plus half of it in the title and in the names of operations.
    ///
    /// # Errors
    /// [`Broken`] when the index cannot be read.
    pub fn score(&self, words: &[Word], slots: usize) -> Result<Scores, Broken> {
        let mut scores = Scores::none(slots);
        for (number, word) in (1_u16..).zip(words) {
            for (stem, weight) in &word.stems {
                self.add(stem, *weight, number, &mut scores)?;
            }
        }
        Ok(scores)
    }

    fn add(&self, stem: &str, weight: f32, number: u16, scores: &mut Scores) -> Result<(), Broken> {
        for (place, scored) in self.fields.iter().enumerate() {
            let term = Term::from_field_text(scored.field, stem);
            let mut found = Vec::with_capacity(self.segments.len());
            let mut in_documents = 0;
            for segment in &self.segments {
                if let Some(info) = segment.fields[place].0.get_term_info(&term)? {
                    in_documents += u64::from(info.doc_freq);
                    found.push((segment, info));
                }
            }
            if found.is_empty() {
                // The first field holds the text of the others.
                return Ok(());
            }
            let without = self.documents.saturating_sub(in_documents) as f32;
            let rarity = (1.0 + (without + 0.5) / (in_documents as f32 + 0.5)).ln();
            let factor = weight * scored.weight * rarity * (1.0 + K1);
            for (segment, info) in found {
                let (postings, norms) = &segment.fields[place];
                let mut block = postings.read_block_postings_from_terminfo(&info, IndexRecordOption::WithFreqs)?;
                while block.block_len() > 0 {
                    for (&document, &times) in block.docs().iter().zip(block.freqs()) {
                        let slot = segment.slots[document as usize];
                        let Some(score) = scores.score.get_mut(slot as usize) else { continue };
                        let times = times as f32;
                        let length = scored.lengths[usize::from(norms.fieldnorm_id(document))];
                        *score += factor * times / (times + length);
                        let slot = slot as usize;
                        if scores.last[slot] != number {
                            scores.last[slot] = number;
                            scores.words[slot] += 1;
                        }
                    }
                    block.advance();
                }
            }
        }
        Ok(())
    }

    /// The slots of the assets in whose text the stems stand next to each other, in this order. `steps` are the places
    /// of the stems, counted from the first.
    ///
    /// # Errors
    /// [`Broken`] when the index cannot be read.
    pub fn phrase(&self, stems: &[(usize, String)]) -> Result<Vec<u32>, Broken> {
        let term = |stem: &str| Term::from_field_text(self.names.everything, stem);
        let query: Box<dyn Query> = match stems {
            [] => return Ok(Vec::new()),
            [(_, stem)] => Box::new(TermQuery::new(term(stem), IndexRecordOption::Basic)),
            _ => Box::new(PhraseQuery::new_with_offset(stems.iter().map(|(at, stem)| (*at, term(stem))).collect())),
        };
        let weight = query.weight(EnableScoring::disabled_from_searcher(&self.searcher))?;
        let mut slots = Vec::new();
        for (reader, segment) in self.searcher.segment_readers().iter().zip(&self.segments) {
            let mut scorer = weight.scorer(reader, 1.0)?;
            let mut document = scorer.doc();
            while document != tantivy::TERMINATED {
                slots.push(segment.slots[document as usize]);
                document = scorer.advance();
            }
        }
        slots.retain(|&slot| slot != NO_SLOT);
        Ok(slots)
    }

    /// In how many documents the stem stands.
    pub(super) fn frequency(&self, stem: &str) -> Result<u64, Broken> {
        let term = Term::from_field_text(self.names.everything, stem);
        let mut in_documents = 0;
        for segment in &self.segments {
            in_documents += u64::from(segment.fields[0].0.doc_freq(&term)?);
        }
        Ok(in_documents)
    }

    /// The field of words as written.
    pub(super) fn plain_field(&self) -> Field {
        self.names.plain
    }

    /// The dictionaries of words as written.
    pub(super) fn vocabularies(&self) -> impl Iterator<Item = &InvertedIndexReader> {
        self.segments.iter().map(|segment| &*segment.plain)
    }
}

impl Segment {
    fn of(reader: &SegmentReader, names: Names, slot_of: &impl Fn(AssetId) -> Option<u32>) -> Result<Self, Broken> {
        let field = |field: Field| -> Result<_, Broken> {
            Ok((reader.inverted_index(field)?, reader.get_fieldnorms_reader(field)?))
        };
        let (high, low) = (reader.fast_fields().u64("id_high")?, reader.fast_fields().u64("id_low")?);
        let slots = (0..reader.max_doc()).map(|document| {
            let id = high.first(document).zip(low.first(document));
            let id = id.map(|(high, low)| AssetId(uuid::Uuid::from_u64_pair(high, low)));
            id.filter(|_| !reader.is_deleted(document)).and_then(slot_of).unwrap_or(NO_SLOT)
        });
        Ok(Self {
            slots: slots.collect(),
            fields: [field(names.everything)?, field(names.title)?, field(names.operations)?],
            plain: reader.inverted_index(names.plain)?,
        })
    }
}
