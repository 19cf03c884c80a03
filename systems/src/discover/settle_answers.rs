//! What trackers answered: times, counts, and addresses of peers.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::net::SocketAddr;

use bevy_ecs::prelude::*;
use dunlin_base::limits::TRACKER_PEER_PORT_MIN;
use dunlin_base::{EngineTime, TorrentKey};
use dunlin_components::node::{Identity, Luck};
use dunlin_components::torrent::{Candidates, Lifecycle, NodeOf, SwarmHash, Trackers};
use dunlin_components::world::{Now, PortInbox, PortOutbox, TorrentIndex, Work};
use dunlin_port::snapshot::{SessionEvent, TrackerCounts};
use dunlin_port::tracker::{SwarmCounts, TrackerCommand, TrackerError, TrackerEvent};
use dunlin_protocol::tracker::{AnnounceEvent, AnnounceReply, PeerFilter, TRACKER_ID_BYTES_MAX};

use super::policy;
use crate::journal::log_announced;

type Row = (
    &'static NodeOf,
    &'static SwarmHash,
    &'static Lifecycle,
    &'static mut Trackers,
    &'static mut Candidates,
);

pub(super) fn settle_answers(
    now: Res<'_, Now>,
    index: Res<'_, TorrentIndex>,
    mut inbox: ResMut<'_, PortInbox>,
    mut outbox: ResMut<'_, PortOutbox>,
    mut work: ResMut<'_, Work>,
    mut nodes: Query<'_, '_, (&Identity, &mut Luck)>,
    mut torrents: Query<'_, '_, Row>,
) {
    for event in inbox.0.tracker.drain(..) {
        let (TrackerEvent::Announced {
            torrent, tracker, ..
        }
        | TrackerEvent::Scraped {
            torrent, tracker, ..
        }) = event;
        let row = index
            .get(torrent)
            .and_then(|entity| torrents.get_mut(entity).ok());
        // The torrent may have been removed while the answer was under way.
        let Some((&NodeOf(node), info_hash, lifecycle, mut trackers, mut candidates)) = row else {
            continue;
        };
        let Ok((identity, mut luck)) = nodes.get_mut(node) else {
            continue;
        };
        let at = tracker as usize;
        match event {
            TrackerEvent::Scraped { result, .. } => count(&mut trackers, at, result),
            TrackerEvent::Announced { result, .. } => {
                let Some(asked) = trackers
                    .list
                    .get_mut(at)
                    .and_then(|row| row.under_way.take())
                else {
                    continue;
                };
                work.announce.insert(torrent);
                let url = &trackers.list[at].url;
                log_announced(torrent, url, &result);
                outbox.0.session.push(report(torrent, url, &result));
                match result {
                    Ok(reply) => {
                        let new = add_candidates(&mut candidates, identity, &reply, now.0);
                        if new && lifecycle.is_active() {
                            work.connect.insert(torrent);
                        }
                        if policy::wants_scrape(&trackers.list[at], asked, &reply) {
                            outbox.0.tracker.push(TrackerCommand::Scrape {
                                torrent,
                                tracker,
                                url: trackers.list[at].url.clone(),
                                info_hash: info_hash.0,
                            });
                        }
                        accept(&mut trackers, at, asked, reply, now.0, &mut luck);
                    }
                    Err(error) => refuse(&mut trackers, at, asked, &error, now.0),
                }
            }
        }
    }
}

fn report(
    torrent: TorrentKey,
    url: &str,
    result: &Result<AnnounceReply, TrackerError>,
) -> SessionEvent {
    let url = url.to_owned();
    match result {
        Ok(reply) => SessionEvent::TrackerReplied {
            torrent,
            url,
            peers: u32::try_from(reply.peers.len()).unwrap_or(u32::MAX),
        },
        Err(error) => SessionEvent::TrackerFailed {
            torrent,
            url,
            error: error.to_string(),
        },
    }
}

/// Keeps the addresses that are worth a connection; says whether any is new.
fn add_candidates(
    candidates: &mut Candidates,
    identity: &Identity,
    reply: &AnnounceReply,
    now: EngineTime,
) -> bool {
    let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let ips = loopback.into_iter().chain(reply.external_ip);
    let own: Vec<SocketAddr> = identity.listen_port.map_or_else(Vec::new, |port| {
        ips.map(|ip: IpAddr| SocketAddr::new(ip, port)).collect()
    });
    let filter = PeerFilter {
        own: &own,
        port_min: TRACKER_PEER_PORT_MIN,
    };
    let mut new = false;
    for &addr in &reply.peers {
        new |= filter.check(addr).is_ok() && candidates.add(addr, now);
    }
    new
}

fn accept(
    trackers: &mut Trackers,
    at: usize,
    asked: AnnounceEvent,
    reply: AnnounceReply,
    now: EngineTime,
    luck: &mut Luck,
) {
    let Trackers { list, announced } = trackers;
    let tracker = &mut list[at];
    if asked == AnnounceEvent::Stopped {
        say_goodbye(trackers, at, now);
        return;
    }
    // What an announce leaves out is as it was until a scrape says it anew.
    let known = |of: fn(&TrackerCounts) -> Option<u32>| match &tracker.last {
        Some(Ok(last)) => of(last),
        Some(Err(_)) | None => None,
    };
    tracker.last = Some(Ok(TrackerCounts {
        seeders: reply.seeders.or_else(|| known(|last| last.seeders)),
        leechers: reply.leechers.or_else(|| known(|last| last.leechers)),
        peers: u32::try_from(reply.peers.len()).unwrap_or(u32::MAX),
    }));
    if let Some(id) = reply.tracker_id
        && id.len() <= TRACKER_ID_BYTES_MAX
    {
        tracker.tracker_id = Some(id);
    }
    tracker.started = true;
    if asked == AnnounceEvent::Completed {
        announced.completed_due = false;
    }
    policy::succeed(
        tracker,
        now,
        reply.interval_secs,
        reply.min_interval_secs,
        &mut luck.discover,
    );
    policy::bring_forward(list, at);
}

fn refuse(
    trackers: &mut Trackers,
    at: usize,
    asked: AnnounceEvent,
    error: &TrackerError,
    now: EngineTime,
) {
    trackers.list[at].last = Some(Err(error.to_string()));
    if asked == AnnounceEvent::Stopped {
        // A farewell is said once: whoever did not hear it forgets us by itself.
        say_goodbye(trackers, at, now);
    } else {
        policy::fail(&mut trackers.list[at], now, error);
    }
}

/// The tracker does not count us any more: when the torrent comes back, it is told `started`.
fn say_goodbye(trackers: &mut Trackers, at: usize, now: EngineTime) {
    trackers.list[at].started = false;
    trackers.list[at].next_at = now;
}

/// Scraped counts replace announced ones; a scrape that failed says nothing of announces.
fn count(trackers: &mut Trackers, at: usize, result: Result<SwarmCounts, TrackerError>) {
    let Some(tracker) = trackers.list.get_mut(at) else {
        return;
    };
    let Ok(counts) = result else {
        tracker.no_scrapes = true;
        return;
    };
    let peers = match tracker.last {
        Some(Ok(last)) => last.peers,
        Some(Err(_)) | None => 0,
    };
    tracker.last = Some(Ok(TrackerCounts {
        seeders: Some(counts.seeders),
        leechers: Some(counts.leechers),
        peers,
    }));
}
