//! Arbitrary and mutated torrents.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What holds of every torrent that was read.
fn assert_sound(info: &Info) {
    let mut offset = 0;
    let mut seen = BTreeSet::new();
    for file in info.files() {
        assert_eq!(file.offset, offset, "no gaps");
        offset += file.length;
        assert!(file.attributes.padding || seen.insert(&file.path), "unique");
        assert!(
            file.path
                .names()
                .all(|name| !matches!(name, "" | "." | ".."))
        );
        assert!(info.is_single_file() || file.path.names().next() == Some(info.name()));
        if let Some(target) = &file.symlink {
            assert!(info.files().iter().any(|file| file.path == *target));
        }
    }
    assert_eq!(offset, info.geometry().total_bytes());
    let hashes = info
        .geometry()
        .pieces()
        .filter(|piece| info.piece_hash(*piece).is_some());
    let expected = if info.version().has_v1() {
        info.geometry().piece_count()
    } else {
        0
    };
    assert_eq!(hashes.count(), expected as usize);
}

fn names() -> impl Strategy<Value = Vec<String>> {
    vec("(a|B|\\.\\.|con|é|[a-c./ ]{0,4})", 0..4)
}

prop_compose! {
    fn torrents()(
        name in "\\PC{0,12}",
        files in vec((names(), 0_u64..50_000, any::<bool>()), 1..12),
        tiers in vec(vec("http://[a-z]{1,5}", 1..3), 0..3),
        private in any::<bool>(),
        comment in proptest::option::of("\\PC{0,20}"),
    ) -> Metainfo {
        let mut known = BTreeSet::new();
        let tiers: Vec<Vec<String>> = tiers
            .into_iter()
            .map(|tier| tier.into_iter().filter(|url| known.insert(url.clone())).collect())
            .filter(|tier: &Vec<_>| !tier.is_empty())
            .collect();
        let files = files
            .into_iter()
            .map(|(path, length, executable)| NewFile {
                path,
                length,
                attributes: FileAttributes { executable, ..FileAttributes::default() },
            })
            .collect();
        let mut builder = MetainfoBuilder::folder(name, files, 16_384).private(private).tiers(tiers);
        if let Some(comment) = comment {
            builder = builder.comment(comment);
        }
        let pieces = builder.geometry().unwrap().piece_count() as usize;
        builder.build(&vec![[9; 20]; pieces]).unwrap()
    }
}

proptest! {
    #[test]
    fn what_is_built_is_sound_and_read_again(metainfo in torrents()) {
        assert_sound(&metainfo.info);
        let written = metainfo.write();
        prop_assert_eq!(Metainfo::parse(&written).unwrap(), metainfo);
    }

    #[test]
    fn mutated_torrents_never_panic(
        metainfo in torrents(),
        edits in vec((any::<prop::sample::Index>(), prop::sample::select(b"ilde0123456789:-\xff".to_vec())), 1..6),
    ) {
        let mut bytes = metainfo.write();
        for (index, byte) in edits {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(metainfo) = Metainfo::parse(&bytes) {
            assert_sound(&metainfo.info);
            prop_assert_eq!(Metainfo::parse(&metainfo.write()).unwrap(), metainfo);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert!(Metainfo::parse(&bytes).is_err());
        prop_assert!(Info::parse(&bytes).is_err());
    }
}
