//! The webhooks of a workspace: which there are, what became of their events, and the forms that change them.

use super::fields::is_input;
use super::layout::{Layout, Place, answer_to_form, status_of, to, unkept_answer};
use super::same_origin;
use super::words;
use super::workspace::Named;
use crate::base::{Limit, Problem, WebhookId};
use crate::catalog::{Catalog, Workspace};
use crate::door::{Body, Failure, Path, PublicUrl, segment};
use crate::notify::Kind;
use crate::webhook::{Delivery, DeliveryState, NewWebhook, Webhook, WebhookPatch, Webhooks};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;

/// How many deliveries of each webhook the page shows; the REST API lists all.
const SHOWN: usize = 5;
/// And how many webhooks.
const MOST: usize = 20;

#[derive(Template)]
#[template(path = "webhooks.html")]
struct Page {
    layout: Layout,
    workspace: Workspace,
    entries: Vec<Entry>,
    /// What was just made: the name of a webhook and its secret.
    secret: Option<(String, String)>,
    problem: Option<Problem>,
    form: Form,
}

struct Entry {
    webhook: Webhook,
    deliveries: Vec<Delivery>,
}

/// What was sent; empty where a field was not.
#[derive(Clone, Debug, Default)]
struct Form {
    step: String,
    webhook: String,
    delivery: String,
    name: String,
    url: String,
    kinds: Vec<Kind>,
}

impl Form {
    fn read(body: &[u8]) -> Result<Self, Problem> {
        let mut form = Self::default();
        for (name, value) in url::form_urlencoded::parse(body) {
            let value = value.trim().to_owned();
            match name.as_ref() {
                "step" => form.step = value,
                "webhook" => form.webhook = value,
                "delivery" => form.delivery = value,
                "name" => form.name = value,
                "url" => form.url = value,
                "kinds" => {
                    let unknown = || Problem::invalid_field("body.kinds", format!("{value} is no kind of event"));
                    form.kinds.push(Kind::parse(&value).ok_or_else(unknown)?);
                }
                _ => {}
            }
        }
        Ok(form)
    }

    fn webhook(&self) -> Result<WebhookId, Problem> {
        self.webhook.parse().map_err(|_| Problem::not_found("This workspace has no webhook of this id."))
    }
}

/// `GET /workspaces/{workspace}/webhooks`.
pub(super) async fn show(
    layout: Layout,
    State(catalog): State<Catalog>,
    State(webhooks): State<Webhooks>,
    Path(path): Path<Named>,
) -> Result<Response, Failure> {
    shown(layout, &catalog, &webhooks, &path.workspace, (None, None, Form::default())).await
}

/// `POST /workspaces/{workspace}/webhooks`: one form for each step.
pub(super) async fn change(
    layout: Layout,
    State(catalog): State<Catalog>,
    State(webhooks): State<Webhooks>,
    State(public_url): State<PublicUrl>,
    Path(path): Path<Named>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Failure> {
    same_origin::require(&headers, &public_url)?;
    let form = Form::read(&body)?;
    match step(&layout, &webhooks, &path.workspace, &form).await {
        Ok(None) => {
            let back = format!("/workspaces/{}/webhooks", segment(&path.workspace));
            Ok(to(&back))
        }
        Ok(secret) => shown(layout, &catalog, &webhooks, &path.workspace, (secret, None, Form::default())).await,
        Err(problem) if is_input(&problem) => {
            shown(layout, &catalog, &webhooks, &path.workspace, (None, Some(problem), form)).await
        }
        Err(problem) => Err(Failure(problem)),
    }
}

/// Does what the form asks for; gives a name and a secret where one was made.
async fn step(
    layout: &Layout,
    webhooks: &Webhooks,
    workspace: &str,
    form: &Form,
) -> Result<Option<(String, String)>, Problem> {
    let actor = &layout.actor;
    match form.step.as_str() {
        "create" => {
            let new = NewWebhook { name: form.name.clone(), url: form.url.clone(), kinds: form.kinds.clone() };
            let (made, secret) = webhooks.create(actor, workspace, new).await?;
            return Ok(Some((made.name, secret)));
        }
        "secret" => {
            let webhook = webhooks.find(actor, workspace, form.webhook()?).await?;
            let secret = webhooks.rotate_secret(actor, workspace, webhook.webhook_id).await?;
            return Ok(Some((webhook.name, secret)));
        }
        "test" => webhooks.test(actor, workspace, form.webhook()?).await.map(drop)?,
        "delete" => webhooks.delete(actor, workspace, form.webhook()?).await?,
        "pause" | "resume" => {
            let patch = WebhookPatch { is_active: Some(form.step == "resume"), ..WebhookPatch::default() };
            webhooks.update(actor, workspace, form.webhook()?, patch).await.map(drop)?;
        }
        "replay" => {
            let missing = |_| Problem::not_found("This webhook has no delivery of this id.");
            let delivery = form.delivery.parse().map_err(missing)?;
            webhooks.replay(actor, workspace, form.webhook()?, delivery).await.map(drop)?;
        }
        _ => return Err(Problem::invalid_field("body.step", "is none of the steps of this page")),
    }
    Ok(None)
}

async fn shown(
    layout: Layout,
    catalog: &Catalog,
    webhooks: &Webhooks,
    workspace: &str,
    (secret, problem, form): (Option<(String, String)>, Option<Problem>, Form),
) -> Result<Response, Failure> {
    let found = webhooks.list(&layout.actor, workspace).await?;
    let workspace = catalog.workspace(&layout.actor, workspace).await?;
    let mut entries = Vec::new();
    for webhook in found.into_iter().take(MOST) {
        let place = (workspace.name.as_str(), webhook.webhook_id);
        let page = webhooks.deliveries(&layout.actor, place.0, place.1, None, Limit(SHOWN)).await?;
        entries.push(Entry { webhook, deliveries: page.items });
    }
    let is_secret = secret.is_some();
    let layout = layout.at(Place::Workspaces);
    let status = status_of(problem.as_ref());
    let page = Page { layout, workspace, entries, secret, problem, form };
    if is_secret { unkept_answer(&page, status) } else { answer_to_form(&page, status) }
}

impl Page {
    fn kinds(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        let shown = Kind::ALL.iter().filter(|kind| **kind != Kind::Test);
        shown.map(|kind| (kind.as_str(), kind.description().trim(), self.form.kinds.contains(kind)))
    }

    /// Class and word of a state.
    fn state(&self, delivery: &Delivery) -> (&'static str, &'static str) {
        match delivery.state {
            DeliveryState::Waiting => ("warn", "waiting"),
            DeliveryState::Delivered => ("ok", "delivered"),
            DeliveryState::Dead => ("bad", "given up"),
            DeliveryState::Withheld => ("", "withheld"),
        }
    }

    /// What the receiver said last.
    fn answer(&self, delivery: &Delivery) -> String {
        match delivery.answers.first() {
            None => String::new(),
            Some(attempt) => match (attempt.status, &attempt.error) {
                (Some(status), _) => format!("answered {status} in {} ms", attempt.duration_ms),
                (None, Some(error)) => words::short(error, 160),
                (None, None) => "no answer".to_owned(),
            },
        }
    }
}
