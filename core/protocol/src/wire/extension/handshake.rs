//! The extension handshake (BEP 10): which extensions the sender takes, under which numbers, and
//! what it tells of itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dunlin_base::limits::{EXTENDED_BYTES_MAX, TORRENT_FILE_BYTES_MAX};

use super::ExtensionError;
use crate::bencode::{Dict, DictEncoder, Document, Encoder, Limits};

/// The number under which both sides send the extension handshake (BEP 10).
pub const EXTENSION_HANDSHAKE_ID: u8 = 0;

/// Longest client name that we keep.
const CLIENT_BYTES_MAX: usize = 128;
/// Most bencoded values in a handshake: every client's fits many times.
const TOKENS_MAX: usize = 1000;

const LIMITS: Limits = Limits {
    bytes: EXTENDED_BYTES_MAX,
    depth: 8,
    tokens: TOKENS_MAX,
};

/// The numbers under which a peer wants to get the extensions that we know (BEP 10, `m`).
///
/// In a handshake 0 takes an extension back and `None` leaves it as it was; in what was learned
/// with [`update`](Self::update) there is no 0. Extensions that we do not know are left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExtensionIds {
    /// Metadata exchange (BEP 9).
    pub ut_metadata: Option<u8>,
    /// Peer exchange (BEP 11).
    pub ut_pex: Option<u8>,
    /// Pieces that were lost again (BEP 54).
    pub lt_donthave: Option<u8>,
    /// A partial seed's change of mind (BEP 21, as a message).
    pub upload_only: Option<u8>,
}

/// What an extension handshake says (BEP 10). It may come again, and what it leaves out then stays
/// as it was.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExtensionHandshake {
    /// Extensions and their numbers.
    pub ids: ExtensionIds,
    /// Name and version of the client (`v`).
    pub client: Option<String>,
    /// The sender's listening port (`p`).
    pub port: Option<u16>,
    /// The receiver's address as the sender sees it.
    pub yourip: Option<IpAddr>,
    /// An IPv4 address of the sender.
    pub ipv4: Option<Ipv4Addr>,
    /// An IPv6 address of the sender.
    pub ipv6: Option<Ipv6Addr>,
    /// How many requests the sender keeps queued; at least 1.
    pub reqq: Option<u32>,
    /// Length of the info dictionary, bytes (BEP 9). Sizes of no torrent that we would take are
    /// left out.
    pub metadata_size: Option<u32>,
    /// Whether the sender is a partial seed and wants nothing (BEP 21).
    pub upload_only: Option<bool>,
}

impl ExtensionIds {
    /// Applies a handshake to what earlier ones said (BEP 10: they are additive).
    pub fn update(&mut self, said: &Self) {
        let fields = [
            (&mut self.ut_metadata, said.ut_metadata),
            (&mut self.ut_pex, said.ut_pex),
            (&mut self.lt_donthave, said.lt_donthave),
            (&mut self.upload_only, said.upload_only),
        ];
        for (known, said) in fields {
            match said {
                Some(0) => *known = None,
                Some(id) => *known = Some(id),
                None => {}
            }
        }
    }

    fn read(dict: Dict<'_>) -> Self {
        // A number that no message can have is no offer.
        let id = |name: &[u8]| u8::try_from(dict.get(name)?.as_u64()?).ok();
        Self {
            ut_metadata: id(b"ut_metadata"),
            ut_pex: id(b"ut_pex"),
            lt_donthave: id(b"lt_donthave"),
            upload_only: id(b"upload_only"),
        }
    }

    fn write(&self, encoder: &mut Encoder) {
        encoder.dict(|m| {
            optional_int(m, "lt_donthave", self.lt_donthave);
            optional_int(m, "upload_only", self.upload_only);
            optional_int(m, "ut_metadata", self.ut_metadata);
            optional_int(m, "ut_pex", self.ut_pex);
        });
    }
}

impl ExtensionHandshake {
    /// Payload of the message, after its number.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Encoder::document(|dict| {
            if let Some(address) = self.ipv4 {
                dict.bytes("ipv4", address.octets());
            }
            if let Some(address) = self.ipv6 {
                dict.bytes("ipv6", address.octets());
            }
            dict.entry("m", |m| self.ids.write(m));
            optional_int(dict, "metadata_size", self.metadata_size);
            optional_int(dict, "p", self.port);
            optional_int(dict, "reqq", self.reqq);
            optional_int(dict, "upload_only", self.upload_only.map(u8::from));
            if let Some(client) = &self.client {
                dict.bytes("v", client);
            }
            match self.yourip.map(|address| address.to_canonical()) {
                Some(IpAddr::V4(address)) => dict.bytes("yourip", address.octets()),
                Some(IpAddr::V6(address)) => dict.bytes("yourip", address.octets()),
                None => {}
            }
        })
    }

    /// Reads the payload. Entries of the wrong kind are left out: many clients get one wrong.
    ///
    /// # Errors
    /// When it is no bencoded dictionary.
    pub fn decode(payload: &[u8]) -> Result<Self, ExtensionError> {
        // Some clients have sent bytes behind the dictionary.
        let document = Document::parse_prefix(payload, &LIMITS)?;
        let dict = document.root().dict()?;
        let number = |key: &[u8]| dict.get(key)?.as_u64();
        let bytes = |key: &[u8]| dict.get(key)?.as_bytes();
        let metadata_size = number(b"metadata_size")
            .filter(|&size| size > 0 && size <= TORRENT_FILE_BYTES_MAX as u64);
        let yourip = bytes(b"yourip").and_then(|bytes| {
            let v4 = v4(bytes).map(IpAddr::V4);
            v4.or_else(|| v6(bytes).map(|address| IpAddr::V6(address).to_canonical()))
        });
        let ids = dict.get(b"m").and_then(|m| m.as_dict());
        Ok(Self {
            ids: ids.map(ExtensionIds::read).unwrap_or_default(),
            client: bytes(b"v").map(client_name),
            port: number(b"p")
                .and_then(|port| u16::try_from(port).ok())
                .filter(|port| *port > 0),
            yourip,
            ipv4: bytes(b"ipv4").and_then(v4),
            ipv6: bytes(b"ipv6").and_then(v6),
            reqq: number(b"reqq")
                .filter(|reqq| *reqq > 0)
                .map(|reqq| u32::try_from(reqq).unwrap_or(u32::MAX)),
            metadata_size: metadata_size.and_then(|size| u32::try_from(size).ok()),
            upload_only: number(b"upload_only").map(|flag| flag != 0),
        })
    }
}

/// A name for viewers: bounded, and without what could rewrite a terminal.
fn client_name(bytes: &[u8]) -> String {
    let bytes = bytes.get(..CLIENT_BYTES_MAX).unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    text.chars().filter(|char| !char.is_control()).collect()
}

fn v4(bytes: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from)
}

fn v6(bytes: &[u8]) -> Option<Ipv6Addr> {
    <[u8; 16]>::try_from(bytes).ok().map(Ipv6Addr::from)
}

fn optional_int(dict: &mut DictEncoder<'_>, key: &str, value: Option<impl Into<i128>>) {
    if let Some(value) = value {
        dict.int(key, value);
    }
}
