//! `Handed`: an answer that a task passes on through a channel, and gives up when nobody takes its pieces.
//!
//! Over HTTP/1.1 a client that does not read lets writing stand still, and its connection is closed. Over HTTP/2 it need not
//! open its window (RFC 9113, 5.2): the body is not asked for any more then, its own times do not run, and what it holds at the
//! backend and in limits would be held for as long as the client likes.

use super::reply::ReplyBody;
use super::stream::Metered;
use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// The client's end.
pub struct Handed {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    hint: SizeHint,
}

/// The answer, passed on by a task where it is a stream. `patience` is how long a piece may wait for who takes it.
pub(super) fn handed(response: Response<ReplyBody>, tasks: &TaskTracker, patience: Duration) -> Response<ReplyBody> {
    response.map(|body| match body {
        ReplyBody::Streamed(metered) if !metered.is_end_stream() => {
            let (sender, pieces) = mpsc::channel(1);
            let hint = metered.size_hint();
            tasks.spawn(pass_on(metered, sender, patience));
            ReplyBody::Handed(Handed { pieces, hint })
        }
        other => other,
    })
}

async fn pass_on(mut body: Metered, sender: mpsc::Sender<io::Result<Bytes>>, patience: Duration) {
    loop {
        let next = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
        let frame = tokio::select! {
            frame = next => frame,
            // Who left is not waited for until the next piece comes.
            () = sender.closed() => return,
        };
        let piece = match frame {
            None => return,
            Some(Ok(frame)) => Ok(frame.into_data().unwrap_or_default()),
            Some(Err(error)) => Err(error),
        };
        let is_last = piece.is_err();
        if !matches!(tokio::time::timeout(patience, sender.send(piece)).await, Ok(Ok(()))) || is_last {
            return;
        }
    }
}

impl Body for Handed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.pieces.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}
