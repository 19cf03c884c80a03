//! What viewers are shown.

mod client;
mod snapshot;
mod why;
