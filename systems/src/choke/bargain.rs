//! Whom to give to so that most comes back: pure functions.
//!
//! After BitTyrant (Piatek et al., NSDI 2007). For each peer two estimates are kept: what has to be given for
//! it to give back, and what it gives then. The uplink goes to those who give most for what they cost, to
//! each what it costs and no more, until it is spent.

use dunlin_base::{BLOCK_BYTES, EngineTime};
use dunlin_components::peer::Bargain;

use super::policy::Candidate;

/// A price rises by a fifth when it was paid for nothing.
const RISE_PERCENT: u64 = 120;
/// It falls by a tenth when it was enough for a while: maybe less is enough.
const FALL_PERCENT: u64 = 90;
/// How many rounds are a while.
const KEPT_ROUNDS: u8 = 3;
/// How fast a pace follows what haves say, a part in so many each round: pieces come by ones.
const PACE_PARTS: u64 = 4;
/// Without a limit an uplink is taken to be so much faster than what it last carried, percent: whether
/// there is more shows only when more is tried.
const HEADROOM_PERCENT: u64 = 125;
/// And never slower than what buys so many strangers.
const STRANGERS_MIN: u64 = 4;

/// Rounds for which a peer has to be unchoked before it can be expected to give back: its rounds begin when
/// they like, and the first that it ends has seen but a part of what it gets.
pub(super) const PAID_ROUNDS: u32 = 2;

/// What a round showed of a peer that we want something of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Deal {
    /// Whether it had what it costs for [`PAID_ROUNDS`].
    pub(super) paid: bool,
    /// Whether it has us unchoked.
    pub(super) gives: bool,
    /// What came from it, bytes per second.
    pub(super) got_bytes_per_sec: u64,
}

/// The estimates after a round of so many seconds.
pub(super) fn settle(mut bargain: Bargain, deal: Deal, round_secs: u64) -> Bargain {
    // What came in a part of a round is the least that it gives.
    let whole = bargain.giving && deal.gives;
    let more = deal.got_bytes_per_sec > bargain.worth_bytes_per_sec;
    if more || whole && deal.got_bytes_per_sec > 0 {
        bargain.worth_bytes_per_sec = deal.got_bytes_per_sec;
        bargain.gave |= whole;
    }
    bargain.giving = deal.gives;
    if !deal.paid {
        return bargain;
    }
    bargain.kept_rounds = match deal.gives {
        true => bargain.kept_rounds.saturating_add(1),
        false => 0,
    };
    let percent = match bargain.kept_rounds {
        0 => RISE_PERCENT,
        KEPT_ROUNDS.. => FALL_PERCENT,
        _ => 100,
    };
    // Of less than a block a round nothing would be seen in most rounds.
    let least = u64::from(BLOCK_BYTES) / round_secs.max(1);
    let price = bargain.price_bytes_per_sec.saturating_mul(percent) / 100;
    bargain.price_bytes_per_sec = price.max(least);
    bargain
}

/// Guesses what a peer gives that has given nothing so far: its pieces come as fast as it gives, and that
/// it shares evenly among the slots of a mainline client.
pub(super) fn guess(
    mut bargain: Bargain,
    now: EngineTime,
    pieces: u32,
    piece_bytes: u64,
) -> Bargain {
    let micros = u64::try_from(now.since(bargain.looked_at).as_micros()).unwrap_or(u64::MAX);
    if bargain.looked_at > EngineTime::START && micros > 0 {
        let came = u64::from(pieces.saturating_sub(bargain.had_pieces)) * piece_bytes;
        let rate = came.saturating_mul(1_000_000) / micros;
        let pace = match bargain.pace_bytes_per_sec {
            None => rate,
            Some(pace) => (pace * (PACE_PARTS - 1) + rate) / PACE_PARTS,
        };
        bargain.pace_bytes_per_sec = Some(pace);
        if !bargain.gave {
            bargain.worth_bytes_per_sec = pace / mainline_slots(pace);
        }
    }
    (bargain.had_pieces, bargain.looked_at) = (pieces, now);
    bargain
}

/// Upload slots of a mainline client at a rate: the root of 0.6 of it in kB/s, and two to four below
/// 42 kB/s.
fn mainline_slots(rate_bytes_per_sec: u64) -> u64 {
    match rate_bytes_per_sec / 1000 {
        0..9 => 2,
        9..15 => 3,
        15..42 => 4,
        rate => (rate * 6 / 10).isqrt(),
    }
}

/// What a peer gives for what it costs, in millionths.
pub(super) fn yields(bargain: &Bargain) -> u64 {
    let yields = u128::from(bargain.worth_bytes_per_sec) * 1_000_000
        / u128::from(bargain.price_bytes_per_sec.max(1));
    u64::try_from(yields).unwrap_or(u64::MAX)
}

/// What an uplink can carry, bytes per second: its limit, or by what it carried in the last round.
pub(super) fn capacity(limit: Option<u64>, candidates: &[Candidate], round_secs: u64) -> u64 {
    limit.unwrap_or_else(|| {
        let carried: u64 = candidates.iter().map(|one| one.up_in_round).sum();
        let least = STRANGERS_MIN * Bargain::PRICE_START_BYTES_PER_SEC;
        (carried / round_secs.max(1) * HEADROOM_PERCENT / 100).max(least)
    })
}

/// How many of the ranked candidates an uplink buys, the first one whatever it costs; and when that is
/// all of them, how many strangers more.
pub(super) fn affordable(ranked: &[Candidate], capacity_bytes_per_sec: u64) -> u32 {
    let mut left = capacity_bytes_per_sec;
    let mut bought = 0;
    for candidate in ranked {
        if bought > 0 && candidate.price_bytes_per_sec > left {
            return bought;
        }
        left = left.saturating_sub(candidate.price_bytes_per_sec);
        bought += 1;
    }
    let strangers = left / Bargain::PRICE_START_BYTES_PER_SEC;
    bought.saturating_add(u32::try_from(strangers).unwrap_or(u32::MAX))
}
