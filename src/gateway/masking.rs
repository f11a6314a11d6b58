//! Personal data is hidden behind placeholders (`[EMAIL_1]`), and put back where an answer holds the placeholder.

use crate::gateway::exchange::ReplyFilter;
use crate::gateway::settings::{Mask, MaskKind};
use crate::wire::sse;
use bytes::Bytes;
use regex::Regex;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// Knows what to hide; made once for a policy.
#[derive(Clone)]
pub(in crate::gateway) struct Masker(Arc<[Hidden]>);

/// A kind of text that is hidden: its name, its pattern, and what a match must satisfy besides.
type Hidden = (&'static str, Regex, fn(&str) -> bool);

/// Longest placeholder.
const LONGEST: usize = 32;

static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b[A-Za-z0-9][A-Za-z0-9._%+-]*@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}\b",
    )
});
static PHONE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:\+|\b00)[1-9][0-9]{0,2}(?:[ ./()-]{0,2}[0-9]){6,12}\b|\b0[0-9]{2,4}[ /-]{1,2}[0-9]{3,8}(?:[ -][0-9]{2,6})*\b|\(?\b[2-9][0-9]{2}\)?[ .-][0-9]{3}[ .-][0-9]{4}\b",
    )
});
static CARD: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b[0-9](?:[ -]?[0-9]){12,18}\b"));
static IBAN: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}\b"));
static ADDRESS: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b|(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{1,4}"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern that tests have read")
}

impl Masker {
    pub(in crate::gateway) fn new(masks: &[Mask]) -> Self {
        let always: fn(&str) -> bool = |_| true;
        let rules = masks.iter().filter_map(|mask| match mask {
            Mask::Known(kind) => Some(known(*kind)),
            Mask::Pattern(text) => Some(("DATA", Regex::new(text).ok()?, always)),
        });
        Self(rules.collect())
    }

    /// Hides all kinds it knows.
    pub(in crate::gateway) fn all() -> Self {
        let kinds = [MaskKind::Email, MaskKind::Iban, MaskKind::Card, MaskKind::IpAddress, MaskKind::Phone];
        Self(kinds.into_iter().map(known).collect())
    }

    /// Hides within one request: equal data behind equal placeholders.
    pub(in crate::gateway) fn session(&self) -> Session<'_> {
        Session { masker: self, hidden: Vec::new(), known: HashMap::new() }
    }
}

fn known(kind: MaskKind) -> (&'static str, Regex, fn(&str) -> bool) {
    match kind {
        MaskKind::Email => ("EMAIL", EMAIL.clone(), |_| true),
        MaskKind::Phone => ("PHONE", PHONE.clone(), |_| true),
        MaskKind::Card => ("CARD", CARD.clone(), is_card),
        MaskKind::Iban => ("IBAN", IBAN.clone(), is_iban),
        MaskKind::IpAddress => ("IP", ADDRESS.clone(), |text| text.parse::<std::net::IpAddr>().is_ok()),
    }
}

/// ISO/IEC 7812-1: the check digit of Luhn.
fn is_card(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match place % 2 {
            1 => digit * 2 / 10 + digit * 2 % 10,
            _ => *digit,
        })
        .sum();
    (13..=19).contains(&digits.len()) && sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != 0)
}

/// ISO 13616: the first four characters to the end, letters as numbers, the rest by 97 is 1.
fn is_iban(text: &str) -> bool {
    let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let turned = plain.chars().skip(4).chain(plain.chars().take(4));
    let rest = turned.filter_map(|c| c.to_digit(36)).fold(0_u64, |rest, digit| {
        let shift = if digit < 10 { 10 } else { 100 };
        (rest * shift + u64::from(digit)) % 97
    });
    (15..=34).contains(&plain.len()) && rest == 1
}

/// What was hidden in one request.
pub(in crate::gateway) struct Session<'m> {
    masker: &'m Masker,
    /// Placeholder and what is behind it.
    hidden: Vec<(String, String)>,
    known: HashMap<String, usize>,
}

