//! Goal: no reply, query, datagram or URL makes the tracker codecs panic, what was read can be
//! written and read again, the UDP client keeps its promises, and no URL gets past the rules.
//! Method: the first byte chooses the parser.
#![no_main]

use core::time::Duration;
use std::net::IpAddr;

use dunlin_base::{EngineTime, InfoHash, NodeKey, RngStream, StreamName};
use dunlin_protocol::tracker::udp::{UdpJob, UdpJobKey, UdpRequest, UdpResponse, UdpTrackerClient};
use dunlin_protocol::tracker::{
    AddressFamily, AnnounceReply, TrackerScheme, TrackerUrl, address_class, http,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&choice, rest)) = input.split_first() else {
        return;
    };
    match choice % 6 {
        0 => announce_reply(rest),
        1 => scrape_reply(rest),
        2 => query(rest),
        3 => datagram(rest),
        4 => udp_client(rest),
        _ => url(rest),
    }
});

fn announce_reply(bytes: &[u8]) {
    if let Ok(reply) = http::parse_announce_reply(bytes) {
        // A text that is cut after replacing broken characters may shrink once more.
        let reply = AnnounceReply {
            warning: None,
            ..reply
        };
        let written = http::write_announce_reply(&reply, false);
        assert_eq!(http::parse_announce_reply(&written), Ok(reply));
    }
}

fn scrape_reply(bytes: &[u8]) {
    if let Ok(mut reply) = http::parse_scrape_reply(bytes) {
        reply.swarms.sort_by_key(|(info_hash, _)| *info_hash);
        reply.swarms.dedup_by_key(|(info_hash, _)| *info_hash);
        let again = http::parse_scrape_reply(&http::write_scrape_reply(&reply)).unwrap();
        assert_eq!(again.swarms.len(), reply.swarms.len());
    }
}

fn query(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(request) = http::parse_announce_query(text) {
        let url = http::announce_url("http://t/announce", &request);
        let (_, written) = url.split_once('?').unwrap();
        assert_eq!(http::parse_announce_query(written), Ok(request));
    }
    if let Ok(hashes) = http::parse_scrape_query(text)
        && !hashes.is_empty()
    {
        let url = http::scrape_url("http://t/announce", &hashes).unwrap();
        let (_, written) = url.split_once('?').unwrap();
        assert_eq!(http::parse_scrape_query(written), Ok(hashes));
    }
}

fn datagram(packet: &[u8]) {
    if let Ok(request) = UdpRequest::decode(packet) {
        assert_eq!(UdpRequest::decode(&request.encode()), Ok(request));
    }
    for family in [AddressFamily::V4, AddressFamily::V6] {
        match UdpResponse::decode(packet, family) {
            // Mapped addresses change their family, and replaced characters their length.
            Ok(UdpResponse::Announce { .. } | UdpResponse::Error { .. }) | Err(_) => {}
            Ok(response) => {
                let written = response.encode(family);
                assert_eq!(UdpResponse::decode(&written, family), Ok(response));
            }
        }
    }
}

/// Each byte is a step: time passes, jobs come and go, answers are right, wrong or forged.
fn udp_client(steps: &[u8]) {
    let mut client = UdpTrackerClient::new(AddressFamily::V4);
    let mut rng = RngStream::new(1, NodeKey(0), StreamName::Discover);
    let mut now = EngineTime::START;
    let mut sent: Vec<UdpRequest> = Vec::new();
    let (mut begun, mut ended) = (0_u64, 0_u64);
    for &step in steps {
        match step % 8 {
            0 => {
                let info_hashes = vec![InfoHash([step; 20])];
                client.begin(now, UdpJobKey(begun), UdpJob::Scrape { info_hashes });
                begun += 1;
            }
            1 => now += Duration::from_secs(u64::from(step)),
            2 => now = now.max(client.deadline().min(now + Duration::from_secs(10_000))),
            3..=5 => {
                if let Some(request) = sent.pop() {
                    let answer = answer(&request, step % 8 == 5);
                    let packet = answer.encode(AddressFamily::V4);
                    assert!(client.receive(now, &packet).is_ok(), "{answer:?}");
                }
            }
            6 => assert!(client.receive(now, &[step; 16]).is_err()),
            _ => sent.clear(),
        }
        while let Some(packet) = client.poll_transmit(now, &mut rng) {
            sent.push(UdpRequest::decode(&packet).unwrap());
        }
        while client.poll_outcome(now).is_some() {
            ended += 1;
        }
        assert!(ended <= begun);
        assert_eq!(client.is_idle(), ended == begun);
        assert!(client.deadline() > now, "nothing is left to do now");
    }
}

fn answer(request: &UdpRequest, refuse: bool) -> UdpResponse {
    let (UdpRequest::Connect { transaction }
    | UdpRequest::Announce { transaction, .. }
    | UdpRequest::Scrape { transaction, .. }) = *request;
    match request {
        _ if refuse => UdpResponse::Error {
            transaction,
            reason: String::new(),
        },
        UdpRequest::Connect { .. } => UdpResponse::Connect {
            transaction,
            connection: 1,
        },
        UdpRequest::Announce { .. } | UdpRequest::Scrape { .. } => UdpResponse::Scrape {
            transaction,
            swarms: Vec::new(),
        },
    }
}

fn url(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else {
        return;
    };
    let (text, location) = text.split_once('\n').unwrap_or((text, "/announce"));
    let Ok(url) = TrackerUrl::parse(text) else {
        return;
    };
    let local = IpAddr::from([127, 0, 0, 1]);
    if url.check_address(local).is_ok() && url.scheme() != TrackerScheme::Udp {
        let data = url.url_data();
        assert!(data.starts_with("/announce") || data.starts_with("/scrape"));
    }
    if let Some(address) = url.literal_address() {
        let allowed = url.check_redirected_address(IpAddr::from([1, 1, 1, 1]), address);
        assert!(allowed.is_err() || !address_class(address).is_local());
    }
    if let Some(http) = url.as_http() {
        assert_eq!(TrackerUrl::parse(http).as_ref(), Ok(&url));
    }
    if let Ok(target) = url.redirected(location, 1) {
        assert_ne!(target.scheme(), TrackerScheme::Udp);
        let authority = target.as_http().unwrap().split('/').nth(2).unwrap();
        let same = (target.host(), target.port()) == (url.host(), url.port());
        assert!(
            same || !authority.contains('@'),
            "credentials left their origin"
        );
        assert!(url.scheme() == TrackerScheme::Http || target.scheme() == TrackerScheme::Https);
    }
}
