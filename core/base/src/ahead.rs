//! Going through lists faster than memory answers.
//!
//! Where there are many peers, what a system looks at lies all over a memory that no cache holds: an entry of
//! its list leads to an index, from there to rows of tables, and from those to what they point at, and each
//! of these steps takes as long as hundreds of instructions. But a dozen lines come in the time of one. So a
//! loop [looks ahead](look_ahead) along its list, and asks for what entries to come will need.

/// Entries that are looked at together, and between two looks at one. Few, since what was asked for has to stay
/// in the first cache until it is needed, but their turns have to take as long as memory; with two it takes a
/// fortieth more.
pub const LOOK: usize = 4;

/// Takes the `looks` at entries to come, each one a [`LOOK`] later than the one before, so that it finds what
/// that one asked for. To be called with the rest of a list before each `LOOK` entries of it.
///
/// It decides nothing: what looks find may be different when its turn comes.
#[inline]
pub fn look_ahead<T>(rest: &[T], looks: &[&dyn Fn(&T)]) {
    let mut from = looks.len() * LOOK;
    for look in looks {
        let to_come = rest.get(from..).unwrap_or_default();
        to_come.iter().take(LOOK).for_each(look);
        from -= LOOK;
    }
}

/// As [`look_ahead`], with a note on each entry for its later looks.
#[derive(Debug, Default)]
pub struct Ahead<N> {
    /// A ring: the note on the entry at hand is at `done`.
    notes: Vec<N>,
    done: usize,
}

impl<N: Clone + Default> Ahead<N> {
    /// Takes the `looks`. There have to be as many each time.
    #[inline]
    pub fn look<T>(&mut self, rest: &[T], looks: &[&dyn Fn(&T, &mut N)]) {
        let len = (looks.len() + 1) * LOOK;
        self.notes.resize(len, N::default());
        for (nth, look) in looks.iter().enumerate() {
            let from = (looks.len() - nth) * LOOK;
            let notes = (self.done + from) % len;
            let notes = &mut self.notes[notes..notes + LOOK];
            let to_come = rest.get(from..).unwrap_or_default();
            to_come
                .iter()
                .zip(notes)
                .for_each(|(entry, note)| look(entry, note));
        }
        self.done = (self.done + LOOK) % len;
    }
}

/// A list in groups of [`LOOK`], each with what is left of the list from it on.
pub fn groups<T>(list: &[T]) -> impl Iterator<Item = (&[T], &[T])> {
    let rests = (0..).step_by(LOOK).map_while(|from| list.get(from..));
    rests.zip(list.chunks(LOOK))
}

/// A line of the cache, bytes.
const LINE: usize = 64;

/// Asks for the line of the cache in which `thing` begins, and does not wait for it. Of what is no longer than
/// a line and may lie across the border of two, for both.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it is two instructions")]
pub fn prefetch<T>(thing: &T) {
    let at = core::ptr::from_ref(thing).cast::<i8>();
    ask_for(at);
    let size = size_of::<T>();
    if size <= LINE && size > align_of::<T>() {
        ask_for(at.wrapping_add(size - 1));
    }
}

#[inline(always)]
#[expect(
    unsafe_code,
    reason = "the instruction takes a pointer, and is all there is to it"
)]
fn ask_for(at: *const i8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has the instruction, and it accesses nothing.
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at);
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: every AArch64 has the instruction, and it accesses nothing.
    unsafe {
        core::arch::asm!("prfm pldl1keep, [{at}]", at = in(reg) at, options(nostack, readonly, preserves_flags));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _: *const i8 = at;
}

#[cfg(test)]
mod tests {
    use core::cell::RefCell;

    use super::*;

    #[test]
    fn every_entry_behind_the_first_looks_is_looked_at_in_turn() {
        let list: Vec<_> = (0..9).collect();
        let seen = RefCell::new(Vec::new());
        for (rest, group) in groups(&list) {
            look_ahead(
                rest,
                &[
                    &|&entry| seen.borrow_mut().push((entry, "far")),
                    &|&entry| seen.borrow_mut().push((entry, "near")),
                ],
            );
            for &entry in group {
                seen.borrow_mut().push((entry, "turn"));
            }
        }
        let seen = seen.into_inner();
        for entry in list {
            let looks: Vec<_> = seen.iter().filter(|one| one.0 == entry).collect();
            let looks: Vec<_> = looks.into_iter().map(|one| one.1).collect();
            // The first ones are at hand before they could be looked at.
            let missed = 2 - (entry / LOOK).min(2);
            assert_eq!(looks, ["far", "near", "turn"][missed..]);
        }
    }

    #[test]
    fn a_note_stays_with_its_entry() {
        let list: Vec<_> = (0..20 * LOOK).collect();
        let mut ahead = Ahead::default();
        let read = RefCell::new(Vec::new());
        for (rest, _) in groups(&list) {
            ahead.look(
                rest,
                &[
                    &|entry, note| *note = entry * 10,
                    &|_, _| {},
                    &|&entry, note| read.borrow_mut().push((entry, *note)),
                ],
            );
        }
        let read = read.into_inner();
        assert!(read.len() > 15 * LOOK);
        // Those that were too near for the first look have no note.
        let noted = read.iter().filter(|(entry, _)| *entry >= 3 * LOOK);
        assert!(noted.clone().count() > 15 * LOOK);
        assert!(noted.into_iter().all(|(entry, note)| *note == entry * 10));
    }
}
