//! Which approval a workspace asks for.

use crate::base::WorkspaceId;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

/// Which approval a workspace asks for before others see what is registered in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalSettings {
    /// Whether anything has to be approved at all.
    #[sqlx(rename = "is_required")]
    pub required: bool,
    /// Whether who may approve may approve what is their own; it is then approved as it is written.
    pub self_approval: bool,
    /// How many days an approval lasts; absent: for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_days: Option<i32>,
    /// For how many days what ran out is still seen while its renewal is decided on.
    pub grace_days: i32,
    /// Whether a version whose server changed is hidden from outsiders, beside being warned of.
    pub hides_drifted: bool,
    /// Counts the changes; the ETag. 0 while nobody has set anything.
    pub revision: i64,
    /// Told to who sets them: how many requests wait in the workspace, and go on waiting until they are decided, whatever is
    /// asked for from now on.
    #[sqlx(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<i64>,
}

/// The settings to come; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ApprovalSettingsPatch {
    pub required: Option<bool>,
    pub self_approval: Option<bool>,
    /// 1 to 3,650; 0 for approvals that never run out.
    #[schema(minimum = 0, maximum = 3650)]
    pub valid_days: Option<i32>,
    #[schema(minimum = 0, maximum = 365)]
    pub grace_days: Option<i32>,
    pub hides_drifted: Option<bool>,
}

impl Default for ApprovalSettings {
    fn default() -> Self {
        Self {
            required: false,
            self_approval: false,
            valid_days: None,
            grace_days: 14,
            hides_drifted: false,
            revision: 0,
            waiting: None,
        }
    }
}

impl ApprovalSettings {
    /// When an approval given at `now` runs out.
    #[must_use]
    pub fn ends(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        self.valid_days.map(|days| now + Duration::days(days.into()))
    }
}

/// The settings of a workspace.
pub(in crate::catalog) async fn find(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
) -> Result<ApprovalSettings, sqlx::Error> {
    let found = sqlx::query_as(
        "select is_required, self_approval, valid_days, grace_days, hides_drifted, revision
         from approval_settings
         where workspace_id = $1",
    )
    .bind(workspace)
    .fetch_optional(conn)
    .await?;
    Ok(found.unwrap_or_default())
}

pub(in crate::catalog) async fn put(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    settings: &ApprovalSettings,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into approval_settings (workspace_id, is_required, self_approval, valid_days, grace_days, hides_drifted,
                                        revision, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (workspace_id) do update
         set is_required = $2, self_approval = $3, valid_days = $4, grace_days = $5, hides_drifted = $6, revision = $7,
             updated_at = $8",
    )
    .bind(workspace)
    .bind(settings.required)
    .bind(settings.self_approval)
    .bind(settings.valid_days)
    .bind(settings.grace_days)
    .bind(settings.hides_drifted)
    .bind(settings.revision)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}
