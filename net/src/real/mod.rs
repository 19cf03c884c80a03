//! The real outside: what the kernel, the disk and the trackers do, as the ports' events.

pub mod reactor;

pub use reactor::{OpenError, Reactor};
