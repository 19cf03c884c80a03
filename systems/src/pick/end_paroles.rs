//! Pieces on parole whose peer does not go on with them.

use std::collections::BTreeSet;

use bevy_ecs::prelude::*;
use dunlin_base::{PeerKey, PieceIndex};
use dunlin_components::peer::RemoteHave;
use dunlin_components::piece::{Blocks, Parole, Piece, PieceOf, PieceState};
use dunlin_components::torrent::{Content, Peers};
use dunlin_components::world::{Now, PeerIndex, PortOutbox, Work};
use dunlin_port::net::NetCommand;
use dunlin_protocol::wire::Message;

use super::{is_open_row, look_again};
use crate::connect::release_piece;
use crate::ingest::Sweep;
use crate::receive::request_of;

type PieceRow<'a> = (
    &'a Piece,
    &'a PieceOf,
    &'a Blocks,
    &'a PieceState,
    &'a mut Parole,
);

/// Once a second, lets others fill the pieces on parole with which their peer does not go on: nobody is asked
/// for anything of them (it choked us, rejected what it was asked for, says that it has lost the piece), or too
/// little comes while others have it too. Whatever keeps it from sending the rest, it may be so for ever, and no timeout need be due.
pub(super) fn end_paroles(world: &mut World, pieces: &mut QueryState<PieceRow<'static>>) {
    if !world.resource::<Sweep>().due || world.resource::<Work>().paroles.is_empty() {
        return;
    }
    #[cfg(feature = "planted-bugs")]
    if crate::planted::is(crate::planted::Bug::Parole) {
        return;
    }
    let now = world.resource::<Now>().0;
    let mut paroles = core::mem::take(&mut world.resource_mut::<Work>().paroles);
    let (mut open, mut slow) = (BTreeSet::new(), Vec::new());
    paroles.retain(|&row| {
        // The pieces that are done with are gone.
        let Ok((piece, of, blocks, state, mut parole)) = pieces.get_mut(world, row) else {
            return false;
        };
        if *state != PieceState::Fetching {
            return true;
        }
        let Some(owner) = parole.owner() else {
            if parole.forgive() {
                open.insert(of.0);
            }
            return true;
        };
        if blocks.is_idle() {
            parole.leave();
            open.insert(of.0);
        } else if parole.is_slow(now, blocks.arrived(), blocks.len()) {
            slow.push((owner, *piece, of.0, row));
        }
        true
    });
    world.resource_mut::<Work>().paroles = paroles;
    slow.sort_unstable_by_key(|&(owner, piece, ..)| (owner, piece));
    for (owner, piece, torrent, row) in slow {
        if !others_have(world, torrent, owner, piece.0) {
            continue;
        }
        if let Some(mut parole) = world.get_mut::<Parole>(row) {
            parole.leave();
        }
        take_back(world, owner, torrent, piece);
        open.insert(torrent);
    }
    for torrent in open {
        look_again(world, torrent);
    }
}

/// Whether anybody but one peer may be asked for a piece.
fn others_have(world: &World, torrent: Entity, but: PeerKey, piece: PieceIndex) -> bool {
    let has = |row| {
        let remote = world.get::<RemoteHave>(row);
        is_open_row(world, row) && remote.is_some_and(|remote| remote.bits.has(piece))
    };
    let peers = world.get::<Peers>(torrent);
    peers.is_some_and(|peers| peers.0.iter().any(|(&peer, &row)| peer != but && has(row)))
}

/// Cancels what a peer was asked for of a piece, so that others can be.
fn take_back(world: &mut World, peer: PeerKey, torrent: Entity, piece: Piece) {
    let Some(row) = world.resource::<PeerIndex>().get(peer) else {
        return;
    };
    let void = release_piece(world, peer, row, torrent, piece.0);
    let Some(content) = world.get::<Content>(torrent) else {
        return;
    };
    let cancel = |block| Message::Cancel(request_of(content, piece.0, block));
    let cancels: Vec<_> = void.iter().map(|out| cancel(out.block)).collect();
    let net = &mut world.resource_mut::<PortOutbox>().into_inner().0.net;
    net.extend(
        cancels
            .into_iter()
            .map(|message| NetCommand::Send { peer, message }),
    );
}
