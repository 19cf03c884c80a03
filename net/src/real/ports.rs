//! All real ports as one: what the engine's loop calls between two ticks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dunlin_base::EngineTime;
use dunlin_port::{Inbox, Outbox};

use super::{DiskPort, HashPort, Reactor, TrackerPort, Wake};

/// The reactor, and the helpers that wake it when they have something.
pub struct RealPorts {
    started: Instant,
    reactor: Reactor,
    disk: DiskPort,
    hash: HashPort,
    tracker: TrackerPort,
}

impl RealPorts {
    /// The ports of an engine that starts now. The helpers were made with [`wake_of`] the reactor.
    #[must_use]
    pub fn new(reactor: Reactor, disk: DiskPort, hash: HashPort, tracker: TrackerPort) -> Self {
        Self {
            started: Instant::now(),
            reactor,
            disk,
            hash,
            tracker,
        }
    }

    /// Time since the start.
    #[must_use]
    pub fn clock(&self) -> EngineTime {
        EngineTime::START + self.started.elapsed()
    }

    /// The reactor, to listen or to change its limits.
    pub fn reactor(&mut self) -> &mut Reactor {
        &mut self.reactor
    }

    /// The disk, for what it remembers of earlier runs.
    #[must_use]
    pub fn disk(&self) -> &DiskPort {
        &self.disk
    }

    /// Carries out what the engine decided, waits until a port has something, at most for
    /// `timeout`, and takes in what there is. What is meant for subscribers stays in the outbox.
    pub fn exchange(&mut self, outbox: &mut Outbox, inbox: &mut Inbox, timeout: Option<Duration>) {
        // The helpers first: they work while we talk to the kernel.
        self.hash.submit(&mut outbox.hash);
        self.disk.submit(&mut outbox.disk);
        self.tracker.submit(&mut outbox.tracker);
        self.reactor.execute(&mut outbox.net);
        self.reactor.poll(timeout, &mut inbox.net);
        self.disk.drain(&mut inbox.disk);
        self.hash.drain(&mut inbox.hash);
        self.tracker.drain(&mut inbox.tracker);
    }
}

/// What a helper on another thread calls when it has something: ends the reactor's poll.
#[must_use]
pub fn wake_of(reactor: &Reactor) -> Wake {
    let waker = reactor.waker();
    Arc::new(move || {
        if let Err(error) = waker.wake() {
            tracing::error!(%error, "cannot wake the engine");
        }
    })
}

#[cfg(test)]
mod tests {
    use dunlin_base::{NodeKey, PeerKey, PieceIndex, TorrentKey};
    use dunlin_port::BlockPool;
    use dunlin_port::config::{LimitsConfig, NetworkConfig};
    use dunlin_port::hash::HashJob;
    use dunlin_port::net::{NetCommand, NetEvent};

    use super::*;

    #[test]
    fn an_exchange_without_timeout_ends_when_any_port_has_something() {
        let config = NetworkConfig {
            listen: vec![([127, 0, 0, 1], 0).into()],
            ..NetworkConfig::default()
        };
        let pool = BlockPool::new(1 << 20);
        let reactor = Reactor::new(&config, &LimitsConfig::default(), pool.clone()).unwrap();
        let wake = wake_of(&reactor);
        let disk = DiskPort::new(Arc::clone(&wake), None, 1, pool.clone()).unwrap();
        let hash = HashPort::new(Arc::clone(&wake), 1, 1 << 20).unwrap();
        let tracker = TrackerPort::new(wake, None, None).unwrap();
        let mut ports = RealPorts::new(reactor, disk, hash, tracker);
        let node = NodeKey(0);
        let addr = ports.reactor().listen(node).unwrap()[0];
        let (mut inbox, mut outbox) = (Inbox::default(), Outbox::default());

        outbox.hash.push(HashJob {
            torrent: TorrentKey(1),
            piece: PieceIndex(2),
            number: 0,
            blocks: vec![pool.take(100).unwrap()],
            expected: [0; 20],
            digest_blocks: false,
        });
        while inbox.hash.is_empty() {
            ports.exchange(&mut outbox, &mut inbox, None);
        }
        assert!(!inbox.hash[0].good);

        let peer = PeerKey::outgoing(0);
        outbox.net.push(NetCommand::Connect { peer, node, addr });
        while inbox.net.len() < 2 {
            ports.exchange(&mut outbox, &mut inbox, None);
        }
        let connected =
            |event: &_| matches!(event, NetEvent::Connected { peer: got } if *got == peer);
        assert!(inbox.net.iter().any(connected));
        assert!(ports.clock() > EngineTime::START);
    }
}
