//! Whether its name could be taken for that of another.
//!
//! Names are ASCII, so they mislead by one letter more, less or other, or by letters that look alike; titles mislead by
//! letters of other scripts too (Unicode Technical Standard 39).

use super::super::{Rule, Subject, Verdict, few};

pub struct LookAlike;

impl Rule for LookAlike {
    fn name(&self) -> &'static str {
        "look-alike"
    }

    fn question(&self) -> &'static str {
        "Could its name be taken for another's?"
    }

    fn needs_only_the_document(&self) -> bool {
        true
    }

    fn check(&self, subject: &Subject) -> Verdict {
        const HELP: &str = "Choose a name that nobody mistakes, or make sure that it is meant.";
        let mut odd = Vec::new();
        if let Some(script) = mixed_script(&subject.title) {
            odd.push(format!("the title mixes Latin letters with {script} ones"));
        }
        for other in &subject.neighbours {
            if let Some(why) = resembles(&subject.name, other) {
                odd.push(format!("{other}: {why}"));
            }
        }
        if odd.is_empty() {
            return Verdict::passed(format!("No likeness among {} names.", subject.neighbours.len()));
        }
        Verdict::warned(few(&odd), HELP)
    }
}

/// How one name resembles another, if so.
fn resembles(name: &str, other: &str) -> Option<&'static str> {
    let (namespace, slug) = parts(name);
    let (its_namespace, its_slug) = parts(other);
    if name == other {
        return Some("the same name");
    }
    if skeleton(name) == skeleton(other) {
        return Some("it looks the same");
    }
    if slug == its_slug {
        let near = !namespace.is_empty() && !its_namespace.is_empty() && is_near(namespace, its_namespace);
        return near.then_some("its namespace differs by one letter");
    }
    (namespace == its_namespace && is_near(slug, its_slug)).then_some("it differs by one letter")
}

fn parts(name: &str) -> (&str, &str) {
    name.split_once('/').unwrap_or(("", name))
}

/// Names of one or two letters, and those that differ in a number only, are near by nature: `v1` and `v2`.
fn is_near(one: &str, other: &str) -> bool {
    let longest = one.len().max(other.len());
    let wordy = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    longest >= 5 && wordy(one) != wordy(other) && one_edit_apart(one.as_bytes(), other.as_bytes())
}

/// Whether one letter put in, taken out or exchanged, or two neighbours swapped, makes one of the other.
fn one_edit_apart(one: &[u8], other: &[u8]) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    if long.len() - short.len() > 1 {
        return false;
    }
    let head = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    let tail = short[head..].iter().rev().zip(long[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let (rest_short, rest_long) = (short.len() - head - tail, long.len() - head - tail);
    match (rest_short, rest_long) {
        (0 | 1, 1) => true,
        (2, 2) => short[head] == long[head + 1] && short[head + 1] == long[head],
        _ => false,
    }
}

/// A name as the eye takes it in.
fn skeleton(name: &str) -> String {
    let lower = name.to_ascii_lowercase().replace("rn", "m").replace("vv", "w").replace("cl", "d");
    lower
        .chars()
        .filter_map(|c| match c {
            '0' => Some('o'),
            '1' | 'i' | '|' => Some('l'),
            '5' => Some('s'),
            '-' | '_' | '.' => None,
            c => Some(c),
        })
        .collect()
}

/// The other script, where Latin letters stand among letters of one that has look-alikes of them, within one word.
fn mixed_script(text: &str) -> Option<&'static str> {
    for word in text.split(|c: char| !c.is_alphabetic()) {
        let latin = word.chars().any(|c| c.is_ascii_alphabetic());
        let other = word.chars().find_map(|c| match u32::from(c) {
            0x370..=0x3FF | 0x1F00..=0x1FFF => Some("Greek"),
            0x400..=0x52F => Some("Cyrillic"),
            0x530..=0x58F => Some("Armenian"),
            0x13A0..=0x13FF => Some("Cherokee"),
            0xFF21..=0xFF5A => Some("full-width"),
            0x1D400..=0x1D7FF => Some("mathematical"),
            _ => None,
        });
        if latin && other.is_some() {
            return other;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_can_be_mistaken_are_told() {
        for (name, other, alike) in [
            ("com.example/github", "com.example/githud", true),
            ("com.example/github", "com.examp1e/github", true),
            ("com.example/github", "com.exarnple/github", true),
            ("com.example/github", "com.exampel/github", true),
            ("com.example/git-hub", "com.example/github", true),
            ("com.example/github", "org.elsewhere/github", false),
            ("com.example/payments-v1", "com.example/payments-v2", false),
            ("com.example/pay", "com.example/say", false),
            ("com.example/github", "com.example/gitlab", false),
            ("payments", "payment", true),
        ] {
            assert_eq!(resembles(name, other).is_some(), alike, "{name} {other}");
        }
    }

    #[test]
    fn a_title_of_two_scripts_is_told() {
        assert_eq!(mixed_script("P\u{0430}yPal"), Some("Cyrillic"));
        assert_eq!(mixed_script("G\u{03BF}\u{03BF}gle"), Some("Greek"));
        assert_eq!(mixed_script("Погода API"), None);
        assert_eq!(mixed_script("Wetter für Zürich"), None);
    }
}
