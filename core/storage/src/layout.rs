//! Which bytes of a torrent lie in which file.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use dunlin_base::{Geometry, PieceIndex, limits};

/// Number of a file in its torrent, in the order of the metainfo.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FileIndex(pub u32);

/// One file of a torrent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FileSpec {
    /// Where it lies below the download folder; already made safe, and checked again here.
    pub path: PathBuf,
    /// Its length in bytes.
    pub length: u64,
    /// Whether it is padding (BEP 47): its bytes are zeros and it is never on disk.
    pub pad: bool,
    /// Whether it gets the executable bit when it is complete (BEP 47).
    pub executable: bool,
    /// What it links to (BEP 47), below the download folder like `path`; such a file has no bytes.
    pub symlink: Option<PathBuf>,
}

/// A torrent's files laid end to end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileLayout {
    files: Vec<FileSpec>,
    /// Offset in the torrent of each file's first byte but the first's, which is 0: most torrents
    /// of thousands are one file.
    starts: Box<[u64]>,
    geometry: Geometry,
}

/// A run of bytes inside one file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// Which file.
    pub file: FileIndex,
    /// Offset of the first byte in that file.
    pub file_offset: u64,
    /// Number of bytes; never zero.
    pub len: u64,
    /// Whether the bytes are zeros that are never on disk.
    pub pad: bool,
}

/// Files that are no torrent.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LayoutError {
    /// More than [`limits::FILES_MAX`] files.
    #[error("{0} files are more than {max}", max = limits::FILES_MAX)]
    TooManyFiles(usize),
    /// The lengths do not add up to the torrent's size.
    #[error("the files have {files} bytes, the pieces {pieces}")]
    Length {
        /// Sum of the lengths, or `u64::MAX` when that overflows.
        files: u64,
        /// Bytes of the geometry.
        pieces: u64,
    },
    /// A path that is empty, absolute or leaves its folder.
    #[error("the path {0:?} is not safe")]
    UnsafePath(PathBuf),
    /// Two files at one place, or a file where another needs a folder.
    #[error("two files want the path {0:?}")]
    Collision(PathBuf),
    /// A symbolic link with content.
    #[error("the symbolic link {0:?} has a length")]
    LinkWithLength(PathBuf),
}

impl FileLayout {
    /// Lays `files` end to end over the bytes of `geometry`.
    ///
    /// # Errors
    /// When the lengths do not add up, there are too many files, or paths are unsafe or collide.
    pub fn new(files: Vec<FileSpec>, geometry: Geometry) -> Result<Self, LayoutError> {
        if files.len() > limits::FILES_MAX {
            return Err(LayoutError::TooManyFiles(files.len()));
        }
        check_paths(&files)?;
        let mut starts = Vec::with_capacity(files.len().saturating_sub(1));
        let mut end = 0_u64;
        for (at, file) in files.iter().enumerate() {
            if at > 0 {
                starts.push(end);
            }
            end = end.saturating_add(file.length);
        }
        if end != geometry.total_bytes() {
            return Err(LayoutError::Length {
                files: end,
                pieces: geometry.total_bytes(),
            });
        }
        Ok(Self {
            files,
            starts: starts.into(),
            geometry,
        })
    }

    /// How the torrent is cut into pieces.
    #[must_use]
    pub const fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The files, in the order of the metainfo.
    #[must_use]
    pub fn files(&self) -> &[FileSpec] {
        &self.files
    }

    /// Every file with its number.
    pub fn iter(&self) -> impl Iterator<Item = (FileIndex, &FileSpec)> {
        (0..).map(FileIndex).zip(&self.files)
    }

    /// One file.
    ///
    /// # Panics
    /// When the file is not of this torrent.
    #[must_use]
    pub fn file(&self, file: FileIndex) -> &FileSpec {
        &self.files[file.0 as usize]
    }

    /// The offsets in the torrent that a file takes.
    ///
    /// # Panics
    /// When the file is not of this torrent.
    #[must_use]
    pub fn range_of(&self, file: FileIndex) -> Range<u64> {
        let start = self.start(file.0 as usize);
        start..start + self.file(file).length
    }

    fn start(&self, index: usize) -> u64 {
        index.checked_sub(1).map_or(0, |before| self.starts[before])
    }

    /// The pieces that hold any byte of a file; empty for a file without bytes.
    ///
    /// # Panics
    /// When the file is not of this torrent.
    #[must_use]
    pub fn pieces_of(&self, file: FileIndex) -> Range<u32> {
        self.geometry.pieces_of(self.range_of(file))
    }

    /// The spans that hold `len` bytes from `offset` in the torrent, in order, without gaps.
    ///
    /// # Panics
    /// When the bytes are not all of this torrent: offsets are checked where they enter.
    pub fn spans(&self, offset: u64, len: u64) -> impl Iterator<Item = Span> + '_ {
        let end = offset.checked_add(len);
        assert!(
            end.is_some_and(|end| end <= self.geometry.total_bytes()),
            "{len} bytes at {offset} of {}",
            self.geometry.total_bytes()
        );
        let end = offset + len;
        // The last file that starts at or before the offset. Files without bytes share their
        // start with the next file, so the last one is the one with bytes.
        let first = self.starts.partition_point(|&start| start <= offset);
        let mut at = offset;
        (first..self.files.len())
            .map_while(move |index| {
                if at == end {
                    return None;
                }
                let (file, start) = (&self.files[index], self.start(index));
                let span = Span {
                    file: FileIndex(index as u32),
                    file_offset: at - start,
                    len: (start + file.length).min(end) - at,
                    pad: file.pad,
                };
                at += span.len;
                Some(span)
            })
            .filter(|span| span.len > 0)
    }

    /// The spans of one piece.
    ///
    /// # Panics
    /// When the piece is not of this torrent.
    pub fn spans_of_piece(&self, piece: PieceIndex) -> impl Iterator<Item = Span> + '_ {
        let len = u64::from(self.geometry.piece_len(piece));
        self.spans(self.geometry.piece_start(piece), len)
    }
}

