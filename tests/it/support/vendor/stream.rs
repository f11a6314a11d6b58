//! Streamed answers: a word at a time, with the faults that end one before its end.

use super::Seen;
use super::events::events;
use super::mood::Mood;
use super::shape::{Shape, bound};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;
use http::{StatusCode, header};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Counts a reader who leaves.
struct Leaving(Arc<Seen>, bool);

impl Drop for Leaving {
    fn drop(&mut self) {
        if !self.1 {
            self.0.given_up.fetch_add(1, Ordering::SeqCst);
        }
    }
}

pub(super) fn stream(seen: Arc<Seen>, place: usize, shape: Shape, asked: &Value, mood: &Mood) -> Response {
    let (mut begin, repeats, end) = events(shape, asked, mood);
    // The last of the beginning is the piece of text; there is none beside a tool's call.
    let word = Bytes::from(begin.pop().unwrap());
    let words = if repeats == 0 { 0 } else { bound(asked) };
    let (fault, number, begin) = (mood.fault.clone(), mood.number, begin.concat());
    let pieces = async_stream::stream! {
        let mut leaving = Leaving(seen.clone(), false);
        yield Ok::<_, std::io::Error>(Bytes::from(begin));
        let mut sent = 0;
        loop {
            if sent == words && fault != "endless" {
                break;
            }
            match fault.as_str() {
                "cut" if sent == number => {
                    leaving.1 = true;
                    // What was yielded gets out first: a connection that ends drops what it has not sent. A cut before
                    // any word sends nothing at all.
                    if number > 0 {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    yield Err(std::io::Error::other("cut"));
                    return;
                }
                "fin" if sent == number => {
                    leaving.1 = true;
                    return;
                }
                "stall" if sent == number => std::future::pending::<()>().await,
                "pace" => tokio::time::sleep(Duration::from_millis(number)).await,
                _ => {}
            }
            sent += 1;
            seen.produce(place, 1, false);
            yield Ok(word.clone());
        }
        seen.produce(place, 0, true);
        for event in end {
            yield Ok(event.into());
        }
        leaving.1 = true;
    };
    Response::builder()
        .status(StatusCode::OK)
        .header(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")
        .header("x-request-id", "vendors-own-id")
        .body(Body::from_stream(pieces.boxed()))
        .unwrap()
}
