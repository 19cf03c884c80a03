//! When to ask which tracker, against a tracker that writes everything down.

mod bench;
mod cadence;
mod farewell;
mod scrape;
mod tiers;
