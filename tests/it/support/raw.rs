//! A peer that says byte by byte what it is told to, right or wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What it does once a request is there.
#[derive(Clone)]
pub enum Step {
    Send(Vec<u8>),
    /// Each byte by itself, with this pause before.
    Trickle(Vec<u8>, Duration),
    /// Again and again, until the other side has enough.
    Forever(Vec<u8>),
    Wait(Duration),
    /// Ends the connection as a crash does.
    Reset,
    Close,
}

impl Step {
    pub fn send(text: impl AsRef<[u8]>) -> Self {
        Self::Send(text.as_ref().to_vec())
    }
}

pub struct RawVendor {
    port: u16,
    requests: Arc<AtomicU64>,
}

impl RawVendor {
    /// Answers each request by these steps; after them it waits for the next on the same connection.
    pub async fn start(steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicU64::new(0));
        let asked = requests.clone();
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let (steps, asked) = (steps.clone(), asked.clone());
                // That the other side has gone ends it.
                tokio::spawn(async move { drop(converse(tcp, &steps, &asked).await) });
            }
        });
        Self { port, requests }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Requests that were read.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn converse(mut tcp: TcpStream, steps: &[Step], asked: &AtomicU64) -> std::io::Result<()> {
    tcp.set_nodelay(true)?;
    loop {
        read_request(&mut tcp).await?;
        asked.fetch_add(1, Ordering::SeqCst);
        for step in steps {
            match step {
                Step::Send(bytes) => tcp.write_all(bytes).await?,
                Step::Trickle(bytes, pause) => {
                    for byte in bytes {
                        tokio::time::sleep(*pause).await;
                        tcp.write_all(&[*byte]).await?;
                    }
                }
                Step::Forever(bytes) => loop {
                    tcp.write_all(bytes).await?;
                },
                Step::Wait(time) => tokio::time::sleep(*time).await,
                Step::Reset => return tcp.set_zero_linger(),
                Step::Close => return Ok(()),
            }
        }
    }
}

async fn read_request(tcp: &mut TcpStream) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            if bytes.len() >= end + 4 + length.unwrap_or(0) {
                return Ok(());
            }
        }
        if tcp.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}
