//! The verbs of approval: what is held back, who decides, what the checks find, what drifts and what runs out.

mod deciding;
mod drift;
mod examining;
mod expiry;
mod gate;
mod orphans;
mod probe;
mod reading;
mod settings;
mod steps;

pub use deciding::{Decision, Verdict};
pub use drift::DriftReport;
pub(super) use gate::writer_of;
pub use orphans::{Orphan, UnknownOwner};
pub use reading::ApprovalDetail;
pub(super) use steps::{attach_document, detach_document, redeploy, run_at};
