//! Whether somebody real answers for it.

use super::super::{Rule, Standing, Subject, Verdict, few};

pub struct OwnerKnown;

impl Rule for OwnerKnown {
    fn name(&self) -> &'static str {
        "owner-known"
    }

    fn question(&self) -> &'static str {
        "Is the owner a real person or group?"
    }

    fn check(&self, subject: &Subject) -> Verdict {
        const HELP: &str = "Name a person or a group that is known here as its owner.";
        if subject.owners.is_empty() {
            return Verdict::failed("It has no owner.", HELP);
        }
        let odd: Vec<String> = subject
            .owners
            .iter()
            .filter_map(|owner| match owner.standing {
                Standing::Known => None,
                Standing::Disabled => Some(format!("{} is disabled", owner.name)),
                Standing::Unknown => Some(format!("{} is nobody known here", owner.name)),
            })
            .collect();
        if odd.is_empty() {
            return Verdict::passed(few(&subject.owners.iter().map(|owner| owner.name.clone()).collect::<Vec<_>>()));
        }
        match odd.len() == subject.owners.len() {
            true => Verdict::failed(few(&odd), HELP),
            false => Verdict::warned(few(&odd), HELP),
        }
    }
}
