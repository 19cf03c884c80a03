//! The real outside: what the kernel, the disk and the trackers do, as the ports' events.

mod mailbox;
pub mod disk;
pub mod hash;
pub mod reactor;
pub mod tracker;

pub use reactor::{OpenError, Reactor};
pub use disk::{DiskPort, DiskPortError};
pub use hash::HashPort;
pub use mailbox::Wake;
pub use tracker::TrackerPort;
