//! The first page of an asset: what it is, what it offers, where it runs, who answers for it.

use super::frame::Frame;
use super::lines::{Line, cut, tokens};
use super::pages::Tab;
use super::similar::{Like, Reason};
use super::{Asked, answer};
use crate::base::Limit;
use crate::catalog::{Definition, Deployment, Visibility};
use crate::door::Failure;
use crate::gateway::access::{AccessState, Standing};
use crate::web::{Layout, markdown, words};
use crate::wire::{Contact, Finding, Severity};
use askama::Template;
use axum::response::Response;
use serde_json::Value;

/// Bytes of Markdown shown before the reader asks for the rest.
const ABOUT: usize = 6_000;
/// Lines of tools or operations; their own page lists all.
const LINES: usize = 12;
/// Tools that are weighed to tell what all of them cost in a prompt.
const WEIGHED: usize = 200;
const DEPLOYMENTS: usize = 6;
const FINDINGS: usize = 8;
const FIELDS: usize = 20;
const SIMILAR: usize = 5;

#[derive(Template)]
#[template(path = "asset/overview.html")]
struct Page<'a> {
    layout: Layout,
    frame: &'a Frame,
    about: String,
    /// Whether there is more of the description.
    is_cut: bool,
    lines: Vec<Line>,
    /// Estimated tokens of all tools.
    cost: Option<usize>,
    deployments: &'a [Deployment],
    findings: Vec<&'a Finding>,
    finding_count: usize,
    contacts: Vec<Outward>,
    licence: Option<Outward>,
    links: Vec<Outward>,
    packages: Vec<String>,
    metadata: Vec<(String, Outward)>,
    /// Where the model can be tried.
    playground: Option<String>,
    /// How the reader stands to it, where a route of the gateway leads to it.
    standing: Standing,
    similar: Vec<Like>,
}

/// A link away from here, or only its words when it leads nowhere safe.
pub struct Outward {
    pub text: String,
    pub href: Option<String>,
}

impl Outward {
    fn new(text: &str, url: Option<&str>) -> Self {
        let href = url.map(str::trim).filter(|url| markdown::is_safe_link(url)).map(str::to_owned);
        Self { text: cut(text, 200), href }
    }

    /// An address that is its own text, without what every address has.
    fn address(url: &str) -> Self {
        let text = url.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
        Self::new(text, Some(url))
    }
}

impl Page<'_> {
    fn who_sees(&self) -> &'static str {
        match self.frame.asset.visibility {
            Visibility::Public => "everybody",
            Visibility::Internal => "everybody with a key",
            Visibility::Private => "those with a key of the workspace",
        }
    }

    fn is_fault(&self, finding: &Finding) -> bool {
        finding.severity != Severity::Info
    }

    fn about_size(&self) -> String {
        words::size(self.frame.asset.description.len() as u64)
    }

    fn size(&self, definition: &Definition) -> String {
        words::size(definition.size.unsigned_abs().into())
    }

    /// The digest of the first document, short: evidence that it is the one registered.
    fn digest(&self) -> String {
        self.frame.definitions.first().map(|one| hex::encode(&one.digest)[..12].to_owned()).unwrap_or_default()
    }
}

pub(super) async fn show(asked: Asked) -> Result<Response, Failure> {
    let frame = asked.frame(Tab::Overview).await?;
    let catalog = &asked.handles.catalog;
    let actor = &asked.layout.actor;

    let mut operations = Vec::new();
    let mut server = None;
    if frame.version.is_some() {
        let limit = Limit(if frame.is_mcp() { WEIGHED } else { LINES });
        operations = catalog.operations(actor, frame.path(), None, limit, frame.is_mcp()).await?.2.items;
        if frame.is_mcp() {
            server = catalog.server_document(actor, frame.path()).await?;
        }
    }
    let server: Value = server.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let weighed_all = frame.is_mcp() && operations.len() as i64 == frame.operation_count;
    let cost = (weighed_all && !operations.is_empty()).then(|| operations.iter().map(tokens).sum());

    let asset = &frame.asset;
    let whole = asked.parameter("about") == Some("all");
    let (about, is_cut) = markdown::beginning(&asset.description, if whole { usize::MAX } else { ABOUT });
    let findings = frame.version.as_ref().map(|version| version.findings.0.as_slice()).unwrap_or_default();
    let mut links: Vec<Outward> = server["repository"]["url"].as_str().map(Outward::address).into_iter().collect();
    links.extend(server["websiteUrl"].as_str().map(Outward::address));
    links.extend(asset.external_docs.iter().take(FIELDS).map(|doc| {
        let text = doc.title.as_deref().or(doc.description.as_deref()).filter(|text| !text.trim().is_empty());
        text.map_or_else(|| Outward::address(&doc.url), |text| Outward::new(text, Some(&doc.url)))
    }));

    let playground = crate::web::gateway::playground_path(&asked.handles.traffic, actor, &asked.workspace, &asked.name);
    let place = (asset.workspace.as_str(), asset.name.as_str());
    let standing = asked.handles.gateway.standing(actor, place, asset.asset_id).await?;
    let similar = asked.handles.search.similar(actor, asset, SIMILAR).await?.items.into_iter().map(Like::of).collect();
    let page = Page {
        playground,
        similar,
        standing,
        about: if about.trim() == asset.summary.trim() { String::new() } else { markdown::render(about) },
        is_cut,
        lines: operations.iter().take(LINES).map(|one| Line::of(one, &frame.pages, asset.kind)).collect(),
        cost,
        deployments: &frame.deployments[..frame.deployments.len().min(DEPLOYMENTS)],
        findings: findings.iter().take(FINDINGS).collect(),
        finding_count: findings.len(),
        contacts: asset.contacts.iter().take(FIELDS).map(contact).collect(),
        licence: asset.licence.as_ref().map(|licence| {
            let text = licence.name.as_deref().or(licence.url.as_deref()).unwrap_or("not named");
            Outward::new(text, licence.url.as_deref())
        }),
        links,
        packages: server["packages"].as_array().into_iter().flatten().take(FIELDS).map(package).collect(),
        metadata: asset.metadata.iter().take(FIELDS).map(field).collect(),
        frame: &frame,
        layout: asked.layout,
    };
    answer(&page, &asked.headers, page.layout.request_id.as_deref())
}

fn contact(contact: &Contact) -> Outward {
    let mail =
        contact.email.as_ref().map(|email| format!("mailto:{}", crate::door::segment(email).replace("%40", "@")));
    let text = [&contact.name, &contact.email, &contact.url].into_iter().flatten().find(|text| !text.trim().is_empty());
    Outward::new(text.map_or("", String::as_str), contact.url.as_deref().or(mail.as_deref()))
}

/// `npm @example/files 1.2.0`.
fn package(package: &Value) -> String {
    let words = ["registryType", "identifier", "version"].map(|member| package[member].as_str().unwrap_or_default());
    cut(words.join(" ").trim(), 200)
}

fn field((name, value): (&String, &Value)) -> (String, Outward) {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    (cut(name, 100), Outward::new(&text, Some(&text)))
}
