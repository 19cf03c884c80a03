//! The TCP reactor: carries peer connections between the kernel and the engine's commands and
//! events, on the engine's own thread.
//!
//! It sleeps only inside [`Reactor::poll`], and there no longer than until its next deadline. It
//! reads the clock for its deadlines; everything else that happens follows from what the kernel
//! and the engine say.
//!
//! Bounds: how much is read from one connection per poll, how many events wait in the inbox, how
//! many blocks are in motion (the pool), how much waits for a peer that does not read, how many
//! strangers are in the door. A bound that is reached leaves bytes in the kernel or costs the
//! connection; nothing grows.

mod admission;
mod connection;
mod deadlines;
mod inflow;
mod landing;
mod listeners;
mod outflow;
mod pace;
mod receive;
mod send;
mod slots;
mod socket;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dunlin_base::PeerKey;
use dunlin_port::BlockPool;
use dunlin_port::config::{LimitsConfig, NetworkConfig};
use dunlin_port::net::{CloseReason, NetCommand, NetEvent};
use dunlin_protocol::wire::{Message, piece_header};
use mio::{Events, Interest, Poll, Token, Waker};

use admission::Admission;
use connection::{Connection, Phase};
use deadlines::Deadlines;
use listeners::Listener;
use pace::Pace;
use slots::{Slots, Subject, WAKER};
use socket::Binding;

pub(crate) use inflow::{Inflow, Pulled};
pub(crate) use landing::Landing;
pub(crate) use outflow::Outflow;
pub(crate) use send::UNREAD_BYTES_MAX;
pub use socket::OpenError;

/// Time for a handshake, from the moment when the connection stands.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Kernel events per poll.
const EVENTS: usize = 1024;

/// The network port over TCP sockets.
pub struct Reactor {
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
    binding: Binding,
    addresses: Vec<SocketAddr>,
    /// Whether a port that is taken is given up for another one.
    listen_moves: bool,
    listeners: Vec<Listener>,
    slots: Slots,
    peers: HashMap<PeerKey, usize>,
    accepted: u64,
    admission: Admission,
    connecting: Deadlines,
    greeting_in: Deadlines,
    greeting_out: Deadlines,
    landing: Landing,
    pace: Pace,
    /// Slots that may have something to read.
    turns: VecDeque<usize>,
    /// Slots that may have something to write.
    flushes: Vec<usize>,
    /// Connections of which the engine has to hear.
    reports: Vec<PeerKey>,
    /// Connections that failed before there was a socket to report on.
    unborn: Vec<(PeerKey, CloseReason)>,
    /// When to go on with what the last poll left.
    again: Option<Duration>,
    /// When connections were last looked at for buffers that they keep, because there were none.
    clinging_at: Option<Instant>,
}

