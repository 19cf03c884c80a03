//! Who may send how much in a tick: max-min fairness over access lines, in integers.
//!
//! Interior links are never the bottleneck; each flow is bounded by the sender's line, the
//! receiver's line and its own cap. The shares are found by a fixed number of passes, so a tick
//! costs the same whatever the loads are: senders split their lines over what they have to send,
//! receivers clip what is too much for theirs, senders hand what was clipped to their other flows.
//! With a single bottleneck for each flow that is exact; where lines at both ends bind in turn it is
//! off by what a further relaxation would move. Tests compare with the exact ones.

#[cfg(test)]
mod exact;
mod share;
mod turns;

pub(super) use share::{Flow, Shares};
pub(super) use turns::Turns;
