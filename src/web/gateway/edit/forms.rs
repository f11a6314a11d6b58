//! What stands in the form of each section, and of each kind of policy. What a form does not show is kept as it is; all of
//! it can be written as YAML instead.

use super::field::{Column, Field, Form, Group, Source};
use super::rules::rule;
use crate::gateway::settings::{RuleKind, Section};
use Form::{Affinity, Callers, Check, Checks, Choice, Decimal, Many, Names, Number, One, Pairs, Rows, Text};

/// The groups of a form; `kind` is that of a policy.
pub(super) fn groups(section: Section, kind: Option<RuleKind>) -> Vec<&'static Group> {
    match section {
        Section::Pool => vec![&POOL, &POOL_MORE],
        Section::Route => vec![&ROUTE, &ROUTE_MORE],
        Section::Backend => vec![&BACKEND, &BACKEND_MORE],
        Section::Price => vec![&PRICE, &PRICE_MORE],
        Section::Policy => match kind {
            Some(kind) => vec![rule(kind), &POLICY, &POLICY_WHEN],
            None => Vec::new(),
        },
        // It has a form of its own.
        Section::Credential => Vec::new(),
    }
}

/// Each kind of policy: what it is called, and what it does.
pub(super) const KINDS: &[(RuleKind, &str, &str)] = &[
    (RuleKind::TokenLimit, "Token limit", "So many tokens and requests a minute, and in each hour, day, week or month"),
    (RuleKind::RequestRate, "Request rate", "So many requests in a time; also for REST APIs"),
    (RuleKind::Budget, "Budget", "So much money in each period: told of at one amount, refused at another"),
    (RuleKind::SemanticCache, "Semantic cache", "Gives again what was answered before, or nearly so"),
    (RuleKind::ModelAllowList, "Model allow-list", "Only these models"),
    (RuleKind::SizeLimit, "Size limit", "How long a request and its answer may be"),
    (RuleKind::IpFilter, "Address filter", "From which networks it may be called"),
    (RuleKind::Content, "Content", "Patterns that are refused, and personal data that is hidden from the backend"),
    (RuleKind::GuardHook, "Guard hook", "Asks a service of your own about each prompt"),
    (RuleKind::Headers, "Headers", "Sets and removes headers of requests and answers"),
    (RuleKind::TokenMetrics, "Token metrics", "Adds dimensions to the metrics"),
    (RuleKind::PromptLog, "Prompt log", "Keeps prompts and answers, redacted, for a time"),
];

pub(super) const fn field(path: &'static str, label: &'static str, hint: &'static str, form: Form) -> Field {
    Field { path, label, hint, form }
}

pub(super) const fn group(title: &'static str, fields: &'static [Field]) -> Group {
    Group { title, fields, folded: false }
}

const fn folded(title: &'static str, fields: &'static [Field]) -> Group {
    Group { title, fields, folded: true }
}

pub(super) const NUMBER: &str = "A whole number; empty for no limit";

static POOL: Group = group(
    "Pool",
    &[
        field("title", "Title", "", Text),
        field(
            "members",
            "Members",
            "The lowest priority is used while one of it can be; weight is the share within it. Both are 1 where empty",
            Rows(&[
                Column { path: "backend", label: "Backend", form: One(Source::Backends) },
                Column { path: "priority", label: "Priority", form: Number },
                Column { path: "weight", label: "Weight", form: Number },
            ]),
        ),
        field(
            "strategy",
            "How one is chosen within a priority",
            "",
            Choice(&[
                ("", "at random by weight"),
                ("round-robin", "one after another"),
                ("least-busy", "the one with the fewest requests under way"),
                ("lowest-latency", "the quickest, by peak EWMA"),
            ]),
        ),
    ],
);
static POOL_MORE: Group = folded(
    "Conversations, retries, sharing",
    &[
        field(
            "affinity",
            "What keeps a conversation at one backend",
            "caller, user, previousResponse, header:NAME, with commas between; the first that a request has counts",
            Affinity,
        ),
        field("retries.attempts", "Attempts of one request", "The first included; 3 where empty", Number),
        field("retries.percentage", "Retries in a hundred requests", "20 where empty", Number),
        field("retries.floorPerSecond", "Retries a second whatever the share", "10 where empty", Number),
        field("hedging.after", "Ask a second backend after", "Like 300ms; only for calls that change nothing", Text),
        field("shared", "Routes of workspaces may lead to it", "", Check),
    ],
);

static ROUTE: Group = group(
    "Route",
    &[
        field("title", "Title", "", Text),
        field("serves.models", "Models it answers to", "Aliases that callers ask for, with commas between", Names),
        field("serves.rest", "Or the REST API it leads to", "The name of an asset in the route's workspace", Text),
        field("pool", "Pool", "", One(Source::Pools)),
        field("asset", "Asset", "Of the catalog, to which it belongs: its page offers the playground and access", Text),
        field("policies", "Policies", "Beside those that reach every route", Many(Source::Policies)),
        field(
            "callers",
            "Who may call it",
            "Empty: consumers of its workspace; everyone: of any workspace; or workspaces with commas between",
            Callers,
        ),
    ],
);
static ROUTE_MORE: Group = folded(
    "Dialects, switching off",
    &[
        field(
            "dialects",
            "Dialects it may be called in",
            "None chosen: all",
            Checks(&[
                ("openai-chat", "OpenAI chat completions"),
                ("openai-responses", "OpenAI responses"),
                ("openai-embeddings", "OpenAI embeddings"),
                ("anthropic-messages", "Anthropic messages"),
            ]),
        ),
        field("disabled", "Refuse every request", "", Check),
    ],
);

