//! Jobs at one UDP tracker address until each has ended: who waits for what and how long, and when a
//! silent tracker is begun with anew. Neither sockets nor clocks: those are the caller's.

use std::collections::BTreeMap;
use std::time::Duration;

use dunlin_base::{EngineTime, RngStream};
use dunlin_port::tracker::TrackerError;
use dunlin_protocol::tracker::udp::{
    UdpJob, UdpJobError, UdpJobKey, UdpPacketError, UdpReply, UdpTrackerClient,
};
use dunlin_protocol::tracker::{AddressFamily, TrackerFailure};

/// How long a job may take: long enough for a second try (BEP 15 waits 15 s, then 30 s).
pub(crate) const PATIENCE: Duration = Duration::from_secs(50);
/// How long a goodbye may take, which keeps a person waiting and may get lost.
pub(crate) const GOODBYE_PATIENCE: Duration = Duration::from_secs(5);

/// Why a UDP tracker gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UdpError {
    #[error(transparent)]
    Job(#[from] UdpJobError),
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    #[error("{0}")]
    Socket(String),
}

impl From<UdpError> for TrackerError {
    fn from(error: UdpError) -> Self {
        match error {
            UdpError::Job(UdpJobError::Refused(TrackerFailure { reason, retry })) => {
                Self::Refused { reason, retry }
            }
            other => Self::Unreachable(other.to_string()),
        }
    }
}

/// What an answer to another kind of request than ours is.
pub(crate) fn nonsense() -> TrackerError {
    TrackerError::Unreachable("it answers something else than was asked".to_owned())
}

/// How a job ended.
pub(crate) type Answer = Result<UdpReply, UdpError>;

struct Waiting<T> {
    job: UdpJob,
    until: EngineTime,
    patience: Duration,
    who: T,
}

/// The jobs at one tracker address, each for somebody.
pub(crate) struct Errands<T> {
    family: AddressFamily,
    client: UdpTrackerClient,
    waiting: BTreeMap<UdpJobKey, Waiting<T>>,
    next_key: u64,
}

impl<T> Errands<T> {
    pub(crate) const fn new(family: AddressFamily) -> Self {
        Self {
            family,
            client: UdpTrackerClient::new(family),
            waiting: BTreeMap::new(),
            next_key: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Begins a job, which is given up after `patience`.
    pub(crate) fn begin(&mut self, now: EngineTime, job: UdpJob, patience: Duration, who: T) {
        let key = UdpJobKey(self.next_key);
        self.next_key += 1;
        let until = now + patience;
        self.client.begin(now, key, job.clone());
        let waiting = Waiting {
            job,
            until,
            patience,
            who,
        };
        self.waiting.insert(key, waiting);
    }

    /// The next datagram that should be sent now. Ask until there is none.
    pub(crate) fn poll_transmit(
        &mut self,
        now: EngineTime,
        luck: &mut RngStream,
    ) -> Option<Vec<u8>> {
        self.client.poll_transmit(now, luck)
    }

    /// Takes a datagram that came from the tracker's address.
    ///
    /// # Errors
    /// When it is none of BEP 15, or answers another kind of request than ours; it is dropped.
    pub(crate) fn receive(&mut self, now: EngineTime, packet: &[u8]) -> Result<(), UdpPacketError> {
        self.client.receive(now, packet)
    }

    /// Hands out what has ended, and ends what has taken too long or nobody waits for any more.
    pub(crate) fn settle(
        &mut self,
        now: EngineTime,
        is_gone: impl Fn(&T) -> bool,
    ) -> Vec<(T, Answer)> {
        let mut ended = Vec::new();
        while let Some((key, outcome)) = self.client.poll_outcome(now) {
            if let Some(waiting) = self.waiting.remove(&key) {
                ended.push((waiting.who, outcome.map_err(UdpError::Job)));
            }
        }
        let mut silent = false;
        let over = |waiting: &Waiting<T>| waiting.until <= now || is_gone(&waiting.who);
        for (key, waiting) in self.waiting.extract_if(.., |_, waiting| over(waiting)) {
            self.client.cancel(key);
            silent = true;
            ended.push((waiting.who, Err(UdpError::TimedOut(waiting.patience))));
        }
        if silent {
            self.begin_again(now);
        }
        ended
    }

    /// Drops the connection id or the wait for one. By BEP 15 a client waits up to an hour between
    /// tries, but here the engine decides when a silent tracker is asked again.
    fn begin_again(&mut self, now: EngineTime) {
        self.client = UdpTrackerClient::new(self.family);
        for (key, waiting) in &self.waiting {
            self.client.begin(now, *key, waiting.job.clone());
        }
    }

    /// Ends all jobs: the socket failed.
    pub(crate) fn fail_all(&mut self, error: &str) -> Vec<(T, Answer)> {
        let waiting = core::mem::take(&mut self.waiting);
        let failed = waiting.into_iter().map(|(key, waiting)| {
            self.client.cancel(key);
            (waiting.who, Err(UdpError::Socket(error.to_owned())))
        });
        failed.collect()
    }

    /// When something is due although nothing comes.
    pub(crate) fn deadline(&self) -> EngineTime {
        let patience = self.waiting.values().map(|waiting| waiting.until).min();
        let patience = patience.unwrap_or(EngineTime::NEVER);
        self.client.deadline().min(patience)
    }
}
