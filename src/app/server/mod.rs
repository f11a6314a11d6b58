//! The accept loop. `axum::serve` sets no timer, so a client could hold a connection for ever with half a head; here
//! every wait has an end, every count a bound, and stopping lets what was begun be finished.

mod caps;
mod conversation;
mod counted;
mod framing;
mod guarded;
mod hush;
mod lanes;

use crate::{
    base::{Config, Problem},
    door::{Front, Liveness},
    gateway::{self, Traffic},
};
use axum::{Router, body::Body, extract::ConnectInfo};
pub use lanes::Lanes;

use caps::{Caps, Full, Place};
use conversation::{Http, Rules};
use counted::{Answer, Counted};
use futures::{StreamExt, future::Either, stream::FuturesUnordered};
use guarded::{Guarded, InFlight, OnItsWay};
use http::{HeaderValue, Request, header};
use hush::{Hushed, asked_with, hushable};
use hyper::{body::Incoming, service::service_fn};
use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// When to stop: `gently` lets what was begun be finished, `now` does not.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    pub gently: CancellationToken,
    pub now: CancellationToken,
}

/// What is served: the gateway's traffic, which passes no layer but its own, and everything else.
#[derive(Clone)]
pub struct Doors {
    pub traffic: Option<Traffic>,
    pub router: Front,
}

impl From<Router> for Doors {
    fn from(router: Router) -> Self {
        Self { traffic: None, router: router.into() }
    }
}

/// What the connections of a process share.
struct Server {
    doors: Doors,
    rules: Rules,
    config: Arc<Config>,
    caps: Caps,
    lanes: Arc<Lanes>,
    /// Set when those who connect had better go elsewhere: each answer is then the last of its connection.
    leaving: AtomicBool,
    /// Cancelled when connections must finish what they have and take nothing new.
    drain: CancellationToken,
    /// Cancelled when they must end at once.
    cut: CancellationToken,
}

/// Serves until told to stop, and returns when the last connection is closed.
///
/// Stopping takes four steps: for the drain delay `/readyz` answers 503 and each answer ends its connection, so that a
/// balancer that keeps connections is left with none; the listener closes; connections finish the requests they have, and
/// close when they have rested for the drain delay; after the drain timeout the rest is cut.
pub async fn serve(
    listener: TcpListener,
    doors: impl Into<Doors>,
    config: Arc<Config>,
    liveness: &Liveness,
    stop: &Stop,
    lanes: Arc<Lanes>,
) {
    let server = Arc::new(Server {
        doors: doors.into(),
        rules: Rules::new(&config),
        caps: Caps::new(&config),
        lanes,
        leaving: AtomicBool::new(false),
        drain: CancellationToken::new(),
        cut: CancellationToken::new(),
        config: config.clone(),
    });
    let connections = TaskTracker::new();
    {
        let accepting = accept(&listener, &server, &connections);
        tokio::pin!(accepting);
        tokio::select! {
            () = &mut accepting => {}
            () = stop.now.cancelled() => {}
            () = stop.gently.cancelled() => {
                liveness.begin_stopping();
                server.leaving.store(true, Ordering::Relaxed);
                tokio::select! {
                    () = &mut accepting => {}
                    () = stop.now.cancelled() => {}
                    () = tokio::time::sleep(config.limits.drain_delay) => {}
                }
            }
        }
    }
    liveness.begin_stopping();
    server.leaving.store(true, Ordering::Relaxed);
    take_the_last(listener, &server, &connections);
    server.drain.cancel();
    connections.close();
    tokio::select! {
        () = connections.wait() => return,
        () = stop.now.cancelled() => {}
        () = tokio::time::sleep(config.limits.drain_timeout) => {
            tracing::warn!(connections = connections.len(), "Requests under way were cut off: the drain timeout has passed");
        }
    }
    server.cut.cancel();
    connections.wait().await;
}

