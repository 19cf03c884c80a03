//! Writes pieces and reads blocks.

use std::io::{IoSlice, IoSliceMut};

use dunlin_base::{BLOCK_BYTES, PeerKey, PieceIndex, TorrentKey};
use dunlin_port::disk::{DiskError, DiskEvent};
use dunlin_port::{BlockBuffer, BlockPool};
use dunlin_protocol::wire::BlockRequest;
use dunlin_storage::{ResumeDb, Storage as _};

use super::queue::PieceWrite;
use super::torrent::OpenTorrent;
use super::trouble;

/// Writes pieces, adjacent ones with one call, and says for each how it went.
pub(super) fn write(
    key: TorrentKey,
    torrent: Option<&OpenTorrent>,
    resume: Option<&ResumeDb>,
    mut writes: Vec<PieceWrite>,
) -> Vec<DiskEvent> {
    let Some(torrent) = torrent else {
        return failed(key, writes, &trouble::not_open());
    };
    if let Some(resume) = resume {
        let pieces: Vec<_> = writes.iter().map(|write| write.piece).collect();
        if let Err(error) = resume.intend(torrent.info_hash(), &pieces) {
            return failed(key, writes, &trouble::of_resume(&error));
        }
    }
    torrent.ledger().wrote = true;
    writes.sort_by_key(|write| write.piece);
    let mut events = Vec::with_capacity(writes.len());
    let mut rest = writes.into_iter().peekable();
    while let Some(first) = rest.next() {
        let mut run = vec![first];
        while let Some(next) = rest.next_if(|next| follows(&run, next.piece)) {
            run.push(next);
        }
        events.extend(write_run(key, torrent, run));
    }
    events
}

/// Whether `piece` is the one behind the last of `run`.
fn follows(run: &[PieceWrite], piece: PieceIndex) -> bool {
    run.last()
        .is_some_and(|last| last.piece.0.checked_add(1) == Some(piece.0))
}

fn write_run(key: TorrentKey, torrent: &OpenTorrent, run: Vec<PieceWrite>) -> Vec<DiskEvent> {
    let geometry = torrent.layout.geometry();
    for write in &run {
        let bytes: usize = write.blocks.iter().map(BlockBuffer::len).sum();
        let expected = geometry.piece_len(write.piece) as usize;
        assert_eq!(bytes, expected, "piece {:?} is written whole", write.piece);
    }
    let parts = run.iter().flat_map(|write| &write.blocks);
    let parts: Vec<_> = parts.map(|block| IoSlice::new(block)).collect();
    let start = geometry.piece_start(run[0].piece);
    match torrent.files.write_vectored_at(start, &parts) {
        Ok(()) => {
            let written = |write: PieceWrite| DiskEvent::Written {
                torrent: key,
                piece: write.piece,
            };
            run.into_iter().map(written).collect()
        }
        Err(error) => failed(key, run, &trouble::of_storage(&error)),
    }
}

fn failed(torrent: TorrentKey, writes: Vec<PieceWrite>, error: &DiskError) -> Vec<DiskEvent> {
    let failed = |PieceWrite { piece, blocks }| DiskEvent::WriteFailed {
        torrent,
        piece,
        blocks,
        error: error.clone(),
    };
    writes.into_iter().map(failed).collect()
}

/// Reads blocks, in the order of the files, until the pool has no more buffers. The second part of the
/// answer is what is left.
pub(super) fn read(
    key: TorrentKey,
    torrent: Option<&OpenTorrent>,
    pool: &BlockPool,
    peer: PeerKey,
    mut blocks: Vec<BlockRequest>,
) -> (Vec<DiskEvent>, Vec<BlockRequest>) {
    let event = |block, result| DiskEvent::Read {
        torrent: key,
        peer,
        block,
        result,
    };
    let Some(torrent) = torrent else {
        let error = trouble::not_open();
        return (
            blocks
                .into_iter()
                .map(|block| event(block, Err(error.clone())))
                .collect(),
            Vec::new(),
        );
    };
    // Neighbours are read with one call in whatever order they were asked for.
    blocks.sort_by_key(|block| (block.piece, block.begin));
    let mut events = Vec::with_capacity(blocks.len());
    while !blocks.is_empty() {
        if !is_block(torrent, blocks[0]) {
            let error = trouble::other("no block of this torrent was asked for");
            events.push(event(blocks.remove(0), Err(error)));
            continue;
        }
        let run = blocks
            .iter()
            .zip(&blocks[1..])
            .take_while(|(a, b)| is_next(torrent, a, b))
            .count()
            + 1;
        let buffers: Vec<_> = blocks[..run]
            .iter()
            .map_while(|block| pool.take(block.len as usize))
            .collect();
        if buffers.is_empty() {
            break;
        }
        let asked = blocks.drain(..buffers.len()).collect::<Vec<_>>();
        let results = read_run(torrent, &asked, buffers);
        events.extend(
            asked
                .into_iter()
                .zip(results)
                .map(|(block, result)| event(block, result)),
        );
    }
    (events, blocks)
}

/// Whether a request is for bytes that one buffer can hold, inside its piece.
fn is_block(torrent: &OpenTorrent, block: BlockRequest) -> bool {
    let geometry = torrent.layout.geometry();
    block.len <= BLOCK_BYTES
        && geometry
            .piece(block.piece)
            .is_some_and(|piece| geometry.contains(piece, block.begin, block.len))
}

/// Whether `next` begins where `block` ends, so that both are read with one call.
fn is_next(torrent: &OpenTorrent, block: &BlockRequest, next: &BlockRequest) -> bool {
    let adjacent =
        next.piece == block.piece && block.begin.checked_add(block.len) == Some(next.begin);
    adjacent && is_block(torrent, *next)
}

fn read_run(
    torrent: &OpenTorrent,
    blocks: &[BlockRequest],
    mut buffers: Vec<BlockBuffer>,
) -> Vec<Result<BlockBuffer, DiskError>> {
    let offset = |block: &BlockRequest| {
        torrent
            .layout
            .geometry()
            .piece_start(PieceIndex(block.piece))
            + u64::from(block.begin)
    };
    let mut parts: Vec<_> = buffers
        .iter_mut()
        .map(|buffer| IoSliceMut::new(buffer))
        .collect();
    match torrent
        .files
        .read_vectored_at(offset(&blocks[0]), &mut parts)
    {
        Ok(()) => buffers.into_iter().map(Ok).collect(),
        Err(error) if blocks.len() == 1 => vec![Err(trouble::of_storage(&error))],
        // One block may be unreadable and the others good.
        Err(_) => {
            let each = blocks.iter().zip(buffers);
            each.map(|(block, mut buffer)| {
                let read = torrent.files.read_at(offset(block), &mut buffer);
                read.map(|()| buffer)
                    .map_err(|error| trouble::of_storage(&error))
            })
            .collect()
        }
    }
}
