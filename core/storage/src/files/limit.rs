//! How many files the system lets this process have open.

/// Files that are kept open where the system allows it: more would hardly save another opening.
const KEPT_MAX: usize = 256;
/// Files that are kept open however few the system allows.
const KEPT_MIN: usize = 4;

/// How many files of torrents this process may well keep open: a quarter of what the system allows,
/// because connections need most of it; at most 256, which the usual limit of 1,024 gives.
#[must_use]
pub fn files_to_keep_open() -> usize {
    let allowed = allowed().unwrap_or(usize::MAX);
    (allowed / 4).clamp(KEPT_MIN, KEPT_MAX)
}

/// The limit of descriptors in force; `None` where there is none.
#[cfg(unix)]
fn allowed() -> Option<usize> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.and_then(|limit| usize::try_from(limit).ok())
}

#[cfg(not(unix))]
const fn allowed() -> Option<usize> {
    None
}

/// Lets this process have as many files and connections open as its system permits: the limit in force
/// is often far below what a process may set by itself, for the sake of programs that use `select`.
/// Only programs should call it, once, at their start. Where it fails the limit stays.
#[cfg(unix)]
pub fn raise_open_files_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    /// What is enough, and what systems allow that refuse it whatever the limit says they permit.
    const WANTED: [u64; 2] = [65_536, 10_240];
    for wanted in WANTED {
        let mut limit = getrlimit(Resource::Nofile);
        let wanted = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
        if limit.current.is_none_or(|current| current >= wanted) {
            return;
        }
        limit.current = Some(wanted);
        // Where none of them is taken, less is open at a time.
        if setrlimit(Resource::Nofile, limit).is_ok() {
            return;
        }
    }
}

/// Nothing: there is no such limit here.
#[cfg(not(unix))]
pub const fn raise_open_files_limit() {}
