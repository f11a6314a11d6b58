//! `File`: the settings as one document, the way people keep them beside their code; and the plan that leads from what is
//! stored to what it says. Pure.

use super::{Book, Section, Settings};
use crate::base::FieldError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// What a document says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct File {
    pub things: Vec<Said>,
}

/// One thing of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// Where it stands: `backends[2]`.
    pub at: String,
    pub workspace: Option<String>,
    pub name: String,
    pub settings: Settings,
}

impl File {
    /// The file that a JSON or YAML value is.
    ///
    /// # Errors
    /// Every place that is wrong.
    pub fn read(value: &Value) -> Result<Self, Vec<FieldError>> {
        let Value::Object(lists) = value else {
            return Err(vec![FieldError::new("file", "must be a mapping of lists: backends, pools, routes ...")]);
        };
        let (mut file, mut wrong) = (Self::default(), Vec::new());
        for (key, list) in lists {
            let Some(section) = Section::ALL.into_iter().find(|section| section.plural() == key) else {
                let near = crate::base::nearest(key, Section::ALL.iter().map(|section| section.plural()));
                let help = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                wrong.push(FieldError::new(
                    key.clone(),
                    format!("there is no such part of the gateway's settings{help}"),
                ));
                continue;
            };
            match list {
                Value::Null => {}
                Value::Array(items) => {
                    for (number, item) in items.iter().enumerate() {
                        match said(section, format!("{key}[{number}]"), item) {
                            Ok(said) => file.things.push(said),
                            Err(error) => wrong.push(error),
                        }
                    }
                }
                _ => wrong.push(FieldError::new(key.clone(), "must be a list")),
            }
        }
        for (number, one) in file.things.iter().enumerate() {
            if file.things[..number].iter().any(|other| other.same_place(one)) {
                wrong.push(FieldError::new(one.at.clone(), format!("{} stands there twice", one.name)));
            }
        }
        // In the order of the sections, whatever the order of the lists: what is named is made before what names it.
        file.things.sort_by_key(|said| said.settings.section());
        if wrong.is_empty() { Ok(file) } else { Err(wrong) }
    }

    /// The file that says what a book holds, in the order in which things were made.
    #[must_use]
    pub fn of(book: &Book) -> Value {
        let mut things: Vec<_> = book.things.iter().collect();
        things.sort_by_key(|thing| thing.id);
        let mut file = Map::new();
        for section in Section::ALL {
            let items: Vec<Value> = things
                .iter()
                .filter(|thing| thing.section() == section)
                .map(|thing| {
                    let mut item = Map::new();
                    item.insert(name_key(section).to_owned(), thing.name.clone().into());
                    if let Some(workspace) = thing.owner.workspace_name() {
                        item.insert("workspace".to_owned(), workspace.to_string().into());
                    }
                    if let Value::Object(settings) = thing.settings.to_value() {
                        item.extend(settings);
                    }
                    Value::Object(item)
                })
                .collect();
            if !items.is_empty() {
                file.insert(section.plural().to_owned(), items.into());
            }
        }
        Value::Object(file)
    }
}

impl Said {
    fn same_place(&self, other: &Self) -> bool {
        self.settings.section() == other.settings.section()
            && self.workspace == other.workspace
            && self.name == other.name
    }
}

/// What names a thing in a file.
const fn name_key(section: Section) -> &'static str {
    match section {
        Section::Price => "model",
        _ => "name",
    }
}

fn said(section: Section, at: String, item: &Value) -> Result<Said, FieldError> {
    let Value::Object(item) = item else { return Err(FieldError::new(at, "must be a mapping")) };
    let mut item = item.clone();
    let mut word = |key: &str| match item.remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(FieldError::new(format!("{at}.{key}"), "must be a text")),
    };
    let key = name_key(section);
    let name = word(key)?.ok_or_else(|| FieldError::new(format!("{at}.{key}"), "is missing"))?;
    let workspace = word("workspace")?;
    let settings = Settings::read(section, Value::Object(item)).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { at.clone() } else { format!("{at}.{path}") };
        FieldError::new(place, error.inner().to_string())
    })?;
    Ok(Said { at, workspace, name, settings })
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = GatewayAction)]
pub enum Action {
    Create,
    Change,
    Delete,
    Keep,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = GatewayStep)]
