//! A torrent to add: what it is, and what shall happen with it.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use dunlin_base::{InfoHash, limits};
use dunlin_port::config::{PickStrategy, Preallocation};
use dunlin_port::disk::Check;
use dunlin_port::user::{FilePriority, MagnetFiles, TorrentLimits};
use dunlin_protocol::magnet::Magnet;
use dunlin_protocol::metainfo::{Info, Metainfo, MetainfoError};

use super::AddError;

/// A torrent to add, made from a [`Metainfo`], the bytes of a .torrent file, its path, or a magnet
/// link.
///
/// Files come to be in the folder `root`: a torrent of one file as a file in it, one of several as
/// a folder in it.
#[derive(Clone, Debug)]
pub struct NewTorrent {
    pub(super) source: Source,
    /// Whether it was added by a link, so that somebody waits to hear what it contains.
    pub(super) by_link: bool,
    pub(super) root: PathBuf,
    pub(super) tiers: Option<Vec<Vec<String>>>,
    pub(super) file_priorities: Vec<FilePriority>,
    pub(super) strategy: Option<PickStrategy>,
    pub(super) preallocation: Option<Preallocation>,
    pub(super) check: Check,
    pub(super) as_is: bool,
    pub(super) paused: bool,
    pub(super) limits: TorrentLimits,
    pub(super) peers: Vec<SocketAddr>,
}

/// What names a torrent to add.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// All that there is to know of it.
    Metainfo(Metainfo),
    /// Its hash, and where to ask for the rest.
    Magnet {
        info_hash: InfoHash,
        name: Option<String>,
        trackers: Vec<String>,
        files: MagnetFiles,
    },
}

/// A .torrent file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TorrentFileError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is too large to be one.
    #[error(
        "{path} is no torrent file: it is larger than {max} bytes",
        path = path.display(),
        max = limits::TORRENT_FILE_BYTES_MAX
    )]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// It is malformed.
    #[error("{path} is no usable torrent file: {source}", path = path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and where.
        source: MetainfoError,
    },
}

