//! Counts are held against those of another tokenizer, which was found to count as OpenAI's own does.

use proptest::prelude::{Strategy, any, prop, prop_oneof, proptest};
use wharfinger_tokenizer::Tokenizer;

#[track_caller]
fn assert_counted_exactly(text: &str) {
    let both = [
        (Tokenizer::o200k_base(), bpe_openai::o200k_base(), "o200k_base"),
        (Tokenizer::cl100k_base(), bpe_openai::cl100k_base(), "cl100k_base"),
    ];
    for (ours, other, name) in both {
        assert_eq!(ours.count(text), other.count(text) as u64, "{name}: {text:?}");
    }
}

#[test]
fn known_texts_have_known_counts() {
    // Counted with OpenAI's own tokenizer.
    for (tokenizer, text, tokens) in [
        (Tokenizer::o200k_base(), "hello world", 2),
        (Tokenizer::cl100k_base(), "hello world", 2),
        (Tokenizer::o200k_base(), "", 0),
        (Tokenizer::cl100k_base(), "tiktoken is great!", 6),
    ] {
        assert_eq!(tokenizer.count(text), tokens, "{text}");
    }
}

#[test]
fn what_the_patterns_say_of_cases_marks_and_white_space_is_kept() {
    for text in [
        "it's IT'S it'S we'll WE'LL 'tis 'Twas they've you're I'd I'm 'sun 'ſun it'ſ o'clock l'l",
        "SomeCamelCase HTTPServer iPhone ABCdef日本ABC 日ABC ABC日 ǅungla ʰʰa ªº",
        "e\u{301}A \u{301}A \u{301}a \u{301} !\u{301} !!\u{301}\u{301}a 1\u{301}2",
        "1 12 123 1234 12345 ٣٤٥٦ ½⅓¼⅕ ①②③④ 1a1 a1a",
        "  two\t\ttabs\n\n\nlines  \n  \r\n\r\n trailing   ",
        "\u{a0}\u{3000}x\u{2028}\u{2029}\u{85}y \u{b}\u{c} z\u{feff}\u{200b}",
        "a/b//c /\n/\r\n!?//\n\n/ ...\n\n</div>\n\n  </p>",
        "👍🏽👨‍👩‍👧‍👦🇨🇭 ✨✨ \u{e0100} \u{10ffff}",
        "{\"key\": [1, 2.50, true, null], \"München\": \"straße\\n\"}",
        " ",
        "\n",
        "'",
        "''",
        " '",
        "\u{301}",
        "a",
        " a",
        "é",
        "日",
        "\0",
        "\0\0\0",
        "a\0b",
    ] {
        assert_counted_exactly(text);
    }
}

#[test]
fn long_texts_of_few_letters_are_counted_exactly() {
    for text in [
        format!("Before it {} and after.", "a".repeat(3_000)),
        format!("x{}y 12 {}", " ".repeat(2_000), "!".repeat(1_500)),
        format!("{}\n\n{}", "é".repeat(900), "Ab".repeat(700)),
        "The quay is long, isn't it? ".repeat(200),
        format!("a b {} c's d'll e", "zq".repeat(400)),
        format!("{} {}\r\n\r\n", "w".repeat(600), "\u{4f60}\u{597d}".repeat(300)),
        "ab".repeat(900),
        "ABCABD".repeat(400),
        format!("{}x", " ".repeat(500)).repeat(4),
        "\n \t\r ".repeat(300),
        "Иванов".repeat(300),
    ] {
        assert_counted_exactly(&text);
    }
}

#[test]
fn each_character_is_of_the_kind_that_the_patterns_name() {
    for character in (0..=u32::from(char::MAX)).step_by(7).filter_map(char::from_u32) {
        assert_counted_exactly(&format!("{character}aB {character} 1{character}\n{character}{character}C"));
    }
}

/// Characters of which the patterns speak, and some of each script.
fn characters() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-zA-Z ]",
        2 => "[ \\t\\r\\n'sStTlLrReEdDmMvV0-9.,!/_-]",
        2 => "[éßÀ日本語ёЖאב½٣ſ’]",
        1 => "[\\u{301}\\u{903}ǅʰª\\u{3000}\\u{a0}\\u{2028}😀🏽\\u{200d}ẞ\\u{212a}]",
        1 => any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_text_is_counted_exactly(
        parts in prop::collection::vec((characters(), prop_oneof![6 => 1usize..2, 1 => 1usize..70]), 0..60),
    ) {
        let text: String = parts.iter().map(|(part, times)| part.repeat(*times)).collect();
        assert_counted_exactly(&text);
    }

    #[test]
    fn letters_at_random_are_counted_exactly(text in "[a-z]{1,400}|[A-Za-z0-9+/]{1,400}|[ -~]{1,400}|[а-я]{1,200}|[一-龥]{1,100}") {
        assert_counted_exactly(&text);
    }

    #[test]
    fn words_without_an_end_are_counted_exactly_whatever_stands_around_them(
        before in "[a-zA-Z0-9 .,'!\\n\\té你]{0,12}",
        word in "[a-z]{2,5}|[A-Z]{2,5}|[a-z]|[A-Z]|l{2}|[ \\n]{1,3}",
        times in 110usize..700,
        after in "('s|'LL|'re|[a-zA-Z0-9 .,'!\\n\\té你]){0,8}",
    ) {
        assert_counted_exactly(&format!("{before}{}{after}", word.repeat(times)));
    }
}
