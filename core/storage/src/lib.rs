//! Files on disk: which bytes of a torrent lie in which file, how they get there without leaving
//! the download folder, how a piece on disk is checked again, and what a restart remembers.
//!
//! One torrent's files are a [`Storage`]: [`TorrentFiles`] on disk, [`MemoryFiles`] in tests and in
//! simulation. The order that makes a crash harmless is kept by [`ResumeDb`]:
//!
//! 1. [`ResumeDb::intend`] notes the pieces that are about to be written;
//! 2. [`Storage::write_vectored_at`] writes them;
//! 3. [`Storage::flush`] makes them durable and returns a [`Flushed`], which nothing else can make;
//! 4. [`ResumeDb::commit`] sets bits only for pieces that the [`Flushed`] vouches for.
//!
//! All calls block; they belong on disk helper threads.

mod error;
mod files;
mod layout;
mod mapping;
mod memory;
mod number_set;
mod ranges;
mod recheck;
mod resume;
mod stat;
mod storage;
mod stripes;

pub use error::{ErrorKind, Operation, StorageError};
pub use files::{
    FilePool, MoveProgress, Preallocation, TorrentFiles, files_to_keep_open,
    raise_open_files_limit, will_read,
};
pub use layout::{FileIndex, FileLayout, FileSpec, LayoutError, Span};
pub use memory::{Faults, MemoryFiles};
pub use recheck::{Halt, PieceHashes, RecheckError, RecheckProgress, recheck, recheck_pieces};
pub use resume::{Commit, Listed, RecordError, ResumeDb, ResumeError, ResumeRecord, TorrentState};
pub use stat::{FileStat, StatSnapshot, pieces_of_changed_files};
pub use storage::{Flushed, Storage};
pub use stripes::{Pieces, StripeRoom};
