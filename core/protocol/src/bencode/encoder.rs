//! Writing canonical bencode.

use core::ops::Range;

/// Writes canonical bencode (BEP 3): what it wrote, [`super::Document::parse_canonical`] reads.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Encoder {
    out: Vec<u8>,
}

impl Encoder {
    /// An empty document.
    #[must_use]
    pub const fn new() -> Self {
        Self { out: Vec::new() }
    }

    /// A document that is one dictionary.
    #[must_use]
    pub fn document(fill: impl FnOnce(&mut DictEncoder<'_>)) -> Vec<u8> {
        let mut encoder = Self::new();
        encoder.dict(fill);
        encoder.finish()
    }

    /// The bytes written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    /// Number of bytes written so far.
    pub(crate) const fn len(&self) -> usize {
        self.out.len()
    }

    /// Writes a string.
    pub fn bytes(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.out.extend(bytes.len().to_string().bytes());
        self.out.push(b':');
        self.out.extend_from_slice(bytes);
    }

    /// Writes an integer. Every integer type up to 64 bits, signed or not, fits.
    pub fn int(&mut self, value: impl Into<i128>) {
        self.out.push(b'i');
        self.out.extend(value.into().to_string().bytes());
        self.out.push(b'e');
    }

    /// Writes a value that is bencoded already, byte for byte.
    pub fn raw(&mut self, bencoded: &[u8]) {
        self.out.extend_from_slice(bencoded);
    }

    /// Writes a list of what `fill` writes.
    pub fn list(&mut self, fill: impl FnOnce(&mut Self)) {
        self.out.push(b'l');
        fill(self);
        self.out.push(b'e');
    }

    /// Writes a dictionary of what `fill` writes.
    pub fn dict(&mut self, fill: impl FnOnce(&mut DictEncoder<'_>)) {
        self.out.push(b'd');
        fill(&mut DictEncoder {
            encoder: self,
            last_key: None,
        });
        self.out.push(b'e');
    }
}

/// Writes the entries of one dictionary, in the order of their keys.
#[derive(Debug)]
pub struct DictEncoder<'e> {
    encoder: &'e mut Encoder,
    /// Where the last key lies in what was written.
    last_key: Option<Range<usize>>,
}

impl DictEncoder<'_> {
    /// Writes `key` and the one value that `fill` writes.
    ///
    /// # Panics
    /// When `key` is not behind all keys before it: the order of our own keys is our own fault.
    pub fn entry(&mut self, key: impl AsRef<[u8]>, fill: impl FnOnce(&mut Encoder)) {
        let key = key.as_ref();
        let last = self
            .last_key
            .take()
            .and_then(|range| self.encoder.out.get(range));
        assert!(
            last.is_none_or(|last| last < key),
            "key {:?} is out of order",
            key.escape_ascii().to_string()
        );
        self.encoder.bytes(key);
        let end = self.encoder.out.len();
        self.last_key = Some(end - key.len()..end);
        fill(self.encoder);
    }

    /// Writes a string under `key`.
    ///
    /// # Panics
    /// As [`Self::entry`].
    pub fn bytes(&mut self, key: impl AsRef<[u8]>, bytes: impl AsRef<[u8]>) {
        self.entry(key, |encoder| encoder.bytes(bytes));
    }

    /// Writes an integer under `key`.
    ///
    /// # Panics
    /// As [`Self::entry`].
    pub fn int(&mut self, key: impl AsRef<[u8]>, value: impl Into<i128>) {
        self.entry(key, |encoder| encoder.int(value));
    }
}
