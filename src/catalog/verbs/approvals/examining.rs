//! Gathering evidence: what the automatic checks find is kept with the request, after it was committed.
//!
//! Not in the common queue: a server that answers slowly must not keep the search waiting.

use super::probe;
use super::reading::reviewed;
use crate::auth::Sight;
use crate::base::{ApprovalId, HttpClient};
use crate::catalog::approval::request::{self, Approval};
use crate::catalog::governance::{self, OwnerFact, Remote, Standing, Subject};
use crate::catalog::{Asset, Catalog, Error, Kind, asset, version};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Most addresses of a version that are asked.
const REMOTES: usize = 5;
/// Most names it is compared with.
const NEIGHBOURS: i64 = 200_000;

impl Catalog {
    /// Gathers evidence, looks after servers that drift and ends approvals that ran out, until `stop`.
    pub async fn look_after_approvals(self, http: HttpClient, check_every: Duration, stop: CancellationToken) {
        let mut rounds = 0_u32;
        while !stop.is_cancelled() {
            if let Err(error) = self.examine_waiting(&http).await {
                tracing::warn!(error = %error, "Evidence could not be gathered");
            }
            if rounds.is_multiple_of(30) {
                if let Err(error) = self.end_approvals().await {
                    tracing::warn!(error = %error, "Approvals that run out could not be looked after");
                }
                if let Err(error) = self.check_due(&http, check_every).await {
                    tracing::warn!(error = %error, "Running servers could not be compared with what was approved");
                }
            }
            rounds = rounds.wrapping_add(1);
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }

    /// Gathers the evidence of requests that lack it; gives how many.
    ///
    /// # Errors
    /// The database's.
    pub async fn examine_waiting(&self, http: &HttpClient) -> Result<usize, Error> {
        let claimed = request::claim_unchecked(&mut *self.db.write.acquire().await?, self.clock.now()).await?;
        let outcomes: Vec<_> =
            stream::iter(claimed).map(|id| self.examine(http, id)).buffer_unordered(4).collect().await;
        let count = outcomes.len();
        outcomes.into_iter().collect::<Result<Vec<()>, Error>>()?;
        Ok(count)
    }

    /// Looks at a request and keeps what was found. Looking twice does no harm.
    async fn examine(&self, http: &HttpClient, id: ApprovalId) -> Result<(), Error> {
        let Some((subject, digest)) = self.subject(id).await? else { return Ok(()) };
        let subject = asked(http, subject).await;
        let checks = governance::assess(&subject);
        let tools = baseline_of(&subject);
        let mut conn = self.db.write.acquire().await?;
        request::keep_evidence(&mut conn, id, &checks, tools.as_ref(), &digest, self.clock.now()).await?;
        Ok(())
    }

    /// What is known of a request's content without calling anybody, and its digest.
    async fn subject(&self, id: ApprovalId) -> Result<Option<(Subject, Vec<u8>)>, Error> {
        let mut conn = self.db.read.acquire().await?;
        let Some(approval) = request::find(&mut conn, id).await? else { return Ok(None) };
        let Some(asset) = asset::by_id(&mut conn, approval.asset_id).await? else { return Ok(None) };
        let seen = reviewed(&mut conn, &approval, &asset).await?;
        let content = if approval.purpose == request::Purpose::Drift {
            crate::catalog::approval::content::read(&mut conn, &asset, approval.version_id).await?
        } else {
            seen.after
        };
        let text = |member: &str| content[member].as_str().unwrap_or_default().to_owned();
        let words =
            |member: &str| -> Vec<String> { serde_json::from_value(content[member].clone()).unwrap_or_default() };
        let tools =
            content["operations"].as_object().into_iter().flatten().map(|(name, told)| (name.clone(), told.clone()));
        let stored = stored_findings(&mut conn, &approval).await?;
        let subject = Subject {
            name: asset.registry_name.clone(),
            is_mcp: asset.kind == Kind::Mcp,
            title: text("title"),
            summary: text("summary"),
            description: text("description"),
            has_definition: content["definitions"].as_object().is_some_and(|all| !all.is_empty()),
            findings: stored,
            has_licence: !content["licence"].is_null(),
            owners: standing(&mut conn, words("owners")).await?,
            tools: tools.collect(),
            remotes: remotes(&asset, &content["deployments"]),
            neighbours: neighbours(&mut conn, &asset).await?,
        };
        Ok(Some((subject, seen.digest)))
    }
}

async fn stored_findings(conn: &mut PgConnection, approval: &Approval) -> Result<Vec<crate::wire::Finding>, Error> {
    let Some(version) = approval.version_id else { return Ok(Vec::new()) };
    Ok(version::by_id(conn, version).await?.map(|version| version.findings.0).unwrap_or_default())
}

/// The addresses of an MCP server, without an answer yet; one that clients fill in first says that it was not asked.
pub(super) fn remotes(asset: &Asset, deployments: &Value) -> Vec<Remote> {
    if asset.kind != Kind::Mcp {
        return Vec::new();
    }
    let active = deployments.as_array().into_iter().flatten().filter(|one| one["active"] != json!(false));
    let urls = active.filter(|one| one["transport"] != json!("sse")).filter_map(|one| one["url"].as_str());
    let unasked = |url: &str| match url.contains('{') {
        true => "it was not asked, because its address has variables that each client fills in",
        false => "it was not asked",
    };
    urls.filter(|url| url.starts_with("http") || url.starts_with('{'))
        .take(REMOTES)
        .map(|url| Remote { url: url.to_owned(), answer: Err(unasked(url).to_owned()) })
        .collect()
}

async fn asked(http: &HttpClient, mut subject: Subject) -> Subject {
    for remote in subject.remotes.iter_mut().filter(|remote| !remote.has_variables()) {
        remote.answer = probe::ask(http, &remote.url).await;
    }
    subject
}

/// The tools drift will be measured against: those of the first address that answers.
fn baseline_of(subject: &Subject) -> Option<Value> {
    let answer = subject.remotes.iter().find_map(|remote| remote.answer.as_ref().ok())?;
    Some(Value::Object(answer.tools.iter().cloned().collect()))
}

/// Who the owners are; a person is known by name or address.
pub(super) async fn standing(conn: &mut PgConnection, owners: Vec<String>) -> Result<Vec<OwnerFact>, Error> {
    let rows: Vec<(String, bool, bool)> = sqlx::query_as(
        "select o.name,
                exists (select from user_account u where (u.name = o.name or u.email = o.name) and u.disabled_at is null)
                or exists (select from user_group g where g.name = o.name and g.deleted_at is null),
                exists (select from user_account u where (u.name = o.name or u.email = o.name))
                or exists (select from user_group g where g.name = o.name)
         from unnest($1::text[]) as o (name)",
    )
    .bind(owners)
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(name, known, once)| {
            let standing = match (known, once) {
                (true, _) => Standing::Known,
                (false, true) => Standing::Disabled,
                (false, false) => Standing::Unknown,
            };
            OwnerFact { name, standing }
        })
        .collect())
}

/// Names of other assets, as far as anybody of this workspace may know them: a check tells nobody of what is hidden.
async fn neighbours(conn: &mut PgConnection, asset: &Asset) -> Result<Vec<String>, Error> {
    use crate::auth::BindSight;
    let sight = Sight { internal: true, workspaces: vec![asset.workspace_id], ..Sight::of_the_public() };
    let names = sqlx::query_scalar(
        "select distinct a.registry_name
         from asset a join workspace w using (workspace_id)
         where asset_visible(a, $1, $2, $3, $4, $5) and a.deleted_at is null and w.deleted_at is null and a.asset_id <> $6
         limit $7",
    )
    .bind_sight(&sight)
    .bind(asset.asset_id)
    .bind(NEIGHBOURS)
    .fetch_all(conn)
    .await?;
    Ok(names)
}
