//! Resources: what there is once in a world.

mod clock;
mod index;
mod peer_list;
mod ports;
mod work;

pub use clock::{Now, TimerKind, Timers, Wake};
pub use index::{NodeIndex, PeerIndex, TorrentIndex};
pub use peer_list::PeerList;
pub use ports::{
    ChokeFamily, ExtensionFamily, HaveFamily, MetadataFamily, PortInbox, PortOutbox, RequestFamily,
    RoutedEvents,
};
pub use work::{MemoryBudget, Starved, Work};
