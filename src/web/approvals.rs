//! Approval: the queue of what waits, one request with its evidence, and the decision; and the settings of a workspace.

use super::layout::{Layout, Place, answer_to_form, page, status_of, to};
use super::{asset_path, same_origin, words};
use crate::auth::{Permission, Scope};
use crate::base::{ApprovalId, Limit, Problem};
use crate::catalog::{
    Approval, ApprovalDetail, ApprovalFilter, ApprovalSettingsPatch, ApprovalState, Catalog, CheckOutcome, Decision,
    Difference, Verdict,
};
use crate::door::{Body, Failure, Path, PublicUrl};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use time::OffsetDateTime;

/// How many requests the queue names.
const MOST: usize = 100;
/// How many differences are shown.
const DIFFERENCES: usize = 200;

/// The path of a request's page.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    approval: String,
}

/// The path of a workspace's settings.
#[derive(Debug, Deserialize)]
pub(super) struct OfWorkspace {
    workspace: String,
}

#[derive(Template)]
#[template(path = "approvals.html")]
struct Queue {
    layout: Layout,
    waiting: Vec<Approval>,
    decided: Vec<Approval>,
    now: OffsetDateTime,
}

#[derive(Template)]
#[template(path = "approval.html")]
struct One {
    layout: Layout,
    request: ApprovalDetail,
    waiting: Vec<Approval>,
    differences: Vec<Line>,
    hidden_differences: usize,
    now: OffsetDateTime,
    /// Why the last form was not taken.
    problem: Option<Problem>,
    /// What stood in it.
    reason: String,
}

/// A difference as it is shown.
struct Line {
    place: String,
    before: String,
    after: String,
}

impl One {
    fn asset_href(&self) -> String {
        asset_path(&self.request.approval.workspace, &self.request.approval.asset)
    }

    /// Class and icon of what a check found.
    fn sign(&self, outcome: &CheckOutcome) -> (&'static str, &'static str) {
        match outcome {
            CheckOutcome::Passed => ("ok", "check"),
            CheckOutcome::Warned => ("warn", "warning"),
            CheckOutcome::Failed => ("bad", "cross"),
            CheckOutcome::Skipped => ("", "info"),
        }
    }
}

/// `GET /approvals`.
pub(super) async fn queue(layout: Layout, State(catalog): State<Catalog>) -> Result<Response, Failure> {
    let waiting = catalog.approvals(&layout.actor, &ApprovalFilter::default(), None, Limit(MOST)).await?.items;
    let mut decided = Vec::new();
    for state in [ApprovalState::Approved, ApprovalState::Rejected] {
        let filter = ApprovalFilter { state: Some(state), ..ApprovalFilter::default() };
        decided.extend(catalog.approvals(&layout.actor, &filter, None, Limit(20)).await?.items);
    }
    decided.sort_by_key(|one| std::cmp::Reverse(one.updated_at));
    decided.truncate(20);
    let now = catalog.clock().now();
    page(&Queue { layout: layout.at(Place::Approvals), waiting, decided, now })
}

/// `GET /approvals/{approval}`.
pub(super) async fn show(
    layout: Layout,
    Path(named): Path<Named>,
    State(catalog): State<Catalog>,
) -> Result<Response, Failure> {
    let id = id(&layout, &named)?;
    shown(layout, &catalog, id, None, String::new()).await
}

async fn shown(
    layout: Layout,
    catalog: &Catalog,
    id: ApprovalId,
    problem: Option<Problem>,
    reason: String,
) -> Result<Response, Failure> {
    let request = catalog.approval(&layout.actor, id).await?;
    let waiting = catalog.approvals(&layout.actor, &ApprovalFilter::default(), None, Limit(MOST)).await?.items;
    let hidden_differences = request.differences.len().saturating_sub(DIFFERENCES);
    let differences = request.differences.iter().take(DIFFERENCES).map(line).collect();
    let now = catalog.clock().now();
    let status = status_of(problem.as_ref());
    let layout = layout.at(Place::Approvals);
    let page = One { layout, request, waiting, differences, hidden_differences, now, problem, reason };
    answer_to_form(&page, status)
}

