//! What a restart remembers of every torrent.

mod codec;
mod db;
mod error;
mod journal;
mod metainfo;
mod record;

pub use db::{Commit, Listed, ResumeDb, TorrentState};
pub use error::{RecordError, ResumeError};
pub use record::ResumeRecord;
