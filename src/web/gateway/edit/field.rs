//! `Field`: one place of the settings as it stands in a form: how it is written, and how it reads back. Pure.

use super::number;
use crate::base::FieldError;
use crate::web::fields::Fields;
use serde_json::{Map, Value};

/// A place of the settings in a form.
#[derive(Debug)]
pub(super) struct Field {
    /// `rule.tokenLimit.tokensPerMinute`
    pub path: &'static str,
    pub label: &'static str,
    pub hint: &'static str,
    pub form: Form,
}

/// Fields that stand together.
#[derive(Debug)]
pub(super) struct Group {
    pub title: &'static str,
    pub fields: &'static [Field],
    /// Whether it stands folded until it has something in it.
    pub folded: bool,
}

/// How a place is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Text,
    /// A whole number; thousands may be apart.
    Number,
    Decimal,
    /// Values and their words; the first is what holds unsaid.
    Choice(&'static [(&'static str, &'static str)]),
    /// The name of one thing.
    One(Source),
    /// Names of things.
    Many(Source),
    /// Values and their words, any of them.
    Checks(&'static [(&'static str, &'static str)]),
    /// Texts with commas between.
    Names,
    /// A text a line.
    Lines,
    /// `name: text`, one a line.
    Pairs,
    Check,
    /// Members of a list, each with these columns.
    Rows(&'static [Column]),
    /// What keeps a conversation together: words, or `header:NAME`, with commas between.
    Affinity,
    /// Empty, `everyone`, or workspaces with commas between.
    Callers,
    /// Sorts of data, or regular expressions, one a line.
    Masks,
}

/// Things that are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Backends,
    Pools,
    Policies,
    Credentials,
}

/// A column of [`Form::Rows`].
#[derive(Debug)]
pub(super) struct Column {
    pub path: &'static str,
    pub label: &'static str,
    pub form: Form,
}

const AFFINITY: &[&str] = &["caller", "user", "previousResponse"];
const MASKS: &[&str] = &["email", "phone", "card", "iban", "ip-address"];

impl Field {
    /// What the form would hold for a stored value.
    pub fn write(&self, value: &Value, into: &mut Vec<(String, String)>) {
        let Some(value) = value.pointer(&pointer(self.path)).filter(|value| !value.is_null()) else { return };
        if let Form::Rows(columns) = self.form {
            for (number, row) in value.as_array().into_iter().flatten().enumerate() {
                for column in columns {
                    if let Some(value) = row.get(column.path) {
                        into.push((format!("{}[{number}].{}", self.path, column.path), text(value)));
                    }
                }
            }
            return;
        }
        if matches!(self.form, Form::Many(_) | Form::Checks(_)) {
            into.extend(value.as_array().into_iter().flatten().map(|one| (self.path.to_owned(), text(one))));
            return;
        }
        into.push((self.path.to_owned(), written(self.form, value)));
    }

    /// What a form that was sent says; none where it leaves the place unsaid. Rows keep what they have in `stored`, the
    /// settings the form was made of, and no column shows.
    ///
    /// # Errors
    /// What does not read, with the place.
    pub fn read(&self, fields: &Fields, stored: &Value) -> Result<Option<Value>, FieldError> {
        match self.form {
            Form::Rows(columns) => rows(self.path, columns, fields, stored.pointer(&pointer(self.path))),
            Form::Many(_) | Form::Checks(_) => {
                let all: Vec<Value> = fields.all(self.path).map(Value::from).collect();
                Ok((!all.is_empty()).then(|| all.into()))
            }
            form => said(form, self.path, fields.get(self.path)),
        }
    }

    /// Whether a complaint about `location` belongs beside this field.
    pub fn is_at(&self, location: &str) -> bool {
        location.strip_prefix(self.path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }
}

/// `name: text`, one a line.
///
/// # Errors
/// A line that has no name, at `path`.
pub(super) fn pairs(path: &str, text: &str) -> Result<Vec<(String, String)>, FieldError> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let pair = |line: &str| {
        let pair = line.split_once(':').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
        let pair = pair.filter(|(name, _)| !name.is_empty());
        pair.ok_or_else(|| FieldError::new(path, format!("{line:?} is not of the form name: value")))
    };
    lines.map(pair).collect()
}

/// As it stands in an input.
fn written(form: Form, value: &Value) -> String {
    let list = |separator: &str| value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(separator);
    match form {
        Form::Names => list(", "),
        Form::Lines => list("\n"),
        Form::Pairs => {
            let pairs = value.as_object().into_iter().flatten();
            pairs.map(|(name, value)| format!("{name}: {}", text(value))).collect::<Vec<_>>().join("\n")
        }
        Form::Check => if value == &Value::Bool(true) { "yes" } else { "" }.to_owned(),
        Form::Affinity => {
            let one = |value: &Value| match value.get("header") {
                Some(name) => format!("header:{}", text(name)),
                None => text(value),
            };
            value.as_array().into_iter().flatten().map(one).collect::<Vec<_>>().join(", ")
        }
        Form::Callers => match value.get("workspaces") {
            Some(names) => written(Form::Names, names),
            None if value == "workspace" => String::new(),
            None => text(value),
        },
        Form::Masks => {
            let one = |value: &Value| value.get("known").or(value.get("pattern")).map(text).unwrap_or_default();
            value.as_array().into_iter().flatten().map(one).collect::<Vec<_>>().join("\n")
        }
        _ => text(value),
    }
}

fn said(form: Form, path: &str, text: &str) -> Result<Option<Value>, FieldError> {
    if text.is_empty() {
        return Ok(None);
    }
    let split = |separators: &[char]| -> Vec<String> {
        text.split(separators).map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect()
    };
    Ok(Some(match form {
        Form::Number => number::whole(text).map_err(|how| FieldError::new(path, how))?.into(),
        Form::Decimal => {
            let number = number::decimal(text).map_err(|how| FieldError::new(path, how))?;
            match number.fract() == 0.0 && (0.0..1e15).contains(&number) {
                #[expect(clippy::cast_sign_loss, reason = "it is looked at in the line above")]
                #[expect(clippy::cast_possible_truncation, reason = "it is looked at in the line above")]
                true => (number as u64).into(),
                false => number.into(),
            }
        }
        Form::Names => split(&[',', '\n']).into(),
        Form::Lines => split(&['\n']).into(),
        Form::Check => true.into(),
        Form::Pairs => {
            let pairs = pairs(path, text)?.into_iter().map(|(name, value)| (name, value.into()));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
        Form::Affinity => {
            let one = |word: String| match word.split_once(':') {
                Some((head, name)) if head.eq_ignore_ascii_case("header") => Ok(object("header", name.trim())),
                _ if AFFINITY.contains(&word.as_str()) => Ok(word.into()),
                _ => Err(FieldError::new(path, format!("use {}, or header:NAME", AFFINITY.join(", ")))),
            };
            split(&[',', '\n']).into_iter().map(one).collect::<Result<Vec<Value>, _>>()?.into()
        }
        Form::Callers => match text {
            "workspace" => return Ok(None),
            "everyone" => "everyone".into(),
            _ => object("workspaces", split(&[',', '\n'])),
        },
        Form::Masks => {
            let one = |line: String| match MASKS.contains(&line.as_str()) {
                true => object("known", line),
                false => object("pattern", line),
            };
            split(&['\n']).into_iter().map(one).collect::<Vec<Value>>().into()
        }
        _ => text.into(),
    }))
}

/// Rows by their numbers in the form, which are those of `stored`; one that was emptied goes with all it had.
fn rows(path: &str, columns: &[Column], fields: &Fields, stored: Option<&Value>) -> Result<Option<Value>, FieldError> {
    let mut rows = Vec::new();
    for number in 0..row_count(path, fields) {
        let mut row = Map::new();
        for column in columns {
            let name = format!("{path}[{number}].{}", column.path);
            if let Some(value) = said(column.form, &name, fields.get(&name))? {
                row.insert(column.path.to_owned(), value);
            }
        }
        if row.is_empty() {
            continue;
        }
        let kept = stored.and_then(|rows| rows.get(number)?.as_object()).into_iter().flatten();
        let unshown = kept.filter(|(key, _)| columns.iter().all(|column| column.path != key.as_str()));
        row.extend(unshown.map(|(key, value)| (key.clone(), value.clone())));
        rows.push(Value::Object(row));
    }
    Ok((!rows.is_empty()).then(|| rows.into()))
}

/// How many rows a form holds, empty ones included.
pub(super) fn row_count(path: &str, fields: &Fields) -> usize {
    let number = |name: &str| name.strip_prefix(path)?.strip_prefix('[')?.split_once(']')?.0.parse::<usize>().ok();
    fields.names().filter_map(number).filter(|number| *number < 200).max().map_or(0, |last| last + 1)
}

fn object(key: &str, value: impl Into<Value>) -> Value {
    Value::Object(Map::from_iter([(key.to_owned(), value.into())]))
}

/// A value as people write it.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Number(number) => match number.as_f64() {
            // What was kept in 32 bits is written with the digits these have.
            #[expect(clippy::cast_possible_truncation, reason = "whether anything is lost is what is asked")]
            Some(float) if number.is_f64() && f64::from(float as f32) == float => (float as f32).to_string(),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// The JSON pointer of a path.
fn pointer(path: &str) -> String {
    format!("/{}", path.replace('.', "/"))
}

/// Puts a value at a path, or takes it away; what is emptied by that goes too.
pub(super) fn place(value: &mut Value, path: &str, new: Option<Value>) {
    let Value::Object(map) = value else { return };
    match (path.split_once('.'), new) {
        (None, Some(new)) => {
            map.insert(path.to_owned(), new);
        }
        (None, None) => {
            map.remove(path);
        }
        (Some((head, rest)), new) => {
            if new.is_none() && !map.contains_key(head) {
                return;
            }
            let inner = map.entry(head).or_insert_with(|| Map::new().into());
            if !inner.is_object() {
                *inner = Map::new().into();
            }
            let takes_away = new.is_none();
            place(inner, rest, new);
            if takes_away && inner.as_object().is_some_and(Map::is_empty) {
                map.remove(head);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const MEMBER: &[Column] = &[
        Column { path: "backend", label: "", form: Form::One(Source::Backends) },
        Column { path: "weight", label: "", form: Form::Number },
    ];

    fn field(form: Form) -> Field {
        Field { path: "a.b", label: "", hint: "", form }
    }

    #[test]
    fn what_is_written_reads_back() {
        for (form, value) in [
            (Form::Text, json!("x")),
            (Form::Number, json!(20_000)),
            (Form::Decimal, json!(0.5)),
            (Form::Decimal, json!(800)),
            (Form::Names, json!(["gpt-4o", "fast"])),
            (Form::Lines, json!(["a, b", "c"])),
            (Form::Pairs, json!({"x-team": "{workspace}", "x-time": "12:30"})),
            (Form::Check, json!(true)),
            (Form::Rows(MEMBER), json!([{"backend": "eu", "weight": 3}, {"backend": "us"}])),
            (Form::Affinity, json!([{"header": "x-session"}, "previousResponse"])),
            (Form::Callers, json!({"workspaces": ["a", "b"]})),
            (Form::Callers, json!("everyone")),
            (Form::Masks, json!([{"known": "email"}, {"pattern": "AC-[0-9]+"}])),
            (Form::Many(Source::Policies), json!(["per-team", "budget"])),
        ] {
            let (field, mut sent) = (field(form), Vec::new());
            field.write(&json!({"a": {"b": value}}), &mut sent);
            assert_eq!(field.read(&Fields::of(sent.clone()), &Value::Null).unwrap(), Some(value), "{sent:?}");
        }
    }

    #[test]
    fn what_does_not_read_is_told_with_its_place() {
        let sent = |text: &str| Fields::of(vec![("a.b".to_owned(), text.to_owned())]);
        for (form, text) in
            [(Form::Number, "many"), (Form::Decimal, "much"), (Form::Pairs, "no colon"), (Form::Affinity, "moon")]
        {
            assert_eq!(field(form).read(&sent(text), &Value::Null).unwrap_err().location, "a.b", "{form:?}");
        }
        assert_eq!(field(Form::Number).read(&sent("20,000"), &Value::Null).unwrap(), Some(json!(20_000)));
        assert_eq!(field(Form::Text).read(&sent(""), &Value::Null).unwrap(), None);
    }

    #[test]
    fn empty_rows_are_left_out() {
        let sent = [("a.b[0].backend", "eu"), ("a.b[0].weight", ""), ("a.b[1].backend", ""), ("a.b[2].backend", "us")];
        let sent = sent.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();

        let read = field(Form::Rows(MEMBER)).read(&Fields::of(sent), &Value::Null).unwrap();

        assert_eq!(read, Some(json!([{"backend": "eu"}, {"backend": "us"}])));
    }

    #[test]
    fn rows_keep_what_no_column_shows() {
        let stored = json!({"a": {"b": [
            {"backend": "eu", "weight": 3, "zone": "west"}, {"backend": "us", "zone": "east"}, {"backend": "asia", "zone": "far"},
        ]}});
        // The weight of the first and the whole second row were emptied.
        let sent =
            [("a.b[0].backend", "eu-2"), ("a.b[0].weight", ""), ("a.b[1].backend", ""), ("a.b[2].backend", "asia")];
        let sent = sent.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();

        let read = field(Form::Rows(MEMBER)).read(&Fields::of(sent), &stored).unwrap();

        assert_eq!(read, Some(json!([{"backend": "eu-2", "zone": "west"}, {"backend": "asia", "zone": "far"}])));
    }

    #[test]
    fn a_place_is_set_and_taken_away_with_what_it_empties() {
        let mut value = json!({"retries": {"attempts": 2}, "kept": 1});
        place(&mut value, "rule.tokenLimit.tokensPerMinute", Some(json!(5)));
        place(&mut value, "retries.attempts", None);
        place(&mut value, "missing.deeply", None);

        assert_eq!(value, json!({"kept": 1, "rule": {"tokenLimit": {"tokensPerMinute": 5}}}));
    }
}
