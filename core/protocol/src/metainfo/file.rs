//! One file of a torrent.

use core::ops::Range;

use super::safe_path::SafePath;

/// One file of a torrent. Files lie in the torrent's byte space without gaps, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileEntry {
    /// Where the file lies under the download folder. In a torrent of several files it begins with
    /// the torrent's name. Unique in the torrent but for padding, which is never on disk.
    pub path: SafePath,
    /// The names as the torrent spells them, joined by `/`, when they differ from [`Self::path`].
    /// Web seeds know the file by these (BEP 19).
    pub raw_path: Option<Box<[u8]>>,
    /// Length in bytes.
    pub length: u64,
    /// Offset of the file's first byte in the torrent.
    pub offset: u64,
    /// What BEP 47 says of the file.
    pub attributes: FileAttributes,
    /// The file of this torrent that this symbolic link (BEP 47) leads to. Links that lead anywhere
    /// else are left as empty files.
    pub symlink: Option<SafePath>,
    /// SHA-1 of the content (BEP 47). A hint: pieces are what is verified.
    pub sha1: Option<[u8; 20]>,
    /// Root of the file's merkle tree (BEP 52), unless the file is empty or the torrent is v1.
    pub pieces_root: Option<[u8; 32]>,
}

impl FileEntry {
    /// Where the file lies in the torrent.
    #[must_use]
    pub const fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.length
    }

    /// The path as the torrent spells it, joined by `/`.
    #[must_use]
    pub fn raw_path(&self) -> &[u8] {
        match &self.raw_path {
            Some(raw) => raw,
            None => self.path.as_str().as_bytes(),
        }
    }
}

/// The attributes of BEP 47 that are plain flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FileAttributes {
    /// Zeros that align the next file (`p`): never stored, never requested from a disk.
    pub padding: bool,
    /// The file is a program (`x`).
    pub executable: bool,
    /// The file is hidden (`h`).
    pub hidden: bool,
}
