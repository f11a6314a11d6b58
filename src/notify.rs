//! Notices: what others may want to be told of, written in the transaction of the deed.
//!
//! ```ignore
//! notify::publish(&mut tx, Notice::new(Kind::BudgetReached, now, "team-a/monthly").of_workspace(workspace)).await?;
//! ```
//!
//! Who is told, and how, is the business of those above (`webhook/`). While nobody subscribes a notice costs one look at an
//! index and leaves nothing behind.

use crate::base::{AssetId, NoticeId, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgConnection;
use time::OffsetDateTime;

/// The channel on which a commit wakes those who hand notices on.
pub const CHANNEL: &str = "wharfinger_notice";

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident => $word:literal),+ $(,)?) => {
        /// What can have happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[schema(as = NoticeKind)]
        pub enum Kind {
            $($(#[doc = $doc])+ #[serde(rename = $word)] $variant,)+
        }

        impl Kind {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// As it is stored and sent: `asset.registered`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// What it tells, for people who choose.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+)),+ }
            }
        }
    };
}

kinds! {
    /// An asset was registered.
    AssetRegistered => "asset.registered",
    /// An asset, or a version, definition or deployment of it, changed.
    AssetChanged => "asset.changed",
    /// A version of an asset was deprecated or retired.
    AssetDeprecated => "asset.deprecated",
    /// An asset was deleted.
    AssetDeleted => "asset.deleted",
    /// A deleted asset came back.
    AssetRestored => "asset.restored",
    /// An approval was asked for.
    ApprovalRequested => "approval.requested",
    /// An asset or a version was approved.
    ApprovalApproved => "approval.approved",
    /// An approval was refused, or changes were asked for.
    ApprovalRejected => "approval.rejected",
    /// Somebody asked to call an asset through the gateway.
    AccessRequested => "access.requested",
    /// Access to an asset was approved.
    AccessApproved => "access.approved",
    /// Access to an asset was declined.
    AccessDeclined => "access.declined",
    /// What was approved is not what runs any more.
    AssetDrifted => "asset.drifted",
    /// A run of an upstream source failed, and the one before did not.
    SourceFailed => "source.failed",
    /// A budget is nearly or wholly used up.
    BudgetReached => "budget.reached",
    /// A test, sent by hand.
    Test => "webhook.test",
}

impl Kind {
    /// The kind of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice<'a> {
    pub kind: Kind,
    pub at: OffsetDateTime,
    /// Whose it is; none for what belongs to the instance.
    pub workspace: Option<WorkspaceId>,
    /// What it is about, where that is an asset. It is sent to those only who may see the asset then.
    pub asset: Option<AssetId>,
    /// The name of what it is about.
    pub subject: &'a str,
    /// What else is told: an object. Nothing that a member of the workspace may not know.
    pub data: Value,
}

impl<'a> Notice<'a> {
    /// A notice of the instance about `subject`.
    #[must_use]
    pub fn new(kind: Kind, at: OffsetDateTime, subject: &'a str) -> Self {
        Self { kind, at, workspace: None, asset: None, subject, data: json!({}) }
    }

    #[must_use]
    pub fn of_workspace(mut self, workspace: WorkspaceId) -> Self {
        self.workspace = Some(workspace);
        self
    }

    #[must_use]
    pub fn of_asset(mut self, workspace: WorkspaceId, asset: AssetId) -> Self {
        (self.workspace, self.asset) = (Some(workspace), Some(asset));
        self
    }

    #[must_use]
    pub fn with(mut self, data: Value) -> Self {
        self.data = data;
        self
    }
}

/// Writes a notice for those who subscribe now; it is sent after the commit, at least once.
///
/// # Errors
/// The database's; the caller's transaction must not be committed then.
pub async fn publish(conn: &mut PgConnection, notice: Notice<'_>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with noted as (
             insert into notice (notice_id, at, kind, workspace_id, asset_id, subject, data)
             select $1, $2, $3, $4, $5, $6, $7
             where exists (select from webhook where is_active and (workspace_id is null or workspace_id = $4))
             returning 1)
         select pg_notify($8, '') from noted",
    )
    .bind(NoticeId::new())
    .bind(notice.at)
    .bind(notice.kind.as_str())
    .bind(notice.workspace)
    .bind(notice.asset)
    .bind(notice.subject)
    .bind(notice.data)
    .bind(CHANNEL)
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_as_it_is_written_and_described() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(*kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert!(kind.description().ends_with('.'), "{kind:?}");
        }
    }
}
