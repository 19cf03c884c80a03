//! The log of what peers said in a tick and of what the tick decided to say: one place for all
//! messages, so that no rule has to log what it sends.
//!
//! DEBUG is an event of a peer's or torrent's life, TRACE a message or block. Nothing is read before
//! somebody wants the line, and nothing is ever written: a log changes no decision.

use core::fmt;
use std::net::SocketAddr;

use bevy_ecs::prelude::*;
use dunlin_base::{PeerKey, TorrentKey};
use dunlin_components::peer::{PeerOf, Remote};
use dunlin_components::torrent::{Lifecycle, SwarmHash, Torrent};
use dunlin_components::world::{
    ChokeFamily, HaveFamily, PeerIndex, PortOutbox, RequestFamily, RoutedEvents,
};
use dunlin_port::net::NetCommand;
use dunlin_port::snapshot::SessionEvent;
use dunlin_port::tracker::{AnnounceReply, TrackerCommand, TrackerError};
use dunlin_protocol::wire::Message;
use tracing::Level;
use tracing::field::{DisplayValue, display};

/// Where a peer is, for a line that has its row and no more.
pub(crate) fn addr_of(world: &World, peer: Entity) -> Option<DisplayValue<SocketAddr>> {
    world.get::<Remote>(peer).map(|remote| display(remote.addr))
}

/// Whom a line is about. A peer that went in this tick is known by its key alone.
struct Who {
    torrent: Option<u32>,
    peer: PeerKey,
    addr: Option<SocketAddr>,
}

impl Who {
    fn find(world: &World, peer: PeerKey) -> Self {
        let row = world.resource::<PeerIndex>().get(peer);
        let torrent = row
            .and_then(|row| world.get::<PeerOf>(row))
            .and_then(|of| world.get::<Torrent>(of.0));
        Self {
            torrent: torrent.map(|torrent| torrent.0.0),
            peer,
            addr: row
                .and_then(|row| world.get::<Remote>(row))
                .map(|remote| remote.addr),
        }
    }
}

macro_rules! tell {
    ($level:ident, $who:ident, $($rest:tt)*) => {
        tracing::$level!(
            torrent = $who.torrent,
            peer = %$who.peer,
            addr = $who.addr.map(display),
            $($rest)*
        )
    };
}

/// What peers said, in the order in which Receive takes it up: first in Receive, when those that came
/// in this tick have their rows.
pub(crate) fn log_received(world: &World) {
    if !tracing::enabled!(Level::DEBUG) {
        return;
    }
    let routed = world.resource::<RoutedEvents>();
    for (peer, event) in &routed.extensions {
        let who = Who::find(world, *peer);
        tell!(
            trace,
            who,
            id = event.id,
            bytes = event.payload.len(),
            "received extended"
        );
    }
    for (peer, event) in &routed.haves {
        received_have(&Who::find(world, *peer), event);
    }
    for (peer, event) in &routed.chokes {
        received_answer(&Who::find(world, *peer), event);
    }
    for (peer, event) in &routed.requests {
        received_request(&Who::find(world, *peer), event);
    }
    for (peer, bytes) in &routed.sent {
        let who = Who::find(world, *peer);
        tell!(trace, who, bytes, "block payload left");
    }
}

fn received_have(who: &Who, event: &HaveFamily) {
    match event {
        HaveFamily::Have(piece) => tell!(trace, who, piece, "received have"),
        HaveFamily::Bitfield(bits) => {
            tell!(trace, who, bytes = bits.len(), "received bitfield");
        }
        HaveFamily::HaveAll => tell!(trace, who, "received have all"),
        HaveFamily::HaveNone => tell!(trace, who, "received have none"),
    }
}

fn received_answer(who: &Who, event: &ChokeFamily) {
    match event {
        ChokeFamily::Choke => tell!(debug, who, "received choke"),
        ChokeFamily::Unchoke => tell!(debug, who, "received unchoke"),
        ChokeFamily::Reject(block) => tell!(
            trace,
            who,
            piece = block.piece,
            begin = block.begin,
            bytes = block.len,
            "received reject"
        ),
        ChokeFamily::AllowedFast(piece) => tell!(trace, who, piece, "received allowed fast"),
        ChokeFamily::Block {
            piece,
            begin,
            payload,
        } => tell!(
            trace,
            who,
            piece,
            begin,
            bytes = payload.len(),
            "received block"
        ),
    }
}

