//! Pooled 16 KiB buffers that carry payload from socket to disk and back without copies.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
    capacity: AtomicUsize,
}

#[derive(Default)]
struct Free {
    blocks: Vec<Block>,
    out: usize,
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
                capacity: AtomicUsize::new(capacity),
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
        let mut free = self
            .shared
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if free.out >= self.capacity() {
            return None;
        }
        free.out += 1;
        let block = free.blocks.pop();
        drop(free);
        let block = block.unwrap_or_else(|| Box::new([0; BYTES]));
        Some(BlockBuffer {
            block: Some(block),
            len: len as u32,
            pool: Arc::clone(&self.shared),
        })
    }

    /// Buffers that are out.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.shared
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .out
    }

    /// Most buffers that can be out at a time.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.shared.capacity.load(Ordering::Relaxed)
    }

    /// Lets at least `bytes` (rounded up to whole blocks) be out at a time from now on: a single
    /// piece that is larger than the pool could never become whole.
    pub fn ensure_capacity(&self, bytes: usize) {
        self.shared
            .capacity
            .fetch_max(bytes.div_ceil(BYTES), Ordering::Relaxed);
    }
}

impl fmt::Debug for BlockPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockPool({}/{})", self.in_use(), self.capacity())
    }
}

/// A block's payload; goes back to its pool when dropped.
pub struct BlockBuffer {
    block: Option<Block>,
    len: u32,
    pool: Arc<Shared>,
}

impl BlockBuffer {
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

    fn deref(&self) -> &[u8] {
        self.block
            .as_ref()
            .map_or(&[], |block| &block[..self.len as usize])
    }
}

impl DerefMut for BlockBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        let len = self.len as usize;
        self.block
            .as_mut()
            .map_or(&mut [], |block| &mut block[..len])
    }
}

impl Drop for BlockBuffer {
    fn drop(&mut self) {
        let mut free = self
            .pool
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        free.out -= 1;
        // Keep what a burst needed for the next one, but at most half of the capacity.
        if free.blocks.len() * 2 <= self.pool.capacity.load(Ordering::Relaxed) {
            free.blocks.extend(self.block.take());
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
        assert_eq!(pool.in_use(), 0);
    }

    #[test]
    fn a_pool_grows_when_told_and_never_shrinks() {
        let pool = BlockPool::new(2 * BYTES);
        pool.ensure_capacity(2 * BYTES + 1);
        assert_eq!(pool.capacity(), 3);
        pool.ensure_capacity(BYTES);
        let out: Vec<_> = std::iter::from_fn(|| pool.take(BYTES)).collect();
        assert_eq!(out.len(), 3);
    }
}
