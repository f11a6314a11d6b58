//! JSON Schema as the rows of a table that people can read: one for each property, nested ones indented.

mod type_text;

pub use type_text::type_text;

use serde_json::{Map, Value};

/// Deepest nesting that gets rows of its own.
pub const MAX_DEPTH: usize = 6;
/// Most rows of one table.
pub const MAX_ROWS: usize = 300;
/// Most values of an `enum` that are listed.
pub const MAX_ENUM_VALUES: usize = 50;
/// Longest default and `enum` value, in characters.
const VALUE_CHARACTERS: usize = 200;

/// One row: a property, a parameter, or the whole when it has no properties.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SchemaRow {
    /// Empty for the whole; `one of` for an alternative.
    pub name: String,
    /// Where a parameter goes: `path`, `query`, `header`, `cookie`; absent for properties.
    pub place: Option<String>,
    /// `array of Pet`, `string (date-time) or null`.
    pub type_text: String,
    pub required: bool,
    pub deprecated: bool,
    /// As JSON, strings without their quotes.
    pub default: Option<String>,
    /// Markdown.
    pub description: Option<String>,
    /// At most [`MAX_ENUM_VALUES`].
    pub enum_values: Vec<String>,
    /// Bounds and patterns in words: `1 to 100`, `at most 20 characters`.
    pub limits: Option<String>,
    /// How deep it is nested, from 0.
    pub depth: usize,
}

/// The rows of a schema: its properties, theirs below them; one row without a name for what has none.
///
/// At most [`MAX_ROWS`], at most [`MAX_DEPTH`] deep. `allOf` is taken together; of `oneOf` and `anyOf` each alternative
/// with properties gets a row above its own.
#[must_use]
pub fn rows(schema: &Value) -> Vec<SchemaRow> {
    let mut rows = Vec::new();
    let mut view = View { rows: &mut rows };
    if !is_structured(schema) {
        view.rows.push(row(String::new(), schema, false, 0));
        return rows;
    }
    if schema.get("items").is_some() {
        view.rows.push(row(String::new(), schema, false, 0));
        view.below(schema, 1);
    } else {
        view.below(schema, 0);
    }
    rows
}

/// The rows of an operation's `parameters` (as its detail has them), each with the properties of its schema below it.
#[must_use]
pub fn parameter_rows(parameters: &Value) -> Vec<SchemaRow> {
    let mut rows = Vec::new();
    for parameter in parameters.as_array().into_iter().flatten() {
        if rows.len() >= MAX_ROWS {
            break;
        }
        let text = |key: &str| parameter.get(key).and_then(Value::as_str).map(str::to_owned);
        let nothing = Value::Bool(true);
        let schema = parameter.get("schema").unwrap_or(&nothing);
        let is_set = |key: &str| parameter.get(key) == Some(&Value::Bool(true));
        let of_schema = row(String::new(), schema, is_set("required"), 0);
        rows.push(SchemaRow {
            name: text("name").or_else(|| text("$ref")).unwrap_or_default(),
            place: text("in"),
            description: text("description").or(of_schema.description),
            deprecated: is_set("deprecated") || of_schema.deprecated,
            ..of_schema
        });
        View { rows: &mut rows }.below(schema, 1);
    }
    rows
}

struct View<'r> {
    rows: &'r mut Vec<SchemaRow>,
}

impl View<'_> {
    /// The rows of what lies within `schema`.
    fn below(&mut self, schema: &Value, depth: usize) {
        self.properties(schema, depth, 0, &[]);
    }

    /// `hops` counts steps that need no row: `allOf`, items of an array, the one alternative to null. `inherited` are
    /// the names that the schema around this part requires.
    fn properties(&mut self, schema: &Value, depth: usize, hops: usize, inherited: &[&str]) {
        if depth >= MAX_DEPTH || hops > 2 * MAX_DEPTH || self.is_full() {
            return;
        }
        let Some(members) = schema.as_object() else { return };
        let required: Vec<&str> = required(members).chain(inherited.iter().copied()).collect();
        for (name, property) in members.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if self.is_full() {
                return;
            }
            // Parts of an `allOf` often tell the same property again.
            let known = self.rows.iter().rev().take_while(|row| row.depth >= depth);
            if hops > 0 && known.filter(|row| row.depth == depth).any(|row| row.name == *name) {
                continue;
            }
            self.rows.push(row(name.clone(), property, required.contains(&name.as_str()), depth));
            self.below(property, depth + 1);
        }
        for part in members.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.properties(part, depth, hops + 1, &required);
        }
        if let Some(items) = members.get("items") {
            self.properties(items, depth, hops + 1, &[]);
        }
        if let Some(values) = members.get("additionalProperties").filter(|values| is_structured(values)) {
            self.rows.push(row("*".to_owned(), values, false, depth));
            self.below(values, depth + 1);
        }
        self.alternatives(members, depth, hops, &required);
    }

    fn alternatives(&mut self, members: &Map<String, Value>, depth: usize, hops: usize, required: &[&str]) {
        for list in ["oneOf", "anyOf"].iter().filter_map(|key| members.get(*key)?.as_array()) {
            let structured: Vec<&Value> = list.iter().filter(|schema| is_structured(schema)).collect();
            if let [only] = structured.as_slice() {
                self.properties(only, depth, hops + 1, required);
                continue;
            }
            for alternative in structured {
                if self.is_full() {
                    return;
                }
                self.rows.push(row("one of".to_owned(), alternative, false, depth));
                self.properties(alternative, depth + 1, 0, required);
            }
        }
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= MAX_ROWS
    }
}