static BACKEND: Group = group(
    "Backend",
    &[
        field("title", "Title", "", Text),
        field(
            "provider",
            "Provider",
            "",
            Choice(&[
                ("openai", "OpenAI"),
                ("azure-openai", "Azure OpenAI"),
                ("anthropic", "Anthropic"),
                ("compatible", "OpenAI's dialect: Ollama, vLLM and others"),
                ("rest", "a REST API"),
            ]),
        ),
        field("url", "Address", "Like https://api.openai.com/v1; of Azure the resource", Text),
        field("models", "Models", "alias: vendor's name, one a line; empty for all under their own names", Pairs),
        field("credential", "Credential", "One of the same place; make it first", One(Source::Credentials)),
        field("apiVersion", "API version", "Of Azure; empty for its v1 surface", Text),
    ],
);
static BACKEND_MORE: Group = folded(
    "Capacity, timeouts, breaker",
    &[
        field("capacity.tokensPerMinute", "Tokens a minute it can take", NUMBER, Number),
        field("capacity.requestsPerMinute", "Requests a minute", NUMBER, Number),
        field("capacity.concurrentRequests", "Requests at once", NUMBER, Number),
        field("timeouts.connect", "To connect", "5s where empty", Text),
        field("timeouts.firstByte", "To the first byte", "60s where empty", Text),
        field("timeouts.idle", "Between two pieces", "60s where empty", Text),
        field("timeouts.total", "For everything", "10m where empty", Text),
        field("breaker.count", "Failures after which it is left alone", "3 where empty", Number),
        field("breaker.percentage", "Or failures in a hundred requests", "", Number),
        field("breaker.interval", "Within", "1m where empty", Text),
        field("breaker.trip", "For", "30s where empty, or as long as the backend says", Text),
        field(
            "onDisconnect",
            "When a client leaves",
            "",
            Choice(&[("", "give the request up"), ("drain", "read on, for the vendor's figures")]),
        ),
        field("drained", "Taken out of every pool", "", Check),
        field("shared", "Workspaces may put it into pools of theirs", "", Check),
    ],
);

static PRICE: Group = group(
    "Price of a million tokens",
    &[
        field("input", "Input", "In the currency of the whole table", Decimal),
        field("output", "Output", "", Decimal),
        field("cachedInput", "Input from the vendor's cache", "As input where empty", Decimal),
    ],
);
static PRICE_MORE: Group = folded(
    "Further categories",
    &[
        field("cacheWrite", "Writing into the vendor's cache", "", Decimal),
        field("reasoning", "Reasoning", "As output where empty", Decimal),
        field("imageInput", "Images", "As input where empty, or where the vendor does not tell them apart", Decimal),
        field("audioInput", "Audio in", "", Decimal),
        field("audioOutput", "Audio out", "", Decimal),
        field("request", "Each request", "Whatever its tokens", Decimal),
    ],
);

static POLICY: Group = group(
    "Where it acts",
    &[
        field("title", "Title", "", Text),
        field(
            "reach",
            "Routes",
            "",
            Choice(&[("", "those that name it"), ("all", "all of its workspace; of the instance: all there are")]),
        ),
        field("shadow", "Only tell what it would refuse", "", Check),
    ],
);
static POLICY_WHEN: Group = folded(
    "Only for some requests",
    &[
        field("when.workspaces", "Callers of workspaces", "With commas between, like all lists here", Names),
        field("when.exceptWorkspaces", "Not of workspaces", "", Names),
        field("when.keys", "Keys", "", Names),
        field("when.users", "Users", "", Names),
        field("when.groups", "Groups", "", Names),
        field("when.models", "Models", "", Names),
        field("when.routes", "Routes", "", Names),
    ],
);

#[cfg(test)]
mod tests {
    use super::super::field::place;
    use super::*;
    use crate::gateway::settings::Settings;
    use serde_json::{Value, json};

    #[test]
    fn every_kind_of_policy_has_a_form_of_its_own() {
        for (kind, title, _) in KINDS {
            let fields = rule(*kind).fields;
            assert!(!title.is_empty() && !fields.is_empty());
            let start = format!("rule.{}.", kind.as_str());
            assert!(fields.iter().all(|field| field.path.starts_with(&start)), "{title}");
        }
        assert_eq!(KINDS.len(), 12);
    }

    /// Each path is one that settings have: a value of a wrong type is complained of as such, and not as unknown.
    #[test]
    fn every_field_is_a_place_of_the_settings() {
        let kinds = KINDS.iter().map(|(kind, ..)| (Section::Policy, Some(*kind)));
        let others = [Section::Pool, Section::Route, Section::Backend, Section::Price].map(|section| (section, None));
        for (section, kind) in kinds.chain(others) {
            for field in groups(section, kind).into_iter().flat_map(|group| group.fields) {
                let mut value = json!({});
                let wrong = if matches!(field.form, Check) { json!("no truth") } else { json!(false) };
                place(&mut value, field.path, Some(wrong));
                if let (Some(kind), Value::Object(map)) = (kind, &mut value) {
                    map.entry("rule").or_insert_with(|| json!({kind.as_str(): {}}));
                }
                let said = Settings::read(section, value).unwrap_err().to_string();
                assert!(!said.contains("unknown field"), "{}: {said}", field.path);
            }
        }
    }
}
