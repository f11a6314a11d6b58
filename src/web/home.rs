//! The start page: the search, what there is, what changed, and the first steps while the catalog is young.

use super::changes::{self, Row};
use super::layout::{Layout, Place, page};
use super::ways_in::WaysIn;
use super::words;
use crate::catalog::{Catalog, Kind};
use crate::door::Failure;
use askama::Template;
use axum::extract::State;
use axum::response::Response;

/// While there are fewer assets than this, the page shows the first steps.
const YOUNG: i64 = 50;

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    layout: Layout,
    kinds: Vec<(Kind, i64)>,
    total: i64,
    operations: i64,
    workspaces: usize,
    changes: Vec<Row>,
    ways_in: WaysIn,
}

impl Home {
    fn is_young(&self) -> bool {
        self.total < YOUNG
    }

    fn of(&self, kind: Kind) -> i64 {
        self.kinds.iter().find_map(|(one, count)| (*one == kind).then_some(*count)).unwrap_or(0)
    }

    fn apis(&self) -> i64 {
        let apis = [Kind::Rest, Kind::Graphql, Kind::Grpc, Kind::Soap, Kind::Webhook, Kind::Websocket];
        apis.into_iter().map(|kind| self.of(kind)).sum()
    }
}

/// `GET /`.
pub(super) async fn show(layout: Layout, State(catalog): State<Catalog>) -> Result<Response, Failure> {
    let counts = catalog.counts(&layout.actor).await?;
    let changes = changes::newest(&catalog, &layout.actor, None, 7).await?;
    page(&Home {
        total: counts.kinds.iter().map(|(_, count)| count).sum(),
        kinds: counts.kinds.clone(),
        operations: counts.operations,
        workspaces: catalog.workspaces(&layout.actor).await?.len(),
        changes,
        ways_in: WaysIn::to(&layout.public_url),
        layout: layout.at(Place::Home),
    })
}
