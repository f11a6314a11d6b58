//! A strict eye on HTTP/1 framing, before the parser sees the bytes.
//!
//! hyper is lenient where two servers in a row can come to read a message differently: a bare LF ends a header line,
//! equal `Content-Length`s are one, `Content-Length` beside `Transfer-Encoding` is dropped, `identity, chunked` and
//! `CHUNKED, chunked` are taken, and so is `5 ` as the size of a chunk. Some of it is gone from the request by the time
//! the router sees it, so it is refused here: the offending line break becomes a NUL, which the parser refuses with 400.

/// Follows the messages of one connection.
#[derive(Debug)]
pub(super) struct Framing {
    state: State,
    /// The line being read, as far as it lies in earlier pieces.
    line: Vec<u8>,
    head: Head,
    is_spoiled: bool,
}

/// What the head of the current message has said so far.
#[derive(Debug, Default)]
struct Head {
    has_request_line: bool,
    length: Option<u64>,
    chunked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a message; so many line breaks were skipped.
    Between(u8),
    Head,
    Body(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    /// HTTP/2, or a connection that was already spoiled.
    Opaque,
}

/// Lines longer than this are not kept whole; the parser's own bound on a head ends them.
const LINE_KEPT: usize = 64 * 1024;
/// Empty lines tolerated before a request (RFC 9112, 2.2 asks for one).
const EMPTY_LINES: u8 = 2;

impl Framing {
    pub(super) fn new() -> Self {
        Self { state: State::Between(0), line: Vec::new(), head: Head::default(), is_spoiled: false }
    }

    /// Whether a head has begun and not ended.
    pub(super) fn in_head(&self) -> bool {
        matches!(self.state, State::Head) || matches!(self.state, State::Between(breaks) if breaks > 0)
    }

    /// Whether a breach was found; nothing after it is to be believed.
    pub(super) fn is_spoiled(&self) -> bool {
        self.is_spoiled
    }

    /// Looks at bytes as they arrive, and spoils the place of a breach.
    pub(super) fn inspect(&mut self, bytes: &mut [u8]) {
        let mut at = 0;
        while at < bytes.len() {
            at = match self.state {
                State::Opaque => return,
                State::Between(breaks) => match bytes[at] {
                    b'\r' | b'\n' => {
                        let is_end = bytes[at] == b'\n';
                        self.state = State::Between(breaks.saturating_add(u8::from(is_end)).max(1));
                        if breaks > EMPTY_LINES {
                            self.spoil(bytes, at);
                        }
                        at + 1
                    }
                    _ => {
                        self.state = State::Head;
                        self.head = Head::default();
                        at
                    }
                },
                State::Body(left) => self.pass(left, bytes.len() - at, State::Body, State::Between(0)) + at,
                State::Chunk(left) => self.pass(left, bytes.len() - at, State::Chunk, State::ChunkEnd) + at,
                State::Head | State::ChunkSize | State::ChunkEnd | State::Trailers => self.read_line(bytes, at),
            };
        }
    }

    /// Passes over content: how many bytes of it lie in this piece.
    fn pass(&mut self, left: u64, here: usize, same: fn(u64) -> State, after: State) -> usize {
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(here);
        let left = left - taken as u64;
        self.state = if left == 0 { after } else { same(left) };
        taken
    }

    /// Reads on to the end of the line that starts, or goes on, at `at`; gives where the next one starts.
    fn read_line(&mut self, bytes: &mut [u8], at: usize) -> usize {
        let Some(end) = memchr::memchr(b'\n', &bytes[at..]).map(|offset| at + offset) else {
            let room = LINE_KEPT.saturating_sub(self.line.len());
            self.line.extend_from_slice(&bytes[at..bytes.len().min(at + room)]);
            if self.line.starts_with(H2_START) && !self.head.has_request_line {
                self.state = State::Opaque;
            }
            return bytes.len();
        };
        let legal = if self.line.is_empty() {
            let line = &bytes[at..end];
            // Borrowed apart from the buffer, so that the usual line is not copied.
            line.last() == Some(&b'\r') && self.head_or_chunk(&line[..line.len() - 1])
        } else {
            let mut line = std::mem::take(&mut self.line);
            line.extend_from_slice(&bytes[at..end]);
            line.last() == Some(&b'\r') && self.head_or_chunk(&line[..line.len() - 1])
        };
        if !legal {
            self.spoil(bytes, end);
        }
        end + 1
    }

