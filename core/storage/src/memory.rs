//! A torrent's bytes in memory: for simulation, and for tests that break the disk.

use std::collections::BTreeMap;
use std::io::{self, IoSlice, IoSliceMut};
use std::sync::{Arc, Mutex, MutexGuard};

use dunlin_base::InfoHash;

use crate::ranges::Ranges;
use crate::{FileLayout, FileStat, Flushed, Operation, StatSnapshot, Storage, StorageError};

const PAGE_BYTES: u64 = 16 * 1024;

/// [`Storage`] in memory. What is not flushed is lost by [`Self::crash`].
#[derive(Debug)]
pub struct MemoryFiles {
    torrent: InfoHash,
    layout: Arc<FileLayout>,
    state: Mutex<State>,
}

/// What goes wrong, until it is set to go right again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Faults {
    /// Bytes after which the disk is full: a write gets as far as they reach, then fails.
    pub room_bytes: Option<u64>,
    /// Whether writes fail before the first byte.
    pub fail_writes: Option<io::ErrorKind>,
    /// Whether reads fail.
    pub fail_reads: Option<io::ErrorKind>,
    /// Whether flushes fail, and lose what they were to make durable.
    pub fail_flushes: Option<io::ErrorKind>,
}

#[derive(Debug, Default)]
struct State {
    /// What a read sees.
    now: Content,
    /// What a crash leaves.
    durable: Content,
    /// Written since the last flush.
    pending: Ranges,
    faults: Faults,
    /// Counts writes: the clock of modification times.
    writes: i64,
}

#[derive(Clone, Debug, Default)]
struct Content {
    pages: BTreeMap<u64, Arc<[u8; PAGE_BYTES as usize]>>,
    written: Ranges,
    /// Time of the last write of each file that was written to.
    mtimes: BTreeMap<u32, i64>,
}

impl MemoryFiles {
    /// Files of a torrent, of which nothing is there yet.
    #[must_use]
    pub fn new(torrent: InfoHash, layout: Arc<FileLayout>) -> Self {
        Self {
            torrent,
            layout,
            state: Mutex::default(),
        }
    }

    /// Changes what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// Loses everything that is not flushed, as a power failure may.
    pub fn crash(&self) {
        let mut state = self.state();
        state.now = state.durable.clone();
        state.pending = Ranges::default();
    }

    /// The `len` bytes at `offset`, whatever goes wrong; `None` unless all of them were written.
    #[must_use]
    pub fn peek(&self, offset: u64, len: usize) -> Option<Vec<u8>> {
        let state = self.state();
        let mut bytes = vec![0; len];
        state.now.read(offset, &mut bytes);
        let there = state.now.written.covers(offset..offset + len as u64);
        there.then_some(bytes)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics with the files locked")
    }

    /// The error of an operation on the file that holds `offset`.
    fn error(&self, op: Operation, offset: u64, kind: io::ErrorKind) -> StorageError {
        let left = self.layout.geometry().total_bytes() - offset;
        let span = self.layout.spans(offset, left.min(1)).next();
        let path = span.map(|span| self.layout.file(span.file).path.clone());
        StorageError::new(op, path.unwrap_or_default(), kind.into())
    }

    fn write(&self, state: &mut State, offset: u64, bytes: &[u8]) {
        state.writes += 1;
        for span in self.layout.spans(offset, bytes.len() as u64) {
            state.now.mtimes.insert(span.file.0, state.writes);
        }
        state.now.write(offset, bytes);
    }
}

impl Storage for MemoryFiles {
    fn torrent(&self) -> InfoHash {
        self.torrent
    }

    fn layout(&self) -> &FileLayout {
        &self.layout
    }

