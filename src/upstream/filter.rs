//! What is taken from an upstream, and what of it needs nobody's approval. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Which servers are taken; all that is said must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = UpstreamFilter)]
pub struct Filter {
    /// Namespaces, like `io.github.acme`, or with a star at the end, like `io.github.*`; empty: all.
    #[schema(max_items = 200)]
    pub namespaces: Vec<String>,
    /// Words that stand in the name, title or description.
    #[schema(max_length = 200)]
    pub search: Option<String>,
    /// Only servers that can be reached at a URL.
    pub only_remote: bool,
}

/// When an entry needs nobody's approval: all that the rule says must hold, and it must say something.
///
/// Publisher and licence are what the entry says of itself: good enough where the upstream checked them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = UpstreamRule)]
pub struct Rule {
    /// As in the filter; `*` for all.
    #[schema(max_length = 200)]
    pub namespace: Option<String>,
    /// Who owns its repository: `acme` of `https://github.com/acme/files`.
    #[schema(max_length = 200)]
    pub publisher: Option<String>,
    /// The licence's name: `MIT`.
    #[schema(max_length = 100)]
    pub licence: Option<String>,
}

impl Filter {
    /// Whether this server.json is taken.
    #[must_use]
    pub fn takes(&self, server: &Value) -> bool {
        let text = |member: &str| server.get(member).and_then(Value::as_str).unwrap_or_default();
        if !self.namespaces.is_empty() && !self.namespaces.iter().any(|wanted| is_within(text("name"), wanted)) {
            return false;
        }
        if self.only_remote && server.get("remotes").and_then(Value::as_array).is_none_or(Vec::is_empty) {
            return false;
        }
        let search = self.search.as_deref().unwrap_or_default().to_lowercase();
        search.is_empty()
            || ["name", "title", "description"].iter().any(|one| text(one).to_lowercase().contains(&search))
    }
}

impl Rule {
    /// Whether this server.json needs nobody's approval by this rule.
    #[must_use]
    pub fn approves(&self, server: &Value) -> bool {
        let name = server.get("name").and_then(Value::as_str).unwrap_or_default();
        let said = self.namespace.is_some() || self.publisher.is_some() || self.licence.is_some();
        let same = |wanted: &str, found: Option<String>| found.is_some_and(|found| found.eq_ignore_ascii_case(wanted));
        said && self.namespace.as_deref().is_none_or(|wanted| is_within(name, wanted))
            && self.publisher.as_deref().is_none_or(|wanted| same(wanted, publisher(server)))
            && self.licence.as_deref().is_none_or(|wanted| same(wanted, licence(server)))
    }
}

/// Whether the registry name lies in the namespace, or in one that begins so where it ends in a star.
fn is_within(name: &str, namespace: &str) -> bool {
    let own = name.split_once('/').map_or("", |(own, _)| own);
    match namespace.strip_suffix('*') {
        Some(start) => own.starts_with(start.trim_end_matches('/')),
        None => own.eq_ignore_ascii_case(namespace.trim_end_matches('/')),
    }
}

/// Who owns the repository.
fn publisher(server: &Value) -> Option<String> {
    let repository = server.pointer("/repository/url")?.as_str()?;
    let url = url::Url::parse(repository).ok()?;
    url.path_segments()?.next().filter(|owner| !owner.is_empty()).map(str::to_owned)
}

/// The licence as publishers say it.
fn licence(server: &Value) -> Option<String> {
    let own = server.get("_meta")?.get(crate::wire::server_json::PUBLISHER_PROVIDED)?;
    let of_github = own.get("github").and_then(|github| github.get("license"));
    own.get("license").or(of_github)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn server() -> Value {
        json!({"name": "io.github.acme/files", "description": "Reads files", "remotes": [{"type": "sse"}],
               "repository": {"url": "https://github.com/Acme/files"},
               "_meta": {"io.modelcontextprotocol.registry/publisher-provided": {"license": "MIT"}}})
    }

    #[test]
    fn a_filter_takes_what_all_of_it_says() {
        let filter = |value: Value| serde_json::from_value::<Filter>(value).unwrap();
        for (wanted, taken) in [
            (json!({}), true),
            (json!({"namespaces": ["io.github.acme"]}), true),
            (json!({"namespaces": ["com.example", "io.github.*"]}), true),
            (json!({"namespaces": ["io.github"]}), false),
            (json!({"search": "READS"}), true),
            (json!({"search": "writes"}), false),
            (json!({"onlyRemote": true}), true),
        ] {
            assert_eq!(filter(wanted.clone()).takes(&server()), taken, "{wanted}");
        }
        assert!(!filter(json!({"onlyRemote": true})).takes(&json!({"name": "a.b/c"})));
    }

    #[test]
    fn a_rule_approves_what_all_of_it_says_and_an_empty_one_nothing() {
        let rule = |value: Value| serde_json::from_value::<Rule>(value).unwrap();
        for (said, approves) in [
            (json!({}), false),
            (json!({"namespace": "*"}), true),
            (json!({"namespace": "io.github.acme", "licence": "mit"}), true),
            (json!({"publisher": "acme"}), true),
            (json!({"publisher": "acme", "licence": "Apache-2.0"}), false),
            (json!({"publisher": "github.com"}), false),
        ] {
            assert_eq!(rule(said.clone()).approves(&server()), approves, "{said}");
        }
    }
}
