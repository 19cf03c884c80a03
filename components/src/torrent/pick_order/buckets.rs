//! Pieces in buckets of equal rank, each known by one number.

use core::hash::{Hash, Hasher};

use dunlin_base::limits::PIECES_MAX;
use dunlin_base::{PieceIndex, prefetch};

use super::PieceRank;

const CHUNK_BITS: u32 = 10;
/// Pieces of a chunk: 4 KiB, so that what the last one of each bucket has free is little.
const CHUNK: u32 = 1 << CHUNK_BITS;

// No chunk is empty, so that there are at most as many as pieces, and the numbers behind name no spot.
const _: () = assert!(PIECES_MAX <= 1 << (31 - CHUNK_BITS));

/// Where a piece lies: its chunk, and its place there. Less than 2^31 + 2^10.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Spot(pub(super) u32);

impl Spot {
    const fn new(chunk: u32, at: u32) -> Self {
        Self(chunk << CHUNK_BITS | at)
    }

    const fn chunk(self) -> usize {
        (self.0 >> CHUNK_BITS) as usize
    }

    const fn at(self) -> usize {
        (self.0 % CHUNK) as usize
    }
}

/// A stretch of a bucket. What it belongs to stands here, so that it need not stand at each piece.
#[derive(Clone, Debug)]
struct Chunk {
    pieces: Vec<PieceIndex>,
    rank: PieceRank,
    /// Which one of its bucket.
    nth: u32,
}

/// The pieces of a rank.
#[derive(Clone, Debug, Default)]
struct Bucket {
    /// Its chunks but the last one, all full: none of most.
    full: Vec<u32>,
    /// Its last chunk.
    last: u32,
    len: u32,
}

impl Bucket {
    fn chunk(&self, nth: u32) -> u32 {
        self.full.get(nth as usize).copied().unwrap_or(self.last)
    }

    fn chunks(&self) -> impl Iterator<Item = u32> + '_ {
        let last = (self.len > 0).then_some(self.last);
        self.full.iter().copied().chain(last)
    }
}

/// The buckets, sorted by rank. They are made of chunks, so that pieces that move from one to another
/// leave no room behind, as it were if each bucket was one vector: four bytes a piece.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets {
    /// Ascending. Apart from the buckets, since each move of a piece searches them.
    ranks: Vec<PieceRank>,
    /// One for each rank. None is empty.
    buckets: Vec<Bucket>,
    chunks: Vec<Chunk>,
    /// Chunks that are in no bucket.
    free: Vec<u32>,
}

/// As a vector of ranks and their pieces.
impl Hash for Buckets {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.buckets.len().hash(state);
        for (rank, bucket) in self.ranks.iter().zip(&self.buckets) {
            let pieces: Vec<_> = self.pieces(bucket).collect();
            (rank, pieces).hash(state);
        }
    }
}

impl Buckets {
    /// Where the bucket of a rank is, or would be.
    pub(super) fn find(&self, rank: PieceRank) -> Result<usize, usize> {
        self.ranks.binary_search(&rank)
    }

    /// As [`Self::find`], and looks first at the place `near`, where the piece was before, and behind it:
    /// there the bucket is mostly when it has one copy more.
    pub(super) fn find_near(&self, rank: PieceRank, near: usize) -> Result<usize, usize> {
        for at in near..=near + 1 {
            let follows = at == 0 || (self.ranks.get(at - 1)).is_some_and(|before| *before < rank);
            match self.ranks.get(at) {
                Some(there) if *there == rank => return Ok(at),
                Some(there) if follows && *there > rank => return Err(at),
                None if follows => return Err(at),
                Some(_) | None => {}
            }
        }
        self.find(rank)
    }

    /// Makes room for the bucket of a rank at the place that [`Self::find`] says. A piece has to be
    /// [put](Self::put) in next.
    pub(super) fn open(&mut self, at: usize, rank: PieceRank) {
        self.ranks.insert(at, rank);
        self.buckets.insert(at, Bucket::default());
    }

    /// Number of pieces of the bucket at this place.
    pub(super) fn len(&self, at: usize) -> u32 {
        self.buckets[at].len
    }

    /// Where the piece at this place of a bucket lies.
    fn spot(bucket: &Bucket, place: u32) -> Spot {
        Spot::new(bucket.chunk(place >> CHUNK_BITS), place % CHUNK)
    }

    fn piece(&self, spot: Spot) -> PieceIndex {
        self.chunks[spot.chunk()].pieces[spot.at()]
    }

    /// Asks for the chunk of a piece that will be moved soon.
    pub(super) fn prefetch_chunk(&self, spot: Spot) {
        prefetch(&self.chunks[spot.chunk()]);
    }

