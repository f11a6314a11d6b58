//! How fast prompts are counted: prose, a word without an end, and what else takes long.

use std::time::Instant;
use wharfinger::gateway::tokens::estimate;
use wharfinger::wire::call::{Call, Dialect};

fn main() {
    let words = "The harbour master writes down which ship lies at which berth, when it came, and what it is loading. ";
    let prose = words.repeat(1_000_000 / words.len());
    let one_word = "a".repeat(1_000_000);
    let spaces = " ".repeat(1_000_000);
    let mixed: String =
        (0..1_000_000_u32).map(|n| char::from(b'!' + (n.wrapping_mul(2_654_435_761) >> 24) as u8 % 90)).collect();
    let by_turns = "ab".repeat(500_000);
    // Nothing of it is a word of the vocabulary: it is put together letter by letter.
    let letters: String =
        (0..1_000_000_u32).map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 20) as u8 % 26)).collect();
    for model in ["gpt-4o", "gpt-4", "claude-sonnet-4"] {
        for (what, text, goal) in [
            ("prose", &prose, "goal: 50 MB/s"),
            ("one word of 1 MB", &one_word, "goal: at most 10 ms for 1 MB"),
            ("spaces, 1 MB", &spaces, "goal: at most 10 ms for 1 MB"),
            ("noise, 1 MB", &mixed, "goal: at most 10 ms for 1 MB"),
            ("two letters by turns, 1 MB", &by_turns, "no goal, but no more for each byte when there are more"),
            ("letters at random, 1 MB", &letters, "no goal, but no more for each byte when there are more"),
        ] {
            let body = serde_json::json!({"model": model, "messages": [{"role": "user", "content": text}]}).to_string();
            let call = Call::read(Dialect::Chat, body.as_bytes(), None).expect("it is a chat");
            // The vocabulary is loaded by the first.
            let tokens = estimate(&call, model, body.as_bytes()).input;
            let took = (0..5)
                .map(|_| {
                    let begun = Instant::now();
                    std::hint::black_box(estimate(&call, model, body.as_bytes()));
                    begun.elapsed().as_secs_f64()
                })
                .fold(f64::INFINITY, f64::min);
            println!(
                "counting {what}, {model}\t{:.1} ms\t{:.0} MB/s, {tokens} tokens; {goal}",
                took * 1000.0,
                1.0 / took
            );
        }
    }
}
