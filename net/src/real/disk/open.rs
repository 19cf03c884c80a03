//! Opens a torrent's files, finds out what is there, moves and closes them.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dunlin_base::{Bitfield, InfoHash, TorrentKey};
use dunlin_port::config::Preallocation;
use dunlin_port::disk::{Check, DiskError, DiskEvent, Keep, Totals};
use dunlin_protocol::metainfo::Info;
use dunlin_storage::{
    FilePool, Flushed, RecheckProgress, ResumeRecord, Storage as _, TorrentFiles, recheck_pieces,
};

use super::commit::flush;
use super::queue::Known;
use super::records::{Facts, Records, choose};
use super::torrent::{OpenTorrent, layout_of, preallocation};
use super::trouble;

/// What a command that runs alone needs besides its torrent.
pub(super) struct Desk<'a> {
    pub(super) key: TorrentKey,
    pub(super) records: Option<&'a Records>,
    pub(super) files: &'a Arc<FilePool>,
    pub(super) cancelled: &'a AtomicBool,
    pub(super) tell: &'a dyn Fn(DiskEvent),
}

/// Bytes to hash above which a new torrent is remembered before its check and not with what it
/// finds: who kills us meanwhile shall not have to add it again.
const CHECK_BYTES_UNREMEMBERED_MAX: u64 = 64 << 20;

/// What a check found.
pub(super) struct Checked {
    pub(super) torrent: Arc<OpenTorrent>,
    /// What is told when it is committed.
    pub(super) opened: DiskEvent,
    /// What is to be committed, unless it is known already.
    pub(super) facts: Option<Facts>,
}

/// Why there is no check; `None` when it was cancelled.
type Unchecked = Option<DiskError>;

/// What is known of a torrent before it is opened.
struct Before {
    check: Check,
    totals: Totals,
    /// Whether it has no record yet.
    fresh: bool,
}

/// The facts of [`dunlin_port::disk::DiskCommand::Open`].
pub(super) struct Opening {
    pub(super) info: Arc<Info>,
    pub(super) root: Arc<Path>,
    pub(super) preallocation: Preallocation,
    pub(super) wanted: Vec<bool>,
    pub(super) check: Check,
    pub(super) as_is: bool,
}

