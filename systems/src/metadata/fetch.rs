//! Asks peers for metadata and takes what they send.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use bevy_ecs::prelude::*;
use dunlin_base::limits::METADATA_REQUESTS_OUT_MAX;
use dunlin_base::{EngineTime, TorrentKey};
use dunlin_components::peer::{Extensions, MetadataRequests, Remote};
use dunlin_components::torrent::{
    CopyKey, Lifecycle, MetadataCopy, MetadataFetch, PartSender, Peers,
};
use dunlin_components::world::{Now, PeerIndex, TimerKind, Timers};
use dunlin_protocol::wire::extension::MetadataMessage;

use super::policy::{Room, next_part, room_for};
use super::{Party, fault, judge, serve};

/// A peer that sends nothing for so long is not counted on.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long it is left alone then, or after a refusal: this times its failures in a row.
const REST: Duration = Duration::from_secs(15);
/// Failures that lengthen the rest.
const RESTS_MAX: u32 = 8;

/// A peer that can be asked.
struct Offer {
    party: Party,
    copy: CopyKey,
    failures: u32,
    asked: BTreeMap<u32, EngineTime>,
}

/// A part came. One that was not asked for, or comes after its time, is of no use but no fault.
pub(super) fn take(world: &mut World, from: Party, part: u32, total_size: u32, data: &[u8]) {
    let Some((key, remote)) = answers(world, from, part) else {
        return;
    };
    let now = world.resource::<Now>().0;
    let Some(mut fetch) = world.get_mut::<MetadataFetch>(from.torrent) else {
        return;
    };
    let Some(copy) = fetch.copies.get_mut(&key) else {
        return;
    };
    if total_size != key.size || copy.part_bytes(part) != Some(data.len()) {
        let why = format!(
            "sent {} bytes as part {part} of {total_size} bytes of metadata, after it said {}",
            data.len(),
            key.size
        );
        fault(world, from.peer, why);
        return;
    }
    tracing::trace!(peer = %from.peer, part, bytes = data.len(), "received metadata part");
    let peer = from.peer;
    copy.put(part, PartSender { peer, remote }, data);
    let whole = copy.is_whole();
    if let Some(mut requests) = world.get_mut::<MetadataRequests>(from.entity) {
        requests.failures = 0;
        // It is slow rather than mute.
        requests.asked.values_mut().for_each(|at| *at = now);
    }
    if whole {
        judge::judge(world, from.torrent, key);
    }
}

/// A peer will not give a part: it is not asked for any for a while.
pub(super) fn refused(world: &mut World, from: Party, part: u32) {
    if answers(world, from, part).is_some() {
        tracing::trace!(peer = %from.peer, part, "received metadata reject");
        let now = world.resource::<Now>().0;
        fail(world, from.entity, now);
    }
}

/// Takes note that a part was answered; the copy that it is for, and who answers.
fn answers(world: &mut World, from: Party, part: u32) -> Option<(CopyKey, Remote)> {
    let remote = *world.get::<Remote>(from.entity)?;
    let size = world.get::<Extensions>(from.entity)?.metadata_size?;
    let one_sender = world.get::<MetadataFetch>(from.torrent)?.one_sender;
    let mut requests = world.get_mut::<MetadataRequests>(from.entity)?;
    requests.asked.remove(&part)?;
    let only = one_sender.then_some(from.peer);
    Some((CopyKey { size, only }, remote))
}

fn fail(world: &mut World, entity: Entity, now: EngineTime) {
    if let Some(mut requests) = world.get_mut::<MetadataRequests>(entity) {
        requests.asked.clear();
        requests.failures = requests.failures.saturating_add(1);
        requests.rest_until = now + REST * requests.failures.min(RESTS_MAX);
    }
}

