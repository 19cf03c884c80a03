//! Asks UDP trackers (BEP 15): one task and one socket for each tracker address, so that all
//! torrents of a tracker share its connection id.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dunlin_base::{EngineTime, NodeKey, RngStream, StreamName};
use dunlin_protocol::tracker::AddressFamily;
use dunlin_protocol::tracker::udp::{CONNECTION_LIFETIME, UdpJob};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::errands::{Answer, Errands, UdpError};
use super::outlet::Outlet;

/// Most tracker addresses whose socket and connection id are kept for the next announce.
const KEPT_MAX: usize = 256;
/// Jobs that wait for one address's task to take them.
const JOBS_WAITING_MAX: usize = 16;
/// Largest answer that is taken: more than [`dunlin_base::limits::TRACKER_PEERS_MAX`] IPv6 peers
/// do not fit in a datagram anyway.
const DATAGRAM_BYTES_MAX: usize = 64 * 1024;

struct Errand {
    job: UdpJob,
    patience: Duration,
    answer: oneshot::Sender<Answer>,
}

/// The UDP tracker clients, by the tracker's address.
pub(super) struct UdpClients {
    outlet: Outlet,
    clients: Mutex<BTreeMap<SocketAddr, mpsc::Sender<Errand>>>,
}

impl UdpClients {
    pub(super) fn new(outlet: Outlet) -> Self {
        Self {
            outlet,
            clients: Mutex::default(),
        }
    }

    /// Does one job at one tracker address; gives up after `patience`.
    pub(super) async fn ask(&self, addr: SocketAddr, job: UdpJob, patience: Duration) -> Answer {
        let gone = || UdpError::Socket("its client ended".to_owned());
        let client = self
            .client(addr)
            .await
            .map_err(|error| UdpError::Socket(error.to_string()))?;
        let (answer, answered) = oneshot::channel();
        client
            .send(Errand {
                job,
                patience,
                answer,
            })
            .await
            .map_err(|_gone| gone())?;
        answered.await.unwrap_or_else(|_gone| Err(gone()))
    }

    async fn client(&self, addr: SocketAddr) -> io::Result<mpsc::Sender<Errand>> {
        if let Some(client) = self.kept().get(&addr).filter(|client| !client.is_closed()) {
            return Ok(client.clone());
        }
        let socket = self.outlet.udp(addr).await?;
        let (errands, arriving) = mpsc::channel(JOBS_WAITING_MAX);
        // Who could guess the transaction numbers could answer in the tracker's place.
        let seed = getrandom::u64().map_err(io::Error::other)?;
        tokio::spawn(Endpoint::new(socket, addr, arriving, seed).run());
        let mut clients = self.kept();
        clients.retain(|_, client| !client.is_closed());
        // A client that is not kept ends as soon as its job has.
        if clients.len() < KEPT_MAX {
            clients.insert(addr, errands.clone());
        }
        Ok(errands)
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, mpsc::Sender<Errand>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One tracker address: its socket, its connection id and who waits for it.
struct Endpoint {
    socket: UdpSocket,
    errands: mpsc::Receiver<Errand>,
    waiting: Errands<oneshot::Sender<Answer>>,
    luck: RngStream,
    start: Instant,
}

impl Endpoint {
    fn new(
        socket: UdpSocket,
        addr: SocketAddr,
        errands: mpsc::Receiver<Errand>,
        seed: u64,
    ) -> Self {
        Self {
            socket,
            errands,
            waiting: Errands::new(AddressFamily::of(addr.ip())),
            luck: RngStream::new(seed, NodeKey(0), StreamName::Discover),
            start: Instant::now(),
        }
    }

    fn now(&self) -> EngineTime {
        EngineTime::START + self.start.elapsed()
    }

    /// Runs until nothing was asked for as long as a connection id lives.
    async fn run(mut self) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        let mut idle_until = self.start + CONNECTION_LIFETIME;
        loop {
            if let Err(error) = self.transmit().await {
                self.fail_all(&error);
            }
            self.settle();
            if !self.waiting.is_empty() {
                idle_until = Instant::now() + CONNECTION_LIFETIME;
            }
            let idle = self.waiting.is_empty();
            let wake = if idle { idle_until } else { self.wake() };
            tokio::select! {
                errand = self.errands.recv() => match errand {
                    Some(errand) => self.begin(errand),
                    None if idle => return,
                    // Nobody can ask any more, but somebody still waits.
                    None => self.receive_until(wake, &mut buffer).await,
                },
                received = self.socket.recv(&mut buffer) => self.receive(received, &buffer),
                () = sleep_until(wake) => if idle { return },
            }
        }
    }

    async fn receive_until(&mut self, wake: Instant, buffer: &mut [u8]) {
        tokio::select! {
            received = self.socket.recv(buffer) => self.receive(received, buffer),
            () = sleep_until(wake) => {}
        }
    }

    fn begin(&mut self, errand: Errand) {
        let Errand {
            job,
            patience,
            answer,
        } = errand;
        let now = self.now();
        self.waiting.begin(now, job, patience, answer);
    }

    async fn transmit(&mut self) -> io::Result<()> {
        while let Some(packet) = self.waiting.poll_transmit(self.now(), &mut self.luck) {
            self.socket.send(&packet).await?;
        }
        Ok(())
    }

    fn receive(&mut self, received: io::Result<usize>, buffer: &[u8]) {
        let packet = match received {
            Ok(len) => &buffer[..len],
            // The socket is connected: the error is the tracker's host saying that nobody listens.
            Err(error) => return self.fail_all(&error),
        };
        if let Err(error) = self.waiting.receive(self.now(), packet) {
            tracing::debug!("dropped a datagram of a tracker: {error}");
        }
    }

    /// Hands out what has ended.
    fn settle(&mut self) {
        let now = self.now();
        let gone = |answer: &oneshot::Sender<Answer>| answer.is_closed();
        tell(self.waiting.settle(now, gone));
    }

    fn fail_all(&mut self, error: &io::Error) {
        tell(self.waiting.fail_all(&error.to_string()));
    }

    /// When something is due although nothing comes.
    fn wake(&self) -> Instant {
        self.start + self.waiting.deadline().since(EngineTime::START)
    }
}

fn tell(ended: Vec<(oneshot::Sender<Answer>, Answer)>) {
    for (answer, outcome) in ended {
        // Who asked may have given up.
        drop(answer.send(outcome));
    }
}
