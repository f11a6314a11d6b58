//! What an upstream no longer has, and how much of it is deleted here without a person. Pure.

use serde_json::Value;
use std::collections::HashSet;

/// One part in so many may be gone before a person is asked; a single version is too few to be suspicious.
const SHARE: usize = 5;

/// The entries that a reading of everything met.
#[derive(Debug, Default)]
pub(super) struct Met {
    paths: HashSet<(String, String)>,
    /// Entries of which not even name and version can be read: any of ours could be one of them.
    unreadable: usize,
}

/// What becomes of what was not met.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Names and versions to delete.
    pub deleted: Vec<(String, String)>,
    /// How many are not deleted and wait for a person.
    pub kept: i32,
    /// Why, for the run's record.
    pub note: Option<String>,
}

impl Met {
    /// Notes entries, whether they can be taken over or not.
    pub fn add(&mut self, entries: &[String]) {
        for text in entries {
            // What does not read has no name, and is counted as such below.
            let value: Value = serde_json::from_str(text).unwrap_or_default();
            let server = value.get("server").unwrap_or(&value);
            let said = |member: &str| server.get(member).and_then(Value::as_str).map(|text| text.trim().to_owned());
            match (said("name"), said("version")) {
                (Some(name), Some(version)) => drop(self.paths.insert((name, version))),
                _ => self.unreadable += 1,
            }
        }
    }
}

/// What of `known`, the versions that came from the upstream, is deleted because it was not met. A person may have allowed
/// so many.
pub(super) fn judge(known: Vec<(String, String)>, met: &Met, allowed: i32) -> Verdict {
    let all = known.len();
    let gone: Vec<_> = known.into_iter().filter(|path| !met.paths.contains(path)).collect();
    if gone.is_empty() {
        return Verdict::default();
    }
    let count = i32::try_from(gone.len()).unwrap_or(i32::MAX);
    let is_little = gone.len() < all && (gone.len() == 1 || gone.len() * SHARE <= all);
    if met.unreadable == 0 && (is_little || count <= allowed) {
        return Verdict { deleted: gone, ..Verdict::default() };
    }
    let why = match (met.unreadable, met.paths.is_empty()) {
        (0, true) => "it has nothing at all any more".to_owned(),
        (0, false) => "that is more than is deleted without a person".to_owned(),
        (unreadable, _) => format!("it has {unreadable} entries without a name or version, which could be any of them"),
    };
    let note = format!(
        "Of {all} versions that came from this upstream {count} are no longer there. Nothing was deleted: {why}. Whoever \
         governs the workspace can let a run delete them."
    );
    Verdict { deleted: Vec::new(), kept: count, note: Some(note) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn known(count: usize) -> Vec<(String, String)> {
        (0..count).map(|number| (format!("com.acme/s{number}"), "1.0.0".to_owned())).collect()
    }

    /// The first of them, as an upstream gives them.
    fn met(count: usize) -> Met {
        let mut met = Met::default();
        let entry = |(name, version)| json!({"server": {"name": name, "version": version}}).to_string();
        met.add(&known(count).into_iter().map(entry).collect::<Vec<_>>());
        met
    }

    #[test]
    fn a_fifth_or_a_single_one_is_deleted_and_more_waits_for_a_person() {
        for (all, there, allowed, deleted, kept) in [
            (10, 10, 0, 0, 0),
            (10, 9, 0, 1, 0),
            (10, 8, 0, 2, 0),
            (10, 7, 0, 0, 3),
            (10, 7, 3, 3, 0),
            (10, 6, 3, 0, 4),
            (2, 1, 0, 1, 0),
            (3, 1, 0, 0, 2),
            (1, 0, 0, 0, 1),
            (40, 0, 0, 0, 40),
            (40, 0, 40, 40, 0),
            (0, 0, 0, 0, 0),
        ] {
            let verdict = judge(known(all), &met(there), allowed);

            assert_eq!((verdict.deleted.len(), verdict.kept), (deleted, kept), "{there} of {all}, {allowed} allowed");
            assert_eq!(verdict.note.is_some(), kept > 0);
        }
    }

    #[test]
    fn an_entry_that_cannot_be_read_could_be_any() {
        let mut met = met(9);
        met.add(&["{\"server\":{\"name\":7}}".to_owned()]);

        let verdict = judge(known(10), &met, 10);

        assert_eq!((verdict.deleted.len(), verdict.kept), (0, 1));
        assert!(verdict.note.unwrap().contains("1 entries without a name"));
    }
}
