//! The real outside: what the kernel, the disk and the trackers do, as the ports' events.

pub mod disk;
pub mod hash;
mod mailbox;
mod ports;
pub mod reactor;
pub mod tracker;

pub use disk::{DiskPort, DiskPortError};
pub use hash::HashPort;
pub use mailbox::Wake;
pub use ports::{RealPorts, wake_of};
pub use reactor::{OpenError, Reactor};
pub use tracker::TrackerPort;
