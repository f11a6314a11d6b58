//! `Mood`: how the vendor behaves, and the answers of those faults that need no request to be understood.

use super::json_answer;
use super::shape::Shape;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serde_json::json;
use std::time::{Duration, SystemTime};

const REFUSED: &str = r#"{"error":{"message":"the vendor's own words","type":"x"}}"#;

/// How it behaves: a fault, its number, and whether it keeps usage to itself.
pub(super) struct Mood {
    pub fault: String,
    pub number: u64,
    pub silent: bool,
}

impl Mood {
    pub fn of(text: &str) -> Self {
        let silent = text.starts_with("silent");
        let text = text.strip_prefix("silent+").unwrap_or(text);
        let numbered = text.rsplit_once('-').and_then(|(fault, number)| Some((fault, number.parse().ok()?)));
        let (fault, number) = numbered.unwrap_or((text, 0));
        Self { fault: fault.to_owned(), number, silent }
    }

    /// The whole answer where the mood alone decides it; none where the request is answered after all.
    pub async fn answer(&self, shape: Shape, headers: &HeaderMap) -> Option<Response> {
        let number = self.number;
        let status = || u16::try_from(number).unwrap();
        Some(match self.fault.as_str() {
            "hang" => std::future::pending().await,
            "slow" => {
                tokio::time::sleep(Duration::from_millis(number)).await;
                return None;
            }
            "status" => json_answer(status(), REFUSED),
            wait @ ("wait-s" | "wait-date" | "wait-ms" | "wait-bad" | "wait-reset") => {
                let mut response = json_answer(429, REFUSED);
                let date = || httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(number));
                let (name, value) = match wait {
                    "wait-s" => ("retry-after", number.to_string()),
                    "wait-date" => ("retry-after", date()),
                    "wait-ms" => ("retry-after-ms", number.to_string()),
                    "wait-reset" => ("x-ratelimit-reset-tokens", format!("{number}ms")),
                    _ => ("retry-after", "soon".to_owned()),
                };
                response.headers_mut().insert(name, value.parse().unwrap());
                response
            }
            // As some vendors do, it repeats the credential that it refuses.
            "echo" if shape == Shape::Other => {
                let said = format!("{headers:?}").replace("Sensitive", "");
                let first = headers.get("authorization").cloned().unwrap_or(HeaderValue::from_static("none"));
                Response::builder().header("x-you-sent", first).body(Body::from(said)).unwrap()
            }
            "echo" => {
                let said = ["authorization", "api-key", "x-api-key"].map(|name| headers.get(name));
                let said: Vec<_> = said.into_iter().flatten().filter_map(|value| value.to_str().ok()).collect();
                let words = format!("Incorrect API key provided: {}.", said.join(" "));
                json_answer(status(), &json!({"error": {"message": words, "type": "x"}}).to_string())
            }
            "json" => json_answer(200, "{\"choices\": [nonsense"),
            "html" => Response::builder().header("content-type", "text/html").body(Body::from("<h1>hi</h1>")).unwrap(),
            "length" => {
                let piece = Ok::<_, std::io::Error>(Bytes::from_static(b"{\"a\":"));
                Response::builder()
                    .header("content-length", "500")
                    .header("content-type", "application/json")
                    .body(Body::from_stream(futures::stream::iter([piece])))
                    .unwrap()
            }
            "gzip" => Response::builder()
                .header("content-encoding", "gzip")
                .header("content-type", "application/json")
                .body(Body::from(vec![0_u8; 1 << 20]))
                .unwrap(),
            _ => return None,
        })
    }
}
