//! The form of a scenario file: RON text, read into [`Scenario`].
//!
//! Unknown fields, quantities that are none and values out of range are errors that name the place.

mod check;
mod class;
mod expect;
mod profile;
mod scenario;
mod strategy;
mod suggest;
mod text;
mod tree;
mod units;

pub use check::{
    CLASSES_MAX, DELAY_MAX, FAULTS_MAX, NAME_BYTES_MAX, NODES_MAX, OutOfRange, PACKET_NODES_MAX,
    REGIONS_MAX, RUN_MAX, SERIES_ROWS_MAX,
};
pub use class::{Arrival, Behaviour, Class, Role, Span, Stay, Streaming, Transport};
pub use expect::{Completion, Expectation, Yardstick};
pub use scenario::{Content, Fault, FaultKind, Model, Overlay, Record, Rtt, Scenario, Stop};
pub use strategy::{LeechChokeRule, PickRule, SeedChokeRule, Slots, Strategy, StrategyChoice};
pub use text::{Misplaced, Override, ScenarioError};
pub use units::{Micros, ParseUnitError, Permille, Rate};

#[cfg(test)]
pub(crate) mod tests;
