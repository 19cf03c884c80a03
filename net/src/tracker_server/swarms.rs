//! Who is in which swarm, in memory and bounded.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dunlin_base::{InfoHash, NodeKey, PeerId, RngStream, StreamName};
use dunlin_protocol::tracker::{AnnounceEvent, AnnounceReply, AnnounceRequest, SwarmCounts};
use indexmap::IndexMap;

use super::TrackerServerOptions;

/// Peers looked at for each peer that is handed out; in a swarm of seeds only, a seed's announce
/// must not walk all of them in vain.
const LOOKS_PER_PEER: usize = 4;

/// How a swarm tells its peers apart: a peer may be there once by IPv4 and once by IPv6 (BEP 7).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Identity {
    peer_id: PeerId,
    ipv6: bool,
}

#[derive(Clone, Copy, Debug)]
struct Peer {
    addr: SocketAddr,
    /// The client's secret: who knows it may change the address.
    key: u32,
    seeds: bool,
    expires: Duration,
}

#[derive(Default)]
struct Swarm {
    peers: IndexMap<Identity, Peer>,
    seeders: u32,
    completed: u32,
}

/// Which peers an answer can carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Families {
    /// IPv4 and IPv6 (HTTP, BEP 7).
    Both,
    /// That of the question (UDP, BEP 15), and no more than so many.
    Same { peers_max: u32 },
}

/// All swarms. Times are since the server's start.
pub(crate) struct Swarms {
    swarms: HashMap<InfoHash, Swarm>,
    peers: usize,
    luck: RngStream,
    options: TrackerServerOptions,
}

/// Why an announce is refused, in words for the client's user.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum RefuseError {
    #[error("the port to reach you at is missing")]
    NoPort,
    #[error("another client uses your peer id; restart yours")]
    PeerIdTaken,
    #[error("this tracker is full")]
    Full,
}

impl Swarms {
    pub(crate) fn new(options: TrackerServerOptions, seed: u64) -> Self {
        let luck = RngStream::new(seed, NodeKey(0), StreamName::Connect);
        Self {
            swarms: HashMap::new(),
            peers: 0,
            luck,
            options,
        }
    }

    /// Enters or updates the peer that announces from `from`, and tells it of others.
    pub(crate) fn announce(
        &mut self,
        request: &AnnounceRequest,
        from: IpAddr,
        families: Families,
        now: Duration,
    ) -> Result<AnnounceReply, RefuseError> {
        let ip = reachable_at(request, from);
        let identity = Identity {
            peer_id: request.peer_id,
            ipv6: ip.is_ipv6(),
        };
        if request.event == AnnounceEvent::Stopped {
            self.leave(request, identity, ip)?;
        } else {
            self.enter(request, identity, ip, now)?;
        }
        let wanted = match request.event {
            AnnounceEvent::Stopped => 0,
            _ => request.numwant.unwrap_or(self.options.peers_per_reply),
        };
        let wanted = wanted.min(self.options.peers_per_reply_max);
        let peers = self.pick(request, identity, families, wanted);
        let counts = self.counts(request.info_hash);
        Ok(AnnounceReply {
            interval_secs: secs(self.options.interval),
            min_interval_secs: Some(secs(self.options.min_interval)),
            seeders: Some(counts.seeders),
            leechers: Some(counts.leechers),
            downloaded: Some(counts.completed),
            peers,
            external_ip: Some(from),
            ..AnnounceReply::default()
        })
    }

    fn enter(
        &mut self,
        request: &AnnounceRequest,
        identity: Identity,
        ip: IpAddr,
        now: Duration,
    ) -> Result<(), RefuseError> {
        if request.port == 0 {
            return Err(RefuseError::NoPort);
        }
        let known = self.swarms.get(&request.info_hash);
        let old = known.and_then(|swarm| swarm.peers.get(&identity));
        if old.is_some_and(|old| !old.belongs_to(request, ip)) {
            return Err(RefuseError::PeerIdTaken);
        }
        let swarms_full = known.is_none() && self.swarms.len() >= self.options.torrents_max;
        let peers_full = old.is_none() && self.peers >= self.options.peers_max;
        if swarms_full || peers_full {
            return Err(RefuseError::Full);
        }
        let peer = Peer {
            addr: SocketAddr::new(ip, request.port),
            key: request.key,
            seeds: request.left == 0,
            expires: now + self.options.peer_lifetime(),
        };
        let swarm = self.swarms.entry(request.info_hash).or_default();
        match swarm.peers.insert(identity, peer) {
            Some(old) => swarm.seeders -= u32::from(old.seeds),
            None => self.peers += 1,
        }
        swarm.seeders += u32::from(peer.seeds);
        if request.event == AnnounceEvent::Completed {
            swarm.completed = swarm.completed.saturating_add(1);
        }
        Ok(())
    }

