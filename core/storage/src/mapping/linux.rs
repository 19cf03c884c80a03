//! A range of addresses through which parts of files are seen.
#![expect(unsafe_code, reason = "mappings are pointers")]

use std::ffi::c_void;
use std::fs::File;
use std::{ptr, slice};

use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use rustix::param::page_size;

use super::guard::Guard;

/// Some windows side by side. What is seen through them may change at any time, as files do.
#[derive(Debug)]
pub(crate) struct Mapping {
    begin: *mut c_void,
    windows: Vec<Window>,
    /// Addresses of one window: its bytes, and a page more since they may begin anywhere in one.
    stride: usize,
    /// Taken away before the addresses are given back: whoever has them next is not ours to watch.
    guard: Option<Guard>,
    /// Whether a file could not be mapped. The system may have taken the addresses out of our hands then
    /// (FUSE refuses so late), so nothing is mapped over them, or given back, any more.
    is_holed: bool,
}

// SAFETY: the addresses are this object's alone, and shared references only read them.
unsafe impl Send for Mapping {}

/// Where in its addresses a window's bytes are.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    lead: usize,
    len: usize,
}

impl Mapping {
    /// `windows` windows of at most `bytes` each, a multiple of pages. `None` when the system has no
    /// addresses, or no signal, to spare.
    pub(crate) fn new(windows: usize, bytes: usize) -> Option<Self> {
        let stride = bytes.checked_next_multiple_of(page_size())? + page_size();
        let all = stride * windows;
        // SAFETY: the system chooses addresses that nobody has.
        let begin =
            unsafe { mmap_anonymous(ptr::null_mut(), all, ProtFlags::empty(), MapFlags::PRIVATE) }
                .ok()?;
        match Guard::new(begin.addr(), all) {
            Some(guard) => Some(Self {
                begin,
                windows: vec![Window::default(); windows],
                stride,
                guard: Some(guard),
                is_holed: false,
            }),
            None => {
                // SAFETY: they were just taken, and nobody else knows of them.
                _ = unsafe { munmap(begin, all) };
                None
            }
        }
    }

    /// Shows `len` bytes of a file from `offset` on in a window, in place of what it showed before; says
    /// whether it does. A file that ends before is not shown.
    ///
    /// # Panics
    /// When they are more than a window takes.
    pub(crate) fn show(&mut self, window: usize, file: &File, offset: u64, len: usize) -> bool {
        let lead = (offset % page_size() as u64) as usize;
        assert!(
            lead + len <= self.stride,
            "{len} bytes in a window of {}",
            self.stride
        );
        let is_long_enough = rustix::fs::fstat(file).is_ok_and(|stat| {
            u64::try_from(stat.st_size).is_ok_and(|size| size >= offset + len as u64)
        });
        let row = &mut self.windows[window];
        *row = Window::default();
        if !is_long_enough || self.is_holed {
            return false;
        }
        let flags = MapFlags::SHARED | MapFlags::FIXED;
        // SAFETY: the addresses are of this window, and nobody borrows its bytes while this is borrowed mutably.
        let shown = unsafe {
            let at = self.begin.byte_add(window * self.stride);
            mmap(
                at,
                lead + len,
                ProtFlags::READ,
                flags,
                file,
                offset - lead as u64,
            )
        };
        match shown {
            Ok(_) => *row = Window { lead, len },
            Err(_) => self.is_holed = true,
        }
        !self.is_holed
    }

    /// What a window shows; empty when it shows nothing.
    pub(crate) fn bytes(&self, window: usize) -> &[u8] {
        let Window { lead, len } = self.windows[window];
        if len == 0 {
            return &[];
        }
        // SAFETY: so many bytes are mapped there until it shows something else, for which nobody may borrow
        // them. Where the file's are gone the guard puts others. They may change while they are read, as
        // bytes of files do: who reads them hashes them, and nothing else is concluded from them.
        unsafe {
            let at = self.begin.byte_add(window * self.stride + lead);
            slice::from_raw_parts(at.cast(), len)
        }
    }

    /// Whether bytes that were shown since it was last asked were not those of their files: a file became
    /// shorter, or the disk failed.
    pub(crate) fn take_torn(&mut self) -> bool {
        self.guard.as_ref().is_some_and(Guard::take_torn)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.guard = None;
        if self.is_holed {
            return;
        }
        // SAFETY: they are ours, and nobody borrows their bytes any more.
        _ = unsafe { munmap(self.begin, self.stride * self.windows.len()) };
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn windows_show_what_is_in_files() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|at| (at / 7) as u8).collect();
        let file = file(&bytes);
        let mut mapping = Mapping::new(2, 64 << 10).unwrap();
        for (window, offset, len) in [
            (0, 0, 65_536),
            (1, 5000, 65_536),
            (0, 99_999, 1),
            (1, 8192, 10),
        ] {
            assert!(mapping.show(window, &file, offset, len));
            let offset = offset as usize;
            assert_eq!(mapping.bytes(window), &bytes[offset..offset + len]);
        }
        // Further than the file goes: nothing is shown.
        assert!(!mapping.show(0, &file, 99_999, 2));
        assert_eq!(mapping.bytes(0), []);
        assert_eq!(
            mapping.bytes(1),
            &bytes[8192..8202],
            "the other still shows it"
        );
        assert!(!mapping.take_torn());
    }

    #[test]
    fn a_file_that_shrinks_is_told_of_and_does_not_end_the_process() {
        let file = file(&[7; 64 << 10]);
        let mut mapping = Mapping::new(2, 64 << 10).unwrap();
        let whole = file_of_nines();
        assert!(mapping.show(0, &file, 0, 64 << 10) && mapping.show(1, &whole, 0, 4096));
        file.set_len(10_000).unwrap();
        // The page in which it ends is still there.
        let sum: u64 = mapping.bytes(0).iter().map(|byte| u64::from(*byte)).sum();
        assert_eq!(sum, 70_000);
        assert!(mapping.take_torn());
        assert!(!mapping.take_torn(), "it is told once");
        assert!(mapping.show(1, &whole, 0, 4096));
        assert_eq!(mapping.bytes(1), [9; 4096]);
        assert!(!mapping.take_torn());
    }

    #[test]
    fn after_a_file_that_cannot_be_mapped_nothing_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, [1; 4096]).unwrap();
        let blind = File::options().write(true).open(&path).unwrap();
        let mut mapping = Mapping::new(2, 4096).unwrap();
        let seen = File::open(&path).unwrap();
        assert!(mapping.show(0, &seen, 0, 4096));
        assert!(!mapping.show(1, &blind, 0, 4096));
        assert!(!mapping.show(1, &seen, 0, 4096));
        assert_eq!(mapping.bytes(0), [1; 4096], "what is shown stays");
    }

    fn file_of_nines() -> File {
        file(&[9; 4096])
    }
}
