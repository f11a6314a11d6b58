//! `/gateway/{section}/new` and `/gateway/{section}/edit`: forms that make, change and delete pools, routes, policies,
//! backends and prices, with the checks and messages of REST. What would change is shown before it is saved. Credentials
//! have a form of their own ([`credential`]).
//!
//! A form knows places of the settings ([`forms`]); what it does not know it keeps. The same settings can be written as
//! YAML instead.

pub(super) mod credential;
mod draft;
mod field;
mod forms;
mod input;
mod number;
mod plan;
mod rules;

use super::anchor;
use crate::auth::Permission;
use crate::base::{FieldError, Problem};
use crate::door::{Failure, Path, segment};
use crate::gateway::settings::{Book, Owner, RuleKind, Section, Settings, Thing};
use crate::gateway::{Gateway, Put};
use crate::web::fields::Fields;
use crate::web::layout::{Layout, Place, answer_to_form, page, status_of, to};
use crate::wire::yaml;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use draft::{Draft, fields_of, unsaid};
use forms::{KINDS, groups};
use http::StatusCode;
use input::{Input, Shown};
use plan::{Plan, plan};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(in crate::web) struct Sections {
    section: String,
}

#[derive(Template)]
#[template(path = "gateway/edit.html")]
struct Editor {
    layout: Layout,
    section: Section,
    kind: Option<RuleKind>,
    /// Its owner and name; none of a new thing.
    stored: Option<(Owner, String)>,
    revision: Option<i64>,
    name: String,
    workspace: String,
    /// Where a new thing may belong: value and words.
    places: Vec<(String, String)>,
    groups: Vec<ShownGroup>,
    /// In place of the groups.
    yaml: Option<String>,
    plan: Option<Plan>,
    problem: Option<Problem>,
    /// Complaints that stand beside no field.
    elsewhere: Vec<FieldError>,
}

struct ShownGroup {
    title: &'static str,
    folded: bool,
    fields: Vec<Shown>,
}

#[derive(Template)]
#[template(path = "gateway/kinds.html")]
struct Kinds {
    layout: Layout,
    workspace: String,
    kinds: &'static [(RuleKind, &'static str, &'static str)],
}

impl Editor {
    /// The tab that lists such things.
    fn tab(&self) -> &'static str {
        list(self.section)
    }

    fn title(&self) -> String {
        let what = self.kind.and_then(|kind| KINDS.iter().find(|(one, ..)| *one == kind));
        let what = what.map_or(self.section.as_str(), |(_, title, _)| title).to_lowercase();
        match &self.stored {
            Some((_, name)) => format!("{} {name}", crate::web::words::capital(&what)),
            None => format!("New {what}"),
        }
    }

    fn wrong(&self, field: &str) -> Option<&str> {
        let errors = self.problem.iter().flat_map(|problem| &problem.errors);
        let mut errors = errors.filter(|error| error.location.strip_prefix("body.") == Some(field));
        errors.next().map(|error| error.message.as_str())
    }

    fn name_label(&self) -> &'static str {
        if self.section == Section::Price { "Model" } else { "Name" }
    }
}

/// Where such things are listed.
const fn list(section: Section) -> &'static str {
    match section {
        Section::Pool => "/gateway/pools",
        Section::Route => "/gateway/routes",
        Section::Policy | Section::Price => "/gateway/limits",
        Section::Backend | Section::Credential => "/gateway/backends",
    }
}

/// Where a thing is edited.
pub(super) fn edit_path(thing: &Thing) -> String {
    let workspace = thing.owner.workspace_name().map(|name| format!("&workspace={name}")).unwrap_or_default();
    format!("/gateway/{}/edit?name={}{workspace}", thing.section().plural(), segment(&thing.name))
}

fn section(path: &Sections) -> Result<Section, Problem> {
    let section = Section::ALL.into_iter().find(|one| one.plural() == path.section);
    section.ok_or_else(|| Problem::not_found(format!("Nothing called {:?} is edited here.", path.section)))
}

fn kind_of(settings: &Settings) -> Option<RuleKind> {
    match settings {
        Settings::Policy(policy) => Some(policy.rule.kind()),
        _ => None,
    }
}

fn kind_named(name: &str) -> Option<RuleKind> {
    KINDS.iter().map(|(kind, ..)| *kind).find(|kind| kind.as_str() == name)
}

