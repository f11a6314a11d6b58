//! Ready answers: bytes with their entity tag, kept as long as the catalog says they are true.
//!
//! An answer is built once and then served without the database. It is kept under what the asker may see and the target
//! of the request, with the catalog's counter from before it was read: when the counter has moved, it is built anew.

use crate::{catalog::Generations, door::is_fresh};
use axum::{body::Body, response::Response};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use std::{
    io::Write,
    sync::{Arc, OnceLock},
};

/// Bodies below this many bytes gain nothing from compression.
const WORTH_COMPRESSING: usize = 1_024;

/// A JSON answer.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
    tag: HeaderValue,
    /// The tag of the compressed form: other bytes need another strong tag (RFC 9110, 8.8.3).
    gzip_tag: HeaderValue,
    gzip: OnceLock<Bytes>,
}

impl Answer {
    pub fn json(status: StatusCode, body: Vec<u8>) -> Self {
        Self::of(status, "application/json", body)
    }

    pub fn problem(status: StatusCode, body: Vec<u8>) -> Self {
        Self::of(status, "application/problem+json", body)
    }

    fn of(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Self {
        let digest = hex::encode(&Sha256::digest(&body)[..12]);
        let tag = |suffix: &str| {
            HeaderValue::from_str(&format!("\"{digest}{suffix}\"")).expect("hexadecimal digits are legal in a header")
        };
        Self { status, content_type, body: body.into(), tag: tag(""), gzip_tag: tag("-gzip"), gzip: OnceLock::new() }
    }

    /// The response to a request with these headers: compressed where that is welcome, 304 where the client has it.
    pub fn respond(&self, method: &Method, headers: &HeaderMap) -> Response {
        let compressed = self.body.len() >= WORTH_COMPRESSING && accepts_gzip(headers);
        let tag = if compressed { &self.gzip_tag } else { &self.tag };
        let reading = method == Method::GET || method == Method::HEAD;
        let known = reading && self.status == StatusCode::OK && is_fresh(headers, tag);

        let body = match (known, compressed) {
            (true, _) => Body::empty(),
            (false, true) => Body::from(self.gzip.get_or_init(|| compress(&self.body)).clone()),
            (false, false) => Body::from(self.body.clone()),
        };
        let mut response = Response::new(body);
        *response.status_mut() = if known { StatusCode::NOT_MODIFIED } else { self.status };
        let answer = response.headers_mut();
        if !known {
            answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
            if compressed {
                answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
        }
        if reading && self.status == StatusCode::OK {
            answer.insert(header::ETAG, tag.clone());
            // Whoever keeps it asks again each time, which costs a few bytes when nothing changed.
            answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        } else {
            answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        answer.insert(header::VARY, HeaderValue::from_static("Accept-Encoding, Authorization"));
        response
    }

    fn weight(&self) -> u32 {
        // The compressed form may come later; it is counted from the start.
        u32::try_from(self.body.len() * 5 / 4 + 512).unwrap_or(u32::MAX)
    }
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
            named && !parts.any(|part| part.trim_start_matches("q=").parse::<f32>().is_ok_and(|weight| weight == 0.0))
        })
    })
}

fn compress(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::new(5));
    encoder.write_all(body).expect("writing to a vector cannot fail");
    encoder.finish().expect("writing to a vector cannot fail").into()
}

/// On what the truth of an answer depends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// On every server.
    All(u64),
    /// On the one of this registry name.
    Server(Box<str>, u64),
    /// On what the first name's generation says, and on another stamp.
    Both(Box<str>, u64, Box<Self>),
}

impl Stamp {
    pub fn of_all(generations: &Generations) -> Self {
        Self::All(generations.of_all())
    }

    pub fn of_server(generations: &Generations, name: &str) -> Self {
        Self::Server(name.into(), generations.of_name(name))
    }

