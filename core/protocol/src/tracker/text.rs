//! Words of a tracker that a user gets to see.

/// Longest failure reason or warning that we keep.
const TEXT_BYTES_MAX: usize = 1024;

/// A tracker's words: bounded, valid, and without what could rewrite a terminal.
pub(super) fn shown_text(bytes: &[u8]) -> String {
    let bytes = bytes.get(..TEXT_BYTES_MAX).unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    text.chars().filter(|char| !char.is_control()).collect()
}
