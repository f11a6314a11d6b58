//! Two replicas behind nginx, restarted one after the other under load: no request fails, and long streams come to their
//! end. nginx is told nothing of it.

use super::crowd::{ADMIN_KEY, Crowd, End, Pool, configure, wide_quota};
use crate::support::vendor::Vendor;
use crate::support::{Home, Program, Redis, fresh_database_url};
use serde_json::json;
use sqlx::PgPool;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// What nginx is told, as the documentation says.
const SITE: &str = include_str!("../../../docs/nginx.conf");
/// Requests that begin each second, where the machine can.
const RATE: u64 = 200;
/// Streams that are always under way, each of 100 words and four seconds.
const STREAMS: u64 = 30;

struct Nginx {
    child: Child,
    folder: PathBuf,
    url: String,
}

impl Nginx {
    /// In front of replicas on these ports; none where there is no nginx, which it says.
    async fn start(ports: [u16; 2]) -> Option<Self> {
        let folder = crate::support::test_folder("nginx");
        let port = free_port();
        let site = SITE
            .replace("10.0.0.11:8080", &format!("127.0.0.1:{}", ports[0]))
            .replace("10.0.0.12:8080", &format!("127.0.0.1:{}", ports[1]))
            .replace("listen 80;", &format!("listen 127.0.0.1:{port};"));
        let place = folder.display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|name| format!("{name}_temp_path {place}/{name};\n"))
            .collect();
        let whole = format!(
            "daemon off;\nmaster_process off;\nworker_processes 1;\npid {place}/pid;\nerror_log {place}/error.log;\n\
             events {{ worker_connections 2048; }}\nhttp {{\naccess_log off;\n{temporary}{site}\n}}\n"
        );
        std::fs::write(folder.join("nginx.conf"), whole).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-e").arg(folder.join("error.log")).arg("-c").arg(folder.join("nginx.conf"));
        let Ok(child) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
            eprintln!("skipped: there is no nginx; scripts/setup test installs it");
            return None;
        };
        let nginx = Self { child, folder, url: format!("http://127.0.0.1:{port}") };
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Some(nginx);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("nginx does not answer: {}", nginx.said());
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.join("error.log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_behind_nginx_fails_no_request_and_ends_no_stream_early() {
    let ports = [free_port(), free_port()];
    let Some(nginx) = Nginx::start(ports).await else { return };
    let Some(redis) = Redis::start().await else { return };
    let (database, vendor) = (fresh_database_url(true).await, Vendor::start().await);
    let homes = [Home::new("rolling-one"), Home::new("rolling-two")];
    // Replicas open each other's secrets.
    let key = format!("one:{}", "A".repeat(43) + "=");
    let serve = async |at: usize| {
        let listen = format!("127.0.0.1:{}", ports[at]);
        let settings = [
            ("WHARFINGER_LISTEN", listen.as_str()),
            ("WHARFINGER_DATA_DIR", homes[at].text()),
            ("WHARFINGER_MODEL_DIR", homes[at].text()),
            ("WHARFINGER_ADMIN_KEY", ADMIN_KEY),
            ("WHARFINGER_ENCRYPTION_KEYS", key.as_str()),
            ("WHARFINGER_GATEWAY_ALLOWED_HOSTS", "127.0.0.1"),
            ("WHARFINGER_TRUSTED_PROXIES", "127.0.0.1"),
            ("WHARFINGER_DATABASE_URL", database.as_str()),
            ("WHARFINGER_REDIS_URL", redis.url.as_str()),
            ("WHARFINGER_DRAIN_DELAY", "2s"),
        ];
        Program::serve(&settings).await
    };
    let mut replicas = vec![serve(0).await, serve(1).await];
    let limit = json!({"tokenLimit": {"counterKey": "{key}", "tokensPerMinute": 100_000_000}});
    let pools: [Pool<'_>; 2] = [("fast", &["ok"]), ("long", &["pace-40"])];
    configure(&replicas[0], &vendor, &pools, &[("quota", wide_quota()), ("limit", limit)]).await;
    // A change is in force on the other replica within a second.
    tokio::time::sleep(Duration::from_millis(1_200)).await;

    let (crowd, stop, begun) = (Crowd::default(), CancellationToken::new(), Instant::now());
    let http = replicas[0].http.clone();
    let streaming: Vec<_> = (0..STREAMS)
        .map(|_| {
            let (crowd, http, url, stop) = (crowd.clone(), http.clone(), nginx.url.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.is_cancelled() {
                    crowd.ask_of("long", &http, &url, true, 100).await;
                }
            })
        })
        .collect();
    let arriving = tokio::spawn({
        let (crowd, http, url, stop) = (crowd.clone(), http.clone(), nginx.url.clone(), stop.clone());
        async move {
            // What comes late comes all the same: on average it is the rate.
            let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / RATE));
            let (mut under_way, mut asked) = (tokio::task::JoinSet::new(), 0_u64);
            loop {
                ticks.tick().await;
                if stop.is_cancelled() {
                    break;
                }
                let (crowd, http, url) = (crowd.clone(), http.clone(), url.clone());
                under_way.spawn(async move { crowd.ask(&http, &url, asked.is_multiple_of(2), 5).await });
                asked += 1;
                while under_way.try_join_next().is_some() {}
            }
            println!("{:.0} requests a second beside the long streams", asked as f64 / begun.elapsed().as_secs_f64());
            under_way.join_all().await;
        }
    });

    tokio::time::sleep(Duration::from_secs(1)).await;
    for at in 0..2 {
        let before = replicas.remove(0);
        let (well, took) = before.stop().await;
        println!("replica {at} stopped after {took:?}");
        assert!(well, "replica {at} did not stop in order");
        replicas.push(serve(at).await);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    stop.cancel();
    arriving.await.unwrap();
    futures::future::join_all(streaming).await.into_iter().for_each(Result::unwrap);

    let failed: Vec<_> = crowd.ends().into_iter().filter(|(_, end)| *end != End::Whole).collect();
    assert!(failed.is_empty(), "{} failed: {failed:?}\n{}", failed.len(), nginx.said());
    let db = PgPool::connect(&database).await.unwrap();
    crowd.compare(&db, &vendor).await;
    for replica in replicas {
        assert!(replica.stop().await.0);
    }
}
