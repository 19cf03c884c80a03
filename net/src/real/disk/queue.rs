//! Which command is carried out next: the order inside each torrent, fairness between torrents.
//!
//! Inside a torrent, a write and reads run side by side; a read of a piece waits for its write, and
//! a write for the one before it: they would wait for each other inside the system, at the price of
//! a thread that spins, and what gathers meanwhile is written with one call. Reads pass writes that
//! wait. A spill is a write of a part of a piece, and hashing what was spilled a read of it, beside which no
//! commit runs. A commit waits for the writes before it, and lets later ones pass. Everything else (opening,
//! checking, selecting, moving, closing) runs alone. Torrents take turns.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dunlin_base::{InfoHash, PieceIndex, TorrentKey};
use dunlin_port::BlockBuffer;
use dunlin_port::disk::DiskCommand;

use super::torrent::OpenTorrent;
use super::waiting::Waiting;

/// Blocks that one write takes together, as many as one system call can.
const WRITE_BLOCKS_MAX: usize = 1024;

/// A piece to write.
#[derive(Debug)]
pub(super) struct PieceWrite {
    pub(super) piece: PieceIndex,
    pub(super) blocks: Vec<BlockBuffer>,
}

/// What a thread carries out next.
pub(super) enum Work {
    /// Pieces that were queued one behind the other.
    Write(Vec<PieceWrite>),
    /// A spill, hash, read, commit, or command that runs alone.
    Command(DiskCommand),
}

/// A piece of work with its torrent.
pub(super) struct Job {
    pub(super) key: TorrentKey,
    pub(super) work: Work,
    /// The torrent's files, when they are open.
    pub(super) torrent: Option<Arc<OpenTorrent>>,
    /// Which torrent it is, open or not.
    pub(super) known: Option<Arc<Known>>,
    /// Becomes true when a check or move should end early.
    pub(super) cancelled: Arc<AtomicBool>,
}

/// What a torrent's last opening said of it, whether it succeeded or not; where its files are, when they are
/// open.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) info_hash: InfoHash,
    pub(super) root: Arc<Path>,
}

/// What ended, to let others begin.
#[derive(Debug)]
pub(super) enum Ended {
    Write,
    Read,
    Hash,
    Commit,
    /// A command that ran alone; what is open now.
    Alone {
        torrent: Option<Arc<OpenTorrent>>,
        closed: bool,
    },
}

/// The commands of one torrent and what runs of them.
#[derive(Default)]
struct Lane {
    waiting: Waiting,
    torrent: Option<Arc<OpenTorrent>>,
    /// Since it was first opened, or that was tried.
    known: Option<Arc<Known>>,
    cancelled: Arc<AtomicBool>,
    /// Pieces of the write that runs; none while none does.
    writing: BTreeSet<PieceIndex>,
    reads: usize,
    /// Pieces that are hashed from their files.
    hashing: usize,
    committing: bool,
    alone: bool,
    /// Whether the torrent is in [`Queue::ready`] or [`Queue::long_waiting`].
    listed: bool,
}

/// What is kept of a torrent of which nothing waits and nothing runs: of thousands, that is most.
enum Resting {
    Open(Arc<OpenTorrent>),
    /// It could not be opened.
    Known(Arc<Known>),
}

impl Resting {
    /// `None` for a torrent that is closed.
    fn of(lane: Lane) -> Option<Self> {
        let open = lane.torrent.filter(|_| lane.known.is_some());
        open.map(Self::Open).or(lane.known.map(Self::Known))
    }
}

impl From<Resting> for Lane {
    fn from(resting: Resting) -> Self {
        let (torrent, known) = match resting {
            Resting::Open(torrent) => {
                let known = Arc::new(Known {
                    info_hash: torrent.info_hash(),
                    root: torrent.files.root(),
                });
                (Some(torrent), known)
            }
            Resting::Known(known) => (None, known),
        };
        Self {
            torrent,
            known: Some(known),
            ..Self::default()
        }
    }
}

/// All commands that wait or run.
pub(super) struct Queue {
    /// Torrents of which something waits or runs.
    lanes: BTreeMap<TorrentKey, Lane>,
    /// Those that were opened, or that was tried, of which nothing does.
    resting: BTreeMap<TorrentKey, Resting>,
    /// Torrents whose first command can begin, in the order of their turns.
    ready: VecDeque<TorrentKey>,
    /// Torrents whose first command takes long, while enough such run.
    long_waiting: VecDeque<TorrentKey>,
    long_running: usize,
    long_max: usize,
    running: usize,
}