    /// And when that is here, for its place there, and for that of the last one of the chunk, which comes into
    /// its place.
    pub(super) fn prefetch_place(&self, spot: Spot) {
        let pieces = &self.chunks[spot.chunk()].pieces;
        prefetch(&pieces[spot.at()]);
        pieces.last().into_iter().for_each(prefetch);
    }

    /// The rank of the piece that lies there, and its place in its bucket.
    pub(super) fn place(&self, spot: Spot) -> (PieceRank, u32) {
        let chunk = &self.chunks[spot.chunk()];
        (chunk.rank, chunk.nth << CHUNK_BITS | spot.at() as u32)
    }

    /// The rank of the piece that lies there.
    pub(super) fn rank(&self, spot: Spot) -> PieceRank {
        self.chunks[spot.chunk()].rank
    }

    /// Puts a piece at a place of a bucket, and what was there behind its last piece. Says where both
    /// lie now.
    pub(super) fn put(
        &mut self,
        at: usize,
        place: u32,
        piece: PieceIndex,
    ) -> (Spot, Option<(PieceIndex, Spot)>) {
        let last = self.push(at, piece);
        let bucket = &self.buckets[at];
        if place + 1 == bucket.len {
            return (last, None);
        }
        let spot = Self::spot(bucket, place);
        let slot = &mut self.chunks[spot.chunk()].pieces[spot.at()];
        let moved = core::mem::replace(slot, piece);
        self.chunks[last.chunk()].pieces[last.at()] = moved;
        (spot, Some((moved, last)))
    }

    fn push(&mut self, at: usize, piece: PieceIndex) -> Spot {
        let bucket = &mut self.buckets[at];
        let place = bucket.len % CHUNK;
        if place == 0 {
            if bucket.len > 0 {
                bucket.full.push(bucket.last);
            }
            let chunk = Chunk {
                pieces: Vec::new(),
                rank: self.ranks[at],
                nth: bucket.full.len() as u32,
            };
            bucket.last = match self.free.pop() {
                Some(id) => {
                    self.chunks[id as usize] = chunk;
                    id
                }
                None => {
                    self.chunks.push(chunk);
                    self.chunks.len() as u32 - 1
                }
            };
        }
        self.chunks[bucket.last as usize].pieces.push(piece);
        bucket.len += 1;
        Spot::new(bucket.last, place)
    }

    /// Takes a piece out and puts the last one of its bucket in its place. Says at which place the
    /// bucket is, or was if it went with its last piece, and which piece moved.
    ///
    /// # Panics
    /// When another piece lies there.
    pub(super) fn take(&mut self, spot: Spot, piece: PieceIndex) -> (usize, Option<PieceIndex>) {
        assert_eq!(self.piece(spot), piece, "spots point at their pieces");
        let at = self
            .find(self.rank(spot))
            .expect("a chunk that has a piece is of a bucket");
        let bucket = &mut self.buckets[at];
        bucket.len -= 1;
        let pieces = &mut self.chunks[bucket.last as usize].pieces;
        let last = pieces.pop().expect("the last chunk has the last piece");
        if pieces.is_empty() {
            *pieces = Vec::new();
            self.free.push(bucket.last);
            bucket.last = bucket.full.pop().unwrap_or_default();
        }
        if bucket.len == 0 {
            self.ranks.remove(at);
            self.buckets.remove(at);
        }
        let moved = (last != piece).then(|| {
            self.chunks[spot.chunk()].pieces[spot.at()] = last;
            last
        });
        (at, moved)
    }

    fn pieces<'a>(&'a self, bucket: &'a Bucket) -> impl Iterator<Item = PieceIndex> + 'a {
        let chunks = bucket.chunks();
        chunks.flat_map(|id| self.chunks[id as usize].pieces.iter().copied())
    }

    /// The pieces of the buckets whose rank `takes` takes, in order.
    pub(super) fn iter_of(
        &self,
        takes: impl Fn(PieceRank) -> bool,
    ) -> impl Iterator<Item = PieceIndex> {
        let buckets = self.ranks.iter().zip(&self.buckets);
        buckets
            .filter(move |(rank, _)| takes(**rank))
            .flat_map(|(_, bucket)| self.pieces(bucket))
    }

    /// The last piece of the bucket of the piece that lies there.
    pub(super) fn last_beside(&self, spot: Spot) -> Option<PieceIndex> {
        let bucket = &self.buckets[self.find(self.rank(spot)).ok()?];
        self.chunks[bucket.last as usize].pieces.last().copied()
    }

    /// The `n`-th of all pieces.
    pub(super) fn nth(&self, mut n: usize) -> Option<PieceIndex> {
        for bucket in &self.buckets {
            let len = bucket.len as usize;
            if n < len {
                return Some(self.piece(Self::spot(bucket, n as u32)));
            }
            n -= len;
        }
        None
    }

    /// The lowest rank that there is.
    pub(super) fn first_rank(&self) -> Option<PieceRank> {
        self.ranks.first().copied()
    }
}
