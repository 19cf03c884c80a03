//! Accepts connections: so many per poll, resting while the system has no room for more.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dunlin_base::{NodeKey, PeerKey};
use dunlin_port::net::NetEvent;
use mio::Interest;
use mio::net::{TcpListener, TcpStream};

use super::admission::Verdict;
use super::connection::Phase;
use super::slots::listener_token;
use super::{OpenError, Reactor, socket};

/// Connections that one listener accepts per poll.
const ACCEPTS_PER_POLL: usize = 64;

/// How long a listener rests when the system refuses another socket (too many open files, no
/// memory): trying at once would only refuse again.
const REST: Duration = Duration::from_millis(500);

/// A socket that others connect to.
pub(super) struct Listener {
    socket: TcpListener,
    node: NodeKey,
    /// Somebody may be waiting.
    pub(super) ready: bool,
    pub(super) rests_until: Option<Instant>,
}

impl Reactor {
    /// Listens on the configured addresses for a node and says where; addresses that share a
    /// configured port share the one that is found free.
    ///
    /// An address that is refused is logged while another one works: not every computer has IPv6.
    ///
    /// # Errors
    /// When addresses are configured and none works: why the first did not. When a port that was
    /// chosen is taken.
    pub fn listen(&mut self, node: NodeKey) -> Result<Vec<SocketAddr>, OpenError> {
        let mut wanted = self.addresses.clone();
        wanted.sort_by_key(SocketAddr::port);
        let (mut found, mut refused) = (Vec::new(), Vec::new());
        for group in wanted.chunk_by(|a, b| a.port() == b.port()) {
            let opened = self.binding.listen(group, self.listen_moves);
            for (result, &address) in opened.into_iter().zip(group) {
                let added = result.and_then(|listener| {
                    let added = self.add_listener(listener, node);
                    added.map_err(|source| OpenError::Listen { address, source })
                });
                match added {
                    Ok(address) => found.push(address),
                    Err(error @ OpenError::PortTaken { .. }) => return Err(error),
                    Err(error) => refused.push(error),
                }
            }
        }
        if found.is_empty() && !refused.is_empty() {
            return Err(refused.swap_remove(0));
        }
        for error in refused {
            tracing::warn!("{error}");
        }
        Ok(found)
    }

    fn add_listener(&mut self, mut socket: TcpListener, node: NodeKey) -> io::Result<SocketAddr> {
        let address = socket.local_addr()?;
        let token = listener_token(self.listeners.len());
        self.poll
            .registry()
            .register(&mut socket, token, Interest::READABLE)?;
        self.listeners.push(Listener {
            socket,
            node,
            ready: false,
            rests_until: None,
        });
        Ok(address)
    }

    /// Accepts those who wait.
    pub(super) fn accept_all(&mut self, inbox: &mut VecDeque<NetEvent>) {
        for number in 0..self.listeners.len() {
            let listener = &mut self.listeners[number];
            if listener
                .rests_until
                .is_some_and(|until| until <= Instant::now())
            {
                listener.rests_until = None;
                listener.ready = true;
            }
            if listener.ready && listener.rests_until.is_none() {
                self.accept_from(number, inbox);
            }
        }
    }

    fn accept_from(&mut self, number: usize, inbox: &mut VecDeque<NetEvent>) {
        for _ in 0..ACCEPTS_PER_POLL {
            let listener = &mut self.listeners[number];
            let error = match listener.socket.accept() {
                Ok((stream, from)) => {
                    let node = listener.node;
                    self.admit(node, stream, from, inbox);
                    continue;
                }
                Err(error) => error,
            };
            match error.kind() {
                ErrorKind::WouldBlock => {
                    listener.ready = false;
                    return;
                }
                // Whoever it was is gone again.
                ErrorKind::Interrupted
                | ErrorKind::ConnectionAborted
                | ErrorKind::ConnectionReset => {}
                _ => {
                    tracing::warn!(%error, "cannot accept connections, trying again soon");
                    listener.rests_until = Some(Instant::now() + REST);
                    return;
                }
            }
        }
        self.go_on_within(Duration::ZERO);
    }

    /// Takes somebody in who has connected, unless too many of them wait in the door.
    fn admit(
        &mut self,
        node: NodeKey,
        stream: TcpStream,
        from: SocketAddr,
        inbox: &mut VecDeque<NetEvent>,
    ) {
        match self.admission.judge(from.ip()) {
            Verdict::Admit => {}
            Verdict::AdmitForOldest => self.turn_out_oldest(inbox),
            Verdict::Refuse => {
                tracing::debug!(%from, "refused: too many connections without a handshake");
                return;
            }
        }
        let peer = PeerKey::incoming(self.accepted);
        let phase = Phase::Greeting {
            counted: Some(from.ip()),
        };
        let prepared = socket::prepare_accepted(&stream);
        if let Err(error) = prepared.and_then(|()| self.insert(peer, stream, phase)) {
            tracing::debug!(%from, %error, "cannot use an accepted connection");
            return;
        }
        self.accepted += 1;
        self.admission.enter(from.ip());
        self.greeting_in.start(Instant::now(), peer);
        inbox.push_back(NetEvent::Accepted {
            peer,
            node,
            addr: from,
        });
    }

    /// Ends the accepted connection that has waited longest for its handshake.
    fn turn_out_oldest(&mut self, inbox: &mut VecDeque<NetEvent>) {
        while let Some(peer) = self.greeting_in.pop_oldest() {
            if self.fail_greeting(peer) {
                self.report_all(inbox);
                return;
            }
        }
    }
}
