//! What tokens cost, in thousand-millionths of the currency's unit: exact for prices of a millionth per million tokens.

use super::Tokens;
use crate::gateway::settings::PriceSettings;

/// The cost of these tokens and of one request; 0 where there is no price.
#[must_use]
pub fn cost(price: Option<&PriceSettings>, tokens: &Tokens) -> u64 {
    let Some(price) = price else { return 0 };
    let or_input = |own: Option<crate::gateway::settings::Money>| own.unwrap_or(price.input).micros;
    let or_output = |own: Option<crate::gateway::settings::Money>| own.unwrap_or(price.output).micros;
    let cached = tokens.cached_input + tokens.cache_write;
    // How many of the cached tokens were pictures is not told: no more than what is left over can be charged as such.
    let image = tokens.input_image.min(tokens.input.saturating_sub(cached + tokens.input_audio));
    let plain_input = tokens.input.saturating_sub(cached + tokens.input_audio + image);
    let plain_output = tokens.output.saturating_sub(tokens.reasoning + tokens.output_audio);
    // Micros a million tokens: a token costs a millionth of it, which in thousand-millionths is a thousandth.
    let lines = [
        (plain_input, price.input.micros),
        (tokens.cached_input, or_input(price.cached_input)),
        (tokens.cache_write, or_input(price.cache_write)),
        (tokens.input_audio, or_input(price.audio_input)),
        (image, or_input(price.image_input)),
        (plain_output, price.output.micros),
        (tokens.reasoning, or_output(price.reasoning)),
        (tokens.output_audio, or_output(price.audio_output)),
    ];
    let tokens_cost: u128 = lines.iter().map(|(count, micros)| u128::from(*count) * u128::from(*micros)).sum();
    let request = price.request.map_or(0, |money| u128::from(money.micros) * 1_000);
    u64::try_from(tokens_cost.div_ceil(1_000) + request).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::settings::Money;

    #[test]
    fn each_category_costs_its_price_or_that_of_its_plainer_one() {
        let price = PriceSettings {
            input: Money::micros(2_500_000),
            output: Money::micros(10_000_000),
            cached_input: Some(Money::micros(1_250_000)),
            image_input: Some(Money::micros(5_000_000)),
            ..PriceSettings::default()
        };
        for (tokens, nanos) in [
            (Tokens { input: 1_000_000, ..Tokens::default() }, 2_500_000_000),
            (Tokens { input: 1_000_000, cached_input: 400_000, ..Tokens::default() }, 2_000_000_000),
            (Tokens { output: 100, reasoning: 60, ..Tokens::default() }, 1_000_000),
            (Tokens { input: 1, ..Tokens::default() }, 2_500),
            (Tokens { input: 100, input_image: 60, ..Tokens::default() }, 400_000),
            (Tokens { input: 100, cached_input: 60, input_image: 60, ..Tokens::default() }, 275_000),
            (Tokens { input: 5, cached_input: 9, ..Tokens::default() }, 11_250),
        ] {
            assert_eq!(cost(Some(&price), &tokens), nanos, "{tokens:?}");
        }
        assert_eq!(cost(None, &Tokens { input: 9, ..Tokens::default() }), 0);
    }

    #[test]
    fn a_request_may_cost_by_itself() {
        let price = PriceSettings { request: Some(Money::micros(10_000)), ..PriceSettings::default() };

        assert_eq!(cost(Some(&price), &Tokens::default()), 10_000_000);
    }
}
