//! Extension messages (BEP 10).

use bevy_ecs::prelude::*;
use dunlin_base::PieceIndex;
use dunlin_components::node::{Luck, Rules};
use dunlin_components::peer::{Extensions, PeerOf, REQUESTS_UNSAID, Remote, RemoteHave, Requests};
use dunlin_components::torrent::NodeOf;
use dunlin_components::torrent::{Availability, Candidates, PickOrder};
use dunlin_components::world::{
    ExtensionFamily, MetadataFamily, Now, PeerIndex, RoutedEvents, Work,
};
use dunlin_protocol::wire::extension::{
    DontHave, EXTENSION_HANDSHAKE_ID, ExtensionHandshake, UploadOnly,
};

use crate::connect::{DONT_HAVE_ID, UPLOAD_ONLY_ID, UT_METADATA_ID};
use crate::observe::client_name;

type PeerRow<'a> = (
    &'a PeerOf,
    &'a Remote,
    &'a mut Extensions,
    &'a mut RemoteHave,
    &'a mut Requests,
);
type TorrentRow<'a> = (
    &'a NodeOf,
    Option<&'a mut Availability>,
    Option<&'a mut PickOrder>,
);

pub(super) fn read_extensions(
    now: Res<'_, Now>,
    mut index: ResMut<'_, PeerIndex>,
    mut routed: ResMut<'_, RoutedEvents>,
    mut work: ResMut<'_, Work>,
    mut peers: Query<'_, '_, PeerRow<'_>>,
    mut torrents: Query<'_, '_, TorrentRow<'_>, With<Candidates>>,
    mut nodes: Query<'_, '_, (&Rules, &mut Luck)>,
) {
    let RoutedEvents {
        extensions: events,
        metadata,
        ..
    } = &mut *routed;
    for (peer, ExtensionFamily { id, payload }) in events.drain(..) {
        let row = index
            .hear(peer, now.0)
            .and_then(|entity| peers.get_mut(entity).ok());
        let Some((of, at, mut extensions, mut remote, mut requests)) = row else {
            continue;
        };
        let read = match id {
            EXTENSION_HANDSHAKE_ID => ExtensionHandshake::decode(&payload).map(|said| {
                take_handshake(&mut extensions, said);
                tracing::debug!(
                    %peer,
                    addr = %at.addr,
                    client = %client_name(extensions.client.as_deref(), None),
                    reqq = extensions.reqq,
                    upload_only = extensions.upload_only,
                    metadata_size = extensions.metadata_size,
                    "received extension handshake"
                );
                let reqq = extensions.reqq.unwrap_or(REQUESTS_UNSAID.into());
                let node = torrents.get(of.0).map(|row| row.0.0);
                let rules = node.and_then(|node| nodes.get(node));
                let most = rules.map_or(1, |(rules, _)| rules.0.pick.requests_max);
                requests.set_limit(reqq.clamp(1, most));
                work.interest.insert(peer);
                metadata.push((peer, MetadataFamily::Greeted));
            }),
            UT_METADATA_ID => {
                metadata.push((peer, MetadataFamily::Message(payload)));
                Ok(())
            }
            UPLOAD_ONLY_ID => UploadOnly::decode(&payload).map(|said| {
                extensions.upload_only = said.0;
                work.interest.insert(peer);
            }),
            DONT_HAVE_ID => DontHave::decode(&payload).map(|lost| {
                requests.lost(PieceIndex(lost.piece));
                let Ok((node, availability, order)) = torrents.get_mut(of.0) else {
                    return;
                };
                let Ok((_, mut luck)) = nodes.get_mut(node.0) else {
                    return;
                };
                lose_piece(
                    &mut remote,
                    PieceIndex(lost.piece),
                    availability,
                    order,
                    &mut luck,
                );
                work.interest.insert(peer);
            }),
            // A number that we did not offer.
            _ => Ok(()),
        };
        if let Err(error) = read {
            work.drop.push((peer, error.to_string()));
        }
    }
}

fn take_handshake(extensions: &mut Extensions, said: ExtensionHandshake) {
    extensions.reqq = said.reqq.or(extensions.reqq);
    extensions.client = said.client.or_else(|| extensions.client.take());
    extensions.upload_only = said.upload_only.unwrap_or(extensions.upload_only);
    extensions.dont_have = said.ids.lt_donthave.or(extensions.dont_have);
    extensions.ut_metadata = match said.ids.ut_metadata {
        // BEP 10: zero takes an extension back.
        Some(0) => None,
        id => id.or(extensions.ut_metadata),
    };
    // The first word counts: a peer has one guess at what cannot change.
    extensions.metadata_size = extensions.metadata_size.or(said.metadata_size);
}

/// BEP 54: a peer lost a piece.
fn lose_piece(
    remote: &mut RemoteHave,
    piece: PieceIndex,
    availability: Option<Mut<'_, Availability>>,
    order: Option<Mut<'_, PickOrder>>,
    luck: &mut Luck,
) {
    if !remote.bits.has(piece) {
        return;
    }
    let was_seed = remote.bits.is_full();
    remote.bits.clear(piece);
    let Some(mut availability) = availability else {
        return;
    };
    if was_seed {
        availability.demote(&remote.bits);
        remote.counted_as_seed = false;
    } else {
        availability.remove(piece);
    }
    let Some(mut order) = order else { return };
    // Of a seed that is none any more, every piece is counted by itself now.
    let others = remote.bits.iter().filter(|_| was_seed);
    for changed in others.chain(core::iter::once(piece)) {
        order.set_copies(changed, availability.partial(changed), &mut luck.pick);
    }
}