/// Whether there is something to show below the schema's own row.
fn is_structured(schema: &Value) -> bool {
    fn look(schema: &Value, hops: usize) -> bool {
        let Some(members) = schema.as_object().filter(|_| hops <= 2 * MAX_DEPTH) else { return false };
        let any = |key: &str| {
            members.get(key).and_then(Value::as_array).is_some_and(|list| list.iter().any(|part| look(part, hops + 1)))
        };
        members.get("properties").and_then(Value::as_object).is_some_and(|named| !named.is_empty())
            || members.get("items").is_some_and(|items| look(items, hops + 1))
            || members.get("additionalProperties").is_some_and(|values| look(values, hops + 1))
            || any("allOf")
            || any("oneOf")
            || any("anyOf")
    }
    look(schema, 0)
}

/// The names that this schema or a part of its `allOf` requires.
fn required(members: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let parts = members.get("allOf").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object);
    std::iter::once(members)
        .chain(parts)
        .filter_map(|part| part.get("required")?.as_array())
        .flatten()
        .filter_map(Value::as_str)
}

fn row(name: String, schema: &Value, required: bool, depth: usize) -> SchemaRow {
    let is_set = |key: &str| schema.get(key) == Some(&Value::Bool(true));
    let listed = schema.get("enum").or_else(|| schema.get("items")?.get("enum")).and_then(Value::as_array);
    let values = listed.map(Vec::as_slice).or_else(|| schema.get("const").map(std::slice::from_ref));
    SchemaRow {
        name,
        place: None,
        type_text: type_text(schema),
        required,
        deprecated: is_set("deprecated"),
        default: schema.get("default").map(plain),
        description: schema
            .get("description")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .filter(|text| !text.is_empty()),
        enum_values: values.into_iter().flatten().take(MAX_ENUM_VALUES).map(plain).collect(),
        limits: limits(schema),
        depth,
    }
}

