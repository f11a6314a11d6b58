//! `Hidden`: keeps our credential out of an answer that repeats what it was asked with, as some refusals do, and services
//! that show a request to whoever sent it.

use crate::gateway::exchange::ReplyFilter;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use memchr::memmem;

/// A credential, and the end of the last piece where that may be its begin.
pub(super) struct Hidden {
    secret: Bytes,
    held: Bytes,
}

impl Hidden {
    /// The credentials among the headers of a request: their values are marked as sensitive.
    pub(super) fn all(sent: &HeaderMap) -> impl Iterator<Item = Self> {
        let secrets = sent.values().filter(|value| value.is_sensitive()).map(HeaderValue::as_bytes);
        let bare = secrets.map(|secret| secret.strip_prefix(b"Bearer ").unwrap_or(secret));
        bare.filter(|secret| !secret.is_empty())
            .map(|secret| Self { secret: Bytes::copy_from_slice(secret), held: Bytes::new() })
    }

    /// Takes out headers that repeat it.
    pub(super) fn strip(&self, headers: &mut HeaderMap) {
        let repeating: Vec<_> = headers
            .iter()
            .filter(|(_, value)| memmem::find(value.as_bytes(), &self.secret).is_some())
            .map(|(name, _)| name.clone())
            .collect();
        for name in repeating {
            headers.remove(name);
        }
    }

    /// A whole answer with as many stars in its place, so that lengths stay true.
    pub(super) fn masked(&self, answer: Bytes) -> Bytes {
        if memmem::find(&answer, &self.secret).is_none() {
            return answer;
        }
        let mut masked = BytesMut::from(&answer[..]);
        for at in memmem::find_iter(&answer, &self.secret) {
            masked[at..at + self.secret.len()].fill(b'*');
        }
        masked.freeze()
    }

    /// How many bytes at the end of a piece may be the begin of the credential.
    fn begun(&self, piece: &[u8]) -> usize {
        let most = piece.len().min(self.secret.len() - 1);
        (1..=most).rev().find(|length| self.secret.starts_with(&piece[piece.len() - length..])).unwrap_or(0)
    }
}

impl ReplyFilter for Hidden {
    fn piece(&mut self, piece: Bytes) -> Bytes {
        let piece = if self.held.is_empty() { piece } else { [&self.held[..], &piece[..]].concat().into() };
        let mut masked = self.masked(piece);
        self.held = masked.split_off(masked.len() - self.begun(&masked));
        masked
    }

    fn end(&mut self) -> Bytes {
        std::mem::take(&mut self.held)
    }

    fn keeps_length(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(secret: &str) -> Hidden {
        let mut sent = HeaderMap::new();
        let mut value = HeaderValue::try_from(format!("Bearer {secret}")).unwrap();
        value.set_sensitive(true);
        sent.insert("authorization", value);
        sent.insert("accept", HeaderValue::from_static("text/plain"));
        Hidden::all(&sent).next().unwrap()
    }

    #[test]
    fn it_is_hidden_wherever_the_pieces_are_cut_and_lengths_stay() {
        let answer = "sk-1 was sent as sk-12sk-123 and sk-12";
        for size in 1..=answer.len() {
            let mut hidden = hidden("sk-123");
            let mut out = Vec::new();
            for piece in answer.as_bytes().chunks(size) {
                out.extend_from_slice(&hidden.piece(Bytes::copy_from_slice(piece)));
            }
            out.extend_from_slice(&hidden.end());
            assert_eq!(String::from_utf8(out).unwrap(), "sk-1 was sent as sk-12****** and sk-12", "{size}");
        }
    }

    #[test]
    fn a_header_that_repeats_it_is_left_out() {
        let mut headers = HeaderMap::new();
        headers.insert("x-you-sent", HeaderValue::from_static("authorization=Bearer sk-123"));
        headers.insert("etag", HeaderValue::from_static("\"1\""));

        hidden("sk-123").strip(&mut headers);

        assert_eq!(headers.keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["etag"]);
    }
}
