//! The metainfo of every torrent, in a file of its own that any client can read.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use dunlin_base::{InfoHash, limits};

use super::db::{ResumeDb, io_error};
use super::error::ResumeError;

/// Files for which another thread is worth starting.
const FILES_PER_WRITER: usize = 16;
/// Most threads that help with writing.
const WRITERS_MAX: usize = 15;
/// Bytes that are compared with those of a file at a time.
const COMPARED_BYTES: usize = 8 * 1024;

impl ResumeDb {
    /// Stores the metainfo of many torrents side by side: file systems commit their journal once for
    /// all flushes that wait for it.
    ///
    /// # Errors
    /// With those that are not stored, and why: as [`Self::put_metainfo`].
    pub fn put_all_metainfo(
        &self,
        torrents: &[(InfoHash, [&[u8]; 3])],
    ) -> Result<(), Vec<(InfoHash, ResumeError)>> {
        let failed = Mutex::new(Vec::new());
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some((torrent, parts)) = torrents.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = self.put_metainfo(*torrent, parts) {
                    let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                    failed.push((*torrent, error));
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..(torrents.len() / FILES_PER_WRITER).min(WRITERS_MAX) {
                let helper = thread::Builder::new().name("metainfo".into());
                // Without a helper it takes longer, that is all.
                _ = helper.spawn_scoped(scope, work);
            }
            work();
        });
        let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        if failed.is_empty() {
            Ok(())
        } else {
            Err(failed)
        }
    }

    /// Stores the metainfo of a torrent: the bytes of a .torrent file, or of an info dictionary, in parts
    /// so that nobody has to copy many hashes together. What is stored already is not written again.
    ///
    /// # Errors
    /// When it is larger than [`limits::TORRENT_FILE_BYTES_MAX`], or the file cannot be written.
    pub fn put_metainfo(&self, torrent: InfoHash, parts: &[&[u8]]) -> Result<(), ResumeError> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if length > limits::TORRENT_FILE_BYTES_MAX {
            let what = "metainfo";
            return Err(ResumeError::Unstorable { torrent, what });
        }
        let path = self.metainfo_path(torrent);
        // The record came after the file was durable, so a file without one may not be.
        let stored =
            self.record(torrent).is_ok() && holds(&path, parts).map_err(io_error(&path))?;
        if stored {
            return Ok(());
        }
        replace_file(&path, parts).map_err(io_error(&path))
    }

    /// The metainfo of a torrent, when it is stored. It is as hostile as one from elsewhere.
    ///
    /// # Errors
    /// When the file cannot be read, or is too large.
    pub fn metainfo(&self, torrent: InfoHash) -> Result<Option<Vec<u8>>, ResumeError> {
        let path = self.metainfo_path(torrent);
        let max = limits::TORRENT_FILE_BYTES_MAX;
        match read_bounded(&path, max) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error(&path)(error)),
        }
    }

    /// Every torrent whose metainfo is stored, in order: more than [`Self::list`] has after a
    /// damaged database was moved aside.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn metainfo_list(&self) -> Result<Vec<InfoHash>, ResumeError> {
        let path = self.folder.join("torrents");
        let mut torrents = Vec::new();
        for entry in fs::read_dir(&path).map_err(io_error(&path))? {
            let name = entry.map_err(io_error(&path))?.file_name();
            let hash = name.to_str().and_then(|name| name.strip_suffix(".torrent"));
            torrents.extend(hash.and_then(|hash| hash.parse::<InfoHash>().ok()));
        }
        torrents.sort_unstable();
        Ok(torrents)
    }
}

/// Whether a file holds these bytes and no others. It is compared piecemeal: it may be large.
fn holds(path: &Path, parts: &[&[u8]]) -> io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let length: usize = parts.iter().map(|part| part.len()).sum();
    if file.metadata()?.len() != length as u64 {
        return Ok(false);
    }
    let (mut file, mut room) = (BufReader::new(file), [0; COMPARED_BYTES]);
    for part in parts.iter().flat_map(|part| part.chunks(COMPARED_BYTES)) {
        let stored = &mut room[..part.len()];
        file.read_exact(stored)?;
        if stored != part {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Puts a whole file in the place of an old one, at once and durably.
fn replace_file(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()?;
    fs::rename(&beside, path)?;
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn read_bounded(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = File::open(path)?.take(bytes_max as u64 + 1);
    file.read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}
