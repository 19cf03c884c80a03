//! The form of a scenario file: RON text, read into [`Scenario`].
//!
//! Unknown fields, quantities that are none and values out of range are errors that name the place.

mod class;
mod expect;
mod scenario;
mod strategy;
mod units;

pub use class::{Arrival, Behaviour, Class, Role, Span, Stay, Streaming};
pub use expect::{Completion, Expectation, Yardstick};
pub use scenario::{Content, Fault, FaultKind, Model, Overlay, Record, Rtt, Scenario, Stop};
pub use strategy::{PickRule, SeedChokeRule, Slots, Strategy, StrategyChoice};
pub use units::{Micros, ParseUnitError, Permille, Rate};
