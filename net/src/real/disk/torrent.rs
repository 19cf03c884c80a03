//! A torrent whose files are open.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dunlin_base::{Bitfield, InfoHash};
use dunlin_port::config::Preallocation;
use dunlin_protocol::metainfo::Info;
use dunlin_storage::{FileLayout, FileSpec, Flushed, LayoutError, TorrentFiles};

/// A torrent whose files are open.
#[derive(Debug)]
pub(super) struct OpenTorrent {
    pub(super) info: Arc<Info>,
    pub(super) layout: Arc<FileLayout>,
    pub(super) files: TorrentFiles,
    /// Whether the files stay as they are: none is created, written or cut.
    pub(super) as_is: bool,
    ledger: Mutex<Ledger>,
}

/// What was written and committed of it.
#[derive(Debug)]
pub(super) struct Ledger {
    /// The pieces of the last commit that was asked for.
    pub(super) have: Bitfield,
    /// Flushed, but not committed because a commit failed.
    pub(super) unproven: Option<Box<Flushed>>,
    /// Whether anything was written since the files were last given their final form.
    pub(super) wrote: bool,
}

impl OpenTorrent {
    pub(super) fn new(
        info: Arc<Info>,
        layout: Arc<FileLayout>,
        files: TorrentFiles,
        as_is: bool,
    ) -> Self {
        let have = Bitfield::empty(layout.geometry().piece_count());
        let ledger = Mutex::new(Ledger {
            have,
            unproven: None,
            wrote: false,
        });
        Self {
            info,
            layout,
            files,
            as_is,
            ledger,
        }
    }

    pub(super) fn info_hash(&self) -> InfoHash {
        self.info.info_hash()
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// SHA-1 of each piece; `None` for a torrent that has only SHA-256 (BEP 52).
    pub(super) fn piece_hashes(&self) -> Option<Vec<[u8; 20]>> {
        self.info
            .geometry()
            .pieces()
            .map(|piece| self.info.piece_hash(piece).copied())
            .collect()
    }
}

/// The files of a torrent as storage wants them.
///
/// # Errors
/// When the torrent's paths collide; [`Info`]'s never do.
pub fn layout_of(info: &Info) -> Result<FileLayout, LayoutError> {
    let spec = |file: &dunlin_protocol::metainfo::FileEntry| FileSpec {
        path: file.path.as_str().into(),
        length: file.length,
        pad: file.attributes.padding,
        executable: file.attributes.executable,
        symlink: file.symlink.as_ref().map(|target| target.as_str().into()),
    };
    FileLayout::new(info.files().iter().map(spec).collect(), *info.geometry())
}

pub(super) fn preallocation(wanted: Preallocation) -> dunlin_storage::Preallocation {
    match wanted {
        Preallocation::None => dunlin_storage::Preallocation::None,
        Preallocation::Sparse => dunlin_storage::Preallocation::Sparse,
        Preallocation::Full => dunlin_storage::Preallocation::Full,
    }
}
