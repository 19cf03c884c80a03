//! What viewers are shown.

mod client;
mod digest;
mod snapshot;
mod why;
