//! What lists are asked: how many, and from where.

use crate::base::{Cursor, Limit, Problem};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// How many items; 30 where not said.
    #[param(minimum = 1, maximum = 100, default = 30)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[param(max_length = 2000)]
    pub cursor: Option<String>,
}

impl Paging {
    pub fn read(&self) -> Result<(Option<Cursor>, Limit), Problem> {
        Ok((cursor(self.cursor.as_deref()), limit(self.limit)?))
    }
}

pub fn cursor(text: Option<&str>) -> Option<Cursor> {
    text.map(Cursor::from_text)
}

/// # Errors
/// 422 outside of `1..=100`.
pub fn limit(asked: Option<u32>) -> Result<Limit, Problem> {
    number(asked, Limit::DEFAULT, Limit::MAX).map(Limit)
}

/// How many, where a list has bounds of its own: `default` where not said.
///
/// # Errors
/// 422 outside of `1..=most`.
pub fn number(asked: Option<u32>, default: usize, most: usize) -> Result<usize, Problem> {
    let number = asked.map_or(default, |asked| usize::try_from(asked).unwrap_or(usize::MAX));
    match (1..=most).contains(&number) {
        true => Ok(number),
        false => Err(Problem::invalid_field("query.limit", format!("must be between 1 and {most}"))),
    }
}

/// A list that is short enough to come whole.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct All<T> {
    pub items: Vec<T>,
    pub total: usize,
}

impl<T> From<Vec<T>> for All<T> {
    fn from(items: Vec<T>) -> Self {
        Self { total: items.len(), items }
    }
}
