//! Makes a torrent of what is on disk.

mod listing;
mod open_files;

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::thread;

use dunlin_base::Geometry;
use dunlin_base::limits::{DIRECTORY_DEPTH_MAX, TORRENT_FILE_BYTES_MAX};
use dunlin_hash::{Sha1Lanes, sha1_striped};
use dunlin_protocol::metainfo::{
    FileEntry, Info, Metainfo, MetainfoBuilder, MetainfoError, NewFile, recommended_piece_bytes,
};
use dunlin_storage::{FileStat, Pieces, StripeRoom, will_read};

use listing::{Listing, Source};
use open_files::OpenFiles;

/// More threads than that only wait for the disk.
const THREADS_MAX: usize = 8;

/// What a new torrent shall say besides its content.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CreateOptions {
    /// Bytes in a piece; without it, a length that gives one to two thousand pieces.
    pub piece_bytes: Option<u32>,
    /// Whether peers may come from the trackers alone (BEP 27).
    pub private: bool,
    /// Trackers in tiers (BEP 12).
    pub tiers: Vec<Vec<String>>,
    /// Web seeds (BEP 19).
    pub web_seeds: Vec<String>,
    /// What there is to say of it.
    pub comment: Option<String>,
    /// The tracker that it is for, which gives it an info hash of its own.
    pub source: Option<String>,
    /// The program that makes it.
    pub created_by: Option<String>,
    /// When it is made, in seconds since 1970.
    pub creation_date: Option<i64>,
}

/// A torrent that was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Created {
    /// The torrent.
    pub metainfo: Metainfo,
    /// The folder in which the content is: the root to seed it from.
    pub root: PathBuf,
    /// What was left out because it is no file: links, sockets, devices.
    pub left_out: Vec<PathBuf>,
}

/// A torrent cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// A file or folder cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file was written to while it was read.
    #[error("{path} changed while it was hashed; try again when nothing writes to it", path = path.display())]
    Changed {
        /// Which one.
        path: PathBuf,
    },
    /// A name cannot be told to others.
    #[error("{path} has a name that is no UTF-8, which torrents need; rename it", path = path.display())]
    Name {
        /// Which one.
        path: PathBuf,
    },
    /// Clients give files names that every system can have, and would not find this one again.
    #[error(
        "{path} cannot keep its name: clients would save it as {safe:?}, this one too; rename it",
        path = path.display()
    )]
    Unsafe {
        /// Which one.
        path: PathBuf,
        /// What it would be called.
        safe: String,
    },
    /// A folder lies too deep.
    #[error("{path} lies deeper than {DIRECTORY_DEPTH_MAX} folders", path = path.display())]
    TooDeep {
        /// Which one.
        path: PathBuf,
    },
    /// A device, a socket or a pipe has no length and no end.
    #[error("{path} is neither a file nor a folder; only these can be shared", path = path.display())]
    NoFile {
        /// Which one.
        path: PathBuf,
    },
    /// A file of the system's own has content that its length does not tell of.
    #[error("{path} is said to be empty and can be read; only files with a length can be shared", path = path.display())]
    NoLength {
        /// Which one.
        path: PathBuf,
    },
    /// The root of a disk has no name that the torrent could have.
    #[error("{path} has no name, which a torrent needs; name a file or folder below it", path = path.display())]
    NoName {
        /// Which one.
        path: PathBuf,
    },
    /// There is nothing to share.
    #[error("{path} holds no files", path = path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// The result would be no torrent that clients accept.
    #[error("cannot make a torrent of {path}: {source}", path = path.display())]
    Metainfo {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        source: MetainfoError,
    },
    /// The torrent file would be larger than we and others read.
    #[error(
        "the torrent of {path} would take {bytes} bytes, more than the {TORRENT_FILE_BYTES_MAX} that a torrent file \
         may have; choose larger pieces",
        path = path.display()
    )]
    TooLarge {
        /// The file or folder.
        path: PathBuf,
        /// Bytes of the torrent file.
        bytes: usize,
    },
    /// The caller ended it.
    #[error("interrupted")]
    Cancelled,
}