/// `GET /gateway/{section}/new`, with `workspace`, and `kind` of a policy.
pub(in crate::web) async fn new(
    layout: Layout,
    State(gateway): State<Gateway>,
    Path(path): Path<Sections>,
    axum::extract::RawQuery(query): axum::extract::RawQuery,
) -> Result<Response, Failure> {
    let section = section(&path)?;
    layout.actor.require_somewhere(Permission::ManageGateway)?;
    let asked = asked(query.as_deref());
    if section == Section::Credential {
        return credential::new(layout, &gateway, &asked).await;
    }
    let workspace = asked.get("workspace").to_owned();
    let kind = kind_named(asked.get("kind"));
    if section == Section::Policy && kind.is_none() {
        return page(&Kinds { layout: layout.at(Place::Gateway), workspace, kinds: KINDS });
    }
    let value = unsaid(section, kind);
    let mut filled = fields_of(section, kind, &value);
    // A pool of the backend one comes from, a route of the pool.
    let given = asked.names().filter(|name| !matches!(*name, "workspace" | "kind" | "name")).map(str::to_owned);
    filled.extend(given.map(|name| (name.clone(), asked.get(&name).to_owned())).collect::<Vec<_>>());
    let draft = Draft {
        section,
        kind,
        stored: None,
        workspace,
        name: asked.get("name").to_owned(),
        revision: None,
        fields: Fields::of(filled),
        yaml: (asked.get("as") == "yaml").then(|| yaml::emit(&value)),
    };
    draft.shown(layout, &gateway, None, None).await
}

/// `GET /gateway/{section}/edit`, with `name` and `workspace`; `as=yaml` for the settings as a text.
pub(in crate::web) async fn show(
    layout: Layout,
    State(gateway): State<Gateway>,
    Path(path): Path<Sections>,
    axum::extract::RawQuery(query): axum::extract::RawQuery,
) -> Result<Response, Failure> {
    let section = section(&path)?;
    let asked = asked(query.as_deref());
    if section == Section::Credential {
        return credential::show(layout, &gateway, &asked).await;
    }
    let workspace = Some(asked.get("workspace")).filter(|workspace| !workspace.is_empty());
    let found = gateway.find(&layout.actor, section, workspace, asked.get("name")).await?.thing;
    if !Gateway::may_manage(&layout.actor, &found.owner) {
        layout.actor.require_somewhere(Permission::ManageGateway)?;
        return Err(Failure(Problem::forbidden(format!("{} is looked after by others.", found.label()))));
    }
    let value = found.settings.to_value();
    let kind = kind_of(&found.settings);
    let draft = Draft {
        section,
        kind,
        workspace: workspace.unwrap_or_default().to_owned(),
        name: found.name.clone(),
        revision: Some(found.revision),
        fields: Fields::of(fields_of(section, kind, &value)),
        yaml: (asked.get("as") == "yaml").then(|| yaml::emit(&value)),
        stored: Some(found),
    };
    draft.shown(layout, &gateway, None, None).await
}

/// `POST /gateway/{section}/edit`: shows what would change, saves it, or deletes the thing.
pub(in crate::web) async fn submit(
    layout: Layout,
    State(gateway): State<Gateway>,
    Path(path): Path<Sections>,
    fields: Fields,
) -> Result<Response, Failure> {
    let section = section(&path)?;
    layout.actor.require_somewhere(Permission::ManageGateway)?;
    if section == Section::Credential {
        return credential::submit(layout, &gateway, &fields).await;
    }
    let (workspace, name) = (fields.get("workspace").to_owned(), fields.get("name").to_owned());
    let owner = Some(workspace.as_str()).filter(|workspace| !workspace.is_empty());
    let revision: Option<i64> = fields.get("revision").parse().ok();
    let stored = match revision {
        // It may be gone meanwhile; what was written is kept all the same.
        Some(_) => if_there(gateway.find(&layout.actor, section, owner, &name).await)?.map(|stored| stored.thing),
        None => None,
    };
    let is_delete = fields.get("do") == "delete";
    let kind = kind_named(fields.get("kind"));
    let yaml = fields.filled("yaml");
    let draft =
        Draft { section, kind, stored, workspace: workspace.clone(), name: name.clone(), revision, yaml, fields };
    if is_delete {
        return match gateway.delete(&layout.actor, section, owner, &name, revision).await {
            Ok(()) => Ok(to(list(section))),
            Err(problem) => draft.shown(layout, &gateway, None, Some(problem)).await,
        };
    }
    let settings = match draft.settings() {
        Ok(settings) => settings,
        Err(problem) => return draft.shown(layout, &gateway, None, Some(problem)).await,
    };
    let put = Put { workspace: owner, name: &name, settings, if_match: revision };
    if revision.is_none() && if_there(gateway.find(&layout.actor, section, owner, &name).await)?.is_some() {
        let taken = Problem::invalid_field("body.name", "this name is taken; choose another, or edit what has it");
        return draft.shown(layout, &gateway, None, Some(taken)).await;
    }
    if draft.fields.get("do") == "save" {
        return match gateway.put(&layout.actor, put).await {
            Ok(saved) => {
                Ok(to(&format!("{}#{}", list(section), segment(&anchor(&saved.thing.owner, &saved.thing.name)))))
            }
            Err(problem) => draft.shown(layout, &gateway, None, Some(problem)).await,
        };
    }
    match gateway.rehearse_put(&layout.actor, put).await {
        Ok(rehearsed) => draft.shown(layout, &gateway, Some(plan(rehearsed)), None).await,
        Err(problem) => draft.shown(layout, &gateway, None, Some(problem)).await,
    }
}

