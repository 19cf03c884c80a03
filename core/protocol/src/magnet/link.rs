//! The content of a magnet link, and how it is written.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use dunlin_base::{InfoHash, InfoHashV2};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::error::MagnetError;
use super::hash_text::write_v2;
use super::selection::FileSelection;
use crate::metainfo::{Info, Metainfo};

/// What stays as it is in a value: what RFC 3986 never reserves.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// Addresses and lists of numbers are easier to read with their punctuation, which a query allows.
const ESCAPED_IN_LISTS: &AsciiSet = &ESCAPED.remove(b':').remove(b',');

/// A magnet link (BEP 9). At least one of the two hashes is there when it was parsed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Magnet {
    /// `xt=urn:btih:`: the v1 info hash.
    pub info_hash: Option<InfoHash>,
    /// `xt=urn:btmh:`: the v2 info hash.
    pub info_hash_v2: Option<InfoHashV2>,
    /// `dn`: a name to show until the metadata is there. Not a safe file name.
    pub name: Option<String>,
    /// `xl`: the length of the content in bytes.
    pub length: Option<u64>,
    /// `tr`: trackers.
    pub trackers: Vec<String>,
    /// `ws`: web seeds (BEP 19).
    pub web_seeds: Vec<String>,
    /// `xs`: where the .torrent file is.
    pub exact_sources: Vec<String>,
    /// `as`: where it may be, if all else fails.
    pub acceptable_sources: Vec<String>,
    /// `x.pe`: peers to begin with.
    pub peers: Vec<MagnetPeer>,
    /// `so`: the files that are wanted (BEP 53); all when there is none.
    pub select_only: Option<FileSelection>,
}

impl Magnet {
    /// The link to a torrent, with its name, hashes, trackers and web seeds.
    #[must_use]
    pub fn of(metainfo: &Metainfo) -> Self {
        let info = &metainfo.info;
        Self {
            info_hash: info.version().has_v1().then_some(info.info_hash()),
            info_hash_v2: info.info_hash_v2(),
            name: Some(info.name().to_owned()),
            length: Some(content_bytes(info)),
            trackers: metainfo.tiers.iter().flatten().cloned().collect(),
            web_seeds: metainfo.web_seeds.clone(),
            ..Self::default()
        }
    }

    /// The hash that trackers, peers and the DHT know the torrent by: the v1 hash, or the start of
    /// the v2 hash (BEP 52).
    #[must_use]
    pub fn swarm_hash(&self) -> Option<InfoHash> {
        self.info_hash.or_else(|| {
            let start = self.info_hash_v2.as_ref()?.as_bytes().first_chunk()?;
            Some(InfoHash(*start))
        })
    }
}

impl FromStr for Magnet {
    type Err = MagnetError;

    fn from_str(text: &str) -> Result<Self, MagnetError> {
        super::reader::read(text)
    }
}

impl fmt::Display for Magnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "magnet:?";
        let mut put = |key: &str, value: &dyn fmt::Display| {
            write!(f, "{separator}{key}={value}")?;
            separator = "&";
            Ok(())
        };
        put_all(self, &mut put)
    }
}

fn put_all(
    magnet: &Magnet,
    put: &mut dyn FnMut(&str, &dyn fmt::Display) -> fmt::Result,
) -> fmt::Result {
    if let Some(hash) = magnet.info_hash {
        put("xt", &format_args!("urn:btih:{hash}"))?;
    }
    if let Some(hash) = magnet.info_hash_v2 {
        put("xt", &format_args!("urn:btmh:{}", write_v2(hash)))?;
    }
    if let Some(name) = &magnet.name {
        put("dn", &utf8_percent_encode(name, ESCAPED))?;
    }
    if let Some(length) = magnet.length {
        put("xl", &length)?;
    }
    for (key, urls) in [
        ("tr", &magnet.trackers),
        ("ws", &magnet.web_seeds),
        ("xs", &magnet.exact_sources),
        ("as", &magnet.acceptable_sources),
    ] {
        for url in urls {
            put(key, &utf8_percent_encode(url, ESCAPED))?;
        }
    }
    for peer in &magnet.peers {
        put(
            "x.pe",
            &utf8_percent_encode(&peer.to_string(), ESCAPED_IN_LISTS),
        )?;
    }
    if let Some(selection) = &magnet.select_only {
        put(
            "so",
            &utf8_percent_encode(&selection.to_string(), ESCAPED_IN_LISTS),
        )?;
    }
    Ok(())
}

/// A peer that a magnet link names (BEP 9): `name:port`, `address:port` or `[address]:port`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MagnetPeer {
    /// An address without brackets, or the name of a host.
    pub host: String,
    /// Its port, never zero.
    pub port: u16,
}

impl MagnetPeer {
    /// The peer's address, unless it is named and has to be looked up.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        const HOST_BYTES_MAX: usize = 253;
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port > 0)?;
        let bracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let valid = match bracketed {
            Some(address) => address.parse::<core::net::Ipv6Addr>().is_ok(),
            None => {
                !host.is_empty()
                    && host
                        .chars()
                        .all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_'))
            }
        };
        let host = bracketed.unwrap_or(host);
        (valid && host.len() <= HOST_BYTES_MAX).then(|| Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for MagnetPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Bytes of all files; padding (BEP 47) is no content.
fn content_bytes(info: &Info) -> u64 {
    let files = info.files().iter().filter(|file| !file.attributes.padding);
    files.map(|file| file.length).sum()
}
