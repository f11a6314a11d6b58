//! A field as the page shows it: what stands in it, what can be chosen, and what is wrong with it.

use super::field::{Column, Field, Form, Source, row_count};
use crate::base::FieldError;
use crate::gateway::settings::{Book, Owner, Section};
use crate::web::fields::Fields;

/// Empty rows that are offered beside those with something in them.
const SPARE: usize = 2;

/// A field of the page.
pub(super) struct Shown {
    pub path: String,
    /// Of the element: the path without what a selector would take apart.
    pub id: String,
    pub label: &'static str,
    pub hint: &'static str,
    pub input: Input,
    pub wrong: Option<String>,
    /// The ids of what explains it.
    pub described: String,
}

/// What it is made of.
pub(super) enum Input {
    /// With the sort of keyboard.
    Text(String, &'static str),
    Area(String),
    /// Value, words, whether chosen.
    Choice(Vec<(String, String, bool)>),
    Checks(Vec<(String, String, bool)>),
    Check(bool),
    Rows(Vec<&'static str>, Vec<Vec<Cell>>),
}

/// One place of a row.
pub(super) struct Cell {
    pub name: String,
    pub label: String,
    pub input: Input,
}

impl Shown {
    pub fn of(field: &Field, fields: &Fields, book: &Book, owner: &Owner, errors: &[FieldError]) -> Self {
        let input = match field.form {
            Form::Rows(columns) => rows(field.path, columns, fields, book, owner),
            form => input(form, field.path, fields, book, owner),
        };
        let told = errors.iter().filter(|error| field.is_at(&error.location));
        let told: Vec<_> = told
            .map(|error| match error.location[field.path.len()..].trim_start_matches('.') {
                "" => error.message.clone(),
                place => format!("{}: {}", told_place(place), error.message),
            })
            .collect();
        let id = field.path.replace('.', "-");
        let parts = [(!field.hint.is_empty(), "hint"), (!told.is_empty(), "wrong")];
        let parts = parts.into_iter().filter(|(is, _)| *is).map(|(_, part)| format!("{id}-{part}"));
        Self {
            path: field.path.to_owned(),
            label: field.label,
            hint: field.hint,
            input,
            wrong: (!told.is_empty()).then(|| told.join("; ")),
            described: parts.collect::<Vec<_>>().join(" "),
            id,
        }
    }

    /// Whether nothing stands in it.
    pub fn is_empty(&self) -> bool {
        match &self.input {
            Input::Text(text, _) | Input::Area(text) => text.is_empty(),
            Input::Choice(options) => options.iter().all(|(value, _, chosen)| value.is_empty() || !chosen),
            Input::Checks(options) => options.iter().all(|(_, _, checked)| !checked),
            Input::Check(checked) => !checked,
            Input::Rows(_, rows) => rows.iter().flatten().all(|cell| match &cell.input {
                Input::Text(text, _) => text.is_empty(),
                _ => true,
            }),
        }
    }
}

/// `[1].backend` as people count: `row 2, backend`.
fn told_place(place: &str) -> String {
    let Some((number, rest)) = place.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
        return place.to_owned();
    };
    let number = number.parse::<usize>().map_or_else(|_| number.to_owned(), |number| (number + 1).to_string());
    match rest.trim_start_matches('.') {
        "" => format!("entry {number}"),
        rest => format!("entry {number}, {rest}"),
    }
}

fn input(form: Form, path: &str, fields: &Fields, book: &Book, owner: &Owner) -> Input {
    let value = fields.get(path).to_owned();
    let chosen = |value: &str| fields.all(path).any(|one| one == value);
    match form {
        Form::Number => Input::Text(value, "numeric"),
        Form::Decimal => Input::Text(value, "decimal"),
        Form::Lines | Form::Pairs | Form::Masks => Input::Area(value),
        Form::Check => Input::Check(!value.is_empty()),
        Form::Choice(options) => Input::Choice(
            options.iter().map(|(one, words)| ((*one).to_owned(), (*words).to_owned(), *one == value)).collect(),
        ),
        Form::Checks(options) => Input::Checks(
            options.iter().map(|(one, words)| ((*one).to_owned(), (*words).to_owned(), chosen(one))).collect(),
        ),
        Form::One(source) => {
            let mut names = names(source, book, owner);
            if !value.is_empty() && names.iter().all(|(name, _)| *name != value) {
                names.push((value.clone(), value.clone()));
            }
            let none = (String::new(), "–".to_owned(), value.is_empty());
            let options = names.into_iter().map(|(name, words)| (name.clone(), words, name == value));
            Input::Choice(std::iter::once(none).chain(options).collect())
        }
        Form::Many(source) => {
            let mut names = names(source, book, owner);
            for value in fields.all(path) {
                if names.iter().all(|(name, _)| name != value) {
                    names.push((value.to_owned(), value.to_owned()));
                }
            }
            Input::Checks(names.into_iter().map(|(name, words)| (name.clone(), words, chosen(&name))).collect())
        }
        Form::Text | Form::Names | Form::Affinity | Form::Callers | Form::Rows(_) => Input::Text(value, "text"),
    }
}

/// The things of `owner` and of the instance that can be named, own ones first.
fn names(source: Source, book: &Book, owner: &Owner) -> Vec<(String, String)> {
    let section = match source {
        Source::Backends => Section::Backend,
        Source::Pools => Section::Pool,
        Source::Policies => Section::Policy,
        Source::Credentials => Section::Credential,
    };
    let of = |wanted: &Owner| {
        let wanted = wanted.clone();
        book.things.iter().filter(move |thing| thing.section() == section && thing.owner == wanted)
    };
    let mut found: Vec<(String, String)> = of(owner).map(|thing| (thing.name.clone(), thing.name.clone())).collect();
    // A credential is for its owner's backends alone.
    if *owner != Owner::Instance && source != Source::Credentials {
        for thing in of(&Owner::Instance) {
            if found.iter().all(|(name, _)| *name != thing.name) {
                found.push((thing.name.clone(), format!("{}, of the instance", thing.name)));
            }
        }
    }
    found.sort();
    found
}

fn rows(path: &str, columns: &'static [Column], fields: &Fields, book: &Book, owner: &Owner) -> Input {
    let titles: Vec<&'static str> = columns.iter().map(|column| column.label).collect();
    let filled = row_count(path, fields);
    let is_empty =
        |row: usize| columns.iter().all(|column| fields.get(&format!("{path}[{row}].{}", column.path)).is_empty());
    let last = (0..filled).rev().find(|row| !is_empty(*row)).map_or(0, |row| row + 1);
    let rows = (0..last + SPARE).map(|row| {
        let cell = |column: &Column| {
            let name = format!("{path}[{row}].{}", column.path);
            let input = input(column.form, &name, fields, book, owner);
            Cell { label: format!("{} {}", column.label, row + 1), name, input }
        };
        columns.iter().map(cell).collect()
    });
    Input::Rows(titles, rows.collect())
}
