//! Views of single values.

use core::fmt;
use core::iter::FusedIterator;
use core::ops::Range;

use super::error::{DecodeError, DecodeErrorKind};
use super::scanner::{Token, TokenKind};

/// The four kinds of values (BEP 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `i...e`
    Integer,
    /// `<length>:...`
    Bytes,
    /// `l...e`
    List,
    /// `d...e`
    Dict,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Integer => "an integer",
            Self::Bytes => "a string",
            Self::List => "a list",
            Self::Dict => "a dictionary",
        })
    }
}

/// One value of a [`super::Document`].
#[derive(Clone, Copy)]
pub struct Value<'a> {
    bytes: &'a [u8],
    tokens: &'a [Token],
    index: usize,
}

impl<'a> Value<'a> {
    pub(super) const fn new(bytes: &'a [u8], tokens: &'a [Token], index: usize) -> Self {
        Self {
            bytes,
            tokens,
            index,
        }
    }

    /// The token of this value; the tape's end stands in for what is not there.
    fn token(&self) -> Token {
        self.tokens.get(self.index).copied().unwrap_or(Token {
            start: 0,
            next: 0,
            kind: TokenKind::End,
        })
    }

    fn at(&self, index: usize) -> Option<Self> {
        let token = self.tokens.get(index)?;
        (token.kind != TokenKind::End).then_some(Self { index, ..*self })
    }

    /// What the value is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.token().kind {
            TokenKind::Integer => Kind::Integer,
            TokenKind::Bytes { .. } => Kind::Bytes,
            TokenKind::Dict => Kind::Dict,
            // A view is never made of an end.
            TokenKind::List | TokenKind::End => Kind::List,
        }
    }

    /// Offset of the value's first byte in the document.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.token().start as usize
    }

    /// Where the value's bytes lie in the document.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        let token = self.token();
        let end = self
            .tokens
            .get(token.next as usize)
            .map_or(self.bytes.len(), |next| next.start as usize);
        token.start as usize..end
    }

    /// The value's exact bytes: what the info hash is the hash of.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        self.bytes.get(self.span()).unwrap_or_default()
    }

    /// The content of a string.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        match self.token().kind {
            TokenKind::Bytes { head } => self.raw().get(usize::from(head)..),
            _ => None,
        }
    }

    /// The content of a string that is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&'a str> {
        self.as_bytes()
            .and_then(|bytes| core::str::from_utf8(bytes).ok())
    }

    fn digits(&self) -> Option<&'a str> {
        if self.token().kind != TokenKind::Integer {
            return None;
        }
        let raw = self.raw();
        let digits = raw.get(1..raw.len().saturating_sub(1))?;
        core::str::from_utf8(digits).ok()
    }

    /// An integer that fits 64 bits with a sign.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.digits()?.parse().ok()
    }

    /// An integer of zero or more that fits 64 bits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        let digits = self.digits()?;
        match digits.strip_prefix('-') {
            Some(zeros) => zeros.bytes().all(|digit| digit == b'0').then_some(0),
            None => digits.parse().ok(),
        }
    }

    /// A list.
    #[must_use]
    pub fn as_list(&self) -> Option<List<'a>> {
        let first = self.index + 1;
        (self.token().kind == TokenKind::List).then_some(List {
            next: Self {
                index: first,
                ..*self
            },
        })
    }

    /// A dictionary.
    #[must_use]
    pub fn as_dict(&self) -> Option<Dict<'a>> {
        (self.token().kind == TokenKind::Dict).then_some(Dict { value: *self })
    }

    fn wrong_kind(&self, expected: Kind) -> DecodeError {
        let found = self.kind();
        let kind = if found == expected {
            DecodeErrorKind::IntegerOutOfRange
        } else {
            DecodeErrorKind::WrongKind { expected, found }
        };
        DecodeError::new(self.offset(), kind)
    }

    /// [`Self::as_bytes`] for a value that has to be a string.
    ///
    /// # Errors
    /// When it is of another kind.
    pub fn bytes(&self) -> Result<&'a [u8], DecodeError> {
        self.as_bytes().ok_or_else(|| self.wrong_kind(Kind::Bytes))
    }

    /// [`Self::as_i64`] for a value that has to be such an integer.
    ///
    /// # Errors
    /// When it is of another kind or out of range.
    pub fn i64(&self) -> Result<i64, DecodeError> {
        self.as_i64().ok_or_else(|| self.wrong_kind(Kind::Integer))
    }

    /// [`Self::as_u64`] for a value that has to be such an integer.
    ///
    /// # Errors
    /// When it is of another kind or out of range.
    pub fn u64(&self) -> Result<u64, DecodeError> {
        self.as_u64().ok_or_else(|| self.wrong_kind(Kind::Integer))
    }

    /// [`Self::as_list`] for a value that has to be a list.
    ///
    /// # Errors
    /// When it is of another kind.
    pub fn list(&self) -> Result<List<'a>, DecodeError> {
        self.as_list().ok_or_else(|| self.wrong_kind(Kind::List))
    }

    /// [`Self::as_dict`] for a value that has to be a dictionary.
    ///
    /// # Errors
    /// When it is of another kind.
    pub fn dict(&self) -> Result<Dict<'a>, DecodeError> {
        self.as_dict().ok_or_else(|| self.wrong_kind(Kind::Dict))
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The raw bytes and not a tree: a tree would recurse as deep as the input says.
        write!(f, "{}", self.raw().escape_ascii())
    }
}

/// The items of a list that are left, in order.
#[derive(Clone, Debug)]
pub struct List<'a> {
    next: Value<'a>,
}

impl<'a> Iterator for List<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let item = self.next.at(self.next.index)?;
        self.next.index = item.token().next as usize;
        Some(item)
    }
}

impl FusedIterator for List<'_> {}

/// A dictionary.
#[derive(Clone, Copy, Debug)]
pub struct Dict<'a> {
    value: Value<'a>,
}

impl<'a> Dict<'a> {
    /// The first value under `key`.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Value<'a>> {
        self.iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }

    /// Keys and values as they lie in the document.
    #[must_use]
    pub fn iter(&self) -> Entries<'a> {
        Entries {
            next: Value {
                index: self.value.index + 1,
                ..self.value
            },
        }
    }

    /// The dictionary as a value.
    #[must_use]
    pub const fn value(&self) -> Value<'a> {
        self.value
    }
}

impl<'a> IntoIterator for Dict<'a> {
    type Item = (&'a [u8], Value<'a>);
    type IntoIter = Entries<'a>;

    fn into_iter(self) -> Entries<'a> {
        self.iter()
    }
}

/// The entries of a dictionary that are left, in order.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    next: Value<'a>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<(&'a [u8], Value<'a>)> {
        let key = self.next.at(self.next.index)?;
        let value = key.at(key.token().next as usize)?;
        self.next.index = value.token().next as usize;
        Some((key.as_bytes()?, value))
    }
}

impl FusedIterator for Entries<'_> {}