    fn leave(
        &mut self,
        request: &AnnounceRequest,
        identity: Identity,
        ip: IpAddr,
    ) -> Result<(), RefuseError> {
        let Some(swarm) = self.swarms.get_mut(&request.info_hash) else {
            return Ok(());
        };
        let Some(peer) = swarm.peers.get(&identity) else {
            return Ok(());
        };
        if !peer.belongs_to(request, ip) {
            return Err(RefuseError::PeerIdTaken);
        }
        swarm.seeders -= u32::from(peer.seeds);
        swarm.peers.swap_remove(&identity);
        self.peers -= 1;
        Ok(())
    }

    /// A random choice of others; a seed needs no seeds.
    fn pick(
        &mut self,
        request: &AnnounceRequest,
        asks: Identity,
        families: Families,
        wanted: u32,
    ) -> Vec<SocketAddr> {
        let wanted = match families {
            Families::Both => wanted,
            Families::Same { peers_max } => wanted.min(peers_max),
        } as usize;
        let fits = |ipv6| families == Families::Both || ipv6 == asks.ipv6;
        let Some(swarm) = self.swarms.get_mut(&request.info_hash) else {
            return Vec::new();
        };
        let mut picked = Vec::with_capacity(wanted.min(swarm.peers.len()));
        let count = swarm.peers.len();
        for n in 0..count.min(wanted.saturating_mul(LOOKS_PER_PEER)) {
            if picked.len() == wanted {
                break;
            }
            // Fisher-Yates as far as it is needed: what was looked at comes to the front.
            let other = n + self.luck.below((count - n) as u64) as usize;
            swarm.peers.swap_indices(n, other);
            let Some((identity, peer)) = swarm.peers.get_index(n) else {
                break;
            };
            let useful = request.left > 0 || !peer.seeds;
            if identity.peer_id != asks.peer_id && fits(identity.ipv6) && useful {
                picked.push(peer.addr);
            }
        }
        picked
    }

    /// How many are in a swarm; all zero if nobody ever was.
    pub(crate) fn counts(&self, info_hash: InfoHash) -> SwarmCounts {
        let Some(swarm) = self.swarms.get(&info_hash) else {
            return SwarmCounts::default();
        };
        let peers = swarm.peers.len() as u32;
        SwarmCounts {
            seeders: swarm.seeders,
            leechers: peers - swarm.seeders,
            completed: swarm.completed,
        }
    }

    /// Forgets peers that have not announced for too long, and swarms without peers.
    pub(crate) fn expire(&mut self, now: Duration) {
        let mut peers = 0;
        self.swarms.retain(|_, swarm| {
            swarm.peers.retain(|_, peer| peer.expires > now);
            swarm.seeders = swarm.peers.values().filter(|peer| peer.seeds).count() as u32;
            peers += swarm.peers.len();
            !swarm.peers.is_empty()
        });
        self.peers = peers;
    }

    pub(crate) fn torrents(&self) -> usize {
        self.swarms.len()
    }

    pub(crate) const fn peers(&self) -> usize {
        self.peers
    }
}

impl Peer {
    fn belongs_to(&self, request: &AnnounceRequest, ip: IpAddr) -> bool {
        self.addr.ip() == ip || self.key == request.key
    }
}

/// Where other peers should connect to. What a request says of its address is believed only from
/// this machine itself, or a stranger could point a whole swarm at somebody.
fn reachable_at(request: &AnnounceRequest, from: IpAddr) -> IpAddr {
    let from = from.to_canonical();
    let told = if from.is_ipv4() {
        request.ipv4.map(IpAddr::V4)
    } else {
        request.ipv6.map(IpAddr::V6)
    };
    told.filter(|_| from.is_loopback()).unwrap_or(from)
}

fn secs(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
