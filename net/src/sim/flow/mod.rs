//! Who may send how much in a tick: max-min fairness over access lines, in integers.
//!
//! Interior links are never the bottleneck; each flow is bounded by the sender's line, the
//! receiver's line and its own cap. Senders split their lines over what they have to send; where that is
//! more than receivers can take, those whom it concerns are settled line by line, the narrowest first
//! ([progressive filling](settle)). Tests compare with shares that rise byte by byte.

#[cfg(test)]
mod exact;
mod settle;
mod share;
mod turns;

pub(super) use share::{Flow, Shares};
pub(super) use turns::Turns;
