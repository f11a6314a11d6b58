//! What stands in the form of each kind of policy, beside what all policies have.

use super::field::{Column, Form, Group};
use super::forms::{NUMBER, field, group};
use crate::gateway::settings::RuleKind;
use Form::{Check, Choice, Decimal, Lines, Masks, Names, Number, Pairs, Rows, Text};

const COUNTED_BY: &str = "Whose counter it is: {key}, {user}, {group}, {workspace}, {model}, {route}, {ip}, {header:x-app}, or several: {workspace}/{model}";

const PERIODS: &[(&str, &str)] = &[("", ""), ("hour", "hour"), ("day", "day"), ("week", "week"), ("month", "month")];

const LOOKS_AT: &[(&str, &str)] = &[("", "prompts"), ("answers", "answers"), ("both", "both")];

/// The fields of a kind of policy.
pub(super) fn rule(kind: RuleKind) -> &'static Group {
    match kind {
        RuleKind::TokenLimit => &TOKEN_LIMIT,
        RuleKind::RequestRate => &REQUEST_RATE,
        RuleKind::Budget => &BUDGET,
        RuleKind::ModelAllowList => &MODELS,
        RuleKind::IpFilter => &ADDRESSES,
        RuleKind::SizeLimit => &SIZES,
        RuleKind::Headers => &HEADERS,
        RuleKind::Content => &CONTENT,
        RuleKind::GuardHook => &GUARD,
        RuleKind::SemanticCache => &CACHE,
        RuleKind::TokenMetrics => &METRICS,
        RuleKind::PromptLog => &PROMPTS,
    }
}

static TOKEN_LIMIT: Group = group(
    "Token limit",
    &[
        field("rule.tokenLimit.counterKey", "Counted by", COUNTED_BY, Text),
        field("rule.tokenLimit.tokensPerMinute", "Tokens a minute", "Prompt and answer together; 429 over it", Number),
        field("rule.tokenLimit.inputTokensPerMinute", "Tokens of prompt a minute", NUMBER, Number),
        field("rule.tokenLimit.outputTokensPerMinute", "Tokens of answer a minute", NUMBER, Number),
        field("rule.tokenLimit.requestsPerMinute", "Requests a minute", NUMBER, Number),
        field("rule.tokenLimit.concurrentRequests", "Requests at once", NUMBER, Number),
        field(
            "rule.tokenLimit.quotas",
            "Quotas",
            "For each hour, day, week or month in UTC; 403 over one",
            Rows(&[
                Column { path: "period", label: "Each", form: Choice(PERIODS) },
                Column { path: "tokens", label: "Tokens", form: Number },
                Column { path: "requests", label: "Requests", form: Number },
            ]),
        ),
    ],
);
static REQUEST_RATE: Group = group(
    "Request rate",
    &[
        field("rule.requestRate.counterKey", "Counted by", COUNTED_BY, Text),
        field("rule.requestRate.requests", "Requests", "", Number),
        field("rule.requestRate.per", "In", "1s to 1h, like 10s or 1m", Text),
    ],
);
static BUDGET: Group = group(
    "Budget",
    &[
        field("rule.budget.counterKey", "Counted by", COUNTED_BY, Text),
        field(
            "rule.budget.period",
            "Each",
            "",
            Choice(&[("month", "month"), ("week", "week"), ("day", "day"), ("hour", "hour")]),
        ),
        field("rule.budget.soft", "Told of at", "Money, in the currency of the prices", Decimal),
        field("rule.budget.hard", "Refused at", "Money; empty to refuse nothing", Decimal),
        field("rule.budget.webhook", "Told to", "An address that gets a POST", Text),
    ],
);
static MODELS: Group =
    group("Model allow-list", &[field("rule.modelAllowList.models", "Models", "Aliases with commas between", Names)]);
static ADDRESSES: Group = group(
    "Address filter",
    &[
        field("rule.ipFilter.allow", "Only from", "Addresses or blocks like 10.0.0.0/8, with commas between", Names),
        field("rule.ipFilter.deny", "Not from", "", Names),
    ],
);
static SIZES: Group = group(
    "Size limit",
    &[
        field("rule.sizeLimit.requestBytes", "Bytes of a request", NUMBER, Number),
        field("rule.sizeLimit.inputTokens", "Tokens of a prompt", NUMBER, Number),
        field("rule.sizeLimit.outputTokens", "Tokens of an answer", "max_tokens is lowered to this", Number),
        field("rule.sizeLimit.responseBytes", "Bytes of an answer", "A longer one is not passed on", Number),
    ],
);
static HEADERS: Group = group(
    "Headers",
    &[
        field("rule.headers.request.set", "Set in the request to the backend", "name: value, one a line", Pairs),
        field("rule.headers.request.remove", "Remove from it", "Names with commas between", Names),
        field("rule.headers.response.set", "Set in the answer to the client", "name: value, one a line", Pairs),
        field("rule.headers.response.remove", "Remove from it", "Names with commas between", Names),
    ],
);
static CONTENT: Group = group(
    "Content",
    &[
        field("rule.content.blocked", "Refused", "Regular expressions, one a line; what matches is refused", Lines),
        field("rule.content.looksAt", "Looks at", "A stream ends where it matches", Choice(LOOKS_AT)),
        field(
            "rule.content.masks",
            "Hidden from the backend",
            "email, phone, card, iban, ip-address, or a regular expression; one a line",
            Masks,
        ),
        field("rule.content.restore", "Put it back into the answer", "", Check),
    ],
);
static GUARD: Group = group(
    "Guard hook",
    &[
        field(
            "rule.guardHook.url",
            "Address",
            "Gets a POST with the texts; answers {\"allow\": true} or why not",
            Text,
        ),
        field("rule.guardHook.looksAt", "Asked about", "An answer waits for it, streams too", Choice(LOOKS_AT)),
        field("rule.guardHook.timeout", "Waits for", "2s where empty", Text),
        field(
            "rule.guardHook.onFailure",
            "When it does not answer",
            "",
            Choice(&[("", "refuse the request"), ("open", "let the request go on")]),
        ),
    ],
);
static CACHE: Group = group(
    "Semantic cache",
    &[
        field(
            "rule.semanticCache.threshold",
            "How near a question must be",
            "From 0 to 1; 1 for the same only",
            Decimal,
        ),
        field("rule.semanticCache.ttl", "How long an answer is kept", "Like 30m or 1h", Text),
        field("rule.semanticCache.maxMessages", "Longest dialogue", "In messages", Number),
        field(
            "rule.semanticCache.share",
            "Who shares answers",
            "Model, parameters, tools and instructions part them always",
            Choice(&[
                ("", "nobody: each key has its own"),
                ("workspace", "the callers of a workspace"),
                ("route", "all callers of the route"),
            ]),
        ),
        field(
            "rule.semanticCache.varyBy",
            "Parted further by",
            "{header:x-tenant} and the like, with commas between",
            Names,
        ),
    ],
);
static METRICS: Group = group(
    "Token metrics",
    &[field(
        "rule.tokenMetrics.dimensions",
        "Dimensions",
        "label: value, one a line; {workspace} and the like may stand in a value",
        Pairs,
    )],
);
static PROMPTS: Group = group(
    "Prompt log",
    &[
        field("rule.promptLog.requests", "Keep prompts", "", Check),
        field("rule.promptLog.responses", "Keep answers", "", Check),
        field("rule.promptLog.maxBytes", "Most bytes of each", "", Number),
        field("rule.promptLog.retention", "For", "1h to 366d", Text),
        field("rule.promptLog.percentage", "Of a hundred requests", "1 to 100", Number),
    ],
);
