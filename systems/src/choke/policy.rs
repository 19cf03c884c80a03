//! Whom to unchoke: pure functions over candidates.

use core::cmp::Ordering;
use std::collections::BTreeSet;

use dunlin_base::{EngineTime, PeerKey, RngStream};
use dunlin_port::config::{SeedChoke, SlotCount};

/// The rate-based count never goes below the four slots that BEP 3 began with, so that an uplink
/// that idles finds somebody to feed.
pub(super) const SLOTS_MIN: u32 = 4;
/// Upload rate that feeds the first slot (libtorrent's choker).
const THRESHOLD_START_BYTES_PER_SEC: u64 = 1024;
/// What each further slot must be fed more than the one before: many slots have to be earned by
/// a fast uplink, so that a slow one is not spread thin (libtorrent's choker).
const THRESHOLD_STEP_BYTES_PER_SEC: u64 = 2048;
/// Newcomers are three times as likely to get the optimistic slot (BEP 3).
const NEWCOMER_WEIGHT: u64 = 3;
/// How much more than the holder of a slot another must take to get it before the holder's quota is met.
const INCUMBENT_FACTOR: u64 = 2;

/// A peer that wants something of us, with all that its rank follows from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Candidate {
    /// Who.
    pub(super) peer: PeerKey,
    /// What it gives us: payload in the last round, or, for a node that buys, millionths of what it costs
    /// ([`super::bargain::yields`]). Zero when we need nothing more of its torrent.
    pub(super) merit: u64,
    /// What a node that buys has to give it, bytes per second.
    pub(super) price_bytes_per_sec: u64,
    /// Payload to it in the last round.
    pub(super) up_in_round: u64,
    /// Whether it is unchoked now.
    pub(super) unchoked: bool,
    /// Whether it was unchoked so recently that what it took says nothing yet.
    pub(super) settling: bool,
    /// Whether it is unchoked by luck, not by rank.
    pub(super) by_luck: bool,
    /// When it was last unchoked, [`EngineTime::START`] for never.
    pub(super) unchoked_at: EngineTime,
    /// Whether it had its quota, and a minute, since it was unchoked.
    pub(super) quota_met: bool,
    /// How far from half done it is, by [`anti_leech_score`].
    pub(super) score: u32,
    /// Whether it owes us blocks for too long.
    pub(super) snubbed: bool,
    /// Whether it came within the last three rounds.
    pub(super) newcomer: bool,
}

impl Candidate {
    /// What it took in the last round, as far as that says anything. What reached a choked peer
    /// was under way when it was choked. One that was just unchoked comes before all that take
    /// nothing, or a slot filled shortly before a round would be lost in it.
    fn uptake(&self) -> u64 {
        match (self.unchoked, self.settling) {
            (false, _) => 0,
            (true, true) => self.up_in_round.max(1),
            (true, false) => self.up_in_round,
        }
    }

    /// What speaks for it to keep a slot of a seed until its quota is met: what it took. Who holds one by
    /// rank gives way only to who takes more than twice as much, and not before it had a whole round:
    /// lines that are alike take a block more or less, and slots that go round by that leave pieces begun
    /// everywhere and whole nowhere.
    fn claim(&self) -> u64 {
        match (self.by_luck, self.unchoked && self.settling) {
            (true, _) => self.uptake(),
            (false, true) => u64::MAX,
            (false, false) => self.uptake().saturating_mul(INCUMBENT_FACTOR),
        }
    }
}

/// Sorts candidates, who deserves a slot most first.
pub(super) fn rank(candidates: &mut [Candidate], seed: SeedChoke) {
    candidates.sort_unstable_by(|a, b| compare(a, b, seed));
}

fn compare(a: &Candidate, b: &Candidate, seed: SeedChoke) -> Ordering {
    // Tit for tat before all: who gives most gets first. Peers of torrents that we have, and
    // leechers that give nothing, are equal here.
    b.merit
        .cmp(&a.merit)
        .then_with(|| compare_for_seeding(a, b, seed))
        // Who waited longest for a slot.
        .then_with(|| a.unchoked_at.cmp(&b.unchoked_at))
        .then_with(|| a.peer.cmp(&b.peer))
}

fn compare_for_seeding(a: &Candidate, b: &Candidate, seed: SeedChoke) -> Ordering {
    match seed {
        // Who had its share makes room; until then a slot stays where it is, as long as it is used.
        SeedChoke::RoundRobin => a
            .quota_met
            .cmp(&b.quota_met)
            .then_with(|| b.claim().cmp(&a.claim())),
        SeedChoke::FastestUpload => b.uptake().cmp(&a.uptake()),
        SeedChoke::AntiLeech => b.score.cmp(&a.score),
    }
}