impl Session<'_> {
    /// The text with placeholders; none when there is nothing to hide.
    pub(in crate::gateway) fn hide(&mut self, text: &str) -> Option<String> {
        let mut current: Option<String> = None;
        let masker = self.masker.0.clone();
        for (name, pattern, is_real) in masker.iter() {
            let from = current.as_deref().unwrap_or(text);
            if !pattern.is_match(from) {
                continue;
            }
            let next = pattern.replace_all(from, |found: &regex::Captures<'_>| {
                let found = found.get(0).map_or("", |found| found.as_str());
                // A pattern of the operator's may match what stands for something hidden already.
                if found.is_empty() || !is_real(found) || found.starts_with('[') {
                    return found.to_owned();
                }
                self.placeholder(name, found)
            });
            let next = next.into_owned();
            if next != from {
                current = Some(next);
            }
        }
        current
    }

    fn placeholder(&mut self, name: &str, found: &str) -> String {
        if let Some(at) = self.known.get(found) {
            return self.hidden[*at].0.clone();
        }
        let number = self.hidden.iter().filter(|(placeholder, _)| placeholder[1..].starts_with(name)).count() + 1;
        let placeholder = format!("[{name}_{number}]");
        self.known.insert(found.to_owned(), self.hidden.len());
        self.hidden.push((placeholder.clone(), found.to_owned()));
        placeholder
    }

    pub(in crate::gateway) fn is_empty(&self) -> bool {
        self.hidden.is_empty()
    }

    pub(in crate::gateway) fn hidden(self) -> Vec<(String, String)> {
        self.hidden
    }
}

/// Puts what was hidden back into an answer on its way.
///
/// In a stream a placeholder may come in pieces, each in an event of its own. The text of an event that ends in what may
/// be the beginning of one is held back and goes out with the next event; events without a placeholder pass as they are.
pub(in crate::gateway) struct Restorer {
    hidden: Vec<(String, String)>,
    is_stream: bool,
    /// Bytes that are no whole event yet, or an end that may be half a placeholder.
    rest: Vec<u8>,
    /// Text that was held back, and the event to send it with should no other come.
    held: Option<(String, Value, Option<String>, &'static str)>,
}

/// Where the text of a stream's event stands, in the dialects there are.
const TEXTS: &[&str] = &[
    "/choices/0/delta/content",
    "/delta/text",
    "/delta/partial_json",
    "/choices/0/delta/tool_calls/0/function/arguments",
    "/choices/0/delta/function_call/arguments",
    "/choices/0/text",
    "/delta",
];

impl Restorer {
    pub(in crate::gateway) fn new(hidden: Vec<(String, String)>, is_stream: bool) -> Self {
        Self { hidden, is_stream, rest: Vec::new(), held: None }
    }

    fn restored(&self, text: &str) -> String {
        self.hidden.iter().fold(text.to_owned(), |text, (placeholder, data)| text.replace(placeholder, data))
    }

    /// Within JSON as it is written.
    fn restored_bytes(&self, json: &[u8]) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(json) else { return json.to_vec() };
        let escaped = |data: &str| {
            let quoted = serde_json::to_string(data).expect("a text serialises");
            quoted[1..quoted.len() - 1].to_owned()
        };
        let put = |text: String, (placeholder, data): &(String, String)| text.replace(placeholder, &escaped(data));
        self.hidden.iter().fold(text.to_owned(), put).into_bytes()
    }

    fn event(&mut self, event: &[u8], out: &mut Vec<u8>) {
        if self.held.is_none() && !event.contains(&b'[') {
            out.extend_from_slice(event);
            return;
        }
        let data = sse::data(event).unwrap_or_default();
        let name = sse::name(event).and_then(|name| std::str::from_utf8(name).ok()).map(str::to_owned);
        let parsed = serde_json::from_slice::<Value>(&data).ok();
        let place = parsed
            .as_ref()
            .and_then(|value| TEXTS.iter().copied().find(|place| value.pointer(place).is_some_and(Value::is_string)));
        let (Some(mut value), Some(place)) = (parsed, place) else {
            self.let_go(out);
            // The end of a stream, or an event that repeats the whole text.
            out.extend_from_slice(&self.restored_bytes(event));
            return;
        };
        let text = value.pointer(place).and_then(Value::as_str).unwrap_or_default();
        let before = self.held.take().map(|(text, ..)| text).unwrap_or_default();
        let whole = self.restored(&(before + text));
        let keep_from = half_placeholder(&whole);
        let (now, later) = whole.split_at(keep_from);
        if !later.is_empty() {
            self.held = Some((later.to_owned(), value.clone(), name.clone(), place));
        }
        if let Some(text) = value.pointer_mut(place) {
            *text = now.into();
        }
        sse::write(out, name.as_deref(), value.to_string().as_bytes());
    }

