//! Sixty spellings of addresses that are not the public internet's, in every field that takes a URL we call: refused where
//! they are written, refused again where they are called, and nobody is called.
//!
//! The issuer of an identity provider is the one address that may lie inside, because the operator writes it into the
//! settings; what the provider names in its own document is judged like everything else (`provider.rs`).

mod called;
mod provider;
mod written;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// `PORT` stands for that of a listener on loopback, so that a call would be seen.
const SPELLINGS: &[&str] = &[
    // This host, in every way to write it.
    "http://127.0.0.1:PORT/",
    "http://127.0.0.2:PORT/",
    "http://127.255.255.254:PORT/",
    "http://127.1:PORT/",
    "http://127.0.1:PORT/",
    "http://2130706433:PORT/",
    "http://0x7f000001:PORT/",
    "http://0x7f.1:PORT/",
    "http://0x7F.0x0.0x0.0x1:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://017700000001:PORT/",
    "http://127.0.0.1.:PORT/",
    "http://%31%32%37.0.0.1:PORT/",
    "http://\u{ff11}\u{ff12}\u{ff17}.0.0.1:PORT/",
    "http://127\u{3002}0\u{3002}0\u{3002}1:PORT/",
    "http://\u{2460}\u{2461}\u{2466}.0.0.1:PORT/",
    "http://0.0.0.0:PORT/",
    "http://0:PORT/",
    "http://0x0:PORT/",
    "http://localhost:PORT/",
    "http://LOCALHOST:PORT/",
    "http://localhost.:PORT/",
    "http://loc%61lhost:PORT/",
    "http:\\\\127.0.0.1:PORT\\",
    "http:/127.0.0.1:PORT/",
    "http:127.0.0.1:PORT/",
    "HTTP://127.0.0.1:PORT/",
    "  http://127.0.0.1:PORT/",
    "ht\ntp://127.0.0.1:PORT/",
    "http://127.0.0.1:PORT/#@public.example",
    "http://public.example@127.0.0.1:PORT/",
    "http://user:pw@127.0.0.1:PORT/",
    "http://127.0.0.1%2f@localhost:PORT/",
    // And in IPv6.
    "http://[::1]:PORT/",
    "http://[0:0:0:0:0:0:0:1]:PORT/",
    "http://[0000::0001]:PORT/",
    "http://[::]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::FFFF:7f00:1]:PORT/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[64:ff9b::127.0.0.1]:PORT/",
    "http://[64:ff9b:1::7f00:1]:PORT/",
    "http://[2002:7f00:1::]:PORT/",
    "http://[fe80::1]/",
    "http://[fd00::1]/",
    "http://[fc00::1]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[::ffff:169.254.169.254]/latest/meta-data/",
    // Metadata services, private, shared, link-local, reserved.
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/latest/meta-data/",
    "http://0xa9fea9fe/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://172.31.255.254/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "https://127.0.0.1:PORT/",
    // Other things than the web.
    "file:///etc/passwd",
    "gopher://127.0.0.1:PORT/",
    "ftp://127.0.0.1:PORT/",
    "dict://127.0.0.1:PORT/",
    "unix:/var/run/docker.sock",
    "//127.0.0.1:PORT/",
    "http://",
    "http://127.0.0.1:PORT/\r\nX-Injected: 1",
];

/// How many connections were made.
struct Connections(Arc<AtomicU32>);

impl Connections {
    #[track_caller]
    fn none(&self) {
        assert_eq!(self.0.load(Ordering::SeqCst), 0, "somebody was called");
    }
}

/// The spellings, of a host that listens at this port.
fn spelled(port: u16) -> impl Iterator<Item = String> {
    assert!(SPELLINGS.len() >= 60);
    SPELLINGS.iter().map(move |spelling| spelling.replace("PORT", &port.to_string()))
}

/// A listener on all of this host's addresses that counts who connects.
async fn listener() -> (u16, Connections) {
    let connections = Arc::new(AtomicU32::new(0));
    let socket = match tokio::net::TcpListener::bind("[::]:0").await {
        Ok(socket) => socket,
        // A machine without IPv6.
        Err(_) => tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap(),
    };
    let (port, counted) = (socket.local_addr().unwrap().port(), connections.clone());
    tokio::spawn(async move {
        while socket.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, Connections(connections))
}
