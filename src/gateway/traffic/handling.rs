//! `Handling`: what is done with the pieces of an answer on their way: watched, freed of what nobody asked for, told anew.

use super::watch::{TooLong, Watch};
use crate::base::Problem;
use crate::gateway::exchange::Exchange;
use crate::wire::call::Dialect;
use crate::wire::sse;
use crate::wire::translate::StreamTranslator;
use crate::wire::usage::{may_report, reported};
use bytes::{Bytes, BytesMut};
use memchr::memmem;
use serde_json::json;

/// What is done with the pieces.
pub(super) enum Handling {
    /// Nothing: they are no events.
    Pass,
    /// Events, looked at as they pass.
    Events(Watch, Partial),
    /// As `Events`, and the event that holds the usage we asked for is kept from a client that did not ask.
    WithoutUsage(Watch, Partial),
    /// Events of another dialect, told anew.
    Translated(Watch, Partial, Box<dyn StreamTranslator>),
}

/// The begin of an event whose end has not come.
///
/// An event is of use only whole, so holding back its begin delays nothing. Passed on, it would spoil what follows when the
/// vendor breaks off within it: clients read half an event and the one that tells of the failure as one, or give up at the
/// half.
#[derive(Default)]
pub(super) struct Partial(pub(super) BytesMut, sse::Looked);

impl Partial {
    /// Takes the first event out that is whole. What was looked at for its end is not looked at again: an event may come in
    /// many small pieces.
    fn event(&mut self) -> Option<BytesMut> {
        let end = sse::event_end_after(&self.0, &mut self.1)?;
        Some(self.0.split_to(end))
    }
}

impl Handling {
    pub(super) fn watch(&mut self) -> Option<&mut Watch> {
        match self {
            Self::Pass => None,
            Self::Events(watch, _) | Self::WithoutUsage(watch, _) | Self::Translated(watch, ..) => Some(watch),
        }
    }
}

pub(super) fn handle(handling: &mut Handling, exchange: &mut Exchange, piece: Bytes) -> Result<Bytes, TooLong> {
    if let Some(watch) = handling.watch()
        && watch.see(&piece, exchange.vendor_model())?
        && exchange.is_charged()
    {
        exchange.reply.counted_output = watch.so_far();
        crate::gateway::policy::grow(exchange);
    }
    Ok(match handling {
        Handling::Pass => piece,
        Handling::Events(_, partial) => whole_events(partial, piece),
        // Whole events without usage, which is what nearly all pieces are, go on untouched.
        Handling::WithoutUsage(_, partial) if partial.0.is_empty() && ends_an_event(&piece) && !may_report(&piece) => {
            piece
        }
        Handling::WithoutUsage(_, partial) => without_usage(partial, &piece),
        Handling::Translated(_, partial, translator) => {
            partial.0.extend_from_slice(&piece);
            let mut out = Vec::new();
            while let Some(event) = partial.event() {
                if let Some(data) = sse::data(&event) {
                    translator.event(&data, &mut out);
                }
            }
            out.into()
        }
    })
}

/// The events that are whole with this piece.
fn whole_events(partial: &mut Partial, mut piece: Bytes) -> Bytes {
    // Vendors send event by event, so this is how nearly all pieces go on.
    if partial.0.is_empty() && ends_an_event(&piece) {
        return piece;
    }
    if partial.0.is_empty() {
        let whole = piece.split_to(last_end(&piece, 0));
        partial.0.extend_from_slice(&piece);
        return whole;
    }
    // What was looked at is not looked at again, but for an end that was cut.
    let from = partial.0.len().saturating_sub(2);
    partial.0.extend_from_slice(&piece);
    let end = last_end(&partial.0, from);
    partial.0.split_to(end).freeze()
}

/// Where the last event ends that ends after `from`; 0 where none does.
fn last_end(bytes: &[u8], from: usize) -> usize {
    let after = |ending: &[u8]| memmem::rfind(&bytes[from..], ending).map_or(0, |at| from + at + ending.len());
    after(b"\n\n").max(after(b"\n\r\n")).max(after(b"\r\r"))
}

