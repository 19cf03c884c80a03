//! The tracker of a simulated swarm: the one that `dunlin tracker` runs, asked in its own words.

use core::time::Duration;
use std::net::IpAddr;

use dunlin_base::EngineTime;
use dunlin_port::tracker::{TrackerCommand, TrackerError, TrackerEvent};
use dunlin_protocol::tracker::AnnounceRequest;
use dunlin_protocol::tracker::http::{
    announce_url, parse_announce_query, parse_announce_reply, write_announce_reply,
};

use crate::tracker_server::{Families, Swarms, TrackerServerOptions};

/// Time between looks for peers that have not announced for too long.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// One tracker for all nodes.
pub(super) struct Tracker {
    swarms: Swarms,
    /// Until when it does not answer.
    down_until: EngineTime,
    /// When the silent are forgotten next.
    sweep_at: EngineTime,
}

impl Tracker {
    pub(super) fn new(options: TrackerServerOptions, seed: u64) -> Self {
        Self {
            swarms: Swarms::new(options, seed),
            down_until: EngineTime::START,
            sweep_at: EngineTime::START,
        }
    }

    /// Lets it answer nobody before `until`.
    pub(super) fn fail(&mut self, until: EngineTime) {
        self.down_until = until;
    }

    /// What it knows of swarms at this instant.
    pub(super) fn swarms(&mut self, now: EngineTime) -> &mut Swarms {
        if now >= self.sweep_at {
            self.sweep_at = now + SWEEP_INTERVAL;
            self.swarms.expire(now.since(EngineTime::START));
        }
        &mut self.swarms
    }

    /// Answers a command that comes from `from`. What is said goes through the codecs of HTTP
    /// trackers both ways.
    pub(super) fn answer(
        &mut self,
        now: EngineTime,
        from: IpAddr,
        command: TrackerCommand,
    ) -> TrackerEvent {
        let clock = now.since(EngineTime::START);
        let is_down = now < self.down_until;
        self.swarms(now);
        match command {
            TrackerCommand::Announce {
                torrent,
                tracker,
                url,
                request,
                ..
            } => {
                let result = if is_down {
                    Err(TrackerError::Unreachable("the tracker is down".to_owned()))
                } else {
                    self.announce(&url, &request, from, clock)
                };
                TrackerEvent::Announced {
                    torrent,
                    tracker,
                    result,
                }
            }
            TrackerCommand::Scrape {
                torrent,
                tracker,
                info_hash,
                ..
            } => {
                let counts = self.swarms.counts(info_hash);
                let result = if is_down {
                    Err(TrackerError::Unreachable("the tracker is down".to_owned()))
                } else {
                    Ok(counts)
                };
                TrackerEvent::Scraped {
                    torrent,
                    tracker,
                    result,
                }
            }
        }
    }

    fn announce(
        &mut self,
        url: &str,
        request: &AnnounceRequest,
        from: IpAddr,
        clock: Duration,
    ) -> Result<dunlin_protocol::tracker::AnnounceReply, TrackerError> {
        let broken = |error: &dyn core::fmt::Display| TrackerError::Unreachable(error.to_string());
        let url = announce_url(url, request);
        let (_, query) = url.split_once('?').unwrap_or((&url, ""));
        let heard = parse_announce_query(query).map_err(|error| broken(&error))?;
        let reply = self
            .swarms
            .announce(&heard, from, Families::Both, clock)
            .map_err(|error| broken(&error))?;
        parse_announce_reply(&write_announce_reply(&reply, true)).map_err(|error| broken(&error))
    }
}
