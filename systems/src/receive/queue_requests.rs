//! What peers want of us.

use bevy_ecs::prelude::*;
use bevy_ecs::system::SystemParam;
use dunlin_base::limits::{PEER_REJECTS_MAX, PEER_REQUESTS_IN_MAX, REQUEST_BYTES_MAX};
use dunlin_base::{EngineTime, LOOK, NodeKey, PeerKey, PieceIndex, look_ahead, prefetch};
use dunlin_components::node::{ChokeRound, Rules};
use dunlin_components::peer::{
    AllowedFast, AmChoking, Hello, PeerInterested, PeerOf, PeerTraffic, Remote, RemoteHave,
    Strikes, UploadQueue,
};
use dunlin_components::torrent::{Content, Have, SuperSeeding, Torrent, Traffic};
use dunlin_components::world::{
    NodeIndex, Now, PeerIndex, PortOutbox, RequestFamily, RoutedEvents, Work,
};
use dunlin_port::config::SlotCount;
use dunlin_port::net::NetCommand;
use dunlin_protocol::wire::{BlockRequest, Message};

use crate::ahead::{find, find_peer};
use crate::connect::ALLOWED_FAST_PIECES;

/// What every request needs.
type PeerRow<'a> = (&'a PeerOf, &'a AmChoking, &'a mut UploadQueue);
/// What those of choked peers need.
type ChokedRow<'a> = (&'a Remote, &'a AllowedFast, Option<&'a RemoteHave>);

pub(super) fn queue_requests(
    now: Res<'_, Now>,
    mut index: ResMut<'_, PeerIndex>,
    mut routed: ResMut<'_, RoutedEvents>,
    mut work: ResMut<'_, Work>,
    mut outbox: ResMut<'_, PortOutbox>,
    mut peers: Query<'_, '_, PeerRow<'_>>,
    choked: Query<'_, '_, ChokedRow<'_>>,
    mut interests: Query<'_, '_, (&Remote, &mut PeerInterested)>,
    mut faults: Query<'_, '_, (&Hello, &mut Strikes)>,
    torrents: Query<'_, '_, (&Content, &Have)>,
    mut guests: Guests<'_, '_>,
) {
    let mut requests = routed.requests.drain(..);
    while !requests.as_slice().is_empty() {
        look(requests.as_slice(), &index, &peers, &faults, &torrents);
        for (peer, event) in requests.by_ref().take(LOOK) {
            let Some(entity) = index.hear(peer, now.0) else {
                continue;
            };
            match event {
                RequestFamily::Interested | RequestFamily::NotInterested => {
                    // One that has not shaken hands yet says nothing.
                    if let Ok((remote, mut interested)) = interests.get_mut(entity)
                        && peers.contains(entity)
                        && faults.contains(entity)
                    {
                        interested.0 = matches!(event, RequestFamily::Interested);
                        work.choke.insert((remote.node, peer));
                    }
                }
                RequestFamily::Cancel(request) => {
                    if let Ok((_, _, mut queue)) = peers.get_mut(entity) {
                        queue.cancel(&request);
                    }
                }
                RequestFamily::Request(request) => {
                    let Ok((of, choking, queue)) = peers.get(entity) else {
                        continue;
                    };
                    let Ok((hello, mut strikes)) = faults.get_mut(entity) else {
                        continue;
                    };
                    let Ok((content, have)) = torrents.get(of.0) else {
                        continue;
                    };
                    let theirs = || choked.get(entity).ok();
                    let mut verdict = judge(choking, queue, theirs, content, have, &request);
                    if matches!(verdict, Verdict::ServeGuest)
                        && let Ok((remote, ..)) = choked.get(entity)
                    {
                        let is_served = |guest| is_served(&index, &peers, guest);
                        verdict = guests.admit(remote.node, peer, is_served);
                    }
                    match verdict {
                        Verdict::Serve | Verdict::ServeGuest => {
                            // Requests that cross a choke are honest; only those without end are not.
                            if strikes.rejects > 0 {
                                strikes.rejects = 0;
                            }
                            if let Ok((_, _, mut queue)) = peers.get_mut(entity) {
                                queue.push(request);
                            }
                            work.serve.insert(peer);
                        }
                        Verdict::Reject => {
                            reject(&mut work, &mut outbox, peer, hello, &mut strikes, request);
                        }
                        Verdict::Fault(why) => work.drop.push((peer, why)),
                    }
                }
            }
        }
    }
}

