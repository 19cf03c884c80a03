//! What a node that buys has learnt of a peer's price.

use bevy_ecs::prelude::Component;
use dunlin_base::{BLOCK_BYTES, EngineTime, TokenBucket};

/// What a peer is believed to give, and for what (BitTyrant). Peers of nodes that choke by
/// `LeechChoke::BitTyrant` have one from their first round as suitors on.
#[derive(Component, Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Bargain {
    /// What has to be given for it to give back, bytes per second: `u_p` of the paper.
    pub price_bytes_per_sec: u64,
    /// What it gives then, bytes per second: `d_p` of the paper.
    pub worth_bytes_per_sec: u64,
    /// Whether it ever gave: else its worth is a guess.
    pub gave: bool,
    /// Whether it had us unchoked when the last round ended.
    pub giving: bool,
    /// Rounds in a row in which it gave back for what it got, as far as that matters.
    pub kept_rounds: u8,
    /// How fast it downloads by its haves, bytes per second; none until two rounds saw it.
    pub pace_bytes_per_sec: Option<u64>,
    /// Its pieces when it was last looked at.
    pub had_pieces: u32,
    /// When that was; [`EngineTime::START`] for never.
    pub looked_at: EngineTime,
    /// Gives it what it costs, and no more.
    pub ration: TokenBucket,
}

impl Default for Bargain {
    /// What is believed of somebody unknown: that it gives what it gets.
    fn default() -> Self {
        Self {
            price_bytes_per_sec: Self::PRICE_START_BYTES_PER_SEC,
            worth_bytes_per_sec: Self::PRICE_START_BYTES_PER_SEC,
            gave: false,
            giving: false,
            kept_rounds: 0,
            pace_bytes_per_sec: None,
            had_pieces: 0,
            looked_at: EngineTime::START,
            ration: TokenBucket::new(
                Some(Self::PRICE_START_BYTES_PER_SEC),
                u64::from(BLOCK_BYTES),
            ),
        }
    }
}

impl Bargain {
    /// What is tried first (libtorrent's `default_est_reciprocation_rate`).
    pub const PRICE_START_BYTES_PER_SEC: u64 = 16_000;
}
