//! `Traffic`: takes requests through the gateway. One exchange, from its body to its settling:
//!
//! 1. the door reads the body once, within bounds, and finds the caller (from memory) and the route (from the snapshot);
//! 2. the policies of the route admit it, answer it, or refuse it ([`crate::gateway::policy`]);
//! 3. the pool's members are put in order: broken, full and drained ones are left out ([`order`]);
//! 4. the request is made ready for a member's vendor, with our credential there, and sent ([`attempt`]);
//! 5. what fails before the first byte goes to the next member, within the retry budget of the pool ([`tries`]);
//! 6. the answer goes on as it comes, with a side view of what it says ([`stream`]);
//! 7. at its end, however it comes, the exchange is settled, exactly once ([`running`]).

mod answer;
mod attempt;
mod callers;
mod conversations;
mod fault;
mod finish;
mod follow;
mod handed;
mod handling;
mod held_back;
mod hidden;
mod live;
mod order;
mod outgoing;
mod passed;
mod plan;
mod reply;
mod running;
mod stream;
mod tries;
mod watch;

pub use live::{LiveBackend, LiveTrip};
pub use reply::ReplyBody;

use super::balance::States;
use super::policy::Services;
use super::room::Room;
use super::telemetry::Trace;
use super::upstream::Origins;
use super::{Gateway, Route, Snapshot};
use crate::audit::{Refusal, Refusals};
use crate::auth::{Actor, Auth};
use crate::base::{BackendId, Clock, Config, Problem};
use crate::wire::call::Call;
use arc_swap::ArcSwapOption;
use callers::Callers;
use conversations::Conversations;
use http::{HeaderMap, Response};
use plan::{Plan, PlannedRoute};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The traffic of this process; cheap to clone.
#[derive(Clone)]
pub struct Traffic {
    #[expect(clippy::redundant_allocation, reason = "the outer count is a connection's own: see `apart`")]
    inner: Arc<Arc<Inner>>,
}

struct Inner {
    gateway: Gateway,
    config: Arc<Config>,
    clock: Clock,
    callers: Arc<Callers>,
    services: Services,
    refusals: Refusals,
    states: States,
    room: Room,
    origins: Origins,
    plan: ArcSwapOption<Plan>,
    planning: Mutex<()>,
    conversations: Conversations,
    tasks: TaskTracker,
    /// So many responses are asked after at once.
    followers: Arc<Semaphore>,
    /// When what may take long is to be settled as it stands.
    stopping: CancellationToken,
    draws: AtomicU64,
}

impl Traffic {
    #[must_use]
    pub fn new(
        gateway: Gateway,
        auth: Auth,
        clock: Clock,
        config: Arc<Config>,
        services: Services,
        refusals: Refusals,
    ) -> Self {
        let tasks = TaskTracker::new();
        let room = Room::new(config.gateway.gateway_body_memory);
        let origins = Origins::new(gateway.egress().clone());
        let passes_unknown = config.gateway.unknown_responses == "pass";
        let conversations = Conversations::new(gateway.inner.db.clone(), clock.clone(), passes_unknown);
        Self {
            inner: Arc::new(Arc::new(Inner {
                gateway,
                config,
                callers: Arc::new(Callers::new(auth, clock.clone(), tasks.clone())),
                clock,
                services,
                refusals,
                states: States::default(),
                room,
                origins,
                plan: ArcSwapOption::empty(),
                planning: Mutex::default(),
                conversations,
                tasks,
                followers: Arc::new(Semaphore::new(follow::MOST)),
                stopping: CancellationToken::new(),
                draws: AtomicU64::new(uuid::Uuid::new_v4().as_u128() as u64),
            })),
        }
    }

