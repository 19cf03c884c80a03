//! Bencode (BEP 3): a borrowing reader and a writer.
//!
//! [`Document::parse`] reads a whole value into a flat tape in one loop, so no depth of nesting can
//! blow the stack, and checks every [`Limits`] before it remembers anything. [`Value`] is a view of
//! one node: it knows its exact bytes ([`Value::raw`]), which is what an info hash is taken of.
//!
//! Reading is lenient where the meaning is plain (leading zeros, unsorted keys): such [`Flaw`]s are
//! noted, and [`Document::is_canonical`] or [`Document::parse_canonical`] tell whether there were any.

#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)
)]

mod document;
mod encoder;
mod error;
mod scanner;
mod value;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use document::{Document, Limits};
pub use encoder::{DictEncoder, Encoder};
pub use error::{DecodeError, DecodeErrorKind, Expected, Flaw, Flaws};
pub use value::{Dict, Entries, Kind, List, Value};
