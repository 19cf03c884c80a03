//! Dunlin: a BitTorrent engine organised as an ECS simulation.
//!
//! [`Session`] is the whole client as a library, and what the binary `dunlin` is made of: add
//! torrents, watch them, change them. [`create()`] makes torrents. The parts are crates of their
//! own, each useful alone.

mod create;
mod session;

pub use create::{CreateError, CreateOptions, Created, create};
pub use session::{
    AddError, BlocksMemory, Ended, NewTorrent, NotRestored, RestoreError, Session, SessionSettings,
    StartError, StopError, Subscription, TorrentFileError, read_torrent,
};

pub use dunlin_base::{InfoHash, PeerId, TorrentKey};
pub use dunlin_port::config::{self, Config};
pub use dunlin_port::disk::Check;
pub use dunlin_port::snapshot::{self, SessionEvent, Snapshot};
pub use dunlin_port::user::{FilePriority, TorrentLimits};
pub use dunlin_protocol::{magnet, metainfo};
pub use dunlin_systems::Mark;
