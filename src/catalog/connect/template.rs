//! `Template`: a text with holes, and `Need`: what the user puts into one; each client has its own way to write a hole.

use super::escape::{variable, visible};
use crate::wire::server_json::Input;
use schemars::JsonSchema;
use serde::Serialize;

/// A value only the user knows: a token, a path, a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Need {
    /// As the document calls it; stands between `<` and `>` where the user writes over it.
    pub name: String,
    /// The environment variable that holds it, for clients that read it from there.
    pub variable: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub is_secret: bool,
    pub is_required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// An example of how the value looks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<String>,
}

/// How a client writes a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// VS Code asks: `${input:name}`.
    Asked,
    /// The client reads secrets from its environment: `${NAME}`.
    Environment,
    /// The same as Cursor writes it: `${env:NAME}`.
    CursorEnvironment,
    /// The user writes over it: `<name>`.
    Written,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// Place in the list of needs.
    Need(usize),
}

/// A text with holes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

impl Template {
    pub(super) fn text(text: &str) -> Self {
        Self(vec![Piece::Text(visible(text))])
    }

    pub(super) fn render(&self, needs: &[Need], style: Style) -> String {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Need(at) => needs[*at].hole(style),
            })
            .collect()
    }

    /// The needs in the text.
    pub(super) fn used<'a>(&'a self, needs: &'a [Need]) -> impl Iterator<Item = &'a Need> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Need(at) => Some(&needs[*at]),
        })
    }

    /// The need, when there is nothing else in the text than `before` and the need.
    pub(super) fn only_need<'a>(&self, needs: &'a [Need], before: &str) -> Option<&'a Need> {
        match self.0.as_slice() {
            [Piece::Need(at)] if before.is_empty() => Some(&needs[*at]),
            [Piece::Text(text), Piece::Need(at)] if text.eq_ignore_ascii_case(before) => Some(&needs[*at]),
            _ => None,
        }
    }
}

impl Need {
    fn hole(&self, style: Style) -> String {
        match (style, &self.default) {
            (Style::Asked, _) => format!("${{input:{}}}", self.input_id()),
            (_, Some(default)) if !self.is_secret => default.clone(),
            (Style::Environment, _) if self.is_secret => format!("${{{}}}", self.variable),
            (Style::CursorEnvironment, _) if self.is_secret => format!("${{env:{}}}", self.variable),
            _ => format!("<{}>", self.name),
        }
    }

    /// The id of a prompt of VS Code.
    pub(super) fn input_id(&self) -> String {
        self.variable.to_ascii_lowercase()
    }
}

/// Collects the needs of one way to connect.
pub(super) struct Needs {
    /// Stands before the names of variables, where those may not be the document's choice.
    prefix: String,
    pub(super) list: Vec<Need>,
    /// What may be given besides; in no template.
    pub(super) optional: Vec<Need>,
}

impl Needs {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), list: Vec::new(), optional: Vec::new() }
    }

    /// The value of `input` as a template: none when nothing has to be given and nothing is given.
    pub(super) fn value(&mut self, input: &Input, name: &str) -> Option<Template> {
        if let Some(value) = input.value.as_deref().filter(|value| !value.is_empty()) {
            return Some(self.with_variables(value, &input.variables, input.is_secret));
        }
        let need = self.need(input, name);
        if input.is_required || need.default.is_some() {
            return Some(Template(vec![Piece::Need(self.place_of(need))]));
        }
        if !self.optional.contains(&need) {
            self.optional.push(need);
        }
        None
    }

    /// `text` with a hole for each `{variable}` and for each `${VARIABLE}`.
    ///
    /// The second is an error of whoever wrote the document, or worse: several clients would replace it by what their
    /// user's environment holds and send that to the server. A hole is filled by the user only.
    pub(super) fn with_variables(&mut self, text: &str, variables: &[(String, Input)], is_secret: bool) -> Template {
        let text = visible(text);
        let mut pieces = Vec::new();
        let mut rest = text.as_str();
        while let Some(hole) = next_hole(rest) {
            if hole.start > 0 {
                pieces.push(Piece::Text(rest[..hole.start].to_owned()));
            }
            let known = variables.iter().find(|(name, _)| name == hole.name).map(|(_, input)| input);
            let mut need = match known {
                Some(input) => self.need(input, hole.name),
                None => self.need(
                    &Input { is_required: true, is_secret: is_secret && !hole.is_reference, ..Input::default() },
                    hole.name,
                ),
            };
            need.is_required = need.default.is_none();
            pieces.push(Piece::Need(self.place_of(need)));
            rest = &rest[hole.end..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Template(pieces)
    }

    fn need(&self, input: &Input, name: &str) -> Need {
        let shown: String = visible(name).chars().filter(|one| !"<>${}".contains(*one)).take(80).collect();
        let shown = shown.trim().trim_start_matches('-').to_owned();
        let shown = if shown.is_empty() { "value".to_owned() } else { shown };
        let safe = |text: &Option<String>| text.as_deref().map(visible).filter(|text| !text.is_empty());
        Need {
            variable: variable(&format!("{}{shown}", self.prefix)),
            name: shown,
            description: safe(&input.description),
            is_secret: input.is_secret,
            is_required: input.is_required,
            default: safe(&input.default).or_else(|| safe(&input.value)).filter(|text| next_hole(text).is_none()),
            choices: input
                .choices
                .iter()
                .map(|choice| visible(choice))
                .filter(|choice| next_hole(choice).is_none())
                .collect(),
            placeholder: safe(&input.placeholder),
        }
    }

    fn place_of(&mut self, need: Need) -> usize {
        if let Some(at) = self.list.iter().position(|known| known.variable == need.variable) {
            self.list[at].is_secret |= need.is_secret;
            return at;
        }
        self.list.push(need);
        self.list.len() - 1
    }
}

struct Hole<'a> {
    start: usize,
    end: usize,
    name: &'a str,
    /// Written `$NAME` or `${NAME}`.
    is_reference: bool,
}

