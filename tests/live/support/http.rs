//! Just enough HTTP/1.0 to drive the other clients' web interfaces and to read a tracker's requests.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use super::lab::Host;

const PATIENCE: Duration = Duration::from_secs(20);

/// A reply: status, header lines as they came, body.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

pub(crate) fn get(host: &Host, server: SocketAddr, path: &str) -> Option<Reply> {
    exchange(
        host,
        server,
        format!("GET {path} HTTP/1.0\r\nHost: {server}\r\n\r\n").into_bytes(),
    )
}

/// Posts a form or a document; `headers` are whole lines without their ends.
pub(crate) fn post(
    host: &Host,
    server: SocketAddr,
    path: &str,
    headers: &[&str],
    body: &[u8],
) -> Option<Reply> {
    let length = body.len();
    let mut request =
        format!("POST {path} HTTP/1.0\r\nHost: {server}\r\nContent-Length: {length}\r\n");
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    let mut request = request.into_bytes();
    request.extend_from_slice(body);
    exchange(host, server, request)
}

/// One request on a connection of its own; `None` when the server is not there (yet) or talks nonsense.
fn exchange(host: &Host, server: SocketAddr, request: Vec<u8>) -> Option<Reply> {
    let mut stream = host.connect(server).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(&request).ok()?;
    let mut raw = Vec::new();
    // Some servers keep the connection open in spite of HTTP/1.0: stop at the announced length.
    let mut buffer = [0; 65_536];
    loop {
        if let Some(reply) = parse(&raw, false) {
            return Some(reply);
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return parse(&raw, true),
            Ok(count) => raw.extend_from_slice(&buffer[..count]),
        }
    }
}

fn parse(raw: &[u8], ended: bool) -> Option<Reply> {
    let split = raw.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&raw[..split]).into_owned();
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    let mut reply = Reply {
        status,
        head,
        body: raw[split + 4..].to_vec(),
    };
    if reply.header("transfer-encoding") == Some("chunked") {
        reply.body = unchunk(&reply.body)?;
        return Some(reply);
    }
    match reply
        .header("content-length")
        .and_then(|length| length.parse::<usize>().ok())
    {
        Some(length) if reply.body.len() < length => None,
        Some(_) => Some(reply),
        None => ended.then_some(reply),
    }
}

/// `None` until the last chunk is there.
fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let length =
            usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?.trim(), 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(line + 2..line + 2 + length)?);
        rest = rest.get(line + 2 + length + 2..)?;
    }
}

/// Undoes percent-encoding, to bytes: an info hash is not text.
pub(crate) fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}
