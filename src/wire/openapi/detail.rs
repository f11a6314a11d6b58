//! The detail of one operation: parameters, request body, responses, in one shape for all versions of OpenAPI.

use super::Edition;
use super::expansion::{Expansion, fit};
use super::reference::References;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// How much of an operation's bytes its parameters and request body may take; a caller needs them first.
const REQUEST_SHARE: (usize, usize) = (5, 8);
/// Most media types that Swagger 2.0 lists for one body.
const MOST_MEDIA_TYPES: usize = 20;
/// Members of a Swagger 2.0 parameter that belong to its schema.
const SCHEMA_MEMBERS: [&str; 19] = [
    "type",
    "format",
    "items",
    "default",
    "enum",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "multipleOf",
    "example",
    "readOnly",
    "allowEmptyValue",
];

/// What the parts of one operation are found in.
pub(super) struct Source<'s, 'a> {
    pub(super) edition: Edition,
    pub(super) references: &'s References<'a>,
    pub(super) root: &'a Map<String, Value>,
    /// The path item, and what it refers to.
    pub(super) item: &'s [&'a Map<String, Value>],
    /// The operation, and what it refers to.
    pub(super) operation: &'s [&'a Map<String, Value>],
}

/// A parameter and, as a reference was followed, what the document writes beside it.
pub(super) struct Parameter<'a> {
    written: &'a Map<String, Value>,
    pub(super) resolved: &'a Map<String, Value>,
}

impl<'a> Parameter<'a> {
    pub(super) fn name(&self) -> &'a str {
        self.resolved.get("name").and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn place(&self) -> &'a str {
        self.resolved.get("in").and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn is_unresolved(&self) -> bool {
        self.resolved.contains_key("$ref")
    }
}