    /// The same traffic, counted apart: who clones it for each request does not change a count that other processors change
    /// as often.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self { inner: Arc::new(Arc::clone(&self.inner)) }
    }

    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// What long bodies may take.
    pub(super) fn room(&self) -> &Room {
        &self.inner.room
    }

    /// The settings as they are now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.gateway.snapshot()
    }

    /// Where a request with these headers stands in a trace; nothing when nobody wants to know.
    pub(super) fn trace(&self, headers: &mut HeaderMap) -> Option<Box<Trace>> {
        self.inner.services.telemetry.as_ref()?.begin(headers)
    }

    /// The actor behind a credential; without the database where it was seen before.
    ///
    /// # Errors
    /// 401 when it does not hold; 503 when that cannot be found out.
    pub async fn identify(&self, credential: &str) -> Result<Arc<Actor>, Problem> {
        self.inner.callers.identify(credential).await
    }

    /// Lets a caller go on from a response that is its own.
    ///
    /// # Errors
    /// 403 where it was given to somebody else, or nobody knows whom.
    pub(super) async fn check_conversation(&self, caller: &Actor, call: &Call) -> Result<(), Problem> {
        match &call.previous_response {
            Some(previous) => self.inner.conversations.check(previous, caller).await,
            None => Ok(()),
        }
    }

    /// Where a response of the caller's is stored, and the alias it was asked for by; nothing where nobody knows it here.
    ///
    /// # Errors
    /// 403 where it was given to somebody else; 503 where that cannot be found out.
    pub(super) async fn find_response(
        &self,
        caller: &Actor,
        response: &str,
    ) -> Result<Option<(BackendId, Arc<str>)>, Problem> {
        let found = self.inner.conversations.find(response, caller).await?;
        Ok(found.map(|stored| (stored.backend, stored.model)))
    }

    /// Notes for the audit record that somebody came without a credential that holds; never waits.
    pub(super) fn refused(&self, refusal: Refusal) {
        self.inner.refusals.note(refusal, self.inner.clock.now());
    }

    /// Closes idle connections and writes down where responses are until `stop`, and returns when what was left behind is
    /// settled.
    pub async fn run(self, stop: CancellationToken) {
        const SWEEP: Duration = Duration::from_secs(15);
        let sweep = async {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(SWEEP) => self.inner.origins.sweep(),
                    () = stop.cancelled() => break,
                }
            }
        };
        tokio::join!(sweep, self.inner.conversations.run(stop.clone()));
        self.inner.stopping.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.inner.conversations.store().await;
    }

    /// The answer, as it goes on to a client that may leave the connection open and take nothing (HTTP/2).
    pub(super) fn handed(&self, response: Response<ReplyBody>) -> Response<ReplyBody> {
        handed::handed(response, self.tasks(), self.inner.config.limits.write_timeout)
    }

    /// What has to be finished although its client has left.
    pub(super) fn tasks(&self) -> &TaskTracker {
        &self.inner.tasks
    }

    /// The route as it is planned in this snapshot; made when a snapshot is first used.
    fn planned(&self, snapshot: &Arc<Snapshot>, route: &Route) -> Option<Arc<PlannedRoute>> {
        let inner = &self.inner;
        let current = inner.plan.load();
        if let Some(plan) = current.as_ref().filter(|plan| Arc::ptr_eq(&plan.snapshot, snapshot)) {
            return plan.route(route).cloned();
        }
        let _one_at_a_time = inner.planning.lock().unwrap_or_else(PoisonError::into_inner);
        let made = inner.plan.load_full().filter(|plan| Arc::ptr_eq(&plan.snapshot, snapshot));
        let plan = made.unwrap_or_else(|| {
            let plan = Arc::new(Plan::of(snapshot.clone(), &inner.states, &inner.origins, &inner.services));
            inner.plan.store(Some(plan.clone()));
            plan
        });
        plan.route(route).cloned()
    }

    /// A number that nobody foresees, for choosing among backends.
    fn draw(&self) -> u64 {
        super::balance::mixed(self.inner.draws.fetch_add(1, Ordering::Relaxed))
    }
}