/// Makes a v1 torrent of a file or a folder. Files are in the order of their paths; links are
/// left out.
///
/// `progress` hears how many bytes of how many are hashed, and may end it with
/// [`ControlFlow::Break`].
///
/// # Errors
/// When something cannot be read, has a name that torrents cannot have, or changes meanwhile.
///
/// ```
/// use std::ops::ControlFlow;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// let file = folder.path().join("hello.txt");
/// std::fs::write(&file, "hello")?;
/// let options = dunlin::CreateOptions::default();
/// let created = dunlin::create(&file, &options, |_, _| ControlFlow::Continue(()))?;
/// assert_eq!(created.metainfo.info.name(), "hello.txt");
/// # Ok(())
/// # }
/// ```
pub fn create(
    path: &Path,
    options: &CreateOptions,
    progress: impl FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<Created, CreateError> {
    // Also a `.` has a name then.
    let path = path
        .canonicalize()
        .map_err(|source| read_error(path, source))?;
    let name = path
        .file_name()
        .ok_or_else(|| CreateError::NoName { path: path.clone() })?;
    let name = name
        .to_str()
        .ok_or_else(|| CreateError::Name { path: path.clone() })?;
    let listing = Listing::of(&path)?;
    let total: u64 = listing.files.iter().map(|file| file.length).sum();
    let piece_bytes = options
        .piece_bytes
        .unwrap_or_else(|| recommended_piece_bytes(total));
    let builder = if path.is_dir() {
        let files = listing.files.iter().map(|file| NewFile {
            path: file.names.clone(),
            length: file.length,
            ..NewFile::default()
        });
        MetainfoBuilder::folder(name, files.collect(), piece_bytes)
    } else {
        MetainfoBuilder::single_file(name, total, piece_bytes)
    };
    let builder = describe(builder, options);
    let metainfo_error = |source| CreateError::Metainfo {
        path: path.clone(),
        source,
    };
    let hashes = match builder.geometry() {
        Ok(geometry) => {
            // Before hours of hashing: names do not depend on what comes of it.
            let blank = vec![[0; 20]; geometry.piece_count() as usize];
            let draft = builder.build(&blank).map_err(metainfo_error)?;
            refuse_unsafe_names(&draft.info, &listing.files)?;
            let (before, behind) = draft.write_around();
            let bytes = before.len() + draft.info.raw().len() + behind.len();
            if bytes > TORRENT_FILE_BYTES_MAX {
                return Err(CreateError::TooLarge { path, bytes });
            }
            let hashes = hash_all(&listing.files, &geometry, progress)?;
            refuse_changed(&listing.files)?;
            hashes
        }
        // The builder says it in its own words.
        Err(_) => Vec::new(),
    };
    let metainfo = builder.build(&hashes).map_err(metainfo_error)?;
    let root = path.parent().unwrap_or(&path).to_path_buf();
    Ok(Created {
        metainfo,
        root,
        left_out: listing.left_out,
    })
}

/// Refuses files that do not look as they did before they were read: what was hashed is a moment that
/// is gone, or parts of several.
fn refuse_changed(sources: &[Source]) -> Result<(), CreateError> {
    for Source { path, looks, .. } in sources {
        let metadata = fs::metadata(path).map_err(|source| read_error(path, source))?;
        if FileStat::from(&metadata) != *looks {
            return Err(CreateError::Changed { path: path.clone() });
        }
    }
    Ok(())
}

/// Refuses what could not be found again under the name that the torrent would have for it.
fn refuse_unsafe_names(draft: &Info, sources: &[Source]) -> Result<(), CreateError> {
    let renamed = |(file, source): (&FileEntry, &Source)| {
        file.raw_path.as_ref().map(|_| CreateError::Unsafe {
            path: source.path.clone(),
            safe: file.path.as_str().to_owned(),
        })
    };
    let mut files = draft.files().iter().zip(sources);
    files.find_map(renamed).map_or(Ok(()), Err)
}

fn describe(builder: MetainfoBuilder, options: &CreateOptions) -> MetainfoBuilder {
    let CreateOptions {
        piece_bytes: _,
        private,
        tiers,
        web_seeds,
        comment,
        source,
        created_by,
        creation_date,
    } = options.clone();
    let mut builder = builder.private(private).tiers(tiers).web_seeds(web_seeds);
    if let Some(comment) = comment {
        builder = builder.comment(comment);
    }
    if let Some(source) = source {
        builder = builder.source(source);
    }
    if let Some(program) = created_by {
        builder = builder.created_by(program);
    }
    if let Some(date) = creation_date {
        builder = builder.creation_date(date);
    }
    builder
}

fn read_error(path: &Path, source: io::Error) -> CreateError {
    CreateError::Read {
        path: path.to_path_buf(),
        source,
    }
}

/// One batch: its first piece, and the digests.
type Batch = (usize, Vec<[u8; 20]>);

/// Hashes all pieces on several threads; `progress` is called on this one.
fn hash_all(
    files: &[Source],
    geometry: &Geometry,
    mut progress: impl FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<Vec<[u8; 20]>, CreateError> {
    let pieces = geometry.piece_count() as usize;
    let piece_bytes = geometry.piece_bytes() as usize;
    let threads =
        thread::available_parallelism().map_or(1, |threads| threads.get().min(THREADS_MAX));
    let batch = pieces.div_ceil(threads).clamp(1, Sha1Lanes::MAX);
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut hashes = vec![[0; 20]; pieces];
    thread::scope(|scope| {
        let (sender, arriving) = mpsc::sync_channel(2 * THREADS_MAX);
        let threads = threads.min(pieces.div_ceil(batch));
        for _ in 0..threads {
            let worker = Worker {
                files,
                geometry,
                batch,
                next: &next,
                stop: &stop,
                threads,
            };
            let sender = sender.clone();
            scope.spawn(move || worker.run(&sender));
        }
        drop(sender);
        let (mut outcome, mut done) = (Ok(()), 0);
        for result in arriving {
            match result {
                Ok((first, digests)) => {
                    hashes[first..first + digests.len()].copy_from_slice(&digests);
                    done += (digests.len() * piece_bytes) as u64;
                    if progress(done.min(geometry.total_bytes()), geometry.total_bytes()).is_break()
                    {
                        outcome = Err(CreateError::Cancelled);
                    }
                }
                Err(error) => outcome = Err(error),
            }
            stop.fetch_or(outcome.is_err(), Ordering::Relaxed);
        }
        outcome
    })?;
    Ok(hashes)
}

/// One thread that hashes.
struct Worker<'a> {
    files: &'a [Source],
    geometry: &'a Geometry,
    batch: usize,
    next: &'a AtomicUsize,
    stop: &'a AtomicBool,
    /// How many there are of its kind.
    threads: usize,
}

impl Worker<'_> {
    fn run(&self, sender: &SyncSender<Result<Batch, CreateError>>) {
        let pieces = self.geometry.piece_count() as usize;
        let (mut open, mut room) = (OpenFiles::of_threads(self.threads), StripeRoom::new());
        while !self.stop.load(Ordering::Relaxed) {
            let first = self.next.fetch_add(self.batch, Ordering::Relaxed);
            if first >= pieces {
                return;
            }
            let count = self.batch.min(pieces - first);
            let result = self.hash(first, count, &mut room, &mut open);
            if sender.send(result.map(|digests| (first, digests))).is_err() {
                return;
            }
        }
    }

    fn hash(
        &self,
        first: usize,
        count: usize,
        room: &mut StripeRoom,
        open: &mut OpenFiles,
    ) -> Result<Vec<[u8; 20]>, CreateError> {
        let piece_bytes = u64::from(self.geometry.piece_bytes());
        let start = first as u64 * piece_bytes;
        let rest = self.geometry.total_bytes() - start;
        // The torrent's last piece may be short, and those side by side have one length.
        let full = (rest / piece_bytes).min(count as u64) as usize;
        let mut digests = Vec::with_capacity(count);
        for (start, count, len) in [
            (start, full, piece_bytes),
            (
                start + full as u64 * piece_bytes,
                count - full,
                rest % piece_bytes,
            ),
        ] {
            if count > 0 {
                let (files, len) = (self.files, len as usize);
                let mut run = Run {
                    files,
                    start,
                    piece_bytes,
                    open,
                };
                let hashed = room.look(count, len, &mut run, |stripes| {
                    sha1_striped(count, len, stripes)
                });
                digests.extend(hashed?);
            }
        }
        Ok(digests)
    }
}