fn line(difference: &Difference) -> Line {
    let told = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => words::short(text, 2_000),
        other => words::short(&serde_json::to_string_pretty(other).unwrap_or_default(), 4_000),
    };
    Line { place: difference.place.clone(), before: told(&difference.before), after: told(&difference.after) }
}

/// `POST /approvals/{approval}`: comments, decides or withdraws, and shows the request as it is then.
pub(super) async fn submit(
    layout: Layout,
    Path(named): Path<Named>,
    State(catalog): State<Catalog>,
    State(public_url): State<PublicUrl>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Failure> {
    same_origin::require(&headers, &public_url)?;
    let id = id(&layout, &named)?;
    let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let field = |name: &str| form.get(name).cloned().unwrap_or_default();
    let reason = field("reason");
    let verdict = match field("do").as_str() {
        "approve" => Some(Verdict::Approve),
        "reject" => Some(Verdict::Reject),
        "ask" => Some(Verdict::AskForChanges),
        _ => None,
    };
    let outcome: Result<(), Problem> = match (verdict, field("do").as_str()) {
        (Some(verdict), _) => {
            let decision = Decision { verdict, digest: field("digest"), reason: reason.clone() };
            catalog.decide(&layout.actor, id, &decision).await.map_err(Problem::from)
        }
        (None, "comment") => {
            catalog.comment_on_approval(&layout.actor, id, &reason).await.map(|_| ()).map_err(Problem::from)
        }
        (None, "withdraw") => catalog.withdraw_approval(&layout.actor, id).await.map_err(Problem::from),
        _ => Err(Problem::invalid_field("body.do", "say what is to be done")),
    };
    match outcome {
        Ok(()) => Ok(to(&format!("/approvals/{id}"))),
        Err(problem) if matches!(problem.status.as_u16(), 401 | 404) || problem.status.is_server_error() => {
            Err(Failure(problem))
        }
        Err(problem) => shown(layout, &catalog, id, Some(problem), reason).await,
    }
}

/// `POST /workspaces/{workspace}/approval`: sets which approval the workspace asks for.
pub(super) async fn set(
    layout: Layout,
    Path(OfWorkspace { workspace }): Path<OfWorkspace>,
    State(catalog): State<Catalog>,
    State(public_url): State<PublicUrl>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Failure> {
    same_origin::require(&headers, &public_url)?;
    let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let days = |name: &str| -> Result<Option<i32>, Failure> {
        match form.get(name).map(|text| text.trim()).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => text
                .parse()
                .map(Some)
                .map_err(|_| Failure(Problem::invalid_field(format!("body.{name}"), "must be a number of days"))),
        }
    };
    let patch = ApprovalSettingsPatch {
        required: Some(form.contains_key("required")),
        self_approval: Some(form.contains_key("selfApproval")),
        valid_days: Some(days("validDays")?.unwrap_or(0)),
        grace_days: days("graceDays")?,
        hides_drifted: Some(form.contains_key("hidesDrifted")),
    };
    let revision = form.get("revision").and_then(|text| text.parse().ok());
    catalog.set_approval_settings(&layout.actor, &workspace, patch, revision).await?;
    Ok(to(&format!("/workspaces/{workspace}#approval")))
}

/// Whether the reader may set which approval is asked for.
pub(super) fn may_set(layout: &Layout, workspace: crate::base::WorkspaceId) -> bool {
    layout.actor.may(Permission::GovernWorkspace, Scope::Workspace(workspace))
}

fn id(layout: &Layout, named: &Named) -> Result<ApprovalId, Failure> {
    if layout.actor.is_anonymous() {
        let problem = Problem::unauthenticated("Requests are shown to those who know a workspace from within.");
        return Err(Failure(problem));
    }
    named.approval.parse().map_err(|_| Failure(Problem::not_found("There is no such request for approval here.")))
}
