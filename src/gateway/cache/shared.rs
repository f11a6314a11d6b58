//! Answers that replicas share through Redis or Valkey. It being away is a miss, and never an error to a caller.
//!
//! Below `wharfinger:cache:` lie, for a partition P and a question E (both as hexadecimal digits):
//!
//! | key | what |
//! | --- | --- |
//! | `answer:PE` | the answer with the labels by which it is purged; ends with its time |
//! | `near:P` | of each question that is compared by meaning its wording and its vector, but no text |
//! | `order:P` | those questions, oldest first |
//! | `ends`, `sizes` | when each answer ends, and its bytes; `all` is their sum |
//!
//! Vectors are fetched and compared here: what lies in one partition is bounded, and no module for vectors is needed there.
//! Time is Redis' own, which all replicas share.

use super::Question;
use super::answer::{CacheStatus, Found, Looked, Purge, Stored, similarity};
use crate::base::Sealed;
use crate::embed::{DIMENSIONS, Vector};
use crate::gateway::redis_link::RedisLink;
use bytes::Bytes;
use http::HeaderValue;
use redis::{RedisError, RedisResult, Script, aio::ConnectionManager};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const BASE: &str = "wharfinger:cache:";
/// Questions of one partition that are compared by meaning; the oldest go first. All of them travel for each comparison.
const COMPARED: usize = 256;
/// The nearest that are tried: their answers may have ended before them.
const TRIED: usize = 3;
/// Answers that are looked at in one step of a purge.
const PAGE: usize = 500;

/// What both scripts do: forgetting, first of all what has ended.
const FORGET: &str = r"
local base = ARGV[1]
local ends, sizes = base .. 'ends', base .. 'sizes'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function forget(member)
  local place, question = string.sub(member, 1, 32), string.sub(member, 33)
  local size = tonumber(redis.call('HGET', sizes, member) or 0)
  redis.call('HDEL', sizes, member)
  redis.call('HINCRBY', sizes, 'all', 0 - size)
  redis.call('HDEL', base .. 'near:' .. place, question)
  redis.call('LREM', base .. 'order:' .. place, 0, question)
  redis.call('DEL', base .. 'answer:' .. member)
  return redis.call('ZREM', ends, member)
end
for _, member in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, 200)) do forget(member) end
";

const KEEP: &str = r"
local ttl, size, most, compared = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local place, question, vector = ARGV[6], ARGV[7], ARGV[8]
local member = place .. question
forget(member)
local answer = base .. 'answer:' .. member
redis.call('HSET', answer, 'at', string.format('%.0f', now), 'head', ARGV[9], 'body', ARGV[10],
  'route', ARGV[11], 'asset', ARGV[12], 'key', ARGV[13])
redis.call('PEXPIRE', answer, ttl)
redis.call('ZADD', ends, now + ttl, member)
redis.call('HSET', sizes, member, size)
redis.call('HINCRBY', sizes, 'all', size)
if vector ~= '' then
  local near, order = base .. 'near:' .. place, base .. 'order:' .. place
  redis.call('HSET', near, question, vector)
  redis.call('RPUSH', order, question)
  if redis.call('LLEN', order) > compared then redis.call('HDEL', near, redis.call('LPOP', order)) end
  for _, key in ipairs({ near, order }) do
    if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, ttl) end
  end
end
for _ = 1, 200 do
  if tonumber(redis.call('HGET', sizes, 'all')) <= most then break end
  local first = redis.call('ZRANGE', ends, 0, 0)[1]
  if not first then break end
  forget(first)
end
return 1
";

const PURGE: &str = r"
local gone = 0
for n = 2, #ARGV do gone = gone + forget(ARGV[n]) end
return gone
";

pub(super) struct Shared {
    link: RedisLink,
    most_bytes: usize,
    /// Names the vectors of this replica: those of another model cannot be compared with them.
    space: String,
    keep: Script,
    purge: Script,
}

