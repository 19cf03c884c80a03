//! Goal: both sides of an HTTP announce understand each other, and what real trackers send is
//! read. Method: round trips, tables of real and broken replies, arbitrary bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use dunlin_base::limits::TRACKER_PEERS_MAX;
use dunlin_base::{InfoHash, PeerId};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::*;
use crate::tracker::{
    AnnounceEvent, AnnounceReply, AnnounceRequest, INTERVAL_DEFAULT_SECS, Retry, SwarmCounts,
    TrackerFailure,
};

fn requests() -> impl Strategy<Value = AnnounceRequest> {
    let event = prop_oneof![
        Just(AnnounceEvent::None),
        Just(AnnounceEvent::Started),
        Just(AnnounceEvent::Stopped),
        Just(AnnounceEvent::Completed),
    ];
    let ipv6 = any::<Ipv6Addr>().prop_filter("is IPv4", |v6| v6.to_ipv4_mapped().is_none());
    (
        any::<([u8; 20], [u8; 20], u16, [u64; 3], u32, bool)>(),
        (event, of(any::<u32>()), of(any::<Ipv4Addr>()), of(ipv6)),
        of(vec(any::<u8>(), 0..40)),
    )
        .prop_map(|(fixed, (event, numwant, ipv4, ipv6), tracker_id)| {
            let (info_hash, peer_id, port, [uploaded, downloaded, left], key, compact) = fixed;
            AnnounceRequest {
                info_hash: InfoHash(info_hash),
                peer_id: PeerId(peer_id),
                port,
                uploaded,
                downloaded,
                left,
                event,
                numwant,
                key,
                ipv4,
                ipv6,
                tracker_id: tracker_id.map(Into::into),
                compact,
            }
        })
}

fn replies() -> impl Strategy<Value = AnnounceReply> {
    let numbers = (
        any::<u32>(),
        of(any::<u32>()),
        of(any::<u32>()),
        of(any::<u32>()),
        of(any::<u32>()),
    );
    let texts = (
        of(vec(any::<u8>(), 0..40)),
        of("[ -~]{0,40}"),
        of(any::<IpAddr>()),
    );
    (numbers, vec(any::<(IpAddr, u16)>(), 0..40), texts).prop_map(|(numbers, peers, texts)| {
        let canonical = |(ip, port): (IpAddr, u16)| SocketAddr::new(ip.to_canonical(), port);
        let mut peers: Vec<SocketAddr> = peers.into_iter().map(canonical).collect();
        // Packed lists give one family after the other.
        peers.sort_by_key(SocketAddr::is_ipv6);
        AnnounceReply {
            interval_secs: numbers.0,
            min_interval_secs: numbers.1,
            seeders: numbers.2,
            leechers: numbers.3,
            downloaded: numbers.4,
            peers,
            tracker_id: texts.0.map(Into::into),
            warning: texts.1,
            external_ip: texts.2.map(|ip| ip.to_canonical()),
        }
    })
}

fn query_of(url: &str) -> &str {
    url.split_once('?').unwrap().1
}

proptest! {
    #[test]
    fn announces_round_trip(request in requests()) {
        let url = announce_url("http://t.example/x/announce?passkey=abc", &request);
        prop_assert!(url.starts_with("http://t.example/x/announce?passkey=abc&info_hash="));
        prop_assert_eq!(parse_announce_query(query_of(&url)), Ok(request));
    }

    #[test]
    fn replies_round_trip_packed_or_not(reply in replies(), compact: bool) {
        let bytes = write_announce_reply(&reply, compact);
        prop_assert_eq!(parse_announce_reply(&bytes), Ok(reply));
    }

    #[test]
    fn scrapes_round_trip(
        swarms in proptest::collection::btree_map(any::<[u8; 20]>(), any::<[u32; 3]>(), 1..20),
        min_request_interval_secs in of(any::<u32>()),
    ) {
        let hashes: Vec<InfoHash> = swarms.keys().copied().map(InfoHash).collect();
        let url = scrape_url("http://t.example/announce", &hashes).unwrap();
        prop_assert_eq!(parse_scrape_query(query_of(&url)), Ok(hashes));
        let counts = |[seeders, leechers, completed]: [u32; 3]| SwarmCounts { seeders, leechers, completed };
        let swarms = swarms.into_iter().map(|(hash, numbers)| (InfoHash(hash), counts(numbers)));
        let reply = ScrapeReply { swarms: swarms.collect(), min_request_interval_secs };
        prop_assert_eq!(parse_scrape_reply(&write_scrape_reply(&reply)), Ok(reply));
    }

    #[test]
    fn arbitrary_input_never_panics(bytes in vec(any::<u8>(), 0..200), query in ".{0,200}") {
        drop(parse_announce_reply(&bytes));
        drop(parse_scrape_reply(&bytes));
        drop(parse_scrape_query(&query));
        let _: Option<AnnounceRequest> = parse_announce_query(&query).ok();
    }
}

