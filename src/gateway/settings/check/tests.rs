//! Each check by one thing that breaks it.

use super::*;
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

fn thing(section: Section, name: &str, settings: Value) -> Thing {
    Thing {
        id: Uuid::now_v7(),
        owner: Owner::Instance,
        name: name.to_owned(),
        revision: 1,
        settings: Settings::read(section, settings).unwrap_or_else(|error| panic!("{section} {name}: {error}")),
        created_at: OffsetDateTime::UNIX_EPOCH,
        updated_at: OffsetDateTime::UNIX_EPOCH,
    }
}

/// A gateway in order: one credential, backend, pool and route, and a price.
fn sound() -> Book {
    Book {
        things: vec![
            thing(Section::Credential, "vendor", json!({"apiKey": {"value": "${KEY}"}})),
            thing(
                Section::Backend,
                "eu",
                json!({"provider": "openai", "url": "https://api.example.com/v1", "credential": "vendor", "models": {"small": "small-1"}}),
            ),
            thing(Section::Pool, "chat", json!({"members": [{"backend": "eu"}]})),
            thing(Section::Route, "chat", json!({"serves": {"models": ["small"]}, "pool": "chat"})),
            thing(Section::Price, "small", json!({"input": 1, "output": 2})),
        ],
        ..Book::default()
    }
}

fn findings(change: Thing) -> Vec<(String, bool)> {
    let mut book = sound();
    let id = book.find(change.section(), &change.owner, &change.name).map(|old| old.id);
    let name = change.name.clone();
    book.put(Thing { id: id.unwrap_or(change.id), ..change });
    let findings = check(&book, &Egress::default()).into_iter();
    findings.filter(|finding| finding.name == name).map(|one| (one.path, one.is_error)).collect()
}

#[test]
fn a_gateway_in_order_passes_without_a_word() {
    assert_eq!(check(&sound(), &Egress::default()), []);
}

