//! The rounds: who gave or took enough since the last one keeps or gets a slot.

use core::time::Duration;

use bevy_ecs::prelude::*;
use dunlin_base::EngineTime;
use dunlin_components::node::{ChokeRound, Luck, Rules, SlotHolders, Suitors};
use dunlin_components::world::{NodeIndex, Wake, Work};
use dunlin_port::config::{EngineConfig, LeechChoke, SlotCount};

use super::bargain::{affordable, capacity};
use super::policy::{Candidate, assign, assign_by_rank, rank, slots};
use super::tables::Tables;

type NodeRow<'a> = (
    &'a Rules,
    &'a mut Luck,
    &'a mut ChokeRound,
    &'a mut Suitors,
    &'a mut SlotHolders,
);

pub(super) fn run_rounds(
    mut work: ResMut<'_, Work>,
    mut wake: ResMut<'_, Wake>,
    index: Res<'_, NodeIndex>,
    mut nodes: Query<'_, '_, NodeRow<'_>>,
    mut tables: Tables<'_, '_>,
) {
    let now = tables.now();
    while let Some(&(at, node)) = work.rounds.first()
        && at <= now
    {
        work.rounds.pop_first();
        let Some(&entity) = index.0.get(&node) else {
            continue;
        };
        let Ok((rules, mut luck, mut round, mut suitors, mut holders)) = nodes.get_mut(entity)
        else {
            continue;
        };
        assert_eq!(round.next_at, Some(at), "a node has one round to come");
        let rules = &rules.0;
        run_round(
            &mut work,
            &mut tables,
            rules,
            &mut luck,
            &mut round,
            &mut suitors,
            &mut holders,
        );
        round.next_at = None;
        if !suitors.0.is_empty() {
            let next_at = now + Duration::from_secs(rules.choke.interval_secs.max(1));
            round.next_at = Some(next_at);
            work.rounds.insert((next_at, node));
        }
    }
    wake.by(work.rounds.first().map_or(EngineTime::NEVER, |&(at, _)| at));
}

fn run_round(
    work: &mut Work,
    tables: &mut Tables<'_, '_>,
    rules: &EngineConfig,
    luck: &mut Luck,
    round: &mut ChokeRound,
    suitors: &mut Suitors,
    holders: &mut SlotHolders,
) {
    let now = tables.now();
    let choke = &rules.choke;
    if choke.leech == LeechChoke::BitTyrant {
        suitors
            .0
            .iter()
            .for_each(|&peer| tables.settle_bargain(peer, choke.interval_secs));
    }
    let mut candidates = tables.candidates(suitors, choke, round.optimistic);
    rank(&mut candidates, choke.seed);
    round.full = false;
    let holder = round.optimistic.filter(|_| round.next_optimistic_at > now);
    let assignment = match bought(rules, &candidates) {
        Some(slots) => {
            round.slots = slots;
            assign_by_rank(&candidates, slots)
        }
        None => {
            round.slots = slots(choke.slots, &candidates, choke.interval_secs);
            assign(&candidates, round.slots, holder, &mut luck.choke)
        }
    };
    if assignment.optimistic != holder || holder.is_none() {
        round.next_optimistic_at = now + Duration::from_secs(choke.optimistic_interval_secs);
    }
    round.optimistic = assignment.optimistic;
    holders.0.clear();
    suitors.0.retain(|&peer| {
        // Suitors that are no candidates lose what they hold: they ask for nothing.
        let (changed, stays) = tables.end_round(peer, !assignment.unchokes(peer));
        #[cfg(feature = "planted-bugs")]
        let changed = changed
            && !(assignment.unchokes(peer) && crate::planted::is(crate::planted::Bug::Choking));
        if changed {
            work.flags.insert(peer);
        }
        if stays && assignment.unchokes(peer) {
            holders.0.push(peer);
        }
        stays
    });
}

/// How many a node buys, if it does and any of them has something to give for it.
fn bought(rules: &EngineConfig, ranked: &[Candidate]) -> Option<u32> {
    if rules.choke.leech != LeechChoke::BitTyrant || ranked.first()?.merit == 0 {
        return None;
    }
    let limit = rules.limits.up.map(|limit| limit.0);
    let capacity = capacity(limit, ranked, rules.choke.interval_secs);
    let most = match rules.choke.slots {
        SlotCount::Fixed(slots) => slots,
        SlotCount::RateBased => u32::MAX,
    };
    Some(affordable(ranked, capacity).min(most))
}
