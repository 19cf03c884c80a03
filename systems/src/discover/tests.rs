mod bench;
mod cadence;
mod farewell;
mod tiers;
