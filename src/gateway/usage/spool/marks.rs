//! `Marks`: how far the files of a spool are read.

use std::collections::BTreeMap;
use uuid::Uuid;

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) file: Uuid,
    pub(super) offset: u64,
}

/// How far the reader has come in each file; in those that are not named, nowhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::gateway::usage) struct Marks(BTreeMap<Uuid, u64>);

/// A part of a file that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway::usage) struct Step {
    pub(in crate::gateway::usage) file: Uuid,
    pub(in crate::gateway::usage) from: u64,
    pub(in crate::gateway::usage) to: u64,
}

impl Marks {
    pub(super) fn offset(&self, file: Uuid) -> u64 {
        self.0.get(&file).copied().unwrap_or(0)
    }

    pub(super) fn advance(&mut self, to: Mark) {
        self.0.insert(to.file, to.offset);
    }

    /// Forgets files that are gone.
    pub(in crate::gateway::usage) fn forget(&mut self, files: &[Uuid]) {
        for file in files {
            self.0.remove(file);
        }
    }

    /// What was read since `before`, in the order of the files.
    pub(in crate::gateway::usage) fn steps_since(&self, before: &Self) -> Vec<Step> {
        let steps = self.0.iter().map(|(&file, &to)| Step { file, from: before.offset(file), to });
        steps.filter(|step| step.from != step.to).collect()
    }
}

impl FromIterator<(Uuid, u64)> for Marks {
    fn from_iter<T: IntoIterator<Item = (Uuid, u64)>>(marks: T) -> Self {
        Self(marks.into_iter().collect())
    }
}
