//! Problems in the dialect of whoever asked.

use crate::base::Problem;
use crate::gateway::traffic::ReplyBody;
use crate::wire::{anthropic, openai};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::Value;

/// How errors are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    OpenAi,
    Anthropic,
    /// RFC 9457.
    Problem,
}

impl Voice {
    /// Of whoever asks for this path, also where it leads nowhere.
    pub(super) fn of(path: &str) -> Self {
        match path.strip_prefix("/llm/") {
            Some(rest) if rest.starts_with("anthropic/") => Self::Anthropic,
            Some(_) => Self::OpenAi,
            None => Self::Problem,
        }
    }

    /// The answer; `headers` are what policies want said with it.
    pub(super) fn render(self, problem: &Problem, headers: HeaderMap, id: &str) -> Response<ReplyBody> {
        let (body, kind) = match self {
            Self::OpenAi => (openai::error(problem, id), "application/json"),
            Self::Anthropic => (anthropic::error(problem, id), "application/json"),
            Self::Problem => {
                let mut body = problem.body();
                body.insert("requestId".into(), id.into());
                (Value::Object(body), "application/problem+json")
            }
        };
        let mut response = Response::new(ReplyBody::whole(body.to_string().into()));
        *response.status_mut() = problem.status;
        *response.headers_mut() = headers;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Some(wait) = problem.retry_after {
            // Seconds are whole: rounded up, so that nobody comes too early. Milliseconds for those who read them.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            headers.insert(HeaderName::from_static("retry-after-ms"), HeaderValue::from(millis));
        }
        if problem.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(problem.challenge()));
        }
        if matches!(problem.status, StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE) {
            // What is left of the body is not waited for.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
