//! What a model costs, by a million tokens of each category.

use super::{Money, is_default};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Prices per million tokens, in the currency of the whole table. What is unset costs as its plainer category: cached
/// input as input, reasoning as output, image and audio as text of their direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = GatewayPriceSettings)]
pub struct PriceSettings {
    #[schema(value_type = f64)]
    pub input: Money,
    #[schema(value_type = f64)]
    pub output: Money,
    #[serde(skip_serializing_if = "is_default")]
    #[schema(value_type = Option<f64>)]
    pub cached_input: Option<Money>,
    /// Writing into the vendor's prompt cache, where that is charged.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(value_type = Option<f64>)]
    pub cache_write: Option<Money>,
    #[serde(skip_serializing_if = "is_default")]
    #[schema(value_type = Option<f64>)]
    pub reasoning: Option<Money>,
    /// Of pictures, where the vendor reports their tokens apart (`image_tokens`); else they are input.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(value_type = Option<f64>)]
    pub image_input: Option<Money>,
    #[serde(skip_serializing_if = "is_default")]
    #[schema(value_type = Option<f64>)]
    pub audio_input: Option<Money>,
    #[serde(skip_serializing_if = "is_default")]
    #[schema(value_type = Option<f64>)]
    pub audio_output: Option<Money>,
    /// Per request, whatever its tokens.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(value_type = Option<f64>)]
    pub request: Option<Money>,
}