    /// Sends what was held back in an event like the one it came in.
    fn let_go(&mut self, out: &mut Vec<u8>) {
        if let Some((text, mut value, name, place)) = self.held.take() {
            if let Some(place) = value.pointer_mut(place) {
                *place = text.into();
            }
            sse::write(out, name.as_deref(), value.to_string().as_bytes());
        }
    }
}

/// Where a text ends in what may be the first half of a placeholder; its length when it does not.
fn half_placeholder(text: &str) -> usize {
    match text.rfind('[') {
        Some(at) if text.len() - at <= LONGEST => {
            let half = &text[at + 1..];
            let fits = half.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
            if fits { at } else { text.len() }
        }
        _ => text.len(),
    }
}

impl ReplyFilter for Restorer {
    fn piece(&mut self, piece: Bytes) -> Bytes {
        self.rest.extend_from_slice(&piece);
        let mut out = Vec::with_capacity(self.rest.len() + 64);
        if self.is_stream {
            let rest = std::mem::take(&mut self.rest);
            let mut at = 0;
            while let Some(length) = sse::event_end(&rest[at..]) {
                self.event(&rest[at..at + length], &mut out);
                at += length;
            }
            self.rest = rest[at..].to_vec();
        } else {
            let rest = std::mem::take(&mut self.rest);
            let from = rest.len().saturating_sub(LONGEST);
            let cut = memchr::memrchr(b'[', &rest[from..]).filter(|at| !rest[from + at..].contains(&b']'));
            let cut = cut.map_or(rest.len(), |at| from + at);
            // Not in the middle of a character either.
            out = self.restored_bytes(&rest[..cut]);
            self.rest = rest[cut..].to_vec();
        }
        out.into()
    }

