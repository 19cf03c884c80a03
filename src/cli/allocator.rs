//! How the system's allocator is used: from one arena.
//!
//! Glibc gives each thread an arena of its own. What helpers allocate and the engine keeps, row by
//! row for thousands of torrents, then lies in all of them with holes between: about a kilobyte more
//! for each torrent. Payload does not pass through the allocator, so nobody waits for the one arena.

/// Makes all threads allocate from one arena, where that can be chosen. To be called first.
pub(super) fn share_one_arena() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::share_one_arena();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    #[expect(
        unsafe_code,
        reason = "there is no safe way to the allocator's options"
    )]
    pub(super) fn share_one_arena() {
        // SAFETY: it takes two numbers and touches no memory of ours; there is one thread as yet.
        let set = unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
        debug_assert_eq!(set, 1, "glibc knows the option");
    }
}
