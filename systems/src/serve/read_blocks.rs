//! Which requests to read from disk now.

use bevy_ecs::prelude::*;
use dunlin_base::{BLOCK_BYTES, EngineTime, PeerKey, TokenBucket, groups, look_ahead, prefetch};
use dunlin_components::node::{NodeBuckets, Rules};
use dunlin_components::peer::{Bargain, PeerBuckets, PeerOf, PeerTraffic, UploadQueue};
use dunlin_components::torrent::{Lifecycle, NodeOf, Torrent, TorrentBuckets};
use dunlin_components::world::{Now, PeerIndex, PortOutbox, Wake, Work};
use dunlin_port::config::LeechChoke;
use dunlin_port::disk::DiskCommand;

use crate::ahead::find_peer;

/// Most payload bytes between disk and kernel for one peer: enough for a fast link's round trip,
/// little enough that 500 peers do not take all memory.
const IN_FLIGHT_BYTES_MAX: u64 = 1024 * 1024;

/// Fewest: one block leaves while the next is read.
const IN_FLIGHT_BYTES_MIN: u64 = 2 * BLOCK_BYTES as u64;

/// Payload bytes to keep between disk and kernel: a second's worth at the present rate. Messages
/// wait behind them, our own requests too, so on a slow line more would only be in their way
/// (libtorrent's `send_buffer_watermark_factor`).
pub(super) fn in_flight_max(rate_bytes_per_sec: u64) -> u64 {
    rate_bytes_per_sec.clamp(IN_FLIGHT_BYTES_MIN, IN_FLIGHT_BYTES_MAX)
}

type PeerRow<'a> = (
    &'a PeerOf,
    &'a PeerTraffic,
    &'a mut UploadQueue,
    Option<&'a mut PeerBuckets>,
    Option<&'a mut Bargain>,
);
type TorrentRow<'a> = (
    &'a Torrent,
    &'a NodeOf,
    &'a Lifecycle,
    &'a mut TorrentBuckets,
);

pub(super) fn read_blocks(
    now: Res<'_, Now>,
    index: Res<'_, PeerIndex>,
    mut work: ResMut<'_, Work>,
    mut wake: ResMut<'_, Wake>,
    mut outbox: ResMut<'_, PortOutbox>,
    mut peers: Query<'_, '_, PeerRow<'_>>,
    mut torrents: Query<'_, '_, TorrentRow<'_>>,
    mut nodes: Query<'_, '_, (&Rules, &mut NodeBuckets)>,
) {
    // Those first that were served longest ago: what is left of a limit goes round.
    let turn = |peer: PeerKey| {
        let entity = index.get(peer)?;
        let (_, traffic, queue, ..) = peers.get(entity).ok()?;
        if queue.waiting() == 0 {
            return None;
        }
        // Half a window at a time: one block for each that left would be a read, a wake-up and a tick
        // for each block. What is in flight still comes back as it leaves.
        let in_flight_max = in_flight_max(traffic.up.bytes_per_sec(now.0));
        let due = queue.in_flight_bytes() <= in_flight_max / 2;
        due.then_some((queue.served_at, peer, entity, in_flight_max))
    };
    let due = work.serve.take();
    let mut turns = Vec::with_capacity(due.len());
    for (rest, group) in groups(&due) {
        look(rest, &index, &peers);
        turns.extend(group.iter().copied().filter_map(turn));
    }
    turns.sort_unstable_by_key(|&(served_at, peer, ..)| (served_at, peer));
    for (_, peer, entity, in_flight_max) in turns {
        let Ok((of, _, mut queue, mut own, bargain)) = peers.get_mut(entity) else {
            continue;
        };
        let Ok((torrent, node, lifecycle, mut buckets)) = torrents.get_mut(of.0) else {
            continue;
        };
        let Ok((rules, mut node_buckets)) = nodes.get_mut(node.0) else {
            continue;
        };
        // Only as long as there is something to buy; most peers have no bargain, and nothing is looked at.
        let mut bargain = bargain.filter(|_| {
            rules.0.choke.leech == LeechChoke::BitTyrant && *lifecycle == Lifecycle::Downloading
        });
        let mut blocks = Vec::new();
        let mut in_flight = queue.in_flight_bytes();
        while in_flight < in_flight_max
            && let Some(request) = queue.first()
        {
            let own = own.as_mut().map(|own| &mut own.up);
            let ration = bargain.as_mut().map(|bargain| &mut bargain.ration);
            let all = [Some(&mut node_buckets.up), buckets.up(), own, ration];
            if let Err(until) = take(now.0, u64::from(request.len), all) {
                work.throttled.insert((until, peer));
                wake.by(until);
                break;
            }
            queue.read_first(now.0);
            in_flight += u64::from(request.len);
            blocks.push(request);
        }
        if !blocks.is_empty() {
            outbox.0.disk.push(DiskCommand::Read {
                torrent: torrent.0,
                peer,
                blocks,
            });
        }
    }
}

/// Asks for what it takes to see whether something is due to peers to come.
fn look(rest: &[PeerKey], index: &PeerIndex, peers: &Query<'_, '_, PeerRow<'_>>) {
    let row = |peer: &PeerKey| peers.get(index.get(*peer)?).ok();
    look_ahead(
        rest,
        &[
            &|peer| index.prefetch(*peer),
            &|peer| find_peer(index, peers, *peer),
            &|peer| {
                if let Some((of, traffic, queue, ..)) = row(peer) {
                    prefetch(of);
                    prefetch(&traffic.up);
                    prefetch(queue);
                }
            },
            &|peer| {
                if let Some((_, _, queue, ..)) = row(peer) {
                    queue.prefetch();
                }
            },
        ],
    );
}

/// Takes `bytes` of all buckets, or of none and says when all may have them.
fn take(
    now: EngineTime,
    bytes: u64,
    mut buckets: [Option<&mut TokenBucket>; 4],
) -> Result<(), EngineTime> {
    let lacking = buckets
        .iter_mut()
        .flatten()
        .filter_map(|bucket| (bucket.available(now) < bytes).then(|| bucket.available_at(bytes)));
    if let Some(until) = lacking.max() {
        return Err(until);
    }
    buckets
        .into_iter()
        .flatten()
        .for_each(|bucket| bucket.take(bytes));
    Ok(())
}
