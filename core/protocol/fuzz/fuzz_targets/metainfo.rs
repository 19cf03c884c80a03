//! Arbitrary bytes as a .torrent file and as an info dictionary: paths are safe and unique, files
//! fill the byte space, and writing keeps what was read.

#![no_main]

use std::collections::BTreeSet;

use dunlin_protocol::metainfo::{Info, Metainfo};
use libfuzzer_sys::fuzz_target;

fn check(info: &Info) {
    let mut offset = 0;
    let mut seen = BTreeSet::new();
    for file in info.files() {
        assert_eq!(file.offset, offset);
        offset += file.length;
        assert!(file.attributes.padding || seen.insert(file.path.as_str()));
        for name in file.path.names() {
            assert!(!matches!(name, "" | "." | "..") && name.len() <= 255);
            assert!(!name.contains(['/', '\\', '\0']) && !name.ends_with(['.', ' ']));
        }
    }
    for link in info.files().iter().filter_map(|file| file.symlink.as_ref()) {
        assert!(seen.contains(link.as_str()) || info.files().iter().any(|file| file.path == *link));
    }
    assert_eq!(offset, info.geometry().total_bytes());
    for piece in info.geometry().pieces() {
        assert_eq!(info.piece_hash(piece).is_some(), info.version().has_v1());
    }
    assert_eq!(Info::parse(info.raw()).as_ref(), Ok(info));
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(info) = Info::parse(bytes) {
        check(&info);
    }
    if let Ok(metainfo) = Metainfo::parse(bytes) {
        check(&metainfo.info);
        assert_eq!(Metainfo::parse(&metainfo.write()), Ok(metainfo));
    }
});
