//! Where the body of an answer ends (RFC 9112, 6.3 and 7.1).

use http::{HeaderMap, Method, StatusCode, header};

/// How the rest of a body is delimited.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are to come.
    Length(u64),
    Chunked(Chunked),
    /// It ends with its connection.
    UntilClosed,
}

/// The place in a chunked body, and how many bytes that carry nothing came since the last that did.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunked {
    at: Place,
    idle: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the digits of a size, of which so many were read.
    Size(u64, u8),
    /// After the digits, to the end of the line: extensions are passed over.
    Extension(u64),
    SizeEnd(u64),
    Data(u64),
    DataEnd,
    DataEndLine,
    /// At the beginning of a line after the last chunk.
    Trailer,
    TrailerLine,
    TrailerEnd,
    LastEnd,
    Done,
}

/// Bytes of extensions, trailers and line ends that are read in a row.
const MOST_IDLE: u32 = 16 * 1024;

impl Framing {
    /// # Errors
    /// A sentence when the head does not say it clearly: two servers could then read two different bodies.
    pub(super) fn of(asked: &Method, status: StatusCode, headers: &HeaderMap) -> Result<Self, &'static str> {
        if asked == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Ok(Self::Length(0));
        }
        let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
        if let Some(coding) = codings.next() {
            if !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") || codings.next().is_some() {
                return Err("its transfer encoding is none that we know");
            }
            if headers.contains_key(header::CONTENT_LENGTH) {
                return Err("it says both how long it is and that it comes in chunks");
            }
            return Ok(Self::Chunked(Chunked { at: Place::Size(0, 0), idle: 0 }));
        }
        let mut length = None;
        for value in headers.get_all(header::CONTENT_LENGTH) {
            let text = value.to_str().unwrap_or_default();
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let said = text.parse::<u64>().ok().filter(|_| digits).ok_or("its length is no number")?;
            if length.is_some_and(|length| length != said) {
                return Err("it says two lengths");
            }
            length = Some(said);
        }
        Ok(length.map_or(Self::UntilClosed, Self::Length))
    }

    pub(super) fn is_end(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunked { at: Place::Done, .. }))
    }

    /// Takes what came, and adds what it carries to `out`; gives how much of it belongs to this body.
    ///
    /// # Errors
    /// A sentence when its chunks are none.
    pub(super) fn take(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, &'static str> {
        match self {
            Self::UntilClosed => {
                out.extend_from_slice(input);
                Ok(input.len())
            }
            Self::Length(left) => {
                let taken = within(*left, input);
                out.extend_from_slice(&input[..taken]);
                *left -= taken as u64;
                Ok(taken)
            }
            Self::Chunked(chunked) => chunked.take(input, out),
        }
    }

    /// # Errors
    /// A sentence when the connection was closed too early.
    pub(super) fn closed(&self) -> Result<(), &'static str> {
        match self {
            Self::UntilClosed => Ok(()),
            _ if self.is_end() => Ok(()),
            _ => Err("the connection was closed before its end"),
        }
    }
}

impl Chunked {
    fn take(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, &'static str> {
        let mut read = 0;
        while read < input.len() && self.at != Place::Done {
            if let Place::Data(left) = self.at {
                let taken = within(left, &input[read..]);
                out.extend_from_slice(&input[read..read + taken]);
                read += taken;
                let left = left - taken as u64;
                self.at = if left == 0 { Place::DataEnd } else { Place::Data(left) };
                self.idle = 0;
                continue;
            }
            self.at = self.at.after(input[read])?;
            read += 1;
            self.idle += 1;
            if self.idle > MOST_IDLE {
                return Err("its chunks carry nothing but extensions or trailers");
            }
        }
        Ok(read)
    }
}

impl Place {
    /// The next place, after a byte that carries nothing.
    fn after(self, byte: u8) -> Result<Self, &'static str> {
        const WRONG: &str = "its chunks are framed wrongly";
        Ok(match (self, byte) {
            (Self::Size(_, 1..), b'\r') | (Self::Extension(_), b'\r') => Self::SizeEnd(self.size()),
            (Self::Size(_, 1..), b';' | b' ' | b'\t') => Self::Extension(self.size()),
            (Self::Size(size, digits @ ..16), _) => {
                let digit = (byte as char).to_digit(16).ok_or(WRONG)?;
                Self::Size(size << 4 | u64::from(digit), digits + 1)
            }
            (Self::Extension(_), b'\n') => return Err(WRONG),
            (Self::Extension(size), _) => Self::Extension(size),
            (Self::SizeEnd(0), b'\n') => Self::Trailer,
            (Self::SizeEnd(size), b'\n') => Self::Data(size),
            (Self::DataEnd, b'\r') => Self::DataEndLine,
            (Self::DataEndLine, b'\n') => Self::Size(0, 0),
            (Self::Trailer, b'\r') => Self::LastEnd,
            (Self::Trailer | Self::TrailerLine, b'\n') => return Err(WRONG),
            (Self::TrailerLine, b'\r') => Self::TrailerEnd,
            (Self::Trailer | Self::TrailerLine, _) => Self::TrailerLine,
            (Self::TrailerEnd, b'\n') => Self::Trailer,
            (Self::LastEnd, b'\n') => Self::Done,
            _ => return Err(WRONG),
        })
    }

    fn size(self) -> u64 {
        match self {
            Self::Size(size, _) | Self::Extension(size) => size,
            _ => 0,
        }
    }
}