/// Whether a path is a non-empty list of plain names.
fn is_safe(path: &Path) -> bool {
    // The text is compared as well because `components` drops what it thinks redundant (`a/./b`,
    // `a//b`), and two spellings of one path would not be seen to collide.
    let plain = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let rebuilt: PathBuf = path.components().collect();
    plain && !path.as_os_str().is_empty() && rebuilt.as_os_str() == path.as_os_str()
}

fn check_paths(files: &[FileSpec]) -> Result<(), LayoutError> {
    let mut taken = BTreeSet::new();
    let mut folders = BTreeSet::new();
    for file in files.iter().filter(|file| !file.pad) {
        let paths = std::iter::once(&file.path).chain(&file.symlink);
        if let Some(path) = paths.into_iter().find(|path| !is_safe(path)) {
            return Err(LayoutError::UnsafePath(path.clone()));
        }
        if file.symlink.is_some() && file.length > 0 {
            return Err(LayoutError::LinkWithLength(file.path.clone()));
        }
        if !taken.insert(file.path.as_path()) {
            return Err(LayoutError::Collision(file.path.clone()));
        }
        folders.extend(file.path.ancestors().skip(1));
    }
    match taken.intersection(&folders).next() {
        Some(path) => Err(LayoutError::Collision(path.to_path_buf())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spec(path: &str, length: u64) -> FileSpec {
        FileSpec {
            path: path.into(),
            length,
            ..FileSpec::default()
        }
    }

    fn layout(files: Vec<FileSpec>) -> Result<FileLayout, LayoutError> {
        let total = files.iter().map(|file| file.length).sum();
        FileLayout::new(files, Geometry::new(total, 16).unwrap())
    }

    #[test]
    fn unsafe_paths_are_refused() {
        for path in [
            "", "/a", "../a", "a/../b", "./a", "a/./b", "a//b", "a/", ".",
        ] {
            let refused = layout(vec![spec(path, 1)]);
            assert_eq!(
                refused,
                Err(LayoutError::UnsafePath(path.into())),
                "{path:?}"
            );
            let link = FileSpec {
                symlink: Some(path.into()),
                ..spec("link", 0)
            };
            assert!(layout(vec![link]).is_err(), "{path:?}");
        }
    }

    #[test]
    fn files_at_one_place_are_refused() {
        let twice = layout(vec![spec("a/b", 1), spec("a/b", 1)]);
        assert_eq!(twice, Err(LayoutError::Collision("a/b".into())));
        let inside = layout(vec![spec("a/b/c", 1), spec("a/b", 1)]);
        assert_eq!(inside, Err(LayoutError::Collision("a/b".into())));
        let pads = FileSpec {
            pad: true,
            ..spec(".pad/1", 1)
        };
        assert!(layout(vec![pads.clone(), spec("a", 1), pads]).is_ok());
    }

    #[test]
    fn lengths_must_add_up() {
        let geometry = Geometry::new(10, 16).unwrap();
        let files = vec![spec("a", u64::MAX), spec("b", 2)];
        let refused = FileLayout::new(files, geometry);
        let expected = LayoutError::Length {
            files: u64::MAX,
            pieces: 10,
        };
        assert_eq!(refused, Err(expected));
    }

    #[test]
    fn files_without_bytes_have_no_pieces_and_no_spans() {
        let layout = layout(vec![
            spec("a", 0),
            spec("b", 20),
            spec("c", 0),
            spec("d", 5),
            spec("e", 0),
        ])
        .unwrap();
        let files: Vec<_> = layout.spans(0, 25).map(|span| span.file.0).collect();
        assert_eq!(files, [1, 3]);
        assert_eq!(layout.spans(20, 1).next().unwrap().file, FileIndex(3));
        assert_eq!(layout.spans(25, 0).count(), 0);
        assert_eq!(layout.pieces_of(FileIndex(2)), 0..0);
        assert_eq!(layout.pieces_of(FileIndex(3)), 1..2);
    }

    proptest! {
        #[test]
        fn spans_cover_every_byte_once(
            lengths in prop::collection::vec((0_u64..40, any::<bool>()), 1..50),
            from in 0_u64..1000,
            until in 0_u64..1000,
        ) {
            let files: Vec<_> = lengths.iter().enumerate().map(|(at, &(length, pad))| FileSpec {
                pad,
                ..spec(&format!("f{at}"), length)
            }).collect();
            let layout = layout(files).unwrap();
            let total = layout.geometry().total_bytes();
            let (from, until) = (from.min(total), until.min(total));
            let (from, until) = (from.min(until), from.max(until));

            let mut at = from;
            for span in layout.spans(from, until - from) {
                let range = layout.range_of(span.file);
                prop_assert!(span.len > 0);
                prop_assert_eq!(range.start + span.file_offset, at);
                prop_assert!(at + span.len <= range.end);
                prop_assert_eq!(span.pad, layout.file(span.file).pad);
                at += span.len;
            }
            prop_assert_eq!(at, until);
        }
    }
}
