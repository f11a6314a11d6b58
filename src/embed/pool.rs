//! The threads on which models run, and the two lines before them: queries, and everything else.

use super::{State, Unavailable, Vector};
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};
use tokio::sync::{oneshot, watch};

/// A loaded model: vectors for texts, in their order.
pub(super) type Model = dyn FnMut(&[String]) -> Result<Vec<Vector>, Unavailable> + Send;

/// Queries go before bulk work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    Query,
    Bulk,
}

pub(super) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    model: String,
    state: watch::Receiver<State>,
}

#[derive(Default)]
struct Shared {
    lines: Mutex<Lines>,
    work_came: Condvar,
}

#[derive(Default)]
struct Lines {
    queries: VecDeque<Job>,
    bulk: VecDeque<Job>,
    is_closed: bool,
}

struct Job {
    texts: Vec<String>,
    reply: oneshot::Sender<Result<Vec<Vector>, Unavailable>>,
}

impl Pool {
    /// Starts `threads` threads; the first loads a model at once, the others when it has succeeded.
    pub(super) fn start(
        model: String,
        threads: usize,
        open: impl Fn() -> Result<Box<Model>, String> + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let (tell, state) = watch::channel(State::Loading);
        let (open, tell) = (Arc::new(open), Arc::new(tell));
        let spawn = |number: usize| {
            let (shared, open, tell) = (shared.clone(), open.clone(), tell.clone());
            std::thread::Builder::new()
                .name(format!("embed-{number}"))
                .spawn(move || shared.work(number == 0, &*open, &tell))
        };
        let threads: Vec<_> = (0..threads).map_while(|number| spawn(number).ok()).collect();
        if threads.is_empty() {
            return Self::absent("no thread could be started".to_owned());
        }
        Self { shared, threads, model, state }
    }

    pub(super) fn absent(reason: String) -> Self {
        let shared = Arc::new(Shared::default());
        shared.lock().is_closed = true;
        let state = watch::channel(State::Absent { reason }).1;
        Self { shared, threads: Vec::new(), model: "none".to_owned(), state }
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

    /// Queues the texts; a caller that stops waiting takes them out of the line again.
    pub(super) async fn run(&self, texts: Vec<String>, urgency: Urgency) -> Result<Vec<Vector>, Unavailable> {
        match self.state() {
            State::Ready => {}
            State::Loading => return Err(Unavailable("the model is being loaded".to_owned())),
            State::Absent { reason } => return Err(Unavailable(reason)),
        }
        let (reply, answer) = oneshot::channel();
        {
            let mut lines = self.shared.lock();
            match urgency {
                Urgency::Query => lines.queries.push_back(Job { texts, reply }),
                Urgency::Bulk => lines.bulk.push_back(Job { texts, reply }),
            }
        }
        self.shared.work_came.notify_one();
        answer.await.unwrap_or_else(|_| Err(Unavailable("the embedder stopped".to_owned())))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        {
            let mut lines = self.shared.lock();
            lines.is_closed = true;
            lines.queries.clear();
            lines.bulk.clear();
        }
        self.shared.work_came.notify_all();
        // The runtime's library must not be in use while the process ends; one portion at most is waited for.
        for thread in self.threads.drain(..) {
            let _ended = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread's life: load, then serve until closed.
    fn work(&self, is_first: bool, open: &dyn Fn() -> Result<Box<Model>, String>, tell: &watch::Sender<State>) {
        if !is_first && !self.wait_for_the_first(tell) {
            return;
        }
        let opened =
            catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(|_| Err("loading the model failed".to_owned()));
        let mut model = match opened {
            Ok(model) => model,
            Err(reason) if is_first => {
                tracing::warn!(reason, "Search by meaning is off");
                tell.send_replace(State::Absent { reason });
                return;
            }
            Err(reason) => {
                tracing::warn!(reason, "A further embedding thread could not load the model");
                return;
            }
        };
        if is_first {
            tell.send_replace(State::Ready);
        }
        while let Some(job) = self.next() {
            if job.reply.is_closed() {
                continue;
            }
            let made = catch_unwind(AssertUnwindSafe(|| model(&job.texts)));
            let made = made.unwrap_or_else(|_| Err(Unavailable("the model failed on this text".to_owned())));
            let _nobody_waits = job.reply.send(made);
        }
    }

    /// Whether the first thread has loaded the model; false when it could not or everything is over.
    fn wait_for_the_first(&self, tell: &watch::Sender<State>) -> bool {
        loop {
            match &*tell.borrow() {
                State::Ready => return true,
                State::Absent { .. } => return false,
                State::Loading => {}
            }
            if self.lock().is_closed {
                return false;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    fn next(&self) -> Option<Job> {
        let mut lines = self.lock();
        loop {
            if lines.is_closed {
                return None;
            }
            if let Some(job) = lines.queries.pop_front() {
                return Some(job);
            }
            if let Some(job) = lines.bulk.pop_front() {
                return Some(job);
            }
            lines = self.work_came.wait(lines).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_query_overtakes_bulk_work() {
        let (entered_tx, mut entered) = tokio::sync::mpsc::unbounded_channel();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = Mutex::new(Some(wait));
        let pool = Arc::new(Pool::start("test".to_owned(), 1, move || {
            let (wait, entered) = (wait.lock().unwrap().take().unwrap(), entered_tx.clone());
            Ok(Box::new(move |texts: &[String]| {
                entered.send(texts[0].clone()).unwrap();
                wait.recv().unwrap();
                Ok(vec![Vector::from(vec![1.0]); texts.len()])
            }))
        }));
        pool.loaded().await;
        let ask = |text: &str, urgency| {
            let (pool, texts) = (pool.clone(), vec![text.to_owned()]);
            tokio::spawn(async move { pool.run(texts, urgency).await })
        };

        let first = ask("bulk 1", Urgency::Bulk);
        assert_eq!(entered.recv().await.unwrap(), "bulk 1");
        let second = ask("bulk 2", Urgency::Bulk);
        while pool.shared.lock().bulk.is_empty() {
            tokio::task::yield_now().await;
        }
        let query = ask("query", Urgency::Query);
        while pool.shared.lock().queries.is_empty() {
            tokio::task::yield_now().await;
        }
        (0..3).for_each(|_| go.send(()).unwrap());

        assert_eq!(entered.recv().await.unwrap(), "query");
        assert_eq!(entered.recv().await.unwrap(), "bulk 2");
        for task in [first, second, query] {
            task.await.unwrap().unwrap();
        }
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
