//! Where the program's log goes: stderr, so that stdout is only what was asked for.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use super::Failure;

/// What most verbs log when nobody says otherwise.
pub(super) const DEFAULT: &str = "warn";

/// Starts logging by `--log`, or by `DUNLIN_LOG`, or else by `default`.
///
/// # Errors
/// When the filter is not one.
pub(super) fn start(filter: Option<&str>, default: &str) -> Result<(), Failure> {
    let from_environment = std::env::var("DUNLIN_LOG").ok();
    let text = filter.or(from_environment.as_deref()).unwrap_or(default);
    let filter = EnvFilter::try_new(text).map_err(|error| {
        Failure::usage(format_args!(
            "`{text}` is no log filter: {error}. Try `debug` or `warn,dunlin_systems=trace`"
        ))
    })?;
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(ansi)
        .with_writer(std::io::stderr)
        .init();
    Ok(())
}
