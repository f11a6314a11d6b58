//! Commenting, deciding, withdrawing, and asking again.

use super::gate::{record, tell, writer_of};
use super::reading::{known, reviewed};
use crate::auth::{Actor, Permission};
use crate::base::{ApprovalId, AssetId, Problem, VersionId};
use crate::catalog::approval::request::{self, ApprovalState, Comment, Decided, Opening, Purpose};
use crate::catalog::approval::settings;
use crate::catalog::verbs::{Deed, version_of, words};
use crate::catalog::{Asset, Catalog, Error, Kind, asset, version};
use crate::notify;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// What a reviewer decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Approve,
    Reject,
    /// It goes on waiting, for the one who asked to mend it.
    AskForChanges,
}

/// A decision on what was seen.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Decision {
    pub verdict: Verdict,
    /// The digest of the request as you saw it: when it is another one by now, nothing is decided.
    #[schema(max_length = 64)]
    pub digest: String,
    /// Needed for all but an approval; at most 5,000 characters.
    #[serde(default)]
    #[schema(max_length = 5000)]
    pub reason: String,
}

impl Catalog {
    /// Says something about a request; for reviewers and for those who may write the asset.
    ///
    /// # Errors
    /// 401, 404, 403, 422.
    pub async fn comment_on_approval(&self, actor: &Actor, id: ApprovalId, body: &str) -> Result<Comment, Error> {
        let mut tx = self.begin().await?;
        let (_, asset) = known(&mut tx, actor, id).await?;
        if !actor.may(Permission::WriteCatalog, asset.scope()) {
            actor.require(Permission::ReviewAssets, asset.scope())?;
        }
        let body = text("body.body", body, 1)?;
        let now = self.clock.now();
        let made = request::comment(&mut tx, id, &actor.to_string(), &body, now).await?;
        let after = json!({"approval": id, "comment": made.comment_id});
        record(&mut tx, actor, &asset, "approval.comment", after, now).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// Decides on a request. What was approved is done and seen when this returns.
    ///
    /// # Errors
    /// 401, 404; 403 for those who may not review, or for what is their own; 409 when it is decided already, when its
    /// content is not what was seen any more, or when what it would do cannot be done any more; 422.
    pub async fn decide(&self, actor: &Actor, id: ApprovalId, decision: &Decision) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let (approval, _) = known(&mut tx, actor, id).await?;
        // The asset first, as every writer does: then nobody waits for the other.
        let asset = asset::lock_by_id(&mut tx, approval.asset_id).await?.ok_or_else(|| gone(id))?;
        let approval = request::find(&mut tx, id).await?.ok_or_else(|| gone(id))?;
        if let Some(problem) = self.obstacle(&mut tx, actor, &approval, &asset).await? {
            return Err(problem.into());
        }
        let reason = text("body.reason", &decision.reason, usize::from(decision.verdict != Verdict::Approve))?;
        if !approval.state.waits() {
            return Err(decided_already(approval.state));
        }
        if asset.deleted_at.is_some() {
            let problem =
                Problem::conflict("approval-decided", "The asset was deleted; there is nothing to decide on.");
            return Err(problem.into());
        }
        let seen = reviewed(&mut tx, &approval, &asset).await?;
        if hex::encode(&seen.digest) != decision.digest.to_ascii_lowercase() {
            let problem =
                Problem::conflict("approval-changed", "What you saw was changed meanwhile; nothing was decided.");
            return Err(problem.with_help("Read the request again and decide on what it is now.").into());
        }

        let now = self.clock.now();
        let by = actor.to_string();
        let (digest, why) = (Some(seen.digest.as_slice()), Some(reason.as_str()).filter(|reason| !reason.is_empty()));
        let told = json!({"approval": id, "purpose": approval.purpose, "version": approval.version, "reason": why,
                          "digest": decision.digest});
        match decision.verdict {
            Verdict::Approve => {
                let decided = Decided { state: ApprovalState::Approved, by: Some(&by), reason: why, digest };
                self.moved(&mut tx, id, decided, now).await?;
                for step in approval.steps.iter() {
                    self.take_step(&mut tx, asset.asset_id, step, now).await?;
                }
                self.grant(&mut tx, &approval, &asset, now).await?;
                tell(&mut tx, notify::Kind::ApprovalApproved, &asset, told.clone(), now).await?;
                let before = Some(json!({"state": approval.state}));
                let asset = asset::by_id(&mut tx, asset.asset_id).await?.ok_or_else(|| gone(id))?;
                let deed = Deed { actor, asset: &asset, verb: "approve", at: now, before, after: Some(told) };
                return self.commit(tx, deed).await;
            }
            Verdict::Reject => {
                let decided = Decided { state: ApprovalState::Rejected, by: Some(&by), reason: why, digest };
                self.moved(&mut tx, id, decided, now).await?;
                record(&mut tx, actor, &asset, "approval.reject", told.clone(), now).await?;
            }
            Verdict::AskForChanges => {
                sqlx::query("update approval set state = 'changes-requested', updated_at = $2 where approval_id = $1")
                    .bind(id)
                    .bind(now)
                    .execute(&mut *tx)
                    .await?;
                request::comment(&mut tx, id, &by, &reason, now).await?;
                record(&mut tx, actor, &asset, "approval.ask-for-changes", told.clone(), now).await?;
            }
        }
        tell(&mut tx, notify::Kind::ApprovalRejected, &asset, told, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Approves, in the caller's transaction, what waits of an asset and was written by `actor` alone, because a rule says so;
    /// the rule is kept as the reason.
    pub(in crate::catalog) async fn grant_by_rule(
        &self,
        actor: &Actor,
        conn: &mut PgConnection,
        id: AssetId,
        rule: &str,
    ) -> Result<(), Error> {
        let waiting: Vec<ApprovalId> = sqlx::query_scalar(
            "select approval_id from approval
             where asset_id = $1 and state in ('open', 'changes-requested') and purpose in ('publication', 'change')
               and writers = array[$2::text]
             order by approval_id
             for update",
        )
        .bind(id)
        .bind(writer_of(actor))
        .fetch_all(&mut *conn)
        .await?;
        let (now, by) = (self.clock.now(), actor.to_string());
        for one in waiting {
            let Some(approval) = request::find(&mut *conn, one).await? else { continue };
            let Some(asset) = asset::by_id(&mut *conn, id).await? else { return Ok(()) };
            let decided = Decided { state: ApprovalState::Approved, by: Some(&by), reason: Some(rule), digest: None };
            self.moved(&mut *conn, one, decided, now).await?;
            for step in approval.steps.iter() {
                self.take_step(&mut *conn, id, step, now).await?;
            }
            self.grant(&mut *conn, &approval, &asset, now).await?;
            let told = json!({"approval": one, "rule": rule});
            record(&mut *conn, actor, &asset, "approval.approve-by-rule", told, now).await?;
        }
        Ok(())
    }

    /// Takes back what waits of changes that `actor` alone asked for of a version, because it has other contents by now.
    pub(in crate::catalog) async fn supersede(
        &self,
        actor: &Actor,
        conn: &mut PgConnection,
        asset: &Asset,
        version: VersionId,
    ) -> Result<(), Error> {
        let (now, by, writer) = (self.clock.now(), actor.to_string(), writer_of(actor));
        let reason = "It has other contents by now.";
        for id in request::supersede(&mut *conn, version, (&writer, &by), reason, now).await? {
            record(&mut *conn, actor, asset, "approval.withdraw", json!({"approval": id, "reason": reason}), now)
                .await?;
        }
        Ok(())
    }

    /// Takes a request back; for those who had a hand in it and those who may write the asset.
    ///
    /// # Errors
    /// 401, 404, 403; 409 when it is decided already, or is about a server that drifted.
    pub async fn withdraw_approval(&self, actor: &Actor, id: ApprovalId) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let (approval, asset) = known(&mut tx, actor, id).await?;
        if !approval.writers.contains(&writer_of(actor)) {
            actor.require(Permission::WriteCatalog, asset.scope())?;
        }
        if !approval.state.waits() {
            return Err(decided_already(approval.state));
        }
        if approval.purpose == Purpose::Drift {
            let problem = Problem::conflict("approval-decided", "The program asked this itself; it has to be decided.");
            return Err(problem.with_help("It ends by itself when the server is again as it was approved.").into());
        }
        let now = self.clock.now();
        let by = actor.to_string();
        let decided = Decided { state: ApprovalState::Withdrawn, by: Some(&by), reason: None, digest: None };
        self.moved(&mut tx, id, decided, now).await?;
        record(&mut tx, actor, &asset, "approval.withdraw", json!({"approval": id}), now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Asks that a version that is not seen be approved: after a rejection or a withdrawal, say.
    ///
    /// # Errors
    /// 401, 404, 403; 409 when it is approved already.
    pub async fn request_approval(
        &self,
        actor: &Actor,
        (workspace, name, version): (&str, &str, Option<&str>),
        reason: &str,
    ) -> Result<ApprovalId, Error> {
        let mut tx = self.begin().await?;
        let asset = self.asset_for_writing(actor, &mut tx, workspace, name, false).await?;
        let stored = version_of(&mut tx, &asset, version.unwrap_or("latest"), true).await?;
        let reason = text("body.reason", reason, 0)?;
        if stored.is_approved {
            let sentence = format!("{} {} is approved already.", asset.name, stored.name);
            return Err(Problem::conflict("approval-decided", sentence).into());
        }
        let opening = Opening {
            workspace: asset.workspace_id,
            asset: asset.asset_id,
            version: Some(stored.version_id),
            purpose: Purpose::Publication,
            reason: &reason,
            requester: &actor.to_string(),
            writer: &writer_of(actor),
            before: None,
            after: None,
            step: None,
        };
        let id = self.ask(actor, &mut tx, &asset, opening, json!({"version": stored.name})).await?;
        tx.commit().await?;
        Ok(id)
    }

    async fn moved(
        &self,
        conn: &mut PgConnection,
        id: ApprovalId,
        decided: Decided<'_>,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let state = decided.state;
        match request::settle(conn, id, decided, now).await? {
            true => Ok(()),
            false => Err(decided_already(state)),
        }
    }

    /// Shows what was approved, until the approval runs out.
    async fn grant(
        &self,
        conn: &mut PgConnection,
        approval: &request::Approval,
        asset: &Asset,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let settings = settings::find(&mut *conn, asset.workspace_id).await?;
        // What was seen before and is seen again leads again; a new version brings its own words, or none.
        let led = match approval.purpose {
            Purpose::Drift | Purpose::Renewal => Some(words::led(&mut *conn, asset).await?),
            Purpose::Publication | Purpose::Change => None,
        };
        if let Some(version) = approval.version_id {
            version::set_approved(&mut *conn, version, (true, settings.ends(now)), now).await?;
            let tools = match approval.purpose {
                Purpose::Drift => approval.after.clone(),
                _ => approval.tools.clone(),
            };
            if approval.purpose == Purpose::Drift {
                version::set_quarantined(&mut *conn, version, None, now).await?;
            }
            if asset.kind == Kind::Mcp {
                super::drift::keep_baseline(&mut *conn, version, tools.as_ref(), now).await?;
            }
            version::choose_latest(&mut *conn, asset.asset_id, now).await?;
            // What waited for the version to be the latest follows it now.
            for step in approval
                .steps
                .iter()
                .filter(|step| matches!(step, super::super::super::approval::step::Step::Words { .. }))
            {
                self.take_step(&mut *conn, asset.asset_id, step, now).await?;
            }
        }
        if !asset.is_approved {
            version::touch_all(&mut *conn, asset.asset_id, false, now).await?;
        }
        asset::follow_approvals(&mut *conn, asset.asset_id).await?;
        match led {
            Some(led) => words::follow(conn, asset, &led, now).await?,
            None => drop(asset::touch(conn, asset.asset_id, now).await?),
        }
        Ok(())
    }
}

fn gone(id: ApprovalId) -> Error {
    Error::PartNotFound { what: "request for approval", name: id.to_string() }
}

fn decided_already(state: ApprovalState) -> Error {
    let sentence = format!("The request is decided already: {}.", state.title().to_lowercase());
    Problem::conflict("approval-decided", sentence).into()
}

/// A text of at most 5,000 characters.
fn text(place: &str, said: &str, least: usize) -> Result<String, Error> {
    let said = said.trim();
    let length = said.chars().count();
    if length < least || length > 5_000 || said.contains('\0') {
        return Err(Error::invalid_at(place, format!("must have {least} to 5,000 characters, none of them U+0000")));
    }
    Ok(said.to_owned())
}
