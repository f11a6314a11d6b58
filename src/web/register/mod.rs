//! Registering by hand: the document first, then what was understood of it, then what it cannot say.
//!
//! Both steps are one form, so that nothing is kept on the server between them and the pages work without a script.

mod form;

use super::layout::{Layout, Place, answer_to_form, page, status_of, to};
use super::{asset_path, same_origin, words};
use crate::auth::{Actor, Auth, Permission};
use crate::base::{FieldError, HttpClient, Limit, Problem};
use crate::catalog::{Card, Catalog, DefinitionDraft, Draft, Kind, Stage, Visibility, Workspace};
use crate::door::{Failure, Handles, fetch_document};
use crate::search::{Request as Question, Search};
use crate::wire::{Finding, Severity};
use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use form::{Form, Step};
use http::HeaderMap;

/// How many findings and operations the page names; the rest is counted.
const NAMED: usize = 12;

#[derive(Template)]
#[template(path = "register.html")]
struct Register {
    layout: Layout,
    form: Form,
    understood: Option<Understood>,
    /// Why nothing was stored, or the document not understood.
    problem: Option<Problem>,
    workspaces: Vec<Workspace>,
    /// Assets that may be this one already.
    alike: Vec<Card>,
}

/// What the document says.
struct Understood {
    kind: Option<Kind>,
    format: String,
    name: String,
    title: String,
    version: String,
    operations: Vec<String>,
    deployments: Vec<String>,
    findings: Vec<Finding>,
    /// Fields that keep it from being registered.
    errors: Vec<FieldError>,
}

impl Register {
    /// What is wrong with the field of this name.
    fn wrong(&self, field: &str) -> Option<&str> {
        let location = format!("body.{field}");
        let understood = self.understood.iter().flat_map(|understood| &understood.errors);
        let refused = self.problem.iter().flat_map(|problem| &problem.errors);
        understood.chain(refused).find(|error| error.location == location).map(|error| error.message.as_str())
    }

    /// Errors that belong to none of the fields of the page.
    fn elsewhere(&self) -> Vec<&FieldError> {
        const FIELDS: [&str; 9] =
            ["url", "workspace", "name", "kind", "version", "owners", "stage", "visibility", "key"];
        let is_field =
            |error: &&FieldError| error.location.strip_prefix("body.").is_some_and(|field| FIELDS.contains(&field));
        let understood = self.understood.iter().flat_map(|understood| &understood.errors);
        let refused = self.problem.iter().flat_map(|problem| &problem.errors);
        understood.chain(refused).filter(|error| !is_field(error)).take(NAMED).collect()
    }

    /// The detail without the place in a body that it begins with: people see the field.
    fn in_words<'p>(&self, problem: &'p Problem) -> &'p str {
        let at = |error: &FieldError| problem.detail.strip_prefix(error.location.as_str())?.strip_prefix(": ");
        problem.errors.first().and_then(at).unwrap_or(&problem.detail)
    }

    /// Class and icon of a finding.
    fn severity(&self, finding: &Finding) -> (&'static str, &'static str) {
        match finding.severity {
            Severity::Error => ("bad", "cross"),
            Severity::Warning => ("warn", "warning"),
            Severity::Info => ("ok", "info"),
        }
    }

    /// Whether the reader may have a document fetched.
    fn may_fetch(&self) -> bool {
        self.layout.actor.may_somewhere(Permission::WriteCatalog)
    }

    fn kinds(&self) -> [Kind; 10] {
        Kind::ALL
    }

    fn stages(&self) -> impl Iterator<Item = (Stage, bool)> {
        let chosen = self.form.stage.parse().unwrap_or(Stage::Production);
        Stage::ALL.iter().map(move |stage| (*stage, *stage == chosen))
    }
}

/// `GET /register`.
pub(super) async fn show(
    layout: Layout,
    State(catalog): State<Catalog>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let query = query.unwrap_or_default();
    let asked = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "workspace");
    let workspace = asked.map(|(_, workspace)| workspace.into_owned()).unwrap_or_default();
    let form = Form { workspace, ..Form::default() };
    let workspaces = catalog.workspaces(&layout.actor).await?;
    page(&Register {
        layout: layout.at(Place::Register),
        form,
        understood: None,
        problem: None,
        workspaces,
        alike: Vec::new(),
    })
}

/// `POST /register`: shows what is understood, or registers and leads to the asset.
pub(super) async fn submit(
    layout: Layout,
    State(handles): State<Handles>,
    headers: HeaderMap,
    mut form: Form,
) -> Result<Response, Failure> {
    same_origin::require(&headers, &handles.public_url)?;
    let (catalog, auth) = (&handles.catalog, &handles.auth);
    let outcome = match form.step {
        // What an address gives is shown before it is stored.
        _ if !form.url.is_empty() => fetch(&layout, auth, &handles.http, &mut form).await.map(|()| None),
        Step::Read => Ok(None),
        Step::Register => register(&layout, catalog, auth, &form).await.map(Some),
    };
    let problem = match outcome {
        Ok(Some(asset)) => return Ok(to(&asset)),
        Ok(None) if !form.has_document() => {
            Some(Problem::invalid_field("body.document", "choose a file, or give an address, or paste a document"))
        }
        Ok(None) => None,
        Err(problem) if problem.status.is_server_error() => return Err(Failure(problem)),
        Err(problem) => Some(problem),
    };
    again(layout, catalog, &handles.search, form, problem).await
}

