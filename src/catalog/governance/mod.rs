//! Governance: what an asset is asked before it is approved. [`assess`] is pure; what has to be looked up or called is
//! brought along in the [`Subject`].

mod document;
mod rule;

pub use document::assess_document;

use crate::wire::Finding;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// What one rule found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// The rule's name: `hidden-characters`.
    pub rule: String,
    /// What it asks.
    pub question: String,
    pub outcome: Outcome,
    /// What it saw.
    pub detail: String,
    /// How to mend it; empty where nothing is to be mended.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub help: String,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = CheckOutcome)]
pub enum Outcome {
    Passed,
    /// A person should look at it.
    Warned,
    Failed,
    /// The rule asks nothing of such an asset.
    Skipped,
}

impl Outcome {
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warned => "look at it",
            Self::Failed => "failed",
            Self::Skipped => "does not apply",
        }
    }
}

/// What is assessed, with all that was found out about it.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    pub name: String,
    pub is_mcp: bool,
    pub title: String,
    pub summary: String,
    pub description: String,
    pub has_definition: bool,
    /// Of the definition.
    pub findings: Vec<Finding>,
    pub has_licence: bool,
    pub owners: Vec<OwnerFact>,
    /// The tools or operations as they are registered: name and all that is said of them.
    pub tools: Vec<(String, Value)>,
    pub remotes: Vec<Remote>,
    /// Names of other assets.
    pub neighbours: Vec<String>,
}

/// An owner, and who that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerFact {
    pub name: String,
    pub standing: Standing,
}

/// What is known of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Known,
    Disabled,
    Unknown,
}

/// An address a server runs at, and what came of asking it.
#[derive(Clone, Debug, PartialEq)]
pub struct Remote {
    pub url: String,
    /// The protocol revision it speaks and its tools, or why it did not answer.
    pub answer: Result<Answered, String>,
}

impl Remote {
    /// Whether clients fill something into the address before they call it (`https://{tenant}.example.com/mcp`).
    #[must_use]
    pub fn has_variables(&self) -> bool {
        self.url.contains('{')
    }
}

/// What a running server told.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    pub protocol: String,
    pub tools: Vec<(String, Value)>,
}

/// One rule: what it asks, and what it says of a subject.
trait Rule: Sync {
    fn name(&self) -> &'static str;
    fn question(&self) -> &'static str;
    fn check(&self, subject: &Subject) -> Verdict;

    /// Whether a document alone is enough to say something beyond the findings it already has.
    fn needs_only_the_document(&self) -> bool {
        false
    }
}

/// What a rule says: outcome, detail, help.
struct Verdict(Outcome, String, &'static str);

impl Verdict {
    fn passed(detail: impl Into<String>) -> Self {
        Self(Outcome::Passed, detail.into(), "")
    }

    fn skipped(detail: impl Into<String>) -> Self {
        Self(Outcome::Skipped, detail.into(), "")
    }

    fn warned(detail: impl Into<String>, help: &'static str) -> Self {
        Self(Outcome::Warned, detail.into(), help)
    }

    fn failed(detail: impl Into<String>, help: &'static str) -> Self {
        Self(Outcome::Failed, detail.into(), help)
    }
}

/// What every rule says of the subject, in the order of the list; pure.
#[must_use]
pub fn assess(subject: &Subject) -> Vec<Check> {
    rule::ALL.iter().map(|rule| checked(*rule, subject)).collect()
}

fn checked(rule: &dyn Rule, subject: &Subject) -> Check {
    let Verdict(outcome, detail, help) = rule.check(subject);
    let (name, question) = (rule.name().to_owned(), rule.question().to_owned());
    Check { rule: name, question, outcome, detail, help: help.to_owned() }
}

/// The first few of many, in a sentence.
fn few(all: &[String]) -> String {
    let shown = all.iter().take(5).cloned().collect::<Vec<_>>().join("; ");
    if all.len() > 5 { format!("{shown}; and {} more", all.len() - 5) } else { shown }
}
