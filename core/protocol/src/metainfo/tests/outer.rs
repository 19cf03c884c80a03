//! What lies around the info dictionary.

use super::*;
use crate::bencode::DecodeErrorKind;

const INFO: &str = "d6:lengthi1e4:name1:x12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae";

fn parse(before: &str, after: &str) -> Metainfo {
    Metainfo::parse(format!("d{before}4:info{INFO}{after}e").as_bytes()).unwrap()
}

#[test]
fn every_field_is_read_and_written() {
    let bytes = format!(
        "d8:announce10:udp://a:1/13:announce-listll10:udp://a:1/8:http://bel9:wss://c/dee\
         7:comment5:hello10:created by3:me 13:creation datei1700000000e8:encoding5:UTF-8\
         9:httpseedsl8:http://se4:info{INFO}5:nodesll1:hi6881eee9:signatured1:ai1ee\
         8:url-list8:http://we"
    );
    let metainfo = Metainfo::parse(bytes.as_bytes()).unwrap();
    assert_eq!(
        metainfo.tiers,
        [vec!["udp://a:1/", "http://b"], vec!["wss://c/d"]]
    );
    assert_eq!(metainfo.comment.as_deref(), Some("hello"));
    assert_eq!(metainfo.created_by.as_deref(), Some("me "));
    assert_eq!(metainfo.creation_date, Some(1_700_000_000));
    assert_eq!(metainfo.encoding.as_deref(), Some("UTF-8"));
    assert_eq!(metainfo.http_seeds, ["http://s"]);
    assert_eq!(metainfo.web_seeds, ["http://w"]);
    assert_eq!(metainfo.nodes, [("h".to_owned(), 6881)]);
    assert_eq!(metainfo.others[&b"signature"[..]], b"d1:ai1ee");
    assert_eq!(metainfo.info.raw(), INFO.as_bytes());
    let written = metainfo.write();
    // All but `url-list`, which becomes a list, was in the form that we write.
    assert_eq!(
        String::from_utf8(written.clone()).unwrap(),
        bytes.replace("8:url-list8:http://we", "8:url-listl8:http://wee")
    );
    assert_eq!(Metainfo::parse(&written).unwrap(), metainfo);
}

#[test]
fn what_is_malformed_around_is_left_out() {
    for (before, after) in [
        ("8:announcei1e", ""),
        ("8:announce3:bad", ""),
        ("8:announce11:http://a\0b/", ""),
        ("13:announce-listi1e", ""),
        ("13:announce-listli1el4:nopeee", ""),
        ("7:commenti1e", ""),
        ("13:creation date3:now", ""),
        ("", "5:nodesli1el1:hel1:hi0eel0:i1eee"),
        ("", "12:piece layersi1e"),
        ("", "8:url-listi1e"),
        ("", "8:url-list0:"),
    ] {
        let metainfo = parse(before, after);
        assert_eq!(
            metainfo,
            Metainfo::new(metainfo.info.clone()),
            "{before}{after}"
        );
    }
    // Whatever the outer dictionary does with numbers and order is not our business.
    let flawed = format!("d4:info{INFO}13:creation datei007e1:ai-0ee trailing");
    let metainfo = Metainfo::parse(flawed.as_bytes()).unwrap();
    assert_eq!(metainfo.creation_date, Some(7));
}

#[test]
fn announce_stands_in_for_a_list_without_trackers() {
    assert_eq!(parse("8:announce8:http://a", "").tiers, [["http://a"]]);
    let empty = parse("8:announce8:http://a13:announce-listle", "");
    assert_eq!(empty.tiers, [["http://a"]]);
    let listed = parse("8:announce8:http://a13:announce-listll8:http://bee", "");
    assert_eq!(listed.tiers, [["http://b"]]);
    let flat = parse("13:announce-listl8:http://b8:http://ce", "");
    assert_eq!(flat.tiers, [["http://b"], ["http://c"]]);
    let twice = parse(
        "13:announce-listll8:http://b8:http://bel8:http://bel8:http://cee",
        "",
    );
    assert_eq!(twice.tiers, [["http://b"], ["http://c"]]);
}

#[test]
fn texts_in_utf8_come_first() {
    let metainfo = parse("7:comment3:old13:comment.utf-83:new", "");
    assert_eq!(metainfo.comment.as_deref(), Some("new"));
    assert_eq!(Metainfo::parse(&metainfo.write()).unwrap(), metainfo);
}

#[test]
fn edits_keep_the_info_hash() {
    let mut metainfo = parse("8:announce8:http://a", "8:x-customi5e");
    let hash = metainfo.info.info_hash();
    metainfo.tiers = vec![vec!["udp://new:1".to_owned()], vec!["http://b".to_owned()]];
    metainfo.comment = Some("edited".to_owned());
    let again = Metainfo::parse(&metainfo.write()).unwrap();
    assert_eq!(again, metainfo);
    assert_eq!(again.info.info_hash(), hash);
    assert_eq!(again.others[&b"x-custom"[..]], b"i5e");
}

#[test]
fn errors_point_into_the_file() {
    let error = Metainfo::parse(b"d8:announce1:a4:infod4:namei1eee").unwrap_err();
    assert_eq!(error.offset, 27);
    assert!(matches!(
        error.kind,
        MetainfoErrorKind::Bencode(DecodeErrorKind::WrongKind { .. })
    ));
    assert_eq!(
        error.to_string(),
        "byte 27: expected a string, found an integer"
    );
    assert_eq!(
        Metainfo::parse(b"de").unwrap_err().kind,
        MetainfoErrorKind::Missing { field: "info" }
    );
}