/// Fetches the document for somebody who may register: nobody else makes us call others.
async fn fetch(layout: &Layout, auth: &Auth, http: &HttpClient, form: &mut Form) -> Result<(), Problem> {
    if form.key.is_empty() && layout.actor.is_anonymous() {
        return Err(Problem::unauthenticated("A document is fetched by its address for those only who may register.")
            .with_help("Sign in, or paste the document.")
            .with_errors(vec![FieldError::new("body.url", "sign in to have it fetched, or paste the document")]));
    }
    let actor = actor(layout, auth, form).await?;
    let fetched = fetch_document(http, &actor, &form.url, "body.url").await?;
    form.take_fetched(&fetched)
}

/// Stores it; gives the address of its page.
async fn register(layout: &Layout, catalog: &Catalog, auth: &Auth, form: &Form) -> Result<String, Problem> {
    let actor = actor(layout, auth, form).await?;
    let workspace = form.workspace()?;
    let new = form.new_asset()?;
    let made = match &new.name {
        Some(name) if form.as_version => {
            let name = name.clone();
            catalog.publish_version(&actor, workspace.as_str(), name.as_str(), new).await?
        }
        _ => catalog.register(&actor, workspace.as_str(), new).await?,
    };
    Ok(asset_path(&made.asset.workspace, made.asset.name.as_str()))
}

/// Who registers: the holder of the key in the form, or whoever the request itself comes from.
async fn actor(layout: &Layout, auth: &Auth, form: &Form) -> Result<Actor, Problem> {
    if form.key.is_empty() {
        if layout.actor.is_anonymous() {
            return Err(Problem::unauthenticated("Registering needs a key of the workspace.")
                .with_errors(vec![FieldError::new("body.key", "give a key that may write in this workspace")]));
        }
        return Ok(layout.actor.clone());
    }
    let actor = auth.identify(&form.key).await.map_err(|problem| {
        let error = FieldError::new("body.key", problem.detail.clone());
        problem.with_errors(vec![error])
    })?;
    Ok(match &layout.request_id {
        Some(id) => actor.with_request_id(id.as_str()),
        None => actor,
    })
}

/// The page once more, with what is understood of the document.
async fn again(
    layout: Layout,
    catalog: &Catalog,
    search: &Search,
    mut form: Form,
    problem: Option<Problem>,
) -> Result<Response, Failure> {
    form.key.clear();
    let (understood, refused) = if form.has_document() {
        let sent = form.clone();
        // A long document takes a second to read; the threads that serve do not wait for it.
        let read = tokio::task::spawn_blocking(move || understand(&sent)).await.map_err(|_| Problem::internal())?;
        match read {
            Ok(understood) => (Some(understood), None),
            Err(refused) => (None, Some(refused)),
        }
    } else {
        (None, None)
    };
    if let Some(understood) = &understood
        && form.name.is_empty()
    {
        form.name.clone_from(&understood.name);
    }
    let alike = match &understood {
        Some(understood) if !understood.title.is_empty() => alike(search, &layout.actor, understood).await?,
        _ => Vec::new(),
    };
    let workspaces = catalog.workspaces(&layout.actor).await?;
    let problem = problem.or(refused);
    let status = status_of(problem.as_ref());
    let page = Register { layout: layout.at(Place::Register), form, understood, problem, workspaces, alike };
    answer_to_form(&page, status)
}

/// Assets the actor may see with the same title or name.
async fn alike(search: &Search, actor: &Actor, understood: &Understood) -> Result<Vec<Card>, Problem> {
    let text = understood.title.clone();
    let found = search.find(actor, &Question { text, limit: Limit(10), ..Question::default() }).await?;
    let same = |card: &Card| card.name == understood.name || card.title.eq_ignore_ascii_case(&understood.title);
    Ok(found.items.into_iter().map(|hit| hit.card).filter(same).take(3).collect())
}

/// What the document says. A document that is understood but lacks something comes with what it lacks.
fn understand(form: &Form) -> Result<Understood, Problem> {
    let new = match form.new_asset() {
        Ok(new) => new,
        // The fields are answered for elsewhere; the document is read all the same.
        Err(_) => Form { document: form.document.clone(), kept: form.kept.clone(), ..Form::default() }.new_asset()?,
    };
    let definition = new.definition.clone().unwrap_or_default();
    match Draft::of(new) {
        Ok(draft) => Ok(Understood::of_draft(draft)),
        Err(error) => {
            let problem = Problem::from(error);
            let (document, outline) = DefinitionDraft::read(&definition)?;
            let kind = Kind::of_format(document.format);
            Ok(Understood {
                kind,
                format: outline.format_name,
                name: outline.name.unwrap_or_default(),
                title: outline.title.unwrap_or_default(),
                version: outline.version.unwrap_or_default(),
                operations: outline.operations.into_iter().map(|operation| operation.name).collect(),
                deployments: outline.servers.into_iter().map(|server| server.url).collect(),
                findings: outline.findings,
                errors: problem.errors,
            })
        }
    }
}

impl Understood {
    fn of_draft(draft: Draft) -> Self {
        let version = draft.version;
        Self {
            kind: Some(draft.kind),
            format: version.format_name,
            name: draft.name.to_string(),
            title: draft.title,
            version: version.name,
            operations: version.operations.into_iter().map(|operation| operation.name).collect(),
            deployments: version.deployments.into_iter().map(|deployment| deployment.url).collect(),
            findings: version.findings,
            errors: Vec::new(),
        }
    }

    fn parts(&self) -> &'static str {
        self.kind.map_or("operations", Kind::operations_title)
    }

    /// Findings with the worst first, as many as are named.
    fn worst(&self) -> Vec<&Finding> {
        let mut findings: Vec<_> = self.findings.iter().collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        findings.truncate(NAMED);
        findings
    }
}
