//! Opens, moves and removes what lies below a folder, without following a link on the way.
//!
//! A torrent chooses the names below the download folder, and whoever can write there can plant
//! links. So nothing below the folder is ever reached through a link; the folder's own path is the
//! user's and may contain links.

#[cfg(not(unix))]
mod portable;
#[cfg(unix)]
mod unix;

use std::fs::File;

#[cfg(not(unix))]
pub(crate) use portable::Folder;
#[cfg(unix)]
pub(crate) use unix::Folder;

/// What a file is opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// To read a file that is there.
    Read,
    /// To read and write a file; it and its folders are created when they are not there.
    Write,
}

/// A file that was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: File,
    /// Whether it was not there before.
    pub(crate) created: bool,
}
