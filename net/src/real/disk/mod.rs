//! Carries out disk commands on helper threads: a torrent's files and its row in the resume
//! database.
//!
//! A bit in the resume database means that its data was written and flushed before: pieces are
//! noted before they are written, files are flushed before a commit, and many torrents share one
//! transaction.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dunlin_base::{Bitfield, InfoHash, TorrentKey};
use dunlin_port::BlockPool;
use dunlin_port::disk::{DiskCommand, DiskEvent, Totals};
use dunlin_storage::{FilePool, ResumeDb, ResumeError, ResumeRecord};

use super::mailbox::{Mailbox, Wake};
use commit::{Line, Outcome, Then};
use open::{Checked, Desk, Opening};
use queue::{Ended, Job, Known, PieceWrite, Queue, Work};
use records::{Facts, Records};
use spill::Spilled;
use torrent::OpenTorrent;
pub use torrent::layout_of;

mod commit;
mod open;
mod queue;
mod records;
pub(crate) mod spill;
#[cfg(test)]
mod tests;
mod torrent;
mod transfer;
pub(crate) mod trouble;
mod waiting;

/// Threads that there are at least, so that a check never keeps the only one.
const THREADS_MIN: usize = 2;
/// Pause before reads that found no buffer are tried again; buffers go home as sockets take them.
const STARVED_PAUSE: Duration = Duration::from_millis(5);

/// The disk port cannot start.
#[derive(Debug, thiserror::Error)]
pub enum DiskPortError {
    /// The resume database cannot be opened.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// The system gives no thread.
    #[error("cannot start a disk thread: {0}")]
    Thread(#[from] io::Error),
}

/// The disk port on helper threads.
///
/// The queue has no bound of its own: writes hold blocks of a pool, and reads are bounded by what
/// peers may ask for. Dropping the port carries out what was submitted, but ends checks and moves
/// early and forgets reads; an interrupted move is completed when the torrent is opened again.
pub struct DiskPort {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    events: Mailbox<DiskEvent>,
    /// Where blocks come from that peers asked for.
    pool: BlockPool,
    files: Arc<FilePool>,
    records: Option<Records>,
    commits: Line,
}

struct State {
    queue: Queue,
    /// Reads that wait for buffers.
    starved: Vec<DiskCommand>,
    stop: bool,
}

impl DiskPort {
    /// Starts `threads` helper threads (at least two). The resume database is in `state_dir`, which
    /// is made when it is missing; without one, nothing is remembered. Blocks that peers ask for
    /// come from `pool`: one of its own, so that uploads cannot starve downloads. `wake` is called
    /// when events are ready.
    ///
    /// # Errors
    /// When another process uses the database, it cannot be used at all, or there are no threads.
    pub fn new(
        wake: Wake,
        state_dir: Option<&Path>,
        threads: usize,
        pool: BlockPool,
    ) -> Result<Self, DiskPortError> {
        let db = state_dir.map(ResumeDb::open).transpose()?;
        let threads = threads.max(THREADS_MIN);
        let state = State {
            queue: Queue::new(threads),
            starved: Vec::new(),
            stop: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            events: Mailbox::new(wake),
            pool,
            files: FilePool::of_process(),
            records: db.map(|db| Records::new(Arc::new(db))),
            commits: Line::default(),
        });
        let mut port = Self {
            shared: Arc::clone(&shared),
            threads: Vec::with_capacity(threads),
        };
        for n in 0..threads {
            let shared = Arc::clone(&shared);
            let name = format!("dunlin-disk-{n}");
            port.threads.push(
                thread::Builder::new()
                    .name(name)
                    .spawn(move || shared.work())?,
            );
        }
        Ok(port)
    }

    /// Takes all commands.
    pub fn submit(&self, commands: &mut Vec<DiskCommand>) {
        if commands.is_empty() {
            return;
        }
        let mut state = self.shared.lock();
        commands
            .drain(..)
            .for_each(|command| state.queue.push(command));
        drop(state);
        // Whoever takes one wakes another while there is more.
        self.shared.changed.notify_one();
    }

    /// Moves all events that are ready to the end of `events`.
    pub fn drain(&self, events: &mut VecDeque<DiskEvent>) {
        self.shared.events.take(events);
    }

    /// The resume database, to list what it remembers, and to store and read metainfo. Records of
    /// torrents that are open are changed through [`Self::remember`] only.
    #[must_use]
    pub fn resume(&self) -> Option<&Arc<ResumeDb>> {
        self.shared.records.as_ref().map(|records| &records.db)
    }

