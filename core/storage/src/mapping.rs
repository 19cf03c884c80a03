//! Windows of files in memory, so that what is only hashed need not be copied first.
//!
//! A file that shrinks, or a disk that fails, under a mapping is no error that a call returns: the
//! processor faults, and the system sends SIGBUS, which ends the process. [`guard`] takes that signal for our
//! windows: it puts empty pages where the file's are gone and notes it, and who looked through the window
//! [hears of it](Mapping::take_torn) and reads the ordinary way, which says what is wrong.

#[cfg(target_os = "linux")]
mod guard;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
pub(crate) use linux::Mapping;

/// There are no windows on this system: everything is read.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(crate) enum Mapping {}

#[cfg(not(target_os = "linux"))]
impl Mapping {
    pub(crate) const fn new(_windows: usize, _bytes: usize) -> Option<Self> {
        None
    }

    pub(crate) const fn show(&mut self, _: usize, _: &std::fs::File, _: u64, _: usize) -> bool {
        match *self {}
    }

    pub(crate) const fn bytes(&self, _: usize) -> &[u8] {
        match *self {}
    }

    pub(crate) const fn take_torn(&mut self) -> bool {
        match *self {}
    }
}
