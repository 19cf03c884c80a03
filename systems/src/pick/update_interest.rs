//! Whether a peer has what we want.

use bevy_ecs::prelude::*;
use dunlin_base::{PeerKey, PieceIndex, groups, look_ahead, prefetch};
use dunlin_components::peer::{AmInterested, Extensions, PeerOf, RemoteHave};
use dunlin_components::torrent::{Have, Lifecycle, Wanted};
use dunlin_components::world::{PeerIndex, Work};

use crate::connect::{Drop, drop_peer};

type PeerRow<'a> = (
    &'a PeerOf,
    &'a RemoteHave,
    &'a Extensions,
    &'a mut AmInterested,
);
type TorrentRow<'a> = (&'a Lifecycle, &'a Have, &'a Wanted);

pub(super) fn update_interest(
    world: &mut World,
    peers: &mut QueryState<PeerRow<'static>>,
    torrents: &mut QueryState<TorrentRow<'static>>,
) {
    let due = world.resource_mut::<Work>().interest.take();
    if due.is_empty() {
        return;
    }
    let mut redundant = Vec::new();
    let mut changed = Vec::new();
    for (rest, group) in groups(&due) {
        look(rest, world, peers, torrents);
        for &peer in group {
            let Some(entity) = world.resource::<PeerIndex>().get(peer) else {
                continue;
            };
            let Ok((of, remote, extensions, _)) = peers.get(world, entity) else {
                continue;
            };
            let Ok((lifecycle, have, wanted)) = torrents.get(world, of.0) else {
                continue;
            };
            let complete = *lifecycle == Lifecycle::Seeding;
            // BEP 21: two ends that both take nothing more have nothing to say to each other.
            if complete && (remote.bits.is_full() || extensions.upload_only) && remote.told {
                redundant.push(peer);
                continue;
            }
            let interested = !complete && wants_any(remote, have, wanted);
            let Ok((.., mut row)) = peers.get_mut(world, entity) else {
                continue;
            };
            if row.set_if_neq(AmInterested(interested)) {
                changed.push(peer);
            }
        }
    }
    let mut work = world.resource_mut::<Work>();
    work.pick.extend(changed.iter().copied());
    work.flags.extend(changed);
    for peer in redundant {
        drop_peer(world, peer, Drop::useless("both ends are complete"));
    }
}

/// Asks for what peers to come will need: their rows and bits, and their torrents'.
fn look(
    rest: &[PeerKey],
    world: &World,
    peers: &QueryState<PeerRow<'static>>,
    torrents: &QueryState<TorrentRow<'static>>,
) {
    let index = world.resource::<PeerIndex>();
    let peer = |peer: &PeerKey| peers.get_manual(world, index.get(*peer)?).ok();
    let torrent = |key: &PeerKey| torrents.get_manual(world, peer(key)?.0.0).ok();
    let find = |row| _ = core::hint::black_box(world.entities().get(row));
    look_ahead(
        rest,
        &[
            &|peer| index.prefetch(*peer),
            &|peer| index.get(*peer).into_iter().for_each(find),
            &|key| {
                if let Some((of, remote, extensions, interested)) = peer(key) {
                    prefetch(of);
                    prefetch(remote);
                    prefetch(extensions);
                    prefetch(interested);
                }
            },
            &|key| {
                if let Some((of, remote, ..)) = peer(key) {
                    find(of.0);
                    remote.bits.prefetch(PieceIndex(0));
                }
            },
            &|key| {
                if let Some((lifecycle, have, wanted)) = torrent(key) {
                    prefetch(lifecycle);
                    prefetch(have);
                    prefetch(wanted);
                }
            },
            &|key| {
                if let Some((_, have, wanted)) = torrent(key) {
                    have.0.prefetch(PieceIndex(0));
                    wanted.0.prefetch(PieceIndex(0));
                }
            },
        ],
    );
}

fn wants_any(remote: &RemoteHave, have: &Have, wanted: &Wanted) -> bool {
    remote.bits.shares_any_not_in(&wanted.0, &have.0)
}
