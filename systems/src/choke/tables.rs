//! What rounds and slots are decided from, and how a decision is written down.

use core::time::Duration;

use bevy_ecs::prelude::*;
use bevy_ecs::system::SystemParam;
use dunlin_base::{EngineTime, PeerKey, groups, look_ahead, prefetch};
use dunlin_components::node::{SlotHolders, Suitors};
use dunlin_components::peer::{
    AmChoking, AmInterested, Bargain, PeerChoking, PeerInterested, PeerOf, PeerTraffic, Phase,
    RemoteHave, Requests,
};
use dunlin_components::torrent::{Content, Lifecycle};
use dunlin_components::world::{Now, PeerIndex};
use dunlin_port::config::{ChokeConfig, LeechChoke, SeedChoke};

use crate::ahead::find_peer;

use super::bargain::{Deal, PAID_ROUNDS, guess, settle, yields};
use super::policy::{Candidate, anti_leech_score};

/// A slot is kept at least so long before a met quota takes it (libtorrent's round-robin).
const SLOT_SECS_MIN: u64 = 60;
/// Rounds for which a peer is a newcomer.
const NEWCOMER_ROUNDS: u32 = 3;

/// One query for all: a row is looked up once, and what is not asked of it is not read.
type Row = (
    &'static PeerOf,
    &'static Phase,
    &'static PeerInterested,
    &'static mut AmChoking,
    &'static mut PeerTraffic,
    &'static Requests,
);

/// What a node that buys looks at besides.
type BargainRow = (
    &'static AmInterested,
    &'static PeerChoking,
    Option<&'static mut Bargain>,
);

/// The rows of peers and of their torrents.
#[derive(SystemParam)]
pub(super) struct Tables<'w, 's> {
    now: Res<'w, Now>,
    index: Res<'w, PeerIndex>,
    rows: Query<'w, 's, Row>,
    haves: Query<'w, 's, &'static RemoteHave>,
    bargains: Query<'w, 's, BargainRow>,
    torrents: Query<'w, 's, (&'static Lifecycle, &'static Content)>,
    commands: Commands<'w, 's>,
}

/// What is the same for all candidates of one torrent.
#[derive(Clone, Copy)]
struct Shared {
    torrent: Entity,
    /// Whether it takes part.
    active: bool,
    downloading: bool,
    piece_bytes: u64,
    total_bytes: u64,
}

impl Tables<'_, '_> {
    pub(super) fn now(&self) -> EngineTime {
        self.now.0
    }

    /// Whether a peer wants a slot or holds one.
    pub(super) fn is_suitor(&self, peer: PeerKey) -> bool {
        let row = self
            .index
            .get(peer)
            .and_then(|entity| self.rows.get(entity).ok());
        row.is_some_and(|(_, phase, interested, choking, ..)| {
            *phase == Phase::Established && (interested.0 || !choking.0)
        })
    }

    /// Whether a peer wants a slot and holds none.
    pub(super) fn is_waiting(&self, peer: PeerKey) -> bool {
        let row = self
            .index
            .get(peer)
            .and_then(|entity| self.rows.get(entity).ok());
        row.is_some_and(|(_, _, interested, choking, ..)| interested.0 && choking.0)
    }

    /// How many of the suitors that may get a slot hold one. Who holds none any more is forgotten.
    pub(super) fn held(&self, holders: &mut SlotHolders) -> usize {
        let is_unchoked = |&peer: &PeerKey| {
            let row = self.index.get(peer).and_then(|row| self.rows.get(row).ok());
            row.is_some_and(|(_, _, _, choking, ..)| !choking.0)
        };
        holders.0.retain(is_unchoked);
        let counts = |peer: PeerKey| {
            let row = self.index.get(peer)?;
            let (of, phase, interested, ..) = self.rows.get(row).ok()?;
            if *phase != Phase::Established || !interested.0 {
                return None;
            }
            let (lifecycle, _) = self.torrents.get(of.0).ok()?;
            lifecycle.is_active().then_some(())
        };
        holders.0.iter().filter_map(|&peer| counts(peer)).count()
    }

