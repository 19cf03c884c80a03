//! Who has something to do in this tick, so that its cost follows what happened, not what exists.

use std::collections::{BTreeMap, BTreeSet};

use bevy_ecs::prelude::{Entity, Resource};
use dunlin_base::{BLOCK_BYTES, EngineTime, NodeKey, PeerKey, PieceIndex, TorrentKey};
use dunlin_port::disk::DiskErrorKind;

use super::PeerList;

/// Work lists that systems fill for systems behind them. Sets: doing a thing twice is no use.
#[derive(Resource, Default, Debug)]
pub struct Work {
    /// Peers whose request queue may have room.
    pub pick: PeerList,
    /// Peers whose queue has room but for whom there was no memory to open a piece; they try again
    /// when enough of it was given back.
    pub starved: BTreeMap<PeerKey, Starved>,
    /// Whether pieces gave memory back since somebody looked whom it is for.
    pub memory_freed: bool,
    /// Peers whose queue has room but for whom there was no download rate, and when there will be.
    pub limited: BTreeSet<(EngineTime, PeerKey)>,
    /// Peers whose queue has room and that have nothing left to be asked for alone.
    pub endgame: PeerList,
    /// Peers that are asked for something, or were lately: whose pipelines are sized and timed.
    pub pipelines: PeerList,
    /// Peers that are asked for something and sent nothing for some seconds: whether that is too long is
    /// seen behind.
    pub overdue: Vec<PeerKey>,
    /// When to look next whether a connection was silent for too long: one entry for each.
    pub silence: BTreeSet<(EngineTime, PeerKey)>,
    /// Peers whose choke or interest flag may have to be told.
    pub flags: PeerList,
    /// Peers whose own interest in us changed, that joined a swarm, or that went.
    pub choke: BTreeSet<(NodeKey, PeerKey)>,
    /// The choke rounds that are to come: a node has one while anybody wants anything of it.
    pub rounds: BTreeSet<(EngineTime, NodeKey)>,
    /// Peers with requests that wait for upload rate, and when there will be some.
    pub throttled: BTreeSet<(EngineTime, PeerKey)>,
    /// Peers with requests that may be answered.
    pub serve: PeerList,
    /// Peers of whom our interest may have changed.
    pub interest: PeerList,
    /// Pieces whose last block has come.
    pub whole: Vec<(TorrentKey, PieceIndex)>,
    /// Pieces that have more blocks in memory than are good for those to come.
    pub crowded: Vec<(TorrentKey, PieceIndex)>,
    /// Pieces that failed their hash and are fetched anew by one peer alone; some that are done with may be
    /// among them.
    pub paroles: BTreeSet<Entity>,
    /// Pieces that are on disk since this tick, to be told to all peers.
    pub have: Vec<(TorrentKey, PieceIndex)>,
    /// Super-seeding torrents that may have a piece to show.
    pub show: BTreeSet<TorrentKey>,
    /// Torrents that may connect to somebody.
    pub connect: BTreeSet<TorrentKey>,
    /// Downloads that look whether their neighbours have anything for them.
    pub look_around: BTreeSet<TorrentKey>,
    /// Torrents that may have a tracker to ask.
    pub announce: BTreeSet<TorrentKey>,
    /// Torrents whose commit is due.
    pub commit: BTreeSet<TorrentKey>,
    /// Torrents that their surroundings stopped and that try again.
    pub retry: BTreeSet<TorrentKey>,
    /// Torrents whose metadata may be asked for, or sent on to somebody who waits for it.
    pub metadata: BTreeSet<TorrentKey>,
    /// Torrents whose completeness may have changed.
    pub completion: BTreeSet<TorrentKey>,
    /// Torrents whose files are closed and that go when their trackers know, or at this instant.
    pub reap: BTreeMap<TorrentKey, EngineTime>,
    /// Torrents whose data could not be read, and why.
    pub unreadable: Vec<(TorrentKey, DiskErrorKind, String)>,
    /// Peers to drop at the end of Receive, with the reason.
    pub drop: Vec<(PeerKey, String)>,
}

