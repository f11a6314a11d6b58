//! Bytes to text: UTF-8 or UTF-16, with or without a byte order mark; what is neither is refused with its place.

use std::borrow::Cow;

/// Why bytes are not text, and at which byte (from 0).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at byte {offset}")]
pub struct TextError {
    pub message: String,
    pub offset: usize,
}

impl TextError {
    fn new(message: impl Into<String>, offset: usize) -> Self {
        Self { message: message.into(), offset }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Utf16LittleEndian,
    Utf16BigEndian,
    Utf32,
}

/// The text in `bytes`, without its byte order mark; line ends stay as they are.
///
/// UTF-16 without a mark is known by the NUL beside its first character, which in every text we read is ASCII.
///
/// # Errors
/// [`TextError`] for UTF-32, for bytes that are not valid in their encoding, and for the character U+0000, which neither
/// our formats nor Postgres can hold.
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, TextError> {
    let (encoding, mark) = encoding_of(bytes);
    let body = &bytes[mark..];
    let text = match encoding {
        Encoding::Utf8 => Cow::Borrowed(std::str::from_utf8(body).map_err(|error| {
            TextError::new("this is neither UTF-8 nor UTF-16: invalid byte", mark + error.valid_up_to())
        })?),
        Encoding::Utf16LittleEndian => Cow::Owned(utf16(body, mark, u16::from_le_bytes)?),
        Encoding::Utf16BigEndian => Cow::Owned(utf16(body, mark, u16::from_be_bytes)?),
        Encoding::Utf32 => return Err(TextError::new("this is UTF-32; send it as UTF-8", 0)),
    };
    match memchr::memchr(0, text.as_bytes()) {
        Some(at) => {
            let before = &text[..at];
            let width = if encoding == Encoding::Utf8 { before.len() } else { 2 * before.encode_utf16().count() };
            Err(TextError::new("the character U+0000 is not allowed", mark + width))
        }
        None => Ok(text),
    }
}

fn encoding_of(bytes: &[u8]) -> (Encoding, usize) {
    match bytes {
        [0xEF, 0xBB, 0xBF, ..] => (Encoding::Utf8, 3),
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => (Encoding::Utf32, 4),
        [0xFF, 0xFE, ..] => (Encoding::Utf16LittleEndian, 2),
        [0xFE, 0xFF, ..] => (Encoding::Utf16BigEndian, 2),
        [0, 0, 0, 1..=255, ..] | [1..=255, 0, 0, 0, ..] => (Encoding::Utf32, 0),
        [0, 1..=255, ..] => (Encoding::Utf16BigEndian, 0),
        [1..=255, 0, ..] if bytes.len().is_multiple_of(2) => (Encoding::Utf16LittleEndian, 0),
        _ => (Encoding::Utf8, 0),
    }
}

fn utf16(body: &[u8], mark: usize, unit: fn([u8; 2]) -> u16) -> Result<String, TextError> {
    let (pairs, rest) = body.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(TextError::new("this UTF-16 text ends in the middle of a character", mark + body.len() - 1));
    }
    let mut text = String::with_capacity(body.len());
    let mut offset = mark;
    for character in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        let character = character.map_err(|_| TextError::new("invalid UTF-16: half of a surrogate pair", offset))?;
        offset += 2 * character.len_utf16();
        text.push(character);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn every_usual_encoding_gives_the_same_text() {
        let text = "openapi: 3.1.0\r\ninfo: {title: Grüße 🚢}\r\n";
        let little = units(text, u16::to_le_bytes);
        let big = units(text, u16::to_be_bytes);

        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xEF\xBB\xBF", text.as_bytes()].concat(),
            [&[0xFF, 0xFE], little.as_slice()].concat(),
            [&[0xFE, 0xFF], big.as_slice()].concat(),
            little,
            big,
        ] {
            assert_eq!(decode(&bytes).as_deref(), Ok(text), "{:?}", &bytes[..4]);
        }
        assert_eq!(decode(b"").as_deref(), Ok(""));
    }

    #[test]
    fn what_is_not_text_is_refused_with_its_byte() {
        let nul_in_utf16 = [&[0xFF, 0xFE], units("aü\0", u16::to_le_bytes).as_slice()].concat();
        for (bytes, offset) in [
            (&b"ab\xFFc"[..], 2),
            (b"\xEF\xBB\xBFab\xC3", 5),
            (b"ab\0c", 2),
            (&nul_in_utf16, 6),
            (b"\xFF\xFEa\0\x00\xD8", 4),
            (b"\xFF\xFEa\0b", 4),
            (b"\xFF\xFE\0\0a\0\0\0", 0),
            (b"{\0\0\0}\0\0\0", 0),
        ] {
            assert_eq!(decode(bytes).map_err(|error| error.offset), Err(offset), "{bytes:?}");
        }
    }
}
