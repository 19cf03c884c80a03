//! ^C, a polite kill and a terminal that goes away: once to end in order, twice to end at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use super::Failure;

/// The exit code of who was interrupted twice.
const INTERRUPTED: i32 = 130;

/// Whether somebody wants the program to end.
#[derive(Clone)]
pub(crate) struct Interrupts(Arc<AtomicBool>);

impl Interrupts {
    /// Catches SIGINT, SIGTERM and SIGHUP from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn catch() -> Result<Self, Failure> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // In this order: the first signal sets the flag that lets the second end the program.
            flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&flag))
                .and_then(|_| flag::register(signal, Arc::clone(&flag)))
                .map_err(|error| {
                    Failure::failed(format_args!("cannot wait for signals: {error}"))
                })?;
        }
        Ok(Self(flag))
    }

    /// Whether one came.
    pub(crate) fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
