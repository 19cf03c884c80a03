//! Who hears of events, each at its own pace.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use dunlin_port::snapshot::SessionEvent;

/// Events that wait for one subscriber; when more come, the oldest are dropped and counted.
const WAITING_MAX: usize = 16 * 1024;
/// Events for which an empty line keeps its room.
const IDLE_EVENTS_MAX: usize = 64;

/// Events of a session, in order, from the moment of [`crate::Session::subscribe`].
///
/// A subscriber that does not keep up loses the oldest events, never the engine's time.
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
    events: VecDeque<SessionEvent>,
    missed: u64,
    closed: bool,
}

impl Subscription {
    /// The next event, waited for at most for `timeout`. `None` when none came, or none will.
    #[must_use]
    pub fn next(&self, timeout: Duration) -> Option<SessionEvent> {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.line.lock();
        while state.events.is_empty() && !state.closed {
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
        let event = state.events.pop_front();
        if state.events.is_empty() {
            // Thousands come at a start, and few from then on.
            state.events.shrink_to(IDLE_EVENTS_MAX);
        }
        event
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
        state.closed && state.events.is_empty()
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Subscription({} events)", self.line.lock().events.len())
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
            state.events.extend(events.iter().cloned());
            let over = state.events.len().saturating_sub(WAITING_MAX);
            state.events.drain(..over);
            state.missed += over as u64;
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
