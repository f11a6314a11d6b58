//! `KeyTemplate`: what a limit counts by, as a text with placeholders: `{workspace}/{model}`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{borrow::Cow, fmt, str::FromStr};

/// A text with placeholders, read once; each request fills it in, and what comes out is what its counter is called.
///
/// `{key}` and `{user}` are filled in with names and count by ids: two keys of one name have two counters, which are called
/// alike, and a key with the name of a user does not count on that user.
///
/// A placeholder without a value in a request (no group, no such header) fills in as empty: such requests share a counter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyTemplate {
    text: String,
    parts: Vec<TemplatePart>,
}

/// A piece of a [`KeyTemplate`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TemplatePart {
    /// Stands as it is.
    Text(String),
    /// `{key}`: the key the caller used; the caller where there is no key.
    Key,
    /// `{user}`: the user behind the caller; the key where there is no user.
    User,
    /// `{group}`: the first of the caller's groups, by name.
    Group,
    /// `{workspace}`: the caller's workspace.
    Workspace,
    /// `{route}`
    Route,
    /// `{model}`: the alias that was asked for.
    Model,
    /// `{asset}`: the catalog asset the route belongs to.
    Asset,
    /// `{ip}`: the caller's address, behind trusted proxies that of `X-Forwarded-For`.
    Ip,
    /// `{header:Name}`, in lower case.
    Header(String),
    /// `{claim:name}` of the caller's token.
    Claim(String),
}

/// `{key}`: each key has a counter of its own.
impl Default for KeyTemplate {
    fn default() -> Self {
        Self { text: "{key}".to_owned(), parts: vec![TemplatePart::Key] }
    }
}

impl KeyTemplate {
    /// Its pieces, in order.
    #[must_use]
    pub fn parts(&self) -> &[TemplatePart] {
        &self.parts
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether every request counts alike.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, TemplatePart::Text(_)))
    }
}

impl FromStr for KeyTemplate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > 500 || text.chars().any(char::is_control) {
            return Err("at most 500 bytes without control characters".to_owned());
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            if rest[open..].starts_with('}') {
                return Err("a `}` without a `{` before it".to_owned());
            }
            if open > 0 {
                parts.push(TemplatePart::Text(rest[..open].to_owned()));
            }
            let close = rest[open..].find('}').ok_or("a `{` without its `}`")? + open;
            parts.push(placeholder(&rest[open + 1..close])?);
            rest = &rest[close + 1..];
        }
        if !rest.is_empty() {
            parts.push(TemplatePart::Text(rest.to_owned()));
        }
        Ok(Self { text: text.to_owned(), parts })
    }
}

fn placeholder(word: &str) -> Result<TemplatePart, String> {
    let token = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    Ok(match word.split_once(':') {
        Some(("header", name)) if token(name) => TemplatePart::Header(name.to_ascii_lowercase()),
        Some(("claim", name)) if token(name) => TemplatePart::Claim(name.to_owned()),
        None => match word {
            "key" => TemplatePart::Key,
            "user" => TemplatePart::User,
            "group" => TemplatePart::Group,
            "workspace" => TemplatePart::Workspace,
            "route" => TemplatePart::Route,
            "model" => TemplatePart::Model,
            "asset" => TemplatePart::Asset,
            "ip" => TemplatePart::Ip,
            _ => return Err(unknown(word)),
        },
        Some(_) => return Err(unknown(word)),
    })
}

fn unknown(word: &str) -> String {
    format!(
        "there is no `{{{word}}}`; use {{key}}, {{user}}, {{group}}, {{workspace}}, {{route}}, {{model}}, {{asset}}, {{ip}}, \
         {{header:Name}} or {{claim:name}}"
    )
}

impl fmt::Display for KeyTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for KeyTemplate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for KeyTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_read_into_its_parts() {
        let template: KeyTemplate = "team/{workspace}:{header:X-App}{claim:tid}".parse().unwrap();

        assert_eq!(
            template.parts(),
            [
                TemplatePart::Text("team/".into()),
                TemplatePart::Workspace,
                TemplatePart::Text(":".into()),
                TemplatePart::Header("x-app".into()),
                TemplatePart::Claim("tid".into()),
            ]
        );
        assert!(!template.is_constant());
        assert!("everyone".parse::<KeyTemplate>().unwrap().is_constant());
        for wrong in ["{", "}", "{subscription}", "{header:}", "{header:a b}", "a}b", "{key"] {
            assert!(wrong.parse::<KeyTemplate>().is_err(), "{wrong}");
        }
    }
}
