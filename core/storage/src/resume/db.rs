//! [`ResumeDb`]: records and bits in a database, metainfo and journals in files beside it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use dunlin_base::{Bitfield, Geometry, InfoHash, PieceIndex};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::journal::Journal;
use super::record::{decode_snapshot, encode_snapshot};
use super::{RecordError, ResumeError, ResumeRecord};
use crate::stat::pieces_beyond_files;
use crate::{FileLayout, Flushed, StatSnapshot, pieces_of_changed_files};

const RECORDS: TableDefinition<'_, [u8; 20], &[u8]> = TableDefinition::new("records");
/// The number of pieces (four bytes, little-endian), then the bits in wire order.
const HAVE: TableDefinition<'_, [u8; 20], &[u8]> = TableDefinition::new("have");
const SNAPSHOTS: TableDefinition<'_, [u8; 20], &[u8]> = TableDefinition::new("snapshots");

/// Memory for pages of the database; redb would take 1 GiB.
const CACHE_BYTES: usize = 16 << 20;

/// What a restart remembers of every torrent, in a folder of its own:
///
/// - `resume.redb`: small records, bits and file snapshots;
/// - `torrents/<info hash>.torrent`: metainfo, readable by any client if all else fails;
/// - `written/<info hash>.written`: pieces written since the last commit.
#[derive(Debug)]
pub struct ResumeDb {
    pub(super) folder: PathBuf,
    /// `None` after a failure: the next call opens it anew, which repairs it.
    db: Mutex<Option<Database>>,
    journals: Mutex<BTreeMap<InfoHash, Arc<Mutex<Journal>>>>,
    set_aside: Option<PathBuf>,
}

/// What is committed of one torrent.
#[derive(Clone, Copy, Debug)]
pub struct Commit<'a> {
    /// Which torrent.
    pub torrent: InfoHash,
    /// How it is cut into pieces.
    pub geometry: &'a Geometry,
    /// All pieces that it has. A bit that is not committed yet is only set when `flushed` covers its
    /// piece; one that is missing here is cleared.
    pub have: &'a Bitfield,
    /// Everything that was flushed since the last commit that succeeded.
    pub flushed: &'a Flushed,
    /// The small record, when it changed.
    pub record: Option<&'a ResumeRecord>,
    /// Pieces that were hashed again: once the good ones are committed, none of them is in doubt.
    pub checked: Option<&'a Bitfield>,
    /// What the files look like, when the torrent is closed and nothing will be written any more.
    pub at_rest: Option<&'a StatSnapshot>,
}

/// One torrent of the whole list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Which torrent.
    pub torrent: InfoHash,
    /// Its record, or what is wrong with it.
    pub record: Result<ResumeRecord, RecordError>,
    /// The pieces that it has, when any were committed.
    pub have: Option<Bitfield>,
}

/// What is known of one torrent when it is opened.
#[derive(Clone, Debug)]
pub struct TorrentState {
    /// Pieces that were written and flushed; empty when that is not known.
    pub have: Bitfield,
    /// What the files looked like when the torrent was last closed.
    at_rest: Option<StatSnapshot>,
    /// Pieces written since the last commit; `None` when the torrent was closed properly.
    written: Option<Bitfield>,
    /// Whether nothing was ever committed, or the bits are damaged.
    unknown: bool,
}

impl TorrentState {
    /// Whether the torrent was closed with everything committed, or never written to.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.written.is_none()
    }

    /// The pieces to hash again, given what the files look like now. All other pieces are as
    /// [`Self::have`] says.
    ///
    /// - Closed properly: the pieces of files that somebody changed since, and those whose bytes
    ///   cannot be there, whatever the database says.
    /// - Killed: the pieces written since the last commit, and those whose files lost their end.
    /// - Nothing known: all that lie in files which are there.
    #[must_use]
    pub fn pieces_in_doubt(&self, layout: &FileLayout, now: &StatSnapshot) -> Bitfield {
        match (&self.written, &self.at_rest) {
            _ if self.unknown => pieces_on_disk(layout, now),
            (Some(written), _) => {
                let mut doubt = pieces_beyond_files(layout, &self.have, now);
                for piece in written.iter().filter(|&piece| !self.have.has(piece)) {
                    doubt.set(piece);
                }
                doubt
            }
            (None, Some(at_rest)) => {
                let mut doubt = pieces_of_changed_files(layout, at_rest, now);
                for piece in pieces_beyond_files(layout, &self.have, now).iter() {
                    doubt.set(piece);
                }
                doubt
            }
            (None, None) => pieces_on_disk(layout, now),
        }
    }
}