/// The first `{name}`, `${name}`, `${env:name}` or `$NAME` of `text`.
fn next_hole(text: &str) -> Option<Hole<'_>> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    for (start, byte) in text.bytes().enumerate() {
        let dollar = byte == b'$';
        let after = &text.as_bytes()[start + usize::from(dollar)..];
        if (byte == b'{' || dollar) && after.first() == Some(&b'{') {
            let inner = &text[start + usize::from(dollar) + 1..];
            let Some(close) = inner.find('}') else { continue };
            // Whatever stands in `${...}` is a reference for some client; `{...}` may be JSON or a pattern.
            let name = inner[..close].rsplit(':').next().unwrap_or_default();
            if dollar || (!inner[..close].is_empty() && inner[..close].bytes().all(|one| is_name(&one))) {
                let end = start + usize::from(dollar) + close + 2;
                return Some(Hole { start, end, name, is_reference: dollar });
            }
        } else if dollar {
            let length = after.iter().take_while(|one| one.is_ascii_alphanumeric() || **one == b'_').count();
            if after.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_') {
                let name = &text[start + 1..start + 1 + length];
                return Some(Hole { start, end: start + 1 + length, name, is_reference: true });
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(name: &str) -> Input {
        Input { name: name.to_owned(), ..Input::default() }
    }

    #[test]
    fn each_client_writes_a_hole_its_way() {
        let mut needs = Needs::new("");
        let token = Input { is_secret: true, is_required: true, ..input("token") };
        let region = Input { default: Some("eu".to_owned()), ..input("region") };
        let variables = [("token".to_owned(), token), ("region".to_owned(), region)];
        let template = needs.with_variables("Bearer {token}@{region}/{other}", &variables, false);

        for (style, expected) in [
            (Style::Asked, "Bearer ${input:token}@${input:region}/${input:other}"),
            (Style::Environment, "Bearer ${TOKEN}@eu/<other>"),
            (Style::CursorEnvironment, "Bearer ${env:TOKEN}@eu/<other>"),
            (Style::Written, "Bearer <token>@eu/<other>"),
        ] {
            assert_eq!(template.render(&needs.list, style), expected);
        }
    }

    #[test]
    fn no_text_of_a_document_reads_the_users_environment() {
        for text in [
            "${AWS_SECRET_ACCESS_KEY}",
            "${env:AWS_SECRET_ACCESS_KEY}",
            "$AWS_SECRET_ACCESS_KEY",
            "x${AWS_SECRET_ACCESS_KEY:-y}z",
            "${command:x}",
            "{${AWS_SECRET_ACCESS_KEY}}",
        ] {
            let mut needs = Needs::new("");
            let template = needs.with_variables(text, &[], true);
            for style in [Style::Environment, Style::CursorEnvironment, Style::Written] {
                let written = template.render(&needs.list, style);
                assert!(!written.contains('$'), "{text}: {written}");
            }
        }
        let mut needs = Needs::new("");
        let default = Input { default: Some("${HOME}".to_owned()), is_required: true, ..input("root") };
        let template = needs.value(&default, "root").unwrap();
        assert_eq!(template.render(&needs.list, Style::Environment), "<root>");
    }

    #[test]
    fn what_is_optional_is_named_but_not_asked() {
        let mut needs = Needs::new("");

        assert_eq!(needs.value(&input("LOG_LEVEL"), "LOG_LEVEL"), None);
        assert_eq!(needs.optional[0].name, "LOG_LEVEL");
        assert!(needs.list.is_empty());
    }

    #[test]
    fn braces_that_are_no_variables_stay() {
        let mut needs = Needs::new("");
        for text in [r#"{"a": 1}"#, "{}", "100$", "a{b", "{a b}", "naïve – ok"] {
            let template = needs.with_variables(text, &[], false);
            assert_eq!(template.render(&needs.list, Style::Written), text);
        }
        assert!(needs.list.is_empty());
    }
}
