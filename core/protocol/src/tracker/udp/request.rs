//! What a client sends to a UDP tracker: written by the client, read by our tracker.

use std::net::Ipv4Addr;

use dunlin_base::{InfoHash, PeerId};

use super::{PROTOCOL_ID, Reader, UdpPacketError, action};
use crate::tracker::{AnnounceEvent, AnnounceRequest, SCRAPE_HASHES_MAX};

/// Longest path and query that goes into options.
const URL_DATA_BYTES_MAX: usize = 4 * 255;
/// Option types (BEP 41).
const OPTION_END: u8 = 0;
const OPTION_NOP: u8 = 1;
const OPTION_URL_DATA: u8 = 2;

/// A request to a UDP tracker (BEP 15).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UdpRequest {
    /// Asks for a connection id, which shows that the sender's address is not forged.
    Connect {
        /// Number that the answer repeats.
        transaction: u32,
    },
    /// An announce.
    Announce {
        /// The id that the tracker gave.
        connection: u64,
        /// Number that the answer repeats.
        transaction: u32,
        /// What is announced; its tracker id and IPv6 address have no place here.
        request: AnnounceRequest,
        /// Path and query of the tracker's URL (BEP 41).
        url_data: Box<[u8]>,
    },
    /// Asks for the counts of swarms.
    Scrape {
        /// The id that the tracker gave.
        connection: u64,
        /// Number that the answer repeats.
        transaction: u32,
        /// Which swarms, at most [`SCRAPE_HASHES_MAX`].
        info_hashes: Vec<InfoHash>,
    },
}

impl UdpRequest {
    /// The datagram to send.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        match self {
            Self::Connect { transaction } => {
                begin(&mut out, PROTOCOL_ID, action::CONNECT, *transaction);
            }
            Self::Announce {
                connection,
                transaction,
                request,
                url_data,
            } => {
                begin(&mut out, *connection, action::ANNOUNCE, *transaction);
                encode_announce(&mut out, request);
                encode_options(&mut out, url_data);
            }
            Self::Scrape {
                connection,
                transaction,
                info_hashes,
            } => {
                begin(&mut out, *connection, action::SCRAPE, *transaction);
                for info_hash in info_hashes.iter().take(SCRAPE_HASHES_MAX) {
                    out.extend(info_hash.0);
                }
            }
        }
        out
    }

    /// Reads a datagram that came to a tracker. Whether the connection id is one that it gave is
    /// for the tracker to check.
    ///
    /// # Errors
    /// When it is no request of BEP 15.
    pub fn decode(packet: &[u8]) -> Result<Self, UdpPacketError> {
        let mut reader = Reader::new(packet);
        let connection = reader.u64()?;
        let action = reader.u32()?;
        let transaction = reader.u32()?;
        match action {
            action::CONNECT if connection == PROTOCOL_ID => Ok(Self::Connect { transaction }),
            action::CONNECT => Err(UdpPacketError::ProtocolId { got: connection }),
            action::ANNOUNCE => Ok(Self::Announce {
                connection,
                transaction,
                request: decode_announce(&mut reader)?,
                url_data: decode_options(reader.rest),
            }),
            action::SCRAPE => {
                let hashes = reader.rest.as_chunks::<20>().0.iter();
                Ok(Self::Scrape {
                    connection,
                    transaction,
                    info_hashes: hashes
                        .take(SCRAPE_HASHES_MAX)
                        .copied()
                        .map(InfoHash)
                        .collect(),
                })
            }
            got => Err(UdpPacketError::Action { got }),
        }
    }
}

fn begin(out: &mut Vec<u8>, connection: u64, action: u32, transaction: u32) {
    out.extend(connection.to_be_bytes());
    out.extend(action.to_be_bytes());
    out.extend(transaction.to_be_bytes());
}

fn encode_announce(out: &mut Vec<u8>, request: &AnnounceRequest) {
    out.extend(request.info_hash.0);
    out.extend(request.peer_id.0);
    out.extend(request.downloaded.to_be_bytes());
    out.extend(request.left.to_be_bytes());
    out.extend(request.uploaded.to_be_bytes());
    let event: u32 = match request.event {
        AnnounceEvent::None => 0,
        AnnounceEvent::Completed => 1,
        AnnounceEvent::Started => 2,
        AnnounceEvent::Stopped => 3,
    };
    out.extend(event.to_be_bytes());
    out.extend(request.ipv4.unwrap_or(Ipv4Addr::UNSPECIFIED).octets());
    out.extend(request.key.to_be_bytes());
    // BEP 15: -1 asks for the tracker's default.
    out.extend(request.numwant.unwrap_or(u32::MAX).to_be_bytes());
    out.extend(request.port.to_be_bytes());
}

fn decode_announce(reader: &mut Reader<'_>) -> Result<AnnounceRequest, UdpPacketError> {
    let info_hash = InfoHash(reader.bytes()?);
    let peer_id = PeerId(reader.bytes()?);
    let downloaded = reader.u64()?;
    let left = reader.u64()?;
    let uploaded = reader.u64()?;
    let event = match reader.u32()? {
        1 => AnnounceEvent::Completed,
        2 => AnnounceEvent::Started,
        3 => AnnounceEvent::Stopped,
        _ => AnnounceEvent::None,
    };
    let ipv4 = Ipv4Addr::from(reader.bytes()?);
    let key = reader.u32()?;
    let numwant = reader.u32()?;
    Ok(AnnounceRequest {
        info_hash,
        peer_id,
        port: reader.u16()?,
        uploaded,
        downloaded,
        left,
        event,
        // A negative count, whichever, asks for the default.
        numwant: i32::try_from(numwant).is_ok().then_some(numwant),
        key,
        ipv4: (!ipv4.is_unspecified()).then_some(ipv4),
        ipv6: None,
        tracker_id: None,
        compact: true,
    })
}

fn encode_options(out: &mut Vec<u8>, url_data: &[u8]) {
    // A part of a URL is worse than none: the tracker would take it for another one.
    if url_data.is_empty() || url_data.len() > URL_DATA_BYTES_MAX {
        return;
    }
    for part in url_data.chunks(usize::from(u8::MAX)) {
        out.push(OPTION_URL_DATA);
        out.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(part);
    }
    out.push(OPTION_END);
}

fn decode_options(mut rest: &[u8]) -> Box<[u8]> {
    let mut url_data = Vec::new();
    while let Some((&option, after)) = rest.split_first() {
        rest = after;
        match option {
            OPTION_END => break,
            OPTION_NOP => {}
            _ => {
                // Every other option has a length, so that unknown ones can be skipped.
                let Some((&len, after)) = rest.split_first() else {
                    break;
                };
                let Some((part, after)) = after.split_at_checked(usize::from(len)) else {
                    break;
                };
                rest = after;
                if option == OPTION_URL_DATA && url_data.len() + part.len() <= URL_DATA_BYTES_MAX {
                    url_data.extend_from_slice(part);
                }
            }
        }
    }
    url_data.into()
}
