//! What settings must satisfy before they are stored: every limit can take effect, every name leads somewhere, every model
//! that is offered is served. What could only be a slip is warned of. Pure.

mod backend;
mod policy;
mod pool;
mod priced;
mod route;
#[cfg(test)]
mod tests;

use super::{Book, Owner, Section, Settings, Thing};
use crate::base::{Egress, Slug};
use std::fmt;

/// One thing that is wrong, or most likely is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub section: Section,
    pub owner: Owner,
    pub name: String,
    /// The place in its settings, `timeouts.idle`; empty for the whole.
    pub path: String,
    pub message: String,
    /// Refused; else warned of.
    pub is_error: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = super::label(self.section, &self.owner, &self.name);
        match self.path.as_str() {
            "" => write!(f, "{label}: {}", self.message),
            path => write!(f, "{label}, {path}: {}", self.message),
        }
    }
}

/// Everything that is wrong with a book, and what it is warned of.
///
/// `egress` is what backends may reach.
#[must_use]
pub fn check(book: &Book, egress: &Egress) -> Vec<Finding> {
    let mut findings = Vec::new();
    for thing in &book.things {
        let mut on = Checker { book, egress, thing, findings: &mut findings };
        on.name();
        match &thing.settings {
            Settings::Credential(credential) => backend::credential(&mut on, credential),
            Settings::Backend(settings) => backend::check(&mut on, settings),
            Settings::Pool(settings) => pool::check(&mut on, settings),
            Settings::Policy(settings) => policy::check(&mut on, settings),
            Settings::Route(settings) => route::check(&mut on, settings),
            Settings::Price(_) => priced::of_price(&mut on),
        }
    }
    findings
}

/// Collects what is wrong with one thing.
struct Checker<'a> {
    book: &'a Book,
    egress: &'a Egress,
    thing: &'a Thing,
    findings: &'a mut Vec<Finding>,
}

impl<'a> Checker<'a> {
    fn wrong(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.add(path.into(), message.into(), true);
    }

    fn warn(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.add(path.into(), message.into(), false);
    }

    fn add(&mut self, path: String, message: String, is_error: bool) {
        let (section, owner, name) = (self.thing.section(), self.thing.owner.clone(), self.thing.name.clone());
        self.findings.push(Finding { section, owner, name, path, message, is_error });
    }

    fn refuse(&mut self, wrong: bool, path: &str, message: &str) {
        if wrong {
            self.wrong(path, message);
        }
    }

    fn name(&mut self) {
        let name = &self.thing.name;
        if self.thing.section() == Section::Price {
            if let Err(message) = legal_model(name) {
                self.wrong("name", message);
            }
        } else if let Err(bad) = Slug::parse(name) {
            self.wrong("name", bad.to_string());
        }
    }

    fn title(&mut self, title: &str) {
        self.text("title", title, 300);
    }

    fn text(&mut self, path: &str, text: &str, longest: usize) {
        if text.chars().count() > longest {
            self.wrong(path, format!("at most {longest} characters"));
        } else if text.chars().any(char::is_control) {
            self.wrong(path, "must not hold control characters");
        }
    }

