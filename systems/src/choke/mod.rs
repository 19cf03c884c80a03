//! Decides which peers we upload to.
//!
//! Reads:   `AmInterested`, `PeerChoking`, `PeerInterested`, `PeerOf`, `Phase`, `Requests`, `RemoteHave`, `Lifecycle`, `Content`, `Rules`
//! Writes:  `AmChoking`, `PeerTraffic` (marks of rounds and unchokes), `ChokeRound`, `Suitors`, `Luck`, `Work`, `Bargain`
//! Emits:   nothing; `emit` tells the wire what changed, by `Work::flags`
//! Cadence: a round every `choke.interval_secs` while anybody wants anything, the optimistic slot
//!          every `choke.optimistic_interval_secs`; between rounds free slots are filled at once
//! Spec:    BEP 3, "choking and optimistic unchoking"; slot count and seeding orders after
//!          libtorrent's choker; anti-leech after Chow et al., "Improving BitTorrent";
//!          buying after Piatek et al., "Do incentives build robustness in BitTorrent?"

mod bargain;
mod note_suitors;
mod policy;
mod run_rounds;
mod tables;
#[cfg(test)]
mod tests;

use bevy_ecs::prelude::*;

use crate::schedule::TickSet;

pub(crate) fn plugin(schedule: &mut Schedule) {
    schedule.add_systems(
        (note_suitors::note_suitors, run_rounds::run_rounds)
            .chain()
            .in_set(TickSet::Choke),
    );
}
