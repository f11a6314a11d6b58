//! How to use what is registered: install forms for the clients of a server, addresses and example calls for an API.

use super::frame::Frame;
use super::lines::cut;
use super::pages::Tab;
use super::schema_table::{Room, escaped};
use super::{Asked, answer};
use crate::base::{Cursor, Limit};
use crate::catalog::connect::{self, Client, ConnectOption, Form, Need, Step};
use crate::catalog::{Deployment, Kind};
use crate::door::Failure;
use crate::web::{Layout, markdown};
use crate::wire::Operation;
use askama::Template;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;

/// Remembers the client last used.
const COOKIE: &str = "client";
/// Bytes the forms may have; clients beyond are a link away.
const ROOM: usize = 17_000;
/// Ways to reach a server that are offered.
const WAYS: usize = 12;
/// Example calls of an API.
const EXAMPLES: usize = 3;
/// Operations in an `.http` file.
const REQUESTS: usize = 1_000;
const ADDRESSES: usize = 20;

#[derive(Template)]
#[template(path = "asset/connect.html")]
struct ServerPage<'a> {
    layout: Layout,
    frame: &'a Frame,
    ways: Vec<Way>,
    clients: Vec<ClientLink>,
    forms: Vec<Shown>,
    /// What only the user knows.
    needs: Vec<Asking>,
    /// Whether the server runs on the user's own machine.
    is_local: bool,
    label: String,
}

#[derive(Template)]
#[template(path = "asset/connect_api.html")]
struct ApiPage<'a> {
    layout: Layout,
    frame: &'a Frame,
    addresses: Vec<&'a Deployment>,
    examples: Vec<Example>,
    /// Where the `.http` file is.
    file: Option<String>,
}

struct Way {
    label: String,
    href: String,
    is_current: bool,
}

struct ClientLink {
    title: &'static str,
    href: String,
    is_current: bool,
}

/// The form of one client.
struct Shown {
    anchor: &'static str,
    title: &'static str,
    steps: Vec<ShownStep>,
}

struct ShownStep {
    label: String,
    href: Option<String>,
    is_sentence: bool,
    /// The page's main action: the first link of the first client.
    is_main: bool,
    wraps: bool,
    text: String,
}

/// A value the user fills in.
struct Asking {
    name: String,
    says: String,
    is_secret: bool,
    is_required: bool,
}

struct Example {
    title: String,
    command: String,
}

pub(super) async fn show(asked: Asked) -> Result<Response, Failure> {
    let frame = asked.frame(Tab::Connect).await?;
    if frame.asset.kind == Kind::Mcp { server(asked, &frame).await } else { api(asked, &frame).await }
}

async fn server(asked: Asked, frame: &Frame) -> Result<Response, Failure> {
    let mut options = Vec::new();
    if frame.version.is_some() {
        let document = asked.handles.catalog.server_document(&asked.layout.actor, frame.path()).await?;
        let document: Value = document.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        options = connect::options(&document);
    }
    options.truncate(WAYS);
    let chosen = asked.number("way").min(options.len().saturating_sub(1));
    let named = asked.parameter("client").and_then(Client::from_name);
    let client = named.or_else(|| remembered(&asked.headers));

    let address = |way: usize, client: Option<Client>| {
        let here = frame.pages.part("connect");
        client.map_or_else(
            || format!("{here}?way={way}"),
            |client| format!("{here}?way={way}&client={0}#{0}", client.as_str()),
        )
    };
    let mut forms = options.get(chosen).map(connect::forms).unwrap_or_default();
    // The sort is stable: the others keep their order.
    forms.sort_by_key(|form| Some(form.client) != client);
    let clients = forms.iter().map(|form| ClientLink {
        title: form.title,
        href: address(chosen, Some(form.client)),
        is_current: named == Some(form.client),
    });
    let clients = clients.collect();
    let mut room = Room::of(ROOM);
    let shown = forms.into_iter().enumerate().map_while(|(at, form)| {
        let shown = shown(form);
        (room.take(shown.size()) || at == 0).then_some(shown)
    });
    let mut shown: Vec<_> = shown.collect();
    if let Some(first) = shown.first_mut().and_then(|form| form.steps.first_mut()) {
        first.is_main = first.href.is_some();
    }
    let option = options.get(chosen);
    let page = ServerPage {
        clients,
        forms: shown,
        ways: options
            .iter()
            .enumerate()
            .map(|(at, option)| Way {
                label: cut(&option.label, 100),
                href: address(at, client),
                is_current: at == chosen,
            })
            .collect(),
        needs: option.map(|option| option.needs.iter().take(40).map(asking).collect()).unwrap_or_default(),
        is_local: option.is_some_and(ConnectOption::is_local),
        label: option.map(|option| option.label.clone()).unwrap_or_default(),
        frame,
        layout: asked.layout,
    };
    let mut response = answer(&page, &asked.headers, page.layout.request_id.as_deref())?;
    if let Some(client) = named {
        let secure = if page.layout.public_url.as_str().starts_with("https:") { "; Secure" } else { "" };
        let cookie =
            format!("{COOKIE}={}; Path=/assets; Max-Age=31536000; SameSite=Lax; HttpOnly{secure}", client.as_str());
        let cookie = HeaderValue::from_str(&cookie).expect("a client's name is a plain word");
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The client of the cookie.
fn remembered(headers: &HeaderMap) -> Option<Client> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).and_then(|(_, value)| Client::from_name(value))
}