    /// The suitors that may get a slot: of torrents that take part, and still interested. One may be
    /// unchoked by luck.
    pub(super) fn candidates(
        &self,
        suitors: &Suitors,
        rules: &ChokeConfig,
        by_luck: Option<PeerKey>,
    ) -> Vec<Candidate> {
        let mut candidates = Vec::with_capacity(suitors.0.len());
        let mut known: Option<Shared> = None;
        let all: Vec<_> = suitors.0.iter().copied().collect();
        for (rest, group) in groups(&all) {
            self.look(rest);
            for &peer in group {
                candidates.extend(self.candidate(peer, rules, by_luck == Some(peer), &mut known));
            }
        }
        candidates
    }

    /// Asks for the rows of suitors to come.
    fn look(&self, rest: &[PeerKey]) {
        look_ahead(
            rest,
            &[
                &|peer| self.index.prefetch(*peer),
                &|peer| find_peer(&self.index, &self.rows, *peer),
                &|peer| {
                    let row = self.index.get(*peer);
                    if let Some((of, phase, interested, choking, traffic, requests)) =
                        row.and_then(|row| self.rows.get(row).ok())
                    {
                        prefetch(of);
                        prefetch(phase);
                        prefetch(interested);
                        prefetch(choking);
                        prefetch(traffic);
                        prefetch(&traffic.up);
                        prefetch(requests);
                    }
                },
            ],
        );
    }

    fn shared(&self, torrent: Entity) -> Option<Shared> {
        let (lifecycle, content) = self.torrents.get(torrent).ok()?;
        let geometry = content.0.geometry();
        Some(Shared {
            torrent,
            active: lifecycle.is_active(),
            downloading: *lifecycle == Lifecycle::Downloading,
            piece_bytes: u64::from(geometry.piece_bytes()),
            total_bytes: geometry.total_bytes(),
        })
    }

    /// `known` is what was last looked up: most suitors are of the torrent of the one before.
    fn candidate(
        &self,
        peer: PeerKey,
        rules: &ChokeConfig,
        by_luck: bool,
        known: &mut Option<Shared>,
    ) -> Option<Candidate> {
        let row = self.index.get(peer)?;
        let (of, phase, interested, choking, traffic, requests) = self.rows.get(row).ok()?;
        if *phase != Phase::Established || !interested.0 {
            return None;
        }
        if known.is_none_or(|known| known.torrent != of.0) {
            *known = self.shared(of.0);
        }
        let shared = (*known)?;
        if !shared.active {
            return None;
        }
        let unchoked_for = self.now.0.since(traffic.unchoked_at);
        let round = Duration::from_secs(rules.interval_secs);
        let up = traffic.up.total_bytes();
        let quota = u64::from(rules.seed_quota_pieces) * shared.piece_bytes;
        // What it has is somewhere else in memory, and seldom asked for.
        let score = || {
            let have = self.haves.get(row);
            let had = have.map_or(0, |have| u64::from(have.bits.count()) * shared.piece_bytes);
            anti_leech_score(up, had.min(shared.total_bytes), shared.total_bytes)
        };
        let (merit, price_bytes_per_sec) = match rules.leech {
            LeechChoke::TitForTat => (traffic.down.total_bytes() - traffic.down_at_round, 0),
            LeechChoke::BitTyrant => self.offer(row),
        };
        Some(Candidate {
            peer,
            merit: if shared.downloading { merit } else { 0 },
            price_bytes_per_sec,
            up_in_round: up - traffic.up_at_round,
            unchoked: !choking.0,
            settling: !choking.0 && unchoked_for < round,
            by_luck,
            unchoked_at: traffic.unchoked_at,
            quota_met: !choking.0
                && up - traffic.up_at_unchoke >= quota
                && unchoked_for >= Duration::from_secs(SLOT_SECS_MIN),
            score: if rules.seed == SeedChoke::AntiLeech {
                score()
            } else {
                0
            },
            // We owe nothing to whom we need nothing of.
            snubbed: shared.downloading && requests.snubbed,
            newcomer: self.now.0.since(traffic.established_at) < round * NEWCOMER_ROUNDS,
        })
    }

