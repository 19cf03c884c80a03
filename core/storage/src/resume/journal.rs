//! The pieces of one torrent that were written, or were about to be, since the last commit.
//!
//! A file that only grows, by one `write` before each batch of pieces: what is written survives the
//! end of the process by any signal, and costs no flush. The file is there from the first write of a
//! torrent until it is closed, so that it is there says that the torrent was not closed. After a
//! power failure it may be gone or cut; then the times of the files tell that they changed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use dunlin_base::{Bitfield, PieceIndex, limits};

use crate::number_set::NumberSet;

/// First bytes of the file; piece numbers of four bytes (little-endian) follow.
const MAGIC: &[u8; 8] = b"DUNWRIT1";
const ENTRY_BYTES: usize = 4;
/// Entries that are no longer needed, above which the file is written anew.
const STALE_ENTRIES_MAX: usize = 64 * 1024;

/// A torrent's journal, by its file.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    /// Pieces in the file that no commit has settled.
    outstanding: NumberSet,
    /// Entries in the file; `None` when there is no file.
    entries: Option<usize>,
}

impl Journal {
    /// The journal at `path`, which need not be there.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let (outstanding, entries) = read(&path)?.unzip();
        Ok(Self {
            path,
            entries,
            outstanding: outstanding.unwrap_or_default(),
        })
    }

    /// Whether the torrent was not closed.
    pub(super) const fn is_there(&self) -> bool {
        self.entries.is_some()
    }

    /// The pieces that may be on disk without being committed.
    pub(super) fn outstanding(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        self.outstanding
            .iter()
            .map(|piece| PieceIndex(piece as u32))
    }

    /// Notes pieces, before they are written.
    pub(super) fn append(&mut self, pieces: &[PieceIndex]) -> io::Result<()> {
        let fresh: Vec<_> = pieces
            .iter()
            .filter(|piece| !self.outstanding.contains(piece.0.into()))
            .copied()
            .collect();
        if fresh.is_empty() && self.is_there() {
            return Ok(());
        }
        let entries = match self.entries {
            Some(entries) => {
                let mut file = OpenOptions::new().write(true).open(&self.path)?;
                // Not at the end: a write that failed halfway may have left part of an entry there.
                file.seek(io::SeekFrom::Start(offset_of(entries)))?;
                file.write_all(&encode(&fresh))?;
                entries
            }
            None => {
                write_new(&self.path, &fresh)?;
                0
            }
        };
        self.entries = Some(entries + fresh.len());
        self.outstanding
            .extend(fresh.iter().map(|piece| piece.0.into()));
        Ok(())
    }

    /// Forgets the pieces of `settled`, which are committed or were hashed again.
    pub(super) fn settle(&mut self, settled: &Bitfield) -> io::Result<()> {
        // A damaged journal may name pieces that the torrent does not have.
        self.outstanding
            .retain(|piece| piece < settled.len().into() && !settled.has(PieceIndex(piece as u32)));
        let Some(entries) = self.entries else {
            return Ok(());
        };
        if self.outstanding.is_empty() && entries > 0 {
            let file = OpenOptions::new().write(true).open(&self.path)?;
            file.set_len(offset_of(0))?;
            self.entries = Some(0);
        } else if entries - self.outstanding.len() > STALE_ENTRIES_MAX {
            let left: Vec<_> = self.outstanding().collect();
            write_new(&self.path, &left)?;
            self.entries = Some(left.len());
        }
        Ok(())
    }

    /// Ends the journal of a torrent that is closed with everything committed; says whether it
    /// could be.
    pub(super) fn close(&mut self) -> io::Result<bool> {
        if !self.outstanding.is_empty() {
            return Ok(false);
        }
        self.remove()?;
        Ok(true)
    }

    /// Removes the journal, whatever is in it.
    pub(super) fn remove(&mut self) -> io::Result<()> {
        self.outstanding = NumberSet::default();
        self.entries = None;
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Puts a whole journal in the place of the old one, at once.
fn write_new(path: &Path, pieces: &[PieceIndex]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend(encode(pieces));
    file.write_all(&bytes)?;
    fs::rename(&beside, path)
}

/// Where an entry begins in the file.
const fn offset_of(entry: usize) -> u64 {
    (MAGIC.len() + entry * ENTRY_BYTES) as u64
}

fn encode(pieces: &[PieceIndex]) -> Vec<u8> {
    pieces
        .iter()
        .flat_map(|piece| piece.0.to_le_bytes())
        .collect()
}

/// The pieces in the file and the number of its entries; `None` when there is no file. Only pieces
/// that a torrent can have are taken, which bounds the memory; a last entry that is cut was never
/// followed by a write.
fn read(path: &Path) -> io::Result<Option<(NumberSet, usize)>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut pieces = NumberSet::default();
    let mut magic = [0; MAGIC.len()];
    let mut input = io::BufReader::new(file);
    if input.read_exact(&mut magic).is_err() || &magic != MAGIC {
        // Not ours, or cut short: any piece may have been written.
        let all: Vec<_> = (0..limits::PIECES_MAX).map(PieceIndex).collect();
        write_new(path, &all)?;
        return Ok(Some(((0..limits::PIECES_MAX.into()).collect(), all.len())));
    }
    let mut entry = [0; ENTRY_BYTES];
    let mut entries = 0;
    while input.read_exact(&mut entry).is_ok() {
        entries += 1;
        let piece = u32::from_le_bytes(entry);
        if piece < limits::PIECES_MAX {
            pieces.insert(piece.into());
        }
    }
    Ok(Some((pieces, entries)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(pieces: &[u32]) -> Bitfield {
        let mut bits = Bitfield::empty(100);
        for &piece in pieces {
            bits.set(PieceIndex(piece));
        }
        bits
    }

    fn pieces(journal: &Journal) -> Vec<u32> {
        journal.outstanding().map(|piece| piece.0).collect()
    }

    #[test]
    fn what_is_noted_survives_and_what_is_settled_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.written");
        let mut journal = Journal::open(path.clone()).unwrap();
        assert!(!journal.is_there());
        journal.append(&[PieceIndex(3), PieceIndex(70)]).unwrap();
        journal.append(&[PieceIndex(3), PieceIndex(5)]).unwrap();
        assert_eq!(pieces(&Journal::open(path.clone()).unwrap()), [3, 5, 70]);
        journal.settle(&bits(&[3, 70])).unwrap();
        assert!(!journal.close().unwrap());
        journal.settle(&bits(&[5])).unwrap();
        let empty = Journal::open(path.clone()).unwrap();
        assert!(empty.is_there() && pieces(&empty).is_empty());
        assert!(journal.close().unwrap() && !path.exists());
    }

    #[test]
    fn cut_and_foreign_journals_are_read_on_the_safe_side() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.written");
        write_new(&path, &[PieceIndex(7), PieceIndex(8)]).unwrap();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(pieces(&Journal::open(path.clone()).unwrap()), [7]);
        for foreign in [&b""[..], b"DUN", b"something else"] {
            fs::write(&path, foreign).unwrap();
            let all = limits::PIECES_MAX as usize;
            assert_eq!(Journal::open(path.clone()).unwrap().outstanding.len(), all);
        }
    }

    #[test]
    fn a_journal_does_not_grow_without_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.written");
        let mut journal = Journal::open(path.clone()).unwrap();
        let many: Vec<_> = (0..STALE_ENTRIES_MAX as u32 + 2).map(PieceIndex).collect();
        journal.append(&many).unwrap();
        let mut settled = Bitfield::full(STALE_ENTRIES_MAX as u32 + 2);
        settled.clear(PieceIndex(9));
        journal.settle(&settled).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 12);
        assert_eq!(pieces(&Journal::open(path).unwrap()), [9]);
    }
}
