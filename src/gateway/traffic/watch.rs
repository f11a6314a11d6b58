//! `Watch`: a side view of an answer: what the vendor reports, what was said, and whether it came to a good end.
//!
//! Pieces are only laid aside as they pass; they are looked at together, some thousand bytes at a time, because looking at
//! each would cost more than passing it on.

use super::fault::{self, Fault};
use super::finish::add_finish_reasons;
use crate::gateway::tokens;
use crate::wire::call::{Dialect, each_text};
use crate::wire::sse;
use crate::wire::usage::{Usage, reported};
use memchr::memmem;

/// How much is laid aside before it is looked at.
const LOOK_AT: usize = 4 * 1024;
/// The longest event of a stream.
pub(super) const LONGEST_EVENT: usize = 4 * 1024 * 1024;
/// Text that waits to be counted: counting in small parts would count a word cut in two as more tokens.
const COUNT_AT: usize = 8 * 1024;

/// An event longer than [`LONGEST_EVENT`].
#[derive(Debug, thiserror::Error)]
#[error("an event of the stream is longer than {LONGEST_EVENT} bytes")]
pub(super) struct TooLong;

pub(super) struct Watch {
    dialect: Dialect,
    aside: Vec<u8>,
    /// So much of it holds no end of an event.
    open: usize,
    text: String,
    counted: u64,
    reported: Option<Usage>,
    saw_end: bool,
    fault: Option<Fault>,
    finish_reasons: Vec<&'static str>,
}

impl Watch {
    /// `dialect` is the vendor's.
    pub(super) fn new(dialect: Dialect) -> Self {
        let (aside, text, finish_reasons) = (Vec::new(), String::new(), Vec::new());
        Self { dialect, aside, open: 0, text, counted: 0, reported: None, saw_end: false, fault: None, finish_reasons }
    }

    /// Lays a piece aside; tells whether what was laid aside has now been looked at.
    pub(super) fn see(&mut self, piece: &[u8], model: &str) -> Result<bool, TooLong> {
        self.aside.extend_from_slice(piece);
        if self.aside.len() < LOOK_AT {
            return Ok(false);
        }
        // Whole events only. What held no end is not looked through again, but for one that was cut.
        let from = self.open.saturating_sub(3);
        let after = |ending: &[u8]| memmem::rfind(&self.aside[from..], ending).map(|at| from + at + ending.len());
        let whole = after(b"\n\n").or_else(|| after(b"\r\n\r\n")).or_else(|| after(b"\r\r"));
        self.open = self.aside.len() - whole.unwrap_or(0);
        match whole {
            Some(end) => {
                let mut events = std::mem::take(&mut self.aside);
                self.look(&events[..end], model);
                events.drain(..end);
                self.aside = events;
                Ok(true)
            }
            None if self.aside.len() > LONGEST_EVENT => Err(TooLong),
            None => Ok(false),
        }
    }

    /// What is left is looked at too.
    pub(super) fn end(&mut self, model: &str) {
        let rest = std::mem::take(&mut self.aside);
        self.look(&rest, model);
    }

    pub(super) fn reported(&self) -> Option<Usage> {
        self.reported
    }

    /// About how many tokens were said so far: a token is some four bytes. Exact counting waits until it is needed.
    pub(super) fn so_far(&self) -> u64 {
        self.counted + self.text.len() as u64 / 4
    }

    /// Tokens of all that was said so far; for when nothing was reported.
    pub(super) fn counted(&mut self, model: &str) -> u64 {
        if !self.text.is_empty() {
            self.counted += tokens::count_text(model, &self.text);
            self.text.clear();
        }
        self.counted
    }

    /// Whether the vendor said that this is all: a stream that merely stops was cut.
    pub(super) fn saw_end(&self) -> bool {
        self.saw_end
    }

