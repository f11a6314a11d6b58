//! `Running`: holds an exchange until it is settled, and settles it whatever becomes of its holder.

use super::Traffic;
use crate::gateway::exchange::{Ending, Exchange};
use crate::gateway::policy::Chain;
use std::future::Future;
use std::task::{Context, Poll, Waker};

/// An exchange on its way. Dropped without [`Running::finish`], it is settled as one whose client has left.
pub(super) struct Running {
    exchange: Option<Box<Exchange>>,
    chain: Chain,
    traffic: Traffic,
}

impl Running {
    pub(super) fn new(exchange: Box<Exchange>, chain: Chain, traffic: Traffic) -> Self {
        Self { exchange: Some(exchange), chain, traffic }
    }

    pub(super) fn exchange(&self) -> &Exchange {
        self.exchange.as_ref().expect("it is there until it is finished, which takes this")
    }

    pub(super) fn exchange_mut(&mut self) -> &mut Exchange {
        self.exchange.as_mut().expect("it is there until it is finished, which takes this")
    }

    pub(super) fn chain(&self) -> Chain {
        self.chain.clone()
    }

    pub(super) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Settles it, here as far as that needs no waiting, else in a task.
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
        let chain = self.chain.clone();
        let mut settling = Box::pin(async move { chain.settle(exchange, settlement).await });
        // Counters are in memory, so this is usually all there is to it.
        if settling.as_mut().poll(&mut Context::from_waker(Waker::noop())) == Poll::Pending {
            self.traffic.tasks().spawn(settling);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.settle(Ending::ClientLeft);
    }
}
