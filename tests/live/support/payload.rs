//! Deterministic payloads, one per shape that a client may get wrong, made once and kept in the target folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::luck::Luck;
use super::torrent::{EmptyFiles, HUB_ANNOUNCE, Torrent, assert_same_tree, copy_tree};

/// Content and its torrent.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    /// The file or folder itself.
    pub(crate) root: PathBuf,
    pub(crate) torrent: Torrent,
}

/// Raise this when what the makers below write changes: it names the kept folder.
const EDITION: u32 = 1;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// One file of many pieces, the last one short.
pub(crate) const ONE_FILE: &str = "one-file.bin";
/// Two thousand small files in forty folders.
pub(crate) const MANY_FILES: &str = "many-files";
/// Empty files first, last, in between, in a row and alone in a folder.
pub(crate) const EMPTY_FILES: &str = "empty-files";
/// Less than one block.
pub(crate) const TINY: &str = "tiny.txt";
/// The smallest usual pieces: one block each.
pub(crate) const SMALL_PIECES: &str = "small-pieces.bin";
/// Pieces of 16 MiB that run across file borders.
pub(crate) const BIG_PIECES: &str = "big-pieces";
/// A whole number of pieces.
pub(crate) const EXACT: &str = "exact.bin";

const MAKERS: [(&str, u64, fn(&Path)); 7] = [
    (ONE_FILE, 256 * KIB, |root| {
        write(root, 1, 20 * MIB + 12_345);
    }),
    (MANY_FILES, 32 * KIB, make_many_files),
    (EMPTY_FILES, 64 * KIB, make_empty_files),
    (TINY, 16 * KIB, |root| write(root, 4, 11)),
    (SMALL_PIECES, 16 * KIB, |root| write(root, 5, 4 * MIB + 1)),
    (BIG_PIECES, 16 * MIB, make_big_pieces),
    (EXACT, MIB, |root| write(root, 7, 6 * MIB)),
];

impl Payload {
    /// One of the payloads above, by name.
    pub(crate) fn named(name: &str) -> Self {
        let found = Self::all()
            .iter()
            .find(|payload| payload.torrent.name == name);
        found.unwrap_or_else(|| panic!("no payload {name}")).clone()
    }

    /// All shapes.
    pub(crate) fn all() -> &'static [Self] {
        static ALL: OnceLock<Vec<Payload>> = OnceLock::new();
        ALL.get_or_init(|| {
            let kept =
                Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("live-payloads-{EDITION}"));
            if !kept.exists() {
                // Another test process may be doing the same: whoever renames first wins.
                let parent = kept.parent().expect("below the target folder");
                let making = tempfile::tempdir_in(parent).expect("a folder");
                MAKERS.iter().for_each(|(name, piece_bytes, make)| {
                    let root = making.path().join(name);
                    make(&root);
                    Torrent::create(
                        &root,
                        *piece_bytes,
                        HUB_ANNOUNCE,
                        &making.path().join(format!("{name}.torrent")),
                    );
                });
                fs::rename(making.path(), &kept).ok();
            }
            let read = |(name, _, _): &(&str, u64, fn(&Path))| Self {
                root: kept.join(name),
                torrent: Torrent::read(&kept.join(format!("{name}.torrent"))),
            };
            MAKERS.iter().map(read).collect()
        })
    }

    /// One file of pseudo-random bytes in a folder of the test's own.
    pub(crate) fn single(
        folder: &Path,
        name: &str,
        seed: u64,
        bytes: u64,
        piece_bytes: u64,
    ) -> Self {
        let root = folder.join(name);
        write(&root, seed, bytes);
        let torrent = Torrent::create(
            &root,
            piece_bytes,
            HUB_ANNOUNCE,
            &folder.join(format!("{name}.torrent")),
        );
        Self { root, torrent }
    }

    /// Puts a copy of the content below `folder`, for a seeder that might write to it.
    pub(crate) fn place(&self, folder: &Path) {
        copy_tree(&self.root, &folder.join(&self.torrent.name));
    }

    /// Panics unless a download into `folder` is whole: by hashes, and by comparing every byte of every file.
    pub(crate) fn assert_downloaded(&self, folder: &Path) {
        self.torrent.assert_complete(folder);
        assert_same_tree(
            &self.root,
            &folder.join(&self.torrent.name),
            EmptyFiles::Owed,
        );
    }

    /// The same of another client's work.
    pub(crate) fn assert_downloaded_by_other(&self, folder: &Path) {
        self.torrent.assert_complete(folder);
        assert_same_tree(
            &self.root,
            &folder.join(&self.torrent.name),
            EmptyFiles::Optional,
        );
    }
}

fn write(path: &Path, seed: u64, bytes: u64) {
    let content = Luck::new(seed).bytes(usize::try_from(bytes).expect("fits"));
    fs::create_dir_all(path.parent().expect("below a folder")).expect("a folder");
    fs::write(path, content).expect("a file");
}

fn make_many_files(root: &Path) {
    let mut luck = Luck::new(2);
    for number in 0..2_000_u64 {
        let size = luck.between(1, 8 * KIB);
        write(
            &root.join(format!("folder {:02}/file {number:04}.dat", number % 40)),
            1_000 + number,
            size,
        );
    }
}

fn make_empty_files(root: &Path) {
    let sizes = [
        ("00 empty", 0),
        ("10 data", 300_000),
        ("20 empty", 0),
        ("21 empty", 0),
        ("30 data", 1),
        ("35 deep/er/empty", 0),
        ("40 data", 700_001),
        ("90 empty", 0),
    ];
    for (seed, (name, size)) in (30..).zip(sizes) {
        write(&root.join(name), seed, size);
    }
}

fn make_big_pieces(root: &Path) {
    write(&root.join("a.bin"), 60, 23 * MIB + 5);
    write(&root.join("b.bin"), 61, 10 * MIB + 777);
    write(&root.join("c.bin"), 62, 3);
}
