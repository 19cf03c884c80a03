//! What crosses the border between the engine and the outside, as plain data.
//!
//! The engine (`dunlin-systems`) and the physics (`dunlin-net`) never name each other: they meet
//! here. Commands are imperative and go out; events are facts and come in. Nothing in here acts.
//!
//! | port | commands | events |
//! |---|---|---|
//! | [`net`] | [`net::NetCommand`] | [`net::NetEvent`] |
//! | [`disk`] | [`disk::DiskCommand`] | [`disk::DiskEvent`] |
//! | [`hash`] | [`hash::HashJob`] | [`hash::HashDone`] |
//! | [`tracker`] | [`tracker::TrackerCommand`] | [`tracker::TrackerEvent`] |
//! | [`user`] | | [`user::UserCommand`] |
//! | [`snapshot`] | [`snapshot::Snapshot`], [`snapshot::SessionEvent`] | |

pub mod block;
pub mod config;
pub mod disk;
pub mod hash;
pub mod net;
pub mod snapshot;
pub mod tracker;
pub mod user;

pub use block::{BlockBuffer, BlockPool};

use std::collections::VecDeque;

/// Everything that the ports have ready for the next tick, each kind in order of arrival.
#[derive(Default)]
pub struct Inbox {
    /// From the network.
    pub net: VecDeque<net::NetEvent>,
    /// From the disk.
    pub disk: VecDeque<disk::DiskEvent>,
    /// From the hashers.
    pub hash: VecDeque<hash::HashDone>,
    /// From the tracker clients.
    pub tracker: VecDeque<tracker::TrackerEvent>,
    /// From the person or program in charge.
    pub user: VecDeque<user::UserCommand>,
}

impl Inbox {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.net.is_empty()
            && self.disk.is_empty()
            && self.hash.is_empty()
            && self.tracker.is_empty()
            && self.user.is_empty()
    }
}

/// Everything that a tick decided to tell the outside, each kind in the order to carry it out.
#[derive(Default)]
pub struct Outbox {
    /// For the network.
    pub net: Vec<net::NetCommand>,
    /// For the disk.
    pub disk: Vec<disk::DiskCommand>,
    /// For the hashers; all jobs of a tick are one batch.
    pub hash: Vec<hash::HashJob>,
    /// For the tracker clients.
    pub tracker: Vec<tracker::TrackerCommand>,
    /// For whoever subscribed.
    pub session: Vec<snapshot::SessionEvent>,
}