    /// Takes in a whole line without its CRLF; whether it may stand.
    fn head_or_chunk(&mut self, line: &[u8]) -> bool {
        match self.state {
            State::Head => return self.head_line(line),
            State::ChunkSize => return self.chunk_size(line),
            State::ChunkEnd if line.is_empty() => self.state = State::ChunkSize,
            State::ChunkEnd => return false,
            State::Trailers if line.is_empty() => self.state = State::Between(0),
            _ => {}
        }
        true
    }

    fn head_line(&mut self, line: &[u8]) -> bool {
        if !self.head.has_request_line {
            self.head.has_request_line = true;
            if line.starts_with(H2_START) {
                self.state = State::Opaque;
            }
            return true;
        }
        if line.is_empty() {
            self.state = match self.head.length {
                _ if self.head.chunked => State::ChunkSize,
                Some(length) if length > 0 => State::Body(length),
                _ => State::Between(0),
            };
            return true;
        }
        let Some(colon) = memchr::memchr(b':', line) else { return true };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let framed = self.head.length.is_some() || self.head.chunked;
        if name.eq_ignore_ascii_case(b"content-length") {
            self.head.length = number(value, 10);
            return !framed && self.head.length.is_some();
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.head.chunked = value.eq_ignore_ascii_case(b"chunked");
            return !framed && self.head.chunked;
        }
        true
    }

    fn chunk_size(&mut self, line: &[u8]) -> bool {
        let digits = line.split(|b| *b == b';').next().unwrap_or_default();
        match number(digits, 16) {
            Some(0) => self.state = State::Trailers,
            Some(size) => self.state = State::Chunk(size),
            None => return false,
        }
        true
    }

    fn spoil(&mut self, bytes: &mut [u8], at: usize) {
        bytes[at] = 0;
        self.is_spoiled = true;
        self.state = State::Opaque;
        self.line = Vec::new();
        metrics::counter!("wharfinger_framing_refused_total").increment(1);
    }
}

/// How the preface of HTTP/2 begins (RFC 9113, 3.4).
const H2_START: &[u8] = b"PRI * HTTP/2.0";

/// Digits and nothing else, at most what fits.
fn number(text: &[u8], radix: u32) -> Option<u64> {
    let digits = std::str::from_utf8(text).ok()?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| (b as char).is_digit(radix));
    plain.then(|| u64::from_str_radix(digits, radix).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the text passes unspoiled, in pieces of every size; the answer must not depend on it.
    fn passes(text: &str) -> bool {
        let whole = inspected(text, text.len());
        for size in [1, 2, 3, 7, 19] {
            assert_eq!(inspected(text, size), whole, "pieces of {size}: {text:?}");
        }
        whole
    }

    fn inspected(text: &str, size: usize) -> bool {
        let mut framing = Framing::new();
        let mut bytes = text.as_bytes().to_vec();
        bytes.chunks_mut(size.max(1)).for_each(|piece| framing.inspect(piece));
        bytes == text.as_bytes()
    }

    #[test]
    fn well_framed_messages_pass_one_after_the_other() {
        for text in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\na\nb\ncGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n5;x=y\r\na\nb\nc\r\n0\r\nT: v\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\n\n\n\n\n\n",
        ] {
            assert!(passes(text), "{text:?}");
        }
    }

    #[test]
    fn what_two_servers_may_read_differently_is_spoiled() {
        for text in [
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nX: a\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nX: a\r\n\n",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: identity, chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\nhello\r\n0\r\n\r\n",
            "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        ] {
            assert!(!passes(text), "{text:?}");
        }
    }

    #[test]
    fn a_head_is_known_from_its_first_byte_to_its_last() {
        let mut framing = Framing::new();
        assert!(!framing.in_head());
        framing.inspect(&mut b"G".to_vec());
        assert!(framing.in_head());
        framing.inspect(&mut b"ET / HTTP/1.1\r\nContent-Length: 1\r\n\r\n".to_vec());
        assert!(!framing.in_head());
        framing.inspect(&mut b"xG".to_vec());
        assert!(framing.in_head());
    }
}
