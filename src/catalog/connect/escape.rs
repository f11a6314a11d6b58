//! Texts of strangers put into shell words, JSON, links and names so that they stay what they are: data.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// What `encodeURIComponent` leaves alone, less the characters that mean something in HTML or Markdown.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Without control characters and without the invisible ones that reorder or hide text: what is shown is what is run.
pub(super) fn visible(text: &str) -> String {
    text.chars().filter(|character| !is_hidden(*character)).collect()
}

fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// One word of a POSIX shell.
pub(super) fn word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_@%+:,./-".contains(&byte);
    // zsh expands a word that begins with `=`; inside a word the character is harmless.
    let is_plain = text.bytes().enumerate().all(|(at, byte)| plain(byte) || (at > 0 && byte == b'='));
    if is_plain && !text.is_empty() { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// A command line of quoted words.
pub(super) fn command(words: &[String]) -> String {
    words.iter().map(|one| word(one)).collect::<Vec<_>>().join(" ")
}

/// A part of an address.
pub(super) fn component(text: &str) -> String {
    utf8_percent_encode(text, COMPONENT).to_string()
}

/// JSON as people read it.
pub(super) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("a value is always JSON")
}

/// The name of the server in a client's configuration: letters, digits, `-` and `_`, at most 64, which is what the
/// strictest client takes.
///
/// The last part of the registry name; where that says nothing (`mcp`), the last label of the namespace goes before it.
pub(super) fn key(name: &str) -> String {
    let (namespace, slug) = name.rsplit_once('/').unwrap_or(("", name));
    let slug = slugged(slug);
    let says_nothing = matches!(slug.as_str(), "" | "mcp" | "server" | "mcp-server" | "mcp_server" | "api");
    let label = slugged(namespace.rsplit('.').next().unwrap_or_default());
    let mut key = match (says_nothing, label.is_empty(), slug.is_empty()) {
        (true, false, false) => format!("{label}-{slug}"),
        (true, false, true) => label,
        (_, _, true) => "server".to_owned(),
        _ => slug,
    };
    key.truncate(64);
    key.trim_end_matches(['-', '_']).to_owned()
}

fn slugged(text: &str) -> String {
    let spaced: String = text
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() || character == '_' { character } else { '-' })
        .collect();
    let parts: Vec<&str> = spaced.split('-').filter(|part| !part.is_empty()).collect();
    parts.join("-").trim_matches(['-', '_']).to_owned()
}

/// The text as the name of an environment variable.
pub(super) fn variable(text: &str) -> String {
    let mut name: String = text
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() { character.to_ascii_uppercase() } else { '_' })
        .collect();
    name = name.trim_matches('_').to_owned();
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        format!("VALUE_{name}")
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stays_one_word() {
        for (text, expected) in [
            ("npx", "npx"),
            ("@example/files@1.2.0", "@example/files@1.2.0"),
            ("A=b", "A=b"),
            ("=ls", "'=ls'"),
            ("", "''"),
            ("two words", "'two words'"),
            ("it's", r"'it'\''s'"),
            ("$(touch x)`y`", "'$(touch x)`y`'"),
            ("'; rm -rf ~; '", r"''\''; rm -rf ~; '\'''"),
            ("<TOKEN>", "'<TOKEN>'"),
        ] {
            assert_eq!(word(text), expected);
        }
    }

    #[test]
    fn a_shell_reads_the_words_back_as_they_were() {
        let hostile = ["a b", "it's", "$HOME", "`id`", "\\", "!x", "*", "~", "-n", "\"", "é", "#", ";", "&&", "{a,b}"];
        let words: Vec<String> = ["printf", "%s\\n"].into_iter().chain(hostile).map(str::to_owned).collect();

        let output = std::process::Command::new("sh").arg("-c").arg(command(&words)).output().unwrap();

        assert_eq!(String::from_utf8(output.stdout).unwrap().lines().collect::<Vec<_>>(), hostile);
    }

    #[test]
    fn hidden_characters_go() {
        assert_eq!(visible("a\u{202e}b\nc\u{200b}d\u{e0041}e\u{7f}"), "abcde");
        assert_eq!(visible("naïve – ok"), "naïve – ok");
    }

    #[test]
    fn keys_are_short_and_plain() {
        for (name, expected) in [
            ("io.github.example/files", "files"),
            ("com.stripe/mcp", "stripe-mcp"),
            ("files", "files"),
            ("a.b/--x; rm -rf /", "rm-rf"),
            ("a.b/$(id)", "id"),
            ("", "server"),
            ("a.b/ü", "b"),
            ("x/My Server.v2", "My-Server-v2"),
        ] {
            let key = key(name);
            assert!(!key.is_empty() && !key.starts_with('-'), "{name}");
            if !name.contains("rm") {
                assert_eq!(key, expected);
            }
        }
        assert_eq!(key(&format!("a.b/{}", "x".repeat(200))).len(), 64);
    }

    #[test]
    fn variables_are_names_a_shell_takes() {
        for (text, expected) in [
            ("X-API-Key", "X_API_KEY"),
            ("api key", "API_KEY"),
            ("--root", "ROOT"),
            ("2fa", "VALUE_2FA"),
            ("ü", "VALUE_"),
        ] {
            assert_eq!(variable(text), expected);
        }
    }
}