#[test]
fn a_trackers_own_query_stays_and_its_fragment_goes() {
    let request = parse_announce_query(
        "info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=%00%ffbbbbbbbbbbbbbbbb-~&port=1&left=0",
    )
    .unwrap();
    for (tracker, expected) in [
        ("http://t/announce", "http://t/announce?info_hash="),
        ("http://t/announce?", "http://t/announce?info_hash="),
        ("http://t/announce?a=b", "http://t/announce?a=b&info_hash="),
        ("http://t/announce?a=b&", "http://t/announce?a=b&info_hash="),
        ("http://t/announce#x?y", "http://t/announce?info_hash="),
    ] {
        let url = announce_url(tracker, &request);
        assert!(url.starts_with(expected), "{url}");
    }
    let url = announce_url("http://t/a", &request);
    assert_eq!(
        url,
        "http://t/a?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=%00%FFbbbbbbbbbbbbbbbb-~&port=1\
         &uploaded=0&downloaded=0&left=0&key=00000000&compact=1"
    );
}

#[test]
fn scrape_urls_follow_bep_48() {
    for (announce, expected) in [
        (
            "http://example.com/announce",
            Some("http://example.com/scrape"),
        ),
        (
            "http://example.com/x/announce",
            Some("http://example.com/x/scrape"),
        ),
        (
            "http://example.com/announce.php",
            Some("http://example.com/scrape.php"),
        ),
        ("http://example.com/a", None),
        (
            "http://example.com/announce?x2%0644",
            Some("http://example.com/scrape?x2%0644"),
        ),
        ("http://example.com/announce?x=2/4", None),
        ("http://example.com/x%064announce", None),
        ("example", None),
    ] {
        assert_eq!(scrape_url(announce, &[]).as_deref(), expected, "{announce}");
    }
    assert_eq!(
        scrape_url(
            "http://t/announce?k=1",
            &[InfoHash([b'a'; 20]), InfoHash([0; 20])]
        )
        .unwrap(),
        format!(
            "http://t/scrape?k=1&info_hash={}&info_hash={}",
            "a".repeat(20),
            "%00".repeat(20)
        )
    );
}

#[test]
fn replies_of_real_trackers_are_read() {
    let peers = |bytes: &[u8]| parse_announce_reply(bytes).unwrap().peers;
    let peer: SocketAddr = "1.2.3.4:258".parse().unwrap();
    // Packed, with bytes left over; a list, with a name and a peer without port; both families.
    assert_eq!(
        peers(b"d8:intervali900e5:peers8:\x01\x02\x03\x04\x01\x02\x07\x07e"),
        [peer]
    );
    let list = b"d5:peersld2:ip7:1.2.3.47:peer id3:abc4:porti258eed2:ip9:localhost4:porti1eed2:ip7:1.2.3.4eee";
    assert_eq!(peers(list), [peer]);
    let mut both = b"d5:peers6:\x01\x02\x03\x04\x01\x026:peers618:".to_vec();
    both.extend(Ipv6Addr::LOCALHOST.octets());
    both.extend([1, 2]);
    both.push(b'e');
    assert_eq!(peers(&both), [peer, "[::1]:258".parse().unwrap()]);

    let reply = parse_announce_reply(b"d8:completei-1e8:interval4:1200e\r\n").unwrap();
    assert_eq!((reply.interval_secs, reply.seeders), (1200, None));
    let reply = parse_announce_reply(b"de").unwrap();
    assert_eq!(reply.interval_secs, INTERVAL_DEFAULT_SECS);
    let reply =
        parse_announce_reply(b"d11:external ip4:\x01\x02\x03\x0415:warning message5:a\x1b[0me");
    let reply = reply.unwrap();
    assert_eq!(reply.external_ip, Some(Ipv4Addr::new(1, 2, 3, 4).into()));
    assert_eq!(reply.warning.unwrap(), "a[0m");
    for broken in [&b""[..], b"<html>", b"le", b"i1e", b"d8:interval"] {
        let error = parse_announce_reply(broken).unwrap_err();
        assert!(matches!(error, HttpReplyError::Malformed(_)));
    }
}

