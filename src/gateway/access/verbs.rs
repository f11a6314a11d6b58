//! The verbs of access: asking, deciding, taking back, and making the key. Each writes its audit record, and tells those
//! who want to know, in its own transaction.

use super::deed::{AccessState, Deed, Facts, Obstacle};
use super::request::{self, AccessFilter, AccessRequest, Asked, Decided, Governed};
use crate::audit;
use crate::auth::{Actor, ApiKey, Auth, KeyHolder, KeyScope, NewKey, Permission, Role, SecretKey};
use crate::base::{AccessRequestId, Cursor, Limit, Page, Problem};
use crate::catalog::Catalog;
use crate::gateway::Gateway;
use crate::notify::{self, Notice};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// The longest purpose and note, in characters.
const LONGEST: usize = 2_000;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewAccess {
    #[schema(max_length = 63)]
    pub workspace: String,
    /// An asset that a route of the gateway leads to.
    #[schema(max_length = 200)]
    pub asset: String,
    /// What for, and how much will be used, for who decides.
    #[schema(min_length = 1, max_length = 2000)]
    pub purpose: String,
    /// Until when; for good where it is not said.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessDecision {
    pub approve: bool,
    /// For the asker; needed to decline.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub note: String,
    /// When the access ends; as it was asked for where it is not said.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
}

/// How an actor stands to an asset that a route leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No route leads to the asset.
    NotServed,
    MayCall,
    /// Only people ask.
    NoPerson,
    MayAsk,
    /// The request that is under way, or of which no key was made.
    Asked(Box<AccessRequest>),
}