impl Draft {
    async fn shown(
        self,
        layout: Layout,
        gateway: &Gateway,
        plan: Option<Plan>,
        problem: Option<Problem>,
    ) -> Result<Response, Failure> {
        if let Some(problem) = problem.as_ref().filter(|problem| ends_the_form(problem)) {
            return Err(Failure(problem.clone()));
        }
        let book = gateway.readable(&layout.actor).await?;
        let owner = Some(self.workspace.as_str()).filter(|workspace| !workspace.is_empty());
        let owner = book.owner(owner).unwrap_or_default();
        let errors: Vec<FieldError> = problem
            .iter()
            .flat_map(|problem| &problem.errors)
            .map(|error| FieldError::new(error.location.trim_start_matches("body.").to_owned(), error.message.clone()))
            .collect();
        let shown_groups: Vec<ShownGroup> = match self.yaml {
            Some(_) => Vec::new(),
            None => groups(self.section, self.kind)
                .into_iter()
                .map(|group| {
                    let fields: Vec<Shown> = group
                        .fields
                        .iter()
                        .map(|field| Shown::of(field, &self.fields, &book, &owner, &errors))
                        .collect();
                    let folded = group.folded && fields.iter().all(|field| field.is_empty() && field.wrong.is_none());
                    ShownGroup { title: group.title, folded, fields }
                })
                .collect(),
        };
        let has_place = |error: &FieldError| {
            let fields = groups(self.section, self.kind).into_iter().flat_map(|group| group.fields);
            self.yaml.is_none() && fields.into_iter().any(|field| field.is_at(&error.location))
                || matches!(error.location.as_str(), "name" | "yaml" | "workspace")
        };
        let elsewhere = errors.iter().filter(|error| !has_place(error)).cloned().collect();
        let status = status_of(problem.as_ref());
        let editor = Editor {
            places: places(&layout, &book),
            layout: layout.at(Place::Gateway),
            section: self.section,
            kind: self.kind,
            // What is edited stays so when it was deleted meanwhile.
            stored: self.revision.map(|_| (owner, self.name.clone())),
            revision: self.revision,
            name: self.name,
            workspace: self.workspace,
            groups: shown_groups,
            yaml: self.yaml,
            plan,
            problem,
            elsewhere,
        };
        answer_to_form(&editor, status)
    }
}

/// What was looked up; none where it is gone, was never there, or is not for the reader, to whom whoever saves will say so.
///
/// # Errors
/// All others: what could not be read must not be written over as if there were nothing.
fn if_there<T>(found: Result<T, Problem>) -> Result<Option<T>, Problem> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(problem) if matches!(problem.status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN) => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// Whether the answer is a page of its own, not the form once more.
fn ends_the_form(problem: &Problem) -> bool {
    matches!(problem.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND)
}

/// Where the reader may put a new thing.
fn places(layout: &Layout, book: &Book) -> Vec<(String, String)> {
    let mut places = Vec::new();
    if Gateway::may_manage(&layout.actor, &Owner::Instance) {
        places.push((String::new(), "the instance, for everybody".to_owned()));
    }
    for (id, name) in &book.workspaces {
        let owner = Owner::Workspace { id: *id, name: name.clone() };
        if Gateway::may_manage(&layout.actor, &owner) {
            places.push((name.to_string(), format!("workspace {name}")));
        }
    }
    places
}

fn asked(query: Option<&str>) -> Fields {
    Fields::of(url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_there_for_the_reader_is_gone() {
        assert_eq!(if_there(Ok(1)).unwrap(), Some(1));
        assert_eq!(if_there::<u8>(Err(Problem::not_found("There is no pool."))).unwrap(), None);
        assert_eq!(if_there::<u8>(Err(Problem::forbidden("It is another's."))).unwrap(), None);
        assert!(if_there::<u8>(Err(Problem::unavailable("The database does not answer."))).is_err());
    }
}