fn without_usage(partial: &mut Partial, piece: &[u8]) -> Bytes {
    partial.0.extend_from_slice(piece);
    let mut out = BytesMut::new();
    while let Some(event) = partial.event() {
        if !is_usage_alone(&event) {
            out.extend_from_slice(&event);
        }
    }
    out.freeze()
}

/// OpenAI's chunk with the usage has no choices; one that has them says more than usage.
fn is_usage_alone(event: &[u8]) -> bool {
    sse::data(event).is_some_and(|data| {
        let has_no_choices = memmem::find(&data, b"\"choices\":").is_some_and(|at| {
            let rest = data[at + b"\"choices\":".len()..].trim_ascii_start();
            rest.strip_prefix(b"[").is_some_and(|rest| rest.trim_ascii_start().first() == Some(&b']'))
        });
        has_no_choices && reported(&data).is_some()
    })
}

fn ends_an_event(piece: &[u8]) -> bool {
    piece.ends_with(b"\n\n") || piece.ends_with(b"\r\n\r\n") || piece.ends_with(b"\r\r")
}

/// The event that tells why a stream ends here, in the client's dialect.
pub(super) fn error_event(dialect: Dialect, problem: &Problem, id: &str) -> Bytes {
    let mut out = Vec::new();
    let (name, body) = match dialect {
        Dialect::Messages | Dialect::CountTokens => (Some("error"), crate::wire::anthropic::error(problem, id)),
        Dialect::Responses => {
            let code = problem.kind.replace('-', "_");
            (Some("error"), json!({"type": "error", "code": code, "message": problem.detail, "param": null}))
        }
        Dialect::Chat | Dialect::Embeddings => (None, crate::wire::openai::error(problem, id)),
    };
    sse::write(&mut out, name, body.to_string().as_bytes());
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_we_asked_for_is_taken_out_wherever_the_pieces_are_cut() {
        let before = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\n";
        let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\n";
        let after = "data: [DONE]\n\n";
        let whole = format!("{before}{usage}{after}");

        for size in 1..whole.len() {
            let mut partial = Partial::default();
            let mut out = Vec::new();
            for piece in whole.as_bytes().chunks(size) {
                out.extend_from_slice(&without_usage(&mut partial, piece));
            }
            assert_eq!(String::from_utf8(out).unwrap(), format!("{before}{after}"), "{size}");
            assert!(partial.0.is_empty());
        }
    }

    #[test]
    fn usage_that_comes_with_something_else_stays() {
        let with_choice = b"data: {\"choices\":[{\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1}}\n\n";
        assert!(!is_usage_alone(with_choice));
        assert!(!is_usage_alone(b"data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n"));
        assert!(is_usage_alone(b"data: {\"choices\": [ ],\"usage\": {\"prompt_tokens\":1}}\r\n\r\n"));
    }

    #[test]
    fn only_whole_events_go_on_wherever_the_pieces_are_cut() {
        for ending in ["\n\n", "\r\n\r\n", "\r\r"] {
            let events: Vec<String> = ["event: a", ": ping", "data: {\"b\":1}", "data: [DONE]"]
                .iter()
                .map(|line| format!("{line}{ending}"))
                .collect();
            let whole = events.concat();

            for cut in 0..=whole.len() {
                for size in 1..=whole.len() {
                    let mut partial = Partial::default();
                    let mut out = Vec::new();
                    for piece in whole.as_bytes()[..cut].chunks(size) {
                        out.extend_from_slice(&whole_events(&mut partial, Bytes::copy_from_slice(piece)));
                    }
                    let complete = (0..=events.len()).rev().map(|count| events[..count].concat());
                    let expected = complete.filter(|events| events.len() <= cut).max_by_key(String::len).unwrap();
                    assert_eq!(String::from_utf8(out).unwrap(), expected, "{cut} of {whole:?} by {size}");
                    assert_eq!(partial.0, whole.as_bytes()[expected.len()..cut]);
                }
            }
        }
    }
}