impl<'a> Source<'_, 'a> {
    /// A member of the operation.
    pub(super) fn member(&self, key: &str) -> Option<&'a Value> {
        self.operation.iter().find_map(|layer| layer.get(key))
    }

    /// The parameters of the path and of the operation; of two with the same place and name the operation's holds.
    /// At most `most`.
    pub(super) fn parameters(&self, most: usize) -> Vec<Parameter<'a>> {
        let of_item = self.item.iter().find_map(|layer| layer.get("parameters"));
        let mut parameters: Vec<Parameter<'a>> = Vec::new();
        let mut known: HashMap<(&str, &str), usize> = HashMap::new();
        for written in [of_item, self.member("parameters")].into_iter().flatten().filter_map(Value::as_array).flatten()
        {
            let resolved = self.references.follow(written);
            let (Some(written), Some(resolved)) = (written.as_object(), resolved.as_object()) else { continue };
            let parameter = Parameter { written, resolved };
            if parameter.is_unresolved() {
                parameters.push(parameter);
            } else {
                let place = *known.entry((parameter.place(), parameter.name())).or_insert(parameters.len());
                match parameters.get_mut(place) {
                    Some(other) => *other = parameter,
                    None => parameters.push(parameter),
                }
            }
            if parameters.len() == most {
                break;
            }
        }
        parameters
    }

    /// The whole detail within about `bound` bytes, and whether something had to be left out.
    pub(super) fn detail(&self, parameters: &[Parameter<'a>], bound: usize) -> (Value, bool) {
        let (part, whole) = REQUEST_SHARE;
        let request = fit(self.references, bound * part / whole, |expansion| self.request(parameters, expansion));
        let responses = fit(self.references, bound - request.bytes, |expansion| self.outcome(expansion));
        let mut detail: Map<String, Value> = request.value;
        detail.extend(responses.value);
        (Value::Object(detail), request.is_cut || responses.is_cut)
    }

    fn request(&self, parameters: &[Parameter<'a>], expansion: &mut Expansion<'_, 'a>) -> Option<Map<String, Value>> {
        let mut detail = Map::new();
        if let Some(reference) = self.operation.last().and_then(|layer| layer.get("$ref")) {
            detail.insert("$ref".to_owned(), expansion.copy(reference)?);
        }
        let is_body = |parameter: &&Parameter<'a>| {
            self.edition == Edition::V2 && matches!(parameter.place(), "body" | "formData")
        };
        let mut list = Vec::new();
        for parameter in parameters.iter().filter(|parameter| !is_body(parameter)) {
            let built = self.parameter(parameter, expansion);
            if expansion.keep(built, |parameter| list.push(parameter))? {
                break;
            }
        }
        if !list.is_empty() {
            detail.insert("parameters".to_owned(), Value::Array(list));
        }
        let body = if self.edition == Edition::V2 {
            let parts: Vec<_> = parameters.iter().filter(is_body).collect();
            (!parts.is_empty()).then(|| self.swagger_body(&parts, expansion))
        } else {
            self.member("requestBody").map(|body| self.body(body, expansion))
        };
        if let Some(body) = body {
            expansion.keep(body, |body| detail.insert("requestBody".to_owned(), body))?;
        }
        Some(detail)
    }

    fn parameter(&self, parameter: &Parameter<'a>, expansion: &mut Expansion<'_, 'a>) -> Option<Value> {
        let resolved = parameter.resolved;
        if parameter.is_unresolved() {
            return expansion.copy(&json!({"$ref": resolved.get("$ref")}));
        }
        let mut built = Map::new();
        built.insert("name".to_owned(), expansion.copy(&Value::from(parameter.name()))?);
        built.insert("in".to_owned(), expansion.copy(&Value::from(parameter.place()))?);
        let is_required = flag(resolved, "required") || parameter.place() == "path";
        expansion.spend(40)?;
        built.insert("required".to_owned(), is_required.into());
        let description = [parameter.written, resolved].iter().find_map(|layer| layer.get("description")?.as_str());
        if let Some(text) = description {
            built.insert("description".to_owned(), expansion.text(text)?);
        }
        if flag(resolved, "deprecated") {
            built.insert("deprecated".to_owned(), true.into());
        }
        let schema = if self.edition == Edition::V2 && !resolved.contains_key("schema") {
            Some(swagger_schema(resolved, expansion)?)
        } else {
            let in_content = || media_types(resolved).next().and_then(|(_, media)| media.get("schema"));
            match resolved.get("schema").or_else(in_content) {
                Some(schema) => Some(expansion.schema(schema)?),
                None => None,
            }
        };
        built.extend(schema.map(|schema| ("schema".to_owned(), schema)));
        Some(Value::Object(built))
    }

    fn body(&self, written: &'a Value, expansion: &mut Expansion<'_, 'a>) -> Option<Value> {
        let layers = self.references.layers(written);
        if let Some(reference) = layers.last().and_then(|layer| layer.get("$ref")) {
            return expansion.copy(&json!({"$ref": reference}));
        }
        let body = layers.last()?;
        let mut built = Map::new();
        expansion.spend(20)?;
        built.insert("required".to_owned(), flag(body, "required").into());
        if let Some(text) = layers.iter().find_map(|layer| layer.get("description")?.as_str()) {
            built.insert("description".to_owned(), expansion.text(text)?);
        }
        built.insert("content".to_owned(), self.content(body, expansion)?);
        Some(Value::Object(built))
    }

    /// `{media type: {schema}}` of a request body or a response.
    fn content(&self, body: &'a Map<String, Value>, expansion: &mut Expansion<'_, 'a>) -> Option<Value> {
        expansion.spend(12)?;
        let mut content = Map::new();
        for (media_type, media) in media_types(body) {
            let built = self.media(media_type, self.references.follow(media), expansion);
            if expansion.keep(built, |media| content.insert(media_type.clone(), media))? {
                break;
            }
        }
        Some(Value::Object(content))
    }

    fn media(&self, media_type: &str, media: &'a Value, expansion: &mut Expansion<'_, 'a>) -> Option<Value> {
        expansion.spend(media_type.len() + 6)?;
        let mut built = Map::new();
        for member in ["schema", "itemSchema"] {
            if let Some(schema) = media.get(member) {
                expansion.spend(12)?;
                built.insert(member.to_owned(), expansion.schema(schema)?);
            }
        }
        Some(Value::Object(built))
    }

    /// What Swagger 2.0 says with `body` and `formData` parameters.
    fn swagger_body(&self, parts: &[&Parameter<'a>], expansion: &mut Expansion<'_, 'a>) -> Option<Value> {
        let mut built = Map::new();
        expansion.spend(32)?;
        let is_required = parts.iter().any(|part| flag(part.resolved, "required"));
        built.insert("required".to_owned(), is_required.into());
        if let Some(body) = parts.iter().find(|part| part.place() == "body") {
            if let Some(text) = body.resolved.get("description").and_then(Value::as_str) {
                built.insert("description".to_owned(), expansion.text(text)?);
            }
            let media_types = self.media_type_list("consumes", "application/json");
            let schema = body.resolved.get("schema");
            built.insert("content".to_owned(), swagger_content(&media_types, schema, expansion)?);
            return Some(Value::Object(built));
        }
        let mut properties = Map::new();
        let mut required = Vec::new();
        let mut has_file = false;
        for part in parts {
            has_file |= part.resolved.get("type").is_some_and(|kind| kind == "file");
            let schema = swagger_schema(part.resolved, expansion);
            let schema = schema.and_then(|schema| {
                let Value::Object(mut schema) = schema else { return None };
                if let Some(text) = part.resolved.get("description").and_then(Value::as_str) {
                    schema.insert("description".to_owned(), expansion.text(text)?);
                }
                expansion.spend(2 * part.name().len() + 6)?;
                Some(Value::Object(schema))
            });
            if flag(part.resolved, "required") {
                required.push(Value::from(part.name()));
            }
            if expansion.keep(schema, |schema| properties.insert(part.name().to_owned(), schema))? {
                break;
            }
        }
        let usual = if has_file { "multipart/form-data" } else { "application/x-www-form-urlencoded" };
        let media_type = self.media_type_list("consumes", usual)[0];
        let mut schema = json!({"type": "object", "properties": properties});
        if !required.is_empty() {
            schema["required"] = Value::Array(required);
        }
        expansion.spend(media_type.len() + 40)?;
        built.insert("content".to_owned(), json!({media_type: {"schema": schema}}));
        Some(Value::Object(built))
    }

    /// `consumes` or `produces` of the operation, else of the document, else the usual one; never empty.
    fn media_type_list(&self, member: &str, usual: &'a str) -> Vec<&'a str> {
        let told = self.member(member).or_else(|| self.root.get(member)).and_then(Value::as_array);
        let list: Vec<&str> = told.into_iter().flatten().filter_map(Value::as_str).take(MOST_MEDIA_TYPES).collect();
        if list.is_empty() { vec![usual] } else { list }
    }

    /// Responses, then security and servers where the operation has its own.
    fn outcome(&self, expansion: &mut Expansion<'_, 'a>) -> Option<Map<String, Value>> {
        let mut detail = Map::new();
        let mut responses = Map::new();
        let written = self.member("responses").and_then(Value::as_object);
        for (code, response) in written.into_iter().flatten().filter(|(code, _)| !code.starts_with("x-")) {
            let built = self.response(code, response, expansion);
            if expansion.keep(built, |response| responses.insert(code.clone(), response))? {
                break;
            }
        }
        if !responses.is_empty() {
            detail.insert("responses".to_owned(), Value::Object(responses));
        }
        let security = self.member("security").or_else(|| self.root.get("security"));
        let servers = self.member("servers").or_else(|| self.item.iter().find_map(|layer| layer.get("servers")));
        for (member, value) in [("security", security), ("servers", servers)] {
            let Some(value) = value.filter(|value| value.is_array()) else { continue };
            let copy = expansion.copy(value);
            if expansion.keep(copy, |copy| detail.insert(member.to_owned(), copy))? {
                break;
            }
        }
        Some(detail)
    }

    fn response(&self, code: &str, written: &'a Value, expansion: &mut Expansion<'_, 'a>) -> Option<Value> {
        expansion.spend(code.len() + 6)?;
        let layers = self.references.layers(written);
        let Some(response) = layers.last() else { return Some(json!({})) };
        if let Some(reference) = response.get("$ref") {
            return expansion.copy(&json!({"$ref": reference}));
        }
        let mut built = Map::new();
        if let Some(text) = layers.iter().find_map(|layer| layer.get("description")?.as_str()) {
            built.insert("description".to_owned(), expansion.text(text)?);
        }
        let content = match self.edition {
            Edition::V2 => response.get("schema").map(|schema| {
                swagger_content(&self.media_type_list("produces", "application/json"), Some(schema), expansion)
            }),
            _ => response.get("content").map(|_| self.content(response, expansion)),
        };
        if let Some(content) = content {
            built.insert("content".to_owned(), content?);
        }
        Some(Value::Object(built))
    }
}

fn media_types(body: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    let content = body.get("content").and_then(Value::as_object);
    content.into_iter().flatten().filter(|(media_type, _)| !media_type.starts_with("x-"))
}

fn swagger_content<'a>(
    media_types: &[&str],
    schema: Option<&'a Value>,
    expansion: &mut Expansion<'_, 'a>,
) -> Option<Value> {
    let mut content = Map::new();
    for media_type in media_types {
        expansion.spend(media_type.len() + 20)?;
        let mut media = Map::new();
        if let Some(schema) = schema {
            media.insert("schema".to_owned(), without_file(expansion.schema(schema)?));
        }
        content.insert((*media_type).to_owned(), Value::Object(media));
    }
    Some(Value::Object(content))
}

/// The schema that a Swagger 2.0 parameter is.
fn swagger_schema<'a>(parameter: &'a Map<String, Value>, expansion: &mut Expansion<'_, 'a>) -> Option<Value> {
    let members = parameter.iter().filter(|(key, _)| SCHEMA_MEMBERS.contains(&key.as_str()));
    expansion.members(members).map(Value::Object).map(without_file)
}

/// Swagger 2.0 calls an upload `{"type": "file"}`; all later versions know it as a binary string.
fn without_file(mut schema: Value) -> Value {
    if schema.get("type").is_some_and(|kind| kind == "file") {
        schema["type"] = "string".into();
        schema["format"] = "binary".into();
    }
    schema
}

fn flag(map: &Map<String, Value>, key: &str) -> bool {
    map.get(key).is_some_and(|value| value == &Value::Bool(true))
}
