//! Who is called by webhooks.

use axum::{Router, extract::Request, response::Response};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU16, Ordering},
};

/// A receiver on loopback: keeps what it gets and answers as it is told.
pub struct Receiver {
    pub url: String,
    got: Arc<Mutex<Vec<Got>>>,
    pub answer: Arc<AtomicU16>,
}

#[derive(Clone, Debug)]
pub struct Got {
    pub headers: http::HeaderMap,
    pub body: String,
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// What an independent implementation says of the signature.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let told = json!({
            "secret": secret, "id": self.header("webhook-id"), "timestamp": self.header("webhook-timestamp"),
            "signature": self.header("webhook-signature"), "body": self.body,
        });
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/verify_webhook.py");
        let mut python =
            Command::new("python3").arg(script).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        serde_json::to_writer(python.stdin.take().unwrap(), &told).unwrap();
        python.wait().unwrap().success()
    }
}

impl Receiver {
    pub async fn start() -> Self {
        let (got, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU16::new(204)));
        let (kept, status) = (got.clone(), answer.clone());
        let router = Router::new().fallback(move |request: Request| {
            let (kept, status) = (kept.clone(), status.clone());
            async move {
                let headers = request.headers().clone();
                let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
                kept.lock().unwrap().push(Got { headers, body: String::from_utf8(body.to_vec()).unwrap() });
                Response::builder()
                    .status(status.load(Ordering::SeqCst))
                    .header("location", "http://127.0.0.1:1/elsewhere")
                    .body(axum::body::Body::empty())
                    .unwrap()
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, got, answer }
    }

    /// What came since the last look.
    pub fn take(&self) -> Vec<Got> {
        std::mem::take(&mut *self.got.lock().unwrap())
    }
}
