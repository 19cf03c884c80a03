//! The rows of the resume database: edits of one at a time, commits of many in one transaction.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use dunlin_base::{Bitfield, InfoHash};
use dunlin_port::disk::Totals;
use dunlin_port::user::FilePriority;
use dunlin_storage::{Commit, Flushed, ResumeDb, ResumeError, ResumeRecord, StatSnapshot};

use super::torrent::OpenTorrent;

/// The resume database, edited by reading a record, changing it and writing it back.
pub(super) struct Records {
    pub(super) db: Arc<ResumeDb>,
    /// Held from reading records to writing them, so that no change is lost.
    edits: Mutex<()>,
}

/// What is to be committed of one torrent.
pub(super) struct Facts {
    pub(super) torrent: Arc<OpenTorrent>,
    pub(super) have: Bitfield,
    pub(super) flushed: Flushed,
    /// Totals, and whether it is paused, when they may have changed.
    pub(super) state: Option<(Totals, bool)>,
    /// The pieces that a check hashed.
    pub(super) checked: Option<Bitfield>,
    /// What the files look like, when nothing will be written for now.
    pub(super) at_rest: Option<StatSnapshot>,
}

impl Records {
    pub(super) fn new(db: Arc<ResumeDb>) -> Self {
        Self {
            db,
            edits: Mutex::default(),
        }
    }

    /// Changes a torrent's record, which is made when there is none or it is damaged.
    pub(super) fn edit(
        &self,
        torrent: InfoHash,
        root: &Path,
        change: impl FnOnce(&mut ResumeRecord),
    ) -> Result<(), ResumeError> {
        let _editing = self.edits.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.find(torrent)?;
        let mut record = old.clone().unwrap_or_else(|| new_record(root));
        change(&mut record);
        if old.as_ref() == Some(&record) {
            return Ok(());
        }
        self.db.put(torrent, &record)
    }

    /// A torrent's record, unless there is none or it is damaged.
    pub(super) fn find(&self, torrent: InfoHash) -> Result<Option<ResumeRecord>, ResumeError> {
        match self.db.record(torrent) {
            Ok(record) => Ok(Some(record)),
            Err(ResumeError::Unknown(_) | ResumeError::Record { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Commits what was flushed of many torrents, in one transaction.
    pub(super) fn commit(&self, facts: &[&Facts]) -> Result<(), ResumeError> {
        let _editing = self.edits.lock().unwrap_or_else(PoisonError::into_inner);
        let records: Vec<_> = facts
            .iter()
            .map(|facts| self.changed_record(facts))
            .collect::<Result<_, _>>()?;
        let commits: Vec<_> = facts
            .iter()
            .zip(&records)
            .map(|(facts, record)| Commit {
                torrent: facts.torrent.info_hash(),
                geometry: facts.torrent.layout.geometry(),
                have: &facts.have,
                flushed: &facts.flushed,
                record: record.as_ref(),
                checked: facts.checked.as_ref(),
                at_rest: facts.at_rest.as_ref(),
            })
            .collect();
        self.db.commit(&commits).map(drop)
    }

    fn changed_record(&self, facts: &Facts) -> Result<Option<ResumeRecord>, ResumeError> {
        let old = self.find(facts.torrent.info_hash())?;
        let mut record = old.clone().unwrap_or_else(|| {
            let mut record = new_record(&facts.torrent.files.root());
            choose(&mut record, &facts.torrent.files.wanted());
            record
        });
        if let Some((totals, paused)) = facts.state {
            record.downloaded_bytes = totals.downloaded_bytes;
            record.uploaded_bytes = totals.uploaded_bytes;
            record.paused = paused;
        }
        Ok((old.as_ref() != Some(&record)).then_some(record))
    }
}

fn new_record(root: &Path) -> ResumeRecord {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    ResumeRecord {
        root: root.to_path_buf(),
        added_unix_secs: i64::try_from(now).unwrap_or(i64::MAX),
        ..ResumeRecord::default()
    }
}

/// Keeps the levels of a record's priorities as far as they agree with which files are wanted.
pub(super) fn choose(record: &mut ResumeRecord, wanted: &[bool]) {
    let (skip, normal) = (FilePriority::Skip as u8, FilePriority::Normal as u8);
    let known = std::mem::take(&mut record.priorities);
    if known.is_empty() && wanted.iter().all(|wanted| *wanted) {
        return;
    }
    let level = |(at, &wanted): (usize, &bool)| match known.get(at) {
        Some(&level) if wanted == (level != skip) => level,
        _ if wanted => normal,
        _ => skip,
    };
    record.priorities = wanted.iter().enumerate().map(level).collect();
}