    /// Changes what is remembered of a torrent besides what commands say of it: priorities,
    /// further facts. `root` is the folder of a torrent that has no record yet. Blocks for one
    /// durable transaction, unless nothing changes; without a database nothing happens.
    ///
    /// Opening a torrent makes a record when there is none, and keeps `root` and which files are
    /// wanted in it; commits keep totals and pause.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn remember(
        &self,
        torrent: InfoHash,
        root: &Path,
        change: impl FnOnce(&mut ResumeRecord),
    ) -> Result<(), ResumeError> {
        match &self.shared.records {
            Some(records) => records.edit(torrent, root, change),
            None => Ok(()),
        }
    }
}

impl Drop for DiskPort {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.stop = true;
        state.starved.clear();
        state.queue.hurry();
        drop(state);
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a disk thread had panicked");
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            let Job {
                key,
                work,
                torrent,
                known,
                cancelled,
            } = job;
            match work {
                Work::Write(writes) => self.write(key, torrent.as_deref(), writes),
                Work::Command(command @ (DiskCommand::Spill { .. } | DiskCommand::Hash { .. })) => {
                    self.spill(key, torrent.as_deref(), command);
                }
                Work::Command(DiskCommand::Read { peer, blocks, .. }) => {
                    let (events, left) =
                        transfer::read(key, torrent.as_deref(), &self.pool, peer, blocks);
                    self.events.put(events);
                    self.end(key, Ended::Read);
                    if !left.is_empty() {
                        let read = DiskCommand::Read {
                            torrent: key,
                            peer,
                            blocks: left,
                        };
                        self.starve(read);
                    }
                }
                Work::Command(DiskCommand::Commit {
                    have,
                    totals,
                    paused,
                    ..
                }) => {
                    self.commit(key, torrent.as_ref(), have, (totals, paused));
                }
                Work::Command(command) => {
                    let desk = Desk {
                        key,
                        records: self.records.as_ref(),
                        files: &self.files,
                        cancelled: &cancelled,
                        tell: &|event| self.events.put([event]),
                    };
                    let long = queue::takes_long(&command);
                    let left = alone(&desk, torrent, known.as_deref(), command);
                    if long {
                        self.lock().queue.nearly_ended();
                    }
                    self.settle(key, left);
                }
            }
        }
    }

    /// Waits for the next piece of work; `None` when the port stops and everything is done.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.queue.take() {
                if state.queue.has_ready() {
                    self.changed.notify_one();
                }
                return Some(job);
            }
            if state.stop && state.queue.is_idle() {
                return None;
            }
            if state.starved.is_empty() {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let waited = self.changed.wait_timeout(state, STARVED_PAUSE);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            // Behind what has come since: writes give buffers back, so they must not wait for reads.
            for read in std::mem::take(&mut state.starved) {
                state.queue.push(read);
            }
        }
    }

    fn write(&self, key: TorrentKey, torrent: Option<&OpenTorrent>, writes: Vec<PieceWrite>) {
        let events = transfer::write(key, torrent, self.resume(), writes);
        // First, or a commit that waits for these writes might be told of before them.
        self.events.put(events);
        self.end(key, Ended::Write);
    }

    /// Writes a part of a piece, or hashes a piece that was written so.
    fn spill(&self, key: TorrentKey, torrent: Option<&OpenTorrent>, command: DiskCommand) {
        let resume = self.resume();
        let (event, ended) = match command {
            DiskCommand::Spill {
                piece,
                spill,
                blocks,
                ..
            } => {
                let spilled = Spilled {
                    torrent: key,
                    piece,
                };
                let event = spilled.write(torrent, resume, spill, blocks);
                (event, Ended::Write)
            }
            DiskCommand::Hash {
                piece,
                number,
                expected,
                digest_blocks,
                ..
            } => {
                let spilled = Spilled {
                    torrent: key,
                    piece,
                };
                let event = spilled.hash(torrent, resume, number, expected, digest_blocks);
                (event, Ended::Hash)
            }
            _ => unreachable!("only these are of spilled pieces"),
        };
        self.events.put([event]);
        self.end(key, ended);
    }

    fn resume(&self) -> Option<&ResumeDb> {
        self.records.as_ref().map(|records| &*records.db)
    }

    fn commit(
        &self,
        key: TorrentKey,
        torrent: Option<&Arc<OpenTorrent>>,
        have: Bitfield,
        state: (Totals, bool),
    ) {
        let flushed = match torrent {
            Some(torrent) => commit::flush(torrent, have, Some(state)),
            None => Err(trouble::not_open()),
        };
        match flushed {
            Ok(facts) => self.line_up(key, facts, Then::Committed),
            Err(error) => self.committed((key, Then::Committed, Err(error))),
        }
    }

    /// Ends a command that ran alone, after what is left of it is committed.
    fn settle(&self, key: TorrentKey, left: Left) {
        let (facts, then) = match left {
            Left::Nothing(torrent) => {
                let closed = false;
                return self.end(key, Ended::Alone { torrent, closed });
            }
            Left::Checked(Checked {
                torrent,
                opened,
                facts,
            }) => (facts, Then::Opened(opened, torrent)),
            Left::Closed(facts) => (facts, Then::Closed),
        };
        match facts {
            Some(facts) => self.line_up(key, facts, then),
            None => self.committed((key, then, Ok(()))),
        }
    }

    fn line_up(&self, key: TorrentKey, facts: Facts, then: Then) {
        // A commit takes its time, in which others can do what waits.
        self.wake_another();
        let records = self.records.as_ref();
        self.commits.commit(key, facts, then, records, |outcome| {
            self.committed(outcome);
            self.wake_another();
        });
    }

    /// Tells how a commit ended, and lets what waited for it begin.
    fn committed(&self, (key, then, result): Outcome) {
        let good = result.is_ok();
        let failed = result.err().map(|error| DiskEvent::Failed {
            torrent: key,
            error,
        });
        let (event, ended) = match then {
            Then::Committed => (
                good.then_some(DiskEvent::Committed { torrent: key }),
                Ended::Commit,
            ),
            Then::Opened(opened, torrent) => {
                let (torrent, closed) = (good.then_some(torrent), false);
                (good.then_some(opened), Ended::Alone { torrent, closed })
            }
            Then::Closed => {
                let (torrent, closed) = (None, true);
                (
                    Some(DiskEvent::ClosedFiles { torrent: key }),
                    Ended::Alone { torrent, closed },
                )
            }
        };
        self.events.put(failed.into_iter().chain(event));
        self.end(key, ended);
    }

    fn starve(&self, read: DiskCommand) {
        let mut state = self.lock();
        if !state.stop {
            state.starved.push(read);
        }
    }

    /// Lets what waited for a piece of work begin. The thread that did it takes the next itself.
    fn end(&self, key: TorrentKey, ended: Ended) {
        let mut state = self.lock();
        state.queue.end(key, ended);
        if state.stop {
            self.changed.notify_all();
        }
    }

    fn wake_another(&self) {
        if self.lock().queue.has_ready() {
            self.changed.notify_one();
        }
    }
}