impl ResumeDb {
    /// Opens the database in `folder`, which is created when it is not there.
    ///
    /// A damaged database is moved aside (`resume.redb.corrupt-1`, `-2`, ...) and a new one begun;
    /// [`Self::set_aside`] then says so.
    ///
    /// # Errors
    /// When another process has it open, or the folder cannot be used.
    pub fn open(folder: &Path) -> Result<Self, ResumeError> {
        for path in [folder.join("torrents"), folder.join("written")] {
            fs::create_dir_all(&path).map_err(io_error(&path))?;
        }
        let path = folder.join("resume.redb");
        let mut set_aside = None;
        let db = match open_database(&path) {
            Err(ResumeError::Damaged { .. }) => {
                let aside = free_name(&path)?;
                fs::rename(&path, &aside).map_err(io_error(&path))?;
                set_aside = Some(aside);
                open_database(&path)?
            }
            result => result?,
        };
        Ok(Self {
            folder: folder.to_path_buf(),
            db: Mutex::new(Some(db)),
            journals: Mutex::default(),
            set_aside,
        })
    }

    /// Where a damaged database was moved when this one was opened: worth a warning.
    #[must_use]
    pub fn set_aside(&self) -> Option<&Path> {
        self.set_aside.as_deref()
    }

    /// Adds a torrent, or replaces its small record.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn put(&self, torrent: InfoHash, record: &ResumeRecord) -> Result<(), ResumeError> {
        let bytes = record.encode(torrent)?;
        self.with(|db| {
            let transaction = db.begin_write()?;
            transaction
                .open_table(RECORDS)?
                .insert(torrent.as_bytes(), &*bytes)?;
            Ok(transaction.commit()?)
        })
    }

    /// Every torrent, in the order of their info hashes.
    ///
    /// # Errors
    /// When the database cannot be read. A damaged record is no error of the list.
    pub fn list(&self) -> Result<Vec<Listed>, ResumeError> {
        self.with(|db| {
            let transaction = db.begin_read()?;
            let have = transaction.open_table(HAVE)?;
            let mut listed = Vec::new();
            for row in transaction.open_table(RECORDS)?.iter()? {
                let (key, record) = row?;
                let bits = have.get(key.value())?;
                listed.push(Listed {
                    torrent: InfoHash(key.value()),
                    record: ResumeRecord::decode(record.value()),
                    have: bits.and_then(|bits| decode_have(bits.value())),
                });
            }
            Ok(listed)
        })
    }

    /// The small record of one torrent.
    ///
    /// # Errors
    /// When there is none, or it is damaged, or the database cannot be read.
    pub fn record(&self, torrent: InfoHash) -> Result<ResumeRecord, ResumeError> {
        let bytes = self.with(|db| {
            let table = db.begin_read()?.open_table(RECORDS)?;
            Ok(table
                .get(torrent.as_bytes())?
                .map(|bytes| bytes.value().to_vec()))
        })?;
        let bytes = bytes.ok_or(ResumeError::Unknown(torrent))?;
        ResumeRecord::decode(&bytes).map_err(|source| ResumeError::Record { torrent, source })
    }

    /// Forgets a torrent.
    ///
    /// # Errors
    /// When it cannot be removed; the call can be repeated.
    pub fn remove(&self, torrent: InfoHash) -> Result<(), ResumeError> {
        self.with(|db| {
            let transaction = db.begin_write()?;
            for table in [RECORDS, HAVE, SNAPSHOTS] {
                transaction.open_table(table)?.remove(torrent.as_bytes())?;
            }
            Ok(transaction.commit()?)
        })?;
        if let Some(journal) = self.journal_if_there(torrent)? {
            let removed = lock(&journal).remove();
            removed.map_err(io_error(&self.journal_path(torrent)))?;
            lock(&self.journals).remove(&torrent);
        }
        let path = self.metainfo_path(torrent);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(&path)(error)),
            _ => Ok(()),
        }
    }

    /// What is known of the pieces of a torrent. Damaged bits count as unknown.
    ///
    /// # Errors
    /// When the database or the journal cannot be read.
    pub fn load(
        &self,
        torrent: InfoHash,
        geometry: &Geometry,
    ) -> Result<TorrentState, ResumeError> {
        let (have, at_rest) = self.with(|db| {
            let transaction = db.begin_read()?;
            let have = transaction.open_table(HAVE)?.get(torrent.as_bytes())?;
            let at_rest = transaction.open_table(SNAPSHOTS)?.get(torrent.as_bytes())?;
            Ok((
                have.and_then(|bits| decode_have(bits.value())),
                at_rest.and_then(|bytes| decode_snapshot(bytes.value()).ok()),
            ))
        })?;
        let pieces = geometry.piece_count();
        let have = have.filter(|have| have.len() == pieces);
        let journal = self.journal_if_there(torrent)?;
        let written = journal.map(|journal| {
            let mut written = Bitfield::empty(pieces);
            for piece in lock(&journal)
                .outstanding()
                .filter(|piece| piece.0 < pieces)
            {
                written.set(piece);
            }
            written
        });
        Ok(TorrentState {
            unknown: have.is_none(),
            have: have.unwrap_or_else(|| Bitfield::empty(pieces)),
            at_rest,
            written,
        })
    }

    /// Notes pieces that are about to be written, so that a crash before their commit leaves them
    /// in doubt instead of unknown. One small write; survives `kill -9`.
    ///
    /// # Errors
    /// When it cannot be noted. The pieces should not be written then.
    pub fn intend(&self, torrent: InfoHash, pieces: &[PieceIndex]) -> Result<(), ResumeError> {
        let journal = self.journal(torrent)?;
        let appended = lock(&journal).append(pieces);
        appended.map_err(io_error(&self.journal_path(torrent)))
    }

    /// Ends the doubt about pieces that were hashed again, good or bad. To be called when the good
    /// ones are committed.
    ///
    /// # Errors
    /// When the journal cannot be changed.
    pub fn settle(&self, torrent: InfoHash, checked: &Bitfield) -> Result<(), ResumeError> {
        let Some(journal) = self.journal_if_there(torrent)? else {
            return Ok(());
        };
        let settled = lock(&journal).settle(checked);
        settled.map_err(io_error(&self.journal_path(torrent)))
    }

    /// Commits many torrents in one durable transaction, or without one when nothing changed.
    /// Returns for each the bits that are committed now: those of `have` that were committed before
    /// or are covered by `flushed`.
    ///
    /// # Errors
    /// When nothing, or not everything, could be committed; the call can be repeated.
    ///
    /// # Panics
    /// When `have` is not of `geometry`, or `flushed` is of another torrent.
    pub fn commit(&self, commits: &[Commit<'_>]) -> Result<Vec<Bitfield>, ResumeError> {
        for commit in commits {
            assert_eq!(commit.have.len(), commit.geometry.piece_count());
            assert_eq!(commit.flushed.torrent(), commit.torrent);
        }
        let records = commits.iter().map(|commit| {
            let record = commit.record.map(|record| record.encode(commit.torrent));
            record.transpose()
        });
        let records: Vec<_> = records.collect::<Result<_, _>>()?;
        let committed = self.with(|db| {
            let transaction = db.begin_write()?;
            let mut committed = Vec::with_capacity(commits.len());
            let mut changes = false;
            {
                let mut have_table = transaction.open_table(HAVE)?;
                let mut record_table = transaction.open_table(RECORDS)?;
                let mut snapshot_table = transaction.open_table(SNAPSHOTS)?;
                for (commit, record) in commits.iter().zip(&records) {
                    let key = commit.torrent.as_bytes();
                    let before = have_table.get(key)?;
                    let before = before.and_then(|bits| decode_have(bits.value()));
                    let have = commit.provable(before.as_ref());
                    if before.as_ref() != Some(&have) {
                        have_table.insert(key, &*encode_have(&have))?;
                        changes = true;
                    }
                    if let Some(record) = record {
                        record_table.insert(key, &**record)?;
                        changes = true;
                    }
                    if let Some(at_rest) = commit.at_rest.map(encode_snapshot) {
                        let known = snapshot_table.get(key)?;
                        let known = known.is_some_and(|known| known.value() == &*at_rest);
                        if !known {
                            snapshot_table.insert(key, &*at_rest)?;
                            changes = true;
                        }
                    }
                    committed.push(have);
                }
            }
            if changes {
                transaction.commit()?;
            } else {
                transaction.abort()?;
            }
            Ok(committed)
        })?;
        for (commit, have) in commits.iter().zip(&committed) {
            self.settle(commit.torrent, have)?;
            if let Some(checked) = commit.checked {
                self.settle(commit.torrent, checked)?;
            }
            if commit.at_rest.is_some() {
                self.close_journal(commit.torrent)?;
            }
        }
        Ok(committed)
    }

    fn close_journal(&self, torrent: InfoHash) -> Result<(), ResumeError> {
        let Some(journal) = self.journal_if_there(torrent)? else {
            return Ok(());
        };
        let closed = lock(&journal).close();
        closed.map_err(io_error(&self.journal_path(torrent)))?;
        lock(&self.journals).remove(&torrent);
        Ok(())
    }

    pub(super) fn metainfo_path(&self, torrent: InfoHash) -> PathBuf {
        self.folder
            .join("torrents")
            .join(format!("{torrent}.torrent"))
    }

    fn journal_path(&self, torrent: InfoHash) -> PathBuf {
        self.folder
            .join("written")
            .join(format!("{torrent}.written"))
    }

    /// A torrent's journal, in whose file the next write may be noted.
    fn journal(&self, torrent: InfoHash) -> Result<Arc<Mutex<Journal>>, ResumeError> {
        if let Some(journal) = lock(&self.journals).get(&torrent) {
            return Ok(Arc::clone(journal));
        }
        Ok(self.keep_journal(torrent, self.read_journal(torrent)?))
    }

    /// A torrent's journal, when it has one. What only seeds has none, and is not remembered here.
    fn journal_if_there(
        &self,
        torrent: InfoHash,
    ) -> Result<Option<Arc<Mutex<Journal>>>, ResumeError> {
        if let Some(journal) = lock(&self.journals).get(&torrent) {
            return Ok(lock(journal).is_there().then(|| Arc::clone(journal)));
        }
        let journal = self.read_journal(torrent)?;
        let there = journal.is_there();
        Ok(there.then(|| self.keep_journal(torrent, journal)))
    }

    fn read_journal(&self, torrent: InfoHash) -> Result<Journal, ResumeError> {
        let path = self.journal_path(torrent);
        Journal::open(path.clone()).map_err(io_error(&path))
    }

    fn keep_journal(&self, torrent: InfoHash, journal: Journal) -> Arc<Mutex<Journal>> {
        let journal = Arc::new(Mutex::new(journal));
        Arc::clone(lock(&self.journals).entry(torrent).or_insert(journal))
    }

    /// Runs `action` on the open database. After an error it is closed, and opened again by the
    /// next call: redb takes no more writes after a failed one.
    fn with<T>(
        &self,
        action: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, ResumeError> {
        let path = self.folder.join("resume.redb");
        let mut guard = lock(&self.db);
        let db = match guard.take() {
            Some(db) => db,
            None => open_database(&path)?,
        };
        let (db, result) = guarded(&path, || {
            let result = action(&db);
            // An error closes the database in here, where a panic is caught.
            (result.is_ok().then_some(db), result)
        })?;
        *guard = db;
        result.map_err(|error| database_error(&path, error))
    }
}

impl Commit<'_> {
    /// The bits of `have` that were committed before, or whose data is durable.
    fn provable(&self, before: Option<&Bitfield>) -> Bitfield {
        let before = before.filter(|before| before.len() == self.have.len());
        let mut have = self.have.clone();
        for piece in self.have.iter() {
            let known = before.is_some_and(|before| before.has(piece));
            if !known && !self.flushed.covers_piece(self.geometry, piece) {
                have.clear(piece);
            }
        }
        have
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("nothing panics with a part of the resume database locked")
}

/// The pieces whose bytes may all be there.
fn pieces_on_disk(layout: &FileLayout, now: &StatSnapshot) -> Bitfield {
    let mut pieces = Bitfield::full(layout.geometry().piece_count());
    for absent in pieces_beyond_files(layout, &pieces.clone(), now).iter() {
        pieces.clear(absent);
    }
    pieces
}

/// Runs something of redb's. A damaged file can make it panic; that is an error like others.
fn guarded<T>(path: &Path, action: impl FnOnce() -> T) -> Result<T, ResumeError> {
    catch_unwind(AssertUnwindSafe(action)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let message = text.or_else(|| panic.downcast_ref::<String>().cloned());
        ResumeError::Damaged {
            path: path.to_path_buf(),
            message: message.unwrap_or_default(),
        }
    })
}