    /// What a peer yields for what it costs, and what that is. Who has nothing that we want yields nothing.
    fn offer(&self, row: Entity) -> (u64, u64) {
        let Ok((interested, _, bargain)) = self.bargains.get(row) else {
            return (0, 0);
        };
        let bargain = bargain.copied().unwrap_or_default();
        let merit = if interested.0 { yields(&bargain) } else { 0 };
        (merit, bargain.price_bytes_per_sec)
    }

    /// Learns from the round that ends what a peer of a download costs and gives.
    pub(super) fn settle_bargain(&mut self, peer: PeerKey, round_secs: u64) {
        let Some(row) = self.index.get(peer) else {
            return;
        };
        let Ok((of, _, _, choking, traffic, _)) = self.rows.get(row) else {
            return;
        };
        let Ok(have) = self.haves.get(row) else {
            return;
        };
        let Ok((Lifecycle::Downloading, content)) = self.torrents.get(of.0) else {
            return;
        };
        let Ok((interested, chokes_us, known)) = self.bargains.get_mut(row) else {
            return;
        };
        let (now, round) = (self.now.0, Duration::from_secs(round_secs));
        let mut bargain = known.as_deref().copied().unwrap_or_default();
        let piece_bytes = u64::from(content.0.geometry().piece_bytes());
        bargain = guess(bargain, now, have.bits.count(), piece_bytes);
        // Who has nothing that we want owes us nothing.
        if interested.0 {
            let got = traffic.down.total_bytes() - traffic.down_at_round;
            let deal = Deal {
                paid: !choking.0 && now.since(traffic.unchoked_at) >= round * PAID_ROUNDS,
                gives: !chokes_us.0,
                got_bytes_per_sec: got / round_secs.max(1),
            };
            bargain = settle(bargain, deal, round_secs);
        }
        let price = bargain.price_bytes_per_sec;
        bargain.ration.set_rate(now, Some(price));
        match known {
            Some(mut known) => *known = bargain,
            None => {
                self.commands.entity(row).insert(bargain);
            }
        }
    }

    /// Writes down whether we choke a peer; says whether that is new.
    pub(super) fn set_choking(&mut self, peer: PeerKey, choking: bool) -> bool {
        let Some(row) = self.index.get(peer) else {
            return false;
        };
        let Ok((_, _, _, mut flag, mut traffic, _)) = self.rows.get_mut(row) else {
            return false;
        };
        write_choking(self.now.0, &mut flag, &mut traffic, choking)
    }

    /// What moves from now on belongs to the next round.
    pub(super) fn begin_round(&mut self, peer: PeerKey) {
        if let Some(entity) = self.index.get(peer)
            && let Ok((.., mut traffic, _)) = self.rows.get_mut(entity)
        {
            mark_round(&mut traffic);
        }
    }

    /// Both at once, at the end of a round: whether it is new that we choke a peer or not, and
    /// whether it is a suitor still.
    pub(super) fn end_round(&mut self, peer: PeerKey, choking: bool) -> (bool, bool) {
        let Some(row) = self.index.get(peer) else {
            return (false, false);
        };
        let Ok((_, phase, interested, mut flag, mut traffic, _)) = self.rows.get_mut(row) else {
            return (false, false);
        };
        let changed = write_choking(self.now.0, &mut flag, &mut traffic, choking);
        mark_round(&mut traffic);
        let stays = *phase == Phase::Established && (interested.0 || !choking);
        (changed, stays)
    }
}

fn write_choking(
    now: EngineTime,
    flag: &mut Mut<'_, AmChoking>,
    traffic: &mut PeerTraffic,
    choking: bool,
) -> bool {
    let changed = flag.set_if_neq(AmChoking(choking));
    if changed && !choking {
        traffic.unchoked_at = now;
        traffic.up_at_unchoke = traffic.up.total_bytes();
    }
    changed
}

const fn mark_round(traffic: &mut PeerTraffic) {
    traffic.down_at_round = traffic.down.total_bytes();
    traffic.up_at_round = traffic.up.total_bytes();
}
