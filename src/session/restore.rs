//! Brings back what an earlier session had.

use dunlin_base::{InfoHash, TorrentKey};
use dunlin_port::user::FilePriority;
use dunlin_protocol::metainfo::Metainfo;
use dunlin_storage::{Listed, ResumeDb};

use super::{AddError, NewTorrent, RestoreError, Session};

/// A torrent that could not be brought back, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotRestored {
    /// Which torrent.
    pub info_hash: InfoHash,
    /// Why, in words for a person.
    pub reason: String,
}

impl Session {
    /// Adds every torrent that the resume database remembers and this session does not have yet.
    /// One that is damaged does not keep the others.
    ///
    /// # Errors
    /// When the database cannot be read, or the session is over.
    pub fn restore(&self) -> Result<(Vec<TorrentKey>, Vec<NotRestored>), RestoreError> {
        let (mut restored, mut lost) = (Vec::new(), Vec::new());
        let Some(resume) = &self.resume else {
            return Ok((restored, lost));
        };
        for listed in resume.list()? {
            let info_hash = listed.torrent;
            match remembered(resume, listed).map(|new| self.add(new)) {
                Ok(Ok(torrent)) => restored.push(torrent),
                Ok(Err(AddError::Duplicate(_))) => {}
                Ok(Err(AddError::Ended(ended))) => return Err(ended.into()),
                Ok(Err(error)) => lost.push(NotRestored {
                    info_hash,
                    reason: error.to_string(),
                }),
                Err(reason) => lost.push(NotRestored { info_hash, reason }),
            }
        }
        Ok((restored, lost))
    }
}

fn remembered(resume: &ResumeDb, listed: Listed) -> Result<NewTorrent, String> {
    let record = listed.record.map_err(|error| error.to_string())?;
    let bytes = resume
        .metainfo(listed.torrent)
        .map_err(|error| error.to_string())?;
    let bytes = bytes.ok_or("its .torrent file is gone from the state folder")?;
    let metainfo = Metainfo::parse_vec(bytes).map_err(|error| error.to_string())?;
    let found = metainfo.info.info_hash();
    if found != listed.torrent {
        return Err(format!(
            "its .torrent file in the state folder is that of another torrent, {found}"
        ));
    }
    let priorities = record.priorities.iter().copied().map(priority).collect();
    Ok(NewTorrent::new(metainfo, record.root)
        .paused(record.paused)
        .file_priorities(priorities))
}

/// Priorities are stored by their place in [`FilePriority`].
const fn priority(level: u8) -> FilePriority {
    match level {
        0 => FilePriority::Skip,
        1 => FilePriority::Low,
        2 => FilePriority::Normal,
        _ => FilePriority::High,
    }
}
