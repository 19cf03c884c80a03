//! Sorts the network's and the disk's events by the family of systems that reads them.

use bevy_ecs::prelude::*;
use dunlin_base::PeerKey;
use dunlin_base::limits::INGEST_EVENTS_PER_TICK_MAX;
use dunlin_components::world::{
    ChokeFamily, ExtensionFamily, HaveFamily, Now, PeerIndex, PortInbox, RequestFamily,
    RoutedEvents, Wake,
};
use dunlin_port::disk::DiskEvent;
use dunlin_port::net::NetEvent;
use dunlin_protocol::wire::Message;

pub(super) fn route_events(
    now: Res<'_, Now>,
    mut index: ResMut<'_, PeerIndex>,
    mut inbox: ResMut<'_, PortInbox>,
    mut routed: ResMut<'_, RoutedEvents>,
    mut wake: ResMut<'_, Wake>,
) {
    let count = inbox.0.net.len().min(INGEST_EVENTS_PER_TICK_MAX);
    for event in inbox.0.net.drain(..count) {
        // Who reads a message notes that its sender was heard, since he looks for its row anyway.
        if let NetEvent::Message { peer, message } = &event
            && !is_read(message)
        {
            index.hear(*peer, now.0);
        }
        route_net(&mut routed, event);
    }
    if !inbox.0.net.is_empty() {
        wake.by(now.0);
    }
    let inbox = &mut inbox.0;
    for event in inbox.disk.drain(..) {
        match event {
            DiskEvent::Written { .. } | DiskEvent::WriteFailed { .. } => routed.writes.push(event),
            DiskEvent::Spilled { .. }
            | DiskEvent::SpillFailed { .. }
            | DiskEvent::HashFailed { .. } => routed.spills.push(event),
            DiskEvent::Hashed(verdict) => inbox.hash.push_back(verdict),
            DiskEvent::Read { .. } => routed.reads.push(event),
            DiskEvent::Checking { .. }
            | DiskEvent::Opened { .. }
            | DiskEvent::Committed { .. }
            | DiskEvent::Moved { .. }
            | DiskEvent::ClosedFiles { .. }
            | DiskEvent::Failed { .. } => routed.files.push(event),
        }
    }
}

fn route_net(routed: &mut RoutedEvents, event: NetEvent) {
    match event {
        NetEvent::Connected { .. } | NetEvent::Accepted { .. } | NetEvent::Handshake { .. } => {
            routed.connections.push(event);
        }
        NetEvent::Block {
            peer,
            piece,
            begin,
            payload,
        } => {
            routed.chokes.push((
                peer,
                ChokeFamily::Block {
                    piece,
                    begin,
                    payload,
                },
            ));
        }
        NetEvent::Message { peer, message } => route_message(routed, peer, message),
        NetEvent::Sent { peer, bytes } => routed.sent.push((peer, bytes)),
        NetEvent::Closed { peer, reason } => routed.closed.push((peer, reason)),
    }
}

/// Whether anything follows from a message. A suggestion (BEP 6) is a hint that our own order outweighs;
/// the DHT port (BEP 5) has no reader in this engine; keep-alives and unknown messages only show that the
/// peer lives.
const fn is_read(message: &Message) -> bool {
    !matches!(
        message,
        Message::SuggestPiece(_) | Message::Port(_) | Message::KeepAlive | Message::Unknown(_)
    )
}

fn route_message(routed: &mut RoutedEvents, peer: PeerKey, message: Message) {
    match message {
        Message::Choke => routed.chokes.push((peer, ChokeFamily::Choke)),
        Message::Unchoke => routed.chokes.push((peer, ChokeFamily::Unchoke)),
        Message::Reject(block) => routed.chokes.push((peer, ChokeFamily::Reject(block))),
        Message::AllowedFast(piece) => routed.chokes.push((peer, ChokeFamily::AllowedFast(piece))),
        Message::Interested => routed.requests.push((peer, RequestFamily::Interested)),
        Message::NotInterested => routed.requests.push((peer, RequestFamily::NotInterested)),
        Message::Request(block) => routed.requests.push((peer, RequestFamily::Request(block))),
        Message::Cancel(block) => routed.requests.push((peer, RequestFamily::Cancel(block))),
        Message::Have(piece) => routed.haves.push((peer, HaveFamily::Have(piece))),
        Message::Bitfield(bits) => routed.haves.push((peer, HaveFamily::Bitfield(bits))),
        Message::HaveAll => routed.haves.push((peer, HaveFamily::HaveAll)),
        Message::HaveNone => routed.haves.push((peer, HaveFamily::HaveNone)),
        Message::Extended { id, payload } => {
            routed
                .extensions
                .push((peer, ExtensionFamily { id, payload }));
        }
        // See `is_read`.
        Message::SuggestPiece(_) | Message::Port(_) | Message::KeepAlive | Message::Unknown(_) => {}
    }
}