impl Work {
    /// Whether this tick left something to do for systems that had run already. Lists that wait for
    /// memory, rate or an instant do not count.
    #[must_use]
    pub fn is_left(&self) -> bool {
        let peers = [
            &self.pick,
            &self.endgame,
            &self.flags,
            &self.serve,
            &self.interest,
        ];
        let torrents = [
            &self.show,
            &self.connect,
            &self.look_around,
            &self.announce,
            &self.commit,
            &self.retry,
            &self.metadata,
            &self.completion,
        ];
        let lists = [
            self.whole.is_empty(),
            self.crowded.is_empty(),
            self.have.is_empty(),
            self.unreadable.is_empty(),
        ];
        peers.iter().any(|list| !list.is_empty())
            || torrents.iter().any(|list| !list.is_empty())
            || lists.contains(&false)
            || !self.choke.is_empty()
            || (self.memory_freed && !self.starved.is_empty())
            || !self.drop.is_empty()
    }
}

/// What a peer waits for that there was no memory for, and since when: enough to see without its row
/// that it waits on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Starved {
    /// When it was last asked for something.
    pub asked_at: EngineTime,
    /// Blocks that the budget has to [admit](MemoryBudget::admits); 0 when it waits for room in the
    /// windows of pieces in motion.
    pub blocks: u32,
}

impl Starved {
    /// Whether the budget does not admit what it waits for yet.
    #[must_use]
    pub const fn is_short(&self, budget: &MemoryBudget) -> bool {
        self.blocks > 0 && !budget.admits(self.blocks)
    }
}

/// Memory for pieces in motion, in bytes. Near the budget no new piece is opened, and blocks of those
/// in motion are written to their files early.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct MemoryBudget {
    /// What pieces in motion may take.
    pub bytes_max: u64,
    /// What they may take at present: the windows of all of them, in whole blocks.
    pub bytes: u64,
    /// Spills and hashes that were begun: the number of the next one.
    pub begun: u64,
}

impl MemoryBudget {
    /// Of so many blocks that are to come, how many may be asked for or in memory at a time: all, up
    /// to half of the budget, so that a long piece can be fetched while another one is written.
    #[must_use]
    pub const fn window(&self, blocks: u32) -> u32 {
        let half = self.bytes_max / 2 / BLOCK_BYTES as u64;
        match (half as usize, blocks as usize) {
            (0, _) => 1,
            (half, blocks) if half < blocks => half as u32,
            _ => blocks,
        }
    }

    /// Whether so many blocks that are to come may have their window. One piece always may.
    #[must_use]
    pub const fn admits(&self, blocks: u32) -> bool {
        self.bytes == 0 || self.bytes + bytes_of(self.window(blocks)) <= self.bytes_max
    }

    /// Takes the window of so many blocks that are to come; `None` when there is no memory for it.
    pub const fn reserve(&mut self, blocks: u32) -> Option<u32> {
        if !self.admits(blocks) {
            return None;
        }
        let window = self.window(blocks);
        self.bytes += bytes_of(window);
        Some(window)
    }

    /// A number for a spill or a hash that begins. No other one has it, so that an answer is never taken
    /// for one to what a piece asked in another life.
    pub const fn begin(&mut self) -> u64 {
        let number = self.begun;
        self.begun += 1;
        number
    }

    /// Takes a window, or a part of it, back.
    ///
    /// # Panics
    /// When it is more than is reserved.
    pub const fn release(&mut self, window: u32) {
        let bytes = bytes_of(window);
        assert!(self.bytes >= bytes, "memory is given back once");
        self.bytes -= bytes;
    }
}

/// What a window takes.
const fn bytes_of(window: u32) -> u64 {
    window as u64 * BLOCK_BYTES as u64
}
