//! Which assets have words in common with a text that is itself an asset's.

use super::{Broken, Snapshot};
use crate::search::words;
use tantivy::query::{EnableScoring, MoreLikeThisQuery, Query};
use tantivy::schema::OwnedValue;

/// Most words of the text that are looked for: those that stand often in it and seldom elsewhere.
const MOST_WORDS: usize = 25;
/// How much of the text is looked through, in bytes: what an asset is about stands at its beginning.
const LONGEST_TEXT: usize = 20_000;

impl Snapshot {
    /// How much every asset has in common with a text, by slot, in a table of `slots` places: 0 where nothing, otherwise
    /// tantivy's more-like-this, whose scores compare within one answer only.
    ///
    /// # Errors
    /// [`Broken`] when the index cannot be read.
    pub fn in_common(&self, text: &str, slots: usize) -> Result<Vec<f32>, Broken> {
        let text = &text[..text.floor_char_boundary(LONGEST_TEXT)];
        let query = MoreLikeThisQuery::builder()
            // A word that stands in this asset alone leads to no other.
            .with_min_doc_frequency(2)
            .with_min_term_frequency(1)
            .with_min_word_length(2)
            .with_max_query_terms(MOST_WORDS)
            .with_stop_words(words::stems_of_fillers())
            .with_document_fields(vec![(self.names.everything, vec![OwnedValue::Str(text.to_owned())])]);
        let weight = query.weight(EnableScoring::enabled_from_searcher(&self.searcher))?;
        let mut scores = vec![0.0; slots];
        for (reader, segment) in self.searcher.segment_readers().iter().zip(&self.segments) {
            weight.for_each(reader, &mut |document, score| {
                if let Some(place) = scores.get_mut(segment.slots[document as usize] as usize) {
                    *place = score;
                }
            })?;
        }
        Ok(scores)
    }
}
