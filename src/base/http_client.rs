//! The outgoing client: fetches what users point at, and lets none of them reach into private networks.
//!
//! A name is resolved once, every address of it is judged, and the connection goes to an address that was judged: a name
//! that answers otherwise the second time changes nothing. Redirects are followed by hand, each judged like the first.

use crate::base::{Egress, NotPublic, Problem, Unreachable, config::Fetch};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use std::{sync::Arc, time::Duration};
use url::Url;

/// Redirects that are followed.
const REDIRECTS: usize = 3;

/// Fetches documents; cheap to clone.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Result<reqwest::Client, Arc<str>>,
    egress: Egress,
    max_size: u64,
    timeout: Duration,
}

/// A document that was fetched.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub bytes: Bytes,
    /// As the server said, without checking.
    pub content_type: Option<String>,
    /// Where it came from in the end.
    pub url: Url,
}

/// An answer to what was posted.
#[derive(Clone, Debug)]
pub struct Posted {
    pub status: http::StatusCode,
    pub headers: http::HeaderMap,
    pub bytes: Bytes,
}

/// Why there is no document, and which status was answered where one was.
struct Failure {
    problem: Problem,
    status: Option<u16>,
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self { problem, status: None }
    }
}

impl HttpClient {
    /// Where the system has no list of authorities to trust there is no client: each fetch then says so.
    #[must_use]
    pub fn new(settings: &Fetch) -> Self {
        Self::made(settings, Egress::to_networks(&settings.fetch_allowed_networks))
    }

    /// A client that may also reach the host of `named`, wherever it lies, because the operator named it in a setting: an
    /// identity provider inside the house. Every other address is judged as always.
    #[must_use]
    pub fn for_named(settings: &Fetch, named: &Url) -> Self {
        let host = named.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let networks = settings.fetch_allowed_networks.iter().map(ToString::to_string);
        Self::made(settings, Egress::to_hosts(&networks.chain([host]).collect::<Vec<_>>()))
    }

    fn made(settings: &Fetch, egress: Egress) -> Self {
        let client = egress
            .client()
            .connect_timeout(Duration::from_secs(5))
            .timeout(settings.fetch_timeout)
            .user_agent(concat!("wharfinger/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| {
                tracing::warn!(error = %error, "There is no outgoing client: documents cannot be fetched by URL");
                error.to_string().into()
            });
        Self { client, egress, max_size: settings.fetch_max_size.0, timeout: settings.fetch_timeout }
    }

    /// The document at `url`, followed over at most three redirects.
    ///
    /// # Errors
    /// 422 for an address that may not be fetched; 502 when the other side does not give the document, 504 when it takes
    /// too long. The text names what happened and no address that was found out.
    pub async fn fetch(&self, url: &str) -> Result<Fetched, Problem> {
        self.in_time(url, REDIRECTS).await.map_err(|failure| failure.problem)
    }

    /// As [`HttpClient::fetch`]; nothing where the other side says that it has nothing there, or does not understand the
    /// request (400, 404, 405, 410, 422), so that it can be asked in other words.
    ///
    /// # Errors
    /// As [`HttpClient::fetch`], but for these statuses.
    pub async fn fetch_if_there(&self, url: &str) -> Result<Option<Fetched>, Problem> {
        match self.in_time(url, REDIRECTS).await {
            Ok(fetched) => Ok(Some(fetched)),
            Err(Failure { status: Some(400 | 404 | 405 | 410 | 422), .. }) => Ok(None),
            Err(failure) => Err(failure.problem),
        }
    }

    /// The document at `url` itself: where it is proof of something, nobody else may give it.
    ///
    /// # Errors
    /// As [`HttpClient::fetch`]; 502 for a redirect.
    pub async fn fetch_there(&self, url: &str) -> Result<Fetched, Problem> {
        self.in_time(url, 0).await.map_err(|failure| failure.problem)
    }

    async fn in_time(&self, url: &str, redirects: usize) -> Result<Fetched, Failure> {
        match tokio::time::timeout(self.timeout, self.follow(url, redirects)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(failed(504, format!("{url} did not answer within {} s.", self.timeout.as_secs_f32())).into()),
        }
    }