#[test]
fn no_more_peers_are_taken_than_the_limit() {
    let peers = vec![SocketAddr::from(([1, 2, 3, 4], 5)); TRACKER_PEERS_MAX + 1];
    let reply = AnnounceReply {
        peers,
        ..AnnounceReply::default()
    };
    for compact in [true, false] {
        let read = parse_announce_reply(&write_announce_reply(&reply, compact)).unwrap();
        assert_eq!(read.peers.len(), TRACKER_PEERS_MAX);
    }
}

#[test]
fn refusals_say_when_to_come_back() {
    for retry in [Retry::Unspecified, Retry::AfterMinutes(5), Retry::Never] {
        let failure = TrackerFailure {
            reason: "torrent not registered".to_owned(),
            retry,
        };
        let refused = HttpReplyError::Refused(failure.clone());
        assert_eq!(
            parse_announce_reply(&write_failure(&failure)),
            Err(refused.clone())
        );
        assert_eq!(parse_scrape_reply(&write_failure(&failure)), Err(refused));
    }
    for (retry_in, retry) in [
        ("i-1e", Retry::Unspecified),
        ("2:30", Retry::AfterMinutes(30)),
        ("5:later", Retry::Unspecified),
    ] {
        let bytes = format!("d14:failure reason1:x8:retry in{retry_in}e");
        let failure = TrackerFailure {
            reason: "x".to_owned(),
            retry,
        };
        assert_eq!(
            parse_announce_reply(bytes.as_bytes()),
            Err(HttpReplyError::Refused(failure))
        );
    }
}

#[test]
fn queries_of_real_clients_are_read() {
    let query = |rest: &str| {
        parse_announce_query(&format!(
            "info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb{rest}"
        ))
    };
    let request = query("&port=6881&event=&numwant=-1&key=zz&ip=::1&no_peer_id=1").unwrap();
    assert_eq!(request.event, AnnounceEvent::None);
    assert_eq!(
        (request.numwant, request.key, request.left),
        (None, 0, u64::MAX)
    );
    assert_eq!(
        (request.ipv4, request.ipv6),
        (None, Some(Ipv6Addr::LOCALHOST))
    );
    assert!(request.compact);
    let request = query("&port=1&ipv6=%5B::1%5D:6881&ipv4=1.2.3.4:5&compact=0").unwrap();
    assert_eq!(request.ipv4, Some(Ipv4Addr::new(1, 2, 3, 4)));
    assert_eq!(request.ipv6, Some(Ipv6Addr::LOCALHOST));
    assert!(!request.compact);

    assert_eq!(query(""), Err(QueryError::Missing("port")));
    assert_eq!(query("&port=65536"), Err(QueryError::Invalid("port")));
    assert_eq!(query("&port=1&left=x"), Err(QueryError::Invalid("left")));
    assert_eq!(
        parse_announce_query("info_hash=a"),
        Err(QueryError::Invalid("info_hash"))
    );
    assert_eq!(
        parse_scrape_query("info_hash=a"),
        Err(QueryError::Invalid("info_hash"))
    );
    assert_eq!(parse_scrape_query(""), Ok(Vec::new()));
}
