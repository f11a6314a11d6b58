//! `Approval`: a request that something be seen or changed, what was said about it, and what became of it.

use super::step::Step;
use crate::auth::{BindSight, Sight};
use crate::base::{ApprovalId, AssetId, CommentId, VersionId, WorkspaceId};
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

/// Something said about a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow, ToSchema)]
pub struct Comment {
    #[serde(rename = "id")]
    #[schema(value_type = uuid::Uuid)]
    pub comment_id: CommentId,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub author: String,
    pub body: String,
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

/// A request to open.
#[derive(Clone, Debug)]
pub(in crate::catalog) struct Opening<'a> {
    pub workspace: WorkspaceId,
    pub asset: AssetId,
    pub version: Option<VersionId>,
    pub purpose: Purpose,
    pub reason: &'a str,
    pub requester: &'a str,
    pub writer: &'a str,
    pub step: Option<Step>,
    pub before: Option<&'a Value>,
    pub after: Option<&'a Value>,
}

/// Opens a request, or joins the one that waits: a step is added to its steps, or takes their place where changes were asked
/// for. Gives its id, and whether it is a new one.
pub(in crate::catalog) async fn open(
    conn: &mut PgConnection,
    opening: Opening<'_>,
    now: OffsetDateTime,
) -> Result<(ApprovalId, bool), sqlx::Error> {
    let id = ApprovalId::new();
    let steps: Vec<Step> = opening.step.into_iter().collect();
    let opened: ApprovalId = sqlx::query_scalar(
        "insert into approval as p (approval_id, workspace_id, asset_id, version_id, purpose, reason, requester, writers,
                                    steps, before, after, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, array[$8], $9, $10, $11, $12, $12)
         on conflict (asset_id, version_id, purpose) where state in ('open', 'changes-requested') do update
         set state = 'open',
             steps = case when p.state = 'open' then p.steps || excluded.steps else excluded.steps end,
             before = coalesce(excluded.before, p.before),
             after = excluded.after,
             needs_checks = true,
             writers = case when $8 = any(p.writers) then p.writers else p.writers || $8 end,
             updated_at = $12
         returning approval_id",
    )
    .bind(id)
    .bind(opening.workspace)
    .bind(opening.asset)
    .bind(opening.version)
    .bind(opening.purpose)
    .bind(opening.reason)
    .bind(opening.requester)
    .bind(opening.writer)
    .bind(Json(steps))
    .bind(opening.before)
    .bind(opening.after)
    .bind(now)
    .fetch_one(conn)
    .await?;
    Ok((opened, opened == id))
}

/// The steps of the request that waits for a change of this, if any and if they are kept when another is added.
pub(in crate::catalog) async fn steps_waiting(
    conn: &mut PgConnection,
    asset: AssetId,
    version: Option<VersionId>,
) -> Result<Vec<Step>, sqlx::Error> {
    let found: Option<Json<Vec<Step>>> = sqlx::query_scalar(
        "select steps from approval
         where asset_id = $1 and version_id is not distinct from $2 and purpose = 'change' and state = 'open'
         for update",
    )
    .bind(asset)
    .bind(version)
    .fetch_optional(conn)
    .await?;
    Ok(found.map(|steps| steps.0).unwrap_or_default())
}

/// The last request for a change of this version: where it stands, who decided on it, what it would do.
pub(in crate::catalog) async fn last_change(
    conn: &mut PgConnection,
    asset: AssetId,
    version: VersionId,
) -> Result<Option<(ApprovalState, Option<String>, Vec<Step>)>, sqlx::Error> {
    let found: Option<(ApprovalState, Option<String>, Json<Vec<Step>>)> = sqlx::query_as(
        "select state, decided_by, steps from approval
         where asset_id = $1 and version_id = $2 and purpose = 'change'
         order by approval_id desc
         limit 1
         for update",
    )
    .bind(asset)
    .bind(version)
    .fetch_optional(conn)
    .await?;
    Ok(found.map(|(state, decided_by, steps)| (state, decided_by, steps.0)))
}

/// The changes of this version that wait and that nobody but `writer` had a hand in, taken back.
pub(in crate::catalog) async fn supersede(
    conn: &mut PgConnection,
    version: VersionId,
    (writer, by): (&str, &str),
    reason: &str,
    now: OffsetDateTime,
) -> Result<Vec<ApprovalId>, sqlx::Error> {
    sqlx::query_scalar(
        "update approval
         set state = 'withdrawn', decided_by = $3, decided_at = $5, decision_reason = $4, updated_at = $5
         where version_id = $1 and purpose = 'change' and state in ('open', 'changes-requested')
           and writers = array[$2::text]
         returning approval_id",
    )
    .bind(version)
    .bind(writer)
    .bind(by)
    .bind(reason)
    .bind(now)
    .fetch_all(conn)
    .await
}