/// Takes connections; never returns.
async fn accept(listener: &TcpListener, server: &Arc<Server>, connections: &TaskTracker) {
    let mut pause = Duration::from_millis(10);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                pause = Duration::from_millis(10);
                take(server, connections, stream, peer);
            }
            Err(error) if belongs_to_one_connection(&error) => {}
            Err(error) => {
                // Out of file descriptors or memory: the listener stays readable, so without a pause this would spin.
                tracing::warn!(error = %error, "No connection could be taken");
                metrics::counter!("wharfinger_accept_errors_total").increment(1);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        }
    }
}

/// Takes those who are connected and wait, whom the closing of the listener would reset. The system is asked itself: the
/// runtime knows of a connection only after its next look, and until then says that there is none.
fn take_the_last(listener: TcpListener, server: &Arc<Server>, connections: &TaskTracker) {
    let listener = match listener.into_std() {
        Ok(listener) => listener,
        Err(error) => return tracing::warn!(error = %error, "Those who were just connecting are reset"),
    };
    loop {
        match listener.accept() {
            Ok((stream, peer)) => match stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
                Ok(stream) => take(server, connections, stream, peer),
                Err(error) => tracing::debug!(error = %error, "A connection was gone at once"),
            },
            Err(error) if belongs_to_one_connection(&error) => {}
            // Nobody waits any more.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => return tracing::warn!(error = %error, "Those who were just connecting are reset"),
        }
    }
}

fn take(server: &Arc<Server>, connections: &TaskTracker, stream: TcpStream, peer: SocketAddr) {
    match server.caps.enter(peer.ip()) {
        Ok(place) => drop(connections.spawn(received(server.clone(), connections.clone(), stream, peer, place))),
        Err(full) => refuse(stream, full),
    }
}

fn belongs_to_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused)
}

/// Answers 503 without a task of its own: the house is full. To an address with too many connections says nothing.
fn refuse(stream: TcpStream, full: Full) {
    metrics::counter!("wharfinger_connections_refused_total").increment(1);
    if full == Full::Address {
        return;
    }
    let id = uuid::Uuid::now_v7();
    let problem = Problem::unavailable("All connections are in use.").with_kind("too-many-connections");
    let problem = problem.with("requestId", id.to_string());
    let body = serde_json::Value::Object(problem.body()).to_string();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 2\r\n\
         x-request-id: {id}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    if let Err(error) = stream.try_write(answer.as_bytes()) {
        tracing::debug!(error = %error, "A refused connection was gone already");
    }
}

/// A connection that has said its first word.
struct Arrival {
    http: Http,
    stream: OnItsWay,
    in_flight: InFlight,
    peer: SocketAddr,
    place: Place,
}

/// Hears the first word of a connection where it came in, and sends it to a lane. Who asks how the program is goes to none:
/// where lanes have more to do than they can, thousands stand in line, and a program that is busy would be taken for one that
/// hangs.
async fn received(server: Arc<Server>, connections: TaskTracker, stream: TcpStream, peer: SocketAddr, place: Place) {
    let in_flight = InFlight::default();
    let mut stream = Guarded::new(stream, &server.config.limits, in_flight.clone());
    let Some(http) = first_word(&server, &mut stream).await else { return };
    let lane = if stream.asks_how_it_is() { server.lanes.common() } else { server.lanes.next() };
    match stream.leave() {
        Ok(stream) => {
            let arrival = Box::new(Arrival { http, stream, in_flight, peer, place });
            connections.spawn_on(connection(server.clone(), arrival), lane);
        }
        Err(error) => tracing::debug!(error = %error, "A connection was gone at once"),
    }
}

/// What a connection speaks; none when it ends before it says anything.
async fn first_word(server: &Server, stream: &mut Guarded) -> Option<Http> {
    let draining = async {
        server.drain.cancelled().await;
        tokio::time::sleep(server.config.limits.drain_delay).await;
    };
    let http = tokio::select! {
        biased;
        http = stream.speaks() => http,
        () = server.cut.cancelled() => return None,
        () = draining => return None,
    };
    http.inspect_err(|error| tracing::debug!(error = %error, "A connection ended before its first request")).ok()
}

