//! Reading requests: they are known to those who know the asset from within.

use super::gate::writer_of;
use crate::auth::{Actor, Identity, Permission, Scope};
use crate::base::{ApprovalId, Cursor, Limit, Page, Problem};
use crate::catalog::approval::content::{self, Difference};
use crate::catalog::approval::request::{self, Approval, ApprovalFilter, Comment, Purpose};
use crate::catalog::approval::settings;
use crate::catalog::governance::Check;
use crate::catalog::{Asset, Catalog, Error, asset};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use utoipa::ToSchema;

/// A request with all a reviewer needs.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalDetail {
    #[serde(flatten)]
    pub approval: Approval,
    /// SHA-256 of the content as it is now, in hexadecimal; send it with your decision.
    pub digest: String,
    /// What the automatic checks found; empty until they have looked.
    pub evidence: Vec<Check>,
    /// Whether something was written since they looked.
    pub evidence_is_old: bool,
    /// What would change, against what is approved.
    pub differences: Vec<Difference>,
    /// What is done when it is approved, in words.
    pub steps: Vec<String>,
    pub comments: Vec<Comment>,
    /// Whether you may decide on it; else why not.
    pub may_decide: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may_not_decide_because: Option<String>,
    pub may_withdraw: bool,
}

/// What a request is about, before and after, and the digest a decision is bound to.
pub(super) struct Reviewed {
    pub before: Value,
    pub after: Value,
    pub digest: Vec<u8>,
}

impl Catalog {
    /// The requests that wait (oldest first), or those of another state (newest first).
    ///
    /// # Errors
    /// 401 for anonymous callers; 400 for a cursor that is none.
    pub async fn approvals(
        &self,
        actor: &Actor,
        filter: &ApprovalFilter,
        cursor: Option<&Cursor>,
        limit: Limit,
    ) -> Result<Page<Approval>, Error> {
        if actor.is_anonymous() {
            return Err(
                Problem::unauthenticated("Requests are listed for those who know a workspace from within.").into()
            );
        }
        let from: i64 = match cursor {
            None => 0,
            Some(cursor) => cursor.place().map_err(|bad| Problem::invalid_field("query.cursor", bad.to_string()))?,
        };
        let from = from.clamp(0, 1_000_000_000);
        let mut conn = self.db.read.acquire().await?;
        let limit = i64::try_from(limit.0).unwrap_or(100);
        let mut items = request::list(&mut conn, actor.sight(), filter, from, limit + 1).await?;
        let more = items.len() as i64 > limit;
        items.truncate(usize::try_from(limit).unwrap_or(100));
        Ok(Page { items, total: None, next: more.then(|| Cursor::of(&(from + limit))) })
    }

