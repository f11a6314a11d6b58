//! `Wrong`: the checks that input shares, collecting every wrong place so that one answer names them all.

use super::Error;
use super::draft::DeploymentDraft;
use super::input::NewDeployment;
use crate::base::FieldError;
use crate::wire::{Contact, ExternalDoc, Icon};
use serde_json::json;

/// Collects wrong places, so that one answer names them all.
#[derive(Default)]
pub(super) struct Wrong(Vec<FieldError>);

impl Wrong {
    pub(super) fn add(&mut self, location: &str, message: impl Into<String>) {
        self.0.push(FieldError::new(location, message));
    }

    /// The text when its length in characters is in `range` and it holds no NUL, which Postgres cannot store.
    pub(super) fn text(&mut self, location: &str, text: &str, range: std::ops::RangeInclusive<usize>) -> String {
        let length = text.chars().count();
        if !range.contains(&length) {
            self.add(location, format!("must have {} to {} characters, it has {length}", range.start(), range.end()));
        } else if text.contains('\0') {
            self.add(location, "must not hold the character U+0000");
        }
        text.to_owned()
    }

    /// Trimmed, without empty ones and repetitions, in the order given.
    pub(super) fn words(&mut self, location: &str, words: Vec<String>, most: usize, longest: usize) -> Vec<String> {
        if words.len() > most {
            self.add(location, format!("at most {most}"));
        }
        let mut kept: Vec<String> = Vec::new();
        for (i, word) in words.iter().enumerate() {
            let word = self.text(&format!("{location}[{i}]"), word.trim(), 0..=longest);
            if !word.is_empty() && !kept.contains(&word) {
                kept.push(word);
            }
        }
        kept
    }

    /// The addresses of contacts, docs and icons.
    pub(super) fn links(&mut self, contacts: &[Contact], docs: &[ExternalDoc], icons: &[Icon]) {
        if contacts.len() > 50 || docs.len() > 50 || icons.len() > 20 {
            self.add("body", "at most 50 contacts, 50 external docs and 20 icons");
        }
        for (i, doc) in docs.iter().enumerate() {
            self.web_url(&format!("body.externalDocs[{i}].url"), &doc.url);
        }
        for (i, contact) in contacts.iter().enumerate() {
            if let Some(url) = &contact.url {
                self.web_url(&format!("body.contacts[{i}].url"), url);
            }
        }
        for (i, icon) in icons.iter().enumerate() {
            self.web_url(&format!("body.icons[{i}].src"), &icon.src);
        }
    }

    pub(super) fn web_url(&mut self, location: &str, text: &str) {
        let legal = text.len() <= 2_000
            && !text.chars().any(|c| c.is_control())
            && url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https" | "data" | "mailto"));
        if !legal {
            self.add(location, "must be an absolute http or https URL of at most 2,000 characters");
        }
    }

    pub(super) fn deployment(&mut self, new: NewDeployment, at: &str) -> DeploymentDraft {
        let known_scheme = ["http://", "https://", "ws://", "wss://", "grpc://", "grpcs://"];
        let url = new.url.trim();
        if !(known_scheme.iter().any(|scheme| url.starts_with(scheme)) || url.starts_with('{'))
            || url.len() > 2_000
            || url.chars().any(|c| c.is_control() || c.is_whitespace())
        {
            self.add(
                &format!("{at}.url"),
                "must be an absolute URL (http, https, ws, wss, grpc) of at most 2,000 characters",
            );
        }
        DeploymentDraft {
            environment: new.environment,
            url: url.to_owned(),
            transport: self.text(&format!("{at}.transport"), new.transport.unwrap_or_default().trim(), 0..=63),
            title: self.text(&format!("{at}.title"), new.title.unwrap_or_default().trim(), 0..=300),
            description: self.text(&format!("{at}.description"), &new.description.unwrap_or_default(), 0..=20_000),
            is_active: new.active.unwrap_or(true),
            metadata: new.metadata.unwrap_or_default(),
            detail: json!({}),
        }
    }

    pub(super) fn finish(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::invalid(self.0)) }
    }
}
