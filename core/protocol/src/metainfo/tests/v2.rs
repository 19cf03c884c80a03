//! Info dictionaries of v2 and hybrid torrents, and piece layers.

use dunlin_base::limits::{DIRECTORY_DEPTH_MAX, PATHS_BYTES_MAX};
use dunlin_base::{InfoHash, PieceIndex};
use sha2::{Digest as _, Sha256};

use super::*;

const PIECE: u64 = 32_768;

fn leaf(dict: &mut DictEncoder<'_>, name: &str, length: u64, root: u8) {
    dict.entry(name, |node| {
        node.dict(|dict| {
            dict.entry("", |file| {
                file.dict(|dict| {
                    dict.int("length", length);
                    if length > 0 {
                        dict.bytes("pieces root", [root; 32]);
                    }
                });
            });
        });
    });
}

fn v2(name: &str, piece_bytes: u64, tree: impl FnOnce(&mut DictEncoder<'_>)) -> Vec<u8> {
    info(|dict| {
        dict.entry("file tree", |value| value.dict(tree));
        dict.int("meta version", 2);
        dict.bytes("name", name);
        dict.int("piece length", piece_bytes);
    })
}

fn tree(dict: &mut DictEncoder<'_>) {
    dict.entry("dir", |node| {
        node.dict(|dict| {
            leaf(dict, "a", 5, 1);
            leaf(dict, "empty", 0, 0);
        });
    });
    leaf(dict, "z", PIECE + 1, 2);
}

#[test]
fn each_file_of_a_tree_begins_on_a_piece() {
    let bytes = v2("top", PIECE, tree);
    let info = Info::parse(&bytes).unwrap();
    assert_eq!(info.version(), Version::V2);
    assert_eq!(
        paths(&info),
        ["top/dir/a", "top/dir/empty", "top/.pad", "top/z"]
    );
    let files = info.files();
    assert!(files[2].attributes.padding);
    let ranges: Vec<_> = files.iter().map(FileEntry::range).collect();
    assert_eq!(ranges, [0..5, 5..5, 5..PIECE, PIECE..2 * PIECE + 1]);
    assert_eq!(files[0].pieces_root, Some([1; 32]));
    assert_eq!(files[1].pieces_root, None);
    assert_eq!(info.geometry().total_bytes(), 2 * PIECE + 1);
    assert_eq!(info.piece_hash(PieceIndex(0)), None);
    let hash: [u8; 32] = Sha256::digest(&bytes).into();
    assert_eq!(info.info_hash_v2().unwrap().as_bytes(), &hash);
    assert_eq!(info.info_hash(), InfoHash(hash[..20].try_into().unwrap()));
}

#[test]
fn a_tree_of_one_file_of_the_torrents_name_has_no_folder() {
    for (name, single, path) in [("one", true, "one"), ("top", false, "top/one")] {
        let info = Info::parse(&v2(name, PIECE, |dict| leaf(dict, "one", 5, 1))).unwrap();
        assert_eq!(info.is_single_file(), single);
        assert_eq!(paths(&info), [path]);
    }
}

fn hybrid(v1: &[(&str, u64, bool)], pieces: usize) -> Vec<u8> {
    info(|dict| {
        dict.entry("file tree", |value| value.dict(tree));
        dict.entry("files", |value| {
            value.list(|list| {
                for (path, length, padding) in v1 {
                    list.dict(|dict| {
                        dict.bytes("attr", if *padding { "p" } else { "" });
                        dict.int("length", *length);
                        dict.entry("path", |value| {
                            value.list(|names| path.split('/').for_each(|name| names.bytes(name)));
                        });
                    });
                }
            });
        });
        dict.int("meta version", 2);
        dict.bytes("name", "top");
        dict.int("piece length", PIECE);
        dict.bytes("pieces", vec![0; pieces * 20]);
    })
}

#[test]
fn hybrids_have_both_hashes_when_both_lists_agree() {
    let good = [
        ("dir/a", 5, false),
        ("dir/empty", 0, false),
        (".pad/32763", PIECE - 5, true),
        ("z", PIECE + 1, false),
    ];
    let bytes = hybrid(&good, 3);
    let info = Info::parse(&bytes).unwrap();
    assert_eq!(info.version(), Version::Hybrid);
    assert_eq!(info.files()[3].pieces_root, Some([2; 32]));
    assert!(info.piece_hash(PieceIndex(2)).is_some());
    assert!(info.info_hash_v2().is_some());
    assert_ne!(
        info.info_hash().as_bytes()[..],
        info.info_hash_v2().unwrap().as_bytes()[..20]
    );
    let mut with_tail = good.to_vec();
    with_tail.push((".pad/32767", PIECE - 1, true));
    assert!(Info::parse(&hybrid(&with_tail, 3)).is_ok());

    let changed = |index: usize, file| {
        let mut files = good.to_vec();
        files[index] = file;
        hybrid(&files, 3)
    };
    for bytes in [
        changed(0, ("dir/b", 5, false)),
        changed(0, ("dir/a", 6, false)),
        changed(2, (".pad/1", PIECE - 6, true)),
        changed(2, (".pad/1", PIECE - 5, false)),
        hybrid(&good[..3], 1),
        hybrid(&[good[1], good[0], good[2], good[3]], 3),
    ] {
        assert_eq!(kind(&bytes), MetainfoErrorKind::HybridMismatch);
    }
}

/// An info dictionary around the bencode of a tree.
fn around(tree: &str) -> Vec<u8> {
    format!("d9:file tree{tree}12:meta versioni2e4:name1:x12:piece lengthi32768ee").into_bytes()
}

#[test]
fn piece_lengths_that_are_no_power_of_two_are_refused() {
    for piece_bytes in [0, 8192, 16_383, 3 * 16_384] {
        assert_eq!(
            kind(&v2("top", piece_bytes, tree)),
            MetainfoErrorKind::PieceLengthV2(piece_bytes)
        );
    }
}

#[test]
fn malformed_trees_are_refused() {
    let missing = |field| MetainfoErrorKind::Missing { field };
    let short = MetainfoErrorKind::HashLength {
        expected: 32,
        got: 5,
    };
    for (tree, expected) in [
        ("de", MetainfoErrorKind::NoFiles),
        ("d1:ddee", MetainfoErrorKind::NoFiles),
        ("d0:d0:d6:lengthi0eeee", MetainfoErrorKind::FileTree),
        (
            "d1:fd0:d6:lengthi0ee1:gd0:d6:lengthi0eeeee",
            MetainfoErrorKind::FileTree,
        ),
        ("d1:fd0:deee", missing("length")),
        ("d1:fd0:d6:lengthi1eeee", missing("pieces root")),
        ("d1:fd0:d6:lengthi1e11:pieces root5:shorteee", short),
    ] {
        assert_eq!(kind(&around(tree)), expected, "{tree}");
    }
    let no_tree = b"d12:meta versioni2e4:name1:x12:piece lengthi32768ee";
    assert_eq!(kind(no_tree), missing("file tree"));
    let overflowing = v2("x", PIECE, |dict| {
        leaf(dict, "a", u64::MAX, 1);
        leaf(dict, "b", 1, 1);
    });
    assert_eq!(kind(&overflowing), MetainfoErrorKind::TotalLength);
}

#[test]
fn trees_are_bounded_in_depth_and_in_the_paths_that_they_spell() {
    // Each folder is a level of bencode and one more is the file's own, so that the limit of
    // bencode is met before that of folders.
    let nested = |depth: usize| {
        let (open, close) = ("d1:d".repeat(depth), "e".repeat(depth));
        around(&format!("{open}d0:d6:lengthi0eee{close}"))
    };
    assert!(Info::parse(&nested(DIRECTORY_DEPTH_MAX - 3)).is_ok());
    assert!(Info::parse(&nested(DIRECTORY_DEPTH_MAX - 2)).is_err());

    // Forty folders with long names, said once, for thousands of files.
    let long = "n".repeat(250);
    let open = format!("d250:{long}").repeat(40);
    let files: String = (1000..9000)
        .map(|n| format!("4:{n}d0:d6:lengthi0eee"))
        .collect();
    let bytes = around(&format!("{open}d{files}e{}", "e".repeat(40)));
    let max = PATHS_BYTES_MAX;
    assert_eq!(kind(&bytes), MetainfoErrorKind::PathsTooLong { max });
}

fn parent(left: [u8; 32], right: [u8; 32]) -> [u8; 32] {
    Sha256::digest([left, right].concat()).into()
}

/// A v2 torrent of one file of three pieces of two blocks, with a layer.
fn layered(length: u64, layer: &[u8], root: [u8; 32]) -> Vec<u8> {
    let info = v2("f", PIECE, |dict| {
        dict.entry("f", |node| {
            node.dict(|dict| {
                dict.entry("", |file| {
                    file.dict(|dict| {
                        dict.int("length", length);
                        dict.bytes("pieces root", root);
                    });
                });
            });
        });
    });
    Encoder::document(|dict| {
        dict.entry("info", |value| value.raw(&info));
        dict.entry("piece layers", |value| {
            value.dict(|dict| dict.bytes(root, layer));
        });
    })
}

#[test]
fn piece_layers_have_to_match_their_root() {
    let layer = [[1; 32], [2; 32], [3; 32]].concat();
    let absent = parent([0; 32], [0; 32]);
    let root = parent(parent([1; 32], [2; 32]), parent([3; 32], absent));
    let metainfo = Metainfo::parse(&layered(3 * PIECE, &layer, root)).unwrap();
    assert_eq!(metainfo.piece_layers.get(&root), Some(&layer[..]));
    assert_eq!(Metainfo::parse(&metainfo.write()).unwrap(), metainfo);

    let error = |length, layer: &[u8], root| {
        Metainfo::parse(&layered(length, layer, root))
            .unwrap_err()
            .kind
    };
    assert_eq!(
        error(3 * PIECE, &layer[..64], root),
        MetainfoErrorKind::PieceLayerLength {
            expected: 96,
            got: 64
        }
    );
    assert_eq!(
        error(4 * PIECE, &layer, root),
        MetainfoErrorKind::PieceLayerLength {
            expected: 128,
            got: 96
        }
    );
    assert_eq!(
        error(3 * PIECE, &layer, [9; 32]),
        MetainfoErrorKind::PieceLayerRoot
    );
    // A file of one piece has no layer, and what is no file's layer is nobody's.
    let metainfo = Metainfo::parse(&layered(PIECE, &layer, root)).unwrap();
    assert!(metainfo.piece_layers.is_empty());
    // A torrent without layers asks peers for them.
    let bare = Metainfo::parse(&torrent(metainfo.info.raw())).unwrap();
    assert_eq!(bare.info, metainfo.info);
}
