//! Drift: whether the running servers still offer the tools that were approved.

use super::examining::remotes;
use super::gate::writer_of;
use super::probe;
use crate::auth::{Actor, Permission};
use crate::base::{ApprovalId, HttpClient, VersionId};
use crate::catalog::approval::content::{self, Difference};
use crate::catalog::approval::request::{self, Opening, Purpose};
use crate::catalog::approval::settings;
use crate::catalog::verbs::{Deed, version_of, words};
use crate::catalog::{Asset, Catalog, Error, asset, version};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::time::Duration;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// What came of comparing a running server with what was approved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftReport {
    pub version: String,
    /// Whether a server answered.
    pub answered: bool,
    /// What came of it, in a sentence.
    pub detail: String,
    /// Whether it offers something else than was approved.
    pub drifted: bool,
    pub differences: Vec<Difference>,
    /// The request that was opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub approval: Option<ApprovalId>,
}

impl Catalog {
    /// Asks the running server of a version for its tools, and compares them with those that were approved. When they differ
    /// the version is quarantined and its approval is asked for again; when they are again as approved, that ends.
    ///
    /// # Errors
    /// 401, 404; 403 for those who may neither write nor review it.
    pub async fn check_drift(
        &self,
        actor: &Actor,
        http: &HttpClient,
        (workspace, name, wanted): (&str, &str, Option<&str>),
    ) -> Result<DriftReport, Error> {
        if actor.is_anonymous() {
            actor.require(Permission::WriteCatalog, crate::auth::Scope::Instance)?;
        }
        let asset = self.find(actor, workspace, name).await?.asset;
        if !actor.may(Permission::ReviewAssets, asset.scope()) {
            actor.require(Permission::WriteCatalog, asset.scope())?;
        }
        let stored = version_of(&mut *self.db.read.acquire().await?, &asset, wanted.unwrap_or("latest"), true).await?;
        self.compare(actor, http, &asset, stored.version_id).await
    }

    /// Compares the servers of approved versions that were not compared for `every`; gives how many.
    ///
    /// # Errors
    /// The database's.
    pub async fn check_due(&self, http: &HttpClient, every: Duration) -> Result<usize, Error> {
        let now = self.clock.now();
        let due: Vec<VersionId> = sqlx::query_scalar(
            "update tool_baseline set checked_at = $1
             where version_id in (
                 select b.version_id
                 from tool_baseline b
                 join version v using (version_id)
                 join asset a using (asset_id)
                 join approval_settings s using (workspace_id)
                 where (b.checked_at is null or b.checked_at <= $2) and s.is_required and a.deleted_at is null
                   and v.status <> 'deleted' and (v.is_approved or v.quarantined_at is not null)
                 order by b.checked_at nulls first
                 limit 20
                 for update of b skip locked)
             returning version_id",
        )
        .bind(now)
        .bind(now - every)
        .fetch_all(&self.db.write)
        .await?;
        let system = Actor::system("drift check");
        for version in &due {
            let asset = {
                let mut conn = self.db.read.acquire().await?;
                match version::by_id(&mut conn, *version).await? {
                    Some(stored) => asset::by_id(&mut conn, stored.asset_id).await?,
                    None => None,
                }
            };
            if let Some(asset) = asset {
                self.compare(&system, http, &asset, *version).await?;
            }
        }
        Ok(due.len())
    }

