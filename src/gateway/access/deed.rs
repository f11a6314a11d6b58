//! What can be done with a request for access, by state: the only place that says so. Pure.

use crate::base::Problem;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum AccessState {
    Waiting,
    Approved,
    Declined,
    Withdrawn,
}

impl AccessState {
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Waiting => "Waiting",
            Self::Approved => "Approved",
            Self::Declined => "Declined",
            Self::Withdrawn => "Withdrawn",
        }
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Approve,
    Decline,
    Withdraw,
    MakeKey,
}

/// How a request stands, as far as that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub state: AccessState,
    pub ends_at: Option<OffsetDateTime>,
    pub has_key: bool,
    /// Whether the asset is there, and a route leads to it.
    pub is_served: bool,
    /// Whether the asker may call it now: the role may have been taken back.
    pub may_call: bool,
}

/// Why a deed is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It is decided, or was withdrawn.
    Closed(AccessState),
    /// Only what was approved ends in a key.
    NotApproved(AccessState),
    Ended,
    KeyMade,
    NotServed,
    TakenBack,
}

impl Deed {
    /// What stands against this deed at `now`; none when it can be done.
    #[must_use]
    pub fn obstacle(self, facts: &Facts, now: OffsetDateTime) -> Option<Obstacle> {
        match self {
            Self::Decline | Self::Withdraw | Self::Approve if facts.state != AccessState::Waiting => {
                Some(Obstacle::Closed(facts.state))
            }
            // What is gone can still be declined and withdrawn.
            Self::Decline | Self::Withdraw => None,
            Self::Approve if !facts.is_served => Some(Obstacle::NotServed),
            Self::Approve => None,
            Self::MakeKey if facts.state != AccessState::Approved => Some(Obstacle::NotApproved(facts.state)),
            Self::MakeKey if facts.has_key => Some(Obstacle::KeyMade),
            Self::MakeKey if facts.ends_at.is_some_and(|end| end <= now) => Some(Obstacle::Ended),
            Self::MakeKey if !facts.is_served => Some(Obstacle::NotServed),
            Self::MakeKey if !facts.may_call => Some(Obstacle::TakenBack),
            Self::MakeKey => None,
        }
    }
}

impl Obstacle {
    /// In a sentence, for pages.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Closed(state) => format!("The request is closed already: {}.", state.title().to_lowercase()),
            Self::NotApproved(state) => {
                format!("A key comes of an approved request; this one is {}.", state.title().to_lowercase())
            }
            Self::Ended => "The access that was given has ended.".to_owned(),
            Self::KeyMade => "The key of this request was made already; it is shown once.".to_owned(),
            Self::NotServed => "The asset was deleted, or no route leads to it any more.".to_owned(),
            Self::TakenBack => "The access that was given was taken back.".to_owned(),
        }
    }
}

impl From<Obstacle> for Problem {
    fn from(obstacle: Obstacle) -> Self {
        let problem = Self::conflict("access-not-possible", obstacle.words());
        match obstacle {
            Obstacle::KeyMade => problem.with_help("Rotate it on your account's page when its text is lost."),
            Obstacle::Ended | Obstacle::TakenBack => problem.with_help("Ask for access again."),
            _ => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn each_state_allows_what_the_table_says() {
        use AccessState::{Approved, Declined, Waiting, Withdrawn};
        use Deed::{Approve, Decline, MakeKey, Withdraw};
        let now = datetime!(2026-03-01 12:00 UTC);
        let facts = |state| Facts { state, ends_at: None, has_key: false, is_served: true, may_call: true };
        let gone = |state| Facts { is_served: false, ..facts(state) };

        for (deed, facts, expected) in [
            (Approve, facts(Waiting), None),
            (Decline, facts(Waiting), None),
            (Withdraw, facts(Waiting), None),
            (MakeKey, facts(Waiting), Some(Obstacle::NotApproved(Waiting))),
            (Approve, facts(Approved), Some(Obstacle::Closed(Approved))),
            (Decline, facts(Approved), Some(Obstacle::Closed(Approved))),
            (Withdraw, facts(Declined), Some(Obstacle::Closed(Declined))),
            (Approve, facts(Withdrawn), Some(Obstacle::Closed(Withdrawn))),
            (MakeKey, facts(Approved), None),
            (MakeKey, facts(Declined), Some(Obstacle::NotApproved(Declined))),
            (MakeKey, Facts { has_key: true, ..facts(Approved) }, Some(Obstacle::KeyMade)),
            (MakeKey, Facts { ends_at: Some(now), ..facts(Approved) }, Some(Obstacle::Ended)),
            (MakeKey, Facts { may_call: false, ..facts(Approved) }, Some(Obstacle::TakenBack)),
            (MakeKey, gone(Approved), Some(Obstacle::NotServed)),
            (Approve, gone(Waiting), Some(Obstacle::NotServed)),
            (Decline, gone(Waiting), None),
            (Withdraw, gone(Waiting), None),
        ] {
            assert_eq!(deed.obstacle(&facts, now), expected, "{deed:?} {facts:?}");
        }
    }
}
