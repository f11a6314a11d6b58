//! `/gateway/backends`: what the gateway sends to, and with which credentials; and the import of another.

use super::edit::credential;
use super::{anchor, capacity, edit_link, workspace};
use crate::auth::Actor;
use crate::base::{HttpClient, Problem, Slug};
use crate::catalog::{Catalog, NewDefinition};
use crate::door::{Failure, PublicUrl, fetch_definition};
use crate::gateway::settings::{BackendSettings, Book, BreakerSettings, CredentialSettings, Owner, Settings, Thing};
use crate::gateway::{Gateway, Import, Source};
use crate::web::layout::{Layout, Place, answer_to_form, status_of, to};
use crate::web::same_origin;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;

#[derive(Template)]
#[template(path = "gateway/backends.html")]
struct Backends {
    layout: Layout,
    backends: Vec<Row>,
    /// Those that the reader looks after.
    credentials: Vec<CredentialRow>,
    left_out: Vec<String>,
    may_import: bool,
    form: Form,
    problem: Option<Problem>,
}

struct Row {
    anchor: String,
    name: String,
    workspace: Option<String>,
    url: String,
    provider: &'static str,
    models: String,
    credential: String,
    capacity: String,
    breaker: String,
    drained: bool,
    edit: Option<String>,
}

struct CredentialRow {
    anchor: String,
    name: String,
    workspace: Option<String>,
    kind: &'static str,
    users: Vec<String>,
    edit: String,
}

/// What the import's form holds; the key is never written back.
#[derive(Clone, Debug, Default)]
struct Form {
    source: String,
    name: String,
    url: String,
    models: String,
    limit: String,
    workspace: String,
}

impl Backends {
    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("azure-openai", "An Azure OpenAI resource"),
            ("compatible", "OpenAI, Ollama, vLLM or another of that dialect"),
            ("openapi", "An API by its OpenAPI document"),
        ]
    }

    fn wrong(&self, field: &str) -> Option<&str> {
        let place = match field {
            "limit" => "body.limitPerKey",
            "url" => "body.url",
            "key" => "body.key",
            "name" => "body.name",
            "models" => "body.models",
            _ => "body.workspace",
        };
        let errors = self.problem.iter().flat_map(|problem| &problem.errors);
        errors.into_iter().find(|error| error.location == place).map(|error| error.message.as_str())
    }
}

/// `GET /gateway/backends`.
pub async fn show(layout: Layout, State(gateway): State<Gateway>) -> Result<Response, Failure> {
    listed(layout, &gateway, Form::default(), None).await
}

async fn listed(layout: Layout, gateway: &Gateway, form: Form, problem: Option<Problem>) -> Result<Response, Failure> {
    let book = gateway.readable(&layout.actor).await?;
    let backends = book.backends().map(|(thing, settings)| row(&layout.actor, thing, settings)).collect();
    let credentials = credentials(&layout.actor, &book);
    let looks_after_all = Gateway::may_manage(&layout.actor, &Owner::Instance);
    let may_import = layout.actor.may_somewhere(crate::auth::Permission::ManageGateway);
    let left_out = if looks_after_all { gateway.left_out() } else { Vec::new() };
    let status = status_of(problem.as_ref());
    let layout = layout.at(Place::Gateway);
    answer_to_form(&Backends { layout, backends, credentials, left_out, may_import, form, problem }, status)
}

fn row(actor: &Actor, thing: &Thing, settings: &BackendSettings) -> Row {
    let (owner, name) = (&thing.owner, &thing.name);
    let models: Vec<_> = settings.models.keys().take(6).map(String::as_str).collect();
    let models = match settings.models.len() {
        0 => "all that are asked for".to_owned(),
        1..=6 => models.join(", "),
        more => format!("{} and {} more", models[..5].join(", "), more - 5),
    };
    Row {
        anchor: anchor(owner, name),
        name: name.clone(),
        edit: edit_link(actor, thing),
        workspace: workspace(owner),
        url: settings.url.clone(),
        provider: settings.provider.as_str(),
        models,
        credential: settings.credential.clone().unwrap_or_else(|| "none".to_owned()),
        capacity: capacity(settings.capacity.tokens_per_minute),
        breaker: breaker(&settings.breaker),
        drained: settings.drained,
    }
}

