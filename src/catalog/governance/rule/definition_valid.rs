//! Whether the definition says what its format wants said.
//!
//! Broken documents are refused at the door; what is merely odd is kept and told here.

use super::super::{Rule, Subject, Verdict, few};
use crate::wire::Severity;

pub struct DefinitionValid;

const HELP: &str = "Mend the document at the places named and attach it again.";

impl Rule for DefinitionValid {
    fn name(&self) -> &'static str {
        "definition-valid"
    }

    fn question(&self) -> &'static str {
        "Is the definition valid?"
    }

    fn check(&self, subject: &Subject) -> Verdict {
        if !subject.has_definition {
            return Verdict::warned("There is none; what is told of it was told by hand.", "Attach a definition.");
        }
        let told: Vec<String> =
            subject.findings.iter().map(|one| format!("{}: {}", one.location, one.message)).collect();
        if told.is_empty() {
            return Verdict::passed("Nothing odd in it.");
        }
        match subject.findings.iter().any(|one| one.severity == Severity::Error) {
            true => Verdict::failed(few(&told), HELP),
            false => Verdict::warned(few(&told), HELP),
        }
    }
}
