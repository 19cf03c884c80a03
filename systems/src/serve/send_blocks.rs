//! Blocks that were read go out, unless they are not wanted any more.

use bevy_ecs::prelude::*;
use dunlin_base::{LOOK, PieceIndex, look_ahead, prefetch};
use dunlin_components::peer::{Hello, UploadQueue};
use dunlin_components::world::{PeerIndex, PortOutbox, RoutedEvents, TorrentIndex, Work};
use dunlin_port::disk::{DiskErrorKind, DiskEvent};
use dunlin_port::net::NetCommand;
use dunlin_protocol::wire::Message;

use crate::ahead::find_peer;
use crate::lifecycle::stop_torrent;

pub(super) fn send_blocks(
    index: Res<'_, PeerIndex>,
    mut routed: ResMut<'_, RoutedEvents>,
    mut work: ResMut<'_, Work>,
    mut outbox: ResMut<'_, PortOutbox>,
    mut peers: Query<'_, '_, (&Hello, &mut UploadQueue)>,
) {
    let RoutedEvents { reads, .. } = &mut *routed;
    let mut reads = reads.drain(..);
    while !reads.as_slice().is_empty() {
        look(reads.as_slice(), &index, &peers);
        for event in reads.by_ref().take(LOOK) {
            let DiskEvent::Read {
                torrent,
                peer,
                block,
                result,
            } = event
            else {
                unreachable!("only reads are routed here")
            };
            let row = index
                .get(peer)
                .and_then(|entity| peers.get_mut(entity).ok());
            let Some((hello, mut queue)) = row else {
                continue;
            };
            // Cancelled or choked meanwhile: then it is not in the list any more.
            if !queue.take_read(&block) {
                continue;
            }
            match result {
                Ok(payload) => {
                    queue.unsent_bytes += payload.len() as u64;
                    let piece = PieceIndex(block.piece);
                    outbox.0.net.push(NetCommand::SendBlock {
                        peer,
                        piece,
                        begin: block.begin,
                        payload,
                    });
                }
                Err(error) => {
                    if hello.reserved.fast() {
                        outbox.0.net.push(NetCommand::Send {
                            peer,
                            message: Message::Reject(block),
                        });
                    }
                    work.unreadable.push((torrent, error.kind, error.message));
                }
            }
        }
    }
}

/// Asks for what reads to come will need.
fn look(rest: &[DiskEvent], index: &PeerIndex, peers: &Query<'_, '_, (&Hello, &mut UploadQueue)>) {
    let peer = |event: &DiskEvent| match event {
        DiskEvent::Read { peer, .. } => Some(*peer),
        _ => None,
    };
    let row = |event: &DiskEvent| peers.get(index.get(peer(event)?)?).ok();
    look_ahead(
        rest,
        &[
            &|event| {
                if let Some(peer) = peer(event) {
                    index.prefetch(peer);
                }
            },
            &|event| {
                if let Some(peer) = peer(event) {
                    find_peer(index, peers, peer);
                }
            },
            &|event| {
                if let Some((hello, queue)) = row(event) {
                    prefetch(hello);
                    prefetch(queue);
                }
            },
            &|event| {
                if let Some((_, queue)) = row(event) {
                    queue.prefetch();
                }
            },
        ],
    );
}

/// A torrent whose data cannot be read stops with the reason: claiming pieces that it cannot give
/// would only waste everybody's time.
pub(super) fn stop_unreadable(world: &mut World) {
    let failed = core::mem::take(&mut world.resource_mut::<Work>().unreadable);
    for (torrent, kind, message) in failed {
        let Some(entity) = world.resource::<TorrentIndex>().get(torrent) else {
            continue;
        };
        let hint = match kind {
            DiskErrorKind::Missing => "; bring the file back, or check the torrent again",
            DiskErrorKind::Full | DiskErrorKind::Permission | DiskErrorKind::Other => "",
        };
        stop_torrent(world, entity, &format!("{message}{hint}"));
    }
}
