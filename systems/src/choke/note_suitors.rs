//! Keeps the list of peers that want a slot, and fills slots that are free between two rounds: a
//! download begins at once, not ten seconds later.

use bevy_ecs::prelude::*;
use dunlin_base::NodeKey;
use dunlin_components::node::{ChokeRound, Rules, SlotHolders, Suitors};
use dunlin_components::world::{NodeIndex, Work};
use dunlin_port::config::ChokeConfig;

use super::policy::rank;
use super::tables::Tables;

type NodeRow<'a> = (
    &'a Rules,
    &'a mut ChokeRound,
    &'a mut Suitors,
    &'a mut SlotHolders,
);

pub(super) fn note_suitors(
    mut work: ResMut<'_, Work>,
    index: Res<'_, NodeIndex>,
    mut nodes: Query<'_, '_, NodeRow<'_>>,
    mut tables: Tables<'_, '_>,
) {
    let mut changed: Vec<NodeKey> = Vec::new();
    for (node, peer) in core::mem::take(&mut work.choke) {
        let Some(&entity) = index.0.get(&node) else {
            continue;
        };
        let Ok((_, mut round, mut suitors, _)) = nodes.get_mut(entity) else {
            continue;
        };
        // Only who waits for a slot has come for one; all others may have given one up.
        round.full &= tables.is_waiting(peer);
        if !tables.is_suitor(peer) {
            suitors.0.remove(&peer);
        } else if suitors.0.insert(peer) {
            // What moved before it wanted anything is not of this round.
            tables.begin_round(peer);
        }
        if changed.last() != Some(&node) {
            changed.push(node);
        }
    }
    for node in changed {
        if let Some(&entity) = index.0.get(&node)
            && let Ok((rules, mut round, suitors, mut holders)) = nodes.get_mut(entity)
        {
            match round.next_at {
                Some(_) if round.full => {}
                Some(_) => {
                    let rules = &rules.0.choke;
                    let (work, tables, slots) = (&mut work, &mut tables, round.slots);
                    round.full =
                        fill_free_slots(work, tables, rules, slots, &suitors, &mut holders);
                }
                None if !suitors.0.is_empty() => {
                    round.next_at = Some(tables.now());
                    work.rounds.insert((tables.now(), node));
                }
                None => {}
            }
        }
    }
}

/// Unchokes who comes first among those that wait, while fewer are unchoked than the last round
/// had slots for. Nobody loses a slot before the next round. Says whether all are held then.
fn fill_free_slots(
    work: &mut Work,
    tables: &mut Tables<'_, '_>,
    rules: &ChokeConfig,
    slots: u32,
    suitors: &Suitors,
    holders: &mut SlotHolders,
) -> bool {
    let free = (slots as usize).saturating_sub(tables.held(holders));
    if free == 0 {
        return true;
    }
    let mut candidates = tables.candidates(suitors, rules, None);
    // Whoever is unchoked, by rank or by luck, needs no free slot.
    candidates.retain(|candidate| !candidate.unchoked && !candidate.snubbed);
    rank(&mut candidates, rules.seed);
    let filled = candidates.len() >= free;
    for candidate in candidates.into_iter().take(free) {
        if tables.set_choking(candidate.peer, false) {
            work.flags.insert(candidate.peer);
            holders.0.push(candidate.peer);
        }
    }
    filled
}
