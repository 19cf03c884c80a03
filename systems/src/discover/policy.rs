//! Which tracker is next, when, and with which news: pure functions over the list of trackers.

use core::time::Duration;

use dunlin_base::{EngineTime, RngStream};
use dunlin_components::torrent::{Announced, Tracker};
use dunlin_port::tracker::{Retry, TrackerError};
use dunlin_protocol::tracker::{AnnounceEvent, AnnounceReply};

/// Shortest time between two announces that we believe a tracker to want.
const INTERVAL_SECS_MIN: u64 = 60;
/// Longest.
const INTERVAL_SECS_MAX: u64 = 24 * 3600;
/// Interval of a reply that names none.
const INTERVAL_SECS_DEFAULT: u64 = 1800;
/// A tracker that was told `stopped` is not told `started` sooner, however often a torrent is
/// stopped and resumed.
const RESTART_SECS_MIN: u64 = 60;
/// With fewer peers, or none that has anything for it, a download asks for more (BEP 3's client called 20 the minimum).
const PEERS_FEW: u32 = 20;
/// Time between announces while there are so few, unless the tracker's minimum is longer.
const FEW_PEERS_INTERVAL_SECS: u64 = 300;
/// First term of the back-off after failures.
const BACK_OFF_SECS_MIN: u64 = 5;
/// Longest back-off.
const BACK_OFF_SECS_MAX: u64 = 3600;
/// Announces drift apart by up to this, or a 32nd of the interval, so that torrents that were
/// started together do not stay together.
const JITTER_SECS_MAX: u64 = 60;

/// What to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Ask the tracker of this number.
    Ask(usize, AnnounceEvent),
    /// Nothing before this time; [`EngineTime::NEVER`] when an answer is under way or no tracker
    /// is left.
    Wait(EngineTime),
}

/// The numbers of trackers in the order in which they are tried.
fn in_order(list: &[Tracker]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..list.len()).collect();
    order.sort_by_key(|&at| (list[at].tier, list[at].turn));
    order
}

/// The next step of a torrent that takes part in its swarm. `few` says how many peers it is connected
/// to if it needs more.
pub(super) fn next_step(
    list: &[Tracker],
    announced: &Announced,
    few: Option<u32>,
    now: EngineTime,
) -> Step {
    // One at a time: whether the next one is needed depends on the answer.
    if list.iter().any(|tracker| tracker.under_way.is_some()) {
        return Step::Wait(EngineTime::NEVER);
    }
    let mut earliest = EngineTime::NEVER;
    for at in in_order(list) {
        let tracker = &list[at];
        if tracker.never {
            continue;
        }
        let (due_at, event) = due(tracker, announced, few, now);
        if due_at <= now {
            return Step::Ask(at, event);
        }
        if tracker.failures == 0 {
            // It works. Those before it that do not are tried again when its turn comes (BEP 12).
            return Step::Wait(due_at);
        }
        earliest = earliest.min(due_at);
    }
    Step::Wait(earliest)
}

/// When a tracker is due, and with which news.
fn due(
    tracker: &Tracker,
    announced: &Announced,
    few: Option<u32>,
    now: EngineTime,
) -> (EngineTime, AnnounceEvent) {
    let works = tracker.failures == 0;
    if !tracker.started {
        let restart_at = match tracker.asked_at {
            Some(asked_at) if works => asked_at + Duration::from_secs(RESTART_SECS_MIN),
            _ => EngineTime::START,
        };
        return (tracker.next_at.max(restart_at), AnnounceEvent::Started);
    }
    if announced.completed_due {
        let at = if works { now } else { tracker.next_at };
        return (at, AnnounceEvent::Completed);
    }
    let at = match (few, tracker.asked_at) {
        (Some(connected), Some(asked_at)) if works && knows_more(tracker, connected) => {
            let soon = asked_at + Duration::from_secs(FEW_PEERS_INTERVAL_SECS);
            tracker.next_at.min(soon.max(tracker.min_at))
        }
        _ => tracker.next_at,
    };
    (at, AnnounceEvent::None)
}

/// Whether a tracker counts more peers than we and those that we are connected to.
fn knows_more(tracker: &Tracker, connected: u32) -> bool {
    let Some(Ok(last)) = &tracker.last else {
        return false;
    };
    let count = |of: Option<u32>| u64::from(of.unwrap_or(0));
    count(last.seeders) + count(last.leechers) > u64::from(connected) + 1
}

/// Whether a downloading torrent has so few peers that it needs more before its tracker's interval is
/// over: those it began with leave when they are complete, and who has not heard of those that came
/// since is left alone. BEP 3 lets a client ask out of turn that needs more peers.
pub(super) const fn needs_peers(connected: u32, connections_max: u32) -> bool {
    connected < PEERS_FEW && connected < connections_max / 2
}