    /// Whether `url`, which stands at `location` of an input, may be reached by us: by itself, and by every address its name
    /// has now. A name that is not found now is judged again when it is called.
    ///
    /// # Errors
    /// 422 that names the place.
    pub async fn check(&self, url: &str, location: &str) -> Result<(), Problem> {
        let at = |problem: Problem| {
            let message = problem.detail.trim_end_matches('.').to_owned();
            Problem { help: problem.help, ..Problem::invalid_field(location, message) }
        };
        let read = Url::parse(url).map_err(|error| at(refused(url, &format!("is no URL ({error})"))))?;
        self.judge(&read).map_err(at)?;
        // RFC 6761, 6.3: these names are this host's, whatever a resolver says.
        let host = read.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        let is_local = host == "localhost" || host.ends_with(".localhost");
        if is_local && !self.egress.reaches(std::net::Ipv4Addr::LOCALHOST.into()) {
            return Err(at(private(&read)));
        }
        if let (Some(host), Some(port)) = (read.host_str(), read.port_or_known_default())
            && let Err(error) = self.egress.resolve(host.trim_matches(['[', ']']), port).await
            && error.is::<NotPublic>()
        {
            return Err(at(private(&read)));
        }
        Ok(())
    }

    /// Posts `body` and gives the status that was answered. Redirects are not followed: 3xx is an answer like any other.
    ///
    /// # Errors
    /// 422 for an address that may not be reached; 502 and 504 when there is no answer.
    pub async fn post(
        &self,
        url: &str,
        media_type: &str,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<u16, Problem> {
        let url = Url::parse(url).map_err(|error| refused(url, &format!("is no URL ({error})")))?;
        self.judge(&url)?;
        let client = self.client.as_ref().map_err(|reason| failed(502, format!("Nothing can be sent: {reason}.")))?;
        let mut request = client.post(url.clone()).header(http::header::CONTENT_TYPE, media_type).body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let response = request.send().await.map_err(|error| self.failure(&url, &error))?;
        Ok(response.status().as_u16())
    }

    /// One request and its whole answer, whatever its status; a redirect is an answer too and is not followed.
    ///
    /// # Errors
    /// As [`HttpClient::fetch`], but for statuses.
    pub async fn exchange(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<Bytes>, Problem> {
        let (head, body) = request.into_parts();
        let address = head.uri.to_string();
        let exchange = async {
            let url = Url::parse(&address).map_err(|error| refused(&address, &format!("is no URL ({error})")))?;
            self.judge(&url)?;
            let request = self.client()?.request(head.method, url.clone()).headers(head.headers).body(body);
            let answer = request.send().await.map_err(|error| self.failure(&url, &error))?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let mut response = http::Response::new(self.read(url, answer).await?.bytes);
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            Ok(response)
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(failed(504, format!("{address} did not answer within {} s.", self.timeout.as_secs_f32()))),
        }
    }

    fn client(&self) -> Result<&reqwest::Client, Problem> {
        self.client.as_ref().map_err(|reason| failed(502, format!("Nothing can be fetched here: {reason}.")))
    }

    /// The answer to a body of JSON posted to `url`, whatever its status; no redirect is followed. Of a stream of events the
    /// first ones are read, until one `is_enough`.
    ///
    /// # Errors
    /// As [`HttpClient::fetch`].
    pub async fn ask(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
        is_enough: fn(&[u8]) -> bool,
    ) -> Result<Posted, Problem> {
        let posted = async {
            let url = Url::parse(url).map_err(|error| refused(url, &format!("is no URL ({error})")))?;
            self.judge(&url)?;
            let client = self.client()?;
            let mut request =
                client.post(url.clone()).header(http::header::CONTENT_TYPE, "application/json").body(body);
            for (name, value) in headers {
                request = request.header(*name, value);
            }
            let response = request.send().await.map_err(|error| self.failure(&url, &error))?;
            let (status, headers) = (response.status(), response.headers().clone());
            let mut bytes = BytesMut::new();
            let mut pieces = response.bytes_stream();
            while let Some(piece) = pieces.next().await {
                let piece = piece.map_err(|error| self.failure(&url, &error))?;
                if (bytes.len() + piece.len()) as u64 > self.max_size {
                    return Err(failed(502, format!("{url} answered more than {} bytes.", self.max_size)));
                }
                bytes.extend_from_slice(&piece);
                if is_enough(&bytes) {
                    break;
                }
            }
            Ok(Posted { status, headers, bytes: bytes.freeze() })
        };
        match tokio::time::timeout(self.timeout, posted).await {
            Ok(outcome) => outcome,
            Err(_) => Err(failed(504, format!("{url} did not answer within {} s.", self.timeout.as_secs_f32()))),
        }
    }

    async fn follow(&self, url: &str, redirects: usize) -> Result<Fetched, Failure> {
        let mut url = Url::parse(url).map_err(|error| refused(url, &format!("is no URL ({error})")))?;
        for _ in 0..=redirects {
            self.judge(&url)?;
            let response = self.client()?.get(url.clone()).send().await.map_err(|error| self.failure(&url, &error))?;
            if response.status().is_redirection() {
                let target = response.headers().get(http::header::LOCATION).and_then(|value| value.to_str().ok());
                url = target
                    .and_then(|target| url.join(target).ok())
                    .ok_or_else(|| failed(502, format!("{url} redirects to nowhere.")))?;
                continue;
            }
            if !response.status().is_success() {
                let problem = failed(502, format!("{url} answered {}.", response.status()));
                return Err(Failure { problem, status: Some(response.status().as_u16()) });
            }
            return Ok(self.read(url, response).await?);
        }
        Err(failed(502, format!("{url} was reached by more than {redirects} redirects.")).into())
    }

    async fn read(&self, url: Url, response: reqwest::Response) -> Result<Fetched, Problem> {
        let too_long =
            || failed(502, format!("{url} is longer than {} bytes, the most that is fetched.", self.max_size));
        if response.content_length().is_some_and(|length| length > self.max_size) {
            return Err(too_long());
        }
        let content_type = response.headers().get(http::header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut bytes = BytesMut::new();
        let mut pieces = response.bytes_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| self.failure(&url, &error))?;
            // What is counted is unpacked: a small packed answer can unfold to anything.
            if (bytes.len() + piece.len()) as u64 > self.max_size {
                return Err(too_long());
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Fetched { bytes: bytes.freeze(), content_type, url })
    }

    /// What a URL itself shows; names are judged when they are resolved.
    fn judge(&self, url: &Url) -> Result<(), Problem> {
        self.egress.judge(url).map_err(|reason| match reason {
            Unreachable::Private => private(url),
            reason => refused(url, &reason.to_string()),
        })
    }

    fn failure(&self, url: &Url, error: &reqwest::Error) -> Problem {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if error.is::<NotPublic>() {
                return private(url);
            }
            cause = error.source();
        }
        tracing::debug!(error = %error, "A fetch failed");
        if error.is_timeout() {
            return failed(504, format!("{url} did not answer in time."));
        }
        failed(
            502,
            format!("{url} could not be read: {}.", if error.is_connect() { "no connection" } else { "it broke off" }),
        )
    }
}

fn refused(url: impl std::fmt::Display, reason: &str) -> Problem {
    Problem::invalid(format!("{url} is not fetched: it {reason}.")).with_kind("url-refused")
}

fn private(url: &Url) -> Problem {
    refused(url, "does not lie on the public internet").with_help(
        "Send the document itself, or let the operator allow its network (WHARFINGER_FETCH_ALLOWED_NETWORKS).",
    )
}

fn failed(status: u16, detail: String) -> Problem {
    let status = http::StatusCode::from_u16(status).expect("502 and 504 are statuses");
    Problem::new(status, "fetch-failed", "Fetch failed", detail)
        .with_help("Send the document itself instead of its URL, or try again later.")
}

/// Makes ring the one provider of cryptography for TLS; a second call changes nothing.
pub fn use_tls() {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::trace!("The provider of cryptography was chosen before");
    }
}
