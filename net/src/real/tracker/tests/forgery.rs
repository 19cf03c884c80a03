//! Goal: a torrent, or a tracker that it names, cannot make us knock at doors that we alone can
//! reach, nor carry a password to anybody but whom it was given for.
//! Method: the whole client against a tracker that redirects and a victim beside it, both on
//! loopback; the victim writes down every connection.

use std::net::UdpSocket;

use dunlin_protocol::tracker::{TrackerUrl, UrlRefusal};

use super::double::{Act, Double};
use super::http::tls_double;
use super::*;
use crate::real::tracker::http::{FetchError, resolve};

const REPLY: &[u8] = b"d8:intervali1800e5:peers0:e";

fn victim() -> Double {
    Double::start(|_, _| Act::bencoded(REPLY))
}

/// Places on this host that are no tracker's, in many spellings.
fn doors(port: u16) -> Vec<String> {
    [
        "http://127.0.0.1:PORT/admin",
        "http://127.0.0.1:PORT/",
        "http://127.0.0.1:PORT/announce/../admin",
        "http://127.0.0.1:PORT/announce/x",
        "http://127.0.0.1:PORT/%61nnounce",
        "http://localhost:PORT/admin",
        "http://127.1:PORT/admin",
        "http://2130706433:PORT/admin",
        "http://0x7f000001:PORT/admin",
        "http://[::1]:PORT/admin",
        "http://[::ffff:127.0.0.1]:PORT/admin",
        "http://[::127.0.0.1]:PORT/admin",
        "http://[64:ff9b::7f00:1]:PORT/admin",
        "http://[2002:7f00:1::]:PORT/admin",
        // Connecting to these reaches this host.
        "http://0.0.0.0:PORT/announce",
        "http://[::]:PORT/announce",
        "http://[::ffff:0.0.0.0]:PORT/announce",
        "https://127.0.0.1:PORT/admin",
        "file:///etc/passwd",
        "gopher://127.0.0.1:PORT/_GET",
        "ftp://127.0.0.1:PORT/",
        "data:text/plain,hello",
        "http://xn--lcalhost-d4a:PORT/announce",
        "http://169.254.169.254/announce",
        "http://[::ffff:169.254.169.254]/announce",
        "http://[::a9fe:a9fe]/announce",
        "http://[fd00:ec2::254]/announce",
    ]
    .map(|text| text.replace("PORT", &port.to_string()))
    .to_vec()
}

/// Only the visit that each test ends with has come.
fn assert_visited_once(victim: &Double) {
    let heads: Vec<_> = victim.requests.try_iter().collect();
    assert_eq!(heads.len(), 1, "{heads:?}");
}

#[test]
fn a_torrent_cannot_name_a_service_on_this_host() {
    let victim = victim();
    let bench = Bench::new();
    for url in doors(victim.addr().port()) {
        forbidden(bench.announce(&url, started()));
        let scraped = bench.scrape(&url.replace("admin", "x/announce"), InfoHash([1; 20]));
        assert!(
            matches!(scraped, Err(TrackerError::Forbidden(_))),
            "{url}: {scraped:?}"
        );
    }
    bench.announce(&victim.url("/announce"), started()).unwrap();
    assert_visited_once(&victim);
}

#[test]
fn a_redirect_cannot_lead_to_a_service_on_this_host() {
    let victim = victim();
    let port = victim.addr().port();
    let bench = Bench::new();
    let mut doors = doors(port);
    doors.push(format!("//127.0.0.1:{port}/admin"));
    doors.push(format!("udp://127.0.0.1:{port}/announce"));
    for location in doors {
        let tracker = Double::start(move |_, _| Act::redirect(&location));
        forbidden(bench.announce(&tracker.url("/announce"), started()));
        assert_eq!(tracker.requests.try_iter().count(), 1);
    }
    // Not even by a detour over a place that is allowed.
    let target = format!("http://127.0.0.1:{port}/admin");
    let tracker =
        Double::start(move |n, _| Act::redirect(if n == 0 { "/announce?again" } else { &target }));
    forbidden(bench.announce(&tracker.url("/announce"), started()));
    // A tracker at another port is one that may be asked.
    let target = victim.url("/announce");
    let tracker = Double::start(move |_, _| Act::redirect(&target));
    bench
        .announce(&tracker.url("/announce"), started())
        .unwrap();
    assert_visited_once(&victim);
}