/// Asks for what requests to come will need: the peer's rows, and its torrent's.
fn look(
    rest: &[(PeerKey, RequestFamily)],
    index: &PeerIndex,
    peers: &Query<'_, '_, PeerRow<'_>>,
    faults: &Query<'_, '_, (&Hello, &mut Strikes)>,
    torrents: &Query<'_, '_, (&Content, &Have)>,
) {
    let row = |peer: PeerKey| peers.get(index.get(peer)?).ok();
    let torrent = |peer: PeerKey| torrents.get(row(peer)?.0.0).ok();
    look_ahead(
        rest,
        &[
            &|(peer, _)| index.prefetch(*peer),
            &|(peer, _)| find_peer(index, peers, *peer),
            &|(peer, _)| {
                if let Some((of, choking, queue)) = row(*peer) {
                    prefetch(of);
                    prefetch(choking);
                    prefetch(queue);
                }
                if let Some((hello, strikes)) =
                    index.get(*peer).and_then(|row| faults.get(row).ok())
                {
                    prefetch(hello);
                    prefetch(strikes);
                }
            },
            &|(peer, _)| {
                if let Some((of, _, queue)) = row(*peer) {
                    queue.prefetch();
                    find(torrents, of.0);
                }
            },
            &|(peer, _)| {
                if let Some((content, have)) = torrent(*peer) {
                    prefetch(content);
                    prefetch(have);
                }
            },
            &|(peer, event)| {
                if let RequestFamily::Request(request) = event
                    && let Some((_, have)) = torrent(*peer)
                {
                    have.0.prefetch(PieceIndex(request.piece));
                }
            },
        ],
    );
}

/// Nodes and their guests: choked newcomers that are served allowed-fast pieces beside the slots,
/// one at a time. More would share the line with those who hold slots, a new swarm's seed with all
/// its neighbours: everybody's first piece would come late, and nobody could pass one on. BEP 6
/// lets a sender reject what it lacks the means for.
#[derive(SystemParam)]
pub(super) struct Guests<'w, 's> {
    nodes: Res<'w, NodeIndex>,
    rounds: Query<'w, 's, (&'static Rules, &'static mut ChokeRound)>,
}

impl Guests<'_, '_> {
    fn admit(
        &mut self,
        node: NodeKey,
        peer: PeerKey,
        is_served: impl Fn(PeerKey) -> bool,
    ) -> Verdict {
        let node = self.nodes.0.get(&node);
        let Some((rules, mut round)) = node.and_then(|node| self.rounds.get_mut(*node).ok()) else {
            return Verdict::Reject;
        };
        // Who has no slots gives nothing, not to newcomers either.
        if rules.0.choke.slots == SlotCount::Fixed(0) {
            return Verdict::Reject;
        }
        if round
            .guest
            .is_some_and(|guest| guest != peer && is_served(guest))
        {
            return Verdict::Reject;
        }
        round.guest = Some(peer);
        Verdict::Serve
    }
}

/// Whether something is under way to a peer that is choked.
fn is_served(index: &PeerIndex, peers: &Query<'_, '_, PeerRow<'_>>, peer: PeerKey) -> bool {
    let row = index.get(peer).and_then(|entity| peers.get(entity).ok());
    row.is_some_and(|(_, choking, queue)| choking.0 && !queue.is_idle())
}

enum Verdict {
    Serve,
    /// Serve it if no other guest is served.
    ServeGuest,
    Reject,
    Fault(String),
}

