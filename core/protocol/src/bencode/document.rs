//! A parsed document: the bytes and the tape over them.

use dunlin_base::limits::{BENCODE_DEPTH_MAX, BENCODE_TOKENS_MAX, TORRENT_FILE_BYTES_MAX};

use super::error::{DecodeError, DecodeErrorKind, Flaws};
use super::scanner::{Scanner, Token};
use super::value::Value;

/// How much a document may cost. Nothing is remembered beyond these.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Longest input in bytes (at most 4 GiB).
    pub bytes: usize,
    /// Deepest nesting of lists and dictionaries.
    pub depth: usize,
    /// Most tokens: values, keys, and the ends of lists and dictionaries.
    pub tokens: usize,
}

impl Limits {
    /// The limits of a .torrent file.
    pub const TORRENT: Self = Self::bytes(TORRENT_FILE_BYTES_MAX);

    /// The usual depth and number of tokens in at most `bytes`.
    #[must_use]
    pub const fn bytes(bytes: usize) -> Self {
        Self {
            bytes,
            depth: BENCODE_DEPTH_MAX,
            tokens: BENCODE_TOKENS_MAX,
        }
    }
}

/// One bencoded value (BEP 3) and all values inside it.
#[derive(Clone, Debug)]
pub struct Document<'a> {
    bytes: &'a [u8],
    tokens: Vec<Token>,
    flaws: Flaws,
}

impl<'a> Document<'a> {
    /// Reads `bytes` as exactly one value, leniently.
    ///
    /// # Errors
    /// On bytes that are no bencode, over a limit, or after the value.
    pub fn parse(bytes: &'a [u8], limits: &Limits) -> Result<Self, DecodeError> {
        let document = Self::parse_prefix(bytes, limits)?;
        let trailing = bytes.len().saturating_sub(document.len());
        if trailing > 0 {
            let kind = DecodeErrorKind::TrailingBytes { bytes: trailing };
            return Err(DecodeError::new(document.len(), kind));
        }
        Ok(document)
    }

    /// Reads the value at the start of `bytes`; [`Self::len`] tells where it ends. Messages of
    /// BEP 9 carry data behind their dictionary.
    ///
    /// # Errors
    /// On bytes that are no bencode or over a limit.
    pub fn parse_prefix(bytes: &'a [u8], limits: &Limits) -> Result<Self, DecodeError> {
        let (tokens, flaws) = Scanner::scan(bytes, limits)?;
        Ok(Self {
            bytes,
            tokens,
            flaws,
        })
    }

    /// Reads `bytes` as exactly one value in its one canonical form.
    ///
    /// # Errors
    /// As [`Self::parse`], and on every [`super::Flaw`].
    pub fn parse_canonical(bytes: &'a [u8], limits: &Limits) -> Result<Self, DecodeError> {
        let document = Self::parse(bytes, limits)?;
        match document.flaws.first() {
            Some((offset, flaw)) => Err(DecodeError::new(offset, DecodeErrorKind::Flawed(flaw))),
            None => Ok(document),
        }
    }

    /// The value that holds all others.
    #[must_use]
    pub fn root(&self) -> Value<'_> {
        Value::new(self.bytes, &self.tokens, 0)
    }

    /// Length of the value in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.root().span().end
    }

    /// Whether the value has no bytes, which no value has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the bytes are the one canonical form of their value: writing it again would give
    /// the same bytes.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        self.flaws.first().is_none()
    }

    /// Where the bytes differ from the canonical form.
    #[must_use]
    pub const fn flaws(&self) -> &Flaws {
        &self.flaws
    }
}