/// Fills every peer's requests, and sets a timer for when to look again.
pub(super) fn ask(world: &mut World, key: TorrentKey, torrent: Entity) {
    if world.get::<Lifecycle>(torrent) != Some(&Lifecycle::Metadata) {
        return;
    }
    let now = world.resource::<Now>().0;
    let (mut offers, mut next_at) = offers(world, torrent, now);
    let Some(mut fetch) = world.get_mut::<MetadataFetch>(torrent) else {
        return;
    };
    let mut copies = core::mem::take(&mut fetch.copies);
    begin_copies(world, &offers, &mut copies, now);
    let mut askers: BTreeMap<CopyKey, BTreeMap<u32, u32>> = BTreeMap::new();
    for offer in &offers {
        let of_copy = askers.entry(offer.copy).or_default();
        offer
            .asked
            .keys()
            .for_each(|part| *of_copy.entry(*part).or_default() += 1);
    }
    for offer in &mut offers {
        let Some(copy) = copies.get(&offer.copy) else {
            continue;
        };
        let askers = askers.entry(offer.copy).or_default();
        while offer.asked.len() < METADATA_REQUESTS_OUT_MAX
            && let Some(part) = next_part(copy, askers, &offer.asked)
        {
            *askers.entry(part).or_default() += 1;
            offer.asked.insert(part, now);
            tracing::trace!(peer = %offer.party.peer, part, "sent metadata request");
            let request = MetadataMessage::Request { piece: part };
            serve::send(world, offer.party, &request);
        }
    }
    for Offer { party, asked, .. } in offers {
        let timeouts = asked.values().map(|at| *at + TIMEOUT);
        next_at = timeouts.chain([next_at]).min().unwrap_or(next_at);
        if let Some(mut requests) = world.get_mut::<MetadataRequests>(party.entity) {
            requests.asked = asked;
        }
    }
    if let Some(mut fetch) = world.get_mut::<MetadataFetch>(torrent) {
        fetch.copies = copies;
    }
    world
        .resource_mut::<Timers>()
        .set(next_at, key, TimerKind::Metadata);
}

/// Peers that can be asked now, those that never failed first, and when one more can be. Those that
/// owe an answer for too long rest.
fn offers(world: &mut World, torrent: Entity, now: EngineTime) -> (Vec<Offer>, EngineTime) {
    let mut offers = Vec::new();
    let mut next_at = EngineTime::NEVER;
    let Some(one_sender) = world
        .get::<MetadataFetch>(torrent)
        .map(|fetch| fetch.one_sender)
    else {
        return (offers, next_at);
    };
    let peers: Vec<_> = world.get::<Peers>(torrent).map_or_else(Vec::new, |peers| {
        peers.0.iter().map(|(&peer, &row)| (peer, row)).collect()
    });
    for (peer, entity) in peers {
        let Some(extensions) = world.get::<Extensions>(entity) else {
            continue;
        };
        let (Some(size), Some(_)) = (extensions.metadata_size, extensions.ut_metadata) else {
            continue;
        };
        let Some(requests) = world.get::<MetadataRequests>(entity) else {
            continue;
        };
        if requests.asked.values().any(|at| now.since(*at) >= TIMEOUT) {
            fail(world, entity, now);
        }
        let Some(requests) = world.get::<MetadataRequests>(entity) else {
            continue;
        };
        if requests.rest_until > now {
            next_at = next_at.min(requests.rest_until);
            continue;
        }
        offers.push(Offer {
            party: Party {
                peer,
                entity,
                torrent,
            },
            copy: CopyKey {
                size,
                only: one_sender.then_some(peer),
            },
            failures: requests.failures,
            asked: requests.asked.clone(),
        });
    }
    offers.sort_by_key(|offer| (offer.failures, offer.party.peer));
    (offers, next_at)
}

/// Begins the copies that peers can fill, as far as there is room.
fn begin_copies(
    world: &World,
    offers: &[Offer],
    copies: &mut BTreeMap<CopyKey, MetadataCopy>,
    now: EngineTime,
) {
    let index = world.resource::<PeerIndex>();
    copies.retain(|key, _| key.only.is_none_or(|peer| index.get(peer).is_some()));
    let mut busy: BTreeSet<CopyKey> = offers
        .iter()
        .filter(|offer| !offer.asked.is_empty())
        .map(|offer| offer.copy)
        .collect();
    for offer in offers {
        if copies.contains_key(&offer.copy) {
            continue;
        }
        match room_for(offer.copy.size, copies, &busy, now) {
            Room::There => {}
            Room::After(going) => {
                for key in going {
                    copies.remove(&key);
                    busy.remove(&key);
                }
            }
            Room::None => continue,
        }
        busy.insert(offer.copy);
        let copy = MetadataCopy::new(offer.copy.size, now);
        copies.insert(offer.copy, copy);
    }
}