/// Opens the database with every page checked, and its tables created.
fn open_database(path: &Path) -> Result<Database, ResumeError> {
    let opened = guarded(path, || {
        let db = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true)
            .create(path)?;
        let transaction = db.begin_write()?;
        for table in [RECORDS, HAVE, SNAPSHOTS] {
            transaction.open_table(table)?;
        }
        transaction.commit()?;
        Ok(db)
    })?;
    opened.map_err(|error| database_error(path, error))
}

fn database_error(path: &Path, error: redb::Error) -> ResumeError {
    use io::ErrorKind::{InvalidData, UnexpectedEof};
    match error {
        redb::Error::DatabaseAlreadyOpen => ResumeError::InUse(path.to_path_buf()),
        redb::Error::Io(error) if !matches!(error.kind(), InvalidData | UnexpectedEof) => {
            io_error(path)(error)
        }
        redb::Error::PreviousIo | redb::Error::DatabaseClosed => {
            io_error(path)(io::Error::other(error))
        }
        error => ResumeError::Damaged {
            path: path.to_path_buf(),
            message: error.to_string(),
        },
    }
}

pub(super) fn io_error(path: &Path) -> impl Fn(io::Error) -> ResumeError {
    move |source| ResumeError::Io {
        path: path.to_path_buf(),
        source,
    }
}

/// A name that no earlier damaged database has.
fn free_name(path: &Path) -> Result<PathBuf, ResumeError> {
    for number in 1..=u32::MAX {
        let mut name = path.as_os_str().to_os_string();
        name.push(format!(".corrupt-{number}"));
        if !Path::new(&name).try_exists().map_err(io_error(path))? {
            return Ok(name.into());
        }
    }
    Err(io_error(path)(io::ErrorKind::AlreadyExists.into()))
}

fn encode_have(have: &Bitfield) -> Vec<u8> {
    let mut bytes = have.len().to_le_bytes().to_vec();
    bytes.extend_from_slice(have.as_bytes());
    bytes
}

fn decode_have(bytes: &[u8]) -> Option<Bitfield> {
    let (len, bits) = bytes.split_first_chunk()?;
    Bitfield::from_wire(bits, u32::from_le_bytes(*len)).ok()
}
