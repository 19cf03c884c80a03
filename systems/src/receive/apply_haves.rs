//! What peers have.

use bevy_ecs::prelude::*;
use dunlin_base::{Bitfield, LOOK, PeerKey, PieceIndex, look_ahead, prefetch};
use dunlin_components::node::Luck;
use dunlin_components::peer::{
    AllowedFast, AmInterested, EarlyHaves, PeerChoking, PeerOf, RemoteHave,
};
use dunlin_components::torrent::{
    Availability, Have, NodeOf, PickOrder, SuperSeeding, Torrent, Wanted,
};
use dunlin_components::world::{HaveFamily, Now, PeerIndex, RoutedEvents, Work};

use crate::ahead::{find, find_peer};

const TOO_EARLY: &str = "told too much, too early, of its pieces";

type PeerRow<'a> = (
    &'a PeerOf,
    &'a mut RemoteHave,
    &'a AmInterested,
    &'a PeerChoking,
    &'a AllowedFast,
);
type TorrentRow<'a> = (
    &'a NodeOf,
    &'a Have,
    &'a Wanted,
    Option<&'a mut Availability>,
    Option<&'a mut PickOrder>,
    Option<&'a mut SuperSeeding>,
);

/// Most messages are single haves of pieces that nothing follows from: what only others need is asked
/// for when they come.
pub(super) fn apply_haves(
    now: Res<'_, Now>,
    mut index: ResMut<'_, PeerIndex>,
    mut routed: ResMut<'_, RoutedEvents>,
    mut work: ResMut<'_, Work>,
    mut peers: Query<'_, '_, PeerRow<'_>>,
    mut early: Query<'_, '_, &mut EarlyHaves>,
    mut torrents: Query<'_, '_, TorrentRow<'_>>,
    keys: Query<'_, '_, &Torrent>,
    mut nodes: Query<'_, '_, &'static mut Luck>,
) {
    let mut haves = routed.haves.drain(..);
    while !haves.as_slice().is_empty() {
        look(haves.as_slice(), &index, &peers, &torrents);
        for (peer, event) in haves.by_ref().take(LOOK) {
            let Some(entity) = index.hear(peer, now.0) else {
                continue;
            };
            let Ok((of, mut remote, interested, choking, allowed)) = peers.get_mut(entity) else {
                continue;
            };
            let Ok((node, have, wanted, availability, order, shows)) = torrents.get_mut(of.0)
            else {
                // The number of pieces is not known yet.
                let early = early.get_mut(entity);
                if early.is_ok_and(|mut early| !early.keep(event)) {
                    fault(&mut work, peer, TOO_EARLY.into());
                }
                continue;
            };
            if shows.is_some()
                && let Ok(torrent) = keys.get(of.0)
            {
                work.show.insert(torrent.0);
            }
            let counted = Counted {
                availability,
                order,
                node,
                nodes: &mut nodes,
            };
            let change = apply(&mut remote, event, counted);
            if let Some(mut seeding) = shows {
                match change {
                    Ok(Change::One(piece)) => seeding.arrived(peer, piece),
                    Ok(Change::Many) => seeding.arrived_all(peer, &remote.bits),
                    Ok(Change::Nothing) | Err(_) => {}
                }
            }
            match change {
                Ok(Change::Nothing) => {}
                Ok(Change::One(piece)) => {
                    // Most haves come from peers of whom we want something already and who choke us: then
                    // nothing follows.
                    let settled = interested.0 && choking.0 && allowed.to_us.is_empty();
                    let full = remote.bits.is_full();
                    if settled && !full {
                        continue;
                    }
                    if wanted.0.has(piece) && !have.0.has(piece) {
                        if !interested.0 {
                            work.interest.insert(peer);
                        }
                        if !choking.0 || allowed.gives(&remote.bits, &have.0) {
                            work.pick.insert(peer);
                        }
                    } else if full {
                        work.interest.insert(peer);
                    }
                }
                Ok(Change::Many) => {
                    work.interest.insert(peer);
                    work.pick.insert(peer);
                }
                Err(why) => fault(&mut work, peer, why),
            }
        }
    }
}