fn received_request(who: &Who, event: &RequestFamily) {
    match event {
        RequestFamily::Interested => tell!(debug, who, "received interested"),
        RequestFamily::NotInterested => tell!(debug, who, "received not interested"),
        RequestFamily::Request(block) => tell!(
            trace,
            who,
            piece = block.piece,
            begin = block.begin,
            bytes = block.len,
            "received request"
        ),
        RequestFamily::Cancel(block) => tell!(
            trace,
            who,
            piece = block.piece,
            begin = block.begin,
            bytes = block.len,
            "received cancel"
        ),
    }
}

/// How much of the outbox was there before a tick: whoever empties it may leave that for later.
#[derive(Clone, Copy)]
pub(crate) struct Told {
    net: usize,
    tracker: usize,
    session: usize,
}

impl Told {
    pub(crate) fn until_now(world: &World) -> Self {
        let outbox = &world.resource::<PortOutbox>().0;
        Self {
            net: outbox.net.len(),
            tracker: outbox.tracker.len(),
            session: outbox.session.len(),
        }
    }
}

/// What a tick decided: the end of the tick, before its changes are forgotten.
pub(crate) fn log_decided(world: &mut World, told: Told) {
    if !tracing::enabled!(Level::DEBUG) {
        return;
    }
    let outbox = &world.resource::<PortOutbox>().0;
    for command in outbox.net.iter().skip(told.net) {
        decided_net(world, command);
    }
    for command in outbox.tracker.iter().skip(told.tracker) {
        decided_tracker(command);
    }
    for event in outbox.session.iter().skip(told.session) {
        happened(event);
    }
    log_states(world);
}

fn decided_net(world: &World, command: &NetCommand) {
    match command {
        NetCommand::Connect { peer, .. } => {
            let who = Who::find(world, *peer);
            tell!(debug, who, "connecting");
        }
        NetCommand::Handshake { peer, handshake } => {
            let who = Who::find(world, *peer);
            tell!(debug, who, info_hash = %handshake.info_hash, "sent handshake");
        }
        NetCommand::Send { peer, message } => sent(&Who::find(world, *peer), message),
        NetCommand::SendBlock {
            peer,
            piece,
            begin,
            payload,
        } => {
            let who = Who::find(world, *peer);
            tell!(
                trace,
                who,
                piece = piece.0,
                begin,
                bytes = payload.len(),
                "sent block"
            );
        }
        // Who closes a connection says why.
        NetCommand::Close { .. } => {}
    }
}

fn sent(who: &Who, message: &Message) {
    match message {
        Message::Choke => tell!(debug, who, "sent choke"),
        Message::Unchoke => tell!(debug, who, "sent unchoke"),
        Message::Interested => tell!(debug, who, "sent interested"),
        Message::NotInterested => tell!(debug, who, "sent not interested"),
        Message::KeepAlive => tell!(trace, who, "sent keep-alive"),
        Message::Have(piece) => tell!(trace, who, piece, "sent have"),
        Message::Bitfield(bits) => tell!(trace, who, bytes = bits.len(), "sent bitfield"),
        Message::HaveAll => tell!(trace, who, "sent have all"),
        Message::HaveNone => tell!(trace, who, "sent have none"),
        Message::AllowedFast(piece) => tell!(trace, who, piece, "sent allowed fast"),
        Message::Extended { id: 0, .. } => tell!(debug, who, "sent extension handshake"),
        Message::Extended { id, payload } => {
            tell!(trace, who, id, bytes = payload.len(), "sent extended");
        }
        Message::Request(block) => tell!(
            trace,
            who,
            piece = block.piece,
            begin = block.begin,
            bytes = block.len,
            "sent request"
        ),
        Message::Cancel(block) => tell!(
            trace,
            who,
            piece = block.piece,
            begin = block.begin,
            bytes = block.len,
            "sent cancel"
        ),
        Message::Reject(block) => tell!(
            trace,
            who,
            piece = block.piece,
            begin = block.begin,
            bytes = block.len,
            "sent reject"
        ),
        // Never sent.
        Message::Port(_) | Message::SuggestPiece(_) | Message::Unknown(_) => {}
    }
}

