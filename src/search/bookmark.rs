//! `Bookmark`: what a cursor of the search carries, so that it is good for its own question only.

use super::rank::Place;
use super::request::Request;
use crate::base::{Cursor, Problem};
use serde::{Deserialize, Serialize};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The place, and which question it belongs to.
#[derive(Serialize, Deserialize)]
struct Bookmark {
    question: u64,
    place: Place,
}

/// The cursor that leads on from `place` in the answer to `request`.
pub(super) fn cursor(request: &Request, place: Place) -> Cursor {
    Cursor::of(&Bookmark { question: question(request), place })
}

/// The place to go on from.
///
/// # Errors
/// 422 for a cursor that is none, or one of another question.
pub(super) fn read(request: &Request) -> Result<Option<Place>, Problem> {
    let Some(cursor) = &request.cursor else { return Ok(None) };
    let read = cursor.place::<Bookmark>().ok().filter(|bookmark| bookmark.question == question(request));
    let refused =
        || Problem::invalid_field("query.cursor", "this cursor was not made by this search; start again without one");
    read.map(|bookmark| Some(bookmark.place)).ok_or_else(refused)
}

/// What a cursor must agree with: everything of the request but the page.
fn question(request: &Request) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&request.text, &request.filters.0, request.sort as u8).hash(&mut hasher);
    hasher.finish()
}