#[test]
fn what_could_never_take_effect_is_refused_by_its_place() {
    let backend = |change: Value| {
        let mut whole =
            json!({"provider": "openai", "url": "https://api.example.com/v1", "models": {"small": "small-1"}});
        whole.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        thing(Section::Backend, "eu", whole)
    };
    let pool = |change: Value| thing(Section::Pool, "chat", change);
    let route = |change: Value| {
        let mut whole = json!({"serves": {"models": ["small"]}, "pool": "chat"});
        whole.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        thing(Section::Route, "chat", whole)
    };
    let policy = |rule: Value| thing(Section::Policy, "p", json!({"reach": "all", "rule": rule}));

    for (change, path) in [
        (backend(json!({"url": "http://api.example.com/v1"})), "url"),
        (backend(json!({"url": "https://127.0.0.1/v1"})), "url"),
        (backend(json!({"url": "https://a:b@api.example.com/"})), "url"),
        (backend(json!({"url": "https://api.example.com/?a"})), "url"),
        (backend(json!({"credential": "vendro"})), "credential"),
        (backend(json!({"models": {"small": "a b"}})), "models.small"),
        (backend(json!({"apiVersion": "2024-10-21"})), "apiVersion"),
        (backend(json!({"prices": {"large": {}}})), "prices.large"),
        (backend(json!({"headers": {"Authorization": "x"}})), "headers.Authorization"),
        (backend(json!({"headers": {"Ocp-Apim-Subscription-Key": "x"}})), "headers.Ocp-Apim-Subscription-Key"),
        (backend(json!({"headers": {"x-accesstoken": "x"}})), "headers.x-accesstoken"),
        (backend(json!({"headers": {"x-team": "Bearer x"}})), "headers.x-team"),
        (backend(json!({"capacity": {"tokensPerMinute": 0}})), "capacity.tokensPerMinute"),
        (backend(json!({"timeouts": {"connect": "0s"}})), "timeouts.connect"),
        (backend(json!({"breaker": {"count": null}})), "breaker.count"),
        (backend(json!({"breaker": {"percentage": 101}})), "breaker.percentage"),
        (backend(json!({"breaker": {"statuses": [{"min": 500, "max": 499}]}})), "breaker.statuses[0]"),
        (pool(json!({"members": []})), "members"),
        (pool(json!({"members": [{"backend": "us"}]})), "members[0].backend"),
        (pool(json!({"members": [{"backend": "eu"}, {"backend": "eu"}]})), "members[1]"),
        (pool(json!({"members": [{"backend": "eu", "weight": 0}]})), "members"),
        (pool(json!({"members": [{"backend": "eu"}], "hedging": {"after": "1s"}})), "hedging"),
        (route(json!({"pool": "chta"})), "pool"),
        (route(json!({"serves": {"models": ["large"]}})), "serves.models[0]"),
        (route(json!({"serves": {"models": []}})), "serves.models"),
        (route(json!({"serves": {"rest": "default/pets"}})), "serves.rest"),
        (route(json!({"policies": ["gone"]})), "policies[0]"),
        (route(json!({"callers": {"workspaces": ["nobody"]}})), "callers.workspaces[0]"),
        (policy(json!({"tokenLimit": {}})), "rule.tokenLimit"),
        (policy(json!({"tokenLimit": {"tokensPerMinute": 0}})), "rule.tokenLimit.tokensPerMinute"),
        (policy(json!({"tokenLimit": {"counterKey": " ", "tokensPerMinute": 1}})), "rule.tokenLimit.counterKey"),
        (policy(json!({"tokenLimit": {"quotas": [{"period": "day"}]}})), "rule.tokenLimit.quotas[0]"),
        (
            policy(json!({"tokenLimit": {"tokensPerMinute": 10, "replyAllowance": 11}})),
            "rule.tokenLimit.replyAllowance",
        ),
        (policy(json!({"requestRate": {"counterKey": "{key}", "requests": 1, "per": "2h"}})), "rule.requestRate.per"),
        (policy(json!({"budget": {"counterKey": "{key}", "period": "month"}})), "rule.budget"),
        (
            policy(json!({"budget": {"counterKey": "{key}", "period": "month", "soft": 5, "hard": 5}})),
            "rule.budget.soft",
        ),
        (policy(json!({"ipFilter": {"allow": ["10.0.0.0/8"], "deny": ["10.0.0.0/8"]}})), "rule.ipFilter"),
        (policy(json!({"ipFilter": {"allow": ["10.0.0.0/40"]}})), "rule.ipFilter.allow[0]"),
        (
            policy(json!({"headers": {"request": {"set": {"x-api-key": "{key}"}}}})),
            "rule.headers.request.set.x-api-key",
        ),
        (
            policy(json!({"headers": {"request": {"set": {"x-vendor-secret": "abc"}}}})),
            "rule.headers.request.set.x-vendor-secret",
        ),
        (policy(json!({"content": {"blocked": ["a*"]}})), "rule.content.blocked[0]"),
        (policy(json!({"content": {"blocked": ["("]}})), "rule.content.blocked[0]"),
        (policy(json!({"semanticCache": {"threshold": 1.5}})), "rule.semanticCache.threshold"),
        (policy(json!({"guardHook": {"url": "http://10.0.0.1/check"}})), "rule.guardHook.url"),
        (policy(json!({"promptLog": {"requests": false, "responses": false}})), "rule.promptLog"),
        (policy(json!({"sizeLimit": {"responseBytes": 0}})), "rule.sizeLimit.responseBytes"),
        (policy(json!({"content": {"masks": [{"known": "email"}], "looksAt": "both"}})), "rule.content.looksAt"),
        (
            thing(
                Section::Policy,
                "p",
                json!({"rule": {"sizeLimit": {"requestBytes": 1}}, "reach": "all", "when": {"models": ["large"]}}),
            ),
            "when.models[0]",
        ),
        (
            thing(
                Section::Policy,
                "p",
                json!({"rule": {"sizeLimit": {"requestBytes": 1}}, "reach": "all", "when": {"routes": ["x"]}}),
            ),
            "when.routes[0]",
        ),
        (
            thing(Section::Policy, "Not a slug", json!({"rule": {"sizeLimit": {"requestBytes": 1}}, "reach": "all"})),
            "name",
        ),
    ] {
        let label = format!("{} {}", change.label(), change.settings.to_value());
        let found = findings(change);
        assert!(found.contains(&(path.to_owned(), true)), "{label}: wanted {path}, found {found:?}");
    }
}

