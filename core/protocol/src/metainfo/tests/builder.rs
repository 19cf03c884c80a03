//! New torrents.

use dunlin_base::{GeometryError, PieceIndex};

use super::*;

#[test]
fn a_built_torrent_is_read_again() {
    let files = vec![
        NewFile {
            path: vec!["a".to_owned(), "b".to_owned()],
            length: 20_000,
            ..NewFile::default()
        },
        NewFile {
            path: vec!["run".to_owned()],
            length: 1,
            attributes: FileAttributes {
                executable: true,
                ..FileAttributes::default()
            },
        },
    ];
    let builder = MetainfoBuilder::folder("top", files, 16_384)
        .private(true)
        .source("TRK")
        .tiers(vec![
            vec!["http://t/a".to_owned()],
            vec!["udp://u:1".to_owned()],
        ])
        .web_seeds(vec!["http://w/".to_owned()])
        .comment("words")
        .created_by("test")
        .creation_date(5);
    assert_eq!(builder.geometry().unwrap().piece_count(), 2);
    let metainfo = builder.build(&[[1; 20], [2; 20]]).unwrap();
    let info = &metainfo.info;
    assert_eq!(paths(info), ["top/a/b", "top/run"]);
    assert!(info.files()[1].attributes.executable && info.is_private());
    assert_eq!(info.source(), Some("TRK"));
    assert_eq!(info.piece_hash(PieceIndex(1)), Some(&[2; 20]));
    assert_eq!(Metainfo::parse(&metainfo.write()).unwrap(), metainfo);
}

#[test]
fn a_single_file_is_built_too() {
    let metainfo = MetainfoBuilder::single_file("f.bin", 5, 16_384)
        .build(&[[3; 20]])
        .unwrap();
    assert!(metainfo.info.is_single_file());
    assert_eq!(paths(&metainfo.info), ["f.bin"]);
    assert_eq!(Metainfo::parse(&metainfo.write()).unwrap(), metainfo);
}

#[test]
fn a_torrent_that_would_be_refused_is_not_built() {
    let build = |length, piece_bytes, hashes: &[[u8; 20]]| {
        MetainfoBuilder::single_file("f", length, piece_bytes)
            .build(hashes)
            .unwrap_err()
            .kind
    };
    assert_eq!(
        build(1, 0, &[]),
        MetainfoErrorKind::Geometry(GeometryError::PieceLength(0))
    );
    assert_eq!(
        build(1, 16_384, &[]),
        MetainfoErrorKind::PieceHashes {
            expected: 20,
            got: 0
        }
    );
    assert_eq!(
        MetainfoBuilder::folder("f", Vec::new(), 16_384)
            .build(&[])
            .unwrap_err()
            .kind,
        MetainfoErrorKind::NoFiles
    );
}

#[test]
fn piece_lengths_grow_with_the_content() {
    for (total, piece_bytes) in [
        (0, 16 << 10),
        (32 << 20, 16 << 10),
        ((32 << 20) + 2048, 32 << 10),
        (1 << 30, 512 << 10),
        (u64::MAX, 16 << 20),
    ] {
        assert_eq!(recommended_piece_bytes(total), piece_bytes);
    }
}
