//! Rules for what a user fills in: inputs, environment variables, headers, arguments.

use super::found::{Found, Place};

const FORMATS: [&str; 4] = ["string", "number", "boolean", "filepath"];

/// An input: the fields common to everything that has a value.
pub(super) fn check(found: &mut Found, place: &Place<'_>) {
    for key in ["description", "value", "default", "placeholder"] {
        place.text(found, key);
    }
    for key in ["isRequired", "isSecret"] {
        place.flag(found, key);
    }
    for (path, choice) in place.items(found, "choices") {
        if !choice.is_string() {
            found.schema(path, "Input/properties/choices", "a choice is a string");
        }
    }
    if let Some(format) = place.text(found, "format")
        && !FORMATS.contains(&format)
    {
        place.breach(found, "format", format!("format is one of {}, not {format:?}", FORMATS.join(", ")));
    }
}

/// An input whose value may hold `{variables}`, which are inputs themselves.
pub(super) fn with_variables(found: &mut Found, place: &Place<'_>) {
    check(found, place);
    variables(found, place);
}

/// The inputs in the object `variables`.
pub(super) fn variables(found: &mut Found, place: &Place<'_>) {
    let Some(variables) = place.inner(found, "variables", "Input") else { return };
    for (name, value) in variables.map {
        if let Some(input) = Place::object(found, value, variables.at(name), "Input") {
            check(found, &input);
        }
    }
}

/// The environment variables or headers in the array at `key`; each has a name.
pub(super) fn named_values(found: &mut Found, place: &Place<'_>, key: &str) {
    for value in place.objects(found, key, "KeyValueInput") {
        value.required_text(found, "name");
        with_variables(found, &value);
    }
}

/// The arguments in the array at `key`.
pub(super) fn arguments(found: &mut Found, place: &Place<'_>, key: &str) {
    for argument in place.objects(found, key, "Argument") {
        argument.flag(found, "isRepeated");
        with_variables(found, &argument);
        match argument.required_text(found, "type") {
            Some("positional") => positional(found, &argument),
            Some("named") => named(found, &argument),
            Some(other) => {
                argument.breach(found, "type", format!("type is `positional` or `named`, not {other:?}"));
            }
            None => {}
        }
    }
}

fn positional(found: &mut Found, argument: &Place<'_>) {
    argument.text(found, "valueHint");
    if !argument.has("valueHint") && !argument.has("value") {
        argument.breach(found, "valueHint", "a positional argument has a `valueHint` or a `value`");
    }
}

fn named(found: &mut Found, argument: &Place<'_>) {
    let Some(name) = argument.required_text(found, "name") else { return };
    if name.is_empty() {
        found.semantic(argument.at("name"), "named-argument-name-required", "a named argument has a name");
        return;
    }
    if name.contains(['<', '>', ' ', '$']) {
        found.semantic(
            argument.at("name"),
            "invalid-named-argument-name",
            "the name of an argument has no `<`, `>`, `$` or space; a placeholder belongs into `value` or `default`",
        );
    }
    for key in ["value", "default"] {
        if argument.map.get(key).and_then(serde_json::Value::as_str).is_some_and(|value| value.starts_with(name)) {
            found.semantic(
                argument.at(key),
                "argument-value-starts-with-name",
                format!("{key} repeats the argument's name {name:?}; give the value alone"),
            );
        }
    }
}
