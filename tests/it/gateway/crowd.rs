//! A crowd of clients who ask without pause, know how each of their requests ended, and compare that with the ledger.

use crate::support::vendor::{PROMPT, Vendor};
use crate::support::{Dice, Program};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const ADMIN_KEY: &str = "whf_the_key_of_whoever_looks_after_this_house_0000";

/// [`PROMPT`] tokens as a chat: three around the message, one for its role, four words, three before the reply.
pub const QUESTION: &str = "one two three four";

/// How a request ended for its client.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// It saw the end of a good answer.
    Whole,
    /// It was answered with another status.
    Refused(u16),
    /// It saw no end, or was not answered.
    Cut,
}

/// Clients and the ends of their requests; cheap to clone.
#[derive(Clone, Default)]
pub struct Crowd {
    ends: Arc<Mutex<BTreeMap<String, End>>>,
    next: Arc<AtomicU64>,
}

impl Crowd {
    /// Clients of this program who ask until they are stopped; a request under way then is waited for.
    pub fn visit(&self, program: &Program, clients: u64, seed: u64, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
        let visitor = |client: u64| {
            let (crowd, url, http, stop) = (self.clone(), program.url.clone(), program.http.clone(), stop.clone());
            tokio::spawn(async move {
                let mut dice = Dice::new(seed * 1_000 + client);
                while !stop.is_cancelled() {
                    if crowd.ask(&http, &url, dice.once_in(2), 5 + dice.below(35)).await != End::Whole {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            })
        };
        (0..clients).map(visitor).collect()
    }

    /// One chat of so many words.
    pub async fn ask(&self, http: &reqwest::Client, url: &str, stream: bool, length: u64) -> End {
        self.ask_of("fast", http, url, stream, length).await
    }

    /// As [`Crowd::ask`], of this model.
    pub async fn ask_of(&self, model: &str, http: &reqwest::Client, url: &str, stream: bool, length: u64) -> End {
        let mark = format!("request-{}", self.next.fetch_add(1, Ordering::Relaxed));
        let body = json!({"model": model, "stream": stream, "max_tokens": length, "user": mark,
            "messages": [{"role": "user", "content": QUESTION}]});
        let request = http.post(format!("{url}/llm/v1/chat/completions")).bearer_auth(ADMIN_KEY);
        let end = match request.header("x-request-id", &mark).json(&body).send().await {
            Err(_) => End::Cut,
            Ok(answer) if answer.status() != 200 => End::Refused(answer.status().as_u16()),
            Ok(answer) => match answer.text().await {
                Ok(text) if is_whole(&text, stream, length) => End::Whole,
                _ => End::Cut,
            },
        };
        self.ends.lock().unwrap().insert(mark, end);
        end
    }

    pub fn ends(&self) -> BTreeMap<String, End> {
        self.ends.lock().unwrap().clone()
    }

    pub fn count(&self, end: End) -> usize {
        self.ends.lock().unwrap().values().filter(|other| **other == end).count()
    }

    /// Compares the ledger with what clients saw and what the vendor did. Settled is what a client saw the end of: it is in
    /// the ledger once, with the tokens that were produced. What was cut is there at most once, with at most those. Sums and
    /// quotas are those of the records.
    pub async fn compare(&self, db: &PgPool, vendor: &Vendor) {
        let rows = self.rows(db).await;
        let served = vendor.seen.served.lock().unwrap().clone();
        let served: BTreeMap<&str, _> = served.iter().map(|one| (one.mark.as_str(), one)).collect();
        let ends = self.ends();
        let (mut settled, mut of_cut) = (0, 0);
        for (mark, (times, input, output)) in &rows {
            assert_eq!(*times, 1, "{mark} is there more than once");
            let one = served.get(mark.as_str()).unwrap_or_else(|| panic!("{mark} was never at the vendor"));
            match ends[mark] {
                End::Whole => {
                    assert_eq!((*input, *output), (PROMPT, one.produced), "{mark}: {one:?}");
                    settled += 1;
                }
                End::Cut => {
                    assert!(*output <= one.produced, "{mark}: {output} of {one:?}");
                    of_cut += 1;
                }
                End::Refused(status) => panic!("{mark} was refused with {status}, and is charged"),
            }
        }
        println!(
            "{} requests: {settled} settled, each once; {} cut, of which {of_cut} are in the ledger; {} at the vendor",
            ends.len(),
            self.count(End::Cut),
            served.len()
        );
        let lost: Vec<_> = ends.iter().filter(|(mark, end)| **end == End::Whole && !rows.contains_key(*mark)).collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        let (records, tokens): (i64, i64) =
            sqlx::query_as("select count(*), coalesce(sum(input + output), 0)::bigint from usage_record")
                .fetch_one(db)
                .await
                .unwrap();
        for period in ["minute", "hour", "day"] {
            let statement =
                "select sum(requests)::bigint, sum(input + output)::bigint from usage_rollup where period = $1";
            let sums: (i64, i64) = sqlx::query_as(statement).bind(period).fetch_one(db).await.unwrap();
            assert_eq!(sums, (records, tokens), "the sums of each {period}");
        }
        let quota: i64 = sqlx::query_scalar("select sum(used)::bigint from usage_counter").fetch_one(db).await.unwrap();
        assert_eq!(quota, tokens, "the quota");
    }

    /// The records of what went to the vendor, by request, once all that were settled are there: how often, tokens.
    async fn rows(&self, db: &PgPool) -> BTreeMap<String, (i64, u64, u64)> {
        let begun = Instant::now();
        loop {
            let statement = "select request_id, count(*), sum(input)::bigint, sum(output)::bigint from usage_record
                             where backend <> '' group by 1";
            let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(statement).fetch_all(db).await.unwrap();
            let unsigned = |number: i64| number.cast_unsigned();
            let rows: BTreeMap<_, _> = rows
                .into_iter()
                .map(|(mark, times, input, output)| (mark, (times, unsigned(input), unsigned(output))))
                .collect();
            let all = self.ends().iter().all(|(mark, end)| *end != End::Whole || rows.contains_key(mark));
            if all || begun.elapsed() > Duration::from_secs(30) {
                return rows;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

fn is_whole(text: &str, stream: bool, length: u64) -> bool {
    let ends = if stream { text.ends_with("data: [DONE]\n\n") } else { serde_json::from_str::<Value>(text).is_ok() };
    ends && text.matches(" word").count() as u64 == length
}

/// A pool's name, and the moods of its backends; it is the model's too.
pub type Pool<'a> = (&'a str, &'a [&'a str]);

/// Applies settings with a route for each of these pools, all under these policies.
pub async fn configure(program: &Program, vendor: &Vendor, pools: &[Pool<'_>], policies: &[(&str, Value)]) {
    let name = |pool: &str, mood: &str| format!("{pool}-{}", mood.replace('+', "-"));
    let backends = pools.iter().flat_map(|(pool, moods)| {
        moods.iter().map(move |mood| {
            let url = format!("{}/v1", vendor.url(mood));
            json!({"name": name(pool, mood), "provider": "openai", "url": url, "credential": "vendor"})
        })
    });
    let pooled = pools.iter().map(|(pool, moods)| {
        let members: Vec<_> = moods.iter().map(|mood| json!({"backend": name(pool, mood)})).collect();
        json!({"name": pool, "strategy": "round-robin", "members": members})
    });
    let acting: Vec<_> = policies.iter().map(|(name, _)| *name).collect();
    let routes = pools
        .iter()
        .map(|(pool, _)| json!({"name": pool, "serves": {"models": [pool]}, "pool": pool, "policies": acting}));
    let file = json!({
        "credentials": [{"name": "vendor", "apiKey": {"value": "${VENDOR_KEY}"}}],
        "backends": backends.collect::<Vec<_>>(),
        "pools": pooled.collect::<Vec<_>>(),
        "policies": policies.iter().map(|(name, rule)| json!({"name": name, "rule": rule})).collect::<Vec<_>>(),
        "routes": routes.collect::<Vec<_>>(),
    });
    let body = json!({"file": file, "secrets": {"VENDOR_KEY": super::house::VENDOR_KEY}});
    let request = program.http.post(format!("{}/api/v1/gateway/apply", program.url)).bearer_auth(ADMIN_KEY);
    let answer = request.json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
}

/// A quota that nobody reaches, so that there is a counter to compare.
pub fn wide_quota() -> Value {
    json!({"tokenLimit": {"counterKey": "{key}", "quotas": [{"period": "day", "tokens": 1_000_000_000}]}})
}