#[test]
fn a_policy_about_models_is_refused_where_a_route_serves_a_rest_api() {
    for (rule, is_refused) in [
        (json!({"tokenLimit": {"tokensPerMinute": 100}}), true),
        (json!({"tokenLimit": {"tokensPerMinute": 100, "concurrentRequests": 4}}), false),
        (json!({"tokenLimit": {"quotas": [{"period": "day", "requests": 100}]}}), false),
        (json!({"budget": {"counterKey": "{key}", "period": "month", "hard": 100}}), true),
        (json!({"modelAllowList": {"models": ["small"]}}), true),
        (json!({"content": {"blocked": ["x"]}}), true),
        (json!({"sizeLimit": {"outputTokens": 100}}), true),
        (json!({"sizeLimit": {"responseBytes": 100}}), false),
        (json!({"requestRate": {"counterKey": "{key}", "requests": 9, "per": "10s"}}), false),
    ] {
        let mut book = sound();
        for made in [
            thing(Section::Backend, "shop", json!({"provider": "rest", "url": "https://shop.example.com"})),
            thing(Section::Pool, "shop", json!({"members": [{"backend": "shop"}]})),
            thing(Section::Policy, "p", json!({"rule": rule})),
            thing(
                Section::Route,
                "shop",
                json!({"serves": {"rest": "default/shop"}, "pool": "shop", "policies": ["p"]}),
            ),
        ] {
            book.put(made);
        }

        let found = check(&book, &Egress::default());

        let is_it = |finding: &Finding| finding.is_error && finding.name == "shop" && finding.path == "policies[0]";
        assert_eq!(found.iter().any(is_it), is_refused, "{rule}: {found:?}");
    }
}

#[test]
fn a_likely_slip_is_warned_of() {
    let named = thing(Section::Policy, "p", json!({"rule": {"sizeLimit": {"requestBytes": 1}}}));
    let none_allowed =
        thing(Section::Policy, "chat", json!({"reach": "all", "rule": {"modelAllowList": {"models": ["large"]}}}));
    let unused = thing(Section::Pool, "spare", json!({"members": [{"backend": "eu"}]}));

    assert_eq!(findings(named), [("reach".to_owned(), false)]);
    assert_eq!(findings(unused), [(String::new(), false)]);
    let found = findings(none_allowed);
    assert!(found.contains(&("policies".to_owned(), false)), "{found:?}");
}

#[test]
fn a_workspace_uses_its_own_things_and_what_is_shared_and_never_the_credentials_of_others() {
    let id = crate::base::WorkspaceId::new();
    let team = Owner::Workspace { id, name: Slug::parse("team").unwrap() };
    let of_team = |one: Thing| Thing { owner: team.clone(), ..one };
    let mut book = sound();
    book.workspaces.push((id, Slug::parse("team").unwrap()));
    let url = "https://own.example.com/v1";
    book.put(of_team(thing(
        Section::Backend,
        "own",
        json!({"provider": "openai", "url": url, "credential": "vendor"}),
    )));
    book.put(of_team(thing(Section::Pool, "mixed", json!({"members": [{"backend": "eu"}, {"backend": "own"}]}))));

    let errors = |book: &Book| -> Vec<String> {
        let findings = check(book, &Egress::default()).into_iter().filter(|one| one.is_error);
        findings.map(|one| format!("{} {}", one.name, one.path)).collect()
    };

    assert_eq!(errors(&book), ["own credential", "mixed members[0].backend"]);
    let mut shared = sound().things[1].clone();
    if let Settings::Backend(settings) = &mut shared.settings {
        settings.shared = true;
    }
    book.put(shared);
    assert_eq!(errors(&book), ["own credential"]);
}

