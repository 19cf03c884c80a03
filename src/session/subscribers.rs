//! Who hears of events, each at its own pace.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use dunlin_port::snapshot::SessionEvent;

/// Events of pieces, peers and trackers that wait for one subscriber; when more come, the oldest of
/// them are dropped and counted.
const WAITING_MAX: usize = 16 * 1024;
/// The same for those that say what became of a torrent: tens of thousands of torrents open at once,
/// and whoever waits for each of them must not lose one to the others.
const OUTCOMES_MAX: usize = 256 * 1024;
/// Events for which an empty line keeps its room.
const IDLE_EVENTS_MAX: usize = 64;

/// Events of a session, in order, from the moment of [`crate::Session::subscribe`].
///
/// A subscriber that does not keep up loses the oldest events, never the engine's time: first those of
/// pieces, peers and trackers, and what became of torrents only when it is a quarter of a million behind.
pub struct Subscription {
    line: Arc<Line>,
}

/// The engine's end of all subscriptions.
#[derive(Default)]
pub(super) struct Subscribers {
    lines: Mutex<Lines>,
}

#[derive(Default)]
struct Lines {
    lines: Vec<Weak<Line>>,
    closed: bool,
}

#[derive(Default)]
struct Line {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// What became of torrents.
    outcomes: Waiting,
    /// All else.
    others: Waiting,
    /// Number of the next event.
    next: u64,
    missed: u64,
    closed: bool,
}

/// Events of one kind, each with its number.
type Waiting = VecDeque<(u64, SessionEvent)>;

impl State {
    fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.others.is_empty()
    }

    fn put(&mut self, event: SessionEvent) {
        let (waiting, max) = match is_outcome(&event) {
            true => (&mut self.outcomes, OUTCOMES_MAX),
            false => (&mut self.others, WAITING_MAX),
        };
        if waiting.len() >= max {
            waiting.pop_front();
            self.missed += 1;
        }
        waiting.push_back((self.next, event));
        self.next += 1;
    }

    /// The oldest event.
    fn take(&mut self) -> Option<SessionEvent> {
        let number = |waiting: &Waiting| waiting.front().map_or(u64::MAX, |(number, _)| *number);
        let waiting = match number(&self.outcomes) < number(&self.others) {
            true => &mut self.outcomes,
            false => &mut self.others,
        };
        let (_, event) = waiting.pop_front()?;
        if waiting.is_empty() {
            // Thousands come at a start, and few from then on.
            waiting.shrink_to(IDLE_EVENTS_MAX);
        }
        Some(event)
    }
}

/// Whether an event says what became of a torrent, or of all. There are a few of them for each torrent.
const fn is_outcome(event: &SessionEvent) -> bool {
    match event {
        SessionEvent::PieceDone { .. }
        | SessionEvent::HashFailed { .. }
        | SessionEvent::PeerBanned { .. }
        | SessionEvent::TrackerReplied { .. }
        | SessionEvent::TrackerFailed { .. } => false,
        SessionEvent::MetadataCame { .. }
        | SessionEvent::Opened { .. }
        | SessionEvent::Completed { .. }
        | SessionEvent::TorrentStopped { .. }
        | SessionEvent::TorrentRecovered { .. }
        | SessionEvent::Moved { .. }
        | SessionEvent::Removed { .. }
        | SessionEvent::Stopped => true,
    }
}

impl Subscription {
    /// The next event, waited for at most for `timeout`. `None` when none came, or none will.
    #[must_use]
    pub fn next(&self, timeout: Duration) -> Option<SessionEvent> {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.line.lock();
        while state.is_empty() && !state.closed {
            // A timeout beyond what the clock can count is no timeout.
            let rest = deadline.map_or(Duration::MAX, |at| {
                at.saturating_duration_since(Instant::now())
            });
            if rest.is_zero() {
                return None;
            }
            let waited = self.line.changed.wait_timeout(state, rest);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.take()
    }

    /// How many events were dropped since this was last asked.
    #[must_use]
    pub fn take_missed(&self) -> u64 {
        std::mem::take(&mut self.line.lock().missed)
    }

    /// Whether the session has ended and every event was taken.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let state = self.line.lock();
        state.closed && state.is_empty()
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.line.lock();
        let events = state.outcomes.len() + state.others.len();
        write!(f, "Subscription({events} events)")
    }
}

