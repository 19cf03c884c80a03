//! Which files are wanted, and what follows for pieces.

use core::ops::Range;

use bevy_ecs::prelude::*;
use dunlin_base::{Bitfield, Geometry, PieceIndex};
use dunlin_components::node::{Luck, Rules};
use dunlin_components::torrent::{
    ActivePieces, Availability, Content, Deadlines, FreeBlocks, Have, LastBlocks, Lifecycle,
    NodeOf, Peers, PickOrder, PieceRank, Selection, SuperSeeding, Torrent, Wanted,
};
use dunlin_components::world::{PortOutbox, Work};
use dunlin_port::disk::DiskCommand;
use dunlin_port::user::FilePriority;
use dunlin_protocol::metainfo::Info;

use super::add::normalise;
use super::rest;
use crate::pick::look_again;

/// Changes the priority of each file.
pub(super) fn set_files(world: &mut World, entity: Entity, priorities: Vec<FilePriority>) {
    let Some(files) = world
        .get::<Content>(entity)
        .map(|content| content.0.files().len())
    else {
        return;
    };
    let files = normalise(&priorities, files);
    let wanted = files
        .iter()
        .map(|priority| *priority != FilePriority::Skip)
        .collect();
    if let Some(mut selection) = world.get_mut::<Selection>(entity) {
        selection.files = files;
    }
    let Some(torrent) = world.get::<Torrent>(entity).map(|row| row.0) else {
        return;
    };
    world
        .resource_mut::<PortOutbox>()
        .0
        .disk
        .push(DiskCommand::Select { torrent, wanted });
    apply_selection(world, entity);
    if world
        .get::<Lifecycle>(entity)
        .is_some_and(Lifecycle::is_active)
    {
        rest::start(world, entity);
    }
}

/// Changes the priority of some pieces.
pub(super) fn set_pieces(
    world: &mut World,
    entity: Entity,
    pieces: Range<u32>,
    priority: FilePriority,
) {
    let Some(count) = world
        .get::<Content>(entity)
        .map(|content| content.0.geometry().piece_count())
    else {
        return;
    };
    let Some(mut selection) = world.get_mut::<Selection>(entity) else {
        return;
    };
    for piece in (pieces.start..pieces.end.min(count)).map(PieceIndex) {
        match priority {
            FilePriority::Skip => selection.pieces.remove(&piece),
            priority => selection.pieces.insert(piece, priority),
        };
    }
    apply_selection(world, entity);
}

/// Computes which pieces are wanted, and the order in which they may be opened.
pub(crate) fn apply_selection(world: &mut World, entity: Entity) {
    let Some(info) = world
        .get::<Content>(entity)
        .map(|content| content.0.clone())
    else {
        return;
    };
    let Some(selection) = world.get::<Selection>(entity).cloned() else {
        return;
    };
    let Some(&NodeOf(node)) = world.get::<NodeOf>(entity) else {
        return;
    };
    let first_last = world
        .get::<Rules>(node)
        .is_some_and(|rules| rules.0.pick.first_last_first);
    let mut priorities = piece_priorities(&info, &selection.files, first_last);
    for (piece, &own) in &selection.pieces {
        let slot = &mut priorities[piece.0 as usize];
        if *slot != FilePriority::Skip {
            *slot = own;
        }
    }
    let mut wanted = Bitfield::empty(info.geometry().piece_count());
    for (piece, priority) in info.geometry().pieces().zip(&priorities) {
        if *priority != FilePriority::Skip {
            wanted.set(piece);
        }
    }
    if let Some(mut row) = world.get_mut::<Wanted>(entity) {
        row.0 = wanted;
    }
    rest::give_up_unwanted(world, entity);
    rebuild_order(world, entity, node, info.geometry(), &priorities);
    let Some(torrent) = world.get::<Torrent>(entity).map(|row| row.0) else {
        return;
    };
    let peers: Vec<_> = world
        .get::<Peers>(entity)
        .map_or_else(Vec::new, |peers| peers.0.keys().copied().collect());
    look_again(world, entity);
    let mut work = world.resource_mut::<Work>();
    work.interest.extend(peers);
    work.completion.insert(torrent);
}

/// A piece is wanted as much as the most wanted file that it holds a byte of.
fn piece_priorities(
    info: &Info,
    files: &[FilePriority],
    first_last_first: bool,
) -> Vec<FilePriority> {
    let mut priorities = vec![FilePriority::Skip; info.geometry().piece_count() as usize];
    for (file, &priority) in info.files().iter().zip(files) {
        if file.attributes.padding || priority == FilePriority::Skip {
            continue;
        }
        let range = info
            .geometry()
            .pieces_of(file.offset..file.offset + file.length);
        for piece in range.clone() {
            let slot = &mut priorities[piece as usize];
            *slot = priority.max(*slot);
        }
        if first_last_first && !range.is_empty() {
            priorities[range.start as usize] = FilePriority::High;
            priorities[range.end as usize - 1] = FilePriority::High;
        }
    }
    priorities
}

/// While anything is missing there is an order; a complete torrent needs none.
fn rebuild_order(
    world: &mut World,
    entity: Entity,
    node: Entity,
    geometry: &Geometry,
    priorities: &[FilePriority],
) {
    let (Some(have), Some(wanted)) = (world.get::<Have>(entity), world.get::<Wanted>(entity))
    else {
        return;
    };
    if !wanted.0.has_any_not_in(&have.0) {
        let shows = world.get::<SuperSeeding>(entity).is_some();
        let mut row = world.entity_mut(entity);
        row.remove::<(PickOrder, FreeBlocks, LastBlocks)>();
        if !shows {
            row.remove::<Availability>();
        }
        return;
    }
    if world.get::<Availability>(entity).is_none() {
        let counted = crate::receive::count_copies(world, entity);
        world.entity_mut(entity).insert(counted);
    }
    let Some(mut luck) = world.get::<Luck>(node).copied() else {
        return;
    };
    // The new order is not made beside the old one: they are large.
    if let Some(mut order) = world.get_mut::<PickOrder>(entity) {
        *order = PickOrder::new(0);
    }
    let (Some(have), Some(wanted), Some(availability)) = (
        world.get::<Have>(entity),
        world.get::<Wanted>(entity),
        world.get::<Availability>(entity),
    ) else {
        return;
    };
    let in_motion = world.get::<ActivePieces>(entity).map(|active| &active.0);
    let missing = geometry
        .pieces()
        .filter(|piece| wanted.0.has(*piece) && !have.0.has(*piece))
        .filter(|piece| !in_motion.is_some_and(|active| active.contains_key(piece)));
    let mut order = PickOrder::new(geometry.piece_count());
    for piece in missing {
        let rank = PieceRank::new(priorities[piece.0 as usize], availability.partial(piece));
        order.insert(piece, rank, &mut luck.pick);
    }
    let begun = (order, LastBlocks::default());
    world.entity_mut(entity).insert(begun);
    if let Some(mut row) = world.get_mut::<Luck>(node) {
        *row = luck;
    }
}

/// A reader wants this range next: its missing pieces come before all others.
pub(super) fn set_deadlines(world: &mut World, entity: Entity, start: u64, len: u64) {
    let Some(geometry) = world
        .get::<Content>(entity)
        .map(|content| content.0.geometry())
    else {
        return;
    };
    let range = geometry.pieces_of(start..start.saturating_add(len));
    if let Some(mut deadlines) = world.get_mut::<Deadlines>(entity) {
        deadlines.0 = Some(range);
    }
    look_again(world, entity);
}
