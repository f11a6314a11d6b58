//! Words that are not in the index as they were typed: the beginnings of words, and slips of the finger.

use super::{Broken, Snapshot, Word};
use crate::search::words;
use std::collections::HashMap;
use tantivy::{Term, query::FuzzyTermQuery};

/// Up to so many words, those that are nowhere are continued and corrected: somebody types into a box. Of a sentence
/// enough words are known, and looking for corrections costs more than the rest of the search.
const LONGEST_MENDED: usize = 6;
/// Most continuations of a beginning, most used first.
const CONTINUATIONS: usize = 24;
/// Most corrections of a word, nearest and most used first.
const CORRECTIONS: usize = 3;
/// Most words of the vocabulary that are looked at for one word of a query.
const LOOKED_AT: usize = 5_000;
/// What a continuation weighs beside the word itself.
const CONTINUED: f32 = 0.5;
/// What a correction weighs: little matter, since it is only asked for when the word itself is nowhere.
const CORRECTED: f32 = 0.7;

impl Snapshot {
    /// The words of `text` by which it is searched for: fillers left out unless there is nothing else, each once, at
    /// most `most`. The last one may be the beginning of a word when `is_open`. In a short text, a word that is nowhere is
    /// continued or corrected.
    ///
    /// # Errors
    /// [`Broken`] when the index cannot be read.
    pub fn words_of(&self, text: &str, is_open: bool, most: usize) -> Result<Vec<Word>, Broken> {
        let asked = asked_words(text);
        let mut words: Vec<Word> = Vec::new();
        let last = asked.len().saturating_sub(1);
        let is_mended = asked.len() <= LONGEST_MENDED;
        for (at, asked) in asked.iter().enumerate() {
            let is_beginning = is_open && at == last;
            for word in self.forms(asked, is_beginning, is_mended)? {
                if words.len() < most && !words.iter().any(|known| known.stems[0].0 == word.stems[0].0) {
                    words.push(word);
                }
            }
        }
        Ok(words)
    }

    /// One run of the query: as a whole when the index has it, else its parts.
    fn forms(&self, asked: &Asked, is_beginning: bool, is_mended: bool) -> Result<Vec<Word>, Broken> {
        let whole = &asked.whole;
        if self.frequency(&whole.stem)? > 0 {
            let mut stems = vec![(whole.stem.clone(), 1.0)];
            if is_beginning {
                self.continue_word(&whole.plain, &mut stems)?;
            }
            return Ok(vec![Word { stems }]);
        }
        if !asked.parts.is_empty() {
            return Ok(asked.parts.iter().map(|part| Word { stems: vec![(part.stem.clone(), 1.0)] }).collect());
        }
        let mut stems = vec![(whole.stem.clone(), 1.0)];
        if is_mended {
            self.continue_word(&whole.plain, &mut stems)?;
        }
        if is_mended && stems.len() == 1 {
            self.correct_word(&whole.plain, &mut stems)?;
        }
        Ok(vec![Word { stems }])
    }