    fn write_vectored_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> Result<(), StorageError> {
        let len: u64 = parts.iter().map(|part| part.len() as u64).sum();
        assert!(offset + len <= self.layout.geometry().total_bytes());
        let mut state = self.state();
        if let Some(kind) = state.faults.fail_writes {
            return Err(self.error(Operation::Write, offset, kind));
        }
        let mut at = offset;
        for part in parts {
            let room = state.faults.room_bytes.unwrap_or(u64::MAX);
            let fits = &part[..room.min(part.len() as u64) as usize];
            self.write(&mut state, at, fits);
            at += fits.len() as u64;
            if let Some(room) = &mut state.faults.room_bytes {
                *room -= fits.len() as u64;
            }
            if fits.len() < part.len() {
                return Err(self.error(Operation::Write, at, io::ErrorKind::StorageFull));
            }
        }
        state.pending.insert(offset..at);
        Ok(())
    }

    fn read_vectored_at(
        &self,
        offset: u64,
        parts: &mut [IoSliceMut<'_>],
    ) -> Result<(), StorageError> {
        let len = parts.iter().map(|part| part.len() as u64).sum();
        let state = self.state();
        if let Some(kind) = state.faults.fail_reads {
            return Err(self.error(Operation::Read, offset, kind));
        }
        for span in self.layout.spans(offset, len).filter(|span| !span.pad) {
            let start = self.layout.range_of(span.file).start + span.file_offset;
            if !state.now.written.covers(start..start + span.len) {
                return Err(self.error(Operation::Read, start, io::ErrorKind::UnexpectedEof));
            }
        }
        let mut at = offset;
        for part in parts {
            state.now.read(at, part);
            at += part.len() as u64;
        }
        Ok(())
    }

    fn flush(&self) -> Result<Flushed, StorageError> {
        let mut state = self.state();
        let ranges = std::mem::take(&mut state.pending);
        if let Some(kind) = state.faults.fail_flushes {
            return Err(self.error(Operation::Flush, 0, kind));
        }
        state.durable = state.now.clone();
        Ok(Flushed::new(self.torrent, ranges))
    }

    fn note_good(&self, offset: u64, len: u64) {
        self.state().pending.insert(offset..offset + len);
    }

    fn flush_all(&self) -> Result<Flushed, StorageError> {
        let mut flushed = self.flush()?;
        let mut ranges = self.state().durable.written.clone();
        for (index, _) in self.layout.iter().filter(|(_, spec)| spec.pad) {
            ranges.insert(self.layout.range_of(index));
        }
        flushed.merge(&Flushed::new(self.torrent, ranges));
        Ok(flushed)
    }

    fn stat(&self) -> Result<StatSnapshot, StorageError> {
        let state = self.state();
        let files = self.layout.iter().map(|(index, spec)| {
            let mtime_nanos = *state.now.mtimes.get(&index.0)?;
            let range = self.layout.range_of(index);
            let end = state
                .now
                .written
                .last_end_in(range.clone())
                .unwrap_or(range.start);
            (!spec.pad).then_some(FileStat {
                len: end - range.start,
                mtime_nanos,
            })
        });
        Ok(StatSnapshot {
            files: files.collect(),
            part: None,
        })
    }
}

impl Content {
    fn write(&mut self, offset: u64, bytes: &[u8]) {
        for (page, at, step) in pages(offset, bytes.len()) {
            let page = self
                .pages
                .entry(page)
                .or_insert_with(|| Arc::new([0; PAGE_BYTES as usize]));
            let bytes = &bytes[step.clone()];
            Arc::make_mut(page)[at..at + bytes.len()].copy_from_slice(bytes);
        }
        self.written.insert(offset..offset + bytes.len() as u64);
    }

    /// Bytes that were never written (padding) are zeros.
    fn read(&self, offset: u64, bytes: &mut [u8]) {
        for (page, at, step) in pages(offset, bytes.len()) {
            let bytes = &mut bytes[step];
            match self.pages.get(&page) {
                Some(page) => bytes.copy_from_slice(&page[at..at + bytes.len()]),
                None => bytes.fill(0),
            }
        }
    }
}

/// Cuts `len` bytes at `offset` into runs inside pages: the page, the place in it, and which of the
/// bytes they are.
fn pages(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let inside = (at % PAGE_BYTES) as usize;
        let step = (PAGE_BYTES as usize - inside).min(len - done);
        done += step;
        (step > 0).then_some((at / PAGE_BYTES, inside, done - step..done))
    })
}
