//! Bounded waits. A test never asserts a time: the limits only turn a hang into a failure, so they are generous.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// For a process to open its port or answer its first question.
pub(crate) const START: Duration = Duration::from_secs(60);
/// For a re-check of what is on disk.
pub(crate) const CHECK: Duration = Duration::from_secs(120);
/// For a transfer of up to a hundred megabytes, including the slowest client's first rounds.
pub(crate) const TRANSFER: Duration = Duration::from_secs(300);
/// For a process to end after it was asked to.
pub(crate) const STOP: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(50);

/// Asks again and again until there is an answer; panics when `limit` has passed.
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "after {limit:?} still no: {what}"
        );
        sleep(POLL);
    }
}

/// As [`wait_for`], for a condition.
pub(crate) fn wait_until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    wait_for(what, limit, || holds().then_some(()));
}
