//! Trackers (BEP 3, 7, 15, 23, 24, 31, 41, 48): what is said, how it goes over HTTP and UDP, both
//! sides of it, and which URLs and addresses a torrent may make us talk to.
//!
//! Sans-IO: sockets, TLS and name resolution belong to the caller. A tracker's URL comes from a
//! stranger's torrent and its replies from a stranger's server, so both are hostile.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

mod announce;
mod compact;
pub mod http;
mod peer_filter;
mod text;
pub mod udp;
mod url_rules;

use text::shown_text;

pub use announce::{
    AnnounceEvent, AnnounceReply, AnnounceRequest, INTERVAL_DEFAULT_SECS, Retry, SCRAPE_HASHES_MAX,
    SwarmCounts, TRACKER_ID_BYTES_MAX, TrackerFailure,
};
pub use compact::{AddressFamily, pack_peers, unpack_peers};
pub use peer_filter::{PeerAddressRefusal, PeerFilter};
pub use url_rules::{AddressClass, TrackerScheme, TrackerUrl, UrlRefusal, address_class};
