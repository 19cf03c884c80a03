//! What a UDP tracker answers: read by the client, written by our tracker.

use std::net::SocketAddr;

use dunlin_base::limits::TRACKER_PEERS_MAX;

use super::{Reader, UdpPacketError, action};
use crate::tracker::{
    AddressFamily, AnnounceReply, SCRAPE_HASHES_MAX, SwarmCounts, pack_peers, shown_text,
    unpack_peers,
};

/// An answer of a UDP tracker (BEP 15).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UdpResponse {
    /// The id to use in what follows.
    Connect {
        /// Number of the request.
        transaction: u32,
        /// The id.
        connection: u64,
    },
    /// The answer to an announce.
    Announce {
        /// Number of the request.
        transaction: u32,
        /// When to come again, seconds.
        interval_secs: u32,
        /// Peers without everything.
        leechers: u32,
        /// Peers with everything.
        seeders: u32,
        /// Where peers are: of the family over which the request went.
        peers: Vec<SocketAddr>,
    },
    /// The answer to a scrape, in the order of the request.
    Scrape {
        /// Number of the request.
        transaction: u32,
        /// Counts of each swarm.
        swarms: Vec<SwarmCounts>,
    },
    /// A refusal.
    Error {
        /// Number of the request.
        transaction: u32,
        /// Why.
        reason: String,
    },
}

impl UdpResponse {
    /// The number of the request that this answers.
    #[must_use]
    pub const fn transaction(&self) -> u32 {
        match self {
            Self::Connect { transaction, .. }
            | Self::Announce { transaction, .. }
            | Self::Scrape { transaction, .. }
            | Self::Error { transaction, .. } => *transaction,
        }
    }

    /// The datagram to send to a client that asked over `family`.
    #[must_use]
    pub fn encode(&self, family: AddressFamily) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        match self {
            Self::Connect {
                transaction,
                connection,
            } => {
                put_words(&mut out, &[action::CONNECT, *transaction]);
                out.extend(connection.to_be_bytes());
            }
            Self::Announce {
                transaction,
                interval_secs,
                leechers,
                seeders,
                peers,
            } => {
                put_words(
                    &mut out,
                    &[
                        action::ANNOUNCE,
                        *transaction,
                        *interval_secs,
                        *leechers,
                        *seeders,
                    ],
                );
                out.extend(pack_peers(peers, family));
            }
            Self::Scrape {
                transaction,
                swarms,
            } => {
                put_words(&mut out, &[action::SCRAPE, *transaction]);
                for swarm in swarms {
                    put_words(&mut out, &[swarm.seeders, swarm.completed, swarm.leechers]);
                }
            }
            Self::Error {
                transaction,
                reason,
            } => {
                put_words(&mut out, &[action::ERROR, *transaction]);
                out.extend_from_slice(reason.as_bytes());
            }
        }
        out
    }

    /// Reads a datagram from a tracker that was asked over `family`.
    ///
    /// # Errors
    /// When it is no answer of BEP 15.
    pub fn decode(packet: &[u8], family: AddressFamily) -> Result<Self, UdpPacketError> {
        let mut reader = Reader::new(packet);
        let action = reader.u32()?;
        let transaction = reader.u32()?;
        match action {
            action::CONNECT => Ok(Self::Connect {
                transaction,
                connection: reader.u64()?,
            }),
            action::ANNOUNCE => {
                let interval_secs = reader.u32()?;
                let leechers = reader.u32()?;
                let seeders = reader.u32()?;
                let mut peers = Vec::new();
                unpack_peers(reader.rest, family, &mut peers, TRACKER_PEERS_MAX);
                Ok(Self::Announce {
                    transaction,
                    interval_secs,
                    leechers,
                    seeders,
                    peers,
                })
            }
            action::SCRAPE => {
                let mut swarms = Vec::new();
                while !reader.rest.is_empty() && swarms.len() < SCRAPE_HASHES_MAX {
                    swarms.push(SwarmCounts {
                        seeders: reader.u32()?,
                        completed: reader.u32()?,
                        leechers: reader.u32()?,
                    });
                }
                Ok(Self::Scrape {
                    transaction,
                    swarms,
                })
            }
            action::ERROR => Ok(Self::Error {
                transaction,
                reason: shown_text(reader.rest),
            }),
            got => Err(UdpPacketError::Action { got }),
        }
    }

    /// The action number under which this goes.
    pub(super) const fn action(&self) -> u32 {
        match self {
            Self::Connect { .. } => action::CONNECT,
            Self::Announce { .. } => action::ANNOUNCE,
            Self::Scrape { .. } => action::SCRAPE,
            Self::Error { .. } => action::ERROR,
        }
    }
}

fn put_words(out: &mut Vec<u8>, words: &[u32]) {
    out.extend(words.iter().flat_map(|word| word.to_be_bytes()));
}

/// What an announce over UDP says in the terms of every tracker.
pub(super) fn announce_reply(
    interval_secs: u32,
    leechers: u32,
    seeders: u32,
    peers: Vec<SocketAddr>,
) -> AnnounceReply {
    AnnounceReply {
        interval_secs,
        leechers: Some(leechers),
        seeders: Some(seeders),
        peers,
        ..AnnounceReply::default()
    }
}
