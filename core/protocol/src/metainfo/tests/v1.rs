//! Info dictionaries of v1 torrents.

use dunlin_base::limits::{DIRECTORY_DEPTH_MAX, PIECE_BYTES_MAX};
use dunlin_base::{GeometryError, PieceIndex};
use sha1::{Digest as _, Sha1};

use super::*;
use crate::bencode::{DecodeErrorKind, Flaw, Kind};

/// A file of a list: path, length, and what else its dictionary has behind them in order.
struct File<'a> {
    attr: &'a str,
    length: i64,
    path: &'a [&'a str],
    link: &'a [&'a str],
}

const fn file<'a>(attr: &'a str, length: i64, path: &'a [&'a str]) -> File<'a> {
    File {
        attr,
        length,
        path,
        link: &[],
    }
}

const fn link<'a>(path: &'a [&'a str], link: &'a [&'a str]) -> File<'a> {
    File {
        attr: "l",
        length: 0,
        path,
        link,
    }
}

fn folder(files: &[File<'_>], pieces: usize) -> Vec<u8> {
    let names = |value: &mut Encoder, names: &[&str]| {
        value.list(|list| names.iter().for_each(|name| list.bytes(name)));
    };
    info(|dict| {
        dict.entry("files", |value| {
            value.list(|list| {
                for file in files {
                    list.dict(|dict| {
                        dict.bytes("attr", file.attr);
                        dict.int("length", file.length);
                        dict.entry("path", |value| names(value, file.path));
                        if !file.link.is_empty() {
                            dict.entry("symlink path", |value| names(value, file.link));
                        }
                    });
                }
            });
        });
        dict.bytes("name", "top");
        dict.int("piece length", 16_384);
        dict.bytes("pieces", vec![7; pieces * 20]);
    })
}

fn single(length: i64, piece_bytes: i64, pieces: usize) -> Vec<u8> {
    info(|dict| {
        dict.int("length", length);
        dict.bytes("name", "file.bin");
        dict.int("piece length", piece_bytes);
        dict.bytes(
            "pieces",
            (0..pieces * 20).map(|n| n as u8).collect::<Vec<_>>(),
        );
    })
}

#[test]
fn a_single_file_lies_without_a_folder() {
    let bytes = single(40_000, 16_384, 3);
    let info = Info::parse(&bytes).unwrap();
    assert_eq!(info.version(), Version::V1);
    assert_eq!(info.name(), "file.bin");
    assert_eq!(paths(&info), ["file.bin"]);
    assert!(info.is_single_file() && !info.is_private());
    assert_eq!(info.files()[0].range(), 0..40_000);
    assert_eq!(info.files()[0].raw_path(), b"file.bin");
    assert_eq!(info.geometry().piece_count(), 3);
    let hash = info.piece_hash(PieceIndex(1)).unwrap();
    assert_eq!((hash[0], hash[19]), (20, 39));
    assert_eq!(info.piece_hash(PieceIndex(3)), None);
    assert_eq!(info.piece_hash(PieceIndex(u32::MAX)), None);
    assert_eq!(info.info_hash().as_bytes()[..], Sha1::digest(&bytes)[..]);
    assert_eq!(info.info_hash_v2(), None);
    assert_eq!(info.raw(), bytes);
}

#[test]
fn files_lie_in_the_torrents_folder_one_behind_the_other() {
    let bytes = folder(
        &[
            file("x", 10_000, &["a", "b.txt"]),
            file("p", 6_384, &[".pad", "6384"]),
            file("h", 0, &["empty"]),
            file("", 20_000, &["..", "..", "etc"]),
            file("", 1, &["A", "B.TXT"]),
            link(&["link"], &["a", "b.txt"]),
            link(&["out"], &["..", "secret"]),
        ],
        3,
    );
    let info = Info::parse(&bytes).unwrap();
    assert!(!info.is_single_file());
    assert_eq!(
        paths(&info),
        [
            "top/a/b.txt",
            "top/.pad/6384",
            "top/empty",
            "top/etc",
            "top/A/B.1.TXT",
            "top/link",
            "top/out"
        ]
    );
    let files = info.files();
    let offsets: Vec<_> = files.iter().map(|file| file.offset).collect();
    assert_eq!(offsets, [0, 10_000, 16_384, 16_384, 36_384, 36_385, 36_385]);
    assert!(files[0].attributes.executable && files[1].attributes.padding);
    assert!(files[2].attributes.hidden);
    assert_eq!(files[0].raw_path, None);
    assert_eq!(files[3].raw_path(), b"top/../../etc");
    assert_eq!(files[4].raw_path(), b"top/A/B.TXT");
    assert_eq!(files[5].symlink.as_ref().unwrap().as_str(), "top/a/b.txt");
    assert_eq!(
        files[6].symlink, None,
        "a link out of the torrent is an empty file"
    );
    assert_eq!(info.geometry().total_bytes(), 36_385);
}

#[test]
fn links_follow_their_target_through_renaming() {
    let bytes = folder(
        &[
            file("", 1, &["d"]),
            file("", 1, &["d", "f"]),
            link(&["link"], &["d"]),
            File {
                length: 5,
                ..link(&["content"], &["d"])
            },
        ],
        1,
    );
    let info = Info::parse(&bytes).unwrap();
    assert_eq!(
        paths(&info),
        ["top/d.1", "top/d/f", "top/link", "top/content"]
    );
    let links: Vec<_> = info
        .files()
        .iter()
        .map(|file| file.symlink.as_ref())
        .collect();
    assert_eq!(links[2].unwrap().as_str(), "top/d.1");
    assert_eq!(links[3], None, "what has content is no link");
}

#[test]
fn utf8_forms_of_names_come_first() {
    let bytes = b"d5:filesld6:lengthi1e4:pathl2:\xb0\xb1e10:path.utf-8l3:\xe4\xba\x80eed6:lengthi1e4:pathl1:aeee\
        4:name2:\xb0\xb110:name.utf-86:\xe4\xba\x80\xe4\xba\x8012:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    let info = Info::parse(bytes).unwrap();
    assert_eq!(info.name(), "亀亀");
    assert_eq!(paths(&info), ["亀亀/亀", "亀亀/a"]);
    let bytes =
        b"d6:lengthi1e4:name2:\xb0\xb112:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    let info = Info::parse(bytes).unwrap();
    assert_eq!(info.name(), "__");
    assert_eq!(info.files()[0].raw_path(), b"\xb0\xb1");
}

#[test]
fn a_name_that_says_nothing_becomes_the_info_hash() {
    for name in ["", ".", ".."] {
        let bytes = info(|dict| {
            dict.int("length", 1);
            dict.bytes("name", name);
            dict.int("piece length", 16_384);
            dict.bytes("pieces", [0; 20]);
        });
        let info = Info::parse(&bytes).unwrap();
        assert_eq!(info.name(), info.info_hash().to_string());
        assert_eq!(paths(&info), [info.name()]);
    }
}

#[test]
fn private_and_source_are_read() {
    let with = |private: i64| {
        info(|dict| {
            dict.int("length", 1);
            dict.bytes("name", "x");
            dict.int("piece length", 16_384);
            dict.bytes("pieces", [0; 20]);
            dict.int("private", private);
            dict.bytes("source", "TRK");
        })
    };
    let info = Info::parse(&with(1)).unwrap();
    assert!(info.is_private());
    assert_eq!(info.source(), Some("TRK"));
    assert!(!Info::parse(&with(0)).unwrap().is_private());
}

#[test]
fn what_is_malformed_is_refused_by_name() {
    let missing = |field| MetainfoErrorKind::Missing { field };
    let wrong = |expected, found| {
        MetainfoErrorKind::Bencode(DecodeErrorKind::WrongKind { expected, found })
    };
    for (bytes, expected) in [
        (&b"de"[..], missing("name")),
        (b"d4:name1:xe", missing("piece length")),
        (b"d4:name1:x12:piece lengthi1ee", missing("length")),
        (
            b"d6:lengthi1e4:name1:x12:piece lengthi1ee",
            missing("pieces"),
        ),
        (b"le", wrong(Kind::Dict, Kind::List)),
        (b"d4:namei1ee", wrong(Kind::Bytes, Kind::Integer)),
        (
            b"d5:filesle4:name1:x12:piece lengthi1ee",
            MetainfoErrorKind::NoFiles,
        ),
        (b"d5:filesldee4:name1:x12:piece lengthi1ee", missing("path")),
        (
            b"d5:filesld4:pathleee4:name1:x12:piece lengthi1ee",
            missing("length"),
        ),
        (
            b"d5:filesi1e4:name1:x12:piece lengthi1ee",
            wrong(Kind::List, Kind::Integer),
        ),
        (
            b"d6:lengthi-1e4:name1:x12:piece lengthi1ee",
            MetainfoErrorKind::Bencode(DecodeErrorKind::IntegerOutOfRange),
        ),
        (
            b"d12:meta versioni3ee",
            MetainfoErrorKind::UnknownVersion(3),
        ),
        (
            b"d6:lengthi01ee",
            MetainfoErrorKind::Bencode(DecodeErrorKind::Flawed(Flaw::LeadingZero)),
        ),
        (
            b"d4:name1:x4:name1:ye",
            MetainfoErrorKind::Bencode(DecodeErrorKind::Flawed(Flaw::DuplicateKey)),
        ),
    ] {
        assert_eq!(kind(bytes), expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn unsorted_keys_are_read() {
    let bytes = b"d6:pieces20:aaaaaaaaaaaaaaaaaaaa4:name1:x6:lengthi1e12:piece lengthi16384ee";
    assert!(Info::parse(bytes).is_ok());
}

#[test]
fn sizes_out_of_bounds_are_refused() {
    let geometry = MetainfoErrorKind::Geometry;
    let max = i64::from(PIECE_BYTES_MAX);
    for (length, piece_bytes, pieces, expected) in [
        (1, 0, 1, geometry(GeometryError::PieceLength(0))),
        (
            1,
            max + 1,
            1,
            geometry(GeometryError::PieceLength(max as u64 + 1)),
        ),
        (
            (1 << 35) + 1,
            16_384,
            1,
            geometry(GeometryError::PieceCount((1 << 21) + 1)),
        ),
        (
            16_385,
            16_384,
            1,
            MetainfoErrorKind::PieceHashes {
                expected: 40,
                got: 20,
            },
        ),
        (
            16_384,
            16_384,
            2,
            MetainfoErrorKind::PieceHashes {
                expected: 20,
                got: 40,
            },
        ),
    ] {
        assert_eq!(kind(&single(length, piece_bytes, pieces)), expected);
    }
    let huge = file("", i64::MAX, &["a"]);
    let files = [huge, file("", i64::MAX, &["b"]), file("", 2, &["c"])];
    assert_eq!(kind(&folder(&files, 1)), MetainfoErrorKind::TotalLength);
}

#[test]
fn odd_but_usable_sizes_are_read() {
    assert_eq!(
        Info::parse(&single(0, 16_384, 0))
            .unwrap()
            .geometry()
            .piece_count(),
        0
    );
    assert_eq!(
        Info::parse(&single(25, 10, 3))
            .unwrap()
            .geometry()
            .piece_count(),
        3
    );
}

#[test]
fn folders_are_bounded_in_depth() {
    let names = vec!["d"; DIRECTORY_DEPTH_MAX + 1];
    let deep = |depth: usize| file("", 1, &names[..depth]);
    assert!(Info::parse(&folder(&[deep(DIRECTORY_DEPTH_MAX)], 1)).is_ok());
    let max = DIRECTORY_DEPTH_MAX;
    assert_eq!(
        kind(&folder(&[deep(max + 1)], 1)),
        MetainfoErrorKind::TooDeep { max }
    );
}

#[test]
fn a_path_of_no_names_is_a_file_of_the_folder() {
    let bytes = folder(&[file("", 1, &[]), file("", 1, &[".."])], 1);
    let info = Info::parse(&bytes).unwrap();
    assert_eq!(paths(&info), ["top/_", "top/_.1"]);
}
