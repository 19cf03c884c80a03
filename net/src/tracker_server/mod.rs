//! A small tracker for private swarms, demonstrations and tests: HTTP (BEP 3, 7, 23, 48) and UDP
//! (BEP 15). It keeps everything in memory, and no more than its options allow.

use std::fmt::Display;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dunlin_protocol::tracker::{AnnounceReply, AnnounceRequest};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::oneshot;
use tokio::time::Instant;

pub(crate) use swarms::{Families, Swarms};
pub(crate) use udp::{SECRET_BYTES, answer as answer_datagram};

mod http;
mod swarms;
#[cfg(test)]
mod tests;
mod udp;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 256;

/// How a [`TrackerServer`] serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrackerServerOptions {
    /// When clients should announce again. Default 30 min.
    pub interval: Duration,
    /// How soon clients may announce again. Clients keep to it by themselves. Default 1 min.
    pub min_interval: Duration,
    /// Peers in an answer when the client names no number. Default 50.
    pub peers_per_reply: u32,
    /// Most peers in an answer. Default 200.
    pub peers_per_reply_max: u32,
    /// Most swarms; announces of others are refused. Default 100,000.
    pub torrents_max: usize,
    /// Most peers in all swarms together; further ones are refused. Default 1,000,000.
    pub peers_max: usize,
    /// Most HTTP connections at a time; further ones wait. Default 1,000.
    pub connections_max: usize,
}

impl Default for TrackerServerOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30 * 60),
            min_interval: Duration::from_secs(60),
            peers_per_reply: 50,
            peers_per_reply_max: 200,
            torrents_max: 100_000,
            peers_max: 1_000_000,
            connections_max: 1000,
        }
    }
}

impl TrackerServerOptions {
    /// How long a peer that is silent counts as there: one lost announce is forgiven.
    fn peer_lifetime(&self) -> Duration {
        self.interval * 2 + Duration::from_secs(30)
    }
}

/// What a tracker has done, and who is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TrackerServerStats {
    /// Swarms with peers.
    pub torrents: usize,
    /// Peers in all of them.
    pub peers: usize,
    /// Announces answered.
    pub announces: u64,
    /// Scrapes answered.
    pub scrapes: u64,
    /// Requests refused or not understood.
    pub refused: u64,
}

/// Where a tracker listens.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TrackerServerAddrs {
    /// Over HTTP: announces go to `/announce`.
    pub http: Vec<SocketAddr>,
    /// Over UDP.
    pub udp: Vec<SocketAddr>,
}

/// A tracker cannot listen at an address.
#[derive(Debug, thiserror::Error)]
pub enum TrackerServerError {
    /// An address is taken or not ours.
    #[error("cannot listen on {addr}: {error}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The system gives no thread, event queue or random numbers.
    #[error("cannot start the tracker: {0}")]
    Start(#[from] io::Error),
}

/// A tracker on a thread of its own. It stops when it is dropped.
pub struct TrackerServer {
    addrs: TrackerServerAddrs,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the tasks of a tracker share.
struct State {
    start: Instant,
    options: TrackerServerOptions,
    swarms: Mutex<Swarms>,
    announces: AtomicU64,
    scrapes: AtomicU64,
    refused: AtomicU64,
}

impl TrackerServer {
    /// Starts a tracker that listens at these addresses; port 0 takes any free one.
    ///
    /// # Errors
    /// When it cannot listen at one of them.
    pub fn start(
        http: Vec<SocketAddr>,
        udp: Vec<SocketAddr>,
        options: TrackerServerOptions,
    ) -> Result<Self, TrackerServerError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let seed = getrandom::u64().map_err(io::Error::other)?;
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut secret).map_err(io::Error::other)?;
        let state = Arc::new(State {
            start: Instant::now(),
            options,
            swarms: Mutex::new(Swarms::new(options, seed)),
            announces: AtomicU64::new(0),
            scrapes: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });

        let mut addrs = TrackerServerAddrs::default();
        let inside = runtime.enter();
        for addr in http {
            let listener =
                listen(addr).map_err(|error| TrackerServerError::Listen { addr, error })?;
            addrs.http.push(listener.local_addr()?);
            let listener = tokio::net::TcpListener::from_std(listener)?;
            runtime.spawn(http::serve(listener, Arc::clone(&state)));
        }
        for addr in udp {
            let socket = bind(addr).map_err(|error| TrackerServerError::Listen { addr, error })?;
            addrs.udp.push(socket.local_addr()?);
            let socket = tokio::net::UdpSocket::from_std(socket)?;
            runtime.spawn(udp::serve(socket, secret, Arc::clone(&state)));
        }
        drop(inside);

        let (stop, stopped) = oneshot::channel::<()>();
        let sweeper = Arc::clone(&state);
        let thread = thread::Builder::new()
            .name("dunlin-tracker-server".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = sweep(&sweeper) => {}
                        _dropped = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            addrs,
            state,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_addrs(&self) -> &TrackerServerAddrs {
        &self.addrs
    }

    /// What it has done until now.
    #[must_use]
    pub fn stats(&self) -> TrackerServerStats {
        self.state.stats()
    }
}

impl Drop for TrackerServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the tracker's thread had panicked");
        }
    }
}

impl State {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn swarms(&self) -> MutexGuard<'_, Swarms> {
        self.swarms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stats(&self) -> TrackerServerStats {
        let swarms = self.swarms();
        TrackerServerStats {
            torrents: swarms.torrents(),
            peers: swarms.peers(),
            announces: self.announces.load(Ordering::Relaxed),
            scrapes: self.scrapes.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

/// Who announced what, and what was answered.
fn log_announce(
    protocol: &str,
    from: IpAddr,
    request: &AnnounceRequest,
    reply: &Result<AnnounceReply, impl Display>,
) {
    match reply {
        Ok(reply) => tracing::debug!(
            protocol,
            %from,
            port = request.port,
            info_hash = %request.info_hash,
            event = ?request.event,
            left = request.left,
            peers = reply.peers.len(),
            seeders = reply.seeders,
            leechers = reply.leechers,
            "announce answered"
        ),
        Err(error) => tracing::debug!(
            protocol,
            %from,
            port = request.port,
            info_hash = %request.info_hash,
            why = %error,
            "announce refused"
        ),
    }
}

/// Forgets the silent, forever.
async fn sweep(state: &State) {
    let pause = (state.options.interval / 4).clamp(Duration::from_secs(1), Duration::from_secs(60));
    loop {
        tokio::time::sleep(pause).await;
        let now = state.now();
        state.swarms().expire(now);
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // A tracker that is started again must not wait for old connections to fade. (On Windows the
    // same option would let another program take the port.)
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    prepare(&socket, addr)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn bind(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    prepare(&socket, addr)?;
    Ok(socket.into())
}

fn prepare(socket: &Socket, addr: SocketAddr) -> io::Result<()> {
    if addr.is_ipv6() {
        // So the same port can be served over IPv4 by a socket of its own.
        socket.set_only_v6(true)?;
    }
    socket.bind(&addr.into())?;
    socket.set_nonblocking(true)
}
