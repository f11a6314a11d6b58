//! `Marks`: how far the files of a spool are read.

use std::collections::BTreeMap;

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) number: u64,
    pub(super) offset: u64,
}

/// How far the reader has come in each file; in those that are not named, nowhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::gateway::usage) struct Marks(BTreeMap<u64, u64>);

impl Marks {
    pub(super) fn offset(&self, number: u64) -> u64 {
        self.0.get(&number).copied().unwrap_or(0)
    }

    pub(super) fn advance(&mut self, to: Mark) {
        self.0.insert(to.number, to.offset);
    }

    /// Forgets files that are gone; `numbers` are those that are there, in order.
    pub(super) fn retain(&mut self, numbers: &[u64]) {
        self.0.retain(|number, _| numbers.binary_search(number).is_ok());
    }
}
