//! Playing a download while it comes.

use dunlin_base::{Bitfield, Geometry, PieceIndex};

use crate::outcome::NodeOutcome;
use crate::schema::Streaming;

/// How far ahead of what is played the engine is asked to hurry, in playing time.
const AHEAD_US: u64 = 30_000_000;

/// A player at the download's front.
#[derive(Clone, Copy, Debug)]
pub(super) struct Playback {
    bytes_per_sec: u64,
    buffer_bytes: u64,
    /// Where it is, in the content.
    at_byte: u64,
    /// Bytes per second times microseconds that did not make a whole byte yet.
    carry: u64,
    /// First byte that is not there.
    front_byte: u64,
    is_playing: bool,
    has_begun: bool,
    /// Where the engine was last asked to hurry from.
    asked_at: Option<u64>,
}

impl Playback {
    pub(super) fn new(streaming: Streaming) -> Self {
        let bytes_per_sec = streaming.bitrate.0;
        let buffer = u128::from(bytes_per_sec) * u128::from(streaming.startup_buffer.0) / 1_000_000;
        Self {
            bytes_per_sec,
            buffer_bytes: u64::try_from(buffer).unwrap_or(u64::MAX),
            at_byte: 0,
            carry: 0,
            front_byte: 0,
            is_playing: false,
            has_begun: false,
            asked_at: None,
        }
    }

    /// Whether everything was played.
    pub(super) fn is_over(&self, geometry: &Geometry) -> bool {
        self.at_byte >= geometry.total_bytes()
    }

    /// Plays for so long; counts stalls.
    pub(super) fn play(
        &mut self,
        passed_us: u64,
        have: &Bitfield,
        geometry: &Geometry,
        outcome: &mut NodeOutcome,
    ) {
        self.find_front(have, geometry);
        let total = geometry.total_bytes();
        if !self.is_playing {
            let buffered = self.front_byte - self.at_byte;
            let enough = buffered >= self.buffer_bytes || self.front_byte == total;
            if !enough {
                outcome.stalled_us += if self.has_begun { passed_us } else { 0 };
                return;
            }
            (self.is_playing, self.has_begun) = (true, true);
        }
        let earned =
            u128::from(self.bytes_per_sec) * u128::from(passed_us) + u128::from(self.carry);
        self.carry = (earned % 1_000_000) as u64;
        let bytes = u64::try_from(earned / 1_000_000).unwrap_or(u64::MAX);
        let wanted = self.at_byte.saturating_add(bytes).min(total);
        self.at_byte = wanted.min(self.front_byte);
        if self.at_byte < wanted {
            self.is_playing = false;
            outcome.stalls += 1;
        }
    }

    /// The range that the engine should hurry with, when it is another than before.
    pub(super) fn next_wish(&mut self, geometry: &Geometry) -> Option<(u64, u64)> {
        let piece = u64::from(geometry.piece_bytes());
        let from = self.front_byte / piece * piece;
        if self.asked_at == Some(from) || from >= geometry.total_bytes() {
            return None;
        }
        self.asked_at = Some(from);
        let ahead = u128::from(self.bytes_per_sec) * u128::from(AHEAD_US) / 1_000_000;
        let ahead = u64::try_from(ahead).unwrap_or(u64::MAX).max(piece);
        let until = self.at_byte.saturating_add(ahead).max(from + piece);
        Some((from, until.min(geometry.total_bytes()) - from))
    }

    fn find_front(&mut self, have: &Bitfield, geometry: &Geometry) {
        let total = geometry.total_bytes();
        while self.front_byte < total {
            let piece = PieceIndex((self.front_byte / u64::from(geometry.piece_bytes())) as u32);
            if !have.has(piece) {
                return;
            }
            self.front_byte =
                (geometry.piece_start(piece) + u64::from(geometry.piece_len(piece))).min(total);
        }
    }
}

#[cfg(test)]
mod tests {
    use dunlin_port::config::ByteSize;

    use super::*;
    use crate::schema::{Micros, Rate};

    /// Four pieces of a second each; the buffer is two of them.
    #[test]
    fn playback_waits_for_its_buffer_and_counts_stalls() {
        let piece = ByteSize(16_384).0;
        let geometry = Geometry::new(4 * piece, piece).unwrap();
        let mut have = Bitfield::empty(4);
        let mut outcome = NodeOutcome::default();
        let mut player = Playback::new(Streaming {
            bitrate: Rate(piece),
            startup_buffer: Micros(2_000_000),
        });
        let mut second = |player: &mut Playback, have: &Bitfield| {
            player.play(1_000_000, have, &geometry, &mut outcome);
            (player.at_byte / piece, outcome.stalls, outcome.stalled_us)
        };
        have.set(PieceIndex(0));
        assert_eq!(second(&mut player, &have), (0, 0, 0), "half a buffer");
        have.set(PieceIndex(1));
        assert_eq!(second(&mut player, &have), (1, 0, 0));
        assert_eq!(second(&mut player, &have), (2, 0, 0));
        assert_eq!(
            second(&mut player, &have),
            (2, 1, 0),
            "the third is missing"
        );
        assert_eq!(second(&mut player, &have), (2, 1, 1_000_000));
        assert_eq!(player.next_wish(&geometry), Some((2 * piece, 2 * piece)));
        assert_eq!(player.next_wish(&geometry), None, "asked already");
        have.set(PieceIndex(2));
        have.set(PieceIndex(3));
        assert_eq!(second(&mut player, &have), (3, 1, 1_000_000));
        assert_eq!(second(&mut player, &have), (4, 1, 1_000_000));
        assert!(player.is_over(&geometry));
    }
}