impl Queue {
    /// A queue for `threads`: so many that at least one is never kept by a check or a move.
    pub(super) fn new(threads: usize) -> Self {
        Self {
            lanes: BTreeMap::new(),
            resting: BTreeMap::new(),
            ready: VecDeque::new(),
            long_waiting: VecDeque::new(),
            long_running: 0,
            long_max: (threads / 2).max(1),
            running: 0,
        }
    }

    pub(super) fn push(&mut self, command: DiskCommand) {
        let key = torrent_of(&command);
        let lane = self.lanes.entry(key).or_insert_with(|| {
            let rested = self.resting.remove(&key);
            rested.map_or_else(Lane::default, Lane::from)
        });
        if matches!(command, DiskCommand::Close { .. }) {
            lane.cancelled.store(true, Ordering::Relaxed);
        }
        lane.waiting.push(command);
        self.list(key);
    }

    /// Whether nothing waits and nothing runs.
    pub(super) fn is_idle(&self) -> bool {
        self.running == 0 && self.lanes.values().all(|lane| lane.waiting.is_empty())
    }

    /// Ends checks and moves early, and forgets commands that only have an answer to give, because
    /// nobody will take it.
    pub(super) fn hurry(&mut self) {
        for lane in self.lanes.values_mut() {
            lane.cancelled.store(true, Ordering::Relaxed);
            lane.waiting.retain_behind_writes(|command| {
                // Whoever closes it later may want it forgotten.
                lane.known = known_by(command).or(lane.known.take());
                use DiskCommand::{Hash, Open, Read, Recheck};
                !matches!(
                    command,
                    Open { .. } | Hash { .. } | Read { .. } | Recheck { .. }
                )
            });
        }
        // What is now the first command of these may not take long.
        self.ready.append(&mut self.long_waiting);
        let keys: Vec<_> = self.lanes.keys().copied().collect();
        keys.into_iter().for_each(|key| self.list(key));
    }

    /// Puts a torrent into the line when its first command can begin.
    fn list(&mut self, key: TorrentKey) {
        let Some(lane) = self.lanes.get_mut(&key) else {
            return;
        };
        if !lane.listed && lane.can_begin() {
            lane.listed = true;
            self.ready.push_back(key);
        }
    }

    /// Takes the next piece of work, if any can begin.
    pub(super) fn take(&mut self) -> Option<Job> {
        while let Some(key) = self.ready.pop_front() {
            let Some(lane) = self.lanes.get_mut(&key) else {
                continue;
            };
            if !lane.can_begin() {
                lane.listed = false;
                continue;
            }
            let long = lane.waiting.front().is_some_and(takes_long);
            if long && self.long_running >= self.long_max {
                self.long_waiting.push_back(key);
                continue;
            }
            lane.listed = false;
            let Some(work) = lane.begin() else { continue };
            let job = Job {
                key,
                work,
                torrent: lane.torrent.clone(),
                known: lane.known.clone(),
                cancelled: Arc::clone(&lane.cancelled),
            };
            self.long_running += usize::from(long);
            self.running += 1;
            self.list(key);
            return Some(job);
        }
        None
    }

    /// Lets the next command begin that takes long: of one that runs only its commit is left.
    pub(super) fn nearly_ended(&mut self) {
        self.long_running -= 1;
        self.ready.extend(self.long_waiting.pop_front());
    }

    /// Whether another thread could take something.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn end(&mut self, key: TorrentKey, ended: Ended) {
        let Some(lane) = self.lanes.get_mut(&key) else {
            return;
        };
        self.running -= 1;
        match ended {
            Ended::Write => lane.writing.clear(),
            Ended::Read => lane.reads -= 1,
            Ended::Hash => lane.hashing -= 1,
            Ended::Commit => lane.committing = false,
            Ended::Alone { torrent, closed } => {
                lane.alone = false;
                lane.torrent = torrent;
                if closed {
                    lane.known = None;
                }
            }
        }
        if !lane.is_quiet() {
            self.list(key);
        } else if let Some(lane) = self.lanes.remove(&key)
            && let Some(resting) = Resting::of(lane)
        {
            self.resting.insert(key, resting);
        }
    }
}

impl Lane {
    fn is_quiet(&self) -> bool {
        let reading = self.reads + self.hashing > 0;
        let running = self.is_writing() || reading || self.committing || self.alone;
        !running && self.waiting.is_empty() && !self.listed
    }

