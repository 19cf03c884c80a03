//! Makes new v1 torrents.

use std::sync::Arc;

use dunlin_base::{BLOCK_BYTES, Geometry, GeometryError};

use super::error::{MetainfoError, MetainfoErrorKind};
use super::file::FileAttributes;
use super::info::Info;
use super::torrent::Metainfo;
use crate::bencode::{DictEncoder, Encoder};

/// A file that a new torrent shall have.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NewFile {
    /// The names from the torrent's folder to the file.
    pub path: Vec<String>,
    /// Length in bytes.
    pub length: u64,
    /// What BEP 47 says of the file.
    pub attributes: FileAttributes,
}

/// Makes a v1 torrent (BEP 3) of a list of files and the hashes of their pieces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MetainfoBuilder {
    name: String,
    content: Content,
    piece_bytes: u32,
    private: bool,
    source: Option<String>,
    tiers: Vec<Vec<String>>,
    web_seeds: Vec<String>,
    comment: Option<String>,
    created_by: Option<String>,
    creation_date: Option<i64>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Content {
    File(u64),
    Folder(Vec<NewFile>),
}

impl MetainfoBuilder {
    /// A torrent that is one file.
    #[must_use]
    pub fn single_file(name: impl Into<String>, length: u64, piece_bytes: u32) -> Self {
        Self::new(name.into(), Content::File(length), piece_bytes)
    }

    /// A torrent that is a folder of files, in this order.
    #[must_use]
    pub fn folder(name: impl Into<String>, files: Vec<NewFile>, piece_bytes: u32) -> Self {
        Self::new(name.into(), Content::Folder(files), piece_bytes)
    }

    const fn new(name: String, content: Content, piece_bytes: u32) -> Self {
        Self {
            name,
            content,
            piece_bytes,
            private: false,
            source: None,
            tiers: Vec::new(),
            web_seeds: Vec::new(),
            comment: None,
            created_by: None,
            creation_date: None,
        }
    }

    /// Lets peers come from the trackers alone (BEP 27).
    #[must_use]
    pub const fn private(mut self, private: bool) -> Self {
        self.private = private;
        self
    }

    /// Names the tracker that the torrent is for, which gives it an info hash of its own.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The trackers in tiers (BEP 12).
    #[must_use]
    pub fn tiers(mut self, tiers: Vec<Vec<String>>) -> Self {
        self.tiers = tiers;
        self
    }

    /// The web seeds (BEP 19).
    #[must_use]
    pub fn web_seeds(mut self, urls: Vec<String>) -> Self {
        self.web_seeds = urls;
        self
    }

    /// What there is to say of the torrent.
    #[must_use]
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }

    /// The program that makes the torrent.
    #[must_use]
    pub fn created_by(mut self, program: impl Into<String>) -> Self {
        self.created_by = Some(program.into());
        self
    }

    /// When it is made, in seconds since 1970.
    #[must_use]
    pub const fn creation_date(mut self, unix_secs: i64) -> Self {
        self.creation_date = Some(unix_secs);
        self
    }

    /// The pieces that have to be hashed.
    ///
    /// # Errors
    /// When the piece length or the number of pieces is out of bounds.
    pub fn geometry(&self) -> Result<Geometry, GeometryError> {
        let total = match &self.content {
            Content::File(length) => *length,
            Content::Folder(files) => files
                .iter()
                .fold(0_u64, |total, file| total.saturating_add(file.length)),
        };
        Geometry::new(total, u64::from(self.piece_bytes))
    }

    /// The torrent with these SHA-1 hashes, one for each piece of [`Self::geometry`].
    ///
    /// # Errors
    /// When the torrent is one that [`Info::parse`] would refuse.
    pub fn build(&self, piece_hashes: &[[u8; 20]]) -> Result<Metainfo, MetainfoError> {
        self.geometry()
            .map_err(|error| MetainfoError::new(0, MetainfoErrorKind::Geometry(error)))?;
        let info = Info::parse_vec(self.write_info(piece_hashes))?;
        Ok(Metainfo {
            tiers: self.tiers.clone(),
            web_seeds: self.web_seeds.clone(),
            comment: self.comment.clone(),
            created_by: self.created_by.clone(),
            creation_date: self.creation_date,
            ..Metainfo::new(Arc::new(info))
        })
    }

    fn write_info(&self, piece_hashes: &[[u8; 20]]) -> Vec<u8> {
        Encoder::document(|info| {
            match &self.content {
                Content::File(length) => info.int("length", *length),
                Content::Folder(files) => info.entry("files", |value| {
                    value.list(|list| {
                        for file in files {
                            list.dict(|dict| write_file(dict, file));
                        }
                    });
                }),
            }
            info.bytes("name", &self.name);
            info.int("piece length", self.piece_bytes);
            info.bytes("pieces", piece_hashes.as_flattened());
            if self.private {
                info.int("private", 1);
            }
            if let Some(source) = &self.source {
                info.bytes("source", source);
            }
        })
    }
}

fn write_file(dict: &mut DictEncoder<'_>, file: &NewFile) {
    let flags = [
        (file.attributes.padding, 'p'),
        (file.attributes.executable, 'x'),
        (file.attributes.hidden, 'h'),
    ];
    let attributes: String = flags
        .into_iter()
        .filter_map(|(set, letter)| set.then_some(letter))
        .collect();
    if !attributes.is_empty() {
        dict.bytes("attr", &attributes);
    }
    dict.int("length", file.length);
    dict.entry("path", |value| {
        value.list(|list| file.path.iter().for_each(|name| list.bytes(name)));
    });
}

/// A piece length for new torrents: a power of two from 16 KiB to 16 MiB that gives about a
/// thousand to two thousand pieces, so that neither hashes nor pieces grow large.
#[must_use]
pub fn recommended_piece_bytes(total_bytes: u64) -> u32 {
    const PIECES_WANTED: u64 = 2048;
    const PIECE_BYTES_WANTED_MAX: u64 = 16 * 1024 * 1024;
    let smallest = u64::from(BLOCK_BYTES);
    let wanted = (total_bytes / PIECES_WANTED).clamp(smallest, PIECE_BYTES_WANTED_MAX);
    // Both bounds are powers of two, so that rounding up stays between them.
    wanted.next_power_of_two() as u32
}