    fn end(&mut self) -> Bytes {
        let mut out = Vec::new();
        self.let_go(&mut out);
        let rest = std::mem::take(&mut self.rest);
        out.extend_from_slice(&self.restored_bytes(&rest));
        out.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hide(text: &str) -> (String, Vec<(String, String)>) {
        let masker = Masker::all();
        let mut session = masker.session();
        let hidden = session.hide(text).unwrap_or_else(|| text.to_owned());
        (hidden, session.hidden())
    }

    #[test]
    fn personal_data_is_hidden_and_the_rest_is_not() {
        for (text, hidden) in [
            ("Write to ann.b@example.org, or ann.b@example.org.", "Write to [EMAIL_1], or [EMAIL_1]."),
            ("a@example.org and b@example.org", "[EMAIL_1] and [EMAIL_2]"),
            ("pay with 4111 1111 1111 1111 today", "pay with [CARD_1] today"),
            ("number 4111 1111 1111 1112 is none", "number 4111 1111 1111 1112 is none"),
            ("IBAN DE89 3704 0044 0532 0130 00.", "IBAN [IBAN_1]."),
            ("call +47 55 12 34 56 now", "call [PHONE_1] now"),
            ("from 10.0.0.7 and 2001:db8::1", "from [IP_1] and [IP_2]"),
            ("version 1.2.3, in 2026, 300 berths", "version 1.2.3, in 2026, 300 berths"),
        ] {
            assert_eq!(hide(text).0, hidden, "{text}");
        }
    }

    #[test]
    fn a_pattern_of_ones_own_is_hidden_too() {
        let masker = Masker::new(&[Mask::Pattern("EMP-[0-9]+".to_owned())]);
        assert_eq!(masker.session().hide("ask EMP-7").as_deref(), Some("ask [DATA_1]"));
    }

    #[test]
    fn an_answer_gets_back_what_was_hidden_wherever_it_is_cut() {
        let hidden = vec![("[EMAIL_1]".to_owned(), "a\"b@example.org".to_owned())];
        let answer = r#"{"choices":[{"message":{"content":"Wrote [EMAIL_1], [not this]."}}]}"#;
        for cut in 0..answer.len() {
            let mut restorer = Restorer::new(hidden.clone(), false);
            let (one, other) = answer.split_at(cut);
            let mut got = restorer.piece(Bytes::from(one.to_owned())).to_vec();
            got.extend(restorer.piece(Bytes::from(other.to_owned())));
            got.extend(restorer.end());
            let got: Value = serde_json::from_slice(&got).unwrap();
            assert_eq!(got["choices"][0]["message"]["content"], "Wrote a\"b@example.org, [not this].", "{cut}");
        }
    }

    #[test]
    fn a_stream_gets_it_back_also_from_pieces_in_several_events() {
        let hidden = vec![("[EMAIL_1]".to_owned(), "ann@example.org".to_owned())];
        let pieces = ["Wro", "te to [", "EM", "AIL_", "1], see [", "7", "] and [EMAIL_1"];
        let mut stream = String::new();
        for piece in pieces {
            stream += &format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": piece}}]}));
        }
        stream += "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

        for size in [1, 7, 50, 10_000] {
            let mut restorer = Restorer::new(hidden.clone(), true);
            let mut got = Vec::new();
            for chunk in stream.as_bytes().chunks(size) {
                got.extend(restorer.piece(Bytes::copy_from_slice(chunk)));
            }
            got.extend(restorer.end());
            let got = String::from_utf8(got).unwrap();
            let mut text = String::new();
            for line in got.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|line| *line != "[DONE]") {
                let event: Value = serde_json::from_str(line).unwrap();
                text += event["choices"][0]["delta"]["content"].as_str().unwrap_or_default();
            }
            assert_eq!(text, "Wrote to ann@example.org, see [7] and [EMAIL_1");
            assert!(got.ends_with("data: [DONE]\n\n"));
            assert!(got.find("stop").unwrap() > got.rfind("EMAIL_1").unwrap());
        }
    }

    #[test]
    fn a_call_of_a_tool_gets_it_back_in_every_form_that_a_stream_has_for_it() {
        for (event, place) in [
            (json!({"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": ""}}]}}]}), TEXTS[3]),
            (json!({"choices": [{"delta": {"function_call": {"arguments": ""}}}]}), TEXTS[4]),
            (json!({"type": "content_block_delta", "delta": {"partial_json": ""}}), TEXTS[2]),
            (json!({"type": "response.function_call_arguments.delta", "delta": ""}), "/delta"),
        ] {
            let mut restorer = Restorer::new(vec![("[EMAIL_1]".to_owned(), "ann@example.org".to_owned())], true);
            let mut got = Vec::new();
            for piece in ["{\"to\":\"[EM", "AIL_1]\"}"] {
                let mut event = event.clone();
                *event.pointer_mut(place).unwrap() = piece.into();
                got.extend(restorer.piece(Bytes::from(format!("data: {event}\n\n"))));
            }
            got.extend(restorer.end());

            let got = String::from_utf8(got).unwrap();
            let events = got.lines().filter_map(|line| line.strip_prefix("data: "));
            let texts = events.map(|event| serde_json::from_str::<Value>(event).unwrap());
            let text: String = texts.map(|event| event.pointer(place).unwrap().as_str().unwrap().to_owned()).collect();
            assert_eq!(text, "{\"to\":\"ann@example.org\"}", "{place}");
        }
    }

    #[test]
    fn events_without_a_placeholder_pass_as_they_are() {
        let mut restorer = Restorer::new(vec![("[EMAIL_1]".to_owned(), "a".to_owned())], true);
        let event = "event: x\r\ndata:  {\"delta\":{\"text\":\"hi\"}}\r\n\r\n";

        assert_eq!(restorer.piece(Bytes::from(event)), event);
    }
}