/// The trackers that are to be told that a torrent leaves. They are told at the same time: nobody
/// waits for the answers.
pub(super) fn farewells(list: &[Tracker]) -> Vec<usize> {
    let due = |&at: &usize| owes_farewell(&list[at]) && list[at].under_way.is_none();
    (0..list.len()).filter(due).collect()
}

/// Whether a tracker believes us to be there and may be told that we are not.
pub(super) const fn owes_farewell(tracker: &Tracker) -> bool {
    tracker.started && !tracker.never
}

/// The back-off after so many failures in a row: 5 s and 12.5 s times their square (libtorrent's).
fn back_off(failures: u32) -> Duration {
    let square = u64::from(failures).saturating_mul(u64::from(failures));
    let secs = BACK_OFF_SECS_MIN + square.saturating_mul(25) / 2;
    Duration::from_secs(secs.min(BACK_OFF_SECS_MAX))
}

/// Settles the times of a tracker that answered.
pub(super) fn succeed(
    tracker: &mut Tracker,
    now: EngineTime,
    interval_secs: u32,
    min_interval_secs: Option<u32>,
    luck: &mut RngStream,
) {
    let bounded = |secs: u64| secs.clamp(INTERVAL_SECS_MIN, INTERVAL_SECS_MAX);
    let min = bounded(min_interval_secs.map_or(0, u64::from));
    let interval = match interval_secs {
        0 => INTERVAL_SECS_DEFAULT,
        secs => u64::from(secs),
    };
    let interval = bounded(interval).max(min);
    let jitter = luck.below(JITTER_SECS_MAX.min(interval / 32) + 1);
    tracker.failures = 0;
    tracker.min_at = now + Duration::from_secs(min);
    // Later than asked for, never earlier.
    tracker.next_at = now + Duration::from_secs(interval + jitter);
}

/// Settles the times of a tracker that did not answer, or refused.
pub(super) fn fail(tracker: &mut Tracker, now: EngineTime, error: &TrackerError) {
    tracker.failures = tracker.failures.saturating_add(1);
    let wait = back_off(tracker.failures);
    match error {
        TrackerError::Forbidden(_) => tracker.never = true,
        TrackerError::Refused { retry, .. } => {
            let wait = match retry {
                Retry::Never => {
                    tracker.never = true;
                    return;
                }
                Retry::AfterMinutes(minutes) => u64::from(*minutes)
                    .saturating_mul(60)
                    .clamp(INTERVAL_SECS_MIN, INTERVAL_SECS_MAX),
                // It is there and said no: it is not asked again as fast as one that is silent.
                Retry::Unspecified => wait.as_secs().max(INTERVAL_SECS_MIN),
            };
            tracker.next_at = now + Duration::from_secs(wait);
            tracker.min_at = tracker.next_at;
        }
        TrackerError::Unreachable(_) => tracker.next_at = now + wait,
    }
}

/// Moves a tracker that works to the front of its tier (BEP 12).
pub(super) fn bring_forward(list: &mut [Tracker], at: usize) {
    let (tier, turn) = (list[at].tier, list[at].turn);
    for tracker in list.iter_mut().filter(|tracker| tracker.tier == tier) {
        if tracker.turn < turn {
            tracker.turn += 1;
        }
    }
    list[at].turn = 0;
}

/// Shuffles the trackers of each tier (BEP 12), so that clients spread over them.
pub(super) fn shuffle(list: &mut [Tracker], luck: &mut RngStream) {
    list.sort_by_key(|tracker| tracker.tier);
    for tier in list.chunk_by_mut(|a, b| a.tier == b.tier) {
        let mut turns: Vec<u32> = (0..).take(tier.len()).collect();
        luck.shuffle(&mut turns);
        for (tracker, turn) in tier.iter_mut().zip(turns) {
            tracker.turn = turn;
        }
    }
}

/// Whether to ask for the swarm's counts besides (BEP 48): only a tracker that answered without
/// them, so no more often than it is announced to, and none that ever failed to say.
pub(super) const fn wants_scrape(
    tracker: &Tracker,
    asked: AnnounceEvent,
    reply: &AnnounceReply,
) -> bool {
    let counted = reply.seeders.is_some() && reply.leechers.is_some();
    !counted && !tracker.no_scrapes && !matches!(asked, AnnounceEvent::Stopped)
}

/// How many addresses to ask for: many while we look for peers, few when they only replace others,
/// none when there is no room.
pub(super) const fn peers_wanted(downloading: bool, connected: u32, connections_max: u32) -> u32 {
    match (downloading, connected < connections_max) {
        (true, true) => 200,
        (true, false) | (false, true) => 50,
        (false, false) => 0,
    }
}