async fn connection(server: Arc<Server>, arrival: Box<Arrival>) {
    let waker = hushable().await;
    let Arrival { http, stream, in_flight, peer, place } = *arrival;
    let stream = match stream() {
        Ok(stream) => stream,
        Err(error) => return tracing::debug!(error = %error, "A connection was gone at once"),
    };
    let requests = in_flight.clone();
    // Counted apart, as what each request clones.
    let (serving, traffic) = (Arc::new(server.clone()), server.doors.traffic.as_ref().map(Traffic::apart));
    let service = service_fn(move |mut request: Request<Incoming>| {
        let guard = requests.begin();
        let server = serving.clone();
        let answer = match &traffic {
            Some(traffic) if gateway::door::is_ours(request.uri().path()) => {
                let traffic = traffic.clone();
                let request = request.map(|body| Hushed::new(body, http == Http::One));
                // Boxed, both: a connection keeps the room of the larger one as long as it is open.
                Either::Left(Box::pin(async move {
                    gateway::door::serve(&traffic, request, peer).await.map(Answer::Traffic)
                }))
            }
            _ => {
                request.extensions_mut().insert(ConnectInfo(peer));
                let request = request.map(Body::new);
                let answer = match server.doors.router.ready(&request) {
                    Some(response) => Either::Left(response),
                    None => Either::Right(server.lanes.beside(server.doors.router.route(request))),
                };
                Either::Right(Box::pin(async move {
                    let response = match answer {
                        Either::Left(response) => response,
                        Either::Right(routed) => match routed.await {
                            Ok(Ok(response)) => response,
                            // Only at the end of the process: what panics is answered behind the router.
                            Err(_) => std::future::pending().await,
                        },
                    };
                    response.map(Answer::Routed)
                }))
            }
        };
        async move {
            let mut answer = answer.await.map(|body| Counted::new(body, guard));
            // HTTP/2 has GOAWAY for it, which comes with the drain.
            if http == Http::One && server.leaving.load(Ordering::Relaxed) {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let mut conversation = server.rules.converse(http, stream, service);

    let draining = async {
        server.drain.cancelled().await;
        let delay = server.config.limits.drain_delay;
        // A balancer may send a next request at the moment in which we close, and cannot know whether it was begun. It is
        // answered, as the last one of its connection; what rests for a while is closed.
        if http == Http::One && !delay.is_zero() {
            Box::pin(idle_for(&in_flight, delay)).await;
        }
    };
    let keep_alive = server.config.limits.keep_alive_timeout;
    let resting = async {
        match http {
            // hyper's own timer runs.
            Http::One => std::future::pending().await,
            // hyper keeps it open without a request as long as pings are answered.
            Http::Two => Box::pin(idle_for(&in_flight, keep_alive)).await,
        }
    };
    let end = async {
        tokio::select! {
            () = server.cut.cancelled() => End::AtOnce,
            () = draining => End::Gently,
            () = resting => End::Gently,
        }
    };
    tokio::pin!(end);
    // In a set of one, which asks only what woke: a connection is looked at several times for each request, and to ask for
    // ends costs as much as some policies do.
    let mut end = FuturesUnordered::from_iter([end]);
    let outcome = tokio::select! {
        biased;
        outcome = asked_with(&mut conversation, &waker) => Some(outcome),
        Some(how) = end.next() => match how {
            End::AtOnce => None,
            End::Gently => {
                conversation.finish();
                let finishing = async {
                    tokio::select! {
                        outcome = asked_with(&mut conversation, &waker) => Some(outcome),
                        () = server.cut.cancelled() => None,
                        // An end that was asked for once and did not come is not waited for again.
                        () = idle_for(&in_flight, keep_alive) => None,
                    }
                };
                Box::pin(finishing).await
            }
        },
    };
    if let Some(Err(error)) = outcome {
        tracing::debug!(error = %error, peer = %peer.ip(), "A connection ended early");
    }
    drop(place);
}

/// How a connection that does not end by itself is ended.
enum End {
    /// With what it has under way.
    Gently,
    AtOnce,
}

/// Returns when the connection had nothing to do for the whole of `span`.
async fn idle_for(in_flight: &InFlight, span: Duration) {
    loop {
        let begun = in_flight.begun();
        tokio::time::sleep(span).await;
        if in_flight.is_idle() && in_flight.begun() == begun {
            return;
        }
    }
}