/// What is known of an answer beside its bytes and labels.
#[derive(Serialize, Deserialize)]
struct Head {
    content_type: Option<String>,
    /// Their lengths.
    pieces: Vec<usize>,
    is_stream: bool,
    vendor_model: String,
    backend: String,
    input: u64,
    output: u64,
    cost: u64,
}

/// An answer as it lies there: head, body, when it was given, and its labels.
type Row = (Option<Vec<u8>>, Option<Vec<u8>>, Option<u64>, Option<String>, Option<String>, Option<String>);

impl Shared {
    /// # Errors
    /// When the address cannot be read.
    pub(super) fn new(url: &Sealed<String>, most_bytes: usize, space: &str) -> RedisResult<Self> {
        let link = RedisLink::new(url, "cache of answers")?;
        let script = |rest: &str| Script::new(&format!("{FORGET}{rest}"));
        Ok(Self { link, most_bytes, space: space.to_owned(), keep: script(KEEP), purge: script(PURGE) })
    }

    pub(super) async fn look(&self, question: &Question, now: Duration) -> Looked {
        let (answer, near) = (answer_key(&member(question)), near_key(question));
        let asked = self.ask(now, async |mut connection| {
            let mut pipe = redis::pipe();
            pipe.cmd("TIME").cmd("HMGET").arg(answer).arg(&FIELDS[..]).cmd("EXISTS").arg(near);
            pipe.query_async::<((u64, u64), Row, bool)>(&mut connection).await
        });
        let Some((time, row, has_others)) = asked.await else { return Looked::Nothing };
        match found(row, time, 1.0, true) {
            Some(found) => Looked::Same(found),
            None if has_others => Looked::Others,
            None => Looked::Nothing,
        }
    }

    /// Of those at least as near as `threshold`, the nearest.
    pub(super) async fn nearest(
        &self,
        question: &Question,
        vector: &Vector,
        threshold: f32,
        now: Duration,
    ) -> Option<Found> {
        let near = near_key(question);
        let asked = self.ask(now, async |mut connection| {
            redis::cmd("HGETALL").arg(near).query_async::<HashMap<String, Vec<u8>>>(&mut connection).await
        });
        let wording = question.wording.digest(&self.space);
        let mut near: Vec<(f32, String)> = asked
            .await?
            .into_iter()
            .filter_map(|(other, kept)| {
                let (its_wording, its_vector) = unpacked(&kept)?;
                let similarity = similarity(&its_vector, vector);
                (its_wording == wording && similarity >= threshold).then_some((similarity, other))
            })
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (similarity, other) in near.into_iter().take(TRIED) {
            let answer = answer_key(&format!("{}{other}", hex::encode(question.partition)));
            let asked = self.ask(now, async |mut connection| {
                let mut pipe = redis::pipe();
                pipe.cmd("TIME").cmd("HMGET").arg(answer).arg(&FIELDS[..]);
                pipe.query_async::<((u64, u64), Row)>(&mut connection).await
            });
            let (time, row) = asked.await?;
            if let Some(found) = found(row, time, similarity, false) {
                return Some(found);
            }
        }
        None
    }

    /// Keeps an answer for `ttl`. Too large a one is not kept.
    pub(super) async fn keep(
        &self,
        question: &Question,
        vector: Option<&Vector>,
        stored: &Stored,
        ttl: Duration,
        now: Duration,
    ) {
        let size = stored.bytes();
        if size > self.most_bytes / 8 || ttl.is_zero() {
            return;
        }
        let head = Head {
            content_type: stored.content_type.as_ref().and_then(|value| value.to_str().ok()).map(str::to_owned),
            pieces: stored.pieces.iter().map(Bytes::len).collect(),
            is_stream: stored.is_stream,
            vendor_model: stored.vendor_model.clone(),
            backend: stored.backend.clone(),
            input: stored.input,
            output: stored.output,
            cost: stored.cost,
        };
        let head = serde_json::to_vec(&head).expect("texts and numbers serialise");
        let mut call = self.keep.prepare_invoke();
        call.arg(BASE).arg(ttl.as_millis() as u64).arg(size).arg(self.most_bytes).arg(COMPARED);
        call.arg(hex::encode(question.partition)).arg(hex::encode(question.exact));
        call.arg(vector.map(|vector| packed(&question.wording.digest(&self.space), vector)).unwrap_or_default());
        call.arg(head).arg(stored.pieces.concat());
        call.arg(&stored.route).arg(&stored.asset).arg(&stored.key);
        self.ask(now, async |mut connection| call.invoke_async::<u64>(&mut connection).await).await;
    }