impl Subscribers {
    pub(super) fn subscribe(&self) -> Subscription {
        let line = Arc::new(Line::default());
        let mut lines = self.lock();
        if lines.closed {
            line.lock().closed = true;
        }
        lines.lines.push(Arc::downgrade(&line));
        Subscription { line }
    }

    /// Tells everybody.
    pub(super) fn tell(&self, events: Vec<SessionEvent>) {
        self.lock().lines.retain(|line| {
            let Some(line) = line.upgrade() else {
                return false;
            };
            let mut state = line.lock();
            events.iter().for_each(|event| state.put(event.clone()));
            drop(state);
            line.changed.notify_all();
            true
        });
    }

    /// Says that nothing will come any more.
    pub(super) fn close(&self) {
        let mut lines = self.lock();
        lines.closed = true;
        for line in lines.lines.iter().filter_map(Weak::upgrade) {
            line.lock().closed = true;
            line.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slow_lose_the_oldest_and_know_how_many() {
        let subscribers = Subscribers::default();
        let slow = subscribers.subscribe();
        let event = |piece| SessionEvent::PieceDone {
            torrent: dunlin_base::TorrentKey(0),
            piece,
        };
        subscribers.tell((0..WAITING_MAX as u32 + 3).map(event).collect());
        assert_eq!(slow.take_missed(), 3);
        assert_eq!(slow.take_missed(), 0);
        assert_eq!(slow.next(Duration::ZERO), Some(event(3)));
    }

    #[test]
    fn what_became_of_torrents_is_not_lost_to_pieces_and_stays_in_order() {
        let subscribers = Subscribers::default();
        let slow = subscribers.subscribe();
        let completed = |torrent| SessionEvent::Completed {
            torrent: dunlin_base::TorrentKey(torrent),
        };
        let failed = |piece| SessionEvent::HashFailed {
            torrent: dunlin_base::TorrentKey(0),
            piece,
        };
        let many = WAITING_MAX as u32 * 4;
        for torrent in 0..many {
            subscribers.tell(vec![completed(torrent), failed(torrent)]);
        }
        assert_eq!(slow.take_missed(), u64::from(many) - WAITING_MAX as u64);
        let first_kept = many - WAITING_MAX as u32;
        for torrent in 0..many {
            assert_eq!(slow.next(Duration::ZERO), Some(completed(torrent)));
            if torrent >= first_kept {
                assert_eq!(slow.next(Duration::ZERO), Some(failed(torrent)));
            }
        }
        assert_eq!(slow.next(Duration::ZERO), None);
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let subscribers = Subscribers::default();
        let slow = subscribers.subscribe();
        let recovered = |torrent| SessionEvent::TorrentRecovered {
            torrent: dunlin_base::TorrentKey(torrent),
        };
        subscribers.tell((0..OUTCOMES_MAX as u32 + 2).map(recovered).collect());
        assert_eq!(slow.take_missed(), 2);
        assert_eq!(slow.next(Duration::ZERO), Some(recovered(2)));
    }

    #[test]
    fn closing_ends_the_wait_after_the_last_event() {
        let subscribers = Subscribers::default();
        let early = subscribers.subscribe();
        subscribers.tell(vec![SessionEvent::Stopped]);
        subscribers.close();
        assert!(!early.is_over());
        assert_eq!(early.next(Duration::MAX), Some(SessionEvent::Stopped));
        assert_eq!(early.next(Duration::MAX), None);
        assert!(early.is_over());
        assert!(subscribers.subscribe().is_over());
    }
}
