//! Which threshold of the semantic cache lets how many wordings of a question hit, and how many other questions; with the
//! real embedding model, on two sets of ours. The second was written when the rules beside the threshold were done.

use serde::Deserialize;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;
use wharfinger::base::config::default_data_dir;
use wharfinger::embed::{Embedder, Source, State};
use wharfinger::gateway::cache::{Cache, Question, Stored};
use wharfinger::gateway::settings::SemanticCache;

const SETS: [(&str, &str); 2] = [
    ("questions", include_str!("../../fixtures/cache/questions.jsonl")),
    ("held out", include_str!("../../fixtures/cache/held_out.jsonl")),
];

/// A question, other wordings of it, and questions that are near and others.
#[derive(Deserialize)]
struct Group {
    ask: String,
    same: Vec<String>,
    other: Vec<String>,
}

/// How near a text is to its group's question, and how near the cache says it is, where it would answer.
struct Tried {
    is_same: bool,
    nearness: f32,
    hit: Option<f32>,
}

async fn model() -> Option<Embedder> {
    let data = std::env::var_os("WHARFINGER_TEST_MODEL").map_or_else(default_data_dir, PathBuf::from);
    let model_dir = data.join("models/all-MiniLM-L6-v2");
    if !model_dir.join("model.onnx").is_file() {
        eprintln!("skipped: there is no model in {}", model_dir.display());
        return None;
    }
    let runtime = Some(data.join("lib/libonnxruntime.so")).filter(|path| path.is_file());
    let embedder = Embedder::start(Source { model_dir: Some(model_dir), runtime, hub_cache: None }, 1);
    assert_eq!(embedder.loaded().await, State::Ready);
    Some(embedder)
}

fn question(text: &str) -> Question {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": text}]});
    Question::of(&["everybody"], body.to_string().as_bytes(), 10).unwrap()
}

/// Keeps an answer to each question, all in one partition, and asks everything else. A hit on another group's answer counts
/// like one of a text that is no wording of it.
async fn tried(embedder: &Embedder, groups: &[Group]) -> Vec<Tried> {
    let cache = Cache::new(embedder.clone(), 64 << 20);
    let hour = Duration::from_secs(3_600);
    for (number, group) in groups.iter().enumerate() {
        let stored = Stored { key: number.to_string(), ..Stored::default() };
        cache.keep(question(&group.ask), stored, hour, Duration::ZERO).await;
    }
    let mut tried = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        let asked = embedder.embed_query(&group.ask).await.unwrap();
        let texts = group.same.iter().map(|text| (text, true)).chain(group.other.iter().map(|text| (text, false)));
        for (text, is_same) in texts {
            let vector = embedder.embed_query(text).await.unwrap();
            let nearness = asked.iter().zip(vector.iter()).map(|(a, b)| a * b).sum();
            let found = cache.find(&question(text), 0.0, Duration::ZERO).await;
            let is_of_group = found.as_ref().is_none_or(|found| found.stored.key == number.to_string());
            let hit = found.map(|found| found.similarity);
            tried.push(Tried { is_same: is_same && is_of_group, nearness, hit });
        }
    }
    tried
}

/// Of those that are the same, or are not, the part for which this holds; in hundredths.
fn part(tried: &[Tried], is_same: bool, holds: impl Fn(&Tried) -> bool) -> f64 {
    let of = || tried.iter().filter(|one| one.is_same == is_same);
    of().filter(|one| holds(one)).count() as f64 * 100.0 / of().count() as f64
}

#[tokio::test]
async fn at_the_default_threshold_wordings_hit_and_other_questions_do_not() {
    let Some(embedder) = model().await else { return };
    let default = SemanticCache::default().threshold;
    for (set, lines) in SETS {
        let groups: Vec<Group> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let tried = tried(&embedder, &groups).await;
        println!("{set}: {} questions, {} other texts", groups.len(), tried.len());
        println!("| threshold | same, by nearness alone | others | same, as it is | others |");
        for threshold in [0.80, 0.85, 0.90, 0.95, 0.98_f32] {
            let near = |one: &Tried| one.nearness >= threshold;
            let hits = |one: &Tried| one.hit.is_some_and(|hit| hit >= threshold);
            println!(
                "| {threshold:.2} | {:.1} % | {:.1} % | {:.1} % | {:.1} % |",
                part(&tried, true, near),
                part(&tried, false, near),
                part(&tried, true, hits),
                part(&tried, false, hits),
            );
        }
        let hits = |one: &Tried| one.hit.is_some_and(|hit| hit >= default);
        for (at, one) in tried.iter().enumerate().filter(|(_, one)| !one.is_same && hits(one)) {
            println!("wrong: text {at}, {:?}", one.hit);
        }
        assert!(part(&tried, false, hits) <= 1.0, "{set}: wrong answers");
        assert!(part(&tried, true, hits) >= 25.0, "{set}: hardly a hit");
    }
}