    /// What a URL must be before something is sent there.
    fn url(&mut self, path: &str, text: &str) {
        let url: url::Url = match text.parse() {
            Ok(url) => url,
            Err(error) => return self.wrong(path, format!("is no absolute URL ({error})")),
        };
        if text.len() > 2_000 || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            self.wrong(path, "at most 2,000 characters without spaces");
        } else if url.query().is_some() || url.fragment().is_some() {
            self.wrong(path, "give it without query and fragment");
        } else if let Err(reason) = self.egress.judge_strictly(&url) {
            let help = match reason {
                crate::base::Unreachable::Private | crate::base::Unreachable::Plain => {
                    "; the operator can allow its host (WHARFINGER_GATEWAY_ALLOWED_HOSTS)"
                }
                _ => "",
            };
            self.wrong(path, format!("{reason}{help}"));
        }
    }

    /// The thing of this name that may be used here: its owner's own, or one of the instance that is shared.
    fn usable(&mut self, path: &str, section: Section, name: &str) -> Option<&'a Thing> {
        let book = self.book;
        let Some(found) = book.named(section, &self.thing.owner, name) else {
            self.wrong(path, format!("there is no {section} {name}{}", self.near(section, name)));
            return None;
        };
        let shared = match &found.settings {
            Settings::Backend(backend) => backend.shared,
            Settings::Pool(pool) => pool.shared,
            // A policy takes away and gives nothing.
            Settings::Policy(_) => true,
            _ => false,
        };
        if found.owner != self.thing.owner && !shared {
            // In the words for one that does not exist: what the instance keeps to itself is nobody's business.
            self.wrong(path, format!("there is no {section} {name}{}", self.near(section, name)));
            return None;
        }
        Some(found)
    }

    fn near(&self, section: Section, name: &str) -> String {
        let own = self.book.things.iter().filter(|thing| thing.section() == section && thing.owner == self.thing.owner);
        match crate::base::nearest(name, own.map(|thing| thing.name.as_str())) {
            Some(near) => format!("; did you mean {near}?"),
            None => String::new(),
        }
    }

    fn workspaces(&mut self, path: &str, names: &[String]) {
        for (at, name) in names.iter().enumerate() {
            if self.book.owner(Some(name)).is_none() {
                self.wrong(format!("{path}[{at}]"), format!("there is no workspace {name}"));
            }
        }
    }

    fn no_twins<T: PartialEq + fmt::Debug>(&mut self, path: &str, list: &[T]) {
        for (at, one) in list.iter().enumerate() {
            if list[..at].contains(one) {
                self.wrong(format!("{path}[{at}]"), "stands there twice");
            }
        }
    }
}

/// # Errors
/// Says what a model's name may be.
fn legal_model(name: &str) -> Result<(), &'static str> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/@+".contains(&b);
    if !(1..=200).contains(&name.len()) || !name.bytes().all(legal) || name.starts_with('/') || name.ends_with('/') {
        return Err("a model's name has 1 to 200 letters, digits and -_.:/@+");
    }
    Ok(())
}

/// Headers that are ours or the connection's to set.
const RESERVED_HEADERS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "api-key",
    "x-api-key",
    "cookie",
    "set-cookie",
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "content-encoding",
];

/// # Errors
/// Says why a header of this name cannot be set.
fn settable_header(name: &str) -> Result<(), String> {
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() || name.len() > 100 {
        return Err(format!("{name:?} is no name of a header"));
    }
    if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(format!("{name} is set by the gateway itself; a secret belongs into a credential"));
    }
    Ok(())
}

/// Words of names whose header holds a secret: `Ocp-Apim-Subscription-Key`, `X-Auth`.
const SECRET_WORDS: &[&str] =
    &["apikey", "auth", "authentication", "authorization", "cookie", "jwt", "key", "signature"];
/// What within a word says the same: `X-Accesstoken`.
const SECRET_PARTS: &[&str] = &["credential", "passw", "secret", "token"];
/// Names that say so and hold none.
const PLAIN_NAMES: &[&str] = &["cache-key", "idempotency-key", "tokens"];
/// Beginnings of values that are secrets by their form.
const SECRET_VALUES: &[&str] =
    &["bearer ", "basic ", "digest ", "token ", "sk-", "whf_", "ghp_", "xoxb-", "akia", "eyj"];

/// What is set as it is would be stored and shown as it is.
///
/// # Errors
/// Says where a secret belongs, when name or value of a header look like one's.
fn plain_header(name: &str, value: &str) -> Result<(), String> {
    let (low, start) = (name.to_ascii_lowercase(), value.trim_start().to_ascii_lowercase());
    let rest = PLAIN_NAMES.iter().fold(low, |name, plain| name.replace(plain, ""));
    let is_secret = rest.split(['-', '_', '.']).any(|word| SECRET_WORDS.contains(&word))
        || SECRET_PARTS.iter().any(|part| rest.contains(part))
        || SECRET_VALUES.iter().any(|beginning| start.starts_with(beginning));
    if is_secret {
        return Err(format!(
            "{name} looks as if it held a secret, which would be stored and shown as it is; put it into a credential, as \
             `apiKey` with `header: {name}`, where it is sealed"
        ));
    }
    Ok(())
}