fn shown(form: Form) -> Shown {
    Shown { anchor: form.client.as_str(), title: form.title, steps: form.steps.into_iter().map(step).collect() }
}

fn step(step: Step) -> ShownStep {
    ShownStep {
        is_main: false,
        is_sentence: step.language == "text" && step.text.contains(' '),
        wraps: step.language == "sh" || step.language == "text",
        text: escaped(&step.text),
        label: step.label,
        href: step.href,
    }
}

impl Shown {
    fn size(&self) -> usize {
        let step = |step: &ShownStep| match &step.href {
            Some(href) => 80 + href.len(),
            None => 420 + step.text.len() + step.label.len(),
        };
        150 + self.steps.iter().map(step).sum::<usize>()
    }
}

fn asking(need: &Need) -> Asking {
    let mut says = need.description.as_deref().map(|text| markdown::line(text, 300)).unwrap_or_default();
    if !need.choices.is_empty() {
        says.push_str(&format!(" One of {}.", escaped(&cut(&need.choices.join(", "), 300))));
    }
    if let Some(default) = &need.default {
        says.push_str(&format!(" Usually <code>{}</code>.", escaped(&cut(default, 100))));
    }
    Asking { name: cut(&need.name, 100), says, is_secret: need.is_secret, is_required: need.is_required }
}

async fn api(asked: Asked, frame: &Frame) -> Result<Response, Failure> {
    let mut examples = Vec::new();
    let base = base(frame);
    if let Some(base) = base.filter(|_| frame.version.is_some()) {
        let found = asked.handles.catalog.operations(&asked.layout.actor, frame.path(), None, Limit(30), true).await?;
        let mut operations = found.2.items;
        // What only reads is safe to try first.
        operations.sort_by_key(|operation| operation.method.as_deref() != Some("GET"));
        examples = operations.iter().filter_map(|one| example(base, one)).take(EXAMPLES).collect();
    }
    let page = ApiPage {
        file: (!examples.is_empty()).then(|| frame.pages.part("connect/requests.http")),
        examples,
        addresses: frame.deployments.iter().take(ADDRESSES).collect(),
        frame,
        layout: asked.layout,
    };
    answer(&page, &asked.headers, page.layout.request_id.as_deref())
}

fn base(frame: &Frame) -> Option<&str> {
    let active = frame.deployments.iter().find(|one| one.is_active);
    active.or(frame.deployments.first()).map(|one| one.url.as_str())
}

fn example(base: &str, operation: &Operation) -> Option<Example> {
    let command = connect::curl(base, operation).filter(|command| command.len() < 4_000)?;
    let title = operation.summary.as_deref().filter(|text| !text.trim().is_empty()).unwrap_or(&operation.name);
    Some(Example { title: cut(title, 100), command })
}

/// All operations as a file of requests that editors run.
pub(super) async fn requests(asked: Asked) -> Result<Response, Failure> {
    let frame = asked.frame(Tab::Connect).await?;
    let mut operations = Vec::new();
    while operations.len() < REQUESTS {
        let cursor = Cursor::of(&operations.len());
        let catalog = &asked.handles.catalog;
        let page = catalog.operations(&asked.layout.actor, frame.path(), Some(&cursor), Limit(100), true).await?.2;
        operations.extend(page.items);
        if page.next.is_none() {
            break;
        }
    }
    let text = connect::http_file(&frame.asset.title, base(&frame).unwrap_or("https://api.example.com"), &operations);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        (header::CONTENT_DISPOSITION, file_name(&frame)),
    ];
    Ok((headers.into_iter().collect::<HeaderMap>(), text).into_response())
}

fn file_name(frame: &Frame) -> HeaderValue {
    let text = format!("attachment; filename=\"{}.http\"", frame.asset.name.slug());
    HeaderValue::from_str(&text).expect("a name holds plain characters only")
}
