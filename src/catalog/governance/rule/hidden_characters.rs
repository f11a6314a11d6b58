//! Whether a text holds characters that readers do not see and models do.
//!
//! Instructions can be hidden from people in tag characters, zero-width ones and controls, and words be shown in another
//! order than they stand by marks of direction (Unicode Standard, 23.2 to 23.9; Trojan Source, CVE-2021-42574).

use super::super::{Rule, Subject, Verdict, few};
use serde_json::Value;

pub struct HiddenCharacters;

impl Rule for HiddenCharacters {
    fn name(&self) -> &'static str {
        "hidden-characters"
    }

    fn question(&self) -> &'static str {
        "Is any text hidden from readers?"
    }

    fn needs_only_the_document(&self) -> bool {
        true
    }

    fn check(&self, subject: &Subject) -> Verdict {
        let mut found = Vec::new();
        let (mut texts, mut count) = (vec![], 0_usize);
        texts.push(("title".to_owned(), subject.title.as_str()));
        texts.push(("summary".to_owned(), subject.summary.as_str()));
        texts.push(("description".to_owned(), subject.description.as_str()));
        for (place, text) in texts {
            count += 1;
            found.extend(hidden_in(&place, text));
        }
        let running = subject.remotes.iter().filter_map(|remote| remote.answer.as_ref().ok());
        for (name, tool) in subject.tools.iter().chain(running.flat_map(|answer| &answer.tools)) {
            found.extend(hidden_in("a tool's name", name));
            walk(name, tool, &mut count, &mut found);
        }
        found.dedup();
        if found.is_empty() {
            return Verdict::passed(format!("None in {count} texts."));
        }
        Verdict::failed(few(&found), "Take the characters out. Whoever put them there may have meant harm.")
    }
}

fn walk(place: &str, value: &Value, count: &mut usize, found: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            *count += 1;
            found.extend(hidden_in(place, text));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(place, item, count, found)),
        Value::Object(members) => {
            for (name, member) in members {
                found.extend(hidden_in(place, name));
                walk(&format!("{place}/{name}"), member, count, found);
            }
        }
        _ => {}
    }
}

/// The first hidden character of a text, in words.
fn hidden_in(place: &str, text: &str) -> Option<String> {
    let mut before = None;
    for c in text.chars() {
        if let Some(what) = what(c, before) {
            let place: String = place.chars().filter(|c| !c.is_control() && self::what(*c, None).is_none()).collect();
            return Some(format!("{what} U+{:04X} in {place}", u32::from(c)));
        }
        before = Some(c);
    }
    None
}

fn what(c: char, before: Option<char>) -> Option<&'static str> {
    match c {
        '\n' | '\r' | '\t' => None,
        c if c.is_control() => Some("control character"),
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200E}' | '\u{200F}' | '\u{061C}' => {
            Some("mark of direction")
        }
        // Joins pictures into one, and is needed by the scripts that stand from U+0600 on.
        '\u{200D}' | '\u{200C}' if before.is_some_and(|before| u32::from(before) >= 0x600) => None,
        '\u{200B}'..='\u{200D}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}' | '\u{180E}' | '\u{00AD}' => {
            Some("zero-width character")
        }
        '\u{E0000}'..='\u{E007F}' => Some("tag character"),
        // Asks for a picture after what can be one.
        '\u{FE0F}' | '\u{FE0E}' if before.is_some_and(|before| u32::from(before) >= 0xA9 || before.is_ascii()) => None,
        '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}' => Some("variation selector"),
        '\u{3164}' | '\u{115F}' | '\u{1160}' | '\u{FFA0}' => Some("empty letter"),
        '\u{E000}'..='\u{F8FF}' => Some("character of private use"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::governance::Outcome;
    use serde_json::json;

    #[test]
    fn what_readers_do_not_see_is_told() {
        for (text, hidden) in [
            ("Reads a file", false),
            ("Liest „ä“ und\n\tmehr — 天气 👨\u{200D}👩\u{200D}👧 ⚠\u{FE0F}", false),
            ("می\u{200C}خواهم", false),
            ("Reads\u{200B} a file", true),
            ("Reads a file\u{E0049}\u{E0067}\u{E006E}", true),
            ("abc\u{202E}def", true),
            ("soft\u{00AD}hyphen", true),
            ("bell\u{0007}", true),
        ] {
            let subject = Subject { tools: vec![("read".into(), json!({"description": text}))], ..Subject::default() };
            let outcome = HiddenCharacters.check(&subject).0;

            assert_eq!(outcome == Outcome::Failed, hidden, "{text:?}");
        }
    }
}
