//! Peers that a test plays: it says what they say, and reads what was said to them.

use std::net::SocketAddr;

use dunlin_base::{NodeKey, PeerId, PeerKey};
use dunlin_port::net::{CloseReason, NetEvent};
use dunlin_protocol::wire::extension::ExtensionHandshake;
use dunlin_protocol::wire::{BlockRequest, Handshake, Message, Reserved};

use super::{Sample, Swarm};

/// What a puppet does when it is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Puppet {
    /// It takes the call and says nothing.
    Silent,
    /// The call takes for ever.
    Unreachable,
}

/// Where the `n`-th puppet is.
pub(crate) fn puppet_addr(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 9, 0, n], 7000))
}

/// What the `n`-th puppet calls itself.
pub(crate) fn puppet_id(n: u8) -> PeerId {
    PeerId([b'a' + n; 20])
}

/// What a puppet can if nothing else is said.
pub(crate) fn able() -> Reserved {
    Reserved::default().with_fast().with_extension_protocol()
}

impl Swarm {
    /// From now on somebody answers at this address.
    pub(crate) fn place_puppet(&mut self, addr: SocketAddr, puppet: Puppet) {
        self.puppets.insert(addr, puppet);
    }

    /// Answers an attempt to reach a puppet; says whether there is one.
    pub(super) fn greet_puppet(&mut self, peer: PeerKey, node: NodeKey, addr: SocketAddr) -> bool {
        match self.puppets.get(&addr) {
            Some(Puppet::Silent) => self.send(node, NetEvent::Connected { peer }),
            Some(Puppet::Unreachable) => {}
            None => return false,
        }
        true
    }

    /// A connection from this address to a node.
    pub(crate) fn knock(&mut self, node: u32, addr: SocketAddr) -> PeerKey {
        self.accepted += 1;
        let peer = PeerKey::incoming(self.accepted);
        self.engine.inbox().net.push_back(NetEvent::Accepted {
            peer,
            node: NodeKey(node),
            addr,
        });
        peer
    }

    /// A handshake from a puppet.
    pub(crate) fn shake(
        &mut self,
        peer: PeerKey,
        sample: &Sample,
        peer_id: PeerId,
        reserved: Reserved,
    ) {
        let handshake = Handshake {
            reserved,
            info_hash: sample.info.info_hash(),
            peer_id,
        };
        self.engine
            .inbox()
            .net
            .push_back(NetEvent::Handshake { peer, handshake });
    }

    /// The `n`-th puppet connects and shakes hands.
    pub(crate) fn join(
        &mut self,
        node: u32,
        sample: &Sample,
        n: u8,
        reserved: Reserved,
    ) -> PeerKey {
        let peer = self.knock(node, puppet_addr(n));
        self.shake(peer, sample, puppet_id(n), reserved);
        self.step();
        peer
    }

    /// A puppet says something; the engine hears it at once.
    pub(crate) fn say(&mut self, peer: PeerKey, message: Message) {
        self.engine
            .inbox()
            .net
            .push_back(NetEvent::Message { peer, message });
        self.step();
    }

    /// An extension handshake in which a puppet says how many requests it queues.
    pub(crate) fn say_reqq(&mut self, peer: PeerKey, reqq: u32) {
        let said = ExtensionHandshake {
            reqq: Some(reqq),
            ..ExtensionHandshake::default()
        };
        self.say(
            peer,
            Message::Extended {
                id: 0,
                payload: said.encode().into(),
            },
        );
    }

    /// A puppet sends bytes of the sample, or whatever is there when they are of no block; the engine
    /// hears it at once.
    pub(crate) fn give(&mut self, peer: PeerKey, sample: &Sample, block: BlockRequest) {
        self.put_block(peer, sample, block);
        self.step();
    }

    /// As [`Self::give`], and the engine hears it with what else comes up to the next step.
    pub(crate) fn put_block(&mut self, peer: PeerKey, sample: &Sample, block: BlockRequest) {
        let at = u64::from(block.piece) * u64::from(sample.info.geometry().piece_bytes());
        let at = (at + u64::from(block.begin)) as usize;
        let mut payload = self.pool.take(block.len as usize).expect("a large pool");
        if let Some(bytes) = sample.data.get(at..at + block.len as usize) {
            payload.copy_from_slice(bytes);
        }
        let BlockRequest { piece, begin, .. } = block;
        self.engine.inbox().net.push_back(NetEvent::Block {
            peer,
            piece,
            begin,
            payload,
        });
    }

    /// A puppet hangs up.
    pub(crate) fn hang_up(&mut self, peer: PeerKey) {
        self.engine.inbox().net.push_back(NetEvent::Closed {
            peer,
            reason: CloseReason::Remote,
        });
        self.step();
    }

    /// What was said to a puppet since it was last asked.
    pub(crate) fn heard_by(&mut self, peer: PeerKey) -> Vec<Message> {
        let (mine, others) = core::mem::take(&mut self.heard)
            .into_iter()
            .partition::<Vec<_>, _>(|(to, _)| *to == peer);
        self.heard = others;
        mine.into_iter().map(|(_, message)| message).collect()
    }

    /// The requests that a puppet got since it was last asked what it heard.
    pub(crate) fn asked_of(&mut self, peer: PeerKey) -> Vec<BlockRequest> {
        let heard = self.heard_by(peer).into_iter();
        heard
            .filter_map(|message| {
                if let Message::Request(block) = message {
                    Some(block)
                } else {
                    None
                }
            })
            .collect()
    }
}