    /// Gives how many went; none when the store does not answer, and then not all may have gone.
    pub(super) async fn purge(&self, which: &Purge, now: Duration) -> Option<usize> {
        let mut gone = 0;
        let mut cursor = 0_u64;
        loop {
            let asked = self.ask(now, async |mut connection| {
                let mut scan = redis::cmd("ZSCAN");
                scan.arg(format!("{BASE}ends")).arg(cursor).arg("COUNT").arg(PAGE);
                let (next, scanned): (u64, Vec<(String, f64)>) = scan.query_async(&mut connection).await?;
                let members: Vec<String> = scanned.into_iter().map(|(member, _)| member).collect();
                Ok::<_, RedisError>((next, self.forget(&mut connection, which, members).await?))
            });
            let (next, went) = asked.await?;
            gone += went;
            if next == 0 {
                return Some(gone);
            }
            cursor = next;
        }
    }

    /// Forgets those of these answers that are to go.
    async fn forget(
        &self,
        connection: &mut ConnectionManager,
        which: &Purge,
        members: Vec<String>,
    ) -> RedisResult<usize> {
        if members.is_empty() {
            return Ok(0);
        }
        let mut pipe = redis::pipe();
        for member in &members {
            pipe.cmd("HMGET").arg(answer_key(member)).arg(&["route", "asset", "key"][..]);
        }
        let labels: Vec<(Option<String>, Option<String>, Option<String>)> = pipe.query_async(connection).await?;
        let mut call = self.purge.prepare_invoke();
        call.arg(BASE);
        let mut some = false;
        for (member, (route, asset, key)) in members.iter().zip(labels) {
            let text = Option::unwrap_or_default;
            if which.takes(&text(route), &text(asset), &text(key)) {
                call.arg(member);
                some = true;
            }
        }
        if some { call.invoke_async(connection).await } else { Ok(0) }
    }

    /// Forgets some of what has ended.
    pub(super) async fn sweep(&self, now: Duration) {
        let mut call = self.purge.prepare_invoke();
        call.arg(BASE);
        self.ask(now, async |mut connection| call.invoke_async::<u64>(&mut connection).await).await;
    }

    pub(super) async fn status(&self, now: Duration) -> Option<CacheStatus> {
        let asked = self.ask(now, async |mut connection| {
            let mut pipe = redis::pipe();
            pipe.cmd("ZCARD").arg(format!("{BASE}ends")).cmd("HGET").arg(format!("{BASE}sizes")).arg("all");
            pipe.query_async::<(usize, Option<usize>)>(&mut connection).await
        });
        let (answers, bytes) = asked.await?;
        Some(CacheStatus { answers, bytes: bytes.unwrap_or(0) })
    }

    async fn ask<T, F>(&self, now: Duration, asked: impl FnOnce(ConnectionManager) -> F) -> Option<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        if self.link.is_away(now) {
            return None;
        }
        let answer = self.link.ask(now, asked).await;
        if answer.is_none() {
            metrics::counter!("wharfinger_gateway_cache_store_errors_total").increment(1);
        }
        answer
    }
}

const FIELDS: [&str; 6] = ["head", "body", "at", "route", "asset", "key"];

