//! One torrent's files below a download folder.

mod beneath;
mod io;
mod limit;
mod look;
mod part;
mod pool;
mod prepare;
mod relocate;
mod torrent;
mod transfer;

pub use io::will_read;
pub use limit::{files_to_keep_open, raise_open_files_limit};
pub use pool::FilePool;
pub use prepare::Preallocation;
pub use relocate::MoveProgress;
pub use torrent::TorrentFiles;
