//! Goal: links in the wild are read, and what is written is read again.
//! Method: tables, and round trips of arbitrary links.

use dunlin_base::{InfoHash, InfoHashV2};
use proptest::prelude::*;

use super::*;

const HEX: &str = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";

fn parse(text: &str) -> Magnet {
    text.parse().unwrap()
}

#[test]
fn every_field_is_read() {
    let v2 = "ab".repeat(32);
    let magnet = parse(&format!(
        "magnet:?xt=urn:btih:{HEX}&xt=urn:btmh:1220{v2}&dn=two+words%26more&xl=1234\
         &tr=udp%3A%2F%2Ft.example%3A6969&tr.1=http://t.example/announce?a=b%2Bc\
         &ws=https%3A%2F%2Fseed.example%2F&xs=http://x.example/a.torrent\
         &as=http://y.example/a.torrent&x.pe=10.0.0.1:6881&x.pe=%5B::1%5D:1&x.pe=host.example:2\
         &so=0,2,4,6-8&unknown=1&novalue"
    ));
    assert_eq!(magnet.info_hash, Some(HEX.parse().unwrap()));
    assert_eq!(magnet.info_hash_v2, Some(v2.parse().unwrap()));
    assert_eq!(magnet.name.as_deref(), Some("two words&more"));
    assert_eq!(magnet.length, Some(1234));
    assert_eq!(
        magnet.trackers,
        ["udp://t.example:6969", "http://t.example/announce?a=b+c"]
    );
    assert_eq!(magnet.web_seeds, ["https://seed.example/"]);
    assert_eq!(magnet.exact_sources, ["http://x.example/a.torrent"]);
    assert_eq!(magnet.acceptable_sources, ["http://y.example/a.torrent"]);
    let peers: Vec<_> = magnet.peers.iter().map(ToString::to_string).collect();
    assert_eq!(peers, ["10.0.0.1:6881", "[::1]:1", "host.example:2"]);
    assert!(magnet.peers[1].address().is_some() && magnet.peers[2].address().is_none());
    assert_eq!(
        magnet.select_only.unwrap().ranges(),
        [0..=0, 2..=2, 4..=4, 6..=8]
    );
}

#[test]
fn hashes_have_three_forms() {
    let hash: InfoHash = HEX.parse().unwrap();
    for text in [
        format!("magnet:?xt=urn:btih:{HEX}"),
        format!("MAGNET:?xt=URN:BTIH:{}", HEX.to_uppercase()),
        "magnet:?xt=urn:btih:YEX6DQDLXISUVHOJ6UM3GNNKPQJWPKEK".to_owned(),
        "magnet:?xt=urn:btih:yex6dqdlxisuvhoj6um3gnnkpqjwpkek".to_owned(),
        format!("magnet:?dn=x&xt=urn:ed2k:123&xt.1=urn%3Abtih%3A{HEX}&xt.2=urn:btih:{HEX}"),
    ] {
        assert_eq!(parse(&text).info_hash, Some(hash), "{text}");
    }
    let v2 = parse(&format!("magnet:?xt=urn:btmh:1220{}", "5a".repeat(32)));
    assert_eq!(v2.info_hash_v2, Some(InfoHashV2([0x5a; 32])));
    assert_eq!(v2.swarm_hash(), Some(InfoHash([0x5a; 20])));
}

#[test]
fn links_that_name_no_torrent_are_refused_with_the_place() {
    let other = "0".repeat(40);
    for (text, offset, kind) in [
        (String::new(), 0, MagnetErrorKind::Scheme),
        ("magnet".to_owned(), 0, MagnetErrorKind::Scheme),
        (
            "http://x/?xt=urn:btih:".to_owned(),
            0,
            MagnetErrorKind::Scheme,
        ),
        ("magnet:?".to_owned(), 8, MagnetErrorKind::NoInfoHash),
        ("magnet:?dn=x".to_owned(), 8, MagnetErrorKind::NoInfoHash),
        (
            "magnet:?dn=x&xt=urn:btih:12".to_owned(),
            16,
            MagnetErrorKind::InfoHash,
        ),
        (
            format!("magnet:?xt=urn:btih:{HEX}0"),
            11,
            MagnetErrorKind::InfoHash,
        ),
        (
            format!("magnet:?xt=urn:btih:{}", "1".repeat(32)),
            11,
            MagnetErrorKind::InfoHash,
        ),
        (
            format!("magnet:?xt=urn:btmh:1114{}", "a".repeat(64)),
            11,
            MagnetErrorKind::InfoHashV2,
        ),
        (
            format!("magnet:?xt=urn:btih:{HEX}&xt=urn:btih:{other}"),
            64,
            MagnetErrorKind::TwoTorrents,
        ),
        (
            "x".repeat(70_000),
            65_536,
            MagnetErrorKind::TooLong { max: 65_536 },
        ),
    ] {
        assert_eq!(
            text.parse::<Magnet>(),
            Err(MagnetError { offset, kind }),
            "{text:.80}"
        );
    }
}