impl Reactor {
    /// A reactor without connections. Payload goes into buffers of `pool`.
    ///
    /// # Errors
    /// When the system has no poll for us, or sockets cannot be bound as configured.
    pub fn new(
        config: &NetworkConfig,
        limits: &LimitsConfig,
        pool: BlockPool,
    ) -> Result<Self, OpenError> {
        let poll = Poll::new().map_err(OpenError::Poll)?;
        let waker = Waker::new(poll.registry(), WAKER).map_err(OpenError::Poll)?;
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            waker: Arc::new(waker),
            binding: Binding::new(config)?,
            addresses: config.listen.clone(),
            listen_moves: config.listen_moves(),
            listeners: Vec::new(),
            slots: Slots::default(),
            peers: HashMap::new(),
            accepted: 0,
            admission: Admission::new(limits),
            connecting: Deadlines::new(Duration::from_secs(config.connect_timeout_secs)),
            greeting_in: Deadlines::new(HANDSHAKE_TIMEOUT),
            greeting_out: Deadlines::new(HANDSHAKE_TIMEOUT),
            landing: Landing::new(pool),
            pace: Pace::new(Instant::now()),
            turns: VecDeque::new(),
            flushes: Vec::new(),
            reports: Vec::new(),
            unborn: Vec::new(),
            again: None,
            clinging_at: None,
        })
    }

    /// Ends a [`Reactor::poll`] that waits on another thread, or else the next one.
    #[must_use]
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Takes changed limits.
    pub fn set_limits(&mut self, limits: &LimitsConfig) {
        self.admission.per_address_max = limits.pending_handshakes_per_address;
    }

    /// Carries out commands in order. What the engine has to hear of them comes with the next
    /// [`Reactor::poll`].
    pub fn execute(&mut self, commands: &mut Vec<NetCommand>) {
        for command in commands.drain(..) {
            match command {
                NetCommand::Connect {
                    peer,
                    node: _,
                    addr,
                } => self.connect(peer, addr),
                NetCommand::Handshake { peer, handshake } => self.queue(peer, |outflow| {
                    outflow.push_plain(|plain| plain.extend_from_slice(&handshake.encode()));
                }),
                NetCommand::Send { peer, message } => {
                    if let Message::Request(_) = message
                        && let Some(slot) = self.peers.get(&peer)
                        && let Some(connection) = self.slots.get_mut(*slot)
                    {
                        connection.inflow.ask();
                    }
                    self.queue(peer, |outflow| outflow.push_message(&message));
                }
                NetCommand::SendBlock {
                    peer,
                    piece,
                    begin,
                    payload,
                } => {
                    self.queue(peer, |outflow| {
                        let header = piece_header(piece.0, begin, payload.len() as u32);
                        outflow.push_block(header, payload);
                    });
                }
                NetCommand::Close { peer } => self.close(peer),
            }
        }
        self.flush_all();
    }

    /// Waits until the kernel, a waker or a deadline has something, at most for `timeout`, and
    /// tells the inbox what there is.
    ///
    /// # Panics
    /// When the kernel refuses to poll, which only a mistake of ours can bring about.
    pub fn poll(&mut self, timeout: Option<Duration>, inbox: &mut VecDeque<NetEvent>) {
        let timeout = self.shorten(timeout);
        let timeout = self.gather(timeout);
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => self.events.clear(),
            Err(error) => panic!("cannot poll: {error}"),
        }
        self.again = None;
        self.sort_events();
        self.accept_all(inbox);
        self.receive_all(inbox);
        self.flush_all();
        self.expire();
        self.report_all(inbox);
        self.landing.release();
        self.pace
            .note(Instant::now(), mem::take(&mut self.landing.read_bytes));
    }

    /// Lets a fast stream gather, but not beyond the timeout, of which the rest is left.
    fn gather(&mut self, timeout: Option<Duration>) -> Option<Duration> {
        let pause = self.pace.pause(Instant::now());
        let pause = timeout.map_or(pause, |timeout| timeout.min(pause));
        if !pause.is_zero() {
            thread::sleep(pause);
        }
        timeout.map(|timeout| timeout.saturating_sub(pause))
    }

    /// How long the kernel may let us sleep.
    fn shorten(&mut self, timeout: Option<Duration>) -> Option<Duration> {
        if !self.reports.is_empty() || !self.unborn.is_empty() {
            return Some(Duration::ZERO);
        }
        let (slots, peers) = (&mut self.slots, &self.peers);
        let mut phase = |peer: PeerKey| Some(slots.get_mut(*peers.get(&peer)?)?.phase);
        let connecting = self
            .connecting
            .next(|peer| phase(peer) == Some(Phase::Connecting));
        let mut greets = |peer| matches!(phase(peer), Some(Phase::Greeting { .. }));
        let greeting_in = self.greeting_in.next(&mut greets);
        let greeting_out = self.greeting_out.next(&mut greets);
        let listening = self
            .listeners
            .iter()
            .filter_map(|listener| listener.rests_until)
            .min();
        let deadlines = [connecting, greeting_in, greeting_out, listening];
        let deadline = deadlines.into_iter().flatten().min();
        let now = Instant::now();
        let deadline = deadline.map(|deadline| deadline.saturating_duration_since(now));
        [timeout, self.again, deadline].into_iter().flatten().min()
    }

    /// Notes for each event who has to be served.
    fn sort_events(&mut self) {
        for event in &self.events {
            let slot = match event.token().into() {
                Subject::Waker => continue,
                Subject::Listener(number) => {
                    self.listeners[number].ready = true;
                    continue;
                }
                Subject::Connection(slot) => slot,
            };
            let Some(connection) = self.slots.get_mut(slot) else {
                continue;
            };
            connection.ending |= event.is_read_closed() || event.is_error();
            if !mem::replace(&mut connection.in_turn, true) {
                self.turns.push_back(slot);
            }
            if event.is_writable() && !mem::replace(&mut connection.in_flush, true) {
                self.flushes.push(slot);
            }
        }
    }

    fn go_on_within(&mut self, wait: Duration) {
        self.again = Some(self.again.map_or(wait, |again| again.min(wait)));
    }

    /// Ends what took too long.
    fn expire(&mut self) {
        let now = Instant::now();
        while let Some(peer) = self.connecting.pop_due(now) {
            self.fail_if(peer, CloseReason::ConnectTimeout, |phase| {
                phase == Phase::Connecting
            });
        }
        while let Some(peer) = self.greeting_in.pop_due(now) {
            self.fail_greeting(peer);
        }
        while let Some(peer) = self.greeting_out.pop_due(now) {
            self.fail_greeting(peer);
        }
    }

    /// Ends a connection if its handshake is still not complete; says whether it was so.
    fn fail_greeting(&mut self, peer: PeerKey) -> bool {
        let reason = CloseReason::Broken("no complete handshake in time".to_owned());
        self.fail_if(peer, reason, |phase| {
            matches!(phase, Phase::Greeting { .. })
        })
    }

    fn fail_if(
        &mut self,
        peer: PeerKey,
        reason: CloseReason,
        test: impl Fn(Phase) -> bool,
    ) -> bool {
        if let Some(&slot) = self.peers.get(&peer)
            && let Some(connection) = self.slots.get_mut(slot)
            && test(connection.phase)
        {
            self.fail(slot, reason);
            return true;
        }
        false
    }

    /// Ends a connection; the engine hears of it with the next report.
    fn fail(&mut self, slot: usize, reason: CloseReason) {
        if let Some(connection) = self.slots.get_mut(slot) {
            connection.failure.get_or_insert(reason);
            self.report(slot);
        }
    }

    fn report(&mut self, slot: usize) {
        if let Some(connection) = self.slots.get_mut(slot)
            && !mem::replace(&mut connection.in_report, true)
        {
            self.reports.push(connection.peer);
        }
    }

    /// Tells what was sent and who is gone.
    fn report_all(&mut self, inbox: &mut VecDeque<NetEvent>) {
        let unborn = self.unborn.drain(..);
        inbox.extend(unborn.map(|(peer, reason)| NetEvent::Closed { peer, reason }));
        let mut reports = mem::take(&mut self.reports);
        for peer in reports.drain(..) {
            let Some(&slot) = self.peers.get(&peer) else {
                continue;
            };
            let Some(connection) = self.slots.get_mut(slot) else {
                continue;
            };
            connection.in_report = false;
            let bytes = mem::take(&mut connection.sent_bytes);
            if bytes > 0 {
                inbox.push_back(NetEvent::Sent { peer, bytes });
            }
            if let Some(reason) = connection.failure.take() {
                inbox.push_back(NetEvent::Closed { peer, reason });
                self.remove(slot);
            }
        }
        self.reports = reports;
    }

    fn connect(&mut self, peer: PeerKey, addr: SocketAddr) {
        let stream = self.binding.connect(addr);
        match stream.and_then(|stream| self.insert(peer, stream, Phase::Connecting)) {
            Ok(()) => self.connecting.start(Instant::now(), peer),
            Err(error) => {
                self.unborn
                    .push((peer, CloseReason::Unreachable(error.to_string())));
            }
        }
    }

    /// Takes a connection in.
    fn insert(
        &mut self,
        peer: PeerKey,
        mut stream: mio::net::TcpStream,
        phase: Phase,
    ) -> io::Result<()> {
        let slot = self.slots.next();
        // Both directions once and for all: edges cost nothing while there is nothing to do.
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(slot), interest)?;
        self.slots.insert(Connection::new(peer, stream, phase));
        let earlier = self.peers.insert(peer, slot);
        assert_eq!(earlier, None, "{peer} is used twice");
        Ok(())
    }

    /// Forgets a connection, which closes its socket.
    fn remove(&mut self, slot: usize) {
        let Some(mut connection) = self.slots.remove(slot) else {
            return;
        };
        self.peers.remove(&connection.peer);
        if let Phase::Greeting {
            counted: Some(from),
        } = connection.phase
        {
            self.admission.leave(from);
        }
        if let Err(error) = self.poll.registry().deregister(&mut connection.stream) {
            tracing::debug!(peer = %connection.peer, %error, "socket was not in the poll");
        }
    }

    /// Closes a connection at the engine's word, and tells nothing more of it. What is queued is
    /// sent as far as the kernel takes it at once.
    fn close(&mut self, peer: PeerKey) {
        self.unborn.retain(|(unborn, _)| *unborn != peer);
        if let Some(&slot) = self.peers.get(&peer) {
            self.flush(slot);
            self.remove(slot);
        }
    }
}