#[test]
fn headers_that_hold_no_secret_are_set() {
    for (name, value) in [
        ("OpenAI-Organization", "org-1"),
        ("x-idempotency-key", "a"),
        ("x-max-tokens", "100"),
        ("x-author", "harbour"),
        ("x-monkey", "1"),
    ] {
        assert_eq!(plain_header(name, value), Ok(()), "{name}");
    }
    for (name, value) in [("X-Auth", "a"), ("xi_api_key", "a"), ("x-passwd", "a"), ("x-a", " sk-abc"), ("x-a", "eyJh")]
    {
        let message = plain_header(name, value).unwrap_err();
        assert!(message.contains("credential") && !message.contains("abc"), "{message}");
    }
}

#[test]
fn a_budget_and_a_route_under_it_are_warned_of_models_without_a_price() {
    let mut book = sound();
    book.put(thing(
        Section::Backend,
        "us",
        json!({"provider": "openai", "url": "https://api.example.com/v1", "models": {"large": "large-1", "own": "own-1"}, "prices": {"own": {"input": 1}}}),
    ));
    book.put(thing(Section::Pool, "chat", json!({"members": [{"backend": "eu"}, {"backend": "us"}]})));
    book.put(thing(Section::Route, "chat", json!({"serves": {"models": ["small", "large", "own"]}, "pool": "chat"})));
    let warned = |book: &Book| {
        let findings = check(book, &Egress::default()).into_iter();
        findings.map(|one| (one.name, one.path, one.message, one.is_error)).collect::<Vec<_>>()
    };
    assert_eq!(warned(&book), [], "nobody counts");

    let money = |more: Value| {
        let mut budget =
            json!({"reach": "all", "rule": {"budget": {"counterKey": "{key}", "period": "day", "hard": 5}}});
        budget.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        thing(Section::Policy, "money", budget)
    };
    book.put(money(json!({})));
    let [(route, path, message, false), (budget, place, told, false)] = &warned(&book)[..] else {
        panic!("{:?}", warned(&book))
    };
    assert_eq!((route.as_str(), path.as_str()), ("chat", "serves.models"));
    assert!(message.contains("the budget money") && message.ends_with(": large"), "{message}");
    assert_eq!((budget.as_str(), place.as_str()), ("money", "rule.budget"));
    assert!(told.ends_with("no price: large"), "{told}");

    book.put(money(json!({"when": {"models": ["small"]}})));
    assert_eq!(warned(&book), []);
    book.put(money(json!({"reach": "named"})));
    assert!(warned(&book).iter().all(|(_, path, ..)| path == "reach"), "no route names it: {:?}", warned(&book));
}

#[test]
fn a_price_of_a_workspace_counts_for_its_own_backends_alone() {
    let workspace =
        |name: &str| Owner::Workspace { id: crate::base::WorkspaceId::new(), name: Slug::parse(name).unwrap() };
    let (team, other) = (workspace("team"), workspace("other"));
    let budget = || {
        let rule = json!({"budget": {"counterKey": "{key}", "period": "day", "hard": 5}});
        thing(Section::Policy, "money", json!({"reach": "all", "rule": rule}))
    };
    let mut book = sound();
    book.remove(Section::Price, &Owner::Instance, "small");
    book.put(Thing { owner: team.clone(), ..thing(Section::Price, "small", json!({"input": 1})) });
    book.put(budget());
    let told = |book: &Book| -> Vec<(String, bool)> {
        let findings = check(book, &Egress::default()).into_iter();
        findings.map(|one| (format!("{} {}", one.name, one.path), one.is_error)).collect()
    };

    let free = [("chat serves.models", false), ("small ", false), ("money rule.budget", false)];
    assert_eq!(told(&book), free.map(|(place, is_error)| (place.to_owned(), is_error)));

    book.put(Thing { owner: other, ..budget() });
    assert!(told(&book).contains(&("money rule.budget".to_owned(), true)), "{:?}", told(&book));

    let own = json!({"provider": "openai", "url": "https://own.example.com/v1"});
    book.put(Thing { owner: team, ..thing(Section::Backend, "own", own) });
    assert!(!told(&book).iter().any(|(place, _)| place == "small "), "{:?}", told(&book));
}
