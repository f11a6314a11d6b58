//! Heads and framing, as bytes on the wire.

use super::{Case, Outcome::Harmless, Outcome::Refused};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut refused = |what: &str, bytes: &str| cases.push(Case::new(format!("framing: {what}"), bytes, Refused));
    let next = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

    // Two lengths, or a length and a coding: two servers in a row may see different messages.
    for (what, headers, body) in [
        ("CL then TE", "Content-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        ("TE then CL", "Transfer-Encoding: chunked\r\nContent-Length: 6", "0\r\n\r\n"),
        ("equal CL twice", "Content-Length: 2\r\nContent-Length: 2", "{}"),
        ("different CL", "Content-Length: 2\r\nContent-Length: 3", "{} "),
        ("CL as list", "Content-Length: 2, 2", "{}"),
        ("CL negative", "Content-Length: -2", "{}"),
        ("CL with plus", "Content-Length: +2", "{}"),
        ("CL in hex", "Content-Length: 0x2", "{}"),
        ("CL with fraction", "Content-Length: 2.0", "{}"),
        ("CL empty", "Content-Length: ", "{}"),
        ("CL beyond 64 bit", "Content-Length: 18446744073709551616", "{}"),
        ("CL with NUL", "Content-Length: 2\0", "{}"),
        ("CL with inner space", "Content-Length: 2 2", "{}"),
        ("TE identity, chunked", "Transfer-Encoding: identity, chunked", "0\r\n\r\n"),
        ("TE chunked twice in a list", "Transfer-Encoding: CHUNKED, chunked", "0\r\n\r\n"),
        ("TE twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        ("TE chunked, identity", "Transfer-Encoding: chunked, identity", "0\r\n\r\n"),
        ("TE gzip", "Transfer-Encoding: gzip", "0\r\n\r\n"),
        ("TE gzip, chunked", "Transfer-Encoding: gzip, chunked", "0\r\n\r\n"),
        ("TE xchunked", "Transfer-Encoding: xchunked", "0\r\n\r\n"),
        ("TE quoted", "Transfer-Encoding: \"chunked\"", "0\r\n\r\n"),
        ("TE with vertical tab", "Transfer-Encoding: \x0bchunked", "0\r\n\r\n"),
        ("TE with parameter", "Transfer-Encoding: chunked;a=b", "0\r\n\r\n"),
        ("TE by a bare LF", "X: a\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        ("space before colon", "Transfer-Encoding : chunked", "0\r\n\r\n"),
        ("tab before colon", "Content-Length\t: 2", "{}"),
        ("folded header", "X: a\r\n b", ""),
        ("folded TE", "Transfer-Encoding:\r\n chunked", "0\r\n\r\n"),
        ("header without colon", "Nonsense", ""),
        ("header without name", ": a", ""),
        ("space in a name", "X Y: a", ""),
        ("NUL in a name", "X\0: a", ""),
        ("NUL in a value", "X: a\0b", ""),
        ("bare CR in a value", "X: a\rb", ""),
        ("control in a name", "X\x01: a", ""),
        ("letters beyond ASCII in a name", "Xé: a", ""),
        ("two hosts", "Host: b", ""),
    ] {
        let text = format!("POST /api/v1/keys HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n{body}");
        refused(what, &text);
        refused(&format!("{what}, and a hidden request"), &format!("{text}{next}"));
    }

    // Chunks.
    for (what, body) in [
        ("space after size", "2 \r\n{}\r\n0\r\n\r\n"),
        ("space before size", " 2\r\n{}\r\n0\r\n\r\n"),
        ("size in 0x", "0x2\r\n{}\r\n0\r\n\r\n"),
        ("negative size", "-2\r\n{}\r\n0\r\n\r\n"),
        ("size with underscore", "1_0\r\n{}\r\n0\r\n\r\n"),
        ("size beyond 64 bit", "11111111111111111\r\n{}\r\n0\r\n\r\n"),
        ("empty size", "\r\n{}\r\n0\r\n\r\n"),
        ("chunk longer than said", "2\r\n{}}\r\n0\r\n\r\n"),
        ("chunk without its CRLF", "2\r\n{}0\r\n\r\n"),
        ("LF after size", "2\n{}\r\n0\r\n\r\n"),
        ("LF after data", "2\r\n{}\n0\r\n\r\n"),
        ("LF after trailer", "2\r\n{}\r\n0\r\nX: a\n\r\n"),
        ("letters as size", "zz\r\n{}\r\n0\r\n\r\n"),
    ] {
        refused(
            &format!("chunks: {what}"),
            &format!("POST /api/v1/keys HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}"),
        );
    }

    // First lines and versions.
    for line in [
        "GET",
        "GET /",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 x",
        " GET / HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET / HTTP/1.2",
        "GET / HTTP/2.0",
        "GET / HTTP/9",
        "GET / http/1.1",
        "GET / FTP/1.1",
        "G\0T / HTTP/1.1",
        "GÉT / HTTP/1.1",
        "GET \0 HTTP/1.1",
        "GET /\x7f HTTP/1.1",
        "GET nonsense HTTP/1.1",
        "(GET) / HTTP/1.1",
        "GET / HTTP/1.1\0",
        "{}",
        "\u{feff}GET / HTTP/1.1",
        "\x16\x03\x01\x02",
        "SSH-2.0-OpenSSH_9",
        "PRI * HTTP/2.0",
    ] {
        refused(&format!("first line {line:?}"), &format!("{line}\r\nHost: a\r\n\r\n"));
    }
    refused("nothing at all", "");
    refused("half a first line", "GET / HT");
    refused("half a head", "GET / HTTP/1.1\r\nHost: a\r\nX-");
    refused("a head without end", "GET / HTTP/1.1\r\nHost: a\r\n");
    refused("many empty lines", &"\r\n".repeat(5_000));
    refused("LF everywhere", "GET / HTTP/1.1\nHost: a\n\n");
    refused("CR everywhere", "GET / HTTP/1.1\rHost: a\r\r");
    refused("no host", "GET /healthz HTTP/1.1\r\n\r\n");
    refused("a host that is none", "GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n");
    refused("a head too long", &format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(40_000)));
    refused("too many headers", &format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(150)));
    refused("a target too long", &format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(70_000)));

    // Odd and legal.
    for (what, bytes) in [
        ("one empty line first", format!("\r\n{next}")),
        ("two requests in one piece", format!("{next}{next}")),
        (
            "absolute form",
            "GET http://elsewhere.example/healthz HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n".to_owned(),
        ),
        ("HTTP/1.0", "GET /healthz HTTP/1.0\r\n\r\n".to_owned()),
        ("asterisk form", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        ("authority form", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n".to_owned()),
        (
            "an upgrade nobody offers",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n".to_owned(),
        ),
        (
            "chunk extensions",
            "POST /api/v1/keys HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\n\r\n"
                .to_owned(),
        ),
    ] {
        cases.push(Case::new(format!("framing: {what}"), bytes, Harmless));
    }
    cases
}