fn decided_tracker(command: &TrackerCommand) {
    match command {
        TrackerCommand::Announce {
            torrent,
            url,
            request,
            ..
        } => tracing::debug!(
            torrent = torrent.0,
            tracker = %Place(url),
            event = ?request.event,
            port = request.port,
            left = request.left,
            downloaded = request.downloaded,
            uploaded = request.uploaded,
            numwant = request.numwant,
            "announce sent"
        ),
        TrackerCommand::Scrape { torrent, url, .. } => {
            tracing::debug!(torrent = torrent.0, tracker = %Place(url), "scrape sent");
        }
    }
}

/// What a tracker answered to an announce.
pub(crate) fn log_announced(
    torrent: TorrentKey,
    url: &str,
    result: &Result<AnnounceReply, TrackerError>,
) {
    match result {
        Ok(reply) => tracing::debug!(
            torrent = torrent.0,
            tracker = %Place(url),
            peers = reply.peers.len(),
            seeders = reply.seeders,
            leechers = reply.leechers,
            interval_secs = reply.interval_secs,
            warning = reply.warning.as_ref().map(tracing::field::debug),
            "announce answered"
        ),
        // The tracker's own words may be anything: they are quoted.
        Err(error) => tracing::debug!(
            torrent = torrent.0,
            tracker = %Place(url),
            error = ?error.to_string(),
            "announce failed"
        ),
    }
}

/// Where a tracker is. What else is in its URL may be a password or passkey.
struct Place<'a>(&'a str);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", self.0));
        let end = rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len());
        let authority = &rest[..end];
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        write!(f, "{scheme}://{host}")
    }
}

fn happened(event: &SessionEvent) {
    match event {
        SessionEvent::MetadataCame { torrent, info } => {
            let pieces = info.geometry().piece_count();
            tracing::debug!(torrent = torrent.0, pieces, "metadata is whole");
        }
        SessionEvent::Opened {
            torrent,
            have_pieces,
            checked_pieces,
        } => tracing::debug!(
            torrent = torrent.0,
            have_pieces,
            checked_pieces,
            "files opened"
        ),
        SessionEvent::PieceDone { torrent, piece } => {
            tracing::debug!(torrent = torrent.0, piece, "piece written");
        }
        SessionEvent::Completed { torrent } => {
            tracing::debug!(torrent = torrent.0, "complete and committed");
        }
        SessionEvent::HashFailed { torrent, piece } => {
            tracing::debug!(torrent = torrent.0, piece, "piece failed its hash");
        }
        SessionEvent::PeerBanned {
            torrent,
            addr,
            reason,
        } => tracing::debug!(torrent = torrent.0, %addr, why = %reason, "peer banned"),
        SessionEvent::TorrentStopped {
            torrent, reason, ..
        } => {
            tracing::debug!(torrent = torrent.0, why = %reason, "torrent stopped");
        }
        SessionEvent::TorrentRecovered { torrent } => {
            tracing::debug!(torrent = torrent.0, "torrent recovered");
        }
        SessionEvent::Moved {
            torrent,
            root,
            error,
        } => tracing::debug!(torrent = torrent.0, root = ?root, error = ?error, "files moved"),
        SessionEvent::Removed { torrent } => {
            tracing::debug!(torrent = torrent.0, "torrent removed");
        }
        SessionEvent::Stopped => tracing::debug!("everything is committed and quiet"),
        // Told with its counts when it came.
        SessionEvent::TrackerReplied { .. } | SessionEvent::TrackerFailed { .. } => {}
    }
}

/// The torrents that do something else than before this tick.
fn log_states(world: &mut World) {
    let mut changed =
        world.query_filtered::<(&Torrent, &SwarmHash, &Lifecycle), Changed<Lifecycle>>();
    for (torrent, hash, lifecycle) in changed.iter(world) {
        match lifecycle {
            Lifecycle::Opening { done, of, .. } if *done > 0 => {
                tracing::trace!(torrent = torrent.0.0, done, of, "checking");
            }
            _ => tracing::debug!(
                torrent = torrent.0.0,
                info_hash = %hash.0,
                state = ?lifecycle,
                "torrent state"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_tracker_urls_are_not_logged() {
        for (url, place) in [
            ("udp://t.example:6969", "udp://t.example:6969"),
            ("http://t.example/announce?passkey=s", "http://t.example"),
            ("https://me:s@t.example:1/s/announce", "https://t.example:1"),
            ("http://me:p@s@[::1]:80?x=a@b", "http://[::1]:80"),
        ] {
            assert_eq!(Place(url).to_string(), place);
        }
    }
}
