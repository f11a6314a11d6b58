//! How fast prompts are counted: prose, a word without an end, and what else takes long.

use std::time::Instant;
use wharfinger::gateway::tokens::estimate;
use wharfinger::wire::call::{Call, Dialect};

fn main() {
    let words = "The harbour master writes down which ship lies at which berth, when it came, and what it is loading. ";
    let prose = words.repeat(1_000_000 / words.len());
    let one_word = "a".repeat(1_000_000);
    let spaces = " ".repeat(1_000_000);
    let by_turns = "ab".repeat(500_000);
    // Nothing of these is a word of the vocabulary: tokens are put together letter by letter.
    let mut letters = Letters(1);
    let noise = letters.text(|n| char::from(b'!' + (n % 94) as u8));
    let one_at_random = letters.text(|n| char::from(b'a' + (n % 26) as u8));
    let words_at_random = letters.text(|n| if n % 11 == 0 { ' ' } else { char::from(b'a' + (n / 11 % 26) as u8) });
    let cyrillic = letters.text(|n| char::from_u32(0x430 + n % 32).expect("a letter"));
    let han = letters.text(|n| char::from_u32(0x4e00 + n % 20_000).expect("a letter"));
    let (worst, more) =
        ("goal: at most 10 ms for 1 MB", "goal: at most 10 ms for 1 MB, which letters at random do not keep");
    for model in ["gpt-4o", "gpt-4", "claude-sonnet-4"] {
        for (what, text, goal) in [
            ("prose", &prose, "goal: 50 MB/s"),
            ("one word of 1 MB", &one_word, worst),
            ("spaces, 1 MB", &spaces, worst),
            ("two letters by turns, 1 MB", &by_turns, more),
            ("noise, 1 MB", &noise, more),
            ("letters at random, 1 MB", &one_at_random, more),
            ("words at random, 1 MB", &words_at_random, more),
            ("Cyrillic letters at random, 1 MB", &cyrillic, more),
            ("Chinese characters at random, 1 MB", &han, more),
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

/// Numbers at random, the same in each run (xorshift).
struct Letters(u32);

impl Letters {
    /// A megabyte of what is made of them.
    fn text(&mut self, letter: impl Fn(u32) -> char) -> String {
        let mut text = String::new();
        while text.len() < 1_000_000 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 17;
            self.0 ^= self.0 << 5;
            text.push(letter(self.0 >> 4));
        }
        text
    }
}
