//! Work for later: what one failing event does to others, and what becomes of what never succeeds.

use crate::support::fresh_database;
use futures::FutureExt;
use sqlx::PgPool;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use time::macros::datetime;
use wharfinger::base::{AssetId, Clock};
use wharfinger::queue::{Event, Worker, dead, publish, run_again, waiting};

const KIND: &str = "asset-changed";

/// A queue whose worker notes what it did.
struct Story {
    db: PgPool,
    clock: Clock,
    done: Arc<Mutex<Vec<Event>>>,
}

impl Story {
    async fn start() -> Self {
        let db = PgPool::connect_with(fresh_database().await).await.unwrap();
        Self { db, clock: Clock::fixed(datetime!(2026-03-01 12:00 UTC)), done: Arc::default() }
    }

    /// Queues so many events.
    async fn publish(&self, count: usize) -> Vec<Event> {
        let events: Vec<Event> = (0..count).map(|_| Event::AssetChanged(AssetId::new())).collect();
        let mut conn = self.db.acquire().await.unwrap();
        for event in &events {
            publish(&mut conn, *event, self.clock.now()).await.unwrap();
        }
        events
    }

    /// A worker that asks `refuse` of each event before it counts as done.
    fn worker(&self, refuse: impl Fn(Event) -> anyhow::Result<()> + Send + Sync + 'static) -> Worker {
        let (done, refuse) = (self.done.clone(), Arc::new(refuse));
        let deliver = move |events: Vec<Event>| {
            let (done, refuse) = (done.clone(), refuse.clone());
            async move {
                events.iter().try_for_each(|event| refuse(*event))?;
                done.lock().unwrap().extend(events);
                Ok(())
            }
            .boxed()
        };
        Worker::new(self.db.clone(), self.clock.clone(), Arc::new(deliver))
    }

    fn done(&self) -> Vec<Event> {
        self.done.lock().unwrap().clone()
    }

    /// How many wait, and how many were laid aside.
    async fn left(&self) -> (i64, i64) {
        (waiting(&self.db, KIND).await.unwrap(), dead(&self.db).await.unwrap())
    }

    /// As often as a job is tried, with the pauses in between.
    async fn run_to_the_end(&self, worker: &Worker) {
        for _ in 0..8 {
            worker.run_due().await.unwrap();
            self.clock.advance(Duration::from_secs(3_600));
        }
    }
}

#[tokio::test]
async fn an_event_that_cannot_succeed_takes_no_other_with_it() {
    let story = Story::start().await;
    let events = story.publish(5).await;
    let bad = events[2];
    let worker = story.worker(move |event| if event == bad { anyhow::bail!("never") } else { Ok(()) });

    worker.run_due().await.unwrap();

    let mut done = story.done();
    done.sort_unstable_by_key(|Event::AssetChanged(id)| *id);
    let mut others: Vec<Event> = events.into_iter().filter(|event| *event != bad).collect();
    others.sort_unstable_by_key(|Event::AssetChanged(id)| *id);
    assert_eq!((done, story.left().await), (others, (1, 0)));
}

#[tokio::test]
async fn a_reaction_that_panics_is_tried_again_and_laid_aside_as_one_that_fails() {
    let story = Story::start().await;
    let events = story.publish(2).await;
    let bad = events[0];
    let worker = story.worker(move |event| if event == bad { panic!("the sky fell") } else { Ok(()) });

    story.run_to_the_end(&worker).await;

    assert_eq!((story.done(), story.left().await), (vec![events[1]], (0, 1)));
    let told: String = sqlx::query_scalar("select last_error from job").fetch_one(&story.db).await.unwrap();
    assert_eq!(told, "it panicked: the sky fell");
}

#[tokio::test]
async fn what_was_laid_aside_runs_again_when_that_is_asked_for() {
    let story = Story::start().await;
    let events = story.publish(1).await;
    story.run_to_the_end(&story.worker(|_| anyhow::bail!("not now"))).await;
    assert_eq!(story.left().await, (0, 1));

    assert_eq!(run_again(&story.db, story.clock.now()).await.unwrap(), 1);

    assert_eq!(story.left().await, (1, 0));
    story.worker(|_| Ok(())).run_due().await.unwrap();
    assert_eq!((story.done(), story.left().await), (events, (0, 0)));
}

#[tokio::test]
async fn work_of_an_unknown_kind_holds_nothing_up_though_equal_work_waits() {
    let story = Story::start().await;
    let known = story.publish(1).await;
    let now = story.clock.now();
    // One that a worker took and died with, and an equal one that came in since.
    for (run_at, claimed_at) in [(now, Some(now - Duration::from_secs(600))), (now + Duration::from_secs(60), None)] {
        let statement = "insert into job (kind, key, run_at, claimed_at, created_at) values ('newer', 'a', $1, $2, $1)";
        sqlx::query(statement).bind(run_at).bind(claimed_at).execute(&story.db).await.unwrap();
    }

    assert_eq!(story.worker(|_| Ok(())).run_due().await.unwrap(), 1);

    assert_eq!((story.done(), waiting(&story.db, "newer").await.unwrap()), (known, 1));
}
