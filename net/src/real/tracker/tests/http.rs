//! HTTP(S) trackers that answer in every wrong way.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use dunlin_base::limits::TRACKER_REPLY_BYTES_MAX;
use dunlin_protocol::tracker::Retry;
use flate2::Compression;
use flate2::write::GzEncoder;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::double::{Act, Double};
use super::*;

const REPLY: &[u8] =
    b"d8:completei3e10:incompletei4e8:intervali1800e5:peers6:\x01\x02\x03\x04\x1a\xe1e";

fn gzipped(body: &[u8]) -> Act {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    let body = encoder.finish().unwrap();
    Act::answer(
        "200 OK",
        &format!(
            "Content-Encoding: gzip\r\nContent-Length: {}\r\n",
            body.len()
        ),
        &body,
    )
}

fn chunked(body: &[u8]) -> Act {
    let mut bytes = Vec::new();
    for part in body.chunks(7) {
        bytes.extend(format!("{:x}\r\n", part.len()).into_bytes());
        bytes.extend_from_slice(part);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    Act::answer("200 OK", "Transfer-Encoding: chunked\r\n", &bytes)
}

fn check_reply(reply: &AnnounceReply) {
    assert_eq!(
        (reply.seeders, reply.leechers, reply.interval_secs),
        (Some(3), Some(4), 1800)
    );
    assert_eq!(reply.peers, ["1.2.3.4:6881".parse().unwrap()]);
}

#[test]
fn answers_of_every_form_are_read() {
    let forms: [fn() -> Act; 4] = [
        || Act::bencoded(REPLY),
        || chunked(REPLY),
        || gzipped(REPLY),
        || Act::answer("200 OK", "", REPLY),
    ];
    for form in forms {
        let double = Double::start(move |_, _| form());
        let reply = Bench::new().announce(&double.url("/announce?passkey=1"), started());
        check_reply(&reply.unwrap());
        let head = double.requests.recv().unwrap();
        assert!(
            head.starts_with("GET /announce?passkey=1&info_hash=%AB"),
            "{head}"
        );
        let head = head.to_ascii_lowercase();
        assert!(head.contains("\r\nuser-agent: dunlin/"), "{head}");
        assert!(
            head.contains(&format!("\r\nhost: {}\r\n", double.addr())),
            "{head}"
        );
        assert!(!head.contains("authorization"), "{head}");
    }
}

#[test]
fn answers_that_are_too_large_are_cut_off() {
    let bomb: fn() -> Act = || gzipped(&vec![0; 50 << 20]);
    let huge: fn() -> Act = || Act::answer("200 OK", "", &vec![b'x'; TRACKER_REPLY_BYTES_MAX + 1]);
    for form in [bomb, huge] {
        let double = Double::start(move |_, _| form());
        let why = unreachable(Bench::new().announce(&double.url("/announce"), started()));
        assert!(why.contains("larger than"), "{why}");
    }
    let double = Double::start(|_, _| {
        Act::answer("200 OK", &format!("X: {}\r\n", "y".repeat(100_000)), b"")
    });
    unreachable(Bench::new().announce(&double.url("/announce"), started()));
}

#[test]
fn slow_answers_are_given_up() {
    for act in [
        || Act::Hang,
        || Act::Drip(b"HTTP/1.1 200 OK\r\n".repeat(50)),
    ] {
        let double = Double::start(move |_, _| act());
        let why = unreachable(Bench::impatient().announce(&double.url("/announce"), started()));
        assert!(why.contains("no answer within"), "{why}");
    }
}

#[test]
fn garbage_is_no_answer() {
    let forms: [fn() -> Act; 5] = [
        || Act::Say(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        || Act::Say(Vec::new()),
        || Act::bencoded(b"<html>Hello</html>"),
        || {
            Act::answer(
                "200 OK",
                "Content-Encoding: br\r\nContent-Length: 3\r\n",
                b"abc",
            )
        },
        || Act::answer("404 Not Found", "Content-Length: 0\r\n", b""),
    ];
    for form in forms {
        let double = Double::start(move |_, _| form());
        unreachable(Bench::new().announce(&double.url("/announce"), started()));
    }
    // A port where nobody listens.
    let closed = Double::start(|_, _| Act::Hang).url("/announce");
    unreachable(Bench::impatient().announce(&closed, started()));
}

#[test]
fn refusals_are_told_with_their_words() {
    for status in ["200 OK", "403 Forbidden"] {
        let body = b"d14:failure reason9:not today8:retry in5:nevere";
        let head = format!("Content-Length: {}\r\n", body.len());
        let double = Double::start(move |_, _| Act::answer(status, &head, body));
        let refused = Bench::new().announce(&double.url("/announce"), started());
        let reason = "not today".to_owned();
        assert_eq!(
            refused,
            Err(TrackerError::Refused {
                reason,
                retry: Retry::Never
            })
        );
    }
}

#[test]
fn redirects_are_followed_five_times() {
    let double = Double::start(|n, _| {
        if n < 5 {
            Act::redirect("/announce?hop")
        } else {
            Act::bencoded(REPLY)
        }
    });
    check_reply(
        &Bench::new()
            .announce(&double.url("/announce"), started())
            .unwrap(),
    );
    assert!(
        double
            .requests
            .iter()
            .nth(5)
            .unwrap()
            .starts_with("GET /announce?hop ")
    );

    let circle = Double::start(|_, _| Act::redirect("/announce"));
    let why = forbidden(Bench::new().announce(&circle.url("/announce"), started()));
    assert!(why.contains("redirects"), "{why}");
    assert_eq!(circle.requests.try_iter().count(), 6);
}

#[test]
fn a_redirect_to_nowhere_is_no_answer() {
    let nowhere = Double::start(|_, _| Act::answer("302 Found", "Content-Length: 0\r\n", b""));
    unreachable(Bench::new().announce(&nowhere.url("/announce"), started()));
}

/// Each breaks HTTP, its lengths or its packing at another place.
#[test]
fn malformed_answers_are_no_answers_and_harm_nobody() {
    let head = |lines: &str, body: &[u8]| match Act::answer("200 OK", lines, body) {
        Act::Say(bytes) => bytes,
        Act::Drip(_) | Act::Hang => unreachable!("an answer is said at once"),
    };
    let chunks = |body: &[u8]| head("Transfer-Encoding: chunked\r\n", body);
    let packed = |body: &[u8]| head("Content-Encoding: gzip\r\n", body);
    let gzip = |plain: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    };
    let member = gzip(&vec![0; TRACKER_REPLY_BYTES_MAX / 2]);
    let whole = gzip(REPLY);
    let answers: [Vec<u8>; 22] = [
        chunks(b"FFFFFFFFFFFFFFFFF\r\nx"),
        chunks(b"FFFFFFFFFFFFFFFF\r\nx"),
        chunks(b"-1\r\nx"),
        chunks(b"xyz\r\nx"),
        chunks(b"5\r\nabcdeNOLINEEND"),
        chunks(b"5\r\nab"),
        chunks(&[b"5;".to_vec(), vec![b'e'; 100_000]].concat()),
        chunks(b"0\r\n"),
        chunks(
            &b"1000\r\n"
                .iter()
                .chain(&[b'x'; 0x1000])
                .chain(b"\r\n")
                .copied()
                .collect::<Vec<_>>()
                .repeat(300),
        ),
        head("Content-Length: -5\r\n", REPLY),
        head("Content-Length: 99999999999999999999999\r\n", REPLY),
        head("Content-Length: 10\r\nContent-Length: 20\r\n", REPLY),
        head("Content-Length: 1000000\r\n", REPLY),
        head("no colon in here\r\n", REPLY),
        head("X\0Y: 1\r\n", REPLY),
        head(&"X: 1\r\n".repeat(101), REPLY),
        b"HTTP/9.9 200 OK\r\n\r\n".to_vec(),
        b"HTTP/1.1 20 OK\r\n\r\n".to_vec(),
        b"HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000),
        packed(&member.repeat(3)),
        packed(&whole[..whole.len() - 6]),
        packed(&[&whole[..10], &[0xff; 64]].concat()),
    ];
    // One client meets all of them: what one leaves behind would hurt the next.
    let bench = Bench::new();
    for (number, answer) in answers.into_iter().enumerate() {
        let shown = answer[..answer.len().min(80)].escape_ascii().to_string();
        let double = Double::start(move |_, _| Act::Say(answer.clone()));
        let told = bench.announce(&double.url("/announce"), started());
        assert!(
            matches!(told, Err(TrackerError::Unreachable(_))),
            "{number}: {shown}: {told:?}"
        );
    }
    let good = Double::start(|_, _| Act::bencoded(REPLY));
    check_reply(&bench.announce(&good.url("/announce"), started()).unwrap());
}

#[test]
fn scrapes_are_read_and_only_asked_where_the_url_allows() {
    let mut body = b"d5:filesd20:".to_vec();
    body.extend([0xab; 20]);
    body.extend(b"d8:completei5e10:downloadedi50e10:incompletei10eeee");
    let double = Double::start(move |_, _| Act::bencoded(&body));
    let bench = Bench::new();
    let counts = bench
        .scrape(&double.url("/announce"), InfoHash([0xab; 20]))
        .unwrap();
    assert_eq!(
        (counts.seeders, counts.leechers, counts.completed),
        (5, 10, 50)
    );
    assert!(
        double
            .requests
            .recv()
            .unwrap()
            .starts_with("GET /scrape?info_hash=%AB")
    );
    assert_eq!(
        bench.scrape(&double.url("/announce"), InfoHash([1; 20])),
        Ok(SwarmCounts::default())
    );
    let refused = bench.scrape(&double.url("/tracker"), InfoHash([1; 20]));
    assert!(
        matches!(refused, Err(TrackerError::Forbidden(_))),
        "{refused:?}"
    );
}

/// A tracker with a certificate of its own that sends these bytes to whoever trusts it: its port
/// on `localhost`, and its certificate.
pub(super) fn tls_double(answer: Vec<u8>) -> (u16, Tls) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            // A client that does not trust us closes here.
            if stream.read(&mut [0; 4096]).is_ok() {
                drop(stream.write_all(&answer));
            }
        }
    });
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    (port, Tls::trusting(roots).unwrap())
}

#[test]
fn tls_is_verified() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\nd8:intervali77e1:x0:e";
    let (port, tls) = tls_double(answer.to_vec());
    let url = format!("https://localhost:{port}/announce");
    let why = unreachable(Bench::new().announce(&url, started()));
    assert!(why.contains("TLS"), "{why}");
    let trusting = Bench::with(Patience::default(), tls);
    assert_eq!(
        trusting.announce(&url, started()).unwrap().interval_secs,
        77
    );
}
