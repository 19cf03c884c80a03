//! Streams in arbitrary pieces without sockets, then reactors and raw sockets over loopback.

mod bounds;
mod loopback;
mod stream;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use dunlin_base::{InfoHash, NodeKey, PeerId, PeerKey, RngStream, StreamName};
use dunlin_port::BlockPool;
use dunlin_port::config::{ByteSize, LimitsConfig, NetworkConfig};
use dunlin_port::net::{CloseReason, NetCommand, NetEvent};
use dunlin_protocol::wire::{BlockRequest, Handshake, Message, Reserved, piece_header};

use super::Reactor;

const NODE: NodeKey = NodeKey(0);

fn handshake(name: u8) -> Handshake {
    Handshake {
        reserved: Reserved::default().with_fast(),
        info_hash: InfoHash([7; 20]),
        peer_id: PeerId([name; 20]),
    }
}

fn luck(seed: u64) -> RngStream {
    RngStream::new(seed, NODE, StreamName::Pick)
}

/// A reactor with its end of the border: what it was told and what it told.
struct Side {
    reactor: Reactor,
    pool: BlockPool,
    addresses: Vec<SocketAddr>,
    inbox: VecDeque<NetEvent>,
    events: Vec<NetEvent>,
}

impl Side {
    fn new(listen: &[&str]) -> Self {
        Self::with(listen, 64 << 20, |_, _| {})
    }

    fn with(
        listen: &[&str],
        pool_bytes: usize,
        change: impl FnOnce(&mut NetworkConfig, &mut LimitsConfig),
    ) -> Self {
        let mut config = NetworkConfig {
            listen: listen.iter().map(|text| text.parse().unwrap()).collect(),
            memory: ByteSize(pool_bytes as u64),
            ..NetworkConfig::default()
        };
        let mut limits = LimitsConfig::default();
        change(&mut config, &mut limits);
        let pool = BlockPool::new(pool_bytes);
        let mut reactor = Reactor::new(&config, &limits, pool.clone()).unwrap();
        let addresses = reactor.listen(NODE).unwrap();
        Self {
            reactor,
            pool,
            addresses,
            inbox: VecDeque::new(),
            events: Vec::new(),
        }
    }

    fn tell(&mut self, commands: impl IntoIterator<Item = NetCommand>) {
        self.reactor.execute(&mut commands.into_iter().collect());
    }

    /// Has a peer owe blocks, as if it had been asked for them.
    fn ask(&mut self, peer: PeerKey, blocks: usize) {
        let slot = self.reactor.peers[&peer];
        let connection = self.reactor.slots.get_mut(slot).unwrap();
        (0..blocks).for_each(|_| connection.inflow.ask());
    }

    fn connect(&mut self, number: u64, addr: SocketAddr) -> PeerKey {
        let peer = PeerKey::outgoing(number);
        self.tell([NetCommand::Connect {
            peer,
            node: NODE,
            addr,
        }]);
        peer
    }

    /// One poll; what came is appended to `events`.
    fn step(&mut self, timeout_millis: u64) {
        let timeout = Some(Duration::from_millis(timeout_millis));
        self.reactor.poll(timeout, &mut self.inbox);
        self.events.extend(self.inbox.drain(..));
    }

    /// Polls until the test is content with what came.
    fn step_until(&mut self, mut content: impl FnMut(&Self) -> bool) {
        for _ in 0..10_000 {
            if content(self) {
                return;
            }
            self.step(20);
        }
        panic!("gave up; came: {:?}", self.events);
    }

    fn accepted(&self) -> Option<PeerKey> {
        self.events.iter().find_map(|event| match event {
            NetEvent::Accepted { peer, .. } => Some(*peer),
            _ => None,
        })
    }

    fn greeted(&self) -> bool {
        self.events
            .iter()
            .any(|event| matches!(event, NetEvent::Handshake { .. }))
    }

    fn closed(&self, peer: PeerKey) -> Option<&CloseReason> {
        self.events.iter().find_map(|event| match event {
            NetEvent::Closed { peer: whom, reason } if *whom == peer => Some(reason),
            _ => None,
        })
    }

    /// The messages that came, blocks left out.
    fn messages(&self) -> Vec<&Message> {
        let messages = self.events.iter().filter_map(|event| match event {
            NetEvent::Message { message, .. } => Some(message),
            _ => None,
        });
        messages.collect()
    }

    fn sent_bytes(&self) -> u64 {
        let sent = self.events.iter().map(|event| match event {
            NetEvent::Sent { bytes, .. } => u64::from(*bytes),
            _ => 0,
        });
        sent.sum()
    }
}

/// Polls two sides in turn until the test is content.
fn both_until(a: &mut Side, b: &mut Side, mut content: impl FnMut(&Side, &Side) -> bool) {
    for _ in 0..20_000 {
        if content(a, b) {
            return;
        }
        a.step(1);
        b.step(1);
    }
    panic!("gave up; came: {:?} and {:?}", a.events, b.events);
}

/// What a stream consists of after its handshake.
#[derive(Clone, PartialEq, Debug)]
enum Item {
    Message(Message),
    Block {
        piece: u32,
        begin: u32,
        payload: Vec<u8>,
    },
}

impl Item {
    fn random(rng: &mut RngStream, blocks_of_ten: u64) -> Self {
        if rng.below(10) < blocks_of_ten {
            let len = match rng.below(8) {
                0 => rng.below(16_384) as usize + 1,
                1 => rng.below(20) as usize + 1,
                _ => 16_384,
            };
            let mut payload = vec![0; len];
            rng.fill(&mut payload);
            let (piece, begin) = (rng.next_u64() as u32, rng.next_u64() as u32);
            return Self::Block {
                piece,
                begin,
                payload,
            };
        }
        let number = rng.next_u64() as u32;
        let mut bytes = vec![0; rng.below(3000) as usize + 1].into_boxed_slice();
        rng.fill(&mut bytes);
        Self::Message(match rng.below(6) {
            0 => Message::KeepAlive,
            1 => Message::Have(number),
            2 => Message::Request(BlockRequest {
                piece: number,
                begin: 1,
                len: 2,
            }),
            3 => Message::Bitfield(bytes),
            4 => Message::Extended {
                id: 3,
                payload: bytes,
            },
            _ => Message::Unchoke,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Message(message) => message.encode(out),
            Self::Block {
                piece,
                begin,
                payload,
            } => {
                out.extend_from_slice(&piece_header(*piece, *begin, payload.len() as u32));
                out.extend_from_slice(payload);
            }
        }
    }

    /// The item that an event tells of.
    fn of(event: NetEvent) -> Option<Self> {
        match event {
            NetEvent::Message { message, .. } => Some(Self::Message(message)),
            NetEvent::Block {
                piece,
                begin,
                payload,
                ..
            } => Some(Self::Block {
                piece,
                begin,
                payload: payload.to_vec(),
            }),
            _ => None,
        }
    }
}