/// Everything here is on loopback, so who redirects is told to the client's own resolver; over a
/// network with addresses of both kinds `tests/live/forgery.rs` does the same.
#[test]
fn a_tracker_elsewhere_cannot_redirect_to_this_host_or_network() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let outlet = Outlet::new(None, None);
    for (from, text, may) in [
        ("1.1.1.1", "http://localhost/announce", false),
        ("1.1.1.1", "http://127.0.0.1/announce", false),
        ("1.1.1.1", "http://192.168.1.1/announce", false),
        ("1.1.1.1", "http://[fe80::1]/announce", false),
        ("1.1.1.1", "http://[::ffff:10.0.0.1]/announce", false),
        ("2606:4700::1", "http://10.0.0.1/scrape", false),
        ("1.1.1.1", "http://9.9.9.9/anything", true),
        ("192.168.1.1", "http://10.0.0.1/announce", true),
    ] {
        let url = TrackerUrl::parse(text).unwrap();
        let found = runtime.block_on(resolve(&outlet, &url, Some(from.parse().unwrap())));
        match found {
            Ok(_) => assert!(may, "{from} to {text}"),
            Err(FetchError::Refused(UrlRefusal::RedirectToLocal { .. })) => {
                assert!(!may, "{from} to {text}");
            }
            Err(error) => panic!("{from} to {text}: {error}"),
        }
    }
}

#[test]
fn a_redirect_cannot_leave_tls() {
    let victim = victim();
    let answer = format!(
        "HTTP/1.1 302 Found\r\nLocation: {}\r\n\r\n",
        victim.url("/announce")
    );
    let (port, tls) = tls_double(answer.into_bytes());
    let bench = Bench::with(Patience::default(), tls);
    let why = forbidden(bench.announce(&format!("https://localhost:{port}/announce"), started()));
    assert!(why.contains("https to http"), "{why}");
    bench.announce(&victim.url("/announce"), started()).unwrap();
    assert_visited_once(&victim);
}

/// The first packet of a UDP tracker holds nothing that a torrent could have chosen, and there is
/// no second one before the answer.
#[test]
fn a_udp_service_hears_no_word_of_a_torrent() {
    let service = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = service.local_addr().unwrap().port();
    unreachable(Bench::impatient().announce(
        &format!("udp://user:word@127.0.0.1:{port}/reboot?now=1"),
        started(),
    ));
    let mut packet = [0; 2048];
    assert_eq!(service.recv(&mut packet).unwrap(), 16);
    // BEP 15: the protocol's number, action 0, and 4 bytes of chance.
    assert_eq!(
        packet[..12],
        [0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0]
    );
    service.set_nonblocking(true).unwrap();
    assert!(service.recv(&mut packet).is_err());
}

/// "user:p@ss" in base64.
const SECRET: &str = "authorization: basic dxnlcjpwqhnz";

fn head(double: &Double) -> String {
    let head = double.requests.recv_timeout(Duration::from_secs(20));
    head.unwrap().to_ascii_lowercase()
}

#[test]
fn passwords_stay_with_their_origin() {
    let other = Double::start(|_, _| Act::bencoded(REPLY));
    let target = other.url("/announce");
    let first =
        Double::start(move |n, _| Act::redirect(if n == 0 { "/announce?same" } else { &target }));
    let url = format!("http://user:p%40ss@{}/announce?passkey=k", first.addr());
    Bench::new().announce(&url, started()).unwrap();
    for _ in 0..2 {
        let head = head(&first);
        assert!(head.contains(SECRET), "{head}");
    }
    let head = head(&other);
    for word in ["authorization", "passkey", "referer", "cookie"] {
        assert!(!head.contains(word), "{head}");
    }
}

#[test]
fn a_password_does_not_come_back_by_a_detour() {
    let first_addr = Arc::new(std::sync::OnceLock::new());
    let home = Arc::clone(&first_addr);
    let other = Double::start(move |_, _| {
        Act::redirect(&format!("http://{}/announce?home", home.get().unwrap()))
    });
    let target = other.url("/announce");
    let first = Double::start(move |n, _| match n {
        0 => Act::redirect(&target),
        _ => Act::bencoded(REPLY),
    });
    first_addr.set(first.addr()).unwrap();
    let url = format!("http://user:p%40ss@{}/announce", first.addr());
    Bench::new().announce(&url, started()).unwrap();
    let heads = [head(&first), head(&other), head(&first)];
    assert!(heads[0].contains(SECRET), "{}", heads[0]);
    for head in &heads[1..] {
        assert!(!head.contains("authorization"), "{head}");
    }
}

#[test]
fn a_redirect_cannot_choose_what_we_log_in_with() {
    let other = Double::start(|_, _| Act::bencoded(REPLY));
    let target = format!("http://mallory:choice@{}/announce", other.addr());
    let first = Double::start(move |n, _| {
        Act::redirect(if n == 0 {
            "http://mallory:choice@HOST/announce"
        } else {
            &target
        })
    });
    let bench = Bench::new();
    let url = format!("http://user:p%40ss@{}/announce", first.addr());
    // The first redirect leads to a host that is not there.
    unreachable(bench.announce(&url, started()));
    bench.announce(&url, started()).unwrap();
    let head = head(&other);
    assert!(!head.contains("authorization"), "{head}");
}

#[test]
fn passwords_are_in_no_message() {
    let closed = Double::start(|_, _| Act::Hang).addr();
    let bench = Bench::impatient();
    for path in ["announce", "admin"] {
        let told = bench.announce(&format!("http://user:hunter2@{closed}/{path}"), started());
        let told = format!("{told:?}");
        assert!(!told.contains("hunter2") && told.contains("Err"), "{told}");
    }
}
