//! Whether it says under which licence it may be used.

use super::super::{Rule, Subject, Verdict};

pub struct LicencePresent;

impl Rule for LicencePresent {
    fn name(&self) -> &'static str {
        "licence-present"
    }

    fn question(&self) -> &'static str {
        "Does it name a licence?"
    }

    fn needs_only_the_document(&self) -> bool {
        true
    }

    fn check(&self, subject: &Subject) -> Verdict {
        if subject.has_licence {
            return Verdict::passed("It does.");
        }
        Verdict::warned("It names none.", "Name one, also where it is the organisation's own.")
    }
}
