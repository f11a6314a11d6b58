//! Named registries: which there are, what clients are set to, making and changing them.

use super::fields::is_input;
use super::layout::{Layout, answer_to_form, status_of, to};
use super::ways_in;
use crate::auth::{Permission, Scope};
use crate::base::{Problem, Slug};
use crate::catalog::{Catalog, RegistryView, RegistryViewInput, Stage, ViewAccess, ViewFilter};
use crate::door::{Body, Failure, Path, PublicUrl};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(super) struct Named {
    registry: String,
}

#[derive(Template)]
#[template(path = "registries.html")]
struct List {
    layout: Layout,
    rows: Vec<Row>,
    may_make: bool,
    problem: Option<Problem>,
}

#[derive(Template)]
#[template(path = "registry.html")]
struct One {
    layout: Layout,
    row: Row,
    may_change: bool,
    problem: Option<Problem>,
}

struct Row {
    view: RegistryView,
    url: String,
    vscode: String,
    settings: String,
}

impl Row {
    fn of(view: RegistryView, public_url: &PublicUrl) -> Self {
        let url = public_url.join(&format!("/registries/{}", view.name));
        Self { vscode: ways_in::vscode_registry(&url), settings: format!("{url}/v0.1/x/managed-settings"), url, view }
    }

    fn stages(&self) -> String {
        self.view.filter.stages.iter().map(|stage| stage.as_str()).collect::<Vec<_>>().join(" ")
    }

    fn is_anonymous(&self) -> bool {
        self.view.access == ViewAccess::Anonymous
    }

    /// What it shows, in words.
    fn shows(&self) -> String {
        let filter = &self.view.filter;
        let stages = filter.stages.iter().map(|stage| stage.as_str().to_owned()).collect();
        let lists = [
            ("workspaces", filter.workspaces.clone()),
            ("tags", filter.tags.clone()),
            ("stages", stages),
            ("namespaces", filter.namespaces.clone()),
            ("names", filter.names.clone()),
            ("transports", filter.transports.clone()),
        ];
        let said = lists.into_iter().filter(|(_, words)| !words.is_empty());
        let said: Vec<_> = said.map(|(what, words)| format!("{what} {}", words.join(", "))).collect();
        if said.is_empty() { "every approved server".to_owned() } else { said.join("; ") }
    }
}

/// `GET /registries`.
pub(super) async fn list(layout: Layout, State(catalog): State<Catalog>) -> Result<Response, Failure> {
    render_list(layout, &catalog, None).await
}

async fn render_list(layout: Layout, catalog: &Catalog, problem: Option<Problem>) -> Result<Response, Failure> {
    let views = catalog.registry_views(&layout.actor).await?;
    let rows = views.into_iter().map(|view| Row::of(view, &layout.public_url)).collect();
    let may_make = layout.actor.may(Permission::ManageInstance, Scope::Instance);
    let status = status_of(problem.as_ref());
    answer_to_form(&List { layout, rows, may_make, problem }, status)
}

/// `POST /registries`: makes one.
pub(super) async fn create(
    layout: Layout,
    State(catalog): State<Catalog>,
    Body(form): Body,
) -> Result<Response, Failure> {
    let made = async { Ok::<_, Problem>(catalog.create_registry_view(&layout.actor, input(&form)?).await?) };
    match made.await {
        Ok(made) => Ok(to(&format!("/registries/{}", made.name))),
        Err(problem) if is_input(&problem) => render_list(layout, &catalog, Some(problem)).await,
        Err(problem) => Err(Failure(problem)),
    }
}

/// `GET /registries/{registry}`.
pub(super) async fn show(
    layout: Layout,
    Path(Named { registry }): Path<Named>,
    State(catalog): State<Catalog>,
) -> Result<Response, Failure> {
    render(layout, &catalog, &registry, None).await
}

/// `POST /registries/{registry}`: changes it, or takes it away.
pub(super) async fn change(
    layout: Layout,
    Path(Named { registry }): Path<Named>,
    State(catalog): State<Catalog>,
    Body(form): Body,
) -> Result<Response, Failure> {
    let wants = |deed: &str| url::form_urlencoded::parse(&form).any(|(name, value)| name == "deed" && value == deed);
    if wants("delete") {
        catalog.delete_registry_view(&layout.actor, &registry).await?;
        return Ok(to("/registries"));
    }
    let changed = async {
        let input = RegistryViewInput { name: None, ..input(&form)? };
        Ok::<_, Problem>(catalog.update_registry_view(&layout.actor, &registry, input, None).await?)
    };
    match changed.await {
        Ok(_) => Ok(to(&format!("/registries/{registry}"))),
        Err(problem) if is_input(&problem) => render(layout, &catalog, &registry, Some(problem)).await,
        Err(problem) => Err(Failure(problem)),
    }
}

async fn render(layout: Layout, catalog: &Catalog, name: &str, problem: Option<Problem>) -> Result<Response, Failure> {
    let view = catalog.registry_view(&layout.actor, name).await?;
    let (permission, scope) = match view.workspace_id {
        Some(workspace) => (Permission::GovernWorkspace, Scope::Workspace(workspace)),
        None => (Permission::ManageInstance, Scope::Instance),
    };
    let may_change = layout.actor.may(permission, scope);
    let row = Row::of(view, &layout.public_url);
    let status = status_of(problem.as_ref());
    answer_to_form(&One { layout, row, may_change, problem }, status)
}

fn input(form: &[u8]) -> Result<RegistryViewInput, Problem> {
    let mut input = RegistryViewInput { publishes_internal: Some(false), ..RegistryViewInput::default() };
    let mut filter = ViewFilter::default();
    let words = |value: &str| -> Vec<String> {
        value.split([',', ' ', '\n', '\r']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    for (name, value) in url::form_urlencoded::parse(form) {
        let value = value.trim();
        match &*name {
            "name" => {
                let slug = Slug::parse(value);
                input.name = Some(slug.map_err(|error| Problem::invalid_field("body.name", error.to_string()))?);
            }
            "title" => input.title = Some(value.to_owned()),
            "access" if value == "anonymous" => input.access = Some(ViewAccess::Anonymous),
            "access" => input.access = Some(ViewAccess::Credentials),
            "publishes_internal" => input.publishes_internal = Some(true),
            "workspaces" => filter.workspaces = words(value),
            "tags" => filter.tags = words(value),
            "namespaces" => filter.namespaces = words(value),
            "names" => filter.names = words(value),
            "transports" => filter.transports = words(value),
            "stages" => {
                let stages: Result<Vec<Stage>, _> = words(value).iter().map(|word| word.parse::<Stage>()).collect();
                filter.stages =
                    stages.map_err(|error| Problem::invalid_field("body.filter.stages", error.to_string()))?;
            }
            _ => {}
        }
    }
    input.filter = Some(filter);
    Ok(input)
}
