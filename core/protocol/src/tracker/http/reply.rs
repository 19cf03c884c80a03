//! The bencoded replies: read by the client, written by our tracker.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use dunlin_base::InfoHash;
use dunlin_base::limits::{TRACKER_PEERS_MAX, TRACKER_REPLY_BYTES_MAX};

use crate::bencode::{DecodeError, Dict, DictEncoder, Document, Encoder, Limits, Value};
use crate::tracker::{
    AddressFamily, AnnounceReply, INTERVAL_DEFAULT_SECS, Retry, SCRAPE_HASHES_MAX, SwarmCounts,
    TRACKER_ID_BYTES_MAX, TrackerFailure, pack_peers, shown_text, unpack_peers,
};

const LIMITS: Limits = Limits::bytes(TRACKER_REPLY_BYTES_MAX);

/// A reply that brings nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HttpReplyError {
    /// The tracker refused.
    #[error(transparent)]
    Refused(#[from] TrackerFailure),
    /// What came is no tracker's reply.
    #[error("not a tracker's reply: {0}")]
    Malformed(#[from] DecodeError),
}

/// The counts that a scrape brought (BEP 48).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ScrapeReply {
    /// Counts of each swarm that the tracker knows.
    pub swarms: Vec<(InfoHash, SwarmCounts)>,
    /// How long to wait for the next scrape, seconds.
    pub min_request_interval_secs: Option<u32>,
}

/// Reads the reply to an announce (BEP 3), packed or not (BEP 23, BEP 7).
///
/// # Errors
/// When the tracker refused (BEP 31 tells for how long), or the reply is no bencoded dictionary.
pub fn parse_announce_reply(bytes: &[u8]) -> Result<AnnounceReply, HttpReplyError> {
    // Some trackers send a line end behind the dictionary, so only the front is looked at.
    let document = Document::parse_prefix(bytes, &LIMITS)?;
    let dict = document.root().dict()?;
    check_failure(dict)?;
    let tracker_id = dict.get(b"tracker id").and_then(|id| id.as_bytes());
    let external_ip = dict.get(b"external ip").and_then(|ip| ip.as_bytes());
    Ok(AnnounceReply {
        interval_secs: number(dict, b"interval").unwrap_or(INTERVAL_DEFAULT_SECS),
        min_interval_secs: number(dict, b"min interval"),
        seeders: number(dict, b"complete"),
        leechers: number(dict, b"incomplete"),
        downloaded: number(dict, b"downloaded"),
        peers: peers(dict),
        tracker_id: tracker_id
            .filter(|id| id.len() <= TRACKER_ID_BYTES_MAX)
            .map(Into::into),
        warning: text(dict, b"warning message"),
        external_ip: external_ip.and_then(packed_address),
    })
}

/// Reads the reply to a scrape (BEP 48): at most [`SCRAPE_HASHES_MAX`] swarms.
///
/// # Errors
/// As [`parse_announce_reply`].
pub fn parse_scrape_reply(bytes: &[u8]) -> Result<ScrapeReply, HttpReplyError> {
    let document = Document::parse_prefix(bytes, &LIMITS)?;
    let dict = document.root().dict()?;
    check_failure(dict)?;
    let flags = dict.get(b"flags").and_then(|flags| flags.as_dict());
    let files = dict.get(b"files").and_then(|files| files.as_dict());
    let files = files.into_iter().flatten();
    let swarms = files.filter_map(|(key, value)| {
        let counts = value.as_dict()?;
        Some((
            InfoHash(key.try_into().ok()?),
            SwarmCounts {
                seeders: number(counts, b"complete").unwrap_or(0),
                leechers: number(counts, b"incomplete").unwrap_or(0),
                completed: number(counts, b"downloaded").unwrap_or(0),
            },
        ))
    });
    Ok(ScrapeReply {
        swarms: swarms.take(SCRAPE_HASHES_MAX).collect(),
        min_request_interval_secs: flags.and_then(|flags| number(flags, b"min_request_interval")),
    })
}

/// Writes the reply to an announce: peers packed (BEP 23, BEP 7) or as dictionaries without ids.
#[must_use]
pub fn write_announce_reply(reply: &AnnounceReply, compact: bool) -> Vec<u8> {
    Encoder::document(|dict| {
        optional_int(dict, "complete", reply.seeders);
        optional_int(dict, "downloaded", reply.downloaded);
        match reply.external_ip.map(|ip| ip.to_canonical()) {
            Some(IpAddr::V4(address)) => dict.bytes("external ip", address.octets()),
            Some(IpAddr::V6(address)) => dict.bytes("external ip", address.octets()),
            None => {}
        }
        optional_int(dict, "incomplete", reply.leechers);
        dict.int("interval", reply.interval_secs);
        optional_int(dict, "min interval", reply.min_interval_secs);
        if compact {
            dict.bytes("peers", pack_peers(&reply.peers, AddressFamily::V4));
            let packed = pack_peers(&reply.peers, AddressFamily::V6);
            if !packed.is_empty() {
                dict.bytes("peers6", packed);
            }
        } else {
            dict.entry("peers", |peers| write_peer_list(peers, &reply.peers));
        }
        if let Some(tracker_id) = &reply.tracker_id {
            dict.bytes("tracker id", tracker_id);
        }
        if let Some(warning) = &reply.warning {
            dict.bytes("warning message", warning);
        }
    })
}

