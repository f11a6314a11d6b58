//! Requests that a page of ours makes in its reader's name. They take the way of every other request, with the same
//! policies, counters and record; only the key is missing, since who asks is known from the session.

use super::{Asking, called, unreadable};
use crate::auth::Actor;
use crate::base::Problem;
use crate::gateway::exchange::Asked;
use crate::gateway::traffic::{ReplyBody, Traffic};
use crate::gateway::witness::{Told, Witness};
use crate::wire::call::{Call, Dialect};
use bytes::Bytes;
use http::{HeaderMap, Response};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// A request in somebody's name.
#[derive(Clone, Debug)]
pub struct Inside {
    pub caller: Actor,
    /// Where the reader is.
    pub ip: IpAddr,
    pub id: Arc<str>,
    pub dialect: Dialect,
    /// What a client would send besides: `cache-control`, say.
    pub headers: HeaderMap,
    /// In the dialect, like a client's.
    pub body: Bytes,
}

/// The answer, or why there is none; and, when the request is settled, all that became of it. Nothing is told of a
/// request that reached no route.
pub async fn ask(
    traffic: &Traffic,
    inside: Inside,
) -> (Result<Response<ReplyBody>, Box<Problem>>, oneshot::Receiver<Told>) {
    let (witness, told) = Witness::begin();
    (answered(traffic, inside, witness).await, told)
}

async fn answered(
    traffic: &Traffic,
    inside: Inside,
    witness: Box<Witness>,
) -> Result<Response<ReplyBody>, Box<Problem>> {
    let Inside { caller, ip, id, dialect, headers, body } = inside;
    let asking = Asking { traffic, id: &id, begun: Instant::now(), ip };
    let mut call = Call::read(dialect, &body, None).map_err(|error| Box::new(unreadable(error)))?;
    let snapshot = traffic.snapshot();
    let route = called(&snapshot, &caller, &mut call)?;
    traffic.check_conversation(&caller, &call).await?;
    let mut exchange = asking.exchange(Arc::new(caller), headers, snapshot, route, Asked::Model(call), body)?;
    exchange.witness = Some(witness);
    traffic.answer(exchange).await.map_err(|(problem, _)| problem)
}