fn credentials(actor: &Actor, book: &Book) -> Vec<CredentialRow> {
    let row = |thing: &Thing| {
        let Settings::Credential(settings) = &thing.settings else { return None };
        Some(CredentialRow {
            anchor: format!("credential-{}", anchor(&thing.owner, &thing.name)),
            name: thing.name.clone(),
            workspace: workspace(&thing.owner),
            kind: match settings {
                CredentialSettings::ApiKey { .. } => "API key",
                CredentialSettings::Bearer { .. } => "bearer token",
                CredentialSettings::ClientCredentials { .. } => "OAuth client credentials",
            },
            users: credential::users(book, &thing.owner, &thing.name),
            edit: edit_link(actor, thing)?,
        })
    };
    book.things.iter().filter_map(row).collect()
}

fn breaker(settings: &BreakerSettings) -> String {
    let mut when = Vec::new();
    if let Some(count) = settings.count {
        when.push(format!("{count} failures"));
    }
    if let Some(percentage) = settings.percentage {
        when.push(format!("{percentage} % of at least {}", settings.minimum_requests));
    }
    let until = if settings.accept_retry_after { ", or as long as the backend says" } else { "" };
    format!("after {} in {} left alone for {}{until}", when.join(" or "), settings.interval, settings.trip)
}

/// `POST /gateway/import`: imports and leads to the asset's page, or shows what is wrong.
pub async fn import(
    layout: Layout,
    State(gateway): State<Gateway>,
    State(catalog): State<Catalog>,
    State(http): State<HttpClient>,
    State(public_url): State<PublicUrl>,
    headers: HeaderMap,
    axum::extract::RawForm(body): axum::extract::RawForm,
) -> Result<Response, Failure> {
    same_origin::require(&headers, &public_url)?;
    let field = |name: &str| {
        let found = url::form_urlencoded::parse(&body).find(|(key, _)| key == name);
        found.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let form = Form {
        source: field("source"),
        name: field("name"),
        url: field("url"),
        models: field("models"),
        limit: field("limit"),
        workspace: field("workspace"),
    };
    let done = run(&layout, &gateway, &catalog, &http, &public_url, &form, field("key")).await;
    match done {
        Ok((workspace, name)) => Ok(to(&crate::web::asset_path(&workspace, &name))),
        Err(problem) if layout.actor.is_anonymous() => Err(Failure(problem)),
        Err(problem) => listed(layout, &gateway, form, Some(problem)).await,
    }
}

async fn run(
    layout: &Layout,
    gateway: &Gateway,
    catalog: &Catalog,
    http: &HttpClient,
    public_url: &PublicUrl,
    form: &Form,
    key: String,
) -> Result<(String, String), Problem> {
    layout.actor.require_somewhere(crate::auth::Permission::ManageGateway)?;
    let name = Slug::parse(&form.name).map_err(|bad| Problem::invalid_field("body.name", bad.to_string()))?;
    let limit = match form.limit.replace([',', ' '], "").as_str() {
        "" => None,
        text => Some(
            text.parse()
                .ok()
                .filter(|limit| *limit > 0)
                .ok_or_else(|| Problem::invalid_field("body.limitPerKey", "write a whole number"))?,
        ),
    };
    let source = match form.source.as_str() {
        "azure-openai" => Source::AzureOpenai { resource: form.url.clone(), api_version: None },
        "compatible" => Source::Compatible { url: form.url.clone() },
        "openapi" => {
            let mut definition = NewDefinition { url: Some(form.url.clone()), ..NewDefinition::default() };
            fetch_definition(http, &layout.actor, &mut definition, "body.url").await?;
            definition.url = None;
            Source::OpenApi { definition }
        }
        _ => return Err(Problem::invalid_field("body.source", "choose what it is")),
    };
    let models = form.models.split(',').map(str::trim).filter(|model| !model.is_empty()).map(str::to_owned).collect();
    let import = Import {
        workspace: Some(form.workspace.as_str()).filter(|workspace| !workspace.is_empty()),
        name,
        source,
        key: Some(key).filter(|key| !key.is_empty()),
        models,
        capacity: None,
        limit,
        public_url: public_url.as_str(),
    };
    Ok(gateway.import(&layout.actor, catalog, import).await?.asset)
}
