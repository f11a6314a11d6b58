//! The answers that the cache keeps, on `/gateway/limits`: how many, and the way to let go of them.

use crate::auth::Actor;
use crate::door::{Failure, PublicUrl};
use crate::gateway::Gateway;
use crate::gateway::cache::Purge;
use crate::gateway::policy::Services;
use crate::gateway::settings::{Book, Owner, Rule};
use crate::web::fields::Fields;
use crate::web::layout::{Layout, to};
use crate::web::{same_origin, words};
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;

/// What is kept, for those who may let go of it.
pub(super) struct Kept {
    /// `12 answers, 34 KB`; none when the cache that replicas share does not answer.
    pub(super) amount: Option<String>,
    /// Whether replicas share it.
    pub(super) is_shared: bool,
    /// The routes whose answers may be kept.
    pub(super) routes: Vec<String>,
}

/// None where nothing is kept, or the reader does not look after the instance's gateway.
pub(super) async fn kept(actor: &Actor, book: &Book, services: &Services) -> Option<Kept> {
    let is_kept = book.policies().any(|(_, settings)| matches!(settings.rule, Rule::SemanticCache(_)));
    if !is_kept || !Gateway::may_manage(actor, &Owner::Instance) {
        return None;
    }
    let status = services.cache.status(services.clock.monotonic()).await;
    let amount = status.map(|status| {
        let answers = words::count(status.answers, "answer", "answers");
        format!("{answers}, {}", words::size(status.bytes as u64))
    });
    let routes = book.routes().map(|(route, _)| route.name.clone()).collect();
    Some(Kept { amount, is_shared: services.cache.is_shared(), routes })
}

/// `POST /gateway/purge`: takes answers out of the cache, and leads to the limits again, which tell how many went.
pub async fn purge(
    layout: Layout,
    State(gateway): State<Gateway>,
    State(services): State<Services>,
    State(public_url): State<PublicUrl>,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, Failure> {
    same_origin::require(&headers, &public_url)?;
    let which = Purge { route: fields.filled("route"), asset: fields.filled("asset"), key: fields.filled("key") };
    let removed = gateway.purge(&layout.actor, &services.cache, &which).await?;
    Ok(to(&format!("/gateway/limits?purged={removed}#answers")))
}