impl Gateway {
    /// How the actor stands to an asset; for the pages of assets, which the actor sees.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn standing(
        &self,
        actor: &Actor,
        (workspace, asset): (&str, &str),
        id: crate::base::AssetId,
    ) -> Result<Standing, Problem> {
        let snapshot = self.snapshot();
        let routes = snapshot.routes_of_asset(workspace, asset);
        if routes.is_empty() {
            return Ok(Standing::NotServed);
        }
        let latest = match actor.user() {
            Some(user) => request::latest(&mut *self.inner.db.read.acquire().await?, user, id).await?,
            None => None,
        };
        let may_call = routes.iter().any(|route| route.admits(actor));
        let is_open = |request: &AccessRequest| match request.state {
            AccessState::Waiting => true,
            AccessState::Approved => request.key_id.is_none() && may_call,
            _ => false,
        };
        Ok(match latest {
            Some(request) if is_open(&request) => Standing::Asked(Box::new(request)),
            _ if may_call => Standing::MayCall,
            _ if actor.user().is_none() => Standing::NoPerson,
            _ => Standing::MayAsk,
        })
    }

    /// Asks for access to an asset.
    ///
    /// # Errors
    /// 401; 403 for who is no person; 404 when the asset is not seen; 409 when no route leads to it, when it may be
    /// called already, or when an earlier request waits; 422.
    pub async fn request_access(
        &self,
        actor: &Actor,
        (auth, catalog): (&Auth, &Catalog),
        new: &NewAccess,
    ) -> Result<AccessRequest, Problem> {
        let user = auth.own(actor)?;
        let asset = catalog.find(actor, &new.workspace, &new.asset).await?.asset;
        let purpose = text("body.purpose", &new.purpose, 1)?;
        let now = self.inner.clock.now();
        refuse_past(new.until, now)?;
        let snapshot = self.snapshot();
        let routes = snapshot.routes_of_asset(&new.workspace, &new.asset);
        if routes.is_empty() {
            let words = format!("No route of the gateway leads to {}.", new.asset);
            let problem = Problem::conflict("access-not-possible", words);
            return Err(problem.with_help("Its page tells how to connect to it without the gateway."));
        }
        if let Some(route) = routes.iter().find(|route| route.admits(actor)) {
            let words = format!("You may call {} already.", new.asset);
            let scope = KeyScope::Call(Some(route.qualified_name()));
            let problem = Problem::conflict("access-held", words);
            return Err(problem.with_help(format!("Make a key on your account's page; its scope would be {scope}.")));
        }
        let mut tx = self.inner.db.write.begin().await?;
        let (workspace, id) = (asset.workspace_id, asset.asset_id);
        let asked = Asked { workspace, asset: id, user, purpose: &purpose, until: new.until };
        let Some(id) = request::insert(&mut tx, &asked, now).await? else {
            let problem = Problem::conflict("access-asked", format!("You asked for access to {} already.", new.asset));
            return Err(problem.with_help("It waits for a decision; withdraw it to ask anew."));
        };
        let made = request::find(&mut tx, id).await?.ok_or_else(Problem::internal)?;
        let said =
            json!({"asset": made.asset, "purpose": purpose, "until": made.wanted_until.map(|at| at.to_string())});
        self.note_access(&mut tx, actor, &made, "request", said).await?;
        tell(&mut tx, notify::Kind::AccessRequested, &made, now).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// The actor's own requests, and those that the actor decides on; newest first.
    ///
    /// # Errors
    /// 401; 400 for a foreign cursor; 503.
    pub async fn access_requests(
        &self,
        actor: &Actor,
        filter: &AccessFilter,
        cursor: Option<&Cursor>,
        limit: Limit,
    ) -> Result<Page<AccessRequest>, Problem> {
        if actor.is_anonymous() {
            return Err(Problem::unauthenticated("Requests for access are shown to who made them and who decides."));
        }
        let before: Option<AccessRequestId> = match cursor {
            Some(cursor) => {
                Some(cursor.place().map_err(|bad| Problem::invalid_field("query.cursor", bad.to_string()))?)
            }
            None => None,
        };
        let mut conn = self.inner.db.read.acquire().await?;
        let most = i64::try_from(limit.0).unwrap_or(i64::MAX).saturating_add(1);
        let governed = Governed::by(actor);
        let mut items = request::list(&mut conn, own(actor), &governed, filter, before, most).await?;
        let has_more = items.len() > limit.0;
        items.truncate(limit.0);
        let next = items.last().filter(|_| has_more).map(|one| Cursor::of(&one.access_request_id));
        Ok(Page { items, total: None, next })
    }

    /// How many requests wait for the actor's decision; none for who decides nowhere.
    ///
    /// # Errors
    /// 503 when the database does not answer.
    pub async fn access_waiting(&self, actor: &Actor) -> Result<Option<i64>, Problem> {
        let governed = Governed::by(actor);
        if governed.is_nothing() {
            return Ok(None);
        }
        Ok(Some(request::count_waiting(&mut *self.inner.db.read.acquire().await?, &governed).await?))
    }

    /// One request, for who made it and for who decides on it; with whether the actor decides.
    ///
    /// # Errors
    /// 401; 404 when there is none the actor may know of.
    pub async fn access_request(&self, actor: &Actor, id: AccessRequestId) -> Result<(AccessRequest, bool), Problem> {
        let found = request::find(&mut *self.inner.db.read.acquire().await?, id).await?;
        known(actor, found)
    }

    /// What stands against the asker's making a key of this request now.
    #[must_use]
    pub fn key_obstacle(&self, actor: &Actor, request: &AccessRequest) -> Option<Obstacle> {
        Deed::MakeKey.obstacle(&self.facts(actor, request), self.inner.clock.now())
    }

    /// Approves or declines. Approved, the asker holds the role consumer for the asset.
    ///
    /// # Errors
    /// 401, 404; 403 for who does not govern there; 409 when it is decided or cannot be done any more; 422.
    pub async fn decide_access(
        &self,
        actor: &Actor,
        auth: &Auth,
        id: AccessRequestId,
        decision: &AccessDecision,
    ) -> Result<AccessRequest, Problem> {
        let mut tx = self.inner.db.write.begin().await?;
        let (request, _) = known(actor, request::lock(&mut tx, id).await?)?;
        actor.require(Permission::GovernWorkspace, request.scope())?;
        let note = text("body.note", &decision.note, usize::from(!decision.approve))?;
        let now = self.inner.clock.now();
        let deed = if decision.approve { Deed::Approve } else { Deed::Decline };
        if let Some(obstacle) = deed.obstacle(&self.facts(actor, &request), now) {
            return Err(obstacle.into());
        }
        let ends_at = decision.until.or(request.wanted_until).filter(|_| decision.approve);
        refuse_past(ends_at, now)?;
        let (state, kind, verb) = match decision.approve {
            true => (AccessState::Approved, notify::Kind::AccessApproved, "approve"),
            false => (AccessState::Declined, notify::Kind::AccessDeclined, "decline"),
        };
        let by = actor.to_string();
        let decided = Decided { state, by: &by, note: Some(note.as_str()).filter(|note| !note.is_empty()), ends_at };
        request::decide(&mut tx, id, &decided, now).await?;
        if decision.approve {
            auth.assign_role_in(&mut tx, actor, (Role::Consumer, request.user_id, request.scope()), ends_at).await?;
        }
        let said = json!({"asset": request.asset, "asker": request.asker, "note": decided.note,
                          "until": ends_at.map(|at| at.to_string())});
        self.note_access(&mut tx, actor, &request, verb, said).await?;
        let made = request::find(&mut tx, id).await?.ok_or_else(Problem::internal)?;
        tell(&mut tx, kind, &made, now).await?;
        tx.commit().await?;
        auth.roles_changed();
        Ok(made)
    }

    /// Takes a request back, for who made it.
    ///
    /// # Errors
    /// 401, 404; 403 for others; 409 when it is closed.
    pub async fn withdraw_access(&self, actor: &Actor, id: AccessRequestId) -> Result<AccessRequest, Problem> {
        let mut tx = self.inner.db.write.begin().await?;
        let (request, _) = known(actor, request::lock(&mut tx, id).await?)?;
        refuse_others(actor, &request)?;
        let now = self.inner.clock.now();
        if let Some(obstacle) = Deed::Withdraw.obstacle(&self.facts(actor, &request), now) {
            return Err(obstacle.into());
        }
        request::withdraw(&mut tx, id, now).await?;
        self.note_access(&mut tx, actor, &request, "withdraw", json!({"asset": request.asset})).await?;
        let made = request::find(&mut tx, id).await?.ok_or_else(Problem::internal)?;
        tx.commit().await?;
        Ok(made)
    }

    /// Makes the key of an approved request: the asker's own, for the routes of the asset alone, as long as the access
    /// lasts. Its text is in the answer and nowhere else.
    ///
    /// # Errors
    /// 401, 404; 403 for others; 409 when no key can come of it, or one has; 422 for a bad name.
    pub async fn make_access_key(
        &self,
        actor: &Actor,
        auth: &Auth,
        id: AccessRequestId,
        name: &str,
    ) -> Result<(ApiKey, SecretKey), Problem> {
        let mut tx = self.inner.db.write.begin().await?;
        let (request, _) = known(actor, request::lock(&mut tx, id).await?)?;
        refuse_others(actor, &request)?;
        let name = name.trim();
        if !(1..=200).contains(&name.chars().count()) || name.contains('\0') {
            return Err(Problem::invalid_field("body.name", "must have 1 to 200 characters"));
        }
        let now = self.inner.clock.now();
        if let Some(obstacle) = Deed::MakeKey.obstacle(&self.facts(actor, &request), now) {
            return Err(obstacle.into());
        }
        let snapshot = self.snapshot();
        let routes = snapshot.routes_of_asset(&request.workspace, &request.asset).into_iter();
        let scopes = routes.map(|route| KeyScope::Call(Some(route.qualified_name())).to_string()).collect();
        let new = NewKey { name: name.to_owned(), holder: KeyHolder::Own, scopes, expires_at: request.ends_at };
        let (key, secret) = auth.create_own_key_in(&mut tx, actor, &new).await?;
        request::set_key(&mut tx, id, key, now).await?;
        let said = json!({"asset": request.asset, "key": name, "keyId": key});
        self.note_access(&mut tx, actor, &request, "make-key", said).await?;
        tx.commit().await?;
        let keys = auth.own_keys(actor).await?;
        let key = keys.into_iter().find(|one| one.key_id == key).ok_or_else(Problem::internal)?;
        Ok((key, secret))
    }

    fn facts(&self, actor: &Actor, request: &AccessRequest) -> Facts {
        let snapshot = self.snapshot();
        let routes = snapshot.routes_of_asset(&request.workspace, &request.asset);
        Facts {
            state: request.state,
            ends_at: request.ends_at,
            has_key: request.key_id.is_some(),
            is_served: !request.deleted && !routes.is_empty(),
            may_call: routes.iter().any(|route| route.admits(actor)),
        }
    }

    async fn note_access(
        &self,
        conn: &mut PgConnection,
        actor: &Actor,
        request: &AccessRequest,
        verb: &str,
        said: Value,
    ) -> Result<(), Problem> {
        let id = Some(request.access_request_id.0);
        let subject = audit::Subject { name: &request.asset, id, workspace: Some(request.workspace_id) };
        let (now, verb) = (self.inner.clock.now(), format!("access.{verb}"));
        audit::record(conn, now, &actor.trace(), &verb, subject, None, Some(said)).await?;
        Ok(())
    }
}