/// Asks for what haves to come will need: the peer's row and bit, then the count of the piece.
fn look(
    rest: &[(PeerKey, HaveFamily)],
    index: &PeerIndex,
    peers: &Query<'_, '_, PeerRow<'_>>,
    torrents: &Query<'_, '_, TorrentRow<'_>>,
) {
    let peer = |peer: PeerKey| peers.get(index.get(peer)?).ok();
    let copies = |key: PeerKey| {
        let (.., availability, _, _) = torrents.get(peer(key)?.0.0).ok()?;
        availability
    };
    look_ahead(
        rest,
        &[
            &|(key, _)| index.prefetch(*key),
            &|(key, _)| find_peer(index, peers, *key),
            &|(key, _)| {
                if let Some((of, remote, interested, choking, allowed)) = peer(*key) {
                    prefetch(of);
                    prefetch(remote);
                    prefetch(interested);
                    prefetch(choking);
                    prefetch(allowed);
                }
            },
            &|(key, event)| {
                if let Some((of, remote, ..)) = peer(*key) {
                    find(torrents, of.0);
                    if let HaveFamily::Have(piece) = event {
                        remote.bits.prefetch(PieceIndex(*piece));
                    }
                }
            },
            &|(key, _)| copies(*key).into_iter().for_each(prefetch),
            &|(key, event)| {
                if let HaveFamily::Have(piece) = event
                    && let Some(availability) = copies(*key)
                {
                    availability.prefetch(PieceIndex(*piece));
                }
            },
        ],
    );
}

fn fault(work: &mut Work, peer: PeerKey, why: String) {
    work.drop.push((peer, why));
}

/// What counts copies; absent while the torrent wants nothing.
struct Counted<'a, 'w, 's> {
    availability: Option<Mut<'a, Availability>>,
    order: Option<Mut<'a, PickOrder>>,
    node: &'a NodeOf,
    nodes: &'a mut Query<'w, 's, &'static mut Luck>,
}

impl Counted<'_, '_, '_> {
    /// One copy more. The order follows when it is asked, or when many wait.
    fn add(&mut self, piece: PieceIndex) {
        let Some(availability) = &mut self.availability else {
            return;
        };
        availability.add(piece);
        if let Some(order) = &mut self.order
            && availability.note_unranked(piece)
            && let Ok(mut luck) = self.nodes.get_mut(self.node.0)
        {
            order.follow(availability, &mut luck.pick);
        }
    }

    /// A peer that was counted by pieces has everything now.
    fn promote(&mut self, had: &Bitfield) {
        let Some(availability) = &mut self.availability else {
            return;
        };
        availability.promote(had);
        if let Some(order) = &mut self.order
            && let Ok(mut luck) = self.nodes.get_mut(self.node.0)
        {
            for piece in had.iter() {
                order.set_copies(piece, availability.partial(piece), &mut luck.pick);
            }
        }
    }
}

enum Change {
    Nothing,
    One(PieceIndex),
    Many,
}

/// BEP 3 and 6: the first word on what a peer has may be a bitfield, have-all or have-none; `have`
/// may come any time. Some clients (aria2) send many haves as one more bitfield, so a later one
/// adds what is new in it; nothing but `lt_donthave` takes a piece away.
fn apply(
    remote: &mut RemoteHave,
    event: HaveFamily,
    mut counted: Counted<'_, '_, '_>,
) -> Result<Change, String> {
    let len = remote.bits.len();
    let bits = match event {
        HaveFamily::Have(index) => {
            if index >= len {
                return Err(format!("says that it has piece {index} of {len}"));
            }
            remote.told = true;
            return Ok(have_one(remote, PieceIndex(index), &mut counted));
        }
        HaveFamily::Bitfield(bytes) => {
            Bitfield::from_wire(&bytes, len).map_err(|error| error.to_string())?
        }
        HaveFamily::HaveAll => Bitfield::full(len),
        HaveFamily::HaveNone => Bitfield::empty(len),
    };
    if remote.told {
        if bits.count() < remote.bits.count() {
            return Err("says that it has less than before".to_owned());
        }
        for piece in bits.iter() {
            have_one(remote, piece, &mut counted);
        }
        return Ok(Change::Many);
    }
    remote.told = true;
    if bits.is_full() {
        counted.promote(&Bitfield::empty(len));
        remote.counted_as_seed = counted.availability.is_some();
    } else {
        bits.iter().for_each(|piece| counted.add(piece));
    }
    remote.bits = bits;
    Ok(Change::Many)
}

fn have_one(
    remote: &mut RemoteHave,
    piece: PieceIndex,
    counted: &mut Counted<'_, '_, '_>,
) -> Change {
    if remote.bits.has(piece) {
        return Change::Nothing;
    }
    if remote.bits.count() + 1 == remote.bits.len() && counted.availability.is_some() {
        counted.promote(&remote.bits);
        remote.counted_as_seed = true;
    } else {
        counted.add(piece);
    }
    remote.bits.set(piece);
    Change::One(piece)
}
