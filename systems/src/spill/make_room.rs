//! Memory that pieces hold which nobody goes on with.

use core::cmp::Reverse;

use bevy_ecs::prelude::*;
use dunlin_base::{PieceIndex, TorrentKey};
use dunlin_components::piece::{Blocks, Piece, PieceOf, PieceState};
use dunlin_components::torrent::Torrent;
use dunlin_components::world::{MemoryBudget, PeerIndex, PortOutbox, Work};

use super::{Leaving, shrink};
use crate::ingest::Sweep;
use crate::lifecycle::{apply_selection, give_up};
use crate::pick::is_open_row;

/// Blocks of all parked pieces together: each still takes a few words. More pieces are given up.
pub(super) const PARKED_BLOCKS_MAX: u32 = 64 * 1024;

/// While a peer could give us a new piece but there is no memory for one, a piece in motion that
/// nobody is asked for makes room: who had it went or chokes us. One a second, the one that holds
/// most, so that a short lull costs little.
pub(super) fn make_room(world: &mut World) {
    if !world.resource::<Sweep>().due || !is_short(world) {
        return;
    }
    let mut pieces = world.query::<(Entity, &Piece, &PieceOf, &Blocks, &PieceState)>();
    let (mut parked, mut idle) = (0, Vec::new());
    for (entity, piece, of, blocks, state) in pieces.iter(world) {
        if *state != PieceState::Fetching {
            continue;
        }
        if blocks.window() == 0 {
            parked += blocks.len();
        } else if blocks.is_idle() && blocks.spill().is_none() {
            let Some(torrent) = world.get::<Torrent>(of.0) else {
                continue;
            };
            let place: (_, TorrentKey, PieceIndex) = (Reverse(blocks.window()), torrent.0, piece.0);
            idle.push((place, of.0, entity));
        }
    }
    let Some(((_, key, index), torrent, entity)) =
        idle.into_iter().min_by_key(|(place, ..)| *place)
    else {
        return;
    };
    let Some(blocks) = world.get::<Blocks>(entity) else {
        return;
    };
    if blocks.arrived() == 0 || parked + blocks.len() > PARKED_BLOCKS_MAX {
        give_up(world, torrent, index, entity);
        apply_selection(world, torrent);
    } else {
        let leaving = Leaving {
            torrent: key,
            piece: index,
        };
        park(world, entity, leaving);
    }
}

/// Takes the memory of a piece that nobody is asked for.
fn park(world: &mut World, entity: Entity, leaving: Leaving) {
    world.resource_scope(|world, mut budget: Mut<'_, MemoryBudget>| {
        world.resource_scope(|world, mut work: Mut<'_, Work>| {
            let Some(mut blocks) = world.get_mut::<Blocks>(entity) else {
                return;
            };
            if blocks.in_memory() == 0 {
                return shrink(&mut blocks, &mut budget, &mut work, 0);
            }
            let spill = leaving.spill(&mut blocks, &mut budget, true);
            world.resource_mut::<PortOutbox>().0.disk.push(spill);
        });
    });
}

/// Whether memory keeps a peer from being asked for a piece. Those that went or choke us by now wait
/// for nothing.
fn is_short(world: &mut World) -> bool {
    let mut starved = core::mem::take(&mut world.resource_mut::<Work>().starved);
    let peers = world.resource::<PeerIndex>();
    starved.retain(|peer, _| {
        let row = peers.get(*peer);
        row.is_some_and(|row| is_open_row(world, row))
    });
    let budget = world.resource::<MemoryBudget>();
    let is_short = starved.values().any(|starved| starved.is_short(budget));
    world.resource_mut::<Work>().starved = starved;
    is_short
}