/// Writes the reply to a scrape (BEP 48).
#[must_use]
pub fn write_scrape_reply(reply: &ScrapeReply) -> Vec<u8> {
    // Bencode wants sorted keys, and each once.
    let swarms: BTreeMap<InfoHash, SwarmCounts> = reply.swarms.iter().copied().collect();
    Encoder::document(|dict| {
        dict.entry("files", |files| {
            files.dict(|files| {
                for (info_hash, counts) in &swarms {
                    files.entry(info_hash.0, |swarm| {
                        swarm.dict(|swarm| {
                            swarm.int("complete", counts.seeders);
                            swarm.int("downloaded", counts.completed);
                            swarm.int("incomplete", counts.leechers);
                        });
                    });
                }
            });
        });
        if let Some(secs) = reply.min_request_interval_secs {
            dict.entry("flags", |flags| {
                flags.dict(|flags| flags.int("min_request_interval", secs));
            });
        }
    })
}

/// Writes a refusal (BEP 3, BEP 31).
#[must_use]
pub fn write_failure(failure: &TrackerFailure) -> Vec<u8> {
    Encoder::document(|dict| {
        dict.bytes("failure reason", &failure.reason);
        match failure.retry {
            Retry::Unspecified => {}
            Retry::AfterMinutes(minutes) => dict.int("retry in", minutes),
            Retry::Never => dict.bytes("retry in", "never"),
        }
    })
}

fn check_failure(dict: Dict<'_>) -> Result<(), TrackerFailure> {
    let Some(reason) = text(dict, b"failure reason") else {
        return Ok(());
    };
    let never = dict.get(b"retry in").and_then(|retry| retry.as_bytes()) == Some(b"never");
    let retry = if never {
        Retry::Never
    } else {
        number(dict, b"retry in").map_or(Retry::Unspecified, Retry::AfterMinutes)
    };
    Err(TrackerFailure { reason, retry })
}

/// The peers of both families, as many as we take.
fn peers(dict: Dict<'_>) -> Vec<SocketAddr> {
    let mut peers = Vec::new();
    let of_v4 = dict.get(b"peers");
    if let Some(packed) = of_v4.and_then(|value| value.as_bytes()) {
        unpack_peers(packed, AddressFamily::V4, &mut peers, TRACKER_PEERS_MAX);
    } else if let Some(list) = of_v4.and_then(|value| value.as_list()) {
        peers.extend(list.filter_map(peer_of_dict).take(TRACKER_PEERS_MAX));
    }
    if let Some(packed) = dict.get(b"peers6").and_then(|value| value.as_bytes()) {
        unpack_peers(packed, AddressFamily::V6, &mut peers, TRACKER_PEERS_MAX);
    }
    peers
}

/// A peer that is not packed (BEP 3). One that is given by name is left out: resolving what a
/// tracker says would let it make us ask any name server anything.
fn peer_of_dict(value: Value<'_>) -> Option<SocketAddr> {
    let dict = value.as_dict()?;
    let address: IpAddr = dict.get(b"ip")?.as_str()?.parse().ok()?;
    let port = number(dict, b"port")?;
    Some(SocketAddr::new(
        address.to_canonical(),
        u16::try_from(port).ok()?,
    ))
}

/// A count, also where a tracker wrote it as a string. Negative and overlong ones are none.
fn number(dict: Dict<'_>, key: &[u8]) -> Option<u32> {
    let value = dict.get(key)?;
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    u32::try_from(number).ok()
}

fn text(dict: Dict<'_>, key: &[u8]) -> Option<String> {
    dict.get(key)?.as_bytes().map(shown_text)
}

/// An address of 4 or 16 bytes (BEP 24).
fn packed_address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(bytes).map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)));
    let v6 = || <[u8; 16]>::try_from(bytes).map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes)));
    Some(v4().or_else(|_| v6()).ok()?.to_canonical())
}

fn optional_int(dict: &mut DictEncoder<'_>, key: &str, value: Option<u32>) {
    if let Some(value) = value {
        dict.int(key, value);
    }
}

fn write_peer_list(encoder: &mut Encoder, peers: &[SocketAddr]) {
    encoder.list(|list| {
        for peer in peers {
            list.dict(|dict| {
                dict.bytes("ip", peer.ip().to_string());
                dict.int("port", peer.port());
            });
        }
    });
}
