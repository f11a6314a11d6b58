//! `Idempotency-Key`: a write that is sent twice, because the first answer was lost, is done once.
//!
//! The record of a key and its answer is written in a transaction that stays open while the request is worked on. A
//! process that dies takes the claim with it, so a resend is never told to wait for nobody.

use super::{
    body::read_body,
    caller::Caller,
    handles::Handles,
    respond::{Failure, render_problem},
    writes::writes,
};
use crate::base::Problem;
use axum::{
    body::Body,
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool};
use std::{sync::Arc, time::Duration};
use time::OffsetDateTime;

pub const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// How long an answer is kept for replay.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Headers of an answer that belong to it and not to one sending of it.
const KEPT_HEADERS: [HeaderName; 3] = [header::CONTENT_TYPE, header::LOCATION, header::ETAG];

/// The layer: passes on what carries no key, does the rest once.
pub async fn once(State(handles): State<Arc<Handles>>, request: Request, next: Next) -> Response {
    if !writes(request.method()) || !request.headers().contains_key(&HEADER) {
        return next.run(request).await;
    }
    match perform(&handles, request, next).await {
        Ok(response) => response,
        Err(Failure(problem)) => render_problem(&problem),
    }
}

async fn perform(handles: &Handles, request: Request, next: Next) -> Result<Response, Failure> {
    let (mut parts, body) = request.into_parts();
    let Caller(actor) = Caller::from_request_parts(&mut parts, handles).await?;
    if actor.is_anonymous() {
        // Nobody to keep the answer for; the door refuses or does it as it would without a key.
        return Ok(next.run(Request::from_parts(parts, body)).await);
    }
    let key = read_key(&parts.headers)?;
    let body = read_body(body).await?;
    let digest = digest(&parts, &body);
    let now = handles.clock.now();
    let actor = actor.stable_id();

    // Each holds a connection while the door takes another: a bound keeps the pool from filling with holders only.
    let _turn =
        handles.idempotent_writes.acquire().await.map_err(|_| Problem::unavailable("The service is stopping."))?;
    let mut tx = handles.db.write.begin().await?;
    if !claim(&mut tx, &actor, &key, &digest, now).await? {
        let kept = find(&mut tx, &actor, &key).await?;
        return Ok(kept.ok_or_else(in_progress)?.replay(&digest)?);
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    if !response.status().is_success() {
        // A refusal changed nothing, so a resend may as well be judged anew; dropping the transaction frees the key.
        return Ok(response);
    }
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(|_| Problem::internal())?.to_bytes();
    let headers: Map<String, Value> = KEPT_HEADERS
        .iter()
        .filter_map(|name| Some((name.to_string(), head.headers.get(name)?.to_str().ok()?.into())))
        .collect();
    let kept = keep(&mut tx, &actor, &key, head.status, &headers, &body).await;
    if let Err(error) = async {
        kept?;
        tx.commit().await
    }
    .await
    {
        // The deed is done and its answer is right; only its replay is lost.
        tracing::warn!(error = %error, "An answer could not be kept for its Idempotency-Key");
    }
    Ok(Response::from_parts(head, Body::from(body)))
}

fn read_key(headers: &http::HeaderMap) -> Result<String, Problem> {
    let mut values = headers.get_all(&HEADER).iter();
    let key = values.next().and_then(|value| value.to_str().ok()).map(str::trim).unwrap_or_default();
    let legal = (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()) && values.next().is_none();
    if legal {
        return Ok(key.to_owned());
    }
    let wrong = "give one key of 1 to 255 visible ASCII characters, new for each deed, such as a UUID";
    Err(Problem { status: StatusCode::BAD_REQUEST, ..Problem::invalid_field("header.Idempotency-Key", wrong) })
}

fn digest(parts: &http::request::Parts, body: &[u8]) -> [u8; 32] {
    let mut digest = Sha256::new();
    let kind = parts.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let condition = parts.headers.get(header::IF_MATCH).map_or(&b""[..], HeaderValue::as_bytes);
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).as_bytes();
    for part in [parts.method.as_str().as_bytes(), target, kind, condition, body] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

fn in_progress() -> Problem {
    Problem::conflict("in-progress", "A request with this Idempotency-Key is being worked on.")
        .with_help("Wait a moment and send it again; the same key gets the same answer.")
        .with_retry_after(Duration::from_secs(1))
}

/// Whether the key was free and is now ours. Waits for another transaction that holds it.
async fn claim(
    conn: &mut PgConnection,
    actor: &str,
    key: &str,
    digest: &[u8],
    now: OffsetDateTime,
) -> Result<bool, Problem> {
    let claimed = sqlx::query(
        "insert into idempotency (actor, key, request_digest, created_at)
         values ($1, $2, $3, $4)
         on conflict (actor, key) do nothing",
    )
    .bind(actor)
    .bind(key)
    .bind(digest)
    .bind(now)
    .execute(conn)
    .await;
    match claimed {
        Ok(done) => Ok(done.rows_affected() == 1),
        // 55P03: the holder took longer than we wait for a lock.
        Err(error) if error.as_database_error().and_then(|e| e.code()).is_some_and(|code| code == "55P03") => {
            Err(in_progress())
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(sqlx::FromRow)]
struct Kept {
    request_digest: Vec<u8>,
    status: i32,
    headers: Value,
    body: Vec<u8>,
}

impl Kept {
    fn replay(self, digest: &[u8]) -> Result<Response, Problem> {
        if self.request_digest != digest {
            return Err(Problem::invalid("This Idempotency-Key was used for another request.")
                .with_kind("idempotency-key-reused")
                .with_help("Use a new key for a new deed."));
        }
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = u16::try_from(self.status)
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok())
            .ok_or_else(Problem::internal)?;
        for (name, value) in self.headers.as_object().into_iter().flatten() {
            if let (Ok(name), Some(Ok(value))) =
                (HeaderName::try_from(name.as_str()), value.as_str().map(HeaderValue::from_str))
            {
                response.headers_mut().insert(name, value);
            }
        }
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        Ok(response)
    }
}

async fn find(conn: &mut PgConnection, actor: &str, key: &str) -> Result<Option<Kept>, sqlx::Error> {
    sqlx::query_as(
        "select request_digest, status, headers, body
         from idempotency
         where actor = $1 and key = $2 and status is not null",
    )
    .bind(actor)
    .bind(key)
    .fetch_optional(conn)
    .await
}

async fn keep(
    conn: &mut PgConnection,
    actor: &str,
    key: &str,
    status: StatusCode,
    headers: &Map<String, Value>,
    body: &[u8],
) -> Result<(), sqlx::Error> {
    sqlx::query("update idempotency set status = $3, headers = $4, body = $5 where actor = $1 and key = $2")
        .bind(actor)
        .bind(key)
        .bind(i32::from(status.as_u16()))
        .bind(Value::Object(headers.clone()))
        .bind(body)
        .execute(conn)
        .await?;
    Ok(())
}

/// Forgets the answers older than a day; gives how many.
///
/// # Errors
/// The database's.
pub async fn forget_old(db: &PgPool, now: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let done = sqlx::query("delete from idempotency where created_at < $1").bind(now - KEPT).execute(db).await?;
    Ok(done.rows_affected())
}