/// What is left of a command that ran alone.
enum Left {
    /// Nothing; what is open now.
    Nothing(Option<Arc<OpenTorrent>>),
    /// What it found is to be committed and told.
    Checked(Checked),
    /// The torrent is closed when this is committed.
    Closed(Option<Facts>),
}

/// Carries out a command that runs alone.
fn alone(
    desk: &Desk<'_>,
    torrent: Option<Arc<OpenTorrent>>,
    known: Option<&Known>,
    command: DiskCommand,
) -> Left {
    match command {
        DiskCommand::Open {
            info,
            root,
            preallocation,
            wanted,
            check,
            as_is,
            ..
        } => {
            let opened = desk.open(Opening {
                info,
                root,
                preallocation,
                wanted,
                check,
                as_is,
            });
            opened.map_or(Left::Nothing(None), Left::Checked)
        }
        DiskCommand::Select { wanted, .. } => {
            desk.select(torrent.as_ref(), wanted);
            Left::Nothing(torrent)
        }
        DiskCommand::Move { root, .. } => {
            desk.relocate(torrent.as_ref(), known, &root);
            Left::Nothing(torrent)
        }
        DiskCommand::Recheck { .. } => {
            let checked = desk.recheck(torrent.as_ref());
            checked.map_or(Left::Nothing(torrent), Left::Checked)
        }
        DiskCommand::Close { keep, .. } => Left::Closed(desk.close(torrent.as_ref(), known, keep)),
        DiskCommand::Write { .. }
        | DiskCommand::Spill { .. }
        | DiskCommand::Hash { .. }
        | DiskCommand::Read { .. }
        | DiskCommand::Commit { .. } => unreachable!("these run beside others"),
    }
}