    /// How many requests wait for this actor to decide.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn approvals_waiting(&self, actor: &Actor) -> Result<i64, Error> {
        if !actor.may_somewhere(Permission::ReviewAssets) {
            return Ok(0);
        }
        let (mut everything, mut workspaces, mut assets) = (false, Vec::new(), Vec::new());
        for grant in actor.grants().iter().filter(|grant| actor.may(Permission::ReviewAssets, grant.scope)) {
            match grant.scope {
                Scope::Instance => everything = true,
                Scope::Workspace(id) => workspaces.push(id),
                Scope::Asset(_, id) => assets.push(id),
            }
        }
        let mut conn = self.db.read.acquire().await?;
        Ok(request::count_waiting(&mut conn, everything, &workspaces, &assets).await?)
    }

    /// A request with its evidence, its difference and what was said about it.
    ///
    /// # Errors
    /// 401 for anonymous callers, 404 when there is none the actor may know of.
    pub async fn approval(&self, actor: &Actor, id: ApprovalId) -> Result<ApprovalDetail, Error> {
        let mut conn = self.db.read.acquire().await?;
        let (approval, asset) = known(&mut conn, actor, id).await?;
        let reviewed = reviewed(&mut conn, &approval, &asset).await?;
        let comments = request::comments(&mut conn, id).await?;
        let obstacle = self.obstacle(&mut conn, actor, &approval, &asset).await?;
        let waits = approval.state.waits();
        let may_withdraw = waits
            && approval.purpose != Purpose::Drift
            && (approval.writers.contains(&writer_of(actor)) || actor.may(Permission::WriteCatalog, asset.scope()));
        Ok(ApprovalDetail {
            digest: hex::encode(&reviewed.digest),
            evidence: approval.evidence.clone().map(|checks| checks.0).unwrap_or_default(),
            evidence_is_old: approval.evidence_digest.as_deref() != Some(&reviewed.digest),
            differences: if reviewed.before.is_null() {
                Vec::new()
            } else {
                content::differences(&reviewed.before, &reviewed.after)
            },
            steps: approval.steps.iter().map(|step| step.told()).collect(),
            comments,
            may_decide: waits && obstacle.is_none(),
            may_not_decide_because: obstacle.filter(|_| waits).map(|problem| problem.detail),
            may_withdraw,
            approval,
        })
    }

    /// The request that waits about an asset, or about this version of it, for those who know it from within.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn approvals_of(&self, actor: &Actor, asset: &Asset) -> Result<Vec<Approval>, Error> {
        let sight = actor.sight();
        if !sight.is_inside(asset.workspace_id, asset.asset_id) {
            return Ok(Vec::new());
        }
        let filter = ApprovalFilter {
            workspace: Some(asset.workspace.clone()),
            asset: Some(asset.name.to_string()),
            ..ApprovalFilter::default()
        };
        let mut conn = self.db.read.acquire().await?;
        Ok(request::list(&mut conn, sight, &filter, 0, 10).await?)
    }

    /// Why this actor may not decide on the request; none when it may.
    pub(super) async fn obstacle(
        &self,
        conn: &mut PgConnection,
        actor: &Actor,
        approval: &Approval,
        asset: &Asset,
    ) -> Result<Option<Problem>, Error> {
        if let Err(refused) = actor.require(Permission::ReviewAssets, asset.scope()) {
            return Ok(Some(refused.into()));
        }
        let settings = settings::find(conn, asset.workspace_id).await?;
        let own = approval.writers.contains(&writer_of(actor));
        if own && !settings.self_approval && !matches!(actor.identity, Identity::System(_)) {
            let problem = Problem::forbidden("You had a hand in this, and nobody approves what is their own here.")
                .with_kind("self-approval")
                .with_help(
                    "Another reviewer of the workspace has to decide; whoever governs it may allow self-approval.",
                );
            return Ok(Some(problem));
        }
        Ok(None)
    }
}

/// The request and its asset, for those who know the asset from within.
pub(super) async fn known(conn: &mut PgConnection, actor: &Actor, id: ApprovalId) -> Result<(Approval, Asset), Error> {
    if actor.is_anonymous() {
        return Err(Problem::unauthenticated("Requests are shown to those who know a workspace from within.").into());
    }
    let missing = || Error::PartNotFound { what: "request for approval", name: id.to_string() };
    let approval = request::find_inside(&mut *conn, actor.sight(), id).await?.ok_or_else(missing)?;
    let asset = asset::by_id(conn, approval.asset_id).await?;
    Ok((approval, asset.ok_or_else(missing)?))
}

/// What is looked at: the stored content where it waits to be seen, the content to come where it waits to be done.
pub(super) async fn reviewed(conn: &mut PgConnection, approval: &Approval, asset: &Asset) -> Result<Reviewed, Error> {
    match approval.purpose {
        Purpose::Publication | Purpose::Renewal => {
            let after = content::read(&mut *conn, asset, approval.version_id).await?;
            let approved: Option<crate::base::VersionId> = sqlx::query_scalar(
                "select version_id from version
                 where asset_id = $1 and is_approved and status <> 'deleted' and version_id is distinct from $2
                 order by order_key desc, published_at, version_id
                 limit 1",
            )
            .bind(asset.asset_id)
            .bind(approval.version_id)
            .fetch_optional(&mut *conn)
            .await?;
            let before = match (approved, approval.purpose) {
                (Some(version), Purpose::Publication) => content::read(conn, asset, Some(version)).await?,
                _ => Value::Null,
            };
            // A version before is for the eye only: another one becoming the latest changes nothing of this.
            Ok(Reviewed { digest: content::digest(&[&after]), before, after })
        }
        Purpose::Change => {
            // Against what is there now, which may have moved since it was asked.
            let before = content::read(conn, asset, approval.version_id).await?;
            let after = approval.after.clone().unwrap_or_default();
            Ok(Reviewed { digest: content::digest(&[&before, &after]), before, after })
        }
        Purpose::Drift => {
            let before = approval.before.clone().unwrap_or_default();
            let after = approval.after.clone().unwrap_or_default();
            Ok(Reviewed { digest: content::digest(&[&before, &after]), before, after })
        }
    }
}
