//! Approvals that run out: their renewal is asked for, and when the grace is over without one, what they showed is hidden.

use super::gate::writer_of;
use crate::auth::Actor;
use crate::base::VersionId;
use crate::catalog::approval::request::{self, Opening, Purpose};
use crate::catalog::approval::settings;
use crate::catalog::verbs::{Deed, words};
use crate::catalog::{Catalog, Error, asset, version};
use serde_json::json;
use time::{Duration, OffsetDateTime};

impl Catalog {
    /// Looks after approvals that have run out; gives how many. Twice does no harm.
    ///
    /// # Errors
    /// The database's.
    pub async fn end_approvals(&self) -> Result<usize, Error> {
        let now = self.clock.now();
        let ended: Vec<(VersionId, OffsetDateTime)> = sqlx::query_as(
            "select version_id, approved_until
             from version v
             where approved_until <= $1 and is_approved
               and (not exists (select from approval p
                                where p.version_id = v.version_id and p.purpose = 'renewal'
                                  and p.state in ('open', 'changes-requested'))
                    or approved_until <= $1 - make_interval(days => (
                        select coalesce(max(s.grace_days), 0)
                        from asset a join approval_settings s using (workspace_id) where a.asset_id = v.asset_id)))
             order by approved_until
             limit 500",
        )
        .bind(now)
        .fetch_all(&self.db.write)
        .await?;
        for (id, until) in &ended {
            self.end_approval(*id, *until, now).await?;
        }
        Ok(ended.len())
    }

    async fn end_approval(&self, id: VersionId, until: OffsetDateTime, now: OffsetDateTime) -> Result<(), Error> {
        let actor = Actor::system("approvals");
        let mut tx = self.begin().await?;
        let Some(stored) = version::by_id(&mut tx, id).await? else { return Ok(()) };
        let Some(asset) = asset::lock_by_id(&mut tx, stored.asset_id).await? else { return Ok(()) };
        let still: bool =
            sqlx::query_scalar("select is_approved and approved_until = $2 from version where version_id = $1")
                .bind(id)
                .bind(until)
                .fetch_one(&mut *tx)
                .await?;
        // Somebody renewed it meanwhile.
        if !still || asset.deleted_at.is_some() {
            return Ok(());
        }
        request::expire(&mut tx, id, now).await?;
        let opening = Opening {
            workspace: asset.workspace_id,
            asset: asset.asset_id,
            version: Some(id),
            purpose: Purpose::Renewal,
            reason: "The approval runs out.",
            requester: &actor.to_string(),
            writer: &writer_of(&actor),
            before: None,
            after: None,
            step: None,
        };
        self.ask(&actor, &mut tx, &asset, opening, json!({"version": stored.name})).await?;
        let settings = settings::find(&mut tx, asset.workspace_id).await?;
        if until + Duration::days(settings.grace_days.into()) > now {
            tx.commit().await?;
            return Ok(());
        }
        let led = words::led(&mut tx, &asset).await?;
        version::set_approved(&mut tx, id, (false, None), now).await?;
        version::choose_latest(&mut tx, asset.asset_id, now).await?;
        asset::follow_approvals(&mut tx, asset.asset_id).await?;
        words::follow(&mut tx, &asset, &led, now).await?;
        let after = Some(json!({"version": stored.name, "approvedUntil": until.unix_timestamp()}));
        self.commit(tx, Deed { actor: &actor, asset: &asset, verb: "expire", at: now, before: None, after }).await
    }
}
