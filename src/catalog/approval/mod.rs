//! Approval: what a workspace wants to have looked at before others see it.
//!
//! Where it is asked for, what is new is stored with `is_approved` false and a request is opened with it; a change of what
//! is approved is held back as the steps of a request (`step.rs`) and done when it is approved, in the same transaction.
//! A decision is bound to the digest of the content (`content.rs`) that the reviewer saw. The verbs are in
//! `verbs/approvals`, the checks that gather evidence in `governance`.

pub(super) mod content;
pub(super) mod request;
pub(super) mod settings;
pub(super) mod step;

pub use content::{Difference, differences};
pub use request::{Approval, ApprovalFilter, ApprovalState, Comment, Purpose};
pub use settings::{ApprovalSettings, ApprovalSettingsPatch};