/// What waits for this asset was written on: it is the writer's too from now on, where changes were asked for it waits
/// again, and the checks look again.
pub(in crate::catalog) async fn written_on(
    conn: &mut PgConnection,
    asset: AssetId,
    writer: &str,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update approval
         set state = 'open', updated_at = $3, needs_checks = true,
             writers = case when $2 = any(writers) then writers else writers || $2 end
         where asset_id = $1 and state in ('open', 'changes-requested') and purpose = 'publication'",
    )
    .bind(asset)
    .bind(writer)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes some requests whose evidence is to be gathered; whoever took them and died lets go of them after two minutes.
pub(in crate::catalog) async fn claim_unchecked(
    conn: &mut PgConnection,
    now: OffsetDateTime,
) -> Result<Vec<ApprovalId>, sqlx::Error> {
    sqlx::query_scalar(
        "update approval set needs_checks = false, claimed_at = $1
         where approval_id in (
             select approval_id from approval
             where (needs_checks or claimed_at is not null) and state in ('open', 'changes-requested')
               and (claimed_at is null or claimed_at < $2)
             order by approval_id
             limit 8
             for update skip locked)
         returning approval_id",
    )
    .bind(now)
    .bind(now - time::Duration::minutes(2))
    .fetch_all(conn)
    .await
}

/// A decision, as it is kept.
#[derive(Clone, Debug)]
pub(in crate::catalog) struct Decided<'a> {
    pub state: ApprovalState,
    pub by: Option<&'a str>,
    pub reason: Option<&'a str>,
    pub digest: Option<&'a [u8]>,
}

/// Moves a request that waits; whether it did wait.
pub(in crate::catalog) async fn settle(
    conn: &mut PgConnection,
    id: ApprovalId,
    decided: Decided<'_>,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "update approval
         set state = $2, decided_by = $3, decided_at = $4, decision_reason = $5, decided_digest = $6, updated_at = $4
         where approval_id = $1 and state in ('open', 'changes-requested')",
    )
    .bind(id)
    .bind(decided.state)
    .bind(decided.by)
    .bind(now)
    .bind(decided.reason)
    .bind(decided.digest)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Marks the approvals of a version that were given as run out.
pub(in crate::catalog) async fn expire(
    conn: &mut PgConnection,
    version: VersionId,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query("update approval set state = 'expired', updated_at = $2 where version_id = $1 and state = 'approved'")
        .bind(version)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends what waits about a version's drift: its server is again as it was approved.
pub(in crate::catalog) async fn withdraw_drift(
    conn: &mut PgConnection,
    version: VersionId,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update approval
         set state = 'withdrawn', decided_at = $2, updated_at = $2,
             decision_reason = 'The server is again as it was approved.'
         where version_id = $1 and purpose = 'drift' and state in ('open', 'changes-requested')",
    )
    .bind(version)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Keeps what the checks found.
pub(in crate::catalog) async fn keep_evidence(
    conn: &mut PgConnection,
    id: ApprovalId,
    checks: &[super::super::governance::Check],
    tools: Option<&Value>,
    digest: &[u8],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update approval set evidence = $2, tools = $3, evidence_digest = $4, examined_at = $5, claimed_at = null
         where approval_id = $1",
    )
    .bind(id)
    .bind(Json(checks))
    .bind(tools)
    .bind(digest)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

pub(in crate::catalog) async fn comment(
    conn: &mut PgConnection,
    approval: ApprovalId,
    author: &str,
    body: &str,
    now: OffsetDateTime,
) -> Result<Comment, sqlx::Error> {
    let made = Comment { comment_id: CommentId::new(), at: now, author: author.to_owned(), body: body.to_owned() };
    sqlx::query("insert into approval_comment (comment_id, approval_id, at, author, body) values ($1, $2, $3, $4, $5)")
        .bind(made.comment_id)
        .bind(approval)
        .bind(now)
        .bind(author)
        .bind(body)
        .execute(conn)
        .await?;
    Ok(made)
}

/// The first five hundred, oldest first.
pub(in crate::catalog) async fn comments(
    conn: &mut PgConnection,
    approval: ApprovalId,
) -> Result<Vec<Comment>, sqlx::Error> {
    sqlx::query_as(
        "select comment_id, at, author, body from approval_comment where approval_id = $1 order by comment_id limit 500",
    )
    .bind(approval)
    .fetch_all(conn)
    .await
}
