//! `Draft`: a thing of the settings while it is written, in the places of a form or as YAML, and the settings that makes.

use super::field::place;
use super::forms::groups;
use crate::base::{FieldError, Problem};
use crate::gateway::settings::{RuleKind, Section, Settings, Thing};
use crate::web::fields::Fields;
use crate::wire::yaml;
use serde_json::{Value, json};

/// What is being written.
pub(super) struct Draft {
    pub section: Section,
    pub kind: Option<RuleKind>,
    pub stored: Option<Thing>,
    pub workspace: String,
    pub name: String,
    pub revision: Option<i64>,
    pub fields: Fields,
    pub yaml: Option<String>,
}

impl Draft {
    /// The settings that are written.
    pub fn settings(&self) -> Result<Settings, Problem> {
        let value = match &self.yaml {
            Some(text) => {
                yaml::parse(text).map_err(|error| Problem::invalid_field("body.yaml", error.to_string()))?.value
            }
            None => self.value()?,
        };
        Settings::read(self.section, value).map_err(|error| {
            let path = error.path().to_string();
            let place = if path == "." { "body".to_owned() } else { format!("body.{path}") };
            Problem::invalid_field(place, error.inner().to_string())
        })
    }

    /// What is stored, with what the form says in its places.
    fn value(&self) -> Result<Value, Problem> {
        let stored = self.stored.as_ref().map_or_else(|| json!({}), |stored| stored.settings.to_value());
        let mut value = stored.clone();
        let mut wrong = Vec::new();
        for field in groups(self.section, self.kind).into_iter().flat_map(|group| group.fields) {
            match field.read(&self.fields, &stored) {
                Ok(said) => place(&mut value, field.path, said),
                Err(FieldError { location, message, .. }) => {
                    wrong.push(FieldError::new(format!("body.{location}"), message));
                }
            }
        }
        if let (Some(kind), Value::Object(map)) = (self.kind, &mut value) {
            map.entry("rule").or_insert_with(|| json!({kind.as_str(): {}}));
        }
        match wrong.first() {
            None => Ok(value),
            Some(first) => Err(Problem::invalid(format!("{}: {}.", first.location, first.message)).with_errors(wrong)),
        }
    }
}

/// What a form starts from: where a setting has no value unsaid, the usual one.
pub(super) fn unsaid(section: Section, kind: Option<RuleKind>) -> Value {
    match (section, kind) {
        (_, Some(RuleKind::TokenLimit)) => json!({"rule": {"tokenLimit": {"counterKey": "{key}"}}}),
        (_, Some(RuleKind::RequestRate)) => json!({"rule": {"requestRate": {"counterKey": "{key}", "per": "1m"}}}),
        (_, Some(RuleKind::Budget)) => json!({"rule": {"budget": {"counterKey": "{workspace}", "period": "month"}}}),
        (_, Some(RuleKind::SemanticCache)) => {
            json!({"rule": {"semanticCache": {"threshold": 0.95, "ttl": "1h", "maxMessages": 10}}})
        }
        (_, Some(RuleKind::PromptLog)) => {
            json!({"rule": {"promptLog": {"requests": true, "responses": true, "maxBytes": 32_768, "retention": "30d", "percentage": 100}}})
        }
        (_, Some(kind)) => json!({"rule": {kind.as_str(): {}}}),
        (Section::Backend, None) => json!({"provider": "openai"}),
        _ => json!({}),
    }
}

pub(super) fn fields_of(section: Section, kind: Option<RuleKind>, value: &Value) -> Vec<(String, String)> {
    let mut filled = Vec::new();
    for field in groups(section, kind).into_iter().flat_map(|group| group.fields) {
        field.write(value, &mut filled);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::settings::Owner;

    #[test]
    fn what_a_form_does_not_show_is_kept() {
        let stored = json!({
            "title": "Per team",
            "rule": {"tokenLimit": {"counterKey": "{workspace}", "quotas": [
                {"period": "day", "tokens": 1_000, "inputTokens": 800},
                {"period": "month", "outputTokens": 9_000},
            ]}},
        });
        let settings = Settings::read(Section::Policy, stored.clone()).unwrap();
        let kind = Some(RuleKind::TokenLimit);
        let filled = fields_of(Section::Policy, kind, &settings.to_value());
        let mut draft = Draft {
            section: Section::Policy,
            kind,
            stored: Some(Thing {
                id: uuid::Uuid::now_v7(),
                owner: Owner::Instance,
                name: "per-team".to_owned(),
                revision: 1,
                settings,
                created_at: time::OffsetDateTime::UNIX_EPOCH,
                updated_at: time::OffsetDateTime::UNIX_EPOCH,
            }),
            workspace: String::new(),
            name: "per-team".to_owned(),
            revision: Some(1),
            fields: Fields::of(filled.clone()),
            yaml: None,
        };
        assert_eq!(draft.settings().unwrap().to_value(), stored);

        let tokens = |(name, value): (String, String)| match name.as_str() {
            "rule.tokenLimit.quotas[0].tokens" => (name, "2,000".to_owned()),
            _ => (name, value),
        };
        draft.fields = Fields::of(filled.into_iter().map(tokens).collect());

        let quota = json!({"period": "day", "tokens": 2_000, "inputTokens": 800});
        assert_eq!(draft.settings().unwrap().to_value()["rule"]["tokenLimit"]["quotas"][0], quota);
    }
}
