//! Numbers and byte strings one after the other. Reading is total: what is stored counts as
//! hostile, because disks fail and people edit files.

use super::RecordError;

/// Puts values one after the other.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// A number in seven bits a byte, lowest first (LEB128).
    pub(super) fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A number that may be negative; small ones of either sign are short.
    pub(super) fn signed(&mut self, value: i64) {
        self.number((value << 1 ^ value >> 63) as u64);
    }

    /// A byte string with its length before it.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Takes values one after the other.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn number(&mut self, what: &'static str) -> Result<u64, RecordError> {
        let start = self.at;
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self
                .bytes
                .get(self.at)
                .ok_or(RecordError::End { at: self.at, what })?;
            self.at += 1;
            let bits = u64::from(byte & 0x7f);
            // Bits that fall off, and zeros that a writer leaves out, would be other spellings.
            if bits << shift >> shift != bits || (byte == 0 && shift > 0) {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(RecordError::Value { at: start, what })
    }

    /// A number of things that are held in memory, at most `max`.
    pub(super) fn count(&mut self, max: usize, what: &'static str) -> Result<usize, RecordError> {
        let at = self.at;
        let value = self.number(what)?;
        let count = usize::try_from(value).ok().filter(|&count| count <= max);
        count.ok_or(RecordError::Value { at, what })
    }

    pub(super) fn signed(&mut self, what: &'static str) -> Result<i64, RecordError> {
        let value = self.number(what)?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub(super) fn flag(&mut self, what: &'static str) -> Result<bool, RecordError> {
        Ok(self.count(1, what)? == 1)
    }

    /// A byte string of at most `max` bytes.
    pub(super) fn bytes(
        &mut self,
        max: usize,
        what: &'static str,
    ) -> Result<&'a [u8], RecordError> {
        let len = self.count(max, what)?;
        let end = self.at.saturating_add(len);
        let bytes = self.bytes.get(self.at..end).ok_or(RecordError::End {
            at: self.bytes.len(),
            what,
        })?;
        self.at = end;
        Ok(bytes)
    }

    /// The error for a value that was just read.
    pub(super) const fn refuse(&self, what: &'static str) -> RecordError {
        RecordError::Value { at: self.at, what }
    }

    /// Asserts that nothing is left.
    pub(super) fn finish(self) -> Result<(), RecordError> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            left => Err(RecordError::Trailing(left)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_have_one_spelling(value: u64, signed: i64, junk: Vec<u8>) {
            let mut writer = Writer::default();
            writer.number(value);
            writer.signed(signed);
            writer.bytes(&junk);
            let bytes = writer.finish();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.number("n"), Ok(value));
            prop_assert_eq!(reader.signed("s"), Ok(signed));
            prop_assert_eq!(reader.bytes(junk.len(), "b"), Ok(&junk[..]));
            prop_assert_eq!(reader.finish(), Ok(()));

            let mut reader = Reader::new(&junk);
            if let Ok(value) = reader.number("n") {
                let mut writer = Writer::default();
                writer.number(value);
                prop_assert_eq!(&writer.finish()[..], &junk[..reader.at]);
            }
        }
    }

    #[test]
    fn lengths_are_checked_before_they_are_believed() {
        let mut reader = Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x7f]);
        assert_eq!(
            reader.bytes(1000, "b"),
            Err(RecordError::Value { at: 0, what: "b" })
        );
        let mut reader = Reader::new(&[5, 1, 2]);
        assert_eq!(
            reader.bytes(1000, "b"),
            Err(RecordError::End { at: 3, what: "b" })
        );
        for long in [&[0x80, 0][..], &[0xff; 10], &[0x80; 11]] {
            assert!(Reader::new(long).number("n").is_err());
        }
    }
}