/// Reads a .torrent file.
///
/// # Errors
/// When it cannot be read, is too large, or is malformed.
pub fn read_torrent(path: &Path) -> Result<Metainfo, TorrentFileError> {
    let read_error = |source| TorrentFileError::Read {
        path: path.to_path_buf(),
        source,
    };
    let file = std::fs::File::open(path).map_err(read_error)?;
    let max = limits::TORRENT_FILE_BYTES_MAX;
    let mut bytes = Vec::new();
    file.take(max as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(read_error)?;
    if bytes.len() > max {
        return Err(TorrentFileError::TooLarge {
            path: path.to_path_buf(),
        });
    }
    Metainfo::parse_vec(bytes).map_err(|source| TorrentFileError::Malformed {
        path: path.to_path_buf(),
        source,
    })
}

impl NewTorrent {
    /// This torrent, in the folder `root`.
    #[must_use]
    pub fn new(metainfo: Metainfo, root: impl Into<PathBuf>) -> Self {
        Self::of(Source::Metainfo(metainfo), root.into())
    }

    /// The torrent of this magnet link, with its trackers, the peers that it names by address, and
    /// the files that it selects. [`SessionEvent::MetadataCame`] tells when it is known what the
    /// torrent contains; priorities of files cannot be given before.
    ///
    /// [`SessionEvent::MetadataCame`]: crate::SessionEvent::MetadataCame
    ///
    /// # Errors
    /// When it has no v1 hash.
    pub fn from_magnet(magnet: Magnet, root: impl Into<PathBuf>) -> Result<Self, AddError> {
        let Some(info_hash) = magnet.info_hash else {
            let name = magnet.name.or_else(|| {
                let hash = magnet.info_hash_v2?;
                Some(hash.to_string())
            });
            let name = name.unwrap_or_default();
            return Err(AddError::OnlyV2 { name });
        };
        let peers = magnet.peers.iter().filter_map(|peer| {
            let ip = peer.address()?;
            Some(SocketAddr::new(ip, peer.port))
        });
        let peers = peers.collect();
        let files = magnet
            .select_only
            .map_or(MagnetFiles::All, MagnetFiles::Only);
        let source = Source::Magnet {
            info_hash,
            name: magnet.name,
            trackers: magnet.trackers,
            files,
        };
        let mut new = Self::of(source, root.into()).peers(peers);
        new.by_link = true;
        Ok(new)
    }

    /// Wants no file of a magnet link before somebody has seen which there are: when they are known,
    /// the torrent rests until [`crate::Session::set_file_priorities`] and
    /// [`crate::Session::resume`]. Changes nothing when the files are known from the start.
    #[must_use]
    pub fn decide_files_later(mut self) -> Self {
        if let Source::Magnet { files, .. } = &mut self.source {
            *files = MagnetFiles::Undecided;
        }
        self
    }

    fn of(source: Source, root: PathBuf) -> Self {
        Self {
            source,
            by_link: false,
            root,
            tiers: None,
            file_priorities: Vec::new(),
            strategy: None,
            preallocation: None,
            check: Check::Quick,
            as_is: false,
            paused: false,
            limits: TorrentLimits::default(),
            peers: Vec::new(),
        }
    }

    /// The torrent in these bytes of a .torrent file.
    ///
    /// # Errors
    /// When they are malformed.
    pub fn from_bytes(bytes: &[u8], root: impl Into<PathBuf>) -> Result<Self, MetainfoError> {
        Ok(Self::new(Metainfo::parse(bytes)?, root))
    }

    /// The torrent in this .torrent file.
    ///
    /// # Errors
    /// When it cannot be read or is malformed.
    pub fn from_file(path: &Path, root: impl Into<PathBuf>) -> Result<Self, TorrentFileError> {
        Ok(Self::new(read_torrent(path)?, root))
    }

    /// Its info hash.
    #[must_use]
    pub fn info_hash(&self) -> InfoHash {
        match &self.source {
            Source::Metainfo(metainfo) => metainfo.info.info_hash(),
            Source::Magnet { info_hash, .. } => *info_hash,
        }
    }

    /// Its info hash, when it can be added.
    pub(super) fn check_addable(&self, info: &Info) -> Result<InfoHash, AddError> {
        if !info.version().has_v1() {
            return Err(AddError::OnlyV2 {
                name: info.name().to_owned(),
            });
        }
        let (got, files) = (self.file_priorities.len(), info.files().len());
        if got != 0 && got != files {
            return Err(AddError::Priorities { got, files });
        }
        Ok(info.info_hash())
    }

    /// Announces to these trackers, in tiers (BEP 12), instead of those in the torrent.
    #[must_use]
    pub fn trackers(mut self, tiers: Vec<Vec<String>>) -> Self {
        self.tiers = Some(tiers);
        self
    }

    /// Only seeds it: no file is created, written or cut, and when anything is missing the torrent
    /// stops and says so. Only for torrents whose content is known.
    #[must_use]
    pub const fn as_is(mut self) -> Self {
        self.as_is = true;
        self
    }

    /// How much each file is wanted, in the torrent's order; without it, all are.
    #[must_use]
    pub fn file_priorities(mut self, priorities: Vec<FilePriority>) -> Self {
        self.file_priorities = priorities;
        self
    }

    /// How pieces are chosen, instead of as configured.
    #[must_use]
    pub const fn strategy(mut self, strategy: PickStrategy) -> Self {
        self.strategy = Some(strategy);
        self
    }

    /// How space is reserved, instead of as configured.
    #[must_use]
    pub const fn preallocation(mut self, preallocation: Preallocation) -> Self {
        self.preallocation = Some(preallocation);
        self
    }

    /// How far to trust what is on disk; [`Check::Quick`] unless said otherwise.
    #[must_use]
    pub const fn check(mut self, check: Check) -> Self {
        self.check = check;
        self
    }

    /// Whether it rests until it is resumed.
    #[must_use]
    pub const fn paused(mut self, paused: bool) -> Self {
        self.paused = paused;
        self
    }

    /// Its own limits.
    #[must_use]
    pub const fn limits(mut self, limits: TorrentLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Addresses to try first.
    #[must_use]
    pub fn peers(mut self, peers: Vec<SocketAddr>) -> Self {
        self.peers = peers;
        self
    }
}