fn member(question: &Question) -> String {
    format!("{}{}", hex::encode(question.partition), hex::encode(question.exact))
}

fn answer_key(member: &str) -> String {
    format!("{BASE}answer:{member}")
}

fn near_key(question: &Question) -> String {
    format!("{BASE}near:{}", hex::encode(question.partition))
}

/// An answer as it lay there; none when it is not there, or is none of ours.
fn found(row: Row, (seconds, micros): (u64, u64), similarity: f32, is_exact: bool) -> Option<Found> {
    let (Some(head), Some(body), Some(at), route, asset, key) = row else { return None };
    let head: Head = serde_json::from_slice(&head).ok()?;
    let mut body = Bytes::from(body);
    if head.pieces.iter().try_fold(0_usize, |sum, length| sum.checked_add(*length)) != Some(body.len()) {
        return None;
    }
    let stored = Stored {
        content_type: head.content_type.and_then(|value| HeaderValue::try_from(value).ok()),
        pieces: head.pieces.into_iter().map(|length| body.split_to(length)).collect(),
        is_stream: head.is_stream,
        vendor_model: head.vendor_model,
        backend: head.backend,
        input: head.input,
        output: head.output,
        cost: head.cost,
        route: route.unwrap_or_default(),
        asset: asset.unwrap_or_default(),
        key: key.unwrap_or_default(),
    };
    let age = Duration::from_millis((seconds * 1_000 + micros / 1_000).saturating_sub(at));
    Some(Found { stored: Arc::new(stored), similarity, is_exact, age })
}

/// A wording and a vector in 400 bytes: a byte for each direction is a quarter of the way to travel, and moves a
/// similarity by less than a hundredth.
fn packed(wording: &[u8; 16], vector: &[f32]) -> Vec<u8> {
    let longest = vector.iter().fold(f32::MIN_POSITIVE, |longest, x| longest.max(x.abs()));
    let directions = vector.iter().map(|x| (x / longest * 127.0).round() as i8 as u8);
    wording.iter().copied().chain(directions).collect()
}

fn unpacked(kept: &[u8]) -> Option<([u8; 16], Vec<f32>)> {
    let (wording, directions) = kept.split_first_chunk::<16>()?;
    if directions.len() != DIMENSIONS {
        return None;
    }
    let vector: Vec<f32> = directions.iter().map(|byte| f32::from(*byte as i8)).collect();
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    Some((*wording, vector.into_iter().map(|x| x / length).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unit(numbers: &[f32]) -> Vec<f32> {
        let length = numbers.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        numbers.iter().map(|x| x / length).collect()
    }

    proptest! {
        #[test]
        fn a_packed_vector_is_as_near_as_it_was(
            one in prop::collection::vec(-1.0_f32..1.0, DIMENSIONS),
            noise in prop::collection::vec(-0.5_f32..0.5, DIMENSIONS),
        ) {
            let other: Vec<f32> = one.iter().zip(&noise).map(|(x, y)| x + y).collect();
            let (one, other) = (unit(&one), unit(&other));

            let (wording, kept) = unpacked(&packed(&[7; 16], &one)).unwrap();

            prop_assert_eq!(wording, [7; 16]);
            prop_assert!((similarity(&kept, &other) - similarity(&one, &other)).abs() < 0.01);
        }
    }

    #[test]
    fn what_is_none_of_ours_is_not_taken_for_an_answer() {
        let head = br#"{"content_type":null,"pieces":[3,900],"is_stream":false,"vendor_model":"m","backend":"b","input":1,"output":1,"cost":0}"#;
        for head in [head.to_vec(), b"{}".to_vec()] {
            let row = (Some(head), Some(b"short".to_vec()), Some(1), None, None, None);
            assert_eq!(found(row, (1, 0), 1.0, true), None);
        }
        assert!(unpacked(b"short").is_none() && unpacked(&[0; 100]).is_none());
    }
}