impl Desk<'_> {
    /// Opens a torrent and finds out what is there.
    pub(super) fn open(&self, opening: Opening) -> Option<Checked> {
        let (hash, root, wanted) = (
            opening.info.info_hash(),
            opening.root.clone(),
            opening.wanted.clone(),
        );
        match self.try_open(opening) {
            Ok(checked) => Some(checked),
            Err(error) => {
                self.fail(error);
                // It stays known, to be tried again.
                if let Err(error) = self.place(hash, &root, &wanted) {
                    self.fail(Some(error));
                }
                None
            }
        }
    }

    fn try_open(&self, opening: Opening) -> Result<Checked, Unchecked> {
        let Opening {
            info,
            root,
            preallocation: reserve,
            wanted,
            mut check,
            as_is,
        } = opening;
        let layout = Arc::new(layout_of(&info).map_err(|error| trouble::of_layout(&error))?);
        let hash = info.info_hash();
        let record = match self.records {
            Some(records) => records
                .find(hash)
                .map_err(|error| trouble::of_resume(&error))?,
            None => None,
        };
        match &record {
            // Bits that were committed for another folder say nothing of this one.
            Some(record) if *record.root != *root && check == Check::Quick => check = Check::Full,
            Some(_) => {}
            // A new torrent may bring a new folder; for a known one a missing folder means that
            // its disk is not mounted, which a new folder would hide.
            None => fs::create_dir_all(&root).map_err(|error| folder_error(&root, &error))?,
        }
        let fresh = record.is_none();
        if !fresh {
            self.place(hash, &root, &wanted)?;
        }
        let pool = Arc::clone(self.files);
        let files = TorrentFiles::open(
            root,
            hash,
            Arc::clone(&layout),
            wanted,
            preallocation(reserve),
            pool,
        );
        let files = files.map_err(|error| trouble::of_storage(&error))?;
        let torrent = Arc::new(OpenTorrent::new(info, layout, files, as_is));
        if let Some(target) = record
            .as_ref()
            .and_then(|record| record.moving_to.as_deref())
        {
            self.move_files(&torrent, target);
        }
        let totals = record.map_or_else(Totals::default, |record| Totals {
            downloaded_bytes: record.downloaded_bytes,
            uploaded_bytes: record.uploaded_bytes,
        });
        let before = Before {
            check,
            totals,
            fresh,
        };
        self.check(torrent, before)
    }

    /// Notes where a torrent is and which of its files are wanted.
    fn place(&self, hash: InfoHash, root: &Path, wanted: &[bool]) -> Result<(), DiskError> {
        self.edit(hash, root, |record| {
            record.root = root.to_path_buf();
            choose(record, wanted);
        })
    }

    /// Hashes everything again.
    pub(super) fn recheck(&self, torrent: Option<&Arc<OpenTorrent>>) -> Option<Checked> {
        let Some(torrent) = torrent else {
            self.fail(Some(trouble::not_open()));
            return None;
        };
        let before = Before {
            check: Check::Full,
            // The engine counts on from totals that it has.
            totals: Totals::default(),
            fresh: false,
        };
        let checked = self.check(Arc::clone(torrent), before);
        checked.map_err(|error| self.fail(error)).ok()
    }

    /// Finds out which pieces are there.
    fn check(&self, torrent: Arc<OpenTorrent>, before: Before) -> Result<Checked, Unchecked> {
        let Before {
            check,
            totals,
            fresh,
        } = before;
        let pieces = torrent.layout.geometry().piece_count();
        let (mut have, doubt) = match check {
            Check::Trusted => (Bitfield::full(pieces), Bitfield::empty(pieces)),
            Check::Full => (Bitfield::empty(pieces), Bitfield::full(pieces)),
            Check::Quick => self.remembered(&torrent)?,
        };
        let mut flushed = None;
        if doubt.count() > 0 {
            let bytes =
                u64::from(doubt.count()) * u64::from(torrent.layout.geometry().piece_bytes());
            if fresh && bytes > CHECK_BYTES_UNREMEMBERED_MAX {
                let files = &torrent.files;
                self.place(torrent.info_hash(), &files.root(), &files.wanted())?;
            }
            let good = self.hash(&torrent, &doubt)?;
            if good.count() > 0 && self.records.is_some() {
                // Before the files get their form: what vanished since must not be vouched for as the
                // empty file that is made in its place.
                let all = torrent.files.flush_all();
                flushed = Some(all.map_err(|error| trouble::of_storage(&error))?);
            }
            for piece in doubt.iter() {
                if good.has(piece) {
                    have.set(piece);
                } else {
                    have.clear(piece);
                }
            }
        }
        // What is as it was when it was last committed needs no touch and no flush: thousands start
        // like that.
        let looked = fresh || check != Check::Quick || doubt.count() > 0;
        let misshapen = have.is_full() && is_misshapen(&torrent)?;
        let looked = looked || misshapen;
        if !torrent.as_is {
            let files = &torrent.files;
            let shaped = match (have.is_full(), misshapen) {
                (false, _) => files.prepare(),
                // All pieces are there; empty files and ends may not be. What is right is not even
                // opened to be written: it may be on a disk that nobody may write to.
                (true, true) => files.finish(),
                (true, false) => Ok(()),
            };
            shaped.map_err(|error| trouble::of_storage(&error))?;
        }
        torrent.ledger().have.clone_from(&have);
        let facts = if looked {
            self.facts_of_check(&torrent, &have, &doubt, flushed)?
        } else {
            None
        };
        let opened = DiskEvent::Opened {
            torrent: self.key,
            have,
            checked: doubt.count(),
            totals,
        };
        Ok(Checked {
            torrent,
            opened,
            facts,
        })
    }

    /// The pieces that the last run committed, and those to hash again.
    fn remembered(&self, torrent: &OpenTorrent) -> Result<(Bitfield, Bitfield), DiskError> {
        let geometry = torrent.layout.geometry();
        let now = torrent
            .files
            .stat()
            .map_err(|error| trouble::of_storage(&error))?;
        let Some(records) = self.records else {
            let none = Bitfield::empty(geometry.piece_count());
            let nothing = now.part.is_none() && now.files.iter().all(Option::is_none);
            let doubt = if nothing {
                none.clone()
            } else {
                Bitfield::full(geometry.piece_count())
            };
            return Ok((none, doubt));
        };
        let state = records.db.load(torrent.info_hash(), geometry);
        let state = state.map_err(|error| trouble::of_resume(&error))?;
        let doubt = state.pieces_in_doubt(&torrent.layout, &now);
        Ok((state.have, doubt))
    }

    fn hash(&self, torrent: &OpenTorrent, which: &Bitfield) -> Result<Bitfield, Option<DiskError>> {
        let Some(hashes) = torrent.piece_hashes() else {
            let message = "a torrent with SHA-256 hashes alone (BEP 52) cannot be checked yet";
            return Err(Some(trouble::other(message)));
        };
        let tell = |done, of| {
            (self.tell)(DiskEvent::Checking {
                torrent: self.key,
                done,
                of,
            });
        };
        tell(0, which.count());
        // It is called once for up to 16 pieces, which is seldom enough.
        let mut progress = |progress: RecheckProgress| tell(progress.checked, progress.of);
        let good = recheck_pieces(
            &torrent.files,
            &hashes[..],
            which,
            self.cancelled,
            &mut progress,
        );
        good.map_err(|error| trouble::of_recheck(&error))
    }

    /// What a check found, to be committed so that the next start need not find it again.
    fn facts_of_check(
        &self,
        torrent: &Arc<OpenTorrent>,
        have: &Bitfield,
        doubt: &Bitfield,
        flushed: Option<Flushed>,
    ) -> Result<Option<Facts>, DiskError> {
        if self.records.is_none() {
            return Ok(None);
        }
        let flushed = match flushed {
            Some(flushed) => flushed,
            // Nothing is claimed, so nothing has to be safe: a new torrent has only empty files.
            None if have.count() == 0 => Flushed::nothing(torrent.info_hash()),
            None => torrent
                .files
                .flush_all()
                .map_err(|error| trouble::of_storage(&error))?,
        };
        let at_rest = torrent
            .files
            .stat()
            .map_err(|error| trouble::of_storage(&error))?;
        Ok(Some(Facts {
            torrent: Arc::clone(torrent),
            have: have.clone(),
            flushed,
            state: None,
            checked: Some(doubt.clone()),
            at_rest: Some(at_rest),
        }))
    }

    /// Changes which files are wanted.
    pub(super) fn select(&self, torrent: Option<&Arc<OpenTorrent>>, wanted: Vec<bool>) {
        // A torrent that could not be opened gets its choice when it is.
        let Some(torrent) = torrent else { return };
        let root = torrent.files.root();
        let selected = self
            .edit(torrent.info_hash(), &root, |record| choose(record, &wanted))
            .and_then(|()| {
                torrent.ledger().wrote = true;
                let files = &torrent.files;
                let selected = files.select(wanted.clone());
                let selected = match torrent.as_is {
                    true => selected,
                    false => selected.and_then(|()| files.prepare()),
                };
                selected.map_err(|error| trouble::of_storage(&error))
            });
        if let Err(error) = selected {
            self.fail(Some(error));
        }
    }

    /// Moves a torrent's files and tells where they are.
    pub(super) fn relocate(
        &self,
        torrent: Option<&Arc<OpenTorrent>>,
        known: Option<&Known>,
        target: &Path,
    ) {
        match (torrent, known) {
            (Some(torrent), _) => self.move_files(torrent, target),
            (None, Some(known)) => (self.tell)(DiskEvent::Moved {
                torrent: self.key,
                root: known.root.to_path_buf(),
                error: Some(trouble::not_open()),
            }),
            (None, None) => self.fail(Some(trouble::not_open())),
        }
    }

    fn move_files(&self, torrent: &OpenTorrent, target: &Path) {
        let hash = torrent.info_hash();
        let from = torrent.files.root();
        let mut go_on = |_| match self.cancelled.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let moved = self
            .edit(hash, &from, |record| {
                record.moving_to = Some(target.to_path_buf());
            })
            .and_then(|()| fs::create_dir_all(target).map_err(|error| folder_error(target, &error)))
            .and_then(|()| {
                let moved = torrent.files.move_to(target, &mut go_on);
                moved.map_err(|error| trouble::of_storage(&error))
            });
        let root = torrent.files.root();
        // When we are about to end, the next start completes the move.
        let mut error = moved.err();
        if error.is_none() || !self.cancelled.load(Ordering::Relaxed) {
            let settled = self.edit(hash, &root, |record| {
                record.root = root.to_path_buf();
                record.moving_to = None;
            });
            error = error.or(settled.err());
        }
        (self.tell)(DiskEvent::Moved {
            torrent: self.key,
            root: root.to_path_buf(),
            error,
        });
    }

    /// Ends a torrent: whatever fails, its files are closed afterwards. What is left to be committed
    /// of it, if anything.
    pub(super) fn close(
        &self,
        torrent: Option<&Arc<OpenTorrent>>,
        known: Option<&Known>,
        keep: Keep,
    ) -> Option<Facts> {
        let closed = match (torrent, keep) {
            (Some(torrent), Keep::All) => facts_at_rest(torrent).map(Some),
            (None, Keep::All) => Ok(None),
            (_, Keep::Files) => self.forget(known).map(|()| None),
            (Some(torrent), Keep::Nothing) => {
                let removed = torrent.files.remove_data();
                removed
                    .map_err(|error| trouble::of_storage(&error))
                    .and(self.forget(known))
                    .map(|()| None)
            }
            (None, Keep::Nothing) => self.forget(known).and(Err(trouble::not_open())),
        };
        closed.unwrap_or_else(|error| {
            self.fail(Some(error));
            None
        })
    }

    fn forget(&self, known: Option<&Known>) -> Result<(), DiskError> {
        let (Some(records), Some(known)) = (self.records, known) else {
            return Ok(());
        };
        records
            .db
            .remove(known.info_hash)
            .map_err(|error| trouble::of_resume(&error))
    }

    fn edit(
        &self,
        torrent: InfoHash,
        root: &Path,
        change: impl FnOnce(&mut ResumeRecord),
    ) -> Result<(), DiskError> {
        let Some(records) = self.records else {
            return Ok(());
        };
        records
            .edit(torrent, root, change)
            .map_err(|error| trouble::of_resume(&error))
    }

    fn fail(&self, error: Option<DiskError>) {
        if let Some(error) = error {
            (self.tell)(DiskEvent::Failed {
                torrent: self.key,
                error,
            });
        }
    }
}

/// Whether a file of the torrent that is wanted is not on disk, or longer than it should be.
fn is_misshapen(torrent: &OpenTorrent) -> Result<bool, DiskError> {
    let now = torrent
        .files
        .stat()
        .map_err(|error| trouble::of_storage(&error))?;
    let wanted = torrent.files.wanted();
    let misshapen = torrent.layout.iter().any(|(index, spec)| {
        let at = index.0 as usize;
        let wrong = now.files[at]
            .as_ref()
            .is_none_or(|stat| stat.len > spec.length);
        wanted[at] && !spec.pad && spec.symlink.is_none() && wrong
    });
    Ok(misshapen)
}

fn facts_at_rest(torrent: &Arc<OpenTorrent>) -> Result<Facts, DiskError> {
    let have = torrent.ledger().have.clone();
    let mut facts = flush(torrent, have, None)?;
    let at_rest = torrent.files.stat();
    facts.at_rest = Some(at_rest.map_err(|error| trouble::of_storage(&error))?);
    Ok(facts)
}

fn folder_error(path: &Path, error: &std::io::Error) -> DiskError {
    let message = format!("cannot create the folder {}: {error}", path.display());
    DiskError {
        kind: trouble::kind_of_io(error),
        message,
    }
}
