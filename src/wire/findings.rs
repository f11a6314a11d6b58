//! `Findings`: a collector that keeps a few of each rule and counts the rest, so that a large document with one habit
//! does not drown what else was found.

use super::{Finding, Severity};
use std::collections::HashMap;

/// How many findings of one rule are kept.
pub const PER_RULE: usize = 10;

/// Findings in the order in which they were made, at most [`PER_RULE`] of each rule.
#[derive(Debug, Default)]
pub struct Findings {
    kept: Vec<Finding>,
    counts: HashMap<String, usize>,
}

impl Findings {
    /// Keeps `finding`, or counts it when there are enough of its rule.
    pub fn add(&mut self, finding: Finding) {
        let count = self.counts.entry(finding.rule.clone()).or_default();
        *count += 1;
        if *count <= PER_RULE {
            self.kept.push(finding);
        }
    }

    pub fn warn(&mut self, rule: &str, location: impl Into<String>, message: impl Into<String>) {
        self.add(Finding::warning(rule, location, message));
    }

    pub fn tell(&mut self, rule: &str, location: impl Into<String>, message: impl Into<String>) {
        self.add(Finding::info(rule, location, message));
    }

    /// The findings, warnings first; a rule with more than [`PER_RULE`] ends with a line that tells how many more.
    #[must_use]
    pub fn finish(self) -> Vec<Finding> {
        let mut all = Vec::with_capacity(self.kept.len());
        let mut left = self.counts.clone();
        for finding in self.kept {
            let remaining = left.get_mut(&finding.rule).expect("every kept finding was counted");
            *remaining -= 1;
            let count = self.counts[&finding.rule];
            let more = (*remaining + PER_RULE == count && count > PER_RULE).then(|| Finding {
                location: String::new(),
                message: format!("and {} more of this kind", count - PER_RULE),
                ..finding.clone()
            });
            all.push(finding);
            all.extend(more);
        }
        all.sort_by_key(|finding| finding.severity == Severity::Info);
        all
    }
}

/// `1 operation`, `2 operations`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_habit_is_told_ten_times_and_then_counted() {
        let mut findings = Findings::default();
        findings.tell("note", "", "first");
        for n in 0..25 {
            findings.warn("habit", format!("/{n}"), "again");
        }

        let all = findings.finish();

        assert_eq!(all.len(), PER_RULE + 2);
        assert_eq!(all[PER_RULE].message, "and 15 more of this kind");
        assert_eq!(all[PER_RULE + 1].rule, "note");
    }
}
