//! The index of words: tantivy keeps postings and lengths, the scores are added up here.
//!
//! [`Lexical`] writes, [`Snapshot`] answers. Scores are collected word by word for all assets at once rather than by
//! tantivy's own collectors: facets and totals need every match anyway, the number of matched words comes with it, and
//! for catalogs of this size running through whole postings is quicker than walking many of them side by side.
//!
//! The index is a cache of the database: whatever is wrong with it, it is made again. Each commit carries a [`Stamp`]
//! that says how it was made, of which installation, and up to where in the change log it reaches.

mod directory;
mod likeness;
mod place;
mod score;
mod vocabulary;

pub use score::{Scores, Snapshot, Word};

use super::words;
use crate::base::AssetId;
use crate::catalog::Mark;
use directory::WriteThrough;
use place::Place;
use serde::{Deserialize, Serialize};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};
use tantivy::{
    Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, TantivyDocument, Term,
    schema::{FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions},
};

/// Counts the ways in which an index was ever made; another number than ours means: make it again.
const SHAPE: u32 = 1;
/// Memory for documents not yet written, in bytes; the least tantivy takes is 15 MB.
const WRITER_MEMORY: usize = 24_000_000;

/// Up to so many assets all parts are merged into one when nothing happens; it takes some 20 microseconds an asset.
const MOST_MERGED: u64 = 200_000;

/// What is indexed of an asset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    pub title: String,
    /// Names of tools and operations.
    pub operations: String,
    /// All text, the two above included.
    pub everything: String,
}

/// How an index was made and how far it reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    shape: u32,
    /// The installation's id: the index of another one knows other assets.
    instance: String,
    mark: Mark,
}

/// Why the index cannot be used; what helps is making it again.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("there is no index yet")]
    Missing,
    #[error("the index is one of another installation or release")]
    Foreign,
    #[error("the index is damaged: {0}")]
    Damaged(String),
}

impl From<tantivy::TantivyError> for Broken {
    fn from(error: tantivy::TantivyError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// The schema's fields.
#[derive(Clone, Copy, Debug)]
struct Names {
    /// The asset's id as two numbers. The second half of a UUIDv7 is random: it alone finds the asset again.
    id_high: Field,
    id_low: Field,
    title: Field,
    operations: Field,
    everything: Field,
    /// Every word as written: what prefixes and typing errors are looked up in.
    plain: Field,
}

/// An index open for writing.
pub struct Lexical {
    folder: PathBuf,
    instance: String,
    names: Names,
    writer: IndexWriter,
    reader: IndexReader,
    mark: Mark,
}

/// The folder of this process's indexes.
#[derive(Clone, Debug)]
pub struct Home(Arc<Place>);

impl Home {
    /// Takes a place below `folder`.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn take(folder: &Path) -> Result<Self, Broken> {
        Ok(Self(Arc::new(Place::take(folder)?)))
    }

    /// The index in use, its checksums looked at; it must be one of `instance`.
    ///
    /// # Errors
    /// [`Broken`] says what is wrong with it.
    pub fn open(&self, instance: &str) -> Result<Lexical, Broken> {
        let folder = self.0.current().ok_or(Broken::Missing)?;
        careful(|| Lexical::open(&folder, instance))
    }

    /// An empty index of `instance` beside the one in use.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn create(&self, instance: &str) -> Result<Lexical, Broken> {
        let folder = self.0.fresh()?;
        careful(|| Lexical::create(&folder, instance))
    }

    /// Takes `index` into use for the next start and removes all others; they must not be written any more.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn use_from_now(&self, index: &Lexical) -> Result<(), Broken> {
        Ok(self.0.set_current(&index.folder)?)
    }
}

impl Lexical {
    fn create(folder: &Path, instance: &str) -> Result<Self, Broken> {
        let (schema, names) = schema();
        let index = Index::create(WriteThrough::open(folder)?, schema, IndexSettings::default())?;
        let mut made = Self::over(folder, instance, index, names, Mark::default())?;
        made.commit(Mark::default())?;
        Ok(made)
    }

    fn open(folder: &Path, instance: &str) -> Result<Self, Broken> {
        let index = Index::open(WriteThrough::open(folder)?)?;
        let (schema, names) = schema();
        let payload = index.load_metas()?.payload.unwrap_or_default();
        let stamp: Stamp = serde_json::from_str(&payload).map_err(|_| Broken::Foreign)?;
        if stamp.shape != SHAPE || stamp.instance != instance || index.schema() != schema {
            return Err(Broken::Foreign);
        }
        if let Some(file) = index.validate_checksum()?.into_iter().next() {
            return Err(Broken::Damaged(format!("{} has changed", file.display())));
        }
        Self::over(folder, instance, index, names, stamp.mark)
    }

    fn over(folder: &Path, instance: &str, index: Index, names: Names, mark: Mark) -> Result<Self, Broken> {
        index.tokenizers().register("stemming", words::stemming());
        index.tokenizers().register("plain", words::plain());
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let writer = index.writer_with_num_threads(1, WRITER_MEMORY)?;
        Ok(Self { folder: folder.to_owned(), instance: instance.to_owned(), names, writer, reader, mark })
    }

