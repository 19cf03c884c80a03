//! Spills that are in their files, and those that are not.

use bevy_ecs::prelude::*;
use dunlin_base::{PieceIndex, TorrentKey};
use dunlin_components::piece::{Blocks, Parole, PieceState};
use dunlin_components::torrent::{ActivePieces, Content, FreeBlocks, Lifecycle, Suspects, Wanted};
use dunlin_components::world::{MemoryBudget, PortOutbox, RoutedEvents, TorrentIndex, Work};
use dunlin_port::BlockBuffer;
use dunlin_port::disk::{DiskError, DiskEvent};

use super::{Leaving, shrink};
use crate::lifecycle::{
    apply_selection, discard_piece, give_up, recover, stop_torrent, take_requests_back,
};

pub(crate) fn settle_spills(world: &mut World) {
    let mut events = core::mem::take(&mut world.resource_mut::<RoutedEvents>().spills);
    for event in events.drain(..) {
        match event {
            DiskEvent::Spilled {
                torrent,
                piece,
                spill,
            } => spilled(world, Leaving { torrent, piece }, spill),
            DiskEvent::SpillFailed {
                torrent,
                piece,
                spill,
                blocks,
                error,
            } => refused(world, Leaving { torrent, piece }, (spill, blocks), &error),
            DiskEvent::HashFailed {
                torrent,
                piece,
                number,
                error,
            } => unreadable(world, Leaving { torrent, piece }, number, &error),
            _ => unreachable!("only events of spills are routed here"),
        }
    }
    world.resource_mut::<RoutedEvents>().spills = events;
}

fn spilled(world: &mut World, leaving: Leaving, number: u64) {
    let Some((torrent, row)) = find(world, leaving.torrent, leaving.piece) else {
        return;
    };
    if world.get::<Lifecycle>(torrent) == Some(&Lifecycle::Closing) {
        return;
    }
    let Some(wanted) = verdict_wanted(world, torrent, row, leaving.piece) else {
        return;
    };
    world.resource_scope(|world, mut budget: Mut<'_, MemoryBudget>| {
        world.resource_scope(|world, mut work: Mut<'_, Work>| {
            let state = world.get::<PieceState>(row).copied().unwrap_or_default();
            let Some(mut blocks) = world.get_mut::<Blocks>(row) else {
                return;
            };
            let Some(spill) = blocks.end_spill(number) else {
                return;
            };
            let is_whole = match state {
                PieceState::Waiting => blocks.is_whole(),
                _ => state == PieceState::Hashing,
            };
            let window = match spill.parks && blocks.held() == 0 {
                true => 0,
                false => blocks.window().min(blocks.unfiled()),
            };
            shrink(&mut blocks, &mut budget, &mut work, window);
            let next = is_whole.then(|| leaving.finish(&mut blocks, &mut budget, wanted));
            if blocks.is_crowded() {
                work.crowded.push((leaving.torrent, leaving.piece));
            }
            // There is room in its window.
            work.memory_freed = true;
            let outbox = &mut world.resource_mut::<PortOutbox>().into_inner().0.disk;
            outbox.extend(next.flatten());
        });
    });
    if world.get::<PieceState>(row) == Some(&PieceState::Waiting) {
        accepted(world, torrent, (leaving.piece, row));
    }
}

/// The disk took what it had refused: the piece goes on, and its torrent.
fn accepted(world: &mut World, torrent: Entity, (piece, row): (PieceIndex, Entity)) {
    let Some(blocks) = world.get::<Blocks>(row) else {
        return;
    };
    let (is_whole, holds_free) = (blocks.is_whole(), blocks.free() > 0);
    if let Some(mut state) = world.get_mut::<PieceState>(row) {
        *state = match is_whole {
            true => PieceState::Hashing,
            false => PieceState::Fetching,
        };
    }
    if let Some(mut free) = world.get_mut::<FreeBlocks>(torrent) {
        free.note(piece, holds_free);
    }
    let wanted = world.get::<Wanted>(torrent);
    let rests = world.get::<Lifecycle>(torrent) == Some(&Lifecycle::Paused);
    if !is_whole && (rests || wanted.is_some_and(|wanted| !wanted.0.has(piece))) {
        discard_piece(world, torrent, piece, row);
        apply_selection(world, torrent);
    }
    recover(world, torrent);
}