pub struct Step {
    pub action: Action,
    pub section: Section,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    pub name: String,
    /// The places that become other than they were: `timeouts.idle`, `members[0].weight`, `secret`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
}

/// What leads from `book` to `file`. With `prune` what the file does not name goes, within the workspaces it names (and
/// the instance, where it names things of the instance). Whether a secret changes is not seen here.
#[must_use]
pub fn plan(book: &Book, file: &File, prune: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    for said in &file.things {
        let section = said.settings.section();
        let stored = book.owner(said.workspace.as_deref()).and_then(|owner| book.find(section, &owner, &said.name));
        let mut changed = Vec::new();
        let action = match stored {
            None => Action::Create,
            Some(stored) if stored.settings == said.settings => Action::Keep,
            Some(stored) => {
                differences(&stored.settings.to_value(), &said.settings.to_value(), "", &mut changed);
                Action::Change
            }
        };
        steps.push(Step { action, section, workspace: said.workspace.clone(), name: said.name.clone(), changed });
    }
    if prune {
        let named: BTreeSet<Option<&str>> = file.things.iter().map(|said| said.workspace.as_deref()).collect();
        let gone = book.things.iter().filter(|thing| {
            let workspace = thing.owner.workspace_name().map(crate::base::Slug::as_str);
            let said = |said: &&Said| {
                said.settings.section() == thing.section()
                    && said.workspace.as_deref() == workspace
                    && said.name == thing.name
            };
            named.contains(&workspace) && !file.things.iter().any(|one| said(&one))
        });
        let mut gone: Vec<_> = gone.collect();
        // What names others goes before what it names.
        gone.sort_by_key(|thing| std::cmp::Reverse((thing.section(), thing.id)));
        steps.extend(gone.into_iter().map(|thing| Step {
            action: Action::Delete,
            section: thing.section(),
            workspace: thing.owner.workspace_name().map(ToString::to_string),
            name: thing.name.clone(),
            changed: Vec::new(),
        }));
    }
    steps
}

/// The places in which two values differ.
pub fn differences(before: &Value, after: &Value, at: &str, found: &mut Vec<String>) {
    let below = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for key in keys {
                let (one, other) = (before.get(key).unwrap_or(&Value::Null), after.get(key).unwrap_or(&Value::Null));
                differences(one, other, &below(key), found);
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (number, (one, other)) in before.iter().zip(after).enumerate() {
                differences(one, other, &format!("{at}[{number}]"), found);
            }
        }
        (before, after) if before != after => found.push(at.to_owned()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn places(value: Value) -> Vec<String> {
        File::read(&value).unwrap_err().into_iter().map(|error| error.location).collect()
    }

    #[test]
    fn every_wrong_place_of_a_file_is_told() {
        let wrong = json!({
            "backend": [],
            "pools": [{"members": []}, {"name": "a", "members": [{"backend": 1}]}],
            "prices": {},
            "backends": [{"name": "b", "provider": "openai", "url": "x", "timeouts": {"idle": "5"}}],
        });

        assert_eq!(
            places(wrong),
            ["backend", "pools[0].name", "pools[1].members[0].backend", "prices", "backends[0].timeouts.idle"]
        );
        assert_eq!(places(json!([])), ["file"]);
        let twice = json!({"prices": [{"model": "a"}, {"model": "a"}]});
        assert_eq!(places(twice), ["prices[1]"]);
    }

    #[test]
    fn differences_name_their_places() {
        let mut found = Vec::new();
        differences(
            &json!({"a": {"b": 1, "c": 2}, "d": [1, 2], "e": [1]}),
            &json!({"a": {"b": 1, "c": 3}, "d": [1, 3], "e": [], "f": 0}),
            "",
            &mut found,
        );

        assert_eq!(found, ["a.c", "d[1]", "e", "f"]);
    }
}
