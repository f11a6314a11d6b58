//! Dimensions that are added to the metrics and records of a request.

use super::facts::CallFacts;
use super::{Admission, Held, Policy};
use crate::base::Problem;
use crate::gateway::exchange::Exchange;
use crate::gateway::limit::rendered;
use crate::gateway::settings::TokenMetrics;

pub struct Measured {
    pub(super) settings: TokenMetrics,
}

impl Policy for Measured {
    async fn admit(&self, exchange: &mut Exchange) -> Result<Admission, Box<Problem>> {
        let facts = CallFacts::of(exchange);
        let dimensions = self.settings.dimensions.iter();
        let dimensions = dimensions.map(|(label, template)| (label.clone(), rendered(template, &facts))).collect();
        exchange.held.push(Held::Dimensions(dimensions));
        Ok(Admission::Continue)
    }
}
