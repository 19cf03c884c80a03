//! The fault campaign: small byte-exact swarms in hard times, drawn from a seed.
//!
//! A seed gives a torrent of real bytes, a few engines with rules and lines of their own, hostile
//! peers, and a list of troubles: connections that break, disks that fail or are full, crashes and
//! restarts, clocks that jump, lines that stall or spoil bytes, a tracker that lies, a person who
//! interferes. Half of the trackers are asked over UDP, by datagrams that are lost, doubled, late,
//! spoiled and forged, and start anew; in half of those swarms nobody hears of others but from the
//! tracker. After a while all is calm but the hostile peers.
//!
//! Every tick of every engine is followed by an audit: accounts of requests, connections, copies
//! and memory are exact; payload that was handed to the network is what the network has or has
//! reported; no list grows without bound; an engine that has nothing to do sleeps; an answer that a node
//! takes of the tracker is one that it gave since it was asked; and each piece
//! that an engine says it has is compared with the payload on its disk. In the end every engine must
//! be complete as soon after the last of the troubles as these explain, must stop when told to, and must have
//! kept no memory.

mod plan;
#[cfg(test)]
mod tests;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use dunlin_port::snapshot::SessionEvent;
use world::World;

/// What a swarm that survived went through.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Survived {
    /// Virtual time until all were complete, microseconds.
    pub virtual_us: u64,
    /// Longest virtual time between the last trouble and the end of a swarm, microseconds.
    pub calm_us_max: u64,
    /// Ticks of all engines.
    pub ticks: u64,
    /// Troubles.
    pub troubles: u64,
    /// Pieces that failed their hash.
    pub hash_failures: u64,
    /// Peers that were banned.
    pub bans: u64,
    /// Times that a torrent was stopped by its disk.
    pub stops: u64,
    /// Times that blocks of a piece left memory before it was whole.
    pub spills: u64,
    /// Datagrams that were lost, doubled, spoiled or forged.
    pub datagrams: u64,
    /// Digest of all tables after every tick.
    pub digest: u64,
}

impl Survived {
    /// Adds what another swarm went through; the order of swarms is in the digest.
    pub const fn add(&mut self, other: &Self) {
        self.virtual_us += other.virtual_us;
        if self.calm_us_max < other.calm_us_max {
            self.calm_us_max = other.calm_us_max;
        }
        self.ticks += other.ticks;
        self.troubles += other.troubles;
        self.hash_failures += other.hash_failures;
        self.bans += other.bans;
        self.stops += other.stops;
        self.spills += other.spills;
        self.datagrams += other.datagrams;
        self.mix(other.digest);
    }

    const fn hear(&mut self, event: &SessionEvent) {
        match event {
            SessionEvent::HashFailed { .. } => self.hash_failures += 1,
            SessionEvent::PeerBanned { .. } => self.bans += 1,
            SessionEvent::TorrentStopped { .. } => self.stops += 1,
            _ => {}
        }
    }

    const fn mix(&mut self, digest: u64) {
        self.digest = self.digest.rotate_left(7) ^ digest;
    }
}

/// Runs the swarm of a seed; what went wrong, if something did. The same seed gives the same.
///
/// # Errors
/// When something did not hold that must, in the words of the assertion that failed.
pub fn fuzz(seed: u64) -> Result<Survived, String> {
    // Nothing of the world outlives a panic in it.
    catch_unwind(AssertUnwindSafe(|| World::new(seed).run())).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        text.unwrap_or("a panic without words").to_owned()
    })
}