fn judge<'a>(
    choking: &AmChoking,
    queue: &UploadQueue,
    choked: impl Fn() -> Option<(&'a Remote, &'a AllowedFast, Option<&'a RemoteHave>)>,
    content: &Content,
    have: &Have,
    request: &BlockRequest,
) -> Verdict {
    let geometry = content.0.geometry();
    let piece = geometry
        .piece(request.piece)
        .filter(|piece| geometry.contains(*piece, request.begin, request.len));
    let Some(piece) = piece else {
        return Verdict::Fault(format!(
            "asks for {} bytes at {} of piece {}, which are not there",
            request.len, request.begin, request.piece
        ));
    };
    if request.len > REQUEST_BYTES_MAX {
        return Verdict::Fault(format!("asks for {} bytes at once", request.len));
    }
    // BEP 6: who has something to trade by now waits for its turn.
    let is_newcomer = |have: &RemoteHave| have.bits.count() < u32::from(ALLOWED_FAST_PIECES);
    let is_free = |(_, allowed, theirs): (&Remote, &AllowedFast, Option<&RemoteHave>)| {
        theirs.is_none_or(is_newcomer) && allowed.to_it.contains(&piece)
    };
    let free = !choking.0 || choked().is_some_and(is_free);
    // Blocks over 16 KiB do not fit our buffers. BEP 3 lets us refuse them; nobody asks for them.
    let fits = request.len <= dunlin_base::BLOCK_BYTES;
    let has_room = queue.waiting() < PEER_REQUESTS_IN_MAX;
    if !free || !fits || !has_room || !have.0.has(piece) || queue.contains(request) {
        Verdict::Reject
    } else if choking.0 {
        Verdict::ServeGuest
    } else {
        Verdict::Serve
    }
}

/// BEP 6 peers are told; others get nothing, as BEP 3 has no word for it. Who goes on asking
/// though choked is dropped.
fn reject(
    work: &mut Work,
    outbox: &mut PortOutbox,
    peer: PeerKey,
    hello: &Hello,
    strikes: &mut Strikes,
    request: BlockRequest,
) {
    if hello.reserved.fast() {
        outbox.0.net.push(NetCommand::Send {
            peer,
            message: Message::Reject(request),
        });
    }
    strikes.rejects += 1;
    tracing::trace!(%peer, strikes = strikes.rejects, "asks for what it cannot have");
    if strikes.rejects > PEER_REJECTS_MAX + PEER_REQUESTS_IN_MAX as u32 {
        work.drop
            .push((peer, "goes on asking for what it cannot have".to_owned()));
    }
}

/// Payload left for the kernel: it counts as uploaded, and there is room for more.
pub(super) fn note_sent(
    now: Res<'_, Now>,
    index: Res<'_, PeerIndex>,
    mut routed: ResMut<'_, RoutedEvents>,
    mut work: ResMut<'_, Work>,
    mut peers: Query<'_, '_, (&PeerOf, &mut UploadQueue, &mut PeerTraffic)>,
    mut torrents: Query<'_, '_, (&Torrent, &mut Traffic, Has<SuperSeeding>)>,
) {
    let mut sent = routed.sent.drain(..);
    while !sent.as_slice().is_empty() {
        let row = |peer: PeerKey| peers.get(index.get(peer)?).ok();
        look_ahead(
            sent.as_slice(),
            &[
                &|(peer, _)| index.prefetch(*peer),
                &|(peer, _)| find_peer(&index, &peers, *peer),
                &|(peer, _)| {
                    if let Some((of, queue, traffic)) = row(*peer) {
                        prefetch(of);
                        prefetch(queue);
                        prefetch(&traffic.up);
                    }
                },
                &|(peer, _)| {
                    if let Some((of, ..)) = row(*peer) {
                        find(&torrents, of.0);
                    }
                },
                &|(peer, _)| {
                    if let Some((torrent, traffic, _)) =
                        row(*peer).and_then(|row| torrents.get(row.0.0).ok())
                    {
                        prefetch(torrent);
                        prefetch(&traffic.up);
                    }
                },
            ],
        );
        for (peer, bytes) in sent.by_ref().take(LOOK) {
            let Some((of, mut queue, mut traffic)) = index
                .get(peer)
                .and_then(|entity| peers.get_mut(entity).ok())
            else {
                continue;
            };
            let bytes = u64::from(bytes);
            assert!(
                queue.unsent_bytes >= bytes,
                "only what was handed over leaves"
            );
            queue.unsent_bytes -= bytes;
            credit(now.0, &mut traffic, bytes);
            if let Ok((torrent, mut traffic, shows)) = torrents.get_mut(of.0) {
                traffic.up.add(now.0, bytes);
                if shows {
                    work.show.insert(torrent.0);
                }
            }
            work.serve.insert(peer);
        }
    }
}

fn credit(now: EngineTime, traffic: &mut PeerTraffic, bytes: u64) {
    traffic.up.add(now, bytes);
    traffic.spoke_at = now;
}
