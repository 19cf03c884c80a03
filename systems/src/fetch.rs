//! Gets rows nearer to the processor before they are worked on.
//!
//! What a tick works on is nowhere near each other in memory, and what is done with a row depends on what
//! is in it: a processor waits for one row after the other. In a loop that does nothing but read, it waits
//! for many at a time.

use core::hint::black_box;

/// Reads something of each row, for no other use.
pub(crate) fn fetch<T>(rows: impl Iterator<Item = T>, read: impl Fn(&T) -> u64) {
    // First where they are, then what is there: two short loops wait for more rows at a time than one.
    let rows: Vec<T> = rows.collect();
    black_box(rows.iter().map(read).fold(0, u64::wrapping_add));
}