    /// How far in the change log the index reaches.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// Whether its files are still there.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.folder.join("meta.json").is_file()
    }

    /// Puts an asset in, in place of what was there of it; seen after the next commit.
    ///
    /// # Errors
    /// [`Broken`] when the index cannot be written.
    pub fn put(&mut self, id: AssetId, fields: &Fields) -> Result<(), Broken> {
        careful(|| {
            let (high, low) = id.0.as_u64_pair();
            self.writer.delete_term(Term::from_field_u64(self.names.id_low, low));
            let mut document = TantivyDocument::default();
            document.add_u64(self.names.id_high, high);
            document.add_u64(self.names.id_low, low);
            document.add_text(self.names.title, &fields.title);
            document.add_text(self.names.operations, &fields.operations);
            document.add_text(self.names.everything, &fields.everything);
            document.add_text(self.names.plain, &fields.everything);
            self.writer.add_document(document)?;
            Ok(())
        })
    }

    /// Takes an asset out; seen after the next commit.
    ///
    /// # Errors
    /// [`Broken`] when the index cannot be written.
    pub fn remove(&mut self, id: AssetId) -> Result<(), Broken> {
        careful(|| {
            self.writer.delete_term(Term::from_field_u64(self.names.id_low, id.0.as_u64_pair().1));
            Ok(())
        })
    }

    /// Makes everything put and removed so far visible to new snapshots; `mark` says how far the index now reaches.
    ///
    /// # Errors
    /// [`Broken`] when the index cannot be written.
    pub fn commit(&mut self, mark: Mark) -> Result<(), Broken> {
        careful(|| {
            let stamp = Stamp { shape: SHAPE, instance: self.instance.clone(), mark };
            let mut prepared = self.writer.prepare_commit()?;
            prepared.set_payload(&serde_json::to_string(&stamp).expect("a stamp is plain data"));
            prepared.commit()?;
            self.reader.reload()?;
            self.mark = mark;
            Ok(())
        })
    }

    /// Makes one part of all parts of the index, where it is not too large for that; seen by new snapshots at once.
    ///
    /// # Errors
    /// [`Broken`] when the index cannot be written.
    pub fn merge(&mut self) -> Result<(), Broken> {
        careful(|| {
            let parts = self.reader.searcher().segment_readers().len();
            if parts > 1 && self.reader.searcher().num_docs() <= MOST_MERGED {
                let parts = self.writer.index().searchable_segment_ids()?;
                self.writer.merge(&parts).wait()?;
                self.reader.reload()?;
            }
            Ok(())
        })
    }

    /// The state of the last commit; `slot_of` gives the place of an asset in the caller's own table.
    ///
    /// # Errors
    /// [`Broken`] when the index cannot be read.
    pub fn snapshot(&self, slot_of: impl Fn(AssetId) -> Option<u32>) -> Result<Snapshot, Broken> {
        careful(|| Snapshot::of(&self.reader.searcher(), self.names, slot_of))
    }
}

/// Damage that got past the checksums may make tantivy panic; to us that is one more way of being broken.
fn careful<T>(work: impl FnOnce() -> Result<T, Broken>) -> Result<T, Broken> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Broken::Damaged("reading it failed".to_owned())))
}

fn schema() -> (Schema, Names) {
    let text = |tokenizer: &str, option| {
        let indexing = TextFieldIndexing::default().set_tokenizer(tokenizer).set_index_option(option);
        TextOptions::default().set_indexing_options(indexing)
    };
    let mut schema = Schema::builder();
    let names = Names {
        id_high: schema.add_u64_field("id_high", FAST),
        id_low: schema.add_u64_field("id_low", FAST | INDEXED),
        title: schema.add_text_field("title", text("stemming", IndexRecordOption::WithFreqs)),
        operations: schema.add_text_field("operations", text("stemming", IndexRecordOption::WithFreqs)),
        everything: schema.add_text_field("everything", text("stemming", IndexRecordOption::WithFreqsAndPositions)),
        plain: schema.add_text_field("plain", text("plain", IndexRecordOption::Basic)),
    };
    (schema.build(), names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_the_parts_changes_no_score_and_keeps_the_mark() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::take(folder.path()).unwrap();
        let mut index = home.create("here").unwrap();
        home.use_from_now(&index).unwrap();
        let ids: Vec<AssetId> = (0..3).map(|_| AssetId::new()).collect();
        let mark = Mark { transaction: 7, sequence: 9 };
        for (id, everything) in ids.iter().zip(["card payments", "card", "weather"]) {
            index.put(*id, &Fields { everything: everything.to_owned(), ..Fields::default() }).unwrap();
            index.commit(mark).unwrap();
        }
        let scores = |index: &Lexical| {
            let snapshot = index.snapshot(|id| ids.iter().position(|known| *known == id).map(|at| at as u32)).unwrap();
            let words = snapshot.words_of("card payment", false, 10).unwrap();
            snapshot.score(&words, 3).unwrap()
        };
        let before = scores(&index);

        index.merge().unwrap();

        assert_eq!(scores(&index).score, before.score);
        assert_eq!(before.words, [2, 1, 0]);
        drop(index);
        assert_eq!(home.open("here").unwrap().mark(), mark);
        assert!(matches!(home.open("elsewhere"), Err(Broken::Foreign)));
    }
}