#[test]
fn malformed_extras_are_left_out() {
    let magnet = parse(&format!(
        "magnet:?xt=urn:btih:{HEX}&tr=nonsense&tr=gopher://x&tr=http://&ws=udp://x&x.pe=1.2.3.4\
         &x.pe=1.2.3.4:0&x.pe=1.2.3.4:70000&x.pe=a%20b:1&x.pe=::1:5&x.pe=%5B1.2.3.4%5D:5&so=a,-,5-2\
         &xl=-1&dn="
    ));
    let bare = Magnet {
        info_hash: Some(HEX.parse().unwrap()),
        ..Magnet::default()
    };
    assert_eq!(magnet, bare);
}

#[test]
fn selections_are_sorted_and_merged() {
    for (text, ranges, written) in [
        ("3,1,2", &[1..=3][..], "1-3"),
        ("0-4,2-9,12", &[0..=9, 12..=12], "0-9,12"),
        ("9-1,5", &[5..=5], "5"),
        ("0-4294967295", &[0..=1_048_575], "0-1048575"),
        ("4294967295", &[], ""),
    ] {
        let selection = FileSelection::parse(text);
        assert_eq!(selection.ranges(), ranges, "{text}");
        assert_eq!(selection.to_string(), written);
    }
    let selection = FileSelection::parse("2-4");
    assert!(selection.contains(3) && !selection.contains(5) && !selection.is_empty());
}

fn url(scheme: &'static str) -> impl Strategy<Value = String> {
    "[a-zé0-9/?&=+%#.]{1,30}".prop_map(move |rest| format!("{scheme}://{rest}"))
}

fn urls(scheme: &'static str) -> impl Strategy<Value = Vec<String>> {
    proptest::collection::btree_set(url(scheme), 0..4).prop_map(|urls| urls.into_iter().collect())
}

prop_compose! {
    fn magnets()(
        v1 in any::<[u8; 20]>(),
        v2 in proptest::option::of(any::<[u8; 32]>()),
        name in proptest::option::of("\\PC{1,40}"),
        length in any::<Option<u64>>(),
        trackers in urls("udp"),
        web_seeds in urls("https"),
        exact_sources in urls("http"),
        acceptable_sources in urls("http"),
        peers in proptest::collection::btree_map("[a-z0-9.-]{1,20}", 1_u16.., 0..4),
        v6 in any::<std::net::Ipv6Addr>(),
        ranges in proptest::collection::vec((0_u32..1000, 0_u32..1000), 1..5),
    ) -> Magnet {
        let mut peers: Vec<_> =
            peers.into_iter().map(|(host, port)| MagnetPeer { host, port }).collect();
        peers.push(MagnetPeer { host: v6.to_string(), port: 1 });
        let selection = FileSelection::new(ranges.into_iter().map(|(first, last)| first..=last));
        Magnet {
            info_hash: Some(InfoHash(v1)),
            info_hash_v2: v2.map(InfoHashV2),
            name, length, trackers, web_seeds, exact_sources, acceptable_sources, peers,
            select_only: Some(selection).filter(|selection| !selection.is_empty()),
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(magnet in magnets()) {
        let text = magnet.to_string();
        prop_assert!(text.is_ascii());
        prop_assert_eq!(text.parse(), Ok(magnet));
    }

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC*") {
        prop_assert!(text.parse::<Magnet>().is_err());
        let link = format!("magnet:?xt=urn:btih:{HEX}&{text}");
        if let Ok(magnet) = link.parse::<Magnet>() {
            prop_assert_eq!(magnet.info_hash, Some(HEX.parse().unwrap()));
        }
    }

    #[test]
    fn arbitrary_fields_read_the_same_again(
        fields in proptest::collection::vec("(dn|tr|ws|x\\.pe|so|xl|xs)=[a-z0-9:/%.,+-]{0,30}", 0..6),
    ) {
        let text = format!("magnet:?xt=urn:btih:{HEX}&{}", fields.join("&"));
        let magnet = text.parse::<Magnet>().unwrap();
        prop_assert_eq!(magnet.to_string().parse(), Ok(magnet));
    }
}
