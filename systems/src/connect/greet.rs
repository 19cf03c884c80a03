//! Our first words to a peer: extension handshake, what we have, allowed-fast pieces.

use std::net::SocketAddr;

use bevy_ecs::prelude::*;
use dunlin_base::limits::{PEER_REQUESTS_IN_MAX, TORRENT_FILE_BYTES_MAX};
use dunlin_base::{PeerKey, PieceIndex};
use dunlin_components::node::Identity;
use dunlin_components::peer::{AllowedFast, Remote};
use dunlin_components::torrent::{Content, Have, SuperSeeding, Torrent, Wanted};
use dunlin_components::world::{NodeIndex, PortOutbox, Work};
use dunlin_port::net::NetCommand;
use dunlin_protocol::wire::extension::{ExtensionHandshake, ExtensionIds};
use dunlin_protocol::wire::{Message, Reserved, allowed_fast_set};

/// Our number for `lt_donthave` (BEP 54).
pub(crate) const DONT_HAVE_ID: u8 = 1;
/// Our number for `upload_only` messages (libtorrent's extension to BEP 21).
pub(crate) const UPLOAD_ONLY_ID: u8 = 2;
/// Our number for `ut_metadata` (BEP 9).
pub(crate) const UT_METADATA_ID: u8 = 3;

/// Pieces that a newcomer may ask for while choked, and has to have fewer of than this to be given
/// any. BEP 6 speaks of ten; of a small torrent that would be a good part, sent past the slots to
/// everybody who comes (libtorrent gives five).
pub(crate) const ALLOWED_FAST_PIECES: u8 = 5;

/// How we call ourselves in the extension handshake.
const CLIENT: &str = concat!("Dunlin ", env!("CARGO_PKG_VERSION"));

pub(super) fn greet(
    world: &mut World,
    peer: PeerKey,
    entity: Entity,
    torrent: Entity,
    theirs: Reserved,
) {
    let mut words = Vec::new();
    if theirs.extension_protocol() {
        words.extend(extension_handshake(world, entity, torrent));
    }
    let poses = world.get::<SuperSeeding>(torrent).is_some();
    // Who does not know yet what there is has nothing of it; who super-seeds says so.
    let have = world.get::<Have>(torrent).filter(|_| !poses);
    let have = have.map(|have| &have.0);
    match (theirs.fast(), have.filter(|have| have.count() > 0)) {
        (true, None) => words.push(Message::HaveNone),
        (true, Some(have)) if have.is_full() => words.push(Message::HaveAll),
        // BEP 3: who has nothing may leave the bitfield out.
        (false, None) => {}
        (_, Some(have)) => words.push(Message::Bitfield(have.as_bytes().into())),
    }
    if theirs.fast() && !poses {
        words.extend(allow_fast(world, entity, torrent));
    }
    if poses && let Some(key) = world.get::<Torrent>(torrent).map(|row| row.0) {
        world.resource_mut::<Work>().show.insert(key);
    }
    let outbox = &mut world.resource_mut::<PortOutbox>().into_inner().0.net;
    outbox.extend(
        words
            .into_iter()
            .map(|message| NetCommand::Send { peer, message }),
    );
}

/// Our extension handshake, from what is so now. It may be sent again (BEP 10).
pub(crate) fn extension_handshake(
    world: &World,
    entity: Entity,
    torrent: Entity,
) -> Option<Message> {
    let remote = world.get::<Remote>(entity)?;
    let node = *world.resource::<NodeIndex>().0.get(&remote.node)?;
    let identity = world.get::<Identity>(node)?;
    let wants = match (world.get::<Wanted>(torrent), world.get::<Have>(torrent)) {
        (Some(wanted), Some(have)) => wanted.0.has_any_not_in(&have.0),
        _ => true,
    } || world.get::<SuperSeeding>(torrent).is_some();
    let metadata = world.get::<Content>(torrent).map(|content| content.0.raw());
    let handshake = ExtensionHandshake {
        ids: ExtensionIds {
            lt_donthave: Some(DONT_HAVE_ID),
            upload_only: Some(UPLOAD_ONLY_ID),
            ut_metadata: Some(UT_METADATA_ID),
            ..ExtensionIds::default()
        },
        port: identity.listen_port,
        client: Some(CLIENT.to_owned()),
        yourip: Some(remote.addr.ip()),
        reqq: Some(PEER_REQUESTS_IN_MAX as u32),
        // What other clients would not take is not offered.
        metadata_size: metadata
            .filter(|bytes| bytes.len() <= TORRENT_FILE_BYTES_MAX)
            .map(|bytes| bytes.len() as u32),
        upload_only: Some(!wants),
        ..ExtensionHandshake::default()
    };
    Some(Message::Extended {
        id: 0,
        payload: handshake.encode().into(),
    })
}

/// BEP 6: pieces that a newcomer may ask for while choked, so that it has something to trade. Only
/// for those who have next to nothing, and only pieces that we have.
fn allow_fast(world: &mut World, entity: Entity, torrent: Entity) -> Vec<Message> {
    let addr = world.get::<Remote>(entity).map(|remote| remote.addr);
    let (Some(SocketAddr::V4(addr)), Some(have), Some(content)) = (
        addr,
        world.get::<Have>(torrent),
        world.get::<Content>(torrent),
    ) else {
        return Vec::new();
    };
    let info = &content.0;
    let set = allowed_fast_set(
        *addr.ip(),
        info.info_hash(),
        info.geometry().piece_count(),
        ALLOWED_FAST_PIECES,
    );
    let pieces: Vec<_> = set
        .into_iter()
        .map(PieceIndex)
        .filter(|piece| have.0.has(*piece))
        .collect();
    if let Some(mut allowed) = world.get_mut::<AllowedFast>(entity) {
        allowed.to_it.extend(pieces.iter().copied());
    }
    pieces
        .into_iter()
        .map(|piece| Message::AllowedFast(piece.0))
        .collect()
}
