//! Metadata exchange (BEP 9, `ut_metadata`): the info dictionary in parts of 16 KiB.

use dunlin_base::limits::EXTENDED_BYTES_MAX;

use super::ExtensionError;
use crate::bencode::{Document, Encoder, Limits};

/// Length of a part of the info dictionary; the last one may be shorter (BEP 9).
pub const METADATA_PIECE_BYTES: usize = 16 * 1024;

const LIMITS: Limits = Limits {
    bytes: EXTENDED_BYTES_MAX,
    depth: 4,
    tokens: 64,
};

const REQUEST: u8 = 0;
const DATA: u8 = 1;
const REJECT: u8 = 2;

/// A message of the metadata exchange (BEP 9). The numbers are the peer's, unchecked against the
/// size of the metadata.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MetadataMessage<'a> {
    /// Asks for a part.
    Request {
        /// Number of the part.
        piece: u32,
    },
    /// A part.
    Data {
        /// Number of the part.
        piece: u32,
        /// Length of the whole info dictionary, bytes.
        total_size: u32,
        /// 1 to [`METADATA_PIECE_BYTES`] bytes of it.
        data: &'a [u8],
    },
    /// The sender will not give the part.
    Reject {
        /// Number of the part.
        piece: u32,
    },
    /// A kind that BEP 9 does not have yet; it says to ignore such.
    Unknown,
}

impl<'a> MetadataMessage<'a> {
    /// Payload of the message, after its number. [`MetadataMessage::Unknown`] gives none.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match *self {
            Self::Request { piece } => head(REQUEST, piece, None),
            Self::Data {
                piece,
                total_size,
                data,
            } => {
                let mut payload = head(DATA, piece, Some(total_size));
                payload.extend_from_slice(data);
                payload
            }
            Self::Reject { piece } => head(REJECT, piece, None),
            Self::Unknown => Vec::new(),
        }
    }

    /// Reads the payload.
    ///
    /// # Errors
    /// When the dictionary is broken, lacks an entry, or the part has an impossible length.
    pub fn decode(payload: &'a [u8]) -> Result<Self, ExtensionError> {
        let document = Document::parse_prefix(payload, &LIMITS)?;
        let dict = document.root().dict()?;
        let number = |key: &'static str| {
            let value = dict.get(key.as_bytes()).and_then(|value| value.as_u64());
            let value = value.and_then(|value| u32::try_from(value).ok());
            value.ok_or(ExtensionError::Entry(key))
        };
        let kind = number("msg_type")?;
        match u8::try_from(kind) {
            Ok(REQUEST) => Ok(Self::Request {
                piece: number("piece")?,
            }),
            Ok(DATA) => {
                let data = payload.get(document.len()..).unwrap_or_default();
                if data.is_empty() || data.len() > METADATA_PIECE_BYTES {
                    return Err(ExtensionError::Length {
                        got: data.len(),
                        expected: METADATA_PIECE_BYTES,
                    });
                }
                Ok(Self::Data {
                    piece: number("piece")?,
                    total_size: number("total_size")?,
                    data,
                })
            }
            Ok(REJECT) => Ok(Self::Reject {
                piece: number("piece")?,
            }),
            Ok(_) | Err(_) => Ok(Self::Unknown),
        }
    }
}

fn head(kind: u8, piece: u32, total_size: Option<u32>) -> Vec<u8> {
    Encoder::document(|dict| {
        dict.int("msg_type", kind);
        dict.int("piece", piece);
        if let Some(total_size) = total_size {
            dict.int("total_size", total_size);
        }
    })
}
