//! How the system's allocator is used: from one arena, and with what is large apart from it.
//!
//! Glibc gives each thread an arena of its own. What helpers allocate and the engine keeps, row by
//! row for thousands of torrents, then lies in all of them with holes between: about a kilobyte more
//! for each torrent. Payload does not pass through the allocator, so nobody waits for the one arena.
//!
//! A large allocation is a mapping of its own, which goes back to the system when it is freed and takes no
//! memory for what was never touched. Glibc would no more do so for what is as large as the largest that was
//! freed: then a table that grows to twice its size leaves a hole of its old size in the arena, and is
//! moved. With 10,000 torrents these holes are 3 MB.

/// Makes all threads allocate from one arena and large tables lie apart, where that can be chosen. To
/// be called first.
pub(super) fn hold_together() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::hold_together();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    /// What is as large or larger is a mapping of its own: glibc's first choice, which it would raise.
    const MAPPED_BYTES_MIN: libc::c_int = 128 << 10;

    #[expect(
        unsafe_code,
        reason = "there is no safe way to the allocator's options"
    )]
    pub(super) fn hold_together() {
        for (option, value) in [
            (libc::M_ARENA_MAX, 1),
            (libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN),
        ] {
            // SAFETY: it takes two numbers and touches no memory of ours; there is one thread as yet.
            let set = unsafe { libc::mallopt(option, value) };
            debug_assert_eq!(set, 1, "glibc knows the option");
        }
    }
}
