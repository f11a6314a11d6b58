//! `Approval`: a request that something be seen or changed, what was said about it, and what became of it.
//!
//! Here are the type and how requests are found; how one begins and grows is in `opening.rs`, what the checks found of it
//! in `evidence.rs`, what was said in `comment.rs`, and how it ends in `settling.rs`.

mod comment;
mod evidence;
mod opening;
mod settling;

pub use comment::Comment;
pub(in crate::catalog) use comment::{comment, comments};
pub(in crate::catalog) use evidence::{claim_unchecked, keep_evidence};
pub(in crate::catalog) use opening::{Opening, last_change, open, steps_waiting, written_on};
pub(in crate::catalog) use settling::{Decided, expire, settle, supersede, withdraw_drift};

use super::step::Step;
use crate::auth::{BindSight, Sight};
use crate::base::{ApprovalId, AssetId, VersionId, WorkspaceId};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A request for approval.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    #[serde(rename = "id")]
    #[schema(value_type = uuid::Uuid)]
    pub approval_id: ApprovalId,
    #[serde(skip)]
    pub workspace_id: WorkspaceId,
    #[serde(skip)]
    pub asset_id: AssetId,
    #[serde(skip)]
    pub version_id: Option<VersionId>,
    pub workspace: String,
    /// The asset's name.
    pub asset: String,
    pub title: String,
    pub kind: super::super::Kind,
    /// Absent where it is about the asset itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    pub purpose: Purpose,
    pub state: ApprovalState,
    /// Why it is asked for.
    pub reason: String,
    /// Who asked first.
    pub requester: String,
    /// Lasting ids of all who had a hand in it.
    #[serde(skip)]
    pub writers: Vec<String>,
    #[serde(skip)]
    pub(in crate::catalog) steps: Json<Vec<Step>>,
    /// What is approved now, where something is to change.
    #[serde(skip)]
    pub before: Option<Value>,
    /// What it would be.
    #[serde(skip)]
    pub after: Option<Value>,
    #[serde(skip)]
    pub evidence: Option<Json<Vec<super::super::governance::Check>>>,
    #[serde(skip)]
    pub evidence_digest: Option<Vec<u8>>,
    #[serde(skip)]
    pub tools: Option<Value>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub examined_at: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision_reason: Option<String>,
    /// SHA-256 of the content that was decided on, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_hex")]
    #[schema(value_type = Option<String>)]
    pub decided_digest: Option<Vec<u8>>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

fn as_hex<S: Serializer>(digest: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    match digest {
        Some(digest) => serializer.serialize_str(&hex::encode(digest)),
        None => serializer.serialize_none(),
    }
}

/// What an approval is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Purpose {
    /// To be seen outside of the workspace.
    Publication,
    /// Of something that is approved.
    Change,
    /// The running server changed by itself.
    Drift,
    /// The approval runs out.
    Renewal,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[sqlx(type_name = "text", rename_all = "kebab-case")]
pub enum ApprovalState {
    Open,
    ChangesRequested,
    Approved,
    Rejected,
    Withdrawn,
    /// It was approved, and that ran out.
    Expired,
}

impl Purpose {
    /// For people, after the name of what it is about.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Publication => "publication",
            Self::Change => "change of what is approved",
            Self::Drift => "tools changed since approval",
            Self::Renewal => "approval runs out",
        }
    }
}

impl ApprovalState {
    /// Whether it can still be decided on.
    #[must_use]
    pub const fn waits(self) -> bool {
        matches!(self, Self::Open | Self::ChangesRequested)
    }

    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Open => "Waiting",
            Self::ChangesRequested => "Changes asked for",
            Self::Approved => "Approved",
            Self::Rejected => "Rejected",
            Self::Withdrawn => "Withdrawn",
            Self::Expired => "Run out",
        }
    }
}

/// Which requests to list; all conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalFilter {
    pub workspace: Option<String>,
    pub asset: Option<String>,
    /// None: those that wait.
    pub state: Option<ApprovalState>,
    pub purpose: Option<Purpose>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select p.approval_id, p.workspace_id, p.asset_id, p.version_id, w.name as workspace, a.name as asset, a.title,
                    a.kind, v.name as version, p.purpose, p.state, p.reason, p.requester, p.writers, p.steps, p.before,
                    p.after, p.evidence, p.evidence_digest, p.tools, p.examined_at, p.decided_by, p.decided_at,
                    p.decision_reason, p.decided_digest, p.created_at, p.updated_at
             from approval p
             join asset a using (asset_id)
             join workspace w on w.workspace_id = p.workspace_id
             left join version v on v.version_id = p.version_id ",
            $rest
        )
    };
}

/// The request of this id, whoever asks.
pub(in crate::catalog) async fn find(conn: &mut PgConnection, id: ApprovalId) -> Result<Option<Approval>, sqlx::Error> {
    sqlx::query_as(select!("where p.approval_id = $1")).bind(id).fetch_optional(conn).await
}

/// The request of this id, of an asset that `sight` knows from within: one statement, whether there is no such request or only
/// none that may be known.
pub(in crate::catalog) async fn find_inside(
    conn: &mut PgConnection,
    sight: &Sight,
    id: ApprovalId,
) -> Result<Option<Approval>, sqlx::Error> {
    let statement = select!(
        "where p.approval_id = $6 and ($1 or p.workspace_id = any($3) or p.asset_id = any($5)) and ($2 or true)
           and ($4::text[] is not null)"
    );
    sqlx::query_as(statement).bind_sight(sight).bind(id).fetch_optional(conn).await
}

/// The requests of assets that `sight` knows from within, oldest first those that wait, newest first the others.
pub(in crate::catalog) async fn list(
    conn: &mut PgConnection,
    sight: &Sight,
    filter: &ApprovalFilter,
    from: i64,
    limit: i64,
) -> Result<Vec<Approval>, sqlx::Error> {
    let statement = select!(
        "where ($1 or p.workspace_id = any($3) or p.asset_id = any($5)) and ($2 or true) and ($4::text[] is not null)
           and a.deleted_at is null and w.deleted_at is null
           and ($6::text is null or w.name = $6)
           and ($7::text is null or a.name = $7)
           and (p.state = $8 or ($8::text is null and p.state in ('open', 'changes-requested')))
           and ($9::text is null or p.purpose = $9)
         order by case when $8::text is null then p.approval_id end, p.approval_id desc
         offset $10 limit $11"
    );
    sqlx::query_as(statement)
        .bind_sight(sight)
        .bind(&filter.workspace)
        .bind(&filter.asset)
        .bind(filter.state)
        .bind(filter.purpose)
        .bind(from)
        .bind(limit)
        .fetch_all(conn)
        .await
}

/// How many requests wait for somebody who may review in these places.
pub(in crate::catalog) async fn count_waiting(
    conn: &mut PgConnection,
    everything: bool,
    workspaces: &[WorkspaceId],
    assets: &[AssetId],
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "select count(*)
         from approval p join asset a using (asset_id)
         where p.state = 'open' and a.deleted_at is null
           and ($1 or p.workspace_id = any($2) or p.asset_id = any($3))",
    )
    .bind(everything)
    .bind(workspaces)
    .bind(assets)
    .fetch_one(conn)
    .await
}

/// How many requests wait in a workspace.
pub(in crate::catalog) async fn count_in(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "select count(*)
         from approval p join asset a using (asset_id)
         where p.workspace_id = $1 and p.state in ('open', 'changes-requested') and a.deleted_at is null",
    )
    .bind(workspace)
    .fetch_one(conn)
    .await
}
