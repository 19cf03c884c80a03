//! The rounds: who gave or took enough since the last one keeps or gets a slot.

use core::time::Duration;

use bevy_ecs::prelude::*;
use dunlin_base::EngineTime;
use dunlin_components::node::{ChokeRound, Luck, Rules, SlotHolders, Suitors};
use dunlin_components::world::{NodeIndex, Wake, Work};
use dunlin_port::config::ChokeConfig;

use super::policy::{assign, rank, slots};
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
        let rules = &rules.0.choke;
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
            let next_at = now + Duration::from_secs(rules.interval_secs.max(1));
            round.next_at = Some(next_at);
            work.rounds.insert((next_at, node));
        }
    }
    wake.by(work.rounds.first().map_or(EngineTime::NEVER, |&(at, _)| at));
}

fn run_round(
    work: &mut Work,
    tables: &mut Tables<'_, '_>,
    rules: &ChokeConfig,
    luck: &mut Luck,
    round: &mut ChokeRound,
    suitors: &mut Suitors,
    holders: &mut SlotHolders,
) {
    let now = tables.now();
    let mut candidates = tables.candidates(suitors, rules, round.optimistic);
    rank(&mut candidates, rules.seed);
    round.slots = slots(rules.slots, &candidates, rules.interval_secs);
    round.full = false;
    let holder = round.optimistic.filter(|_| round.next_optimistic_at > now);
    let assignment = assign(&candidates, round.slots, holder, &mut luck.choke);
    if assignment.optimistic != holder || holder.is_none() {
        round.next_optimistic_at = now + Duration::from_secs(rules.optimistic_interval_secs);
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
