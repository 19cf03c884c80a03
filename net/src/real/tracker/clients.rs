//! One announce or scrape from its URL to its outcome.

use std::sync::Arc;
use std::time::Duration;

use dunlin_base::InfoHash;
use dunlin_port::tracker::{SwarmCounts, TrackerError};
use dunlin_protocol::tracker::http::{
    HttpReplyError, announce_url, parse_announce_reply, parse_scrape_reply, scrape_url,
};
use dunlin_protocol::tracker::udp::{UdpJob, UdpReply};
use dunlin_protocol::tracker::{
    AnnounceEvent, AnnounceReply, AnnounceRequest, TrackerFailure, TrackerScheme, TrackerUrl,
};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::errands::{GOODBYE_PATIENCE, PATIENCE, nonsense};
use super::http::{FetchError, Fetched, HttpClient, resolve};
use super::outlet::Outlet;
use super::tls::Tls;
use super::udp::UdpClients;

/// How long requests may take, redirects and all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Over HTTP and HTTPS.
    pub(super) http: Duration,
    /// Over UDP.
    pub(super) udp: Duration,
    /// For a goodbye.
    pub(super) stopped: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            http: Duration::from_secs(30),
            udp: PATIENCE,
            stopped: GOODBYE_PATIENCE,
        }
    }
}

/// Head start of a UDP tracker's first address before its second is asked as well.
const UDP_HEAD_START: Duration = Duration::from_secs(3);

/// The tracker clients of all kinds.
pub(super) struct Clients {
    outlet: Outlet,
    http: HttpClient,
    udp: Arc<UdpClients>,
    patience: Patience,
}

impl Clients {
    pub(super) fn new(outlet: Outlet) -> Self {
        Self::with(outlet, Tls::default(), Patience::default())
    }

    pub(super) fn with(outlet: Outlet, tls: Tls, patience: Patience) -> Self {
        Self {
            http: HttpClient::new(outlet.clone(), tls),
            udp: Arc::new(UdpClients::new(outlet.clone())),
            outlet,
            patience,
        }
    }

    pub(super) async fn announce(
        &self,
        tracker: &str,
        request: AnnounceRequest,
    ) -> Result<AnnounceReply, TrackerError> {
        let url = parse(tracker)?;
        let stopped = request.event == AnnounceEvent::Stopped;
        let patience = |usual| {
            if stopped {
                self.patience.stopped
            } else {
                usual
            }
        };
        if url.scheme() == TrackerScheme::Udp {
            let job = UdpJob::Announce {
                request,
                url_data: url.url_data().into_bytes().into(),
            };
            return match self.ask_udp(&url, job, patience(self.patience.udp)).await? {
                UdpReply::Announce(reply) => Ok(reply),
                UdpReply::Scrape(_) => Err(nonsense()),
            };
        }
        let url = parse(&announce_url(tracker, &request))?;
        let fetched = self.fetch(url, patience(self.patience.http)).await?;
        judge(&fetched, parse_announce_reply(&fetched.body))
    }

    pub(super) async fn scrape(
        &self,
        tracker: &str,
        info_hash: InfoHash,
    ) -> Result<SwarmCounts, TrackerError> {
        let url = parse(tracker)?;
        if url.scheme() == TrackerScheme::Udp {
            let job = UdpJob::Scrape {
                info_hashes: vec![info_hash],
            };
            return match self.ask_udp(&url, job, self.patience.udp).await? {
                UdpReply::Scrape(swarms) => swarms.first().copied().ok_or_else(nonsense),
                UdpReply::Announce(_) => Err(nonsense()),
            };
        }
        let Some(url) = scrape_url(tracker, &[info_hash]) else {
            return Err(TrackerError::Forbidden(
                "the tracker's URL tells of no scrapes (BEP 48)".into(),
            ));
        };
        let fetched = self.fetch(parse(&url)?, self.patience.http).await?;
        let reply = judge(&fetched, parse_scrape_reply(&fetched.body))?;
        // A tracker leaves out swarms that it does not know.
        let ours = reply.swarms.iter().find(|(hash, _)| *hash == info_hash);
        Ok(ours.map(|&(_, swarm)| swarm).unwrap_or_default())
    }

    async fn fetch(&self, url: TrackerUrl, patience: Duration) -> Result<Fetched, TrackerError> {
        match timeout(patience, self.http.fetch(url)).await {
            Ok(fetched) => fetched.map_err(fetch_error),
            Err(_) => Err(timed_out(patience)),
        }
    }

    async fn ask_udp(
        &self,
        url: &TrackerUrl,
        job: UdpJob,
        patience: Duration,
    ) -> Result<UdpReply, TrackerError> {
        let whole = async {
            let addresses = resolve(&self.outlet, url, None)
                .await
                .map_err(fetch_error)?;
            // One of each family: a tracker with two addresses is still one tracker.
            let first = addresses[0];
            let second = addresses
                .iter()
                .find(|addr| addr.is_ipv4() != first.is_ipv4());
            let mut attempts = JoinSet::new();
            for (n, &addr) in (0..).zip([&first].into_iter().chain(second)) {
                let (udp, job) = (Arc::clone(&self.udp), job.clone());
                attempts.spawn(async move {
                    sleep(UDP_HEAD_START * n).await;
                    udp.ask(addr, job, patience).await
                });
            }
            let mut last = nonsense();
            while let Some(attempt) = attempts.join_next().await {
                match attempt {
                    Ok(Ok(reply)) => return Ok(reply),
                    Ok(Err(error)) => match TrackerError::from(error) {
                        refused @ TrackerError::Refused { .. } => return Err(refused),
                        other => last = other,
                    },
                    Err(error) => last = TrackerError::Unreachable(error.to_string()),
                }
            }
            Err(last)
        };
        timeout(patience, whole)
            .await
            .unwrap_or_else(|_late| Err(timed_out(patience)))
    }
}

fn parse(url: &str) -> Result<TrackerUrl, TrackerError> {
    TrackerUrl::parse(url).map_err(|refusal| TrackerError::Forbidden(refusal.to_string()))
}

/// What an HTTP answer comes to. A refusal counts whatever status it came with: several trackers
/// send theirs with 4xx.
fn judge<T>(fetched: &Fetched, reply: Result<T, HttpReplyError>) -> Result<T, TrackerError> {
    match reply {
        Err(HttpReplyError::Refused(failure)) => Err(refused(failure)),
        _ if !fetched.status.is_success() => Err(TrackerError::Unreachable(format!(
            "it answers {}",
            fetched.status
        ))),
        reply => reply.map_err(|error| TrackerError::Unreachable(error.to_string())),
    }
}

fn fetch_error(error: FetchError) -> TrackerError {
    match error {
        FetchError::Refused(refusal) => TrackerError::Forbidden(refusal.to_string()),
        other => TrackerError::Unreachable(other.to_string()),
    }
}

fn refused(TrackerFailure { reason, retry }: TrackerFailure) -> TrackerError {
    TrackerError::Refused { reason, retry }
}

fn timed_out(patience: Duration) -> TrackerError {
    TrackerError::Unreachable(format!("no answer within {} s", patience.as_secs()))
}