/// Tells what happened to those who subscribed.
async fn tell(
    conn: &mut PgConnection,
    kind: notify::Kind,
    request: &AccessRequest,
    now: OffsetDateTime,
) -> Result<(), Problem> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Data<'a> {
        request: AccessRequestId,
        asker: &'a str,
        state: AccessState,
        decided_by: Option<&'a str>,
    }
    let (asker, decided_by) = (request.asker.as_str(), request.decided_by.as_deref());
    let data = Data { request: request.access_request_id, asker, state: request.state, decided_by };
    let notice = Notice::new(kind, now, &request.asset).of_asset(request.workspace_id, request.asset_id);
    notify::publish(conn, notice.with(json!(data))).await?;
    Ok(())
}

/// The person whose requests are the actor's own; a key that is meant for something else shows none.
fn own(actor: &Actor) -> Option<crate::base::UserId> {
    actor.user().filter(|_| actor.key_scopes().is_empty())
}

/// The request, where the actor may know of it, and whether the actor decides on it.
fn known(actor: &Actor, found: Option<AccessRequest>) -> Result<(AccessRequest, bool), Problem> {
    if actor.is_anonymous() {
        return Err(Problem::unauthenticated("Requests for access are shown to who made them and who decides."));
    }
    let missing = || Problem::not_found("There is no such request for access here.");
    let request = found.ok_or_else(missing)?;
    let decides = actor.may(Permission::GovernWorkspace, request.scope());
    match decides || own(actor) == Some(request.user_id) {
        true => Ok((request, decides)),
        false => Err(missing()),
    }
}

fn refuse_others(actor: &Actor, request: &AccessRequest) -> Result<(), Problem> {
    if own(actor) == Some(request.user_id) {
        return Ok(());
    }
    Err(Problem::forbidden(format!("This is for {} to do, who asked.", request.asker)))
}

fn refuse_past(until: Option<OffsetDateTime>, now: OffsetDateTime) -> Result<(), Problem> {
    match until.is_some_and(|until| until <= now) {
        true => Err(Problem::invalid_field("body.until", "must lie ahead")),
        false => Ok(()),
    }
}

fn text(place: &str, said: &str, least: usize) -> Result<String, Problem> {
    let said = said.trim();
    let length = said.chars().count();
    if length < least || length > LONGEST || said.contains('\0') {
        let words = format!("must have {least} to {LONGEST} characters, none of them U+0000");
        return Err(Problem::invalid_field(place, words));
    }
    Ok(said.to_owned())
}
