//! The queries that a tracker gets: what clients of all kinds send.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use dunlin_base::{InfoHash, PeerId};
use percent_encoding::percent_decode;

use crate::tracker::{AnnounceEvent, AnnounceRequest, SCRAPE_HASHES_MAX, TRACKER_ID_BYTES_MAX};

/// Most parameters that are looked at.
const PARAMETERS_MAX: usize = 128;

/// A query that a tracker cannot answer; its text is fit for `failure reason`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QueryError {
    /// A parameter is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A parameter's value cannot be read.
    #[error("{0} is invalid")]
    Invalid(&'static str),
}

/// Reads the query of an announce (BEP 3): the part after `?`, still escaped.
///
/// # Errors
/// When what identifies swarm and peer is missing, or a number is none.
pub fn parse_announce_query(query: &str) -> Result<AnnounceRequest, QueryError> {
    let query = Parameters(query);
    let event = match query.get("event").as_deref() {
        Some(b"started") => AnnounceEvent::Started,
        Some(b"stopped") => AnnounceEvent::Stopped,
        Some(b"completed") => AnnounceEvent::Completed,
        // Clients send an empty one, and some events that BEP 3 does not have.
        _ => AnnounceEvent::None,
    };
    let key = query
        .text("key")
        .and_then(|key| u32::from_str_radix(&key, 16).ok());
    let ip = query.address("ip");
    let ipv4 = query.address("ipv4").or(ip).and_then(v4);
    let tracker_id = query
        .get("trackerid")
        .map(|id| id.into_owned().into_boxed_slice());
    Ok(AnnounceRequest {
        info_hash: InfoHash(query.twenty_bytes("info_hash")?),
        peer_id: PeerId(query.twenty_bytes("peer_id")?),
        port: query.number("port")?.ok_or(QueryError::Missing("port"))?,
        uploaded: query.number("uploaded")?.unwrap_or(0),
        downloaded: query.number("downloaded")?.unwrap_or(0),
        // A client that does not say is not a seeder.
        left: query.number("left")?.unwrap_or(u64::MAX),
        event,
        // -1 asks for the default; nonsense gets it too.
        numwant: query.number("numwant").ok().flatten(),
        key: key.unwrap_or(0),
        ipv4,
        ipv6: query.address("ipv6").or(ip).and_then(v6),
        tracker_id: tracker_id.filter(|id| id.len() <= TRACKER_ID_BYTES_MAX),
        // BEP 23: trackers may answer packed unless the client objects.
        compact: query.get("compact").as_deref() != Some(b"0"),
    })
}

/// Reads the query of a scrape (BEP 48): up to [`SCRAPE_HASHES_MAX`] swarms. None at all asks for
/// every swarm, which a tracker need not answer.
///
/// # Errors
/// When an info hash is not one.
pub fn parse_scrape_query(query: &str) -> Result<Vec<InfoHash>, QueryError> {
    let invalid = QueryError::Invalid("info_hash");
    Parameters(query)
        .iter()
        .filter(|(key, _)| *key == "info_hash")
        .take(SCRAPE_HASHES_MAX)
        .map(|(_, value)| {
            Ok(InfoHash(
                decode(value).as_ref().try_into().or(Err(invalid))?,
            ))
        })
        .collect()
}

struct Parameters<'a>(&'a str);

impl<'a> Parameters<'a> {
    fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let parts = self.0.split('&').take(PARAMETERS_MAX);
        parts.map(|part| part.split_once('=').unwrap_or((part, "")))
    }

    fn get(&self, key: &str) -> Option<Cow<'a, [u8]>> {
        let (_, value) = self.iter().find(|(name, _)| *name == key)?;
        Some(decode(value))
    }

    fn text(&self, key: &str) -> Option<String> {
        String::from_utf8(self.get(key)?.into_owned()).ok()
    }

    fn twenty_bytes(&self, key: &'static str) -> Result<[u8; 20], QueryError> {
        let value = self.get(key).ok_or(QueryError::Missing(key))?;
        value.as_ref().try_into().or(Err(QueryError::Invalid(key)))
    }

    fn number<T: core::str::FromStr>(&self, key: &'static str) -> Result<Option<T>, QueryError> {
        match self.get(key).as_deref() {
            None | Some([]) => Ok(None),
            Some(value) => {
                let number = core::str::from_utf8(value)
                    .ok()
                    .and_then(|text| text.parse().ok());
                number.map(Some).ok_or(QueryError::Invalid(key))
            }
        }
    }

    /// An address, with a port or without (BEP 7 allows both).
    fn address(&self, key: &str) -> Option<IpAddr> {
        let text = self.text(key)?;
        let address = text.parse().ok();
        address.or_else(|| text.parse().ok().map(|endpoint: SocketAddr| endpoint.ip()))
    }
}

fn decode(value: &str) -> Cow<'_, [u8]> {
    percent_decode(value.as_bytes()).into()
}

fn v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address.to_canonical() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

fn v6(address: IpAddr) -> Option<Ipv6Addr> {
    match address.to_canonical() {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => Some(address),
    }
}
