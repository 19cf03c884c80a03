//! What came out of a run, as plain data.
//!
//! Everything in here is an integer and follows from the scenario and its seed: two runs of the
//! same give the same record, bit for bit. How long the computer took is told beside it.

use serde::{Deserialize, Serialize};

/// The record of one run. Times are microseconds since the start of the run.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RunRecord {
    /// The scenario as it was run, with every default and override in it, as RON.
    pub scenario: String,
    /// The scenario's name.
    pub name: String,
    /// Where all luck came from.
    pub seed: u64,
    /// Digest of the final state.
    pub digest: u64,
    /// Ticks that were run.
    pub ticks: u64,
    /// When the run ended.
    pub virtual_us: u64,
    /// One per node that came, in order of `node`.
    pub nodes: Vec<NodeOutcome>,
    /// The time series, in order.
    pub series: Vec<SeriesRow>,
    /// Names of the classes; `NodeOutcome::class` and the rows and columns below index it.
    pub classes: Vec<String>,
    /// Time for which nodes of one class (row) had nodes of another (column) unchoked, summed over
    /// pairs of nodes.
    pub unchoke_us: Vec<Vec<u64>>,
    /// The minimum distribution time of Kumar and Ross, for closed swarms: see [`crate::bound`].
    pub bound_us: Option<u64>,
}

/// What became of one node.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct NodeOutcome {
    /// The node's number, dense from 0, class by class.
    pub node: u32,
    /// Index into [`RunRecord::classes`].
    pub class: u16,
    /// When it came.
    pub arrived_us: u64,
    /// When its first piece was verified; `None` for seeds.
    pub first_piece_us: Option<u64>,
    /// When half of its pieces were verified; `None` for seeds.
    pub half_us: Option<u64>,
    /// When all of its pieces were verified; `None` for seeds.
    pub completed_us: Option<u64>,
    /// When it left or crashed; `None` if it was there at the end.
    pub left_us: Option<u64>,
    /// Whether it left without a word.
    pub crashed: bool,
    /// Payload received, wasted bytes included.
    pub down_bytes: u64,
    /// Payload sent.
    pub up_bytes: u64,
    /// Payload received that was of no use: had already, never asked for, or false.
    pub wasted_bytes: u64,
    /// `down_bytes` by the class of the sender.
    pub down_from_class: Vec<u64>,
    /// Bytes sent that are no payload: message headers, requests, haves.
    pub control_bytes_up: u64,
    /// How often playback stopped for want of data (streaming).
    pub stalls: u32,
    /// For how long it stopped, the wait before it first began excluded (streaming).
    pub stalled_us: u64,
}

/// One row of the time series. Byte counts are since the row before, all else is at the instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SeriesRow {
    /// When.
    pub at_us: u64,
    /// Nodes present that are not complete.
    pub leechers: u32,
    /// Nodes present that are complete.
    pub seeds: u32,
    /// Connections between nodes, attempts included.
    pub connections: u32,
    /// Payload sent by all nodes.
    pub up_bytes: u64,
    /// Of that, what nodes sent that came with everything.
    pub seed_up_bytes: u64,
    /// What the lines of the nodes could have sent, each for as long as it was present since the row before.
    pub up_capacity_bytes: u64,
    /// Payload received by all nodes.
    pub down_bytes: u64,
    /// Copies of the rarest piece among the nodes present.
    pub rarest_copies: u32,
    /// Copies of a piece in the mean, in thousandths.
    pub mean_copies_milli: u64,
    /// Copies of the commonest piece.
    pub most_copies: u32,
}
