//! A request's body that came whole does not wake the connection it came over.
//!
//! hyper wakes a connection whenever something of a body was taken, so that it reads on. Most requests of the gateway came
//! whole with their head: then there is nothing to read on, and the connection, its request and all it waits for would be
//! asked once more for nothing: three times for a chat, where two are enough.

use http_body::{Body, Frame, SizeHint};
use std::{
    cell::Cell,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

#[derive(Default)]
enum Hush {
    #[default]
    Off,
    On,
    /// On, and this connection was to be woken.
    Asked(Arc<Hushable>),
}

thread_local! {
    /// For this thread alone: what another one has to say is always heard.
    static HUSH: Cell<Hush> = const { Cell::new(Hush::Off) };
}

/// Does `what` with connections hushed. Gives the one that was to be woken meanwhile.
fn hushed<R>(what: impl FnOnce() -> R) -> (R, Option<Arc<Hushable>>) {
    /// Also after a panic: this thread has other connections.
    struct Ends;
    impl Drop for Ends {
        fn drop(&mut self) {
            HUSH.set(Hush::Off);
        }
    }
    let ends = Ends;
    HUSH.set(Hush::On);
    let done = what();
    let asked = match HUSH.take() {
        Hush::Asked(connection) => Some(connection),
        Hush::Off | Hush::On => None,
    };
    drop(ends);
    (done, asked)
}

/// Wakes the task of a connection, unless it is hushed.
struct Hushable(Waker);

impl Wake for Hushable {
    fn wake(self: Arc<Self>) {
        // At the end of a thread nothing is hushed.
        match HUSH.try_with(Cell::take).unwrap_or_default() {
            Hush::Off => self.0.wake_by_ref(),
            Hush::On => HUSH.set(Hush::Asked(self)),
            Hush::Asked(other) => {
                other.0.wake_by_ref();
                HUSH.set(Hush::Asked(self));
            }
        }
    }
}

/// The waker of the task this is awaited in, as one that a [`Hushed`] body can hush.
pub(super) async fn hushable() -> Waker {
    std::future::poll_fn(|cx| Poll::Ready(Waker::from(Arc::new(Hushable(cx.waker().clone()))))).await
}

/// A future that is asked with this waker, in place of that of the task it is awaited in.
pub(super) fn asked_with<F: Future + Unpin>(future: &mut F, waker: &Waker) -> impl Future<Output = F::Output> {
    std::future::poll_fn(move |_| Pin::new(&mut *future).poll(&mut Context::from_waker(waker)))
}

/// A body of HTTP/1 that is read in the task of its connection, which is asked by a [`hushable`] waker; or any other, which
/// is left as it is: in HTTP/2 the connection has to tell the client that there is room again.
pub(super) struct Hushed<B> {
    body: B,
    is_hushed: bool,
}

impl<B> Hushed<B> {
    pub(super) fn new(body: B, is_hushed: bool) -> Self {
        Self { body, is_hushed }
    }
}

impl<B: Body + Unpin> Body for Hushed<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        if !self.is_hushed {
            return Pin::new(&mut self.body).poll_frame(cx);
        }
        let (frame, asked) = hushed(|| Pin::new(&mut self.body).poll_frame(cx));
        if let Some(connection) = asked.filter(|_| !self.body.is_end_stream()) {
            connection.wake();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Wakes its connection with each piece, as hyper's do.
    struct Pieces {
        left: usize,
        connection: Waker,
    }

    impl Body for Pieces {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            self.left -= 1;
            self.connection.wake_by_ref();
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"piece")))))
        }

        fn is_end_stream(&self) -> bool {
            self.left == 0
        }
    }

    #[test]
    fn the_last_piece_of_a_body_wakes_nobody() {
        for (is_hushed, wakes) in [(true, [1, 1]), (false, [1, 2])] {
            let task = Arc::new(Task::default());
            let waker = Waker::from(task.clone());
            let connection = Waker::from(Arc::new(Hushable(waker.clone())));
            let mut body = Hushed::new(Pieces { left: 2, connection: connection.clone() }, is_hushed);

            let woken = [0; 2].map(|_| {
                assert!(Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())).is_ready());
                task.0.load(Ordering::Relaxed)
            });

            assert_eq!(woken, wakes, "hushed: {is_hushed}");
            connection.wake_by_ref();
            assert_eq!(task.0.load(Ordering::Relaxed), wakes[1] + 1, "what follows is heard");
        }
    }

    #[test]
    fn another_thread_is_always_heard() {
        let task = Arc::new(Task::default());
        let connection = Waker::from(Arc::new(Hushable(Waker::from(task.clone()))));

        let (heard, asked) = hushed(|| std::thread::spawn(move || connection.wake()).join());

        assert!(heard.is_ok() && asked.is_none());
        assert_eq!(task.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_panic_leaves_nobody_hushed() {
        let task = Arc::new(Task::default());
        let connection = Waker::from(Arc::new(Hushable(Waker::from(task.clone()))));

        let panicked = std::panic::catch_unwind(|| hushed(|| panic!("as a body may")));

        assert!(panicked.is_err());
        connection.wake();
        assert_eq!(task.0.load(Ordering::Relaxed), 1);
    }
}
