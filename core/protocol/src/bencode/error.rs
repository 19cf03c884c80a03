//! What can be wrong with bencoded bytes, and where.

use core::fmt;

use super::value::Kind;

/// Why bytes are not the bencode that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("byte {offset}: {kind}")]
pub struct DecodeError {
    /// Offset of the first byte that is wrong.
    pub offset: usize,
    /// What is wrong with it.
    pub kind: DecodeErrorKind,
}

impl DecodeError {
    pub(crate) const fn new(offset: usize, kind: DecodeErrorKind) -> Self {
        Self { offset, kind }
    }

    /// The same error in a document in which these bytes begin at `base`.
    #[must_use]
    pub const fn shifted(self, base: usize) -> Self {
        Self {
            offset: self.offset.saturating_add(base),
            kind: self.kind,
        }
    }
}

/// The kinds of [`DecodeError`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeErrorKind {
    /// Another byte was due.
    #[error("expected {expected}, found {}", found_byte(*found))]
    Syntax {
        /// What was due.
        expected: Expected,
        /// The byte that was there, or nothing at the end of the input.
        found: Option<u8>,
    },
    /// The string says that it is longer than what is left of the input.
    #[error("the string is longer than the {left} bytes that are left")]
    StringTooLong {
        /// Bytes left after the length.
        left: usize,
    },
    /// The input is over the caller's limit.
    #[error("{bytes} bytes are more than {max}")]
    TooManyBytes {
        /// Bytes of the input.
        bytes: usize,
        /// Most bytes allowed.
        max: usize,
    },
    /// Lists and dictionaries nest too deeply.
    #[error("nested deeper than {max}")]
    TooDeep {
        /// Deepest nesting allowed.
        max: usize,
    },
    /// The document has too many values.
    #[error("more than {max} tokens")]
    TooManyTokens {
        /// Most tokens allowed.
        max: usize,
    },
    /// Bytes follow the value.
    #[error("{bytes} bytes follow the value")]
    TrailingBytes {
        /// How many.
        bytes: usize,
    },
    /// The value is of another kind.
    #[error("expected {expected}, found {found}")]
    WrongKind {
        /// The kind that was due.
        expected: Kind,
        /// The kind that was there.
        found: Kind,
    },
    /// The integer does not fit the type that was asked for.
    #[error("the integer is out of range")]
    IntegerOutOfRange,
    /// The document is not canonical, and was asked to be.
    #[error("not canonical: {0}")]
    Flawed(Flaw),
}

fn found_byte(found: Option<u8>) -> String {
    found.map_or_else(
        || "the end of the input".to_owned(),
        |byte| format!("'{}'", byte.escape_ascii()),
    )
}

/// What the grammar allows at a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expected {
    /// `i`, `l`, `d` or a digit.
    Value,
    /// A value or the `e` that closes a list.
    ValueOrEnd,
    /// A string or the `e` that closes a dictionary.
    KeyOrEnd,
    /// A decimal digit.
    Digit,
    /// A digit or the `e` that closes an integer.
    DigitOrEnd,
    /// A digit or the `:` that ends a string's length.
    DigitOrColon,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value => "a value",
            Self::ValueOrEnd => "a value or 'e'",
            Self::KeyOrEnd => "a key or 'e'",
            Self::Digit => "a digit",
            Self::DigitOrEnd => "a digit or 'e'",
            Self::DigitOrColon => "a digit or ':'",
        })
    }
}

/// A way in which readable bytes differ from the one canonical form of BEP 3.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Flaw {
    /// An integer or a string length begins with a zero that it does not need.
    #[error("leading zero")]
    LeadingZero,
    /// An integer is minus zero.
    #[error("minus zero")]
    MinusZero,
    /// A dictionary's keys are not sorted.
    #[error("unsorted keys")]
    UnsortedKeys,
    /// A dictionary has a key twice.
    #[error("duplicate key")]
    DuplicateKey,
}

/// The first place of each [`Flaw`] in a document.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flaws {
    /// Where the first number with a leading zero is.
    pub leading_zero: Option<usize>,
    /// Where the first `-0` is.
    pub minus_zero: Option<usize>,
    /// Where the first key is that sorts before the key before it.
    pub unsorted_keys: Option<usize>,
    /// Where the first key is that its dictionary already had.
    pub duplicate_key: Option<usize>,
}

impl Flaws {
    pub(super) fn note(&mut self, flaw: Flaw, offset: usize) {
        let slot = match flaw {
            Flaw::LeadingZero => &mut self.leading_zero,
            Flaw::MinusZero => &mut self.minus_zero,
            Flaw::UnsortedKeys => &mut self.unsorted_keys,
            Flaw::DuplicateKey => &mut self.duplicate_key,
        };
        *slot = Some(slot.map_or(offset, |first| first.min(offset)));
    }

    /// The flaw that comes first in the document.
    #[must_use]
    pub fn first(&self) -> Option<(usize, Flaw)> {
        [
            (self.leading_zero, Flaw::LeadingZero),
            (self.minus_zero, Flaw::MinusZero),
            (self.unsorted_keys, Flaw::UnsortedKeys),
            (self.duplicate_key, Flaw::DuplicateKey),
        ]
        .into_iter()
        .filter_map(|(offset, flaw)| offset.map(|offset| (offset, flaw)))
        .min_by_key(|(offset, _)| *offset)
    }

    /// The first flaw that lets two readers see two different documents: a duplicate key, or a
    /// number that some take and some refuse. Unsorted keys alone read the same everywhere.
    #[must_use]
    pub fn first_ambiguous(&self) -> Option<(usize, Flaw)> {
        Self {
            unsorted_keys: None,
            ..*self
        }
        .first()
    }
}
