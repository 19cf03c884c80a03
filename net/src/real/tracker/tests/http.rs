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
fn redirects_cannot_reach_other_services() {
    let locations = [
        "http://127.0.0.1:1/admin",
        "http://169.254.169.254/announce",
        "udp://127.0.0.1:1/announce",
        "file:///etc/passwd",
    ];
    for location in locations {
        let double = Double::start(move |_, _| Act::redirect(location));
        forbidden(Bench::new().announce(&double.url("/announce"), started()));
    }
    let nowhere = Double::start(|_, _| Act::answer("302 Found", "Content-Length: 0\r\n", b""));
    unreachable(Bench::new().announce(&nowhere.url("/announce"), started()));
}

#[test]
fn passwords_stay_with_their_origin() {
    let other = Double::start(|_, _| Act::bencoded(REPLY));
    let target = other.url("/announce");
    let first =
        Double::start(move |n, _| Act::redirect(if n == 0 { "/announce?same" } else { &target }));
    let url = format!("http://user:p%40ss@{}/announce", first.addr());
    check_reply(&Bench::new().announce(&url, started()).unwrap());
    for _ in 0..2 {
        let head = first.requests.recv().unwrap().to_ascii_lowercase();
        // "user:p@ss"
        assert!(head.contains("authorization: basic dxnlcjpwqhnz"), "{head}");
    }
    let head = other.requests.recv().unwrap().to_ascii_lowercase();
    assert!(!head.contains("authorization"), "{head}");
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

#[test]
fn tls_is_verified() {
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
    let url = format!(
        "https://localhost:{}/announce",
        listener.local_addr().unwrap().port()
    );
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n".to_vec();
            answer.extend(b"d8:intervali77e1:x0:e");
            // A client that does not trust us closes here.
            if stream.read(&mut [0; 4096]).is_ok() {
                drop(stream.write_all(&answer));
            }
        }
    });

    let why = unreachable(Bench::new().announce(&url, started()));
    assert!(why.contains("TLS"), "{why}");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let trusting = Bench::with(Patience::default(), Tls::trusting(roots).unwrap());
    assert_eq!(
        trusting.announce(&url, started()).unwrap().interval_secs,
        77
    );
}
