//! Pooled 16 KiB buffers that carry payload from socket to disk and back without copies.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dunlin_base::BLOCK_BYTES;

const BYTES: usize = BLOCK_BYTES as usize;

type Block = Box<[u8; BYTES]>;

/// A bounded pool of block buffers, shared by network, engine and disk.
///
/// At most `capacity` buffers exist at a time; when all are out, [`BlockPool::take`] returns
/// `None` and the reader leaves its bytes in the kernel, so TCP pushes back.
#[derive(Clone)]
pub struct BlockPool {
    shared: Arc<Shared>,
}

struct Shared {
    free: Mutex<Free>,
    capacity: usize,
}

#[derive(Default)]
struct Free {
    blocks: Vec<Block>,
    out: usize,
    out_max: usize,
}

impl BlockPool {
    /// A pool of at most `bytes` (rounded up to whole blocks, at least one). Memory is taken from
    /// the system when it is first needed.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let capacity = bytes.div_ceil(BYTES).max(1);
        Self {
            shared: Arc::new(Shared {
                free: Mutex::default(),
                capacity,
            }),
        }
    }

    /// A buffer of `len` bytes with unspecified contents, or `None` while all are in use.
    ///
    /// # Panics
    /// When `len` is over [`BLOCK_BYTES`].
    #[must_use]
    pub fn take(&self, len: usize) -> Option<BlockBuffer> {
        assert!(
            len <= BYTES,
            "a block has at most {BYTES} bytes, asked for {len}"
        );
        let mut free = self.free();
        if free.out >= self.capacity() {
            return None;
        }
        free.out += 1;
        free.out_max = free.out_max.max(free.out);
        let block = free.blocks.pop();
        drop(free);
        let block = block.unwrap_or_else(|| Box::new([0; BYTES]));
        Some(BlockBuffer {
            store: Store::Pooled {
                block: Some(block),
                pool: Arc::clone(&self.shared),
            },
            len: len as u32,
        })
    }

    /// Buffers that are out.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.free().out
    }

    /// Most buffers that can be out at a time.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.shared.capacity
    }

    /// Most buffers that ever were out at a time.
    #[must_use]
    pub fn in_use_max(&self) -> usize {
        self.free().out_max
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        let free = self.shared.free.lock();
        free.unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for BlockPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockPool({}/{})", self.in_use(), self.capacity())
    }
}

/// A block's payload; goes back to its pool when dropped.
///
/// A *declared* one stands for a payload that nobody carries: swarms are simulated without moving
/// their data. It has a length and a mark, and no bytes.
pub struct BlockBuffer {
    store: Store,
    len: u32,
}

enum Store {
    Pooled {
        block: Option<Block>,
        pool: Arc<Shared>,
    },
    Declared {
        mark: u32,
    },
}

impl BlockBuffer {
    /// A payload of `len` bytes that is only declared. Equal marks stand for equal contents of a
    /// place in a torrent; 0 for the right one.
    #[must_use]
    pub const fn declared(len: u32, mark: u32) -> Self {
        Self {
            store: Store::Declared { mark },
            len,
        }
    }

    /// The mark of a declared payload; `None` of one that is carried.
    #[must_use]
    pub const fn mark(&self) -> Option<u32> {
        match self.store {
            Store::Pooled { .. } => None,
            Store::Declared { mark } => Some(mark),
        }
    }

    /// Bytes of payload, carried or declared.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether the payload has no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Shortens the buffer to its first `len` bytes.
    ///
    /// # Panics
    /// When it is shorter already.
    pub fn truncate(&mut self, len: usize) {
        assert!(
            len <= self.len as usize,
            "truncate to {len} of {}",
            self.len
        );
        self.len = len as u32;
    }
}

impl Deref for BlockBuffer {
    type Target = [u8];

    /// The bytes; none of a declared payload.
    fn deref(&self) -> &[u8] {
        match &self.store {
            Store::Pooled {
                block: Some(block), ..
            } => &block[..self.len as usize],
            Store::Pooled { block: None, .. } | Store::Declared { .. } => &[],
        }
    }
}

impl DerefMut for BlockBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.store {
            Store::Pooled {
                block: Some(block), ..
            } => &mut block[..self.len as usize],
            Store::Pooled { block: None, .. } | Store::Declared { .. } => &mut [],
        }
    }
}

impl Drop for BlockBuffer {
    fn drop(&mut self) {
        let Store::Pooled { block, pool } = &mut self.store else {
            return;
        };
        let mut free = pool.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.out -= 1;
        // Keep what a burst needed for the next one, but at most half of the capacity.
        if free.blocks.len() * 2 <= pool.capacity {
            free.blocks.extend(block.take());
        }
    }
}

impl fmt::Debug for BlockBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockBuffer({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pool_is_bounded_and_refills() {
        let pool = BlockPool::new(2 * BYTES);
        let mut first = pool.take(10).unwrap();
        first.copy_from_slice(b"0123456789");
        let second = pool.take(BYTES).unwrap();
        assert!(pool.take(1).is_none());
        drop(second);
        assert!(pool.take(1).is_some());
        first.truncate(4);
        assert_eq!(&*first, b"0123");
        drop(first);
        assert_eq!((pool.in_use(), pool.in_use_max()), (0, 2));
    }

    #[test]
    fn a_declared_payload_has_a_length_and_no_bytes() {
        let mut block = BlockBuffer::declared(BLOCK_BYTES, 3);
        assert_eq!((block.len(), block.mark()), (BYTES, Some(3)));
        block.truncate(7);
        assert_eq!((block.len(), &*block), (7, &[][..]));
        assert_eq!(BlockPool::new(BYTES).take(7).unwrap().mark(), None);
    }
}
