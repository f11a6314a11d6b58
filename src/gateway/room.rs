//! `Room`: how much memory long bodies of requests take, all together. More than there is would end the process for everybody.

use crate::base::Problem;
use crate::base::config::ByteSize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room that is given back when this is dropped.
pub type Taken = OwnedSemaphorePermit;

/// Memory for long bodies, in KiB.
pub struct Room(Arc<Semaphore>);

impl Room {
    #[must_use]
    pub fn new(most: ByteSize) -> Self {
        Self(Arc::new(Semaphore::new(usize::try_from(most.0 / 1024).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS))))
    }

    /// Takes room for so many bytes, without waiting.
    ///
    /// # Errors
    /// 503 when there is none.
    pub fn take(&self, bytes: u64) -> Result<Taken, Problem> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        self.0.clone().try_acquire_many_owned(kib).map_err(|_| {
            metrics::counter!("wharfinger_gateway_bodies_refused_total").increment(1);
            Problem::unavailable("There is no memory for a body of this length now.")
                .with_kind("overloaded")
                .with_retry_after(Duration::from_secs(1))
                .with_help("Try again after the time in Retry-After.")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_until_something_goes() {
        let room = Room::new(ByteSize(100 * 1024));

        let first = room.take(60 * 1024).unwrap();
        let refused = room.take(41 * 1024).unwrap_err();

        assert_eq!((refused.status.as_u16(), refused.kind), (503, "overloaded"));
        drop(first);
        drop(room.take(100 * 1024).unwrap());
    }
}
