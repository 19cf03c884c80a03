//! SIGBUS in our windows.
#![expect(
    unsafe_code,
    reason = "signals and what they interrupt are outside of the language"
)]

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use rustix::param::page_size;

/// Ranges of addresses that are watched at a time: one for each thread that checks. Who finds none free
/// reads without a mapping.
const WATCHED_MAX: usize = 64;

/// A range of addresses; free while `end` is 0.
struct Watched {
    begin: AtomicUsize,
    end: AtomicUsize,
    torn: AtomicBool,
}

static WATCHED: [Watched; WATCHED_MAX] = [const {
    Watched {
        begin: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        torn: AtomicBool::new(false),
    }
}; WATCHED_MAX];

/// Who had the signal before us, once we have it; `None` when we could not get it.
static BEFORE: OnceLock<Option<libc::sigaction>> = OnceLock::new();

/// Watches over a range of addresses until it is dropped.
#[derive(Debug)]
pub(super) struct Guard(&'static Watched);

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}..{:?}", self.begin, self.end)
    }
}

impl Guard {
    /// Watches whole pages from `begin` on; `None` when there is no room for more or no signal to be had.
    pub(super) fn new(begin: usize, bytes: usize) -> Option<Self> {
        BEFORE.get_or_init(take_signal).as_ref()?;
        let free = WATCHED.iter().find(|watched| {
            let taken =
                watched
                    .begin
                    .compare_exchange(0, begin, Ordering::AcqRel, Ordering::Relaxed);
            taken.is_ok()
        })?;
        free.torn.store(false, Ordering::Relaxed);
        free.end.store(begin + bytes, Ordering::Release);
        Some(Self(free))
    }

    /// Whether pages were missing since it was last asked.
    pub(super) fn take_torn(&self) -> bool {
        self.0.torn.swap(false, Ordering::AcqRel)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.end.store(0, Ordering::Release);
        self.0.begin.store(0, Ordering::Release);
    }
}

fn take_signal() -> Option<libc::sigaction> {
    let mut before = MaybeUninit::uninit();
    // SAFETY: a sigaction of zeros is a valid one, and both pointers are to what the call expects. The handler
    // takes what SA_SIGINFO passes, and does only what may be done in a signal handler.
    unsafe {
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        action.sa_sigaction = on_bus_error as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        (libc::sigaction(libc::SIGBUS, &raw const action, before.as_mut_ptr()) == 0)
            .then(|| before.assume_init())
    }
}

/// Puts empty pages where a page of a file is gone. Nothing in here takes memory or a lock.
extern "C" fn on_bus_error(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the system passes what it knows of the signal.
    let address = unsafe { (*info).si_addr() } as usize;
    let ours = WATCHED.iter().find(|watched| {
        let end = watched.end.load(Ordering::Acquire);
        (watched.begin.load(Ordering::Acquire)..end).contains(&address)
    });
    if let Some(watched) = ours {
        let page = address - address % page_size();
        let bytes = watched.end.load(Ordering::Acquire) - page;
        let (begin, flags) = (
            ptr::without_provenance_mut(page),
            MapFlags::PRIVATE | MapFlags::FIXED,
        );
        // SAFETY: the pages up to the end of the range are ours, and whoever reads there expects bytes that may
        // change at any time. It is a bare system call.
        if unsafe { mmap_anonymous(begin, bytes, ProtFlags::READ, flags) }.is_ok() {
            watched.torn.store(true, Ordering::Release);
            return;
        }
    }
    // Not ours: whoever had it before.
    let before = BEFORE.get().copied().flatten();
    match before.map(|before| (before.sa_sigaction, before.sa_flags)) {
        Some((handler, flags)) if handler != libc::SIG_DFL && handler != libc::SIG_IGN => {
            // SAFETY: it was the handler of this signal, of the kind that its flags say.
            unsafe {
                if flags & libc::SA_SIGINFO == 0 {
                    std::mem::transmute::<usize, extern "C" fn(c_int)>(handler)(signal);
                } else {
                    let handler = std::mem::transmute::<
                        usize,
                        extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void),
                    >(handler);
                    handler(signal, info, context);
                }
            }
        }
        _ => {
            // What faulted faults again when this returns, and ends the process as it would have.
            // SAFETY: it sets the signal back to what it does by default.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}
