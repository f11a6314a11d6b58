//! Connections: every wait ends, every count has a bound, and stopping finishes what was begun.

use axum::{Router, body::Body, routing::get};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use wharfinger::{
    app::server::{Lanes, Stop, serve},
    base::Config,
    door::Liveness,
};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// The accept loop before a few plain handlers.
struct Server {
    address: SocketAddr,
    stop: Stop,
    liveness: Liveness,
    running: JoinHandle<()>,
}

impl Server {
    async fn start(settings: &str) -> Self {
        Self::with(Router::new(), settings).await
    }

    /// With these handlers, too.
    async fn with(more: Router, settings: &str) -> Self {
        let short = "first_byte_timeout = '400ms'\nheader_timeout = '400ms'\nkeep_alive_timeout = '800ms'\n";
        let config = Arc::new(Config::from_sources(Some(&format!("{short}{settings}")), []).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = more
            .route("/", get(|| async { "ok" }).post(|body: String| async move { body }))
            .route(
                "/slow",
                get(|| async {
                    tokio::time::sleep(Duration::from_millis(700)).await;
                    "slow"
                }),
            )
            .route(
                "/stream",
                get(|| async {
                    Body::from_stream(async_stream::stream! {
                        for _ in 0..10 {
                            yield Ok::<_, std::io::Error>("piece ");
                            tokio::time::sleep(Duration::from_millis(100)).await;
                        }
                    })
                }),
            )
            .route(
                "/endless",
                get(|| async {
                    Body::from_stream(futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 1 << 16])))
                }),
            );
        let (stop, liveness) = (Stop::default(), Liveness::default());
        let (ends, lives) = (stop.clone(), liveness.clone());
        let lanes = Arc::new(Lanes::start().unwrap());
        let running = tokio::spawn(async move { serve(listener, router, config, &lives, &ends, lanes).await });
        Self { address, stop, liveness, running }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends and reads to the end of the connection.
    async fn say(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        read_to_end(&mut stream).await
    }

    async fn is_well(&self) -> bool {
        self.say(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.ends_with("ok")
    }
}