    /// Itself, as long as this name's generation has not moved either.
    pub fn and(self, name: &str, count: u64) -> Self {
        Self::Both(name.into(), count, Box::new(self))
    }

    fn holds(&self, generations: &Generations) -> bool {
        match self {
            Self::All(count) => *count == generations.of_all(),
            Self::Server(name, count) => *count == generations.of_name(name),
            Self::Both(name, count, other) => *count == generations.of_name(name) && other.holds(generations),
        }
    }
}

/// The answers that are kept; cheap to clone.
#[derive(Clone)]
pub(super) struct Answers {
    kept: Cache<Box<str>, Arc<Kept>>,
    generations: Generations,
}

struct Kept {
    stamp: Stamp,
    answer: Arc<Answer>,
}

impl Answers {
    /// Keeps answers of at most `bytes` bytes in all, those asked for most.
    pub fn new(generations: Generations, bytes: u64) -> Self {
        #[expect(clippy::borrowed_box, reason = "the cache hands out its key as it keeps it")]
        let weigh = |key: &Box<str>, kept: &Arc<Kept>| kept.answer.weight().saturating_add(key.len() as u32);
        Self { kept: Cache::builder().max_capacity(bytes).weigher(weigh).build(), generations }
    }

    /// The answer kept under `key`, if it is still true.
    pub fn get(&self, key: &str) -> Option<Arc<Answer>> {
        let kept = self.kept.get(key)?;
        kept.stamp.holds(&self.generations).then(|| kept.answer.clone())
    }

    /// Keeps an answer that was read after `stamp` was taken.
    pub fn put(&self, key: &str, stamp: Stamp, answer: Arc<Answer>) {
        self.kept.insert(key.into(), Arc::new(Kept { stamp, answer }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn get(answer: &Answer, pairs: &[(header::HeaderName, &str)]) -> Response {
        answer.respond(&Method::GET, &headers(pairs))
    }

    #[test]
    fn a_client_that_has_it_gets_304() {
        let answer = Answer::json(StatusCode::OK, b"{}".to_vec());
        let tag = get(&answer, &[]).headers()[header::ETAG].to_str().unwrap().to_owned();

        for sent in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let response = get(&answer, &[(header::IF_NONE_MATCH, &sent)]);
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{sent}");
            assert!(response.headers().contains_key(header::ETAG));
        }
        assert_eq!(get(&answer, &[(header::IF_NONE_MATCH, "\"other\"")]).status(), StatusCode::OK);
    }

    #[test]
    fn long_bodies_are_compressed_for_those_who_accept_it() {
        let long = Answer::json(StatusCode::OK, vec![b' '; 4_000]);
        let coding = |accept: &str| {
            let response = get(&long, &[(header::ACCEPT_ENCODING, accept)]);
            response.headers().get(header::CONTENT_ENCODING).cloned()
        };

        assert_eq!(coding("deflate, gzip;q=0.5").unwrap(), "gzip");
        assert_eq!(coding("gzip;q=0"), None);
        assert_eq!(coding("identity"), None);
        let plain = get(&long, &[]).headers()[header::ETAG].clone();
        let gzip = get(&long, &[(header::ACCEPT_ENCODING, "gzip")]).headers()[header::ETAG].clone();
        assert_ne!(plain, gzip);
    }

    #[test]
    fn an_answer_is_kept_until_what_it_tells_of_changes() {
        let generations = Generations::default();
        let answers = Answers::new(generations.clone(), 1 << 20);
        let answer = || Arc::new(Answer::json(StatusCode::OK, b"{}".to_vec()));
        answers.put("/one", Stamp::of_server(&generations, "a/b"), answer());
        answers.put("/all", Stamp::of_all(&generations), answer());
        assert!(answers.get("/one").is_some() && answers.get("/all").is_some());

        generations.changed("c/d");
        assert!(answers.get("/one").is_some() && answers.get("/all").is_none());

        generations.changed("a/b");
        assert!(answers.get("/one").is_none());
    }
}