    async fn compare(
        &self,
        actor: &Actor,
        http: &HttpClient,
        asset: &Asset,
        id: VersionId,
    ) -> Result<DriftReport, Error> {
        let now_there = content::read(&mut *self.db.read.acquire().await?, asset, Some(id)).await?;
        let version = now_there["version"].as_str().unwrap_or_default().to_owned();
        let report = |detail: &str| DriftReport {
            version: version.clone(),
            detail: detail.to_owned(),
            ..DriftReport::default()
        };
        let mut silence = "It names no address that can be asked.".to_owned();
        let mut listed = None;
        for remote in remotes(asset, &now_there["deployments"]) {
            if let (true, Err(why)) = (remote.has_variables(), &remote.answer) {
                silence = format!("{}: {why}.", remote.url);
                continue;
            }
            match probe::ask(http, &remote.url).await {
                Ok(answer) => {
                    listed = Some(Value::Object(answer.tools.into_iter().collect()));
                    break;
                }
                Err(why) => silence = format!("{}: {why}.", remote.url),
            }
        }
        let Some(listed) = listed else { return Ok(report(&silence)) };

        let mut tx = self.begin().await?;
        let Some(asset) = asset::lock_by_id(&mut tx, asset.asset_id).await? else { return Ok(report(&silence)) };
        let Some(stored) = version::by_id(&mut tx, id).await? else { return Ok(report(&silence)) };
        let now = self.clock.now();
        let known: Option<Option<Value>> = sqlx::query_scalar("select tools from tool_baseline where version_id = $1")
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(approved) = known.flatten() else {
            keep_baseline(&mut tx, id, Some(&listed), now).await?;
            tx.commit().await?;
            return Ok(DriftReport {
                answered: true,
                ..report("It was asked for the first time; its tools are kept.")
            });
        };
        sqlx::query("update tool_baseline set checked_at = $2 where version_id = $1")
            .bind(id)
            .bind(now)
            .execute(&mut *tx)
            .await?;
        let differences = content::differences(&approved, &listed);
        let settings = settings::find(&mut tx, asset.workspace_id).await?;
        if differences.is_empty() {
            let same = DriftReport { answered: true, ..report("It offers the tools that were approved.") };
            if stored.quarantined_at.is_none() {
                tx.commit().await?;
                return Ok(same);
            }
            let led = words::led(&mut tx, &asset).await?;
            version::set_quarantined(&mut tx, id, None, now).await?;
            if settings.hides_drifted {
                version::set_approved(&mut tx, id, (true, settings.ends(now)), now).await?;
                version::choose_latest(&mut tx, asset.asset_id, now).await?;
                asset::follow_approvals(&mut tx, asset.asset_id).await?;
            }
            request::withdraw_drift(&mut tx, id, now).await?;
            words::follow(&mut tx, &asset, &led, now).await?;
            let after = Some(json!({"version": stored.name, "quarantined": false}));
            self.commit(tx, Deed { actor, asset: &asset, verb: "drift", at: now, before: None, after }).await?;
            return Ok(same);
        }

        let system = Actor::system("drift check");
        let opening = Opening {
            workspace: asset.workspace_id,
            asset: asset.asset_id,
            version: Some(id),
            purpose: Purpose::Drift,
            reason: "The running server offers other tools than were approved.",
            requester: &system.to_string(),
            writer: &writer_of(&system),
            before: Some(&approved),
            after: Some(&listed),
            step: None,
        };
        let places: Vec<&str> = differences.iter().map(|one| one.place.as_str()).take(20).collect();
        let told = json!({"version": stored.name, "places": places});
        let approval = self.ask(actor, &mut tx, &asset, opening, told.clone()).await?;
        if stored.quarantined_at.is_none() {
            let led = words::led(&mut tx, &asset).await?;
            version::set_quarantined(&mut tx, id, Some(now), now).await?;
            if settings.hides_drifted {
                version::set_approved(&mut tx, id, (false, None), now).await?;
                version::choose_latest(&mut tx, asset.asset_id, now).await?;
                asset::follow_approvals(&mut tx, asset.asset_id).await?;
            }
            words::follow(&mut tx, &asset, &led, now).await?;
            let after = Some(told);
            self.commit(tx, Deed { actor, asset: &asset, verb: "drift", at: now, before: None, after }).await?;
        } else {
            tx.commit().await?;
        }
        let detail = "It offers other tools than were approved; the version is quarantined.";
        Ok(DriftReport { answered: true, drifted: true, differences, approval: Some(approval), ..report(detail) })
    }
}

/// Keeps the tools that are approved of a version; none: those of the next answer are.
pub(super) async fn keep_baseline(
    conn: &mut PgConnection,
    version: VersionId,
    tools: Option<&Value>,
    now: OffsetDateTime,
) -> Result<(), Error> {
    sqlx::query(
        "insert into tool_baseline (version_id, tools, at, checked_at)
         values ($1, $2, $3, case when $2::jsonb is not null then $3::timestamptz end)
         on conflict (version_id) do update
         set tools = coalesce(excluded.tools, tool_baseline.tools), at = excluded.at, checked_at = excluded.checked_at",
    )
    .bind(version)
    .bind(tools)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}
