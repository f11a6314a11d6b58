//! `Lanes`: threads with a runtime each, on which connections live.
//!
//! On a runtime of several threads each event of a connection may wake another thread, which costs more than answering
//! does. So a connection stays on one lane, with what is answered at once and with the gateway's traffic; whatever may
//! compute for long (a page, a search, an import) runs on the common runtime, where it keeps no connection waiting, and so do
//! the connections of those who ask how the program is, whom the others on a lane would keep waiting.

use crate::base::lane;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{io, thread};
use tokio::runtime::{Builder, Handle};
use tokio::time::MissedTickBehavior;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// How often a lane looks at its clock, needed or not. A timer that is set while a lane expects to sleep for longer wakes the
/// lane's own poll by a system call, and each request sets timers of seconds: with a nearer one always set, none does.
const BEAT: Duration = Duration::from_millis(50);

/// The lanes of a process. They end when this is dropped, with all that still runs on them.
pub struct Lanes {
    lanes: Vec<Handle>,
    common: Handle,
    next: AtomicUsize,
    end: CancellationToken,
}

impl Lanes {
    /// As many lanes as the machine has processors; to be called on the common runtime.
    ///
    /// # Errors
    /// When the system has no more threads.
    pub fn start() -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, usize::from);
        let end = CancellationToken::new();
        let mut lanes = Vec::with_capacity(count);
        for number in 1..=count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            lanes.push(runtime.handle().clone());
            let end = end.clone();
            thread::Builder::new().name(format!("lane-{number}")).spawn(move || {
                lane::enter(number);
                runtime.block_on(async {
                    tokio::select! {
                        () = end.cancelled() => {}
                        () = beat() => {}
                    }
                });
            })?;
        }
        Ok(Self { lanes, common: Handle::current(), next: AtomicUsize::new(0), end })
    }

    /// No lanes: everything runs on the current runtime.
    #[must_use]
    pub fn none() -> Self {
        let here = Handle::current();
        let end = CancellationToken::new();
        Self { lanes: vec![here.clone()], common: here, next: AtomicUsize::new(0), end }
    }

    /// The lane of the next connection.
    pub(super) fn next(&self) -> &Handle {
        &self.lanes[self.next.fetch_add(1, Ordering::Relaxed) % self.lanes.len()]
    }

    /// The common runtime.
    pub(super) fn common(&self) -> &Handle {
        &self.common
    }

    /// Runs a future on the common runtime; it is given up with what this gives.
    pub(super) fn beside<F>(&self, future: F) -> AbortOnDropHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        AbortOnDropHandle::new(self.common.spawn(future))
    }
}

/// Never returns.
async fn beat() {
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.end.cancel();
    }
}
