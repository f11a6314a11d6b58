//! `Running`: holds an exchange until it is settled, and settles it whatever becomes of its holder.

use super::Traffic;
use super::plan::PlannedRoute;
use crate::gateway::exchange::{Ending, Exchange};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// An exchange on its way. Dropped without [`Running::finish`], it is settled as one whose client has left.
pub(super) struct Running {
    exchange: Option<Box<Exchange>>,
    route: Arc<PlannedRoute>,
    traffic: Traffic,
}

impl Running {
    pub(super) fn new(exchange: Box<Exchange>, route: Arc<PlannedRoute>, traffic: Traffic) -> Self {
        Self { exchange: Some(exchange), route, traffic }
    }

    pub(super) fn exchange(&self) -> &Exchange {
        self.exchange.as_ref().expect("it is there until it is finished, which takes this")
    }

    pub(super) fn exchange_mut(&mut self) -> &mut Exchange {
        self.on_its_way().1
    }

    /// The route, and the exchange to go on with.
    pub(super) fn on_its_way(&mut self) -> (&PlannedRoute, &mut Exchange) {
        let exchange = self.exchange.as_mut().expect("it is there until it is finished, which takes this");
        (&self.route, exchange)
    }

    pub(super) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Settles it, here as far as that needs no waiting, the rest in tasks.
    pub(super) fn finish(mut self, ending: Ending) {
        self.settle(ending);
    }

    fn settle(&mut self, ending: Ending) {
        let Some(mut exchange) = self.exchange.take() else { return };
        // Nobody saw what the backend made of the prompt; that it got one is certain.
        if ending == Ending::ClientLeft && exchange.went_out() && exchange.reply.reported.is_none() {
            exchange.count_prompt();
        }
        let settlement = exchange.settlement(ending);
        for mut left in self.route.chain.settle(exchange, &settlement) {
            // What is kept in memory is kept at once: the client may ask for it as soon as it has its answer.
            if left.as_mut().poll(&mut Context::from_waker(Waker::noop())) == Poll::Pending {
                self.traffic.tasks().spawn(left);
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.settle(Ending::ClientLeft);
    }
}
