//! Pieces on parole whose peer does not go on with them.

use std::collections::BTreeSet;

use bevy_ecs::prelude::*;
use dunlin_components::piece::{Blocks, Parole, PieceOf, PieceState};
use dunlin_components::world::Work;

use super::look_again;
use crate::ingest::Sweep;

type PieceRow<'a> = (&'a PieceOf, &'a Blocks, &'a PieceState, &'a mut Parole);

/// Once a second, lets others fill a piece on parole of which nobody is asked for anything. Whatever keeps its
/// peer from being asked for the rest (it choked us, rejected what it was asked for, says that it has lost the
/// piece), it may be so for ever, and no timeout is due.
pub(super) fn end_paroles(world: &mut World, pieces: &mut QueryState<PieceRow<'static>>) {
    if !world.resource::<Sweep>().due || world.resource::<Work>().paroles.is_empty() {
        return;
    }
    let mut paroles = core::mem::take(&mut world.resource_mut::<Work>().paroles);
    let mut left = BTreeSet::new();
    paroles.retain(|&piece| {
        // The pieces that are done with are gone.
        let Ok((of, blocks, state, mut parole)) = pieces.get_mut(world, piece) else {
            return false;
        };
        if parole.peer.is_some() && *state == PieceState::Fetching && blocks.is_idle() {
            parole.peer = None;
            left.insert(of.0);
        }
        true
    });
    world.resource_mut::<Work>().paroles = paroles;
    for torrent in left {
        look_again(world, torrent);
    }
}
