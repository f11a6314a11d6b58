//! The threads on which models run: some for queries, and as many again for everything else, which give way to the rest of the
//! machine. So hardly a search, an import or traffic waits for the vectors that an import asks for.

use super::{State, Unavailable, Vector};
use crossbeam_channel::{Receiver, Sender};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::{oneshot, watch};

/// A loaded model: vectors for texts, in their order.
pub(super) type Model = dyn FnMut(&[String]) -> Result<Vec<Vector>, Unavailable> + Send;

type Open = dyn Fn() -> Result<Box<Model>, String> + Send + Sync;

/// The niceness of threads for bulk work (`setpriority(2)`): a tenth of a processor that others want too. With less, the jobs
/// of the queue would not be done before another replica takes them for abandoned.
const GIVES_WAY: i32 = 10;
/// How long after a further thread could not load the model it tries again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// A person or a request.
    Query,
    /// Nobody.
    Bulk,
}

pub(super) struct Pool {
    queries: Sender<Job>,
    bulk: Sender<Job>,
    threads: Vec<JoinHandle<()>>,
    is_closed: Arc<AtomicBool>,
    model: String,
    state: watch::Receiver<State>,
}

struct Job {
    texts: Vec<String>,
    reply: oneshot::Sender<Result<Vec<Vector>, Unavailable>>,
}

impl Pool {
    /// Starts `threads` threads for queries and as many for bulk work; the first loads a model at once, the others when it
    /// has succeeded.
    pub(super) fn start(
        model: String,
        threads: usize,
        open: impl Fn() -> Result<Box<Model>, String> + Send + Sync + 'static,
    ) -> Self {
        let (tell, state) = watch::channel(State::Loading);
        let (queries, queried) = crossbeam_channel::unbounded();
        let (bulk, bulked) = crossbeam_channel::unbounded();
        let is_closed = Arc::new(AtomicBool::new(false));
        let thread = Thread { open: Arc::new(open), tell: Arc::new(tell), is_closed: is_closed.clone() };
        let spawn = |(number, urgency): (usize, Urgency)| {
            let thread = thread.clone();
            let jobs = if urgency == Urgency::Query { queried.clone() } else { bulked.clone() };
            std::thread::Builder::new()
                .name(format!("embed-{number}"))
                .spawn(move || thread.work(number == 0, urgency, &jobs))
        };
        let kinds = [Urgency::Query, Urgency::Bulk].into_iter().flat_map(|urgency| vec![urgency; threads]);
        let mut started = Vec::with_capacity(2 * threads);
        for kind in kinds.enumerate() {
            match spawn(kind) {
                Ok(thread) => started.push(thread),
                Err(error) if started.is_empty() => {
                    return Self::absent(format!("no thread could be started: {error}"));
                }
                Err(error) => tracing::error!(%error, "A thread for embeddings could not be started"),
            }
        }
        Self { queries, bulk, threads: started, is_closed, model, state }
    }

    pub(super) fn absent(reason: String) -> Self {
        let (nobody, _) = crossbeam_channel::unbounded();
        let state = watch::channel(State::Absent { reason }).1;
        let (queries, bulk, is_closed) = (nobody.clone(), nobody, Arc::default());
        Self { queries, bulk, threads: Vec::new(), is_closed, model: "none".to_owned(), state }
    }

    pub(super) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    pub(super) async fn loaded(&self) -> State {
        let mut state = self.state.clone();
        // An error means the thread is gone; what it said last then stands.
        let ended = state.wait_for(|state| *state != State::Loading).await.map(|state| state.clone());
        ended.unwrap_or_else(|_| self.state())
    }

    pub(super) fn model(&self) -> &str {
        &self.model
    }

    /// Queues the texts; those of a caller that stops waiting are passed over.
    pub(super) async fn run(&self, texts: Vec<String>, urgency: Urgency) -> Result<Vec<Vector>, Unavailable> {
        match self.state() {
            State::Ready => {}
            State::Loading => return Err(Unavailable("the model is being loaded".to_owned())),
            State::Absent { reason } => return Err(Unavailable(reason)),
        }
        let (reply, answer) = oneshot::channel();
        let line = if urgency == Urgency::Query { &self.queries } else { &self.bulk };
        // Without a thread the job comes back and its `reply` ends, which is answered below.
        let _nobody_there = line.send(Job { texts, reply });
        answer.await.unwrap_or_else(|_| Err(Unavailable("the embedder stopped".to_owned())))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::Release);
        let nobody = crossbeam_channel::unbounded().0;
        (self.queries, self.bulk) = (nobody.clone(), nobody);
        // The runtime's library must not be in use while the process ends; one portion at most is waited for.
        for thread in self.threads.drain(..) {
            let _ended = thread.join();
        }
    }
}

/// What a thread knows.
#[derive(Clone)]
struct Thread {
    open: Arc<Open>,
    tell: Arc<watch::Sender<State>>,
    is_closed: Arc<AtomicBool>,
}