/// Text as it is, all else as JSON; cut at [`VALUE_CHARACTERS`].
fn plain(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match text.char_indices().nth(VALUE_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn limits(schema: &Value) -> Option<String> {
    let of = |key: &str| schema.get(key).filter(|value| value.is_number() || value.is_string()).map(plain);
    let range = |least: Option<String>, most: Option<String>, unit: &str| {
        let text = match (least, most) {
            (Some(least), Some(most)) if least == most => format!("exactly {least}{unit}"),
            (Some(least), Some(most)) => format!("{least} to {most}{unit}"),
            (Some(least), None) => format!("at least {least}{unit}"),
            (None, Some(most)) => format!("at most {most}{unit}"),
            (None, None) => return None,
        };
        Some(text)
    };
    // A number since JSON Schema 2019; before that, a truth value beside `minimum`.
    let strict = |key: &str, word: &str| {
        schema.get(key).filter(|value| value.is_number()).map(|value| format!("{word} {value}"))
    };
    let parts = [
        range(of("minimum"), of("maximum"), ""),
        strict("exclusiveMinimum", "more than"),
        strict("exclusiveMaximum", "less than"),
        range(of("minLength"), of("maxLength"), " characters"),
        range(of("minItems"), of("maxItems"), " items"),
        of("multipleOf").map(|step| format!("a multiple of {step}")),
        of("pattern").map(|pattern| format!("matches {pattern}")),
    ];
    let text = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// `depth name: type`, an asterisk after what is required.
    fn lines(rows: &[SchemaRow]) -> Vec<String> {
        let line = |row: &SchemaRow| {
            format!("{} {}{}: {}", row.depth, row.name, if row.required { "*" } else { "" }, row.type_text)
        };
        rows.iter().map(line).collect()
    }

    #[test]
    fn properties_become_rows_with_theirs_below_them() {
        let rows = rows(&json!({
            "type": "object",
            "required": ["crew", "name"],
            "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 20, "description": "painted on the bow"},
                "crew": {"type": "array", "items": {"type": "object", "required": ["rank"], "properties": {
                    "rank": {"enum": ["mate", "cook"], "default": "mate"},
                }}},
                "berths": {"additionalProperties": {"properties": {"length": {"type": "number", "exclusiveMinimum": 0}}}},
            },
        }));

        assert_eq!(
            lines(&rows),
            [
                "0 name*: string",
                "0 crew*: array of object",
                "1 rank*: string",
                "0 berths: map of object",
                "1 *: object",
                "2 length: number",
            ]
        );
        assert_eq!(rows[0].limits.as_deref(), Some("1 to 20 characters"));
        assert_eq!(rows[0].description.as_deref(), Some("painted on the bow"));
        assert_eq!((rows[2].default.as_deref(), rows[2].enum_values.join("|")), (Some("mate"), "mate|cook".to_owned()));
        assert_eq!(rows[5].limits.as_deref(), Some("more than 0"));
    }

    #[test]
    fn compositions_are_taken_together_or_told_apart() {
        let together = rows(&json!({"required": ["id"], "allOf": [
            {"properties": {"id": {"type": "string"}}},
            {"required": ["name"], "properties": {"name": {"type": "string"}, "id": {"type": "string"}}},
        ]}));
        let apart = rows(&json!({"oneOf": [
            {"title": "Card", "properties": {"number": {"type": "string"}}},
            {"title": "Cash", "properties": {"coins": {"type": "integer"}}},
            {"type": "null"},
        ]}));
        let optional = rows(&json!({"anyOf": [{"properties": {"a": true}}, {"type": "null"}]}));

        assert_eq!(lines(&together), ["0 id*: string", "0 name*: string"]);
        assert_eq!(lines(&apart), ["0 one of: Card", "1 number: string", "0 one of: Cash", "1 coins: integer"]);
        assert_eq!(lines(&optional), ["0 a: any"]);
    }

    #[test]
    fn what_has_no_properties_is_one_row() {
        for (schema, line) in [
            (json!({"type": "string", "format": "binary"}), "0 : string (binary)"),
            (json!({"$ref": "#/components/schemas/Pet"}), "0 : Pet"),
            (json!(true), "0 : any"),
            (json!(null), "0 : any"),
            (json!({"type": "array", "items": {"type": "string"}}), "0 : array of string"),
        ] {
            assert_eq!(lines(&rows(&schema)), [line]);
        }
        let list = rows(&json!({"type": "array", "items": {"title": "Pet", "properties": {"id": {"type": "string"}}}}));
        assert_eq!(lines(&list), ["0 : array of Pet", "1 id: string"]);
    }

    #[test]
    fn parameters_have_a_place() {
        let rows = parameter_rows(&json!([
            {"name": "limit", "in": "query", "required": true, "description": "page size",
             "schema": {"type": "integer", "maximum": 100, "description": "unseen"}},
            {"name": "filter", "in": "query", "schema": {"properties": {"tag": {"type": "string"}}}},
            {"$ref": "common.yaml#/Trace"},
        ]));

        assert_eq!(
            lines(&rows),
            ["0 limit*: integer", "0 filter: object", "1 tag: string", "0 common.yaml#/Trace: any",]
        );
        assert_eq!(rows[0].place.as_deref(), Some("query"));
        assert_eq!(rows[0].description.as_deref(), Some("page size"));
        assert_eq!(rows[0].limits.as_deref(), Some("at most 100"));
    }

    #[test]
    fn depth_and_number_of_rows_are_bounded() {
        let mut deep = json!({"type": "string"});
        for _ in 0..40 {
            deep = json!({"properties": {"a": deep}});
        }
        let wide: Map<String, Value> = (0..1_000).map(|n| (format!("p{n}"), json!({"type": "string"}))).collect();

        assert_eq!(rows(&deep).len(), MAX_DEPTH);
        assert_eq!(rows(&json!({"properties": wide})).len(), MAX_ROWS);
    }
}
