//! The chain: lines of committed transactions in their order, each linked to the one before, the end signed.
//!
//! A link is `SHA-256(link before, position, digest of the line)`; the digest covers the line's content and its sequence.
//! Whoever alters, removes or reorders a line breaks the chain there; whoever makes the chain anew from there on has no key
//! to sign its heads. The key is one of the ring that seals secrets, which is never in the database.
//!
//! What this cannot show: a change within the second before a line is sealed by somebody who also computes its digest anew,
//! and the cutting off of the newest part together with its heads, unless a later head is known elsewhere. Each replica
//! therefore keeps the last head it made in its data directory, and [`verify`] compares.

mod sealing;
mod verifying;

pub use sealing::seal;
pub use verifying::verify;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How many lines are linked in one transaction, and read at a time.
const BATCH: i64 = 5_000;
/// What the derived key is for.
pub(super) const PURPOSE: &str = "audit head";

/// SHA-256.
pub type Link = [u8; 32];

/// The end of the chain at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AuditHead)]
pub struct Head {
    /// How many lines the chain has had.
    pub position: i64,
    /// The last link, in hexadecimal digits.
    pub link: String,
}

/// What a check of the chain found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditVerdict)]
pub struct Verdict {
    /// Whether everything is as it was written.
    pub intact: bool,
    /// How many lines were checked.
    pub lines: u64,
    /// Written, and linked within the next second.
    pub waiting: u64,
    /// Lines up to this position were dropped by retention.
    pub begins_after: i64,
    pub head: Head,
    /// The first place that is wrong.
    pub finding: Option<Finding>,
}

/// The first place at which the record is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditFinding)]
pub struct Finding {
    pub what: Tampering,
    /// The place in the chain.
    pub position: i64,
    /// The sequence of the line, where it is known.
    pub sequence: Option<i64>,
    /// In a sentence.
    pub detail: String,
}

/// What was done to the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tampering {
    /// A line's content is not what was written.
    Altered,
    /// A line is gone.
    Removed,
    /// Lines do not stand in the order in which they were written.
    Reordered,
    /// A part of the chain was made by somebody without the key.
    Unsigned,
    /// The newest part is gone.
    Cut,
}

fn next(link: &Link, position: i64, digest: &[u8]) -> Link {
    Sha256::new().chain_update(link).chain_update(position.to_be_bytes()).chain_update(digest).finalize().into()
}

/// What the signature of a head covers.
pub(super) fn signed(position: i64, link: &Link) -> Vec<u8> {
    [&position.to_be_bytes()[..], link].concat()
}

pub(super) fn to_link(bytes: &[u8]) -> Link {
    bytes.try_into().unwrap_or([0; 32])
}