/// Pieces that are hashed side by side.
struct Run<'a> {
    files: &'a [Source],
    /// Where in the torrent they begin.
    start: u64,
    piece_bytes: u64,
    /// Files that stay open for the next run.
    open: &'a mut OpenFiles,
}

impl Run<'_> {
    /// Where in the torrent a part of a piece begins.
    fn at(&self, n: usize, begin: usize) -> u64 {
        self.start + n as u64 * self.piece_bytes + begin as u64
    }

    /// The number of the first file that has anything behind a byte of the torrent.
    fn first_behind(&self, at: u64) -> usize {
        self.files
            .partition_point(|file| file.offset + file.length <= at)
    }

    fn open(&mut self, number: usize) -> Result<Arc<File>, CreateError> {
        let path = &self.files[number].path;
        let file = self.open.open(number, path);
        file.map_err(|source| read_error(path, source))
    }
}

impl Pieces for Run<'_> {
    type Error = CreateError;

    fn will_read(&mut self, n: usize, begin: usize, len: usize) {
        // Of the file in which it begins; what of it is in others is read when its time comes.
        if let Some((file, offset)) = self.file(n, begin, 1) {
            will_read(&file, offset, len as u64);
        }
    }

    fn file(&mut self, n: usize, begin: usize, len: usize) -> Option<(Arc<File>, u64)> {
        let at = self.at(n, begin);
        let number = self.first_behind(at);
        let source = self.files.get(number)?;
        let offset = at - source.offset;
        let is_all = offset + len as u64 <= source.length;
        is_all
            .then(|| self.open(number).ok())?
            .map(|file| (file, offset))
    }

    /// They follow each other without end.
    fn run(&self, _: usize) -> usize {
        usize::MAX
    }

    fn copy(&mut self, n: usize, begin: usize, mut into: &mut [u8]) -> Result<(), CreateError> {
        let mut at = self.at(n, begin);
        let files = self.files;
        for (number, source) in files.iter().enumerate().skip(self.first_behind(at)) {
            // No more than the buffer's length, which fits.
            let take = (source.offset + source.length - at).min(into.len() as u64) as usize;
            if take == 0 {
                continue;
            }
            let (part, others) = into.split_at_mut(take);
            let mut file = &*self.open(number)?;
            let read = file
                .seek(SeekFrom::Start(at - source.offset))
                .and_then(|_| file.read_exact(part));
            read.map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => CreateError::Changed {
                    path: source.path.clone(),
                },
                _ => read_error(&source.path, error),
            })?;
            (into, at) = (others, at + take as u64);
            if into.is_empty() {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dunlin_base::PieceIndex;

    fn go_on(_done: u64, _total: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    #[cfg(unix)]
    #[test]
    fn names_that_clients_would_change_are_refused_before_hashing() {
        for name in ["a\nb", "con", "A|README"] {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().join("set");
            fs::create_dir(&root).unwrap();
            name.split('|')
                .for_each(|name| fs::write(root.join(name), "x").unwrap());
            fs::write(root.join("readme"), "y").unwrap();
            let never = |_, _| panic!("hashed");
            let error = create(&root, &CreateOptions::default(), never).unwrap_err();
            assert!(matches!(error, CreateError::Unsafe { .. }), "{error}");
        }
    }

    #[test]
    fn pieces_run_across_files_and_hash_as_one_space() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("set");
        fs::create_dir_all(root.join("b")).unwrap();
        let (first, second) = (vec![1_u8; 20_000], vec![2_u8; 30_000]);
        fs::write(root.join("a"), &first).unwrap();
        fs::write(root.join("b/c"), &second).unwrap();
        fs::write(root.join("b/empty"), []).unwrap();
        let options = CreateOptions {
            piece_bytes: Some(16 << 10),
            ..CreateOptions::default()
        };
        let made = create(&root, &options, go_on).unwrap();
        assert_eq!(made.root, folder.path().canonicalize().unwrap());
        let info = &made.metainfo.info;
        let paths: Vec<_> = info.files().iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["set/a", "set/b/c", "set/b/empty"]);
        let all = [first, second].concat();
        for (at, piece) in all.chunks(16 << 10).enumerate() {
            let expected = dunlin_hash::sha1(piece);
            assert_eq!(info.piece_hash(PieceIndex(at as u32)), Some(&expected));
        }
    }

    /// By its time: it is as long as it was.
    #[test]
    fn a_file_that_is_written_to_while_it_is_hashed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, vec![1; 100_000]).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        let overwrite = |_, _| {
            io::Write::write_all(&mut &file, b"another").unwrap();
            ControlFlow::Continue(())
        };
        let error = create(&path, &CreateOptions::default(), overwrite).unwrap_err();
        assert!(matches!(error, CreateError::Changed { .. }), "{error}");
        assert!(create(&path, &CreateOptions::default(), go_on).is_ok());
    }

    #[test]
    fn what_cannot_be_shared_is_refused_or_told() {
        let root = create(Path::new("/"), &CreateOptions::default(), go_on);
        assert!(matches!(root, Err(CreateError::NoName { .. })));
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("set");
        fs::create_dir(&root).unwrap();
        let options = CreateOptions::default();
        assert!(matches!(
            create(&root, &options, go_on),
            Err(CreateError::Empty { .. })
        ));
        let gone = root.join("gone");
        assert!(matches!(
            create(&gone, &options, go_on),
            Err(CreateError::Read { .. })
        ));
        fs::write(root.join("file"), "content").unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("/etc/passwd", root.join("link")).unwrap();
            let made = create(&root, &options, go_on).unwrap();
            assert_eq!(made.metainfo.info.files().len(), 1);
            assert_eq!(made.left_out.len(), 1);
        }
        let cancelled = create(&root, &options, |_, _| ControlFlow::Break(()));
        assert!(matches!(cancelled, Err(CreateError::Cancelled)));
    }
}