    /// Adds the stems of the words that begin with `beginning`.
    fn continue_word(&self, beginning: &str, stems: &mut Vec<(String, f32)>) -> Result<(), Broken> {
        if beginning.chars().count() < 2 {
            return Ok(());
        }
        let mut found: HashMap<String, u64> = HashMap::new();
        for vocabulary in self.vocabularies() {
            let mut words = vocabulary.terms().range().ge(beginning).into_stream()?;
            for _ in 0..LOOKED_AT {
                let Some((word, info)) = words.next() else { break };
                if !word.starts_with(beginning.as_bytes()) {
                    break;
                }
                if let Ok(word) = std::str::from_utf8(word) {
                    *found.entry(word.to_owned()).or_default() += u64::from(info.doc_freq);
                }
            }
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        add_stems(found.into_iter().map(|(word, _)| word), CONTINUED, CONTINUATIONS, stems);
        Ok(())
    }

    /// Adds the stems of words one change away, or two for long ones; only with the first letter right.
    fn correct_word(&self, wrong: &str, stems: &mut Vec<(String, f32)>) -> Result<(), Broken> {
        let length = wrong.chars().count();
        let Some(first) = wrong.chars().next().filter(|_| (4..=32).contains(&length)) else { return Ok(()) };
        if wrong.chars().any(|c| c.is_ascii_digit()) {
            return Ok(());
        }
        let furthest = if length >= 8 { 2 } else { 1 };
        for distance in 1..=furthest {
            let found = self.within(wrong, first, distance)?;
            if !found.is_empty() {
                add_stems(found.into_iter(), CORRECTED, CORRECTIONS, stems);
                return Ok(());
            }
        }
        Ok(())
    }

    /// The words at most `distance` changes away (a swap of neighbours is one) that begin as it does, most used first.
    fn within(&self, wrong: &str, first: char, distance: u8) -> Result<Vec<String>, Broken> {
        let field = self.plain_field();
        let query = FuzzyTermQuery::new(Term::from_field_text(field, wrong), distance, true);
        let mut found: HashMap<String, u64> = HashMap::new();
        for vocabulary in self.vocabularies() {
            let mut words = vocabulary.terms().search(query.automaton()?).ge(first.to_string()).into_stream()?;
            for _ in 0..LOOKED_AT {
                let Some((word, info)) = words.next() else { break };
                let Ok(word) = std::str::from_utf8(word) else { continue };
                if !word.starts_with(first) {
                    break;
                }
                *found.entry(word.to_owned()).or_default() += u64::from(info.doc_freq);
            }
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Ok(found.into_iter().map(|(word, _)| word).collect())
    }
}

/// A run of the query that is no filler, as a whole and in its parts where it has several.
#[derive(Debug)]
struct Asked {
    whole: Form,
    parts: Vec<Form>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Form {
    plain: String,
    stem: String,
}

fn asked_words(text: &str) -> Vec<Asked> {
    let forms = words::tokens(&mut words::plain(), text).into_iter().zip(words::tokens(&mut words::stemming(), text));
    let mut asked: Vec<Asked> = Vec::new();
    let mut last = None;
    let mut covered = 0;
    for (plain, stem) in forms {
        let (position, end) = (plain.position, plain.offset_to);
        let is_whole_again = last == Some(position);
        let form = Form { plain: plain.text, stem: stem.text };
        match asked.last_mut() {
            Some(asked) if is_whole_again => asked.parts.push(std::mem::replace(&mut asked.whole, form)),
            // The last character of a script without spaces stands in the pair before it.
            _ if end <= covered => continue,
            _ => asked.push(Asked { whole: form, parts: Vec::new() }),
        }
        covered = covered.max(end);
        last = Some(position);
    }
    for asked in &mut asked {
        // Of such scripts the pair alone is asked for: single characters are everywhere.
        asked.parts.retain(|part| part.plain.chars().nth(1).is_some() || part.plain.is_ascii());
    }
    let subjects = asked.iter().filter(|asked| !words::is_filler(&asked.whole.plain)).count();
    if subjects > 0 {
        asked.retain(|asked| !words::is_filler(&asked.whole.plain));
    }
    asked
}

fn add_stems(words: impl Iterator<Item = String>, weight: f32, most: usize, stems: &mut Vec<(String, f32)>) {
    let mut analyzer = words::stemming();
    let mut added = 0;
    for word in words {
        // A word of the vocabulary is one token; its stem is the last, since parts come before the whole.
        let Some(stem) = words::tokens(&mut analyzer, &word).pop().map(|token| token.text) else { continue };
        if stems.iter().any(|(known, _)| *known == stem) {
            continue;
        }
        stems.push((stem, weight));
        added += 1;
        if added == most {
            return;
        }
    }
}
