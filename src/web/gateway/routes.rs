//! `/gateway/routes`: what callers may ask for, and what stands in between.

use super::{anchor, edit_link, may_make, workspace};
use crate::auth::Actor;
use crate::door::{Failure, PublicUrl};
use crate::gateway::Gateway;
use crate::gateway::settings::{Book, Callers, Owner, Reach, RouteSettings, Section, Serves, Thing};
use crate::web::layout::{Layout, Place, page};
use askama::Template;
use axum::extract::State;
use axum::response::Response;

#[derive(Template)]
#[template(path = "gateway/routes.html")]
struct Routes {
    layout: Layout,
    routes: Vec<Row>,
    left_out: Vec<String>,
    commands: String,
    may_make: bool,
}

struct Row {
    anchor: String,
    name: String,
    workspace: Option<String>,
    answers: Vec<String>,
    pool: String,
    pool_anchor: String,
    /// Anchor and name of each policy that reaches it.
    policies: Vec<(String, String)>,
    callers: String,
    /// Path and name of its asset.
    asset: Option<(String, String)>,
    disabled: bool,
    edit: Option<String>,
}

/// `GET /gateway/routes`.
pub async fn show(
    layout: Layout,
    State(gateway): State<Gateway>,
    State(url): State<PublicUrl>,
) -> Result<Response, Failure> {
    let book = gateway.readable(&layout.actor).await?;
    let routes = book.routes().map(|(thing, settings)| row(&layout.actor, &book, thing, settings)).collect();
    let left_out = if Gateway::may_manage(&layout.actor, &Owner::Instance) { gateway.left_out() } else { Vec::new() };
    let commands = format!(
        "export WHARFINGER_URL={} WHARFINGER_KEY=whf_...\nwharfinger export --gateway -o gateway.yaml\nwharfinger apply -f gateway.yaml",
        url.as_str()
    );
    let may_make = may_make(&layout.actor);
    page(&Routes { layout: layout.at(Place::Gateway), routes, left_out, commands, may_make })
}

fn row(actor: &Actor, book: &Book, thing: &Thing, settings: &RouteSettings) -> Row {
    let answers = match &settings.serves {
        Serves::Models(models) => models.clone(),
        Serves::Rest(asset) => vec![match thing.owner.workspace_name() {
            Some(workspace) => format!("/rest/{workspace}/{asset}/"),
            None => format!("/rest/{asset}/"),
        }],
    };
    let pool = book.named(Section::Pool, &thing.owner, &settings.pool);
    let asset = crate::gateway::asset_of(&thing.owner, settings);
    Row {
        anchor: anchor(&thing.owner, &thing.name),
        name: thing.name.clone(),
        workspace: workspace(&thing.owner),
        answers,
        pool: settings.pool.clone(),
        pool_anchor: pool.map_or_else(String::new, |pool| anchor(&pool.owner, &pool.name)),
        policies: policies(book, thing, settings),
        callers: match (&settings.callers, thing.owner.workspace_name()) {
            (Callers::Workspace, Some(workspace)) => format!("consumers of {workspace}"),
            (Callers::Workspace, None) | (Callers::Everyone, _) => "consumers of any workspace".to_owned(),
            (Callers::Workspaces(names), _) => format!("consumers of {}", names.join(", ")),
        },
        asset: asset.map(|(workspace, name)| (crate::web::asset_path(workspace, name), format!("{workspace} {name}"))),
        disabled: settings.disabled,
        edit: edit_link(actor, thing),
    }
}

/// Those that reach everything first, as they are asked; then the route's own.
fn policies(book: &Book, route: &Thing, settings: &RouteSettings) -> Vec<(String, String)> {
    let told = |policy: &Thing| (anchor(&policy.owner, &policy.name), policy.name.clone());
    let reaching = book.policies().filter(|(policy, its)| {
        its.reach == Reach::All && (policy.owner == Owner::Instance || policy.owner == route.owner)
    });
    let mut found: Vec<_> = reaching.map(|(policy, _)| told(policy)).collect();
    for name in &settings.policies {
        if let Some(policy) = book.named(Section::Policy, &route.owner, name)
            && !found.contains(&told(policy))
        {
            found.push(told(policy));
        }
    }
    found
}
