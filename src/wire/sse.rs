//! Server-sent events: where one ends in a run of bytes, and what it says. Nothing is copied that need not be.
//!
//! The format is the HTML standard's, 9.2: lines end with LF, CRLF or CR, an empty line ends an event.

use std::borrow::Cow;

/// How many bytes the first event of `bytes` has, its empty line included; none while its end has not come.
#[must_use]
pub fn event_end(bytes: &[u8]) -> Option<usize> {
    event_end_after(bytes, &mut Looked::default())
}

/// How far an event was looked through whose end has not come.
#[derive(Debug, Default)]
pub struct Looked {
    /// Where its last line begins.
    line: usize,
    byte: usize,
}

/// As [`event_end`], for bytes to which more are added: those that were looked at are not looked at again.
#[must_use]
pub fn event_end_after(bytes: &[u8], looked: &mut Looked) -> Option<usize> {
    loop {
        let Some(found) = memchr::memchr2(b'\n', b'\r', &bytes[looked.byte..]) else {
            looked.byte = bytes.len();
            return None;
        };
        let line_end = looked.byte + found;
        let is_empty = line_end == looked.line;
        let next = match (bytes[line_end], bytes.get(line_end + 1)) {
            (b'\n', _) => line_end + 1,
            (_, Some(b'\n')) => line_end + 2,
            (_, Some(_)) => line_end + 1,
            // A CR at the end may be half of a CRLF.
            (_, None) => {
                looked.byte = line_end;
                return None;
            }
        };
        if is_empty {
            *looked = Looked::default();
            return Some(next);
        }
        *looked = Looked { line: next, byte: next };
    }
}

/// The data of an event: its `data` lines, joined by LF; none when it has none (a comment, a bare name).
#[must_use]
pub fn data(event: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut lines = lines(event).filter_map(|line| field(line, b"data"));
    let first = lines.next()?;
    let Some(second) = lines.next() else { return Some(Cow::Borrowed(first)) };
    let mut whole = first.to_vec();
    for line in std::iter::once(second).chain(lines) {
        whole.push(b'\n');
        whole.extend_from_slice(line);
    }
    Some(Cow::Owned(whole))
}

/// The name of an event, from its last `event` line.
#[must_use]
pub fn name(event: &[u8]) -> Option<&[u8]> {
    lines(event).filter_map(|line| field(line, b"event")).last()
}

/// Writes an event; `data` has no line break, as JSON written by us has none.
pub fn write(out: &mut Vec<u8>, name: Option<&str>, data: &[u8]) {
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}

fn lines(event: &[u8]) -> impl Iterator<Item = &[u8]> {
    event.split(|byte| matches!(byte, b'\n' | b'\r'))
}

/// The value of a line that is this field; one space after the colon is not part of it.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(name)?;
    match rest.strip_prefix(b":") {
        Some(value) => Some(value.strip_prefix(b" ").unwrap_or(value)),
        None => rest.is_empty().then_some(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data of all whole events, and how many bytes are left.
    fn read(mut bytes: &[u8]) -> (Vec<String>, usize) {
        let mut found = Vec::new();
        while let Some(end) = event_end(bytes) {
            if let Some(data) = data(&bytes[..end]) {
                found.push(String::from_utf8(data.into_owned()).unwrap());
            }
            bytes = &bytes[end..];
        }
        (found, bytes.len())
    }

    #[test]
    fn events_end_at_an_empty_line_whatever_ends_the_lines() {
        for text in ["data: a\n\ndata:b\n\n", "data: a\r\n\r\ndata:b\r\n\r\n", "data: a\r\rdata:b\r\r\n"] {
            assert_eq!(read(text.as_bytes()).0, ["a", "b"], "{text:?}");
        }
        assert_eq!(
            read(b": ping\n\nevent: x\ndata: a\ndata: b\nid: 1\n\ndata: unfinished\n"),
            (vec!["a\nb".into()], 17)
        );
        assert_eq!(event_end(b"data: a\r\n\r"), None, "the LF may still come");
        assert_eq!(event_end(b"data: a\n"), None);
        assert_eq!(event_end(b""), None);
    }

    #[test]
    fn a_name_and_a_field_without_value_are_read() {
        assert_eq!(name(b"event: message_start\ndata: {}\n\n"), Some(&b"message_start"[..]));
        assert_eq!(name(b"data: x\n\n"), None);
        assert_eq!(data(b"data\n\n").as_deref(), Some(&b""[..]));
        assert_eq!(data(b"database: x\n\n"), None);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut out = Vec::new();
        write(&mut out, Some("ping"), b"{}");
        write(&mut out, None, b"[DONE]");

        assert_eq!(out, b"event: ping\ndata: {}\n\ndata: [DONE]\n\n");
        assert_eq!(read(&out), (vec!["{}".into(), "[DONE]".into()], 0));
    }
}