/// The disk refused a part of a piece. One such piece of a torrent is kept as it is: to write it is how
/// the next try begins, which then costs no download, and it says when there is room. Others are fetched
/// anew, so that what waits holds little memory.
fn refused(
    world: &mut World,
    leaving: Leaving,
    (number, payloads): (u64, Vec<BlockBuffer>),
    error: &DiskError,
) {
    let is_it = |blocks: &Blocks| blocks.spill().is_some_and(|it| it.number == number);
    let Some((torrent, row)) = find(world, leaving.torrent, leaving.piece) else {
        return;
    };
    if !world.get::<Blocks>(row).is_some_and(is_it) {
        return;
    }
    let closing = world.get::<Lifecycle>(torrent) == Some(&Lifecycle::Closing);
    if closing || another_waits(world, torrent, row) {
        let place = (leaving.torrent, leaving.piece);
        return discard(world, place, error, |blocks, _| is_it(blocks));
    }
    take_requests_back(world, torrent, leaving.piece);
    world.resource_scope(|world, mut budget: Mut<'_, MemoryBudget>| {
        world.resource_scope(|world, mut work: Mut<'_, Work>| {
            let Some(mut blocks) = world.get_mut::<Blocks>(row) else {
                return;
            };
            blocks.undo_spill(payloads);
            let held = blocks.held();
            shrink(&mut blocks, &mut budget, &mut work, held);
        });
    });
    if let Some(mut state) = world.get_mut::<PieceState>(row) {
        *state = PieceState::Waiting;
    }
    if let Some(mut free) = world.get_mut::<FreeBlocks>(torrent) {
        free.note(leaving.piece, false);
    }
    stop_torrent(world, torrent, &error.message);
}

/// The disk cannot read a piece that it should hash.
fn unreadable(world: &mut World, leaving: Leaving, number: u64, error: &DiskError) {
    let row = find(world, leaving.torrent, leaving.piece).map(|(_, row)| row);
    let blocks = row.and_then(|row| world.get_mut::<Blocks>(row));
    if blocks.is_some_and(|mut blocks| blocks.end_hash(number)) {
        let place = (leaving.torrent, leaving.piece);
        discard(world, place, error, |_, state| state == PieceState::Hashing);
    }
}

/// Whether another piece than that of `row` waits for the disk.
fn another_waits(world: &World, torrent: Entity, row: Entity) -> bool {
    let waits = |piece: &Entity| world.get::<PieceState>(*piece) == Some(&PieceState::Waiting);
    let active = world.get::<ActivePieces>(torrent);
    active.is_some_and(|active| {
        let mut others = active.0.values().filter(|piece| **piece != row);
        others.any(waits)
    })
}

/// The hash that a piece should have, and whether the digests of its blocks are wanted too.
fn verdict_wanted(
    world: &World,
    torrent: Entity,
    row: Entity,
    piece: PieceIndex,
) -> Option<([u8; 20], bool)> {
    let expected = *world.get::<Content>(torrent)?.0.piece_hash(piece)?;
    let parole = world.get::<Parole>(row)?.is_active();
    let suspects = world.get::<Suspects>(torrent)?.0.contains_key(&piece);
    Some((expected, parole || suspects))
}

fn find(world: &World, torrent: TorrentKey, piece: PieceIndex) -> Option<(Entity, Entity)> {
    let torrent = world.resource::<TorrentIndex>().get(torrent)?;
    let row = *world.get::<ActivePieces>(torrent)?.0.get(&piece)?;
    Some((torrent, row))
}

/// The disk lost a part of a piece: it is fetched anew when the disk is as it should be.
fn discard(
    world: &mut World,
    (torrent, piece): (TorrentKey, PieceIndex),
    error: &DiskError,
    is_it: impl FnOnce(&Blocks, PieceState) -> bool,
) {
    let Some((torrent, row)) = find(world, torrent, piece) else {
        return;
    };
    let (Some(blocks), Some(state)) = (world.get::<Blocks>(row), world.get::<PieceState>(row))
    else {
        return;
    };
    if !is_it(blocks, *state) {
        return;
    }
    if *state == PieceState::Fetching {
        // Peers may be asked for the rest of it.
        give_up(world, torrent, piece, row);
    } else {
        discard_piece(world, torrent, piece, row);
    }
    apply_selection(world, torrent);
    stop_torrent(world, torrent, &error.message);
}