fn within(left: u64, input: &[u8]) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(input.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[(&'static str, &'static str)]) -> Result<Framing, &'static str> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        Framing::of(&Method::POST, StatusCode::OK, &headers)
    }

    fn chunked() -> Framing {
        of(&[("transfer-encoding", "chunked")]).unwrap()
    }

    /// What a body carries, how much of the input is its, and whether it ended there; the same however it is cut.
    fn read(input: &str) -> Result<(String, usize, bool), &'static str> {
        let mut outcomes: Vec<_> = [input.len().max(1), 1, 2, 3, 7].map(|size| read_in_pieces(input, size)).into();
        outcomes.dedup();
        assert_eq!(outcomes.len(), 1, "{input:?} is read differently in pieces: {outcomes:?}");
        outcomes.remove(0)
    }

    fn read_in_pieces(input: &str, size: usize) -> Result<(String, usize, bool), &'static str> {
        let (mut framing, mut out, mut taken) = (chunked(), Vec::new(), 0);
        for piece in input.as_bytes().chunks(size) {
            taken += framing.take(piece, &mut out)?;
        }
        Ok((String::from_utf8(out).unwrap(), taken, framing.is_end()))
    }

    #[test]
    fn chunks_are_put_together_and_end_where_they_say() {
        let whole = "5\r\nhello\r\nA;x=\"y\"\r\n, 12345678\r\n0\r\n\r\n";
        assert_eq!(read(whole), Ok(("hello, 12345678".into(), whole.len(), true)));
        let after = format!("{whole}HTTP/1.1 200 OK\r\n");
        assert_eq!(read(&after), Ok(("hello, 12345678".into(), whole.len(), true)), "what follows is not its");
        let trailed = "1\r\na\r\n0\r\nexpires: 0\r\nx: y\r\n\r\n";
        assert_eq!(read(trailed), Ok(("a".into(), trailed.len(), true)));
        assert_eq!(read("5\r\nhel"), Ok(("hel".into(), 6, false)));
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for input in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "0x5\r\nhello",
            "5\nhello\r\n",
            "5\r\nhello!\r\n0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5;a\nb\r\nhello\r\n",
            "11111111111111111\r\n",
            "0\r\nx: y\n\r\n",
        ] {
            assert!(read(input).is_err(), "{input:?}");
        }
        let endless = format!("5;{}", "x".repeat(MOST_IDLE as usize));
        assert!(read_in_pieces(&endless, 100).is_err());
    }

    #[test]
    fn a_head_says_how_long_its_body_is() {
        assert_eq!(of(&[("content-length", "7")]), Ok(Framing::Length(7)));
        assert_eq!(of(&[("content-length", "7"), ("content-length", "7")]), Ok(Framing::Length(7)));
        assert_eq!(of(&[]), Ok(Framing::UntilClosed));
        for (asked, status) in [(Method::HEAD, 200), (Method::GET, 204), (Method::GET, 304)] {
            let mut headers = HeaderMap::new();
            headers.insert("content-length", "7".parse().unwrap());
            let framing = Framing::of(&asked, StatusCode::from_u16(status).unwrap(), &headers);
            assert_eq!(framing, Ok(Framing::Length(0)), "{asked} {status}");
        }
    }

    #[test]
    fn a_head_that_two_may_read_differently_is_refused() {
        for lines in [
            &[("content-length", "7"), ("content-length", "8")][..],
            &[("content-length", "+7")],
            &[("content-length", "")],
            &[("content-length", "99999999999999999999")],
            &[("content-length", "7"), ("transfer-encoding", "chunked")],
            &[("transfer-encoding", "gzip, chunked")],
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
        ] {
            assert!(of(lines).is_err(), "{lines:?}");
        }
    }

    #[test]
    fn a_connection_that_closes_ends_only_what_has_no_other_end() {
        assert!(Framing::UntilClosed.closed().is_ok());
        assert!(Framing::Length(0).closed().is_ok());
        assert!(Framing::Length(1).closed().is_err());
        assert!(chunked().closed().is_err());
    }
}
