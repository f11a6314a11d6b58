//! The heads of requests and answers, as they stand on the wire (RFC 9112, 3 to 5).

use super::framing::Framing;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, response::Parts};
use std::mem::MaybeUninit;

/// The longest head of an answer.
pub(super) const MAX_HEAD: usize = 64 * 1024;
/// The most headers of an answer.
const MAX_HEADERS: usize = 128;

/// A request as it goes out. Its headers say nothing of its length and its connection: that is told here.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub method: &'a Method,
    pub uri: &'a Uri,
    pub headers: &'a HeaderMap,
    pub body: &'a Bytes,
}

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub parts: Parts,
    pub framing: Framing,
    /// Whether the connection stays open after the body.
    pub stays: bool,
}

impl Request<'_> {
    /// The head, to its empty line.
    pub(super) fn head(&self) -> Vec<u8> {
        let target = self.uri.path_and_query().map_or("/", |target| target.as_str());
        let mut head = Vec::with_capacity(64 + target.len() + 48 * self.headers.len());
        head.extend_from_slice(self.method.as_str().as_bytes());
        head.push(b' ');
        head.extend_from_slice(target.as_bytes());
        head.extend_from_slice(b" HTTP/1.1\r\n");
        for (name, value) in self.headers {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        // Methods that carry a body say so when it is empty, too (RFC 9110, 8.6).
        let carries = matches!(*self.method, Method::POST | Method::PUT | Method::PATCH);
        if carries || !self.body.is_empty() {
            head.extend_from_slice(b"content-length: ");
            head.extend_from_slice(self.body.len().to_string().as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        head
    }
}

/// Reads the head of the answer to a request of this method, and how many bytes it has; nothing when it is not whole yet.
/// Interim answers (1xx) are passed over.
///
/// # Errors
/// A sentence when it is no head.
pub(super) fn read(asked: &Method, input: &[u8]) -> Result<Option<(Head, usize)>, String> {
    let mut from = 0;
    loop {
        let mut lines = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut answer = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
            &mut answer,
            &input[from..],
            &mut lines,
        );
        let length = match parsed {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if input.len() >= MAX_HEAD => return Err("its head is too long".into()),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(format!("its head is no HTTP ({error})")),
        };
        let code = answer.code.unwrap_or_default();
        let status = StatusCode::from_u16(code).map_err(|_| format!("its status {code} is none"))?;
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err("it switches protocols, which was not asked for".into());
        }
        if status.is_informational() {
            from += length;
            continue;
        }
        let is_newer = answer.version == Some(1);
        let headers = headers(answer.headers)?;
        let framing = Framing::of(asked, status, &headers)?;
        let stays = stays(is_newer, &headers) && framing != Framing::UntilClosed;
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.status = status;
        parts.headers = headers;
        return Ok(Some((Head { parts, framing, stays }, from + length)));
    }
}

/// The lines in one piece of memory of their own, so that what is kept of a head keeps no buffer with it.
fn headers(lines: &[httparse::Header<'_>]) -> Result<HeaderMap, String> {
    let mut bytes = Vec::with_capacity(lines.iter().map(|line| line.value.len()).sum());
    lines.iter().for_each(|line| bytes.extend_from_slice(line.value));
    let mut bytes = Bytes::from(bytes);
    let mut headers = HeaderMap::with_capacity(lines.len());
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|error| error.to_string())?;
        let value = HeaderValue::from_maybe_shared(bytes.split_to(line.value.len()));
        headers.append(name, value.map_err(|error| error.to_string())?);
    }
    Ok(headers)
}

fn stays(is_newer: bool, headers: &HeaderMap) -> bool {
    let says = |wanted: &[u8]| {
        let values = headers.get_all(header::CONNECTION).into_iter();
        let mut words = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        words.any(|word| word.trim_ascii().eq_ignore_ascii_case(wanted))
    };
    if is_newer { !says(b"close") } else { says(b"keep-alive") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> (Head, usize) {
        read(&Method::POST, text.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn a_request_says_where_it_goes_and_how_long_it_is() {
        let mut headers = HeaderMap::new();
        headers.insert("host", "h".parse().unwrap());
        let uri = "/v1/chat?x=y".parse().unwrap();
        let of = |method: &Method, body: &'static str| {
            let body = Bytes::from_static(body.as_bytes());
            String::from_utf8(Request { method, uri: &uri, headers: &headers, body: &body }.head()).unwrap()
        };
        assert_eq!(of(&Method::POST, "{}"), "POST /v1/chat?x=y HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n");
        assert_eq!(of(&Method::PUT, ""), "PUT /v1/chat?x=y HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(of(&Method::GET, ""), "GET /v1/chat?x=y HTTP/1.1\r\nhost: h\r\n\r\n");
    }

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let text = "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nX: 1\r\nX: 2\r\nContent-Length: 3\r\n\r\nabc";
        for cut in 0..text.len() - 3 {
            assert!(read(&Method::POST, &text.as_bytes()[..cut]).unwrap().is_none(), "{cut}");
        }
        let (head, length) = answer(text);
        assert_eq!((head.parts.status, length, head.stays), (StatusCode::OK, text.len() - 3, true));
        assert_eq!(head.framing, Framing::Length(3));
        assert_eq!(head.parts.headers["content-type"], "a/b");
        assert_eq!(head.parts.headers.get_all("x").iter().collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn interim_answers_are_passed_over() {
        let text =
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
        let (head, length) = answer(text);
        assert_eq!((head.parts.status.as_u16(), length), (204, text.len()));
        assert!(!head.parts.headers.contains_key("link"));
    }

    #[test]
    fn a_connection_stays_as_its_answer_says() {
        for (text, stays) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: x, Close\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n", true),
        ] {
            assert_eq!(answer(text).0.stays, stays, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for text in [
            "SSH-2.0-OpenSSH\r\n",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/1.1 200 OK\r\nname : value\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        ] {
            assert!(read(&Method::POST, text.as_bytes()).is_err(), "{text:?}");
        }
        let long = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(MAX_HEAD));
        assert!(read(&Method::POST, long.as_bytes()).is_err());
    }
}
