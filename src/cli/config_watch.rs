//! Sees changes of the configuration file while the program runs.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dunlin_port::config::Config;
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::config_layers::{self, LoadError};

/// How long the folder has to be quiet: an editor's save is several changes.
const QUIET: Duration = Duration::from_millis(200);
/// How long changes are waited out in a folder that is never quiet.
const QUIET_WAIT_MAX: Duration = Duration::from_secs(1);

/// A watch on the configuration file; it ends when this is dropped.
pub(crate) struct ConfigWatch {
    /// `None` only while it is being dropped: its end is what ends the thread.
    watcher: Option<RecommendedWatcher>,
    thread: Option<JoinHandle<()>>,
}

/// Calls `changed` with every configuration that is another than the last, made of the same layers
/// as by [`config_layers::load`] with `named`, and with the reason when one is refused: what was in
/// force before then stays in force. `in_force` is the first, as it was loaded.
///
/// # Errors
/// When there is no folder to watch, or the system gives no watch.
pub(crate) fn watch(
    named: Option<&Path>,
    in_force: Config,
    mut changed: impl FnMut(Result<Config, LoadError>) + Send + 'static,
) -> notify::Result<ConfigWatch> {
    let named = named.map(Path::to_path_buf);
    let path = named.clone().or_else(config_layers::default_path);
    let path =
        path.ok_or_else(|| notify::Error::generic("there is no folder for configuration"))?;

    // One waiting change says all that a thousand do.
    let (sender, changes) = sync_channel(1);
    let mut watcher = notify::recommended_watcher(move |event| tell(&sender, &event))?;
    // The folder and not the file, because editors replace files; whatever changes in it counts,
    // because the file may be a link through another that is replaced.
    watcher.watch(&folder_of(&path), RecursiveMode::NonRecursive)?;

    let thread = std::thread::Builder::new()
        .name("config-watch".to_owned())
        .spawn(move || {
            let mut last = Ok(in_force);
            // The first look finds what changed before the watch began.
            loop {
                let now = config_layers::load(named.as_deref()).map(|loaded| loaded.config);
                let seen = now.as_ref().map(Config::clone).map_err(ToString::to_string);
                if seen != last {
                    last = seen;
                    changed(now);
                }
                if !wait_for_change(&changes) {
                    return;
                }
            }
        })?;
    Ok(ConfigWatch {
        watcher: Some(watcher),
        thread: Some(thread),
    })
}

impl Drop for ConfigWatch {
    fn drop(&mut self) {
        drop(self.watcher.take());
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the thread that watched the configuration had panicked");
        }
    }
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Notes that something changed. Reading is no change: our own would otherwise wake us for ever.
fn tell(sender: &SyncSender<()>, event: &notify::Result<Event>) {
    if event.as_ref().is_ok_and(|event| event.kind.is_access()) {
        return;
    }
    match sender.try_send(()) {
        // A change that waits already says the same; nobody listens when the watch is ending.
        Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
    }
}

/// Waits until something changed and has been quiet since; `false` when the watch ended.
fn wait_for_change(changes: &Receiver<()>) -> bool {
    if changes.recv().is_err() {
        return false;
    }
    let end = Instant::now() + QUIET_WAIT_MAX;
    loop {
        let rest = end.saturating_duration_since(Instant::now());
        match changes.recv_timeout(QUIET.min(rest)) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use dunlin_port::config::ByteSize;

    use super::*;

    #[test]
    fn changes_are_told_and_bad_ones_with_their_line() {
        const LIMIT: Duration = Duration::from_secs(20);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, "").unwrap();
        let (sender, told) = sync_channel(10);
        let watch = watch(Some(&path), Config::default(), move |outcome| {
            sender
                .send(outcome.map_err(|error| error.to_string()))
                .unwrap();
        })
        .unwrap();

        // The way of most editors: a new file in the old one's place.
        let fresh = folder.path().join("config.toml.new");
        fs::write(&fresh, "[engine.limits]\nup = \"2M\"\n").unwrap();
        fs::rename(&fresh, &path).unwrap();
        let config = told.recv_timeout(LIMIT).unwrap().unwrap();
        assert_eq!(config.engine.limits.up, Some(ByteSize(2 << 20)));

        fs::write(&path, "[engine.limits]\nupp = 1\n").unwrap();
        let reason = told.recv_timeout(LIMIT).unwrap().unwrap_err();
        assert!(
            reason.contains("config.toml:2: unknown field `upp`"),
            "{reason}"
        );

        drop(watch);
        assert!(told.try_recv().is_err(), "nothing else changed");
    }

    #[test]
    fn a_change_before_the_watch_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, "[engine.limits]\nup = 4096\n").unwrap();
        let (sender, told) = sync_channel(10);
        let watch = watch(Some(&path), Config::default(), move |outcome| {
            sender
                .send(outcome.map_err(|error| error.to_string()))
                .unwrap();
        });
        let config = told.recv_timeout(Duration::from_secs(20)).unwrap().unwrap();
        assert_eq!(config.engine.limits.up, Some(ByteSize(4096)));
        drop(watch);
    }
}
