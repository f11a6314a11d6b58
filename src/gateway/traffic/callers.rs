//! Callers by their keys, remembered so that no database stands in the path of a request, nor its outage.

use crate::auth::{Actor, Auth, Standing};
use crate::base::{Clock, Problem};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use http::StatusCode;
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::task::TaskTracker;

/// Even unchanged, a caller is asked about again after this time, beside the request: what is noted of the use of keys is
/// as fresh.
const LONGEST: Duration = Duration::from_secs(60);
/// How long a question may take before what is remembered counts, as it does when the database is away.
const PATIENCE: Duration = Duration::from_millis(500);
/// What nobody used for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(12 * 60 * 60);

pub(super) struct Callers {
    auth: Auth,
    clock: Clock,
    known: Cache<[u8; 32], Arc<Known>>,
    tasks: TaskTracker,
}

type Answer = Shared<BoxFuture<'static, Result<Arc<Actor>, Problem>>>;

struct Known {
    actor: Arc<Actor>,
    standing: Standing,
    asked_at: Instant,
    /// The question under way.
    asking: Mutex<Option<Answer>>,
    /// The last question was not answered: until one is, no request waits for the next.
    is_unanswered: AtomicBool,
}

impl Callers {
    pub(super) fn new(auth: Auth, clock: Clock, tasks: TaskTracker) -> Self {
        Self { auth, clock, known: Cache::builder().max_capacity(100_000).time_to_idle(FORGOTTEN).build(), tasks }
    }

    /// The actor behind a credential: from memory as long as nothing changed of anybody's keys and roles, as the database
    /// tells every replica at once; while it does not answer, as it was before.
    ///
    /// # Errors
    /// 401 when it does not hold; 503 when that cannot be found out and it was never seen here, or has ended since.
    pub(super) async fn identify(self: &Arc<Self>, credential: &str) -> Result<Arc<Actor>, Problem> {
        let hash: [u8; 32] = Sha256::digest(credential.as_bytes()).into();
        let Some(known) = self.known.get(&hash) else {
            return self.ask(hash, credential).await;
        };
        if self.auth.holds(known.standing) {
            if known.asked_at.elapsed() >= LONGEST {
                drop(self.ask_beside(hash, credential, &known));
            }
            return Ok(known.actor.clone());
        }
        if known.standing.is_over(self.clock.now()) {
            return self.ask(hash, credential).await;
        }
        // It was another generation that it held in: what changed may be this.
        let answer = self.ask_beside(hash, credential, &known);
        if known.is_unanswered.load(Ordering::Relaxed) {
            return Ok(known.actor.clone());
        }
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Err(problem)) if problem.status != StatusCode::SERVICE_UNAVAILABLE => Err(problem),
            Ok(Ok(actor)) => Ok(actor),
            _ => {
                known.is_unanswered.store(true, Ordering::Relaxed);
                Ok(known.actor.clone())
            }
        }
    }

    /// Asks in a task of its own, whose answer is kept also when nobody waits for it, and is the same for all requests that
    /// come meanwhile: a change of one key would send each of them to the database.
    fn ask_beside(self: &Arc<Self>, hash: [u8; 32], credential: &str, known: &Arc<Known>) -> Answer {
        let mut asking = known.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = &*asking {
            return answer.clone();
        }
        let (callers, credential, of) = (self.clone(), credential.to_owned(), known.clone());
        let task = self.tasks.spawn(async move {
            let outcome = callers.ask(hash, &credential).await;
            *of.asking.lock().unwrap_or_else(PoisonError::into_inner) = None;
            outcome
        });
        let failed = |_| Err(Problem::unavailable("The caller could not be looked up."));
        let answer = task.map(move |joined| joined.unwrap_or_else(failed)).boxed().shared();
        *asking = Some(answer.clone());
        answer
    }

    async fn ask(&self, hash: [u8; 32], credential: &str) -> Result<Arc<Actor>, Problem> {
        // Boxed: it is large, and every request would be moved about with room for it.
        match self.auth.standing(credential).boxed().await {
            Ok((actor, standing)) => {
                let actor = Arc::new(actor);
                let known = Known {
                    actor: actor.clone(),
                    standing,
                    asked_at: Instant::now(),
                    asking: Mutex::default(),
                    is_unanswered: AtomicBool::new(false),
                };
                self.known.insert(hash, Arc::new(known));
                Ok(actor)
            }
            Err(problem) => {
                if problem.status == StatusCode::UNAUTHORIZED {
                    self.known.invalidate(&hash);
                }
                Err(problem)
            }
        }
    }
}
