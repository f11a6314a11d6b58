//! Callers by their keys, remembered so that no database stands in the path of a request, nor its outage.

use crate::auth::{Actor, Auth};
use crate::base::Problem;
use http::StatusCode;
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio_util::task::TaskTracker;

/// How long a caller is believed without a question.
const FRESH: Duration = Duration::from_secs(1);
/// How long a caller is believed while the question is asked: a key that was revoked ends within this.
const ASKING: Duration = Duration::from_secs(4);
/// How long a question may take before what is remembered counts, as it does when the database is away.
const PATIENCE: Duration = Duration::from_millis(500);
/// What nobody used for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(12 * 60 * 60);

pub(super) struct Callers {
    auth: Auth,
    known: Cache<[u8; 32], Arc<Known>>,
    tasks: TaskTracker,
}

struct Known {
    actor: Arc<Actor>,
    asked_at: Instant,
    is_asking: AtomicBool,
}

impl Callers {
    pub(super) fn new(auth: Auth, tasks: TaskTracker) -> Self {
        Self { auth, known: Cache::builder().max_capacity(100_000).time_to_idle(FORGOTTEN).build(), tasks }
    }

    /// The actor behind a credential.
    ///
    /// # Errors
    /// 401 when it does not hold; 503 when that cannot be found out and it was never seen here.
    pub(super) async fn identify(self: &Arc<Self>, credential: &str) -> Result<Arc<Actor>, Problem> {
        let hash: [u8; 32] = Sha256::digest(credential.as_bytes()).into();
        let Some(known) = self.known.get(&hash) else {
            return self.ask(hash, credential).await;
        };
        let age = known.asked_at.elapsed();
        if age < FRESH {
            return Ok(known.actor.clone());
        }
        if age < ASKING {
            if !known.is_asking.swap(true, Ordering::Relaxed) {
                let (callers, credential, asked) = (self.clone(), credential.to_owned(), known.clone());
                self.tasks.spawn(async move {
                    // What came of it stands in `known`, or will be asked again.
                    let outcome = callers.ask(hash, &credential).await;
                    asked.is_asking.store(false, Ordering::Relaxed);
                    drop(outcome);
                });
            }
            return Ok(known.actor.clone());
        }
        match tokio::time::timeout(PATIENCE, self.ask(hash, credential)).await {
            Ok(Err(problem)) if problem.status == StatusCode::SERVICE_UNAVAILABLE => Ok(known.actor.clone()),
            Ok(outcome) => outcome,
            Err(_) => Ok(known.actor.clone()),
        }
    }

    async fn ask(&self, hash: [u8; 32], credential: &str) -> Result<Arc<Actor>, Problem> {
        match self.auth.identify(credential).await {
            Ok(actor) => {
                let actor = Arc::new(actor);
                let known = Known { actor: actor.clone(), asked_at: Instant::now(), is_asking: AtomicBool::new(false) };
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
