//! Pieces that are on disk since this tick.

use bevy_ecs::prelude::*;
use dunlin_components::peer::RemoteHave;
use dunlin_components::torrent::Peers;
use dunlin_components::world::{PortOutbox, TorrentIndex, Work};
use dunlin_port::net::NetCommand;
use dunlin_protocol::wire::Message;

/// Tells every peer that lacks the piece; who has it gains nothing by knowing. Our own interest in
/// those that have it may be over.
pub(super) fn tell_haves(
    torrents: Res<'_, TorrentIndex>,
    mut work: ResMut<'_, Work>,
    mut outbox: ResMut<'_, PortOutbox>,
    connected: Query<'_, '_, &Peers>,
    remotes: Query<'_, '_, &RemoteHave>,
) {
    for (torrent, piece) in core::mem::take(&mut work.have) {
        let Some(peers) = torrents
            .get(torrent)
            .and_then(|entity| connected.get(entity).ok())
        else {
            continue;
        };
        for (&peer, &entity) in &peers.0 {
            let Ok(remote) = remotes.get(entity) else {
                continue;
            };
            if remote.bits.has(piece) {
                work.interest.insert(peer);
            } else {
                outbox.0.net.push(NetCommand::Send {
                    peer,
                    message: Message::Have(piece.0),
                });
            }
        }
    }
}
