//! Answers announces and scrapes over UDP (BEP 15).
//!
//! A connection id is a keyed hash of the client's address and the minute, so that nothing is
//! remembered of clients, and nobody gets more bytes sent to a forged address than he sends.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dunlin_protocol::tracker::udp::{UdpRequest, UdpResponse};
use dunlin_protocol::tracker::{AddressFamily, AnnounceRequest};
use tokio::net::UdpSocket;
use tokio::time::sleep;

use super::swarms::{Families, Swarms};
use super::{State, log_announce};

/// Length of the key of connection ids.
pub(crate) const SECRET_BYTES: usize = 32;
/// Largest request that is looked at: an announce with all its options.
const REQUEST_BYTES_MAX: usize = 2048;
/// Peers in an answer, so that it fits in one packet on any path.
const PEERS_V4_MAX: u32 = 200;
const PEERS_V6_MAX: u32 = 64;
/// A connection id is good for this and the next such span (BEP 15: for two minutes).
const CONNECTION_SECS: u64 = 60;
/// Pause after the socket failed, so that a broken one does not take the whole processor.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Answers datagrams until the runtime ends.
pub(super) async fn serve(socket: UdpSocket, secret: [u8; SECRET_BYTES], state: Arc<State>) {
    let mut packet = [0; REQUEST_BYTES_MAX];
    loop {
        if let Err(error) = serve_one(&socket, &secret, &state, &mut packet).await {
            // Often it tells of an earlier answer that its receiver did not want.
            tracing::debug!("UDP tracker: {error}");
            sleep(ERROR_PAUSE).await;
        }
    }
}

async fn serve_one(
    socket: &UdpSocket,
    secret: &[u8; SECRET_BYTES],
    state: &State,
    packet: &mut [u8],
) -> io::Result<()> {
    let (len, from) = socket.recv_from(packet).await?;
    let (answer, served) = answer(
        &packet[..len],
        from,
        secret,
        state.now(),
        &mut state.swarms(),
    );
    let counter = match served {
        Served::Connect => None,
        Served::Announce => Some(&state.announces),
        Served::Scrape => Some(&state.scrapes),
        Served::Refused => Some(&state.refused),
    };
    if let Some(counter) = counter {
        counter.fetch_add(1, Ordering::Relaxed);
    }
    if let Some(answer) = answer {
        let datagram = answer.encode(AddressFamily::of(from.ip()));
        socket.send_to(&datagram, from).await?;
    }
    Ok(())
}

/// What a datagram was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Served {
    /// A request for a connection id.
    Connect,
    /// An announce.
    Announce,
    /// A scrape.
    Scrape,
    /// Refused or not understood.
    Refused,
}

/// The answer to a datagram that came `now` after the start, and what it was; none to what is not of the
/// protocol or may have a forged sender.
pub(crate) fn answer(
    packet: &[u8],
    from: SocketAddr,
    secret: &[u8; SECRET_BYTES],
    now: Duration,
    swarms: &mut Swarms,
) -> (Option<UdpResponse>, Served) {
    let span = now.as_secs() / CONNECTION_SECS;
    let id = |span| connection_id(secret, from, span);
    let known = |connection| connection == id(span) || span > 0 && connection == id(span - 1);
    match UdpRequest::decode(packet) {
        Ok(UdpRequest::Connect { transaction }) => {
            let connection = id(span);
            let response = UdpResponse::Connect {
                transaction,
                connection,
            };
            (Some(response), Served::Connect)
        }
        Ok(UdpRequest::Announce {
            connection,
            transaction,
            ..
        }) if !known(connection) => {
            tracing::debug!(protocol = "udp", %from, "announce refused: its connection id is old");
            // Shorter than the announce, so no use to who forges addresses; and a client that
            // outlived our restart need not wait for its time-out.
            refuse(transaction, "the connection id is not valid any more")
        }
        Ok(UdpRequest::Announce {
            transaction,
            request,
            ..
        }) => announce(transaction, &request, from.ip(), now, swarms),
        Ok(UdpRequest::Scrape {
            connection,
            transaction,
            info_hashes,
        }) if known(connection) && !info_hashes.is_empty() => {
            tracing::debug!(protocol = "udp", %from, swarms = info_hashes.len(), "scrape answered");
            let counts = info_hashes.into_iter().map(|hash| swarms.counts(hash));
            let response = UdpResponse::Scrape {
                transaction,
                swarms: counts.collect(),
            };
            (Some(response), Served::Scrape)
        }
        Ok(UdpRequest::Scrape { .. }) | Err(_) => {
            tracing::debug!(protocol = "udp", %from, "datagram ignored");
            (None, Served::Refused)
        }
    }
}

fn announce(
    transaction: u32,
    request: &AnnounceRequest,
    from: IpAddr,
    now: Duration,
    swarms: &mut Swarms,
) -> (Option<UdpResponse>, Served) {
    let peers_max = match AddressFamily::of(from) {
        AddressFamily::V4 => PEERS_V4_MAX,
        AddressFamily::V6 => PEERS_V6_MAX,
    };
    let reply = swarms.announce(request, from, Families::Same { peers_max }, now);
    log_announce("udp", from, request, &reply);
    match reply {
        Ok(reply) => {
            let response = UdpResponse::Announce {
                transaction,
                interval_secs: reply.interval_secs,
                leechers: reply.leechers.unwrap_or(0),
                seeders: reply.seeders.unwrap_or(0),
                peers: reply.peers,
            };
            (Some(response), Served::Announce)
        }
        Err(error) => refuse(transaction, &error.to_string()),
    }
}

fn refuse(transaction: u32, reason: &str) -> (Option<UdpResponse>, Served) {
    let reason = reason.to_owned();
    let response = UdpResponse::Error {
        transaction,
        reason,
    };
    (Some(response), Served::Refused)
}

fn connection_id(secret: &[u8; SECRET_BYTES], from: SocketAddr, span: u64) -> u64 {
    let ip = match from.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut words = secret.to_vec();
    words.extend(ip.octets());
    words.extend(from.port().to_be_bytes());
    words.extend(span.to_be_bytes());
    let [a, b, c, d, e, f, g, h, ..] = dunlin_hash::sha1(&words);
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
