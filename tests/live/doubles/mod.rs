//! Stand-ins that a test plays itself: a tracker that remembers, and peers that misbehave on purpose.

pub(crate) mod tracker;
pub(crate) mod wire;
