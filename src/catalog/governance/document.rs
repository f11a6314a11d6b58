//! What the rules say of a document by itself, for who writes one and has no register at hand. Pure.

use super::{Check, Subject, checked, rule};
use crate::wire::{Format, ReadDefinition};

/// What those rules say that need nothing but the document: no people, no neighbours, no running server.
#[must_use]
pub fn assess_document(read: &ReadDefinition) -> Vec<Check> {
    let outline = &read.outline;
    let told = |text: &Option<String>| text.clone().unwrap_or_default();
    let tool = |operation: &crate::wire::Operation| {
        let told = serde_json::to_value(operation).expect("an operation is plain data");
        (operation.name.clone(), told)
    };
    let subject = Subject {
        name: told(&outline.name),
        is_mcp: read.format == Format::ServerJson,
        title: told(&outline.title),
        summary: told(&outline.summary),
        description: told(&outline.description),
        has_definition: true,
        // Other formats have no place for one; it is named when the asset is registered.
        has_licence: outline.licence.is_some() || !matches!(read.format, Format::OpenApi | Format::AsyncApi),
        tools: outline.operations.iter().map(tool).collect(),
        ..Subject::default()
    };
    rule::ALL.iter().filter(|rule| rule.needs_only_the_document()).map(|rule| checked(*rule, &subject)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::CheckOutcome;
    use crate::wire::read_definition;

    #[test]
    fn a_document_is_asked_what_it_can_answer_by_itself() {
        let read =
            read_definition("openapi: 3.1.0\ninfo: {title: P\u{430}yments}\npaths: {}\n".as_bytes(), None).unwrap();

        let told: Vec<_> = assess_document(&read).into_iter().map(|check| (check.rule, check.outcome)).collect();

        let expected = [
            ("hidden-characters", CheckOutcome::Passed),
            ("licence-present", CheckOutcome::Warned),
            ("look-alike", CheckOutcome::Warned),
        ];
        assert_eq!(told, expected.map(|(rule, outcome)| (rule.to_owned(), outcome)));
    }
}
