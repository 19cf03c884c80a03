//! Our metadata for peers that ask for it, at a bounded rate.

use bevy_ecs::prelude::*;
use dunlin_base::limits::{METADATA_REJECTS_MAX, METADATA_REQUESTS_IN_MAX};
use dunlin_base::{EngineTime, TokenBucket, TorrentKey};
use dunlin_components::peer::{Extensions, MetadataUploads};
use dunlin_components::torrent::{Content, Peers};
use dunlin_components::world::{Now, PortOutbox, TimerKind, Timers};
use dunlin_port::net::NetCommand;
use dunlin_protocol::wire::Message;
use dunlin_protocol::wire::extension::{METADATA_PIECE_BYTES, MetadataMessage};

use super::{Party, fault};

/// To each peer. A request is small and its answer is not: nobody gets more of us than this. It counts
/// to no limit of payload.
const BYTES_PER_SEC: u64 = 128 * 1024;
/// At once: nearly all metadata, and less than the network keeps for who does not read.
const BURST_BYTES: u64 = 512 * 1024;

/// Queues a part that a peer asks for, or says that it gets none.
pub(super) fn queue(world: &mut World, from: Party, part: u32) {
    let parts = world.get::<Content>(from.torrent).map_or(0, |content| {
        content.0.raw().len().div_ceil(METADATA_PIECE_BYTES)
    });
    let mut row = world.entity_mut(from.entity);
    if !row.contains::<MetadataUploads>() {
        row.insert(MetadataUploads {
            bucket: TokenBucket::new(Some(BYTES_PER_SEC), BURST_BYTES),
            waiting: std::collections::VecDeque::new(),
            rejects: 0,
        });
    }
    let Some(mut uploads) = row.get_mut::<MetadataUploads>() else {
        return;
    };
    let there = (part as usize) < parts;
    if there && uploads.waiting.len() < METADATA_REQUESTS_IN_MAX {
        uploads.waiting.push_back(part);
        return;
    }
    uploads.rejects += 1;
    if uploads.rejects > METADATA_REJECTS_MAX {
        let why = "goes on asking for metadata that it cannot have";
        fault(world, from.peer, why.to_owned());
        return;
    }
    tracing::trace!(peer = %from.peer, part, "sent metadata reject");
    send(world, from, &MetadataMessage::Reject { piece: part });
}

/// Sends what waits and may go out; sets a timer for the rest.
pub(super) fn send_on(world: &mut World, key: TorrentKey, torrent: Entity) {
    let now = world.resource::<Now>().0;
    let Some(content) = world.get::<Content>(torrent).cloned() else {
        return;
    };
    let raw = content.0.raw();
    let peers: Vec<_> = world.get::<Peers>(torrent).map_or_else(Vec::new, |peers| {
        peers.0.iter().map(|(&peer, &row)| (peer, row)).collect()
    });
    let mut next_at = EngineTime::NEVER;
    for (peer, entity) in peers {
        let Some(mut uploads) = world.get_mut::<MetadataUploads>(entity) else {
            continue;
        };
        let mut due = Vec::new();
        while let Some(&part) = uploads.waiting.front() {
            if uploads.bucket.available(now) < METADATA_PIECE_BYTES as u64 {
                let at = uploads.bucket.available_at(METADATA_PIECE_BYTES as u64);
                next_at = next_at.min(at);
                break;
            }
            uploads.bucket.take(METADATA_PIECE_BYTES as u64);
            uploads.waiting.pop_front();
            due.push(part);
        }
        let party = Party {
            peer,
            entity,
            torrent,
        };
        for part in due {
            let Some(data) = raw.chunks(METADATA_PIECE_BYTES).nth(part as usize) else {
                continue;
            };
            let message = MetadataMessage::Data {
                piece: part,
                total_size: raw.len() as u32,
                data,
            };
            tracing::trace!(%peer, part, bytes = data.len(), "sent metadata part");
            send(world, party, &message);
        }
    }
    world
        .resource_mut::<Timers>()
        .set(next_at, key, TimerKind::Metadata);
}

/// Sends a message under the number that the peer gave; who gave none gets none.
pub(super) fn send(world: &mut World, to: Party, message: &MetadataMessage<'_>) {
    let id = world
        .get::<Extensions>(to.entity)
        .and_then(|extensions| extensions.ut_metadata);
    let Some(id) = id else { return };
    let message = Message::Extended {
        id,
        payload: message.encode().into(),
    };
    world
        .resource_mut::<PortOutbox>()
        .0
        .net
        .push(NetCommand::Send {
            peer: to.peer,
            message,
        });
}
