//! What the sorts of problems mean: the pages to which the `type` of a problem leads.

use super::layout::{Layout, page};
use crate::base::Problem;
use crate::door::{Failure, Path};
use askama::Template;
use axum::response::Response;
use serde::Deserialize;

/// A sort of problem.
struct Kind {
    name: &'static str,
    status: u16,
    meaning: &'static str,
    help: &'static str,
}

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

/// By name.
const KINDS: &[Kind] = &[
    Kind {
        name: "bad-if-match",
        status: 400,
        meaning: "The If-Match header is no entity tag of ours.",
        help: "Send the ETag of an earlier answer as it was, quotes included, or leave the header out.",
    },
    Kind {
        name: "bad-json",
        status: 400,
        meaning: "The body is not JSON as it is taken here: broken, nested too deeply, or with a key that stands twice.",
        help: "The detail gives line and column.",
    },
    Kind {
        name: "bad-request",
        status: 400,
        meaning: "The request cannot be understood: its framing, its escapes, or a parameter that stands twice.",
        help: "The detail names the part; mend that and send it again.",
    },
    Kind {
        name: "body-incomplete",
        status: 400,
        meaning: "The body broke off before its announced end, or its framing is wrong.",
        help: "Send it again; behind a proxy, look whether it cuts long bodies.",
    },
    Kind {
        name: "body-missing",
        status: 400,
        meaning: "A body was expected, and none came.",
        help: "Send the document or the JSON as the body of the request.",
    },
    Kind {
        name: "body-timeout",
        status: 408,
        meaning: "The body came too slowly, or paused for too long.",
        help: "Send it again over a better line, or send less at once.",
    },
    Kind {
        name: "body-too-large",
        status: 413,
        meaning: "The body is larger than is taken here.",
        help: "Send less at once; many assets go through POST /api/v1/import, one a line.",
    },
    Kind {
        name: "body-too-long",
        status: 413,
        meaning: "The body is longer than is taken here.",
        help: "Send less at once; many assets go through POST /api/v1/import, one a line.",
    },
    Kind {
        name: "body-too-slow",
        status: 408,
        meaning: "The body did not arrive in time.",
        help: "Send it again over a better line, or send less at once.",
    },
    Kind {
        name: "database-unavailable",
        status: 503,
        meaning: "The database does not answer, or takes no writes now.",
        help: "Try again after the time in Retry-After; nothing of the request was stored.",
    },
    Kind {
        name: "forbidden",
        status: 403,
        meaning: "Who asks is known, but its roles do not allow this.",
        help: "The detail names the role that would do.",
    },
    Kind {
        name: "idempotency-key-reused",
        status: 422,
        meaning: "The Idempotency-Key was used before with another request.",
        help: "Use a new key for a new request; UUIDs do.",
    },
    Kind {
        name: "in-progress",
        status: 409,
        meaning: "A request with the same Idempotency-Key is being worked on.",
        help: "Wait for its answer, then ask again with the same key to get the same answer.",
    },
    Kind {
        name: "in-use",
        status: 409,
        meaning: "What should be deleted is still used.",
        help: "The detail says by what; move or delete that first.",
    },
    Kind {
        name: "internal",
        status: 500,
        meaning: "Something failed on our side.",
        help: "Try again; if it stays, give the request id to the operator, whose log has the cause.",
    },
    Kind {
        name: "invalid",
        status: 422,
        meaning: "The request is well formed, but a value in it is wrong.",
        help: "The member errors names every wrong place with what would be right.",
    },
    Kind {
        name: "key-not-live",
        status: 401,
        meaning: "The key has expired or was revoked.",
        help: "Ask an administrator of the workspace for a new one.",
    },
    Kind {
        name: "key-unknown",
        status: 401,
        meaning: "The key is not known here.",
        help: "See that it is whole and of this instance; keys are shown once, so a lost one is replaced by a new one.",
    },
    Kind {
        name: "method-not-allowed",
        status: 405,
        meaning: "The thing is there, but is not asked this way.",
        help: "The Allow header names the methods that work.",
    },
    Kind {
        name: "name-taken",
        status: 409,
        meaning: "The name is in use already, perhaps by something deleted.",
        help: "Choose another name, add a version to what has it, or restore what was deleted.",
    },
    Kind {
        name: "not-found",
        status: 404,
        meaning: "There is nothing there that you may see. What is private to others is answered the same way.",
        help: "Look at the name; with a key of its workspace more may be seen.",
    },
    Kind {
        name: "other-origin",
        status: 403,
        meaning: "The request came from a page of another site.",
        help: "Open the form on this site and send it from there; programs send no Origin header.",
    },
    Kind {
        name: "stale",
        status: 412,
        meaning: "Somebody else changed it since you read it.",
        help: "Read it again and send your change with the new ETag as If-Match.",
    },
    Kind {
        name: "target-too-long",
        status: 414,
        meaning: "Path and query of the request are too long.",
        help: "Send long texts in the body.",
    },
    Kind {
        name: "target-unreadable",
        status: 400,
        meaning: "Path or query of the request cannot be read once their escapes are resolved.",
        help: "Write %XX with two hexadecimal digits for bytes of UTF-8, and no U+0000.",
    },
    Kind {
        name: "unauthenticated",
        status: 401,
        meaning: "This needs a credential, and none came that can be read.",
        help: "Send Authorization: Bearer whf_... with a key; an administrator makes one with: wharfinger key create.",
    },
    Kind {
        name: "unavailable",
        status: 503,
        meaning: "A part that is needed does not answer now.",
        help: "Try again after the time in Retry-After; /status says which part is missing.",
    },
    Kind {
        name: "unsupported-content-encoding",
        status: 415,
        meaning: "Bodies are taken as they are, not compressed.",
        help: "Send it without a Content-Encoding.",
    },
    Kind {
        name: "unsupported-media-type",
        status: 415,
        meaning: "A body of this type is not taken here.",
        help: "The detail names the types that are; see also the Content-Type header you sent.",
    },
    Kind {
        name: "version-taken",
        status: 409,
        meaning: "The asset has a version of this name; versions are kept as they were published.",
        help: "Publish under the next version.",
    },
];