/// How far a peer is from having half, in thousandths: those who have just begun spread what they
/// get, those who are nearly done become seeds; whoever is in the middle can trade.
///
/// What we gave counts as had even if the peer denies it, so that posing as a newcomer pays once.
pub(super) fn anti_leech_score(given_bytes: u64, had_bytes: u64, total_bytes: u64) -> u32 {
    if total_bytes == 0 {
        return 0;
    }
    let had = had_bytes.max(given_bytes.min(total_bytes));
    let distance = u128::from(had.abs_diff(total_bytes / 2));
    u32::try_from(distance * 2000 / u128::from(total_bytes)).unwrap_or(u32::MAX)
}

/// How many peers to unchoke in all, the optimistic one included.
pub(super) fn slots(count: SlotCount, candidates: &[Candidate], round_secs: u64) -> u32 {
    if let SlotCount::Fixed(slots) = count {
        return slots;
    }
    let mut rates: Vec<u64> = candidates
        .iter()
        .map(|candidate| candidate.up_in_round / round_secs.max(1))
        .collect();
    rates.sort_unstable_by_key(|&rate| core::cmp::Reverse(rate));
    let thresholds =
        (0..).map(|slot| THRESHOLD_START_BYTES_PER_SEC + slot * THRESHOLD_STEP_BYTES_PER_SEC);
    let fed = rates
        .into_iter()
        .zip(thresholds)
        .take_while(|(rate, threshold)| rate >= threshold)
        .count();
    // One more than can be fed shows whether there is more to give.
    u32::try_from(fed)
        .unwrap_or(u32::MAX)
        .saturating_add(1)
        .max(SLOTS_MIN)
}

/// Who gets a slot.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Assignment {
    /// By rank.
    pub(super) regular: BTreeSet<PeerKey>,
    /// By luck.
    pub(super) optimistic: Option<PeerKey>,
}

impl Assignment {
    /// Whether a peer gets a slot.
    pub(super) fn unchokes(&self, peer: PeerKey) -> bool {
        self.optimistic == Some(peer) || self.regular.contains(&peer)
    }
}

/// Gives slots to ranked candidates by rank alone.
pub(super) fn assign_by_rank(ranked: &[Candidate], slots: u32) -> Assignment {
    let first = ranked.iter().take(slots as usize);
    Assignment {
        regular: first.map(|candidate| candidate.peer).collect(),
        optimistic: None,
    }
}

/// Gives slots to ranked candidates. `holder` keeps the optimistic slot while it is given, waits
/// for nothing better, and is a candidate still.
pub(super) fn assign(
    ranked: &[Candidate],
    slots: u32,
    holder: Option<PeerKey>,
    luck: &mut RngStream,
) -> Assignment {
    let slots = slots as usize;
    // With a single slot merit decides alone; with slots for all nobody needs luck.
    let regular_slots = if ranked.len() <= slots || slots < 2 {
        slots
    } else {
        slots - 1
    };
    let regular: BTreeSet<_> = ranked
        .iter()
        // Anti-snubbing (BEP 3): who owes us blocks gets a slot by luck only.
        .filter(|candidate| !candidate.snubbed)
        .take(regular_slots)
        .map(|candidate| candidate.peer)
        .collect();
    let waiting: Vec<_> = ranked
        .iter()
        .filter(|candidate| !regular.contains(&candidate.peer))
        .collect();
    let kept = holder.filter(|holder| waiting.iter().any(|candidate| candidate.peer == *holder));
    let optimistic = if regular.len() >= slots {
        None
    } else {
        kept.or_else(|| draw(&waiting, luck))
    };
    let assignment = Assignment {
        regular,
        optimistic,
    };
    let given = assignment.regular.len() + usize::from(assignment.optimistic.is_some());
    assert!(given <= slots, "{given} peers in {slots} slots");
    assignment
}

/// Draws one, newcomers with more weight. One that has just had the slot may be drawn only when
/// nobody else waits: it is the only one that is unchoked among those without a regular slot.
fn draw(waiting: &[&Candidate], luck: &mut RngStream) -> Option<PeerKey> {
    let fresh: Vec<_> = waiting
        .iter()
        .filter(|candidate| !candidate.unchoked)
        .collect();
    let pool = if fresh.is_empty() {
        waiting.iter().collect()
    } else {
        fresh
    };
    let weight = |candidate: &Candidate| {
        if candidate.newcomer {
            NEWCOMER_WEIGHT
        } else {
            1
        }
    };
    let total = pool.iter().map(|candidate| weight(candidate)).sum();
    if total == 0 {
        return None;
    }
    let mut at = luck.below(total);
    for candidate in pool {
        match at.checked_sub(weight(candidate)) {
            None => return Some(candidate.peer),
            Some(rest) => at = rest,
        }
    }
    unreachable!("a number below the sum of weights falls to somebody")
}
