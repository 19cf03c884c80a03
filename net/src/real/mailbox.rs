//! Where helper threads leave events until the engine's next tick.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Wakes the engine's thread; may be called from any thread, and often.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Events on their way from helper threads to the engine.
///
/// It has no bound of its own: every event answers a command, and the commands are bounded.
pub(super) struct Mailbox<E> {
    events: Mutex<VecDeque<E>>,
    wake: Wake,
}

impl<E> Mailbox<E> {
    pub(super) fn new(wake: Wake) -> Self {
        Self {
            events: Mutex::default(),
            wake,
        }
    }

    pub(super) fn put(&self, events: impl IntoIterator<Item = E>) {
        let mut waiting = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let was_empty = waiting.is_empty();
        waiting.extend(events);
        let wakes = was_empty && !waiting.is_empty();
        drop(waiting);
        // Who takes events takes all of them, so one call tells of all that came since.
        if wakes {
            (self.wake)();
        }
    }

    /// Moves everything that waits to the end of `events`.
    pub(super) fn take(&self, events: &mut VecDeque<E>) {
        events.append(&mut self.events.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn one_wake_until_the_events_are_taken() {
        let wakes = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&wakes);
        let mailbox = Mailbox::new(Arc::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        }));
        mailbox.put([]);
        assert_eq!(wakes.load(Ordering::Relaxed), 0);
        mailbox.put([1, 2]);
        mailbox.put([3]);
        assert_eq!(wakes.load(Ordering::Relaxed), 1);
        let mut events = VecDeque::new();
        mailbox.take(&mut events);
        assert_eq!(events, [1, 2, 3]);
        mailbox.put([4]);
        assert_eq!(wakes.load(Ordering::Relaxed), 2);
    }
}