    fn is_writing(&self) -> bool {
        !self.writing.is_empty()
    }

    fn can_begin(&self) -> bool {
        if self.alone {
            return false;
        }
        match self.waiting.front() {
            None => false,
            Some(DiskCommand::Write { .. } | DiskCommand::Spill { .. }) => {
                !self.is_writing() || self.waiting.reads_ahead(&self.writing)
            }
            Some(DiskCommand::Hash { piece, .. }) => {
                !self.writing.contains(piece) && !self.committing
            }
            Some(read @ DiskCommand::Read { .. }) => !reads_any(read, &self.writing),
            Some(DiskCommand::Commit { .. }) => {
                !self.is_writing() && !self.committing && self.hashing == 0
            }
            Some(_) => !self.is_writing() && !self.committing && self.reads + self.hashing == 0,
        }
    }

    fn begin(&mut self) -> Option<Work> {
        let passes = match self.waiting.front()? {
            DiskCommand::Write { .. } | DiskCommand::Spill { .. } => self.is_writing(),
            _ => false,
        };
        let command = match passes {
            true => self.waiting.pop_rest(),
            false => self.waiting.pop_front(),
        };
        match command? {
            DiskCommand::Write { piece, blocks, .. } => Some(self.begin_write(piece, blocks)),
            command => {
                self.known = known_by(&command).or(self.known.take());
                match &command {
                    DiskCommand::Read { .. } => self.reads += 1,
                    DiskCommand::Hash { .. } => self.hashing += 1,
                    DiskCommand::Spill { piece, .. } => _ = self.writing.insert(*piece),
                    DiskCommand::Commit { .. } => self.committing = true,
                    // A new beginning: what was cancelled is over.
                    DiskCommand::Open { .. } => {
                        self.alone = true;
                        let closes =
                            |command: &DiskCommand| matches!(command, DiskCommand::Close { .. });
                        let cancelled = self.waiting.any_behind_writes(closes);
                        self.cancelled = Arc::new(AtomicBool::new(cancelled));
                    }
                    _ => self.alone = true,
                }
                Some(Work::Command(command))
            }
        }
    }

    /// Takes the writes behind a write along.
    fn begin_write(&mut self, piece: PieceIndex, blocks: Vec<BlockBuffer>) -> Work {
        let mut count = blocks.len();
        let mut writes = vec![PieceWrite { piece, blocks }];
        let mut fits = |command: &DiskCommand| match command {
            DiskCommand::Write { blocks, .. } => {
                count += blocks.len();
                count <= WRITE_BLOCKS_MAX
            }
            _ => false,
        };
        while let Some(DiskCommand::Write { piece, blocks, .. }) =
            self.waiting.pop_write_if(&mut fits)
        {
            writes.push(PieceWrite { piece, blocks });
        }
        self.writing.extend(writes.iter().map(|write| write.piece));
        Work::Write(writes)
    }
}

/// Whether a command reads one of the pieces.
fn reads_any(command: &DiskCommand, pieces: &BTreeSet<PieceIndex>) -> bool {
    match command {
        DiskCommand::Read { blocks, .. } => blocks
            .iter()
            .any(|block| pieces.contains(&PieceIndex(block.piece))),
        _ => false,
    }
}

/// What a command says of its torrent.
fn known_by(command: &DiskCommand) -> Option<Arc<Known>> {
    match command {
        DiskCommand::Open { info, root, .. } => Some(Arc::new(Known {
            info_hash: info.info_hash(),
            root: Arc::clone(root),
        })),
        _ => None,
    }
}

/// Whether a command may keep a thread for minutes.
pub(super) fn takes_long(command: &DiskCommand) -> bool {
    matches!(
        command,
        DiskCommand::Open { .. } | DiskCommand::Recheck { .. } | DiskCommand::Move { .. }
    )
}

fn torrent_of(command: &DiskCommand) -> TorrentKey {
    match command {
        DiskCommand::Open { torrent, .. }
        | DiskCommand::Write { torrent, .. }
        | DiskCommand::Spill { torrent, .. }
        | DiskCommand::Hash { torrent, .. }
        | DiskCommand::Read { torrent, .. }
        | DiskCommand::Commit { torrent, .. }
        | DiskCommand::Select { torrent, .. }
        | DiskCommand::Move { torrent, .. }
        | DiskCommand::Recheck { torrent }
        | DiskCommand::Close { torrent, .. } => *torrent,
    }
}
