//! Extended messages of one number.

use super::ExtensionError;

/// `lt_donthave` (BEP 54): the sender has lost a piece that it had announced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DontHave {
    /// Index of the piece, unchecked.
    pub piece: u32,
}

impl DontHave {
    /// Payload of the message, after its number.
    #[must_use]
    pub const fn encode(self) -> [u8; 4] {
        self.piece.to_be_bytes()
    }

    /// Reads the payload.
    ///
    /// # Errors
    /// When it is not four bytes long.
    pub fn decode(payload: &[u8]) -> Result<Self, ExtensionError> {
        let piece = u32::from_be_bytes(exactly(payload)?);
        Ok(Self { piece })
    }
}

/// `upload_only` as a message: the sender became a partial seed, or wants pieces again (BEP 21
/// has it in the handshake only; clients send this when it changes later).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UploadOnly(pub bool);

impl UploadOnly {
    /// Payload of the message, after its number.
    #[must_use]
    pub const fn encode(self) -> [u8; 1] {
        [self.0 as u8]
    }

    /// Reads the payload.
    ///
    /// # Errors
    /// When it is not one byte long.
    pub fn decode(payload: &[u8]) -> Result<Self, ExtensionError> {
        let [flag] = exactly(payload)?;
        Ok(Self(flag != 0))
    }
}

fn exactly<const N: usize>(payload: &[u8]) -> Result<[u8; N], ExtensionError> {
    payload.try_into().or(Err(ExtensionError::Length {
        got: payload.len(),
        expected: N,
    }))
}
