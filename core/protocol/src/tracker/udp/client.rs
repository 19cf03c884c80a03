//! The client's side of a UDP tracker as a state machine: one per tracker address, with any
//! number of announces and scrapes that share its connection id (BEP 15).
//!
//! The caller owns the socket and the clock: it sends what [`UdpTrackerClient::poll_transmit`]
//! gives, hands in what comes back, and wakes at [`UdpTrackerClient::deadline`].

use core::time::Duration;
use std::collections::VecDeque;

use dunlin_base::{EngineTime, InfoHash, RngStream};

use super::{UdpPacketError, UdpRequest, UdpResponse, response};
use crate::tracker::{
    AddressFamily, AnnounceReply, AnnounceRequest, Retry, SwarmCounts, TrackerFailure,
};

/// How long a client may use a connection id (BEP 15).
pub const CONNECTION_LIFETIME: Duration = Duration::from_secs(60);
/// The first wait for an answer; it doubles with every try (BEP 15: `15 * 2 ^ n`).
const FIRST_TIMEOUT: Duration = Duration::from_secs(15);
/// Tries of one request: `n` of BEP 15 goes from 0 to 8.
const TRIES_MAX: u32 = 9;

/// The caller's name for a job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UdpJobKey(pub u64);

/// What is asked of a tracker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UdpJob {
    /// An announce.
    Announce {
        /// What is announced.
        request: AnnounceRequest,
        /// Path and query of the tracker's URL (BEP 41); see
        /// [`TrackerUrl::url_data`](crate::tracker::TrackerUrl::url_data).
        url_data: Box<[u8]>,
    },
    /// A scrape of at most [`SCRAPE_HASHES_MAX`](crate::tracker::SCRAPE_HASHES_MAX) swarms.
    Scrape {
        /// Which swarms.
        info_hashes: Vec<InfoHash>,
    },
}

/// What a tracker answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UdpReply {
    /// To an announce.
    Announce(AnnounceReply),
    /// To a scrape, in the order of the request.
    Scrape(Vec<SwarmCounts>),
}

/// Why a job brought nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UdpJobError {
    /// No answer to any try.
    #[error("no answer after {TRIES_MAX} tries")]
    Timeout,
    /// The tracker refused.
    #[error(transparent)]
    Refused(#[from] TrackerFailure),
}

/// The client of one tracker address.
#[derive(Clone, Debug)]
pub struct UdpTrackerClient {
    family: AddressFamily,
    connection: Connection,
    jobs: Vec<Pending>,
    outcomes: VecDeque<(UdpJobKey, Result<UdpReply, UdpJobError>)>,
}

#[derive(Clone, Copy, Debug)]
enum Connection {
    Closed,
    Opening {
        transaction: u32,
        tries: u32,
        due: EngineTime,
    },
    Open {
        id: u64,
        until: EngineTime,
    },
}

#[derive(Clone, Debug)]
struct Pending {
    key: UdpJobKey,
    job: UdpJob,
    /// `None` until it was sent. The same for all tries, so that a late answer still counts.
    transaction: Option<u32>,
    tries: u32,
    due: EngineTime,
}

impl UdpTrackerClient {
    /// The client of a tracker that is reached over `family`.
    #[must_use]
    pub const fn new(family: AddressFamily) -> Self {
        Self {
            family,
            connection: Connection::Closed,
            jobs: Vec::new(),
            outcomes: VecDeque::new(),
        }
    }

    /// Begins a job. Its outcome comes out of [`poll_outcome`](Self::poll_outcome).
    pub fn begin(&mut self, now: EngineTime, key: UdpJobKey, job: UdpJob) {
        self.jobs.push(Pending {
            key,
            job,
            transaction: None,
            tries: 0,
            due: now,
        });
    }

    /// Forgets a job; it has no outcome.
    pub fn cancel(&mut self, key: UdpJobKey) {
        self.jobs.retain(|job| job.key != key);
        self.outcomes.retain(|(outcome, _)| *outcome != key);
        if self.jobs.is_empty() && matches!(self.connection, Connection::Opening { .. }) {
            // Tries that nobody waits for must not count against the next job.
            self.connection = Connection::Closed;
        }
    }

