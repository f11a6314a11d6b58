//! The upstreams of a workspace: what is taken over from where, how the runs went, and reading one now.

use super::fields::is_input;
use super::layout::{Layout, Place, answer_to_form, status_of, to};
use super::words;
use super::workspace::Named;
use crate::base::{Limit, Problem, Slug};
use crate::catalog::{Catalog, Workspace};
use crate::door::{Body, Failure, Path, segment};
use crate::upstream::{Filter, Kind, Rule, Run, RunState, SyncRequest, Upstream, UpstreamInput, Upstreams};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

/// Runs that are shown of each upstream.
const RUNS: usize = 5;

#[derive(Debug, Deserialize)]
pub(super) struct Deed {
    workspace: String,
    upstream: String,
    deed: String,
}

#[derive(Template)]
#[template(path = "upstreams.html")]
struct Page {
    layout: Layout,
    workspace: Workspace,
    rows: Vec<Row>,
    problem: Option<Problem>,
}

struct Row {
    upstream: Upstream,
    runs: Vec<Run>,
}

impl Row {
    fn takes(&self) -> String {
        let filter = &self.upstream.filter;
        let mut said = Vec::new();
        if !filter.namespaces.is_empty() {
            said.push(filter.namespaces.join(", "));
        }
        if let Some(search) = filter.search.as_deref().filter(|search| !search.is_empty()) {
            said.push(format!("with the words {search}"));
        }
        if filter.only_remote {
            said.push("only with remotes".to_owned());
        }
        if said.is_empty() { "everything".to_owned() } else { said.join("; ") }
    }

    fn approves(&self) -> String {
        let of_rule = |rule: &Rule| {
            let said = [("namespace", &rule.namespace), ("publisher", &rule.publisher), ("licence", &rule.licence)];
            let said =
                said.into_iter().filter_map(|(what, value)| value.as_ref().map(|value| format!("{what} {value}")));
            said.collect::<Vec<_>>().join(" and ")
        };
        let rules: Vec<String> = self.upstream.approve.iter().map(of_rule).collect();
        if rules.is_empty() { "nothing: everything waits for approval".to_owned() } else { rules.join("; ") }
    }
}

/// Class and word of a run's badge.
fn badge(state: &RunState) -> (&'static str, &'static str) {
    match state {
        RunState::Running => ("", "Running"),
        RunState::Succeeded => ("ok", "Succeeded"),
        RunState::Failed => ("bad", "Failed"),
        RunState::Interrupted => ("warn", "Interrupted"),
    }
}

/// `GET /workspaces/{workspace}/upstreams`.
pub(super) async fn show(
    layout: Layout,
    Path(Named { workspace }): Path<Named>,
    State(catalog): State<Catalog>,
    State(upstreams): State<Upstreams>,
) -> Result<Response, Failure> {
    render(layout, &catalog, &upstreams, &workspace, None).await
}

/// `POST /workspaces/{workspace}/upstreams`: makes one.
pub(super) async fn create(
    layout: Layout,
    Path(Named { workspace }): Path<Named>,
    State(catalog): State<Catalog>,
    State(upstreams): State<Upstreams>,
    Body(form): Body,
) -> Result<Response, Failure> {
    let made = async { upstreams.create(&layout.actor, &workspace, input(&form)?).await };
    match made.await {
        Ok(_) => Ok(back(&workspace)),
        Err(problem) if is_input(&problem) => render(layout, &catalog, &upstreams, &workspace, Some(problem)).await,
        Err(problem) => Err(Failure(problem)),
    }
}

/// `POST /workspaces/{workspace}/upstreams/{upstream}/{deed}`: sync, everything, pause, resume, delete; delete-missing lets
/// a run delete as many versions as the form says.
pub(super) async fn act(
    layout: Layout,
    Path(Deed { workspace, upstream, deed }): Path<Deed>,
    State(upstreams): State<Upstreams>,
    Body(form): Body,
) -> Result<Response, Failure> {
    let actor = &layout.actor;
    let paused = |is_paused| UpstreamInput { is_paused: Some(is_paused), ..UpstreamInput::default() };
    match deed.as_str() {
        "sync" | "everything" => {
            let wanted = SyncRequest { everything: deed == "everything", ..SyncRequest::default() };
            upstreams.sync_now(actor, &workspace, &upstream, wanted).await?;
        }
        "delete-missing" => {
            let said = url::form_urlencoded::parse(&form).find(|(name, _)| name == "missing");
            let count = said.and_then(|(_, value)| value.parse().ok());
            let count = count.ok_or_else(|| Problem::invalid_field("body.missing", "must be a number"))?;
            let wanted = SyncRequest { everything: true, max_deletions: Some(count) };
            upstreams.sync_now(actor, &workspace, &upstream, wanted).await?;
        }
        "pause" | "resume" => {
            upstreams.update(actor, &workspace, &upstream, paused(deed == "pause"), None).await?;
        }
        "delete" => upstreams.delete(actor, &workspace, &upstream).await?,
        _ => {
            return Err(Failure(Problem::not_found(
                "An upstream is synced, paused, resumed or deleted; what is missing there can be deleted here.",
            )));
        }
    }
    Ok(back(&workspace))
}

async fn render(
    layout: Layout,
    catalog: &Catalog,
    upstreams: &Upstreams,
    workspace: &str,
    problem: Option<Problem>,
) -> Result<Response, Failure> {
    let actor = &layout.actor;
    let mut rows = Vec::new();
    for (upstream, _) in upstreams.list(actor, workspace).await? {
        let runs = upstreams.runs(actor, workspace, upstream.name.as_str(), Limit(RUNS)).await?;
        rows.push(Row { upstream, runs });
    }
    let workspace = catalog.workspace(actor, workspace).await?;
    let status = status_of(problem.as_ref());
    answer_to_form(&Page { layout: layout.at(Place::Workspaces), workspace, rows, problem }, status)
}

fn back(workspace: &str) -> Response {
    to(&format!("/workspaces/{}/upstreams", segment(workspace)))
}

fn input(form: &[u8]) -> Result<UpstreamInput, Problem> {
    let mut input = UpstreamInput::default();
    let (mut filter, mut rules) = (Filter::default(), Vec::new());
    let words =
        |value: &str| value.split([',', ' ', '\n', '\r']).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    for (name, value) in url::form_urlencoded::parse(form) {
        let value = value.trim();
        match &*name {
            "name" => {
                let slug = Slug::parse(value);
                input.name = Some(slug.map_err(|error| Problem::invalid_field("body.name", error.to_string()))?);
            }
            "kind" if value == "file" => input.kind = Some(Kind::File),
            "url" => input.url = Some(value.to_owned()),
            "namespaces" => filter.namespaces = words(value),
            "only_remote" => filter.only_remote = true,
            "approve" => {
                let namespaces: Vec<String> = words(value);
                rules = namespaces.into_iter().map(|one| Rule { namespace: Some(one), ..Rule::default() }).collect();
            }
            "every_minutes" if !value.is_empty() => {
                let minutes = value.parse();
                input.every_minutes =
                    Some(minutes.map_err(|_| Problem::invalid_field("body.everyMinutes", "must be a number"))?);
            }
            _ => {}
        }
    }
    input.filter = Some(filter);
    input.approve = Some(rules);
    Ok(input)
}
