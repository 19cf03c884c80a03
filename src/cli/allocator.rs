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
//!
//! Simulations ask for huge pages: see [`ask_for_huge_pages`].

/// Makes all threads allocate from one arena and large tables lie apart, where that can be chosen. To
/// be called first.
pub(super) fn hold_together() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::hold_together();
}

/// Has memory come in pages of 2 MiB, where the system gives them to who asks. A simulation of thousands of
/// nodes looks all over a memory that no cache holds, and where a page lies is found sooner when there are few:
/// `benches/README.md` says what that gains. Downloads look at little, and would only hold more memory.
///
/// Glibc reads this option from the environment, when a program starts. So this one starts itself once more, in the
/// same process, unless the environment says something about huge pages already. To be called before anything
/// is opened or printed.
pub(super) fn ask_for_huge_pages() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::ask_for_huge_pages();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::env;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    const OPTIONS: &str = "GLIBC_TUNABLES";
    const OPTION: &str = "glibc.malloc.hugetlb";
    /// Says that it was asked already: a program with raised rights is not told the options.
    const ASKED: &str = "DUNLIN_HUGE_PAGES_ASKED";

    pub(super) fn ask_for_huge_pages() {
        let policy = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
        let is_for_who_asks = policy.is_ok_and(|policy| policy.contains("[madvise]"));
        let mut options = env::var_os(OPTIONS).unwrap_or_default();
        let is_said = options.to_string_lossy().contains(OPTION);
        if !is_for_who_asks || is_said || env::var_os(ASKED).is_some() || is_guest_of_the_loader() {
            return;
        }
        let Ok(program) = env::current_exe() else {
            return;
        };
        if !options.is_empty() {
            options.push(":");
        }
        options.push(format!("{OPTION}=1"));
        let mut args = env::args_os();
        let mut again = Command::new(program);
        if let Some(name) = args.next() {
            again.arg0(name);
        }
        again.args(args).env(OPTIONS, options).env(ASKED, "1");
        // It returns when that failed: then all goes on as it was, but slower.
        let _failed = again.exec();
        forgive_broken_pipes();
    }

    /// Whether the dynamic loader was started with this program as its argument: then the loader is what would be
    /// started once more.
    #[expect(
        unsafe_code,
        reason = "there is no safe way to what the kernel says of the program"
    )]
    fn is_guest_of_the_loader() -> bool {
        // SAFETY: it takes a number and touches no memory of ours.
        let loaded_at = unsafe { libc::getauxval(libc::AT_BASE) };
        loaded_at == 0
    }

    /// As Rust's programs begin: who starts another program takes it back for that one.
    #[expect(unsafe_code, reason = "there is no safe way to ignore a signal")]
    fn forgive_broken_pipes() {
        // SAFETY: no handler runs: the signal is ignored.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    }

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
