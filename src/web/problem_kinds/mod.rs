//! What the sorts of problems mean: the pages to which the `type` of a problem leads.

mod table;

use super::layout::{Layout, page};
use crate::base::Problem;
use crate::door::{Failure, Path};
use askama::Template;
use axum::response::Response;
use serde::Deserialize;
use table::{KINDS, Kind};

#[derive(Template)]
#[template(path = "problem_kind.html")]
struct One {
    layout: Layout,
    kind: &'static Kind,
}

#[derive(Template)]
#[template(path = "problem_kinds.html")]
struct All {
    layout: Layout,
    kinds: &'static [Kind],
}

/// The path of a sort of problem.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    kind: String,
}

/// `GET /problems/{kind}`: what the `type` of a problem means.
pub(super) async fn show(layout: Layout, Path(Named { kind }): Path<Named>) -> Result<Response, Failure> {
    match KINDS.iter().find(|known| known.name == kind) {
        Some(kind) => page(&One { layout, kind }),
        None => {
            let problem = Problem::not_found("There is no sort of problem of this name.");
            Err(Failure(problem.with_help("All of them are listed at /problems.")))
        }
    }
}

/// `GET /problems`.
pub(super) async fn list(layout: Layout) -> Result<Response, Failure> {
    page(&All { layout, kinds: KINDS })
}
