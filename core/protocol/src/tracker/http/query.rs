//! The URLs that a client opens.

use core::fmt::Write as _;

use dunlin_base::InfoHash;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::tracker::{AnnounceEvent, AnnounceRequest, SCRAPE_HASHES_MAX};

/// All but RFC 3986's unreserved characters are escaped, as every tracker expects.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The URL of an announce (BEP 3). What the tracker's URL has as a query, such as a passkey, stays
/// in front.
#[must_use]
pub fn announce_url(tracker: &str, request: &AnnounceRequest) -> String {
    let mut query = Query::of(tracker);
    query.bytes("info_hash", &request.info_hash.0);
    query.bytes("peer_id", &request.peer_id.0);
    query.number("port", request.port);
    query.number("uploaded", request.uploaded);
    query.number("downloaded", request.downloaded);
    query.number("left", request.left);
    match request.event {
        AnnounceEvent::None => {}
        AnnounceEvent::Started => query.bytes("event", b"started"),
        AnnounceEvent::Stopped => query.bytes("event", b"stopped"),
        AnnounceEvent::Completed => query.bytes("event", b"completed"),
    }
    if let Some(numwant) = request.numwant {
        query.number("numwant", numwant);
    }
    query.bytes("key", format!("{:08x}", request.key).as_bytes());
    query.number("compact", u8::from(request.compact));
    if let Some(address) = request.ipv4 {
        query.bytes("ip", address.to_string().as_bytes());
    }
    if let Some(address) = request.ipv6 {
        query.bytes("ipv6", address.to_string().as_bytes());
    }
    if let Some(tracker_id) = &request.tracker_id {
        query.bytes("trackerid", tracker_id);
    }
    query.url
}

/// The URL of a scrape of up to [`SCRAPE_HASHES_MAX`] swarms, if the tracker's URL has the form
/// from which BEP 48 derives one: what follows its last slash begins with `announce`.
#[must_use]
pub fn scrape_url(tracker: &str, info_hashes: &[InfoHash]) -> Option<String> {
    let (before, last) = tracker.rsplit_once('/')?;
    let rest = last.strip_prefix("announce")?;
    let mut query = Query::of(&format!("{before}/scrape{rest}"));
    for info_hash in info_hashes.iter().take(SCRAPE_HASHES_MAX) {
        query.bytes("info_hash", &info_hash.0);
    }
    Some(query.url)
}

struct Query {
    url: String,
}

impl Query {
    fn of(url: &str) -> Self {
        let url = url.split_once('#').map_or(url, |(url, _)| url);
        Self {
            url: url.to_owned(),
        }
    }

    fn bytes(&mut self, key: &str, value: &[u8]) {
        let separator = if !self.url.contains('?') {
            "?"
        } else if self.url.ends_with(['?', '&']) {
            ""
        } else {
            "&"
        };
        let value = percent_encode(value, ESCAPED);
        let written = write!(self.url, "{separator}{key}={value}");
        debug_assert!(written.is_ok(), "strings take all that is written");
    }

    fn number(&mut self, key: &str, value: impl Into<u64>) {
        self.bytes(key, value.into().to_string().as_bytes());
    }
}