/// What still comes until the other side closes; an abrupt close ends it like an orderly one.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut text)).await.expect("closed in time").ok();
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn three_hundred_half_sent_heads_are_closed_in_time_and_hinder_nobody() {
    let server = Server::start("").await;
    let begun = Instant::now();
    let mut held = Vec::new();
    for number in 0..300 {
        let mut stream = server.connect().await;
        // Some say nothing, some stop after a byte, some in the middle.
        let part = [&b""[..], b"G", b"GET / HTTP/1.1\r\nHost: a\r\nX-"][number % 3];
        stream.write_all(part).await.unwrap();
        held.push(stream);
    }

    assert!(server.is_well().await);
    let closed = held.iter_mut().map(read_to_end);
    futures::future::join_all(closed).await;

    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_head_that_drips_is_closed_although_it_moves() {
    let server = Server::start("").await;
    let stream = server.connect().await;
    let (mut reader, mut writer) = stream.into_split();
    let dripping = tokio::spawn(async move {
        for byte in GET.iter().cycle() {
            if writer.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });

    let mut text = String::new();
    let begun = Instant::now();
    reader.read_to_string(&mut text).await.ok();
    dripping.abort();

    assert!(text.is_empty() && begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn an_http2_preface_that_stops_half_way_is_closed() {
    let server = Server::start("").await;
    let begun = Instant::now();

    server.say(b"PRI * HTTP/2.0\r\n\r\n").await;
    server.say(b"PRI").await;

    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request_and_not_for_ever() {
    let server = Server::start("").await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        stream.write_all(GET).await.unwrap();
        let mut answer = [0; 512];
        let length = stream.read(&mut answer).await.unwrap();
        assert!(answer[..length].ends_with(b"ok"));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    let begun = Instant::now();
    read_to_end(&mut stream).await;
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_request_sent_early_waits_for_the_one_before_it() {
    let server = Server::start("").await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHo").await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    stream.write_all(b"st: a\r\nConnection: close\r\n\r\n").await.unwrap();

    let text = read_to_end(&mut stream).await;

    assert!(text.contains("slow") && text.ends_with("ok"), "{text}");
}

#[tokio::test]
async fn ambiguous_framing_is_answered_once_at_most_and_never_served() {
    let server = Server::start("").await;
    for text in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nhi\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        "\r\n\r\n\r\n\r\n\r\n\r\n",
    ] {
        let answer = server.say(text.as_bytes()).await;
        assert!(answer.matches("HTTP/1.1 ").count() <= 1 && !answer.contains("200 OK"), "{text:?}: {answer}");
    }
    assert!(server.is_well().await);
}

#[tokio::test]
async fn a_head_too_large_is_told_so() {
    let server = Server::start("").await;

    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(120));

    assert!(server.say(long.as_bytes()).await.starts_with("HTTP/1.1 431"));
    assert!(server.say(many.as_bytes()).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn a_full_house_says_so_and_takes_the_next_when_one_leaves() {
    let server = Server::start("max_connections = 3").await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(server.connect().await);
    }
    tokio::time::sleep(Duration::from_millis(50)).await;

    let mut refused = server.connect().await;
    let answer = read_to_end(&mut refused).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("too-many-connections"), "{answer}");

    held.pop();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(server.is_well().await);
}

#[tokio::test]
async fn who_asks_how_the_program_is_stands_in_no_line() {
    let lanes = std::thread::available_parallelism().map_or(1, usize::from);
    let (holding, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (holds, ends) = (holding.clone(), is_over.clone());
    // A body is asked for its pieces on the lane of its connection, which can do nothing else meanwhile.
    let hold = move || {
        let (holds, ends) = (holds.clone(), ends.clone());
        let pieces = async move {
            holds.fetch_add(1, Ordering::SeqCst);
            while !ends.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok::<_, std::io::Error>("held")
        };
        async { Body::from_stream(futures::stream::once(pieces)) }
    };
    let more = Router::new().route("/hold", get(hold)).route("/healthz", get(|| async { "well" }));
    let server = Server::with(more, "").await;
    let mut held = Vec::new();
    for _ in 0..lanes {
        let mut stream = server.connect().await;
        let asking = stream.write_all(b"GET /hold HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        asking.expect("the server keeps open what has just come in");
        held.push(stream);
    }
    while holding.load(Ordering::SeqCst) < lanes {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    let answer = server.say(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;

    is_over.store(true, Ordering::SeqCst);
    assert!(answer.ends_with("well"), "{answer}");
    for stream in &mut held {
        assert!(read_to_end(stream).await.contains("held"));
    }
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answer_is_given_up() {
    let server = Server::start("write_timeout = '300ms'\nmax_connections = 1").await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();

    tokio::time::sleep(Duration::from_millis(1_500)).await;

    // Its place is free again.
    assert!(server.is_well().await);
}

#[tokio::test]
async fn stopping_finishes_what_was_begun_and_takes_nothing_new() {
    let server = Server::start("").await;
    let mut streaming = server.connect().await;
    streaming.write_all(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut idle = server.connect().await;
    idle.write_all(GET).await.unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;

    server.stop.gently.cancel();
    let text = read_to_end(&mut streaming).await;
    read_to_end(&mut idle).await;

    assert_eq!(text.matches("piece").count(), 10, "{text}");
    assert!(text.ends_with("0\r\n\r\n"));
    assert!(server.liveness.is_stopping());
    server.running.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn stopping_waits_first_where_a_load_balancer_must_notice() {
    let server = Server::start("drain_delay = '500ms'").await;

    server.stop.gently.cancel();
    tokio::time::sleep(Duration::from_millis(100)).await;

    assert!(server.liveness.is_stopping());
    assert!(server.is_well().await, "it still serves while it says that it stops");
    server.running.await.unwrap();
}

#[tokio::test]
async fn who_connects_up_to_the_last_moment_is_answered() {
    let server = Server::start("drain_delay = '100ms'\nmax_connections_per_ip = 10000").await;
    server.stop.gently.cancel();

    // Without a pause for the runtime, so that most of these come after its last look at what the system has for it.
    let mut connected = Vec::new();
    while let Ok(mut stream) = std::net::TcpStream::connect(server.address) {
        std::io::Write::write_all(&mut stream, GET).unwrap();
        connected.push(stream);
        tokio::task::yield_now().await;
    }

    assert!(connected.len() > 10, "{}", connected.len());
    for (number, stream) in connected.into_iter().enumerate() {
        stream.set_nonblocking(true).unwrap();
        let answer = read_to_end(&mut TcpStream::from_std(stream).unwrap()).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok"), "{number}: {answer:?}");
    }
    server.running.await.unwrap();
}

#[tokio::test]
async fn stopping_has_an_end_however_long_an_answer_is() {
    let server = Server::start("drain_timeout = '300ms'").await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let reading = tokio::spawn(async move { tokio::io::copy(&mut stream, &mut tokio::io::sink()).await });
    tokio::time::sleep(Duration::from_millis(100)).await;

    let begun = Instant::now();
    server.stop.gently.cancel();
    server.running.await.unwrap();

    assert!(begun.elapsed() < Duration::from_secs(2));
    reading.await.unwrap().ok();
}
