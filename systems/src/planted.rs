//! Bugs for builds of tests alone: the fault campaign must find each of them.

use std::sync::atomic::{AtomicU8, Ordering};

/// A bug that can be planted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Bug {
    /// A sequential download never opens the last piece.
    Picking = 1,
    /// A peer that gets a slot in a round is not told of it.
    Choking = 2,
    /// A piece of one block is good whatever its hash.
    Verification = 3,
    /// A piece of which a part was spilled is good whatever its hash.
    Spilling = 4,
    /// A piece on parole is never taken from a peer that sends nothing of it.
    Parole = 5,
}

static PLANTED: AtomicU8 = AtomicU8::new(0);

/// Plants a bug in all engines of this process, and takes out the one before.
pub fn plant(bug: Option<Bug>) {
    PLANTED.store(bug.map_or(0, |bug| bug as u8), Ordering::Relaxed);
}

/// Whether this bug is planted.
pub(crate) fn is(bug: Bug) -> bool {
    PLANTED.load(Ordering::Relaxed) == bug as u8
}
