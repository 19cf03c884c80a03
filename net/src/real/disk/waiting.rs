//! The commands of one torrent that wait, so that what may pass others is found without looking at all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use dunlin_base::PieceIndex;
use dunlin_port::disk::DiskCommand;

/// Commands in the order in which they came: first the writes before anything else, then the rest,
/// whose first one is no write. A slow disk lets thousands of writes wait, and each command that comes
/// asks what may begin.
#[derive(Default)]
pub(super) struct Waiting {
    writes: VecDeque<DiskCommand>,
    /// How many of `writes` are of each piece.
    unwritten: BTreeMap<PieceIndex, u32>,
    rest: VecDeque<DiskCommand>,
}

impl Waiting {
    pub(super) fn push(&mut self, command: DiskCommand) {
        match written_by(&command) {
            Some(piece) if self.rest.is_empty() => self.push_write(piece, command),
            _ => self.rest.push_back(command),
        }
    }

    fn push_write(&mut self, piece: PieceIndex, command: DiskCommand) {
        *self.unwritten.entry(piece).or_default() += 1;
        self.writes.push_back(command);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.rest.is_empty()
    }

    /// The command that came first.
    pub(super) fn front(&self) -> Option<&DiskCommand> {
        self.writes.front().or_else(|| self.rest.front())
    }

    /// Takes the command that came first.
    pub(super) fn pop_front(&mut self) -> Option<DiskCommand> {
        self.pop_write_if(|_| true).or_else(|| self.pop_rest())
    }

    /// Takes the command that came first, if it is a write or a spill and `takes` takes it.
    pub(super) fn pop_write_if(
        &mut self,
        mut takes: impl FnMut(&DiskCommand) -> bool,
    ) -> Option<DiskCommand> {
        let command = self.writes.pop_front_if(|command| takes(command))?;
        if let Some(piece) = written_by(&command)
            && let Some(count) = self.unwritten.get_mut(&piece)
        {
            *count -= 1;
            if *count == 0 {
                self.unwritten.remove(&piece);
            }
        }
        Some(command)
    }

    /// Whether the first command behind the writes is a read that may pass them: of no piece that they
    /// write, nor of those that are being written. So somebody is served however slow the disk takes
    /// what comes.
    pub(super) fn reads_ahead(&self, writing: &BTreeSet<PieceIndex>) -> bool {
        let Some(DiskCommand::Read { blocks, .. }) = self.rest.front() else {
            return false;
        };
        blocks.iter().all(|block| {
            let piece = PieceIndex(block.piece);
            !writing.contains(&piece) && !self.unwritten.contains_key(&piece)
        })
    }

    /// Takes the first command behind the writes.
    pub(super) fn pop_rest(&mut self) -> Option<DiskCommand> {
        let command = self.rest.pop_front();
        self.settle();
        command
    }

    /// Whether any command behind the writes is such a one.
    pub(super) fn any_behind_writes(&self, is_one: impl Fn(&DiskCommand) -> bool) -> bool {
        self.rest.iter().any(is_one)
    }

    /// Forgets commands behind the writes.
    pub(super) fn retain_behind_writes(&mut self, stays: impl FnMut(&DiskCommand) -> bool) {
        self.rest.retain(stays);
        self.settle();
    }

    /// Writes that nothing but writes is before any more belong to them.
    fn settle(&mut self) {
        while let Some(piece) = self.rest.front().and_then(written_by)
            && let Some(command) = self.rest.pop_front()
        {
            self.push_write(piece, command);
        }
    }
}

/// The piece that a command writes, or a part of it.
const fn written_by(command: &DiskCommand) -> Option<PieceIndex> {
    match command {
        DiskCommand::Write { piece, .. } | DiskCommand::Spill { piece, .. } => Some(*piece),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use dunlin_base::TorrentKey;
    use proptest::prelude::*;

    use super::*;

    const TORRENT: TorrentKey = TorrentKey(1);

    fn command(kind: u8, piece: u32) -> DiskCommand {
        match kind {
            0 => DiskCommand::Write {
                torrent: TORRENT,
                piece: PieceIndex(piece),
                blocks: Vec::new(),
            },
            1 => DiskCommand::Spill {
                torrent: TORRENT,
                piece: PieceIndex(piece),
                spill: 0,
                blocks: Vec::new(),
            },
            2 => DiskCommand::Read {
                torrent: TORRENT,
                peer: dunlin_base::PeerKey::incoming(1),
                blocks: vec![dunlin_protocol::wire::BlockRequest {
                    piece,
                    begin: 0,
                    len: 1,
                }],
            },
            _ => DiskCommand::Recheck { torrent: TORRENT },
        }
    }

    /// The place of the read that may pass, found by looking at everything.
    fn ahead(all: &[(u8, u32)], writing: &BTreeSet<PieceIndex>) -> Option<usize> {
        let place = all.iter().position(|(kind, _)| *kind > 1)?;
        let (kind, piece) = all[place];
        let waits = writing.contains(&PieceIndex(piece))
            || all[..place].iter().any(|(_, other)| *other == piece);
        (kind == 2 && !waits).then_some(place)
    }

    proptest! {
        #[test]
        fn agrees_with_a_look_at_everything(
            steps in prop::collection::vec((0..8_u8, 0..6_u32), 0..200),
            writing in prop::collection::btree_set(0..6_u32, 0..3),
        ) {
            let writing = writing.into_iter().map(PieceIndex).collect();
            let (mut waiting, mut model) = (Waiting::default(), Vec::new());
            let text = |command: Option<DiskCommand>| format!("{command:?}");
            for (step, piece) in steps {
                match step {
                    0..4 => {
                        waiting.push(command(step, piece));
                        model.push((step, piece));
                    }
                    4 => {
                        let first = (!model.is_empty()).then(|| model.remove(0));
                        let first = first.map(|(kind, piece)| command(kind, piece));
                        prop_assert_eq!(text(waiting.pop_front()), text(first));
                    }
                    5 => {
                        let place = ahead(&model, &writing);
                        prop_assert_eq!(waiting.reads_ahead(&writing), place.is_some());
                        if let Some(place) = place {
                            let (kind, piece) = model.remove(place);
                            let read = Some(command(kind, piece));
                            prop_assert_eq!(text(waiting.pop_rest()), text(read));
                        }
                    }
                    6 => {
                        waiting.retain_behind_writes(|command| {
                            !matches!(command, DiskCommand::Read { .. })
                        });
                        model.retain(|(kind, _)| *kind != 2);
                    }
                    _ => {
                        let first = model.first().is_some_and(|(kind, of)| *kind < 2 && *of == piece);
                        let of = |command: &DiskCommand| written_by(command) == Some(PieceIndex(piece));
                        let taken = waiting.pop_write_if(of);
                        prop_assert_eq!(taken.is_some(), first);
                        if first {
                            model.remove(0);
                        }
                    }
                }
                let first = model.first().map(|&(kind, piece)| command(kind, piece));
                prop_assert_eq!(format!("{:?}", waiting.front()), text(first));
                prop_assert_eq!(waiting.is_empty(), model.is_empty());
            }
        }
    }
}
