//! Why a text is no usable magnet link.

/// Why a text is no usable magnet link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("byte {offset}: {kind}")]
pub struct MagnetError {
    /// Offset of the first byte of what is wrong.
    pub offset: usize,
    /// What is wrong with it.
    pub kind: MagnetErrorKind,
}

/// The kinds of [`MagnetError`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MagnetErrorKind {
    /// The text does not begin with `magnet:?`.
    #[error("expected \"magnet:?\"")]
    Scheme,
    /// The text is too long.
    #[error("longer than {max} bytes")]
    TooLong {
        /// Most bytes allowed.
        max: usize,
    },
    /// `xt=urn:btih:` is followed by no SHA-1 hash.
    #[error("expected a hash of 40 hexadecimal or 32 base32 digits")]
    InfoHash,
    /// `xt=urn:btmh:` is followed by no SHA-256 multihash.
    #[error("expected \"1220\" and 64 hexadecimal digits")]
    InfoHashV2,
    /// Two hashes of the same kind differ.
    #[error("a second hash that differs from the first")]
    TwoTorrents,
    /// No hash of a torrent is there.
    #[error("expected xt=urn:btih: or xt=urn:btmh:")]
    NoInfoHash,
}