    /// Why the vendor says it ended.
    pub(super) fn finish_reasons(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.finish_reasons)
    }

    /// The failure that the vendor told of in the stream.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    fn look(&mut self, events: &[u8], model: &str) {
        let mut rest = events;
        while !rest.is_empty() {
            let end = sse::event_end(rest).unwrap_or(rest.len());
            let event = &rest[..end];
            rest = &rest[end..];
            let Some(data) = sse::data(event) else { continue };
            if let Some(usage) = reported(&data) {
                self.reported = Some(self.reported.map_or(usage, |before| before.with(usage)));
            }
            self.look_for_end(&data);
            let fault = || fault::told(self.dialect, &data).or(fault::is_named_so(event).then_some(Fault::Backend));
            self.fault = self.fault.or_else(fault);
            let text = &mut self.text;
            each_text(self.dialect, &data, |piece| text.push_str(piece));
        }
        if self.text.len() >= COUNT_AT {
            // Some writing has no spaces between words, and the one at the begin cuts nothing off.
            let cut = self.text.rfind(char::is_whitespace).filter(|cut| *cut > 0).unwrap_or(self.text.len());
            self.counted += tokens::count_text(model, &self.text[..cut]);
            self.text.drain(..cut);
        }
    }

    fn look_for_end(&mut self, data: &[u8]) {
        let has = |needle: &[u8]| memmem::find(data, needle).is_some();
        let is_end = match self.dialect {
            Dialect::Chat => {
                data.trim_ascii() == b"[DONE]" || has(b"\"finish_reason\":\"") || has(b"\"finish_reason\": \"")
            }
            Dialect::Messages => has(b"\"message_stop\""),
            Dialect::Responses => has(b"\"response.completed\"") || has(b"\"response.incomplete\""),
            Dialect::Embeddings | Dialect::CountTokens => false,
        };
        self.saw_end |= is_end;
        // Anthropic says why in the event before the last, whose type stands first.
        if is_end || memmem::find(&data[..data.len().min(40)], b"\"message_delta\"").is_some() {
            add_finish_reasons(self.dialect, data, &mut self.finish_reasons);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_and_reported_does_not_depend_on_the_pieces() {
        let mut stream = String::new();
        for word in 0..400 {
            let chunk = format!(r#"{{"choices":[{{"delta":{{"content":" word{word}"}}}}],"usage":null}}"#);
            stream.push_str(&format!("data: {chunk}\n\n"));
        }
        let text: String = (0..400).map(|word| format!(" word{word}")).collect();
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":800}}"#;
        stream.push_str(&format!("data: {usage}\n\ndata: [DONE]\n\n"));
        let expected = tokens::count_text("gpt-4o", &text);

        for size in [1, 7, 100, 5_000, 100_000] {
            let mut watch = Watch::new(Dialect::Chat);
            for piece in stream.as_bytes().chunks(size) {
                watch.see(piece, "gpt-4o").unwrap();
            }
            watch.end("gpt-4o");
            assert_eq!(watch.reported().map(|usage| usage.output), Some(800), "{size}");
            assert!(watch.saw_end());
            let counted = watch.counted("gpt-4o");
            assert!(counted.abs_diff(expected) * 100 <= expected, "{size}: {counted} for {expected}");
        }
    }

    #[test]
    fn a_stream_that_merely_stops_has_no_end() {
        let mut watch = Watch::new(Dialect::Chat);
        let chunk = br#"{"choices":[{"delta":{"content":"a"},"finish_reason":null}]}"#;
        watch.see(&[b"data: ", &chunk[..], b"\n\n"].concat(), "gpt-4o").unwrap();
        watch.end("gpt-4o");
        assert!(!watch.saw_end());
    }

    #[test]
    fn what_a_model_says_of_ends_and_errors_is_neither() {
        for (dialect, said) in [
            (
                Dialect::Messages,
                r#"{"type":"content_block_delta","delta":{"text":"then comes message_stop, or \"error\":"}}"#,
            ),
            (Dialect::Chat, r#"{"choices":[{"delta":{"content":"\"finish_reason\":\"stop\", \"error\":{}"}}]}"#),
            (
                Dialect::Responses,
                r#"{"type":"response.output_text.delta","delta":"\"response.completed\" or \"failed\""}"#,
            ),
        ] {
            let mut watch = Watch::new(dialect);
            watch.see(format!("data: {said}\n\n").as_bytes(), "gpt-4o").unwrap();
            watch.end("gpt-4o");
            assert_eq!((watch.saw_end(), watch.fault()), (false, None), "{said}");
        }
    }

    #[test]
    fn a_failure_is_no_end_and_is_seen_wherever_the_pieces_are_cut() {
        let stream = "event: message_start\ndata: {\"type\":\"message_start\"}\n\nevent: error\n\
            data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
        for size in [1, 10, 1_000] {
            let mut watch = Watch::new(Dialect::Messages);
            for piece in stream.as_bytes().chunks(size) {
                watch.see(piece, "claude").unwrap();
            }
            watch.end("claude");
            assert_eq!((watch.saw_end(), watch.fault()), (false, Some(Fault::Backend)), "{size}");
        }
    }

    #[test]
    fn text_without_spaces_is_counted_as_it_passes() {
        let mut watch = Watch::new(Dialect::Chat);
        let event = |said: &str| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{said}\"}}}}]}}\n\n");
        watch.see(event("The harbour is ").as_bytes(), "gpt-4o").unwrap();
        for _ in 0..200 {
            watch.see(event(&"\u{6e2f}\u{53e3}".repeat(200)).as_bytes(), "gpt-4o").unwrap();
        }

        assert!(watch.text.len() < 2 * COUNT_AT, "{} bytes wait", watch.text.len());
        assert!(watch.counted > 0);
    }

    #[test]
    fn an_event_without_end_is_not_kept() {
        let mut watch = Watch::new(Dialect::Chat);
        let piece = vec![b'a'; 1024 * 1024];
        assert!((0..6).map(|_| watch.see(&piece, "gpt-4o")).any(|outcome| outcome.is_err()));
    }
}
