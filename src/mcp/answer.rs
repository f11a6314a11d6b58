//! Answers of tools: structured content beside its text, links to more, and refusals a model can act on.

use super::address::Address;
use crate::base::Problem;
use crate::door::Asker;
use http::StatusCode;
use rmcp::model::{CallToolResult, ContentBlock, Resource};
use serde::Serialize;

/// What a tool found.
pub(super) struct Found {
    value: serde_json::Value,
    links: Vec<Link>,
}

/// A resource that holds more.
pub(super) struct Link {
    pub address: Address,
    pub title: String,
}

impl Found {
    pub(super) fn new(value: &impl Serialize) -> Self {
        Self { value: serde_json::to_value(value).expect("answers are plain data"), links: Vec::new() }
    }

    pub(super) fn with_links(mut self, links: impl IntoIterator<Item = Link>) -> Self {
        self.links.extend(links);
        self
    }

    /// The result; `knows_links` when the client's revision has resource links (since 2025-06-18).
    pub(super) fn result(self, knows_links: bool) -> CallToolResult {
        // Clients without structured content read the same JSON as text.
        let mut content = vec![ContentBlock::text(self.value.to_string())];
        if knows_links {
            content.extend(self.links.into_iter().map(|link| {
                let resource = Resource::new(link.address.uri(), link.address.name.clone()).with_title(link.title);
                ContentBlock::resource_link(resource)
            }));
        }
        let mut result = CallToolResult::success(content);
        result.structured_content = Some(self.value);
        result
    }
}

/// Why a tool could not do what was asked, and what would help: for the model to read.
#[derive(Debug)]
pub(super) struct Sorry {
    text: String,
    /// Of a permission, where that was why: status and kind.
    refused: Option<(StatusCode, &'static str)>,
}

impl Sorry {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), refused: None }
    }

    pub(super) fn result(&self) -> CallToolResult {
        CallToolResult::error(vec![ContentBlock::text(self.text.clone())])
    }

    #[cfg(test)]
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Tells the audit record of it, where a permission was refused: the answer itself is one of status 200.
    pub(super) fn noted(self, asker: Option<&Asker>, asked: &str) -> Self {
        if let (Some(asker), Some((status, kind))) = (asker, self.refused) {
            asker.is_refused(status, kind, asked);
        }
        self
    }
}

impl<E: Into<Problem>> From<E> for Sorry {
    fn from(error: E) -> Self {
        let problem: Problem = error.into();
        let mut text = problem.detail.clone();
        for error in &problem.errors {
            if !text.contains(&error.message) {
                text.push_str(&format!(" {}: {}.", error.location, error.message.trim_end_matches('.')));
            }
        }
        // The usual help names routes of the REST API, which an agent here does not have.
        match problem.kind {
            "not-found" => text.push_str(" search_catalog finds what you may see."),
            "unavailable" | "internal" => text.push_str(" Try again in a few seconds."),
            _ => {}
        }
        Self { text, refused: Some((problem.status, problem.kind)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_permission_in_a_tool_is_told_to_who_keeps_the_record_and_nothing_else_is() {
        let (asker, other) = (Asker::default(), Asker::default());

        Sorry::from(Problem::forbidden("reader anna may not do this here.")).noted(Some(&asker), "describe_asset");
        Sorry::from(Problem::not_found("There is no such asset.")).noted(Some(&other), "describe_asset");
        Sorry::new("The arguments are wrong.").noted(Some(&other), "describe_asset");

        let told = asker.refused().expect("it is told");
        assert_eq!((told.status.as_u16(), told.kind, told.asked.as_str()), (403, "forbidden", "describe_asset"));
        assert!(other.refused().is_none());
    }
}