    /// Whether nothing is under way and no outcome waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.jobs.is_empty() && self.outcomes.is_empty()
    }

    /// The next datagram that should be sent now, if any. Ask until there is none.
    pub fn poll_transmit(&mut self, now: EngineTime, rng: &mut RngStream) -> Option<Vec<u8>> {
        self.give_up(now);
        let job = self.jobs.iter_mut().find(|job| job.due <= now)?;
        match &mut self.connection {
            Connection::Open { id, until } if now < *until => {
                let transaction = *job.transaction.get_or_insert_with(|| transaction(rng));
                job.due = now + timeout(job.tries);
                job.tries += 1;
                Some(job.job.request(*id, transaction).encode())
            }
            Connection::Opening {
                transaction,
                tries,
                due,
            } => {
                if now < *due {
                    return None;
                }
                *due = now + timeout(*tries);
                *tries += 1;
                let transaction = *transaction;
                Some(UdpRequest::Connect { transaction }.encode())
            }
            Connection::Closed | Connection::Open { .. } => {
                let transaction = transaction(rng);
                self.connection = Connection::Opening {
                    transaction,
                    tries: 1,
                    due: now + timeout(0),
                };
                Some(UdpRequest::Connect { transaction }.encode())
            }
        }
    }

    /// Takes a datagram that came from the tracker's address.
    ///
    /// An answer to no request of ours is dropped: it is late or forged.
    ///
    /// # Errors
    /// When the datagram is not of BEP 15, or answers another kind of request than ours.
    pub fn receive(&mut self, now: EngineTime, packet: &[u8]) -> Result<(), UdpPacketError> {
        let response = UdpResponse::decode(packet, self.family)?;
        if let Connection::Opening { transaction, .. } = self.connection
            && transaction == response.transaction()
        {
            return self.receive_connect(now, response);
        }
        let sent = Some(response.transaction());
        let Some(at) = self.jobs.iter().position(|job| job.transaction == sent) else {
            return Ok(());
        };
        let got = response.action();
        let answers_announce = self
            .jobs
            .get(at)
            .is_some_and(|pending| matches!(pending.job, UdpJob::Announce { .. }));
        let outcome = match response {
            UdpResponse::Announce {
                interval_secs,
                leechers,
                seeders,
                peers,
                ..
            } if answers_announce => Ok(UdpReply::Announce(response::announce_reply(
                interval_secs,
                leechers,
                seeders,
                peers,
            ))),
            UdpResponse::Scrape { swarms, .. } if !answers_announce => Ok(UdpReply::Scrape(swarms)),
            UdpResponse::Error { reason, .. } => {
                // Maybe the tracker forgot our connection id: the next job asks for a new one.
                self.connection = Connection::Closed;
                Err(refused(reason))
            }
            _ => return Err(UdpPacketError::Mismatch { got }),
        };
        let job = self.jobs.remove(at);
        self.outcomes.push_back((job.key, outcome));
        Ok(())
    }

    /// The next job that ended, with what came of it. Ask until there is none.
    pub fn poll_outcome(
        &mut self,
        now: EngineTime,
    ) -> Option<(UdpJobKey, Result<UdpReply, UdpJobError>)> {
        self.give_up(now);
        self.outcomes.pop_front()
    }

    /// When to poll again if nothing comes before.
    #[must_use]
    pub fn deadline(&self) -> EngineTime {
        match (&self.connection, self.outcomes.is_empty()) {
            (_, false) => EngineTime::START,
            // While there is no connection, jobs that are due can only wait for it.
            (Connection::Opening { due, .. }, true) if !self.jobs.is_empty() => *due,
            _ => {
                let due = self.jobs.iter().map(|job| job.due).min();
                due.unwrap_or(EngineTime::NEVER)
            }
        }
    }

    fn receive_connect(
        &mut self,
        now: EngineTime,
        response: UdpResponse,
    ) -> Result<(), UdpPacketError> {
        match response {
            UdpResponse::Connect { connection, .. } => {
                self.connection = Connection::Open {
                    id: connection,
                    until: now + CONNECTION_LIFETIME,
                };
                Ok(())
            }
            UdpResponse::Error { reason, .. } => {
                self.connection = Connection::Closed;
                self.fail_all(&refused(reason));
                Ok(())
            }
            other => Err(UdpPacketError::Mismatch {
                got: other.action(),
            }),
        }
    }

    /// Ends what has had its last try.
    fn give_up(&mut self, now: EngineTime) {
        if let Connection::Opening { tries, due, .. } = self.connection
            && tries >= TRIES_MAX
            && due <= now
        {
            self.connection = Connection::Closed;
            self.fail_all(&UdpJobError::Timeout);
        }
        let outcomes = &mut self.outcomes;
        self.jobs.retain(|job| {
            let ended = job.tries >= TRIES_MAX && job.due <= now;
            if ended {
                outcomes.push_back((job.key, Err(UdpJobError::Timeout)));
            }
            !ended
        });
    }

    fn fail_all(&mut self, error: &UdpJobError) {
        let jobs = self.jobs.drain(..);
        self.outcomes
            .extend(jobs.map(|job| (job.key, Err(error.clone()))));
    }
}

impl UdpJob {
    fn request(&self, connection: u64, transaction: u32) -> UdpRequest {
        match self.clone() {
            Self::Announce { request, url_data } => UdpRequest::Announce {
                connection,
                transaction,
                request,
                url_data,
            },
            Self::Scrape { info_hashes } => UdpRequest::Scrape {
                connection,
                transaction,
                info_hashes,
            },
        }
    }
}

/// BEP 15: `15 * 2 ^ n` seconds.
fn timeout(tries: u32) -> Duration {
    FIRST_TIMEOUT.saturating_mul(1 << tries.min(TRIES_MAX))
}

fn transaction(rng: &mut RngStream) -> u32 {
    (rng.next_u64() >> 32) as u32
}

fn refused(reason: String) -> UdpJobError {
    UdpJobError::Refused(TrackerFailure {
        reason,
        // BEP 31 is of HTTP trackers: nothing is said over UDP.
        retry: Retry::Unspecified,
    })
}