impl Thread {
    /// A thread's life: load, then serve until closed.
    fn work(&self, is_first: bool, urgency: Urgency, jobs: &Receiver<Job>) {
        if urgency == Urgency::Bulk {
            let given = rustix::process::setpriority_process(None, GIVES_WAY);
            given.unwrap_or_else(|error| tracing::warn!(%error, "Embeddings in bulk run with the usual priority"));
        }
        let model = if is_first { self.load_first() } else { self.load_further() };
        let Some(mut model) = model else { return };
        for job in jobs {
            if self.is_closed() {
                return;
            }
            if job.reply.is_closed() {
                continue;
            }
            let made = catch_unwind(AssertUnwindSafe(|| model(&job.texts)));
            let made = made.unwrap_or_else(|_| Err(Unavailable("the model failed on this text".to_owned())));
            let _nobody_waits = job.reply.send(made);
        }
    }

    /// Loads the model and tells how that went; none when it cannot be loaded.
    fn load_first(&self) -> Option<Box<Model>> {
        match self.load() {
            Ok(model) => {
                self.tell.send_replace(State::Ready);
                Some(model)
            }
            Err(reason) => {
                tracing::warn!(reason, "Search by meaning is off");
                self.tell.send_replace(State::Absent { reason });
                None
            }
        }
    }

    /// Loads the model once more when the first thread has it, however often that has to be tried; none when it has none, or
    /// everything is over.
    fn load_further(&self) -> Option<Box<Model>> {
        if !self.wait_for_the_first() {
            return None;
        }
        loop {
            match self.load() {
                Ok(model) => return Some(model),
                Err(reason) => tracing::warn!(reason, "A further thread for embeddings could not load the model"),
            }
            let since = Instant::now();
            while since.elapsed() < PATIENCE {
                if self.is_closed() {
                    return None;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    fn load(&self) -> Result<Box<Model>, String> {
        catch_unwind(AssertUnwindSafe(&*self.open)).unwrap_or_else(|_| Err("loading the model failed".to_owned()))
    }

    /// Whether the first thread has loaded the model; false when it could not or everything is over.
    fn wait_for_the_first(&self) -> bool {
        loop {
            match &*self.tell.borrow() {
                State::Ready => return true,
                State::Absent { .. } => return false,
                State::Loading => {}
            }
            if self.is_closed() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::sync::mpsc;

    /// A pool whose model tells what it begins, and goes on when it is let. What fails in it fails the test that waits for it:
    /// both ends of its channels live as long as the test, which is why it takes them for granted.
    fn held_up() -> (Arc<Pool>, mpsc::UnboundedReceiver<(String, i32)>, std::sync::mpsc::Sender<()>) {
        let (begun_tx, begun) = mpsc::unbounded_channel();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let pool = Pool::start("test".to_owned(), 1, move || {
            let (wait, begun) = (wait.clone(), begun_tx.clone());
            Ok(Box::new(move |texts: &[String]| {
                let niceness = rustix::process::getpriority_process(None).unwrap();
                begun.send((texts[0].clone(), niceness)).unwrap();
                if texts[0].starts_with("held") {
                    wait.lock().unwrap().recv().unwrap();
                }
                Ok(vec![Vector::from(vec![1.0]); texts.len()])
            }))
        });
        (Arc::new(pool), begun, go)
    }

    #[tokio::test]
    async fn a_query_waits_for_no_bulk_work() {
        let (pool, mut begun, go) = held_up();
        pool.loaded().await;
        let bulk = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(vec!["held bulk".to_owned()], Urgency::Bulk).await }
        });
        assert_eq!(begun.recv().await.unwrap().0, "held bulk");

        let query = pool.run(vec!["query".to_owned()], Urgency::Query);
        tokio::time::timeout(Duration::from_secs(10), query).await.unwrap().unwrap();

        go.send(()).unwrap();
        bulk.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn bulk_work_gives_way_and_queries_do_not() {
        let (pool, mut begun, _go) = held_up();
        pool.loaded().await;
        let usual = rustix::process::getpriority_process(None).unwrap();

        pool.run(vec!["query".to_owned()], Urgency::Query).await.unwrap();
        assert_eq!(begun.recv().await.unwrap().1, usual);
        pool.run(vec!["bulk".to_owned()], Urgency::Bulk).await.unwrap();
        assert_eq!(begun.recv().await.unwrap().1, GIVES_WAY.max(usual));
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_passed_over() {
        let (pool, mut begun, go) = held_up();
        pool.loaded().await;
        let ask = |text: &str| {
            let (pool, texts) = (pool.clone(), vec![text.to_owned()]);
            tokio::spawn(async move { pool.run(texts, Urgency::Bulk).await })
        };
        let first = ask("held 1");
        assert_eq!(begun.recv().await.unwrap().0, "held 1");
        let second = ask("2");
        while pool.bulk.is_empty() {
            tokio::task::yield_now().await;
        }
        second.abort();
        assert!(second.await.unwrap_err().is_cancelled());
        let third = ask("3");
        go.send(()).unwrap();

        assert_eq!(begun.recv().await.unwrap().0, "3");
        first.await.unwrap().unwrap();
        third.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_panicking_model_fails_one_call_only() {
        let pool = Pool::start("test".to_owned(), 1, || {
            Ok(Box::new(|texts: &[String]| {
                assert!(texts[0] != "bad", "on purpose");
                Ok(vec![Vector::from(vec![1.0])])
            }))
        });
        pool.loaded().await;

        assert!(pool.run(vec!["bad".to_owned()], Urgency::Query).await.is_err());
        assert!(pool.run(vec!["good".to_owned()], Urgency::Query).await.is_ok());
    }
}
