//! Pieces that are on disk since this tick.

use bevy_ecs::prelude::*;
use dunlin_base::PeerKey;
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
    let (mut told, mut has) = (Vec::<(PeerKey, &RemoteHave)>::new(), Vec::new());
    for (torrent, piece) in core::mem::take(&mut work.have) {
        let Some(peers) = torrents
            .get(torrent)
            .and_then(|entity| connected.get(entity).ok())
        else {
            continue;
        };
        let rows = peers.0.iter();
        let rows = rows.filter_map(|(&peer, &entity)| Some((peer, remotes.get(entity).ok()?)));
        told.clear();
        told.extend(rows);
        // All are asked before anything follows from an answer: then a processor waits for many of them
        // at a time, which are nowhere near each other.
        has.clear();
        has.extend(told.iter().map(|(_, remote)| remote.bits.has(piece)));
        for (&(peer, _), &has) in told.iter().zip(&has) {
            if has {
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
