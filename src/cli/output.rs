//! How a running transfer is told: JSON lines, bars on a terminal, or plain lines now and then.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dunlin::SessionEvent;
use dunlin_port::snapshot::{Reason, TorrentState, TorrentView};
use serde_json::{Value, json};

use super::Failure;
use super::bars::Bars;
use super::text::{count, grouped, plain, print, size};
use super::transfer::Item;

/// How often a plain line is printed.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// How long a torrent is slow before it says why.
const SLOW_FOR: Duration = Duration::from_secs(5);

/// Where a transfer is told.
pub(super) struct Output {
    form: Form,
    files: bool,
}

enum Form {
    Json,
    Bars(Bars),
    Lines { next: Option<Instant> },
}

impl Output {
    /// JSON lines.
    pub(super) const fn json() -> Self {
        Self {
            form: Form::Json,
            files: false,
        }
    }

    /// Bars when a person sits at a terminal, or else a line now and then.
    pub(super) fn for_people() -> Self {
        let form = match std::io::stderr().is_terminal() {
            true => Form::Bars(Bars::new()),
            false => Form::Lines { next: None },
        };
        Self { form, files: false }
    }

    /// Tells of each file as well.
    pub(super) fn with_files(mut self) -> Self {
        self.files = true;
        if let Form::Bars(bars) = &mut self.form {
            bars.show_files();
        }
        self
    }

    pub(super) fn listening(&self, addrs: &[SocketAddr]) -> Result<(), Failure> {
        if let Form::Json = self.form {
            return addrs
                .iter()
                .try_for_each(|addr| print(json!({ "type": "listening", "addr": addr })));
        }
        for addr in addrs {
            tracing::info!(%addr, "listening");
        }
        Ok(())
    }

    /// Tells of what happened to a torrent.
    pub(super) fn event(&self, item: &Item, event: &SessionEvent) -> Result<(), Failure> {
        let Form::Json = self.form else {
            return self.line(item, event);
        };
        if let SessionEvent::Completed { .. } = event {
            return self.complete(item);
        }
        match fact(item, event) {
            Some(fact) => print(fact),
            None => Ok(()),
        }
    }

    /// Tells that whoever reads was too slow for so many events.
    pub(super) fn missed(&self, events: u64) -> Result<(), Failure> {
        match &self.form {
            Form::Json => print(json!({ "type": "missed", "events": events })),
            _ => {
                tracing::debug!(events, "the terminal was too slow to be told all");
                Ok(())
            }
        }
    }

    /// Tells that everything is there.
    pub(super) fn complete(&self, item: &Item) -> Result<(), Failure> {
        let hash = item.info_hash.to_string();
        match &self.form {
            Form::Json => {
                print(json!({ "type": "completed", "info_hash": hash }))?;
                print(json!({ "type": "seeding", "info_hash": hash }))
            }
            _ => self.say(format_args!(
                "{}: complete and verified",
                plain(&item.name())
            )),
        }
    }

    /// Tells how far everything is that moved since, when it is time.
    pub(super) fn progress(&mut self, items: &mut [Item]) -> Result<(), Failure> {
        match &mut self.form {
            Form::Json => {
                for item in items {
                    if !std::mem::take(&mut item.news) {
                        continue;
                    }
                    if let Some(view) = &item.view {
                        print(progress_fact(item, view, self.files))?;
                    }
                }
            }
            Form::Bars(bars) => bars.show(items),
            Form::Lines { next } => {
                let now = Instant::now();
                // Nothing at the very start: there is nothing to tell yet.
                let due = *next.get_or_insert(now + LINE_EVERY);
                if now >= due {
                    *next = Some(now + LINE_EVERY);
                    for item in items {
                        if std::mem::take(&mut item.news) {
                            print(format_args!("{}: {}", plain(&item.name()), status(item)))?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes bars away.
    pub(super) fn clear(&mut self) {
        if let Form::Bars(bars) = &mut self.form {
            bars.clear();
        }
    }

    /// Tells what came of a torrent.
    pub(super) fn summary(&self, item: &Item, seconds: f64) -> Result<(), Failure> {
        if let Form::Json = self.form {
            return print(summary_fact(item, seconds));
        }
        let name = plain(&item.name());
        if let Some(reason) = &item.failed {
            return print(format_args!("{name}: failed: {}", plain(reason)));
        }
        let Some(view) = &item.view else {
            return Ok(());
        };
        if item.info.is_none() {
            return print(format_args!(
                "{name}: incomplete, nobody has told what it contains, {seconds:.1} s"
            ));
        }
        if self.files {
            for line in file_lines(item, view) {
                print(line)?;
            }
        }
        let state = if item.complete_since.is_some() {
            "complete"
        } else {
            "incomplete"
        };
        print(format_args!(
            "{name}: {state}, {} of {} in {}, {} received and {} sent in all, {seconds:.1} s",
            size(view.done_bytes),
            size(view.wanted_bytes),
            view.root.display(),
            size(view.totals.downloaded_bytes),
            size(view.totals.uploaded_bytes),
        ))
    }

    /// Tells how to go on later.
    pub(super) fn interrupted(&self) -> Result<(), Failure> {
        match self.form {
            Form::Json => print(json!({ "type": "stopped", "reason": "interrupted" })),
            _ => {
                print("interrupted; the state is saved: the same command goes on where it stopped")
            }
        }
    }

    /// An event as a line for a person, if it is worth one.
    fn line(&self, item: &Item, event: &SessionEvent) -> Result<(), Failure> {
        let name = plain(&item.name());
        match event {
            SessionEvent::MetadataCame { info, .. } => {
                let files = info.files().iter().filter(|file| !file.attributes.padding);
                self.say(format_args!(
                    "{name}: {} in {}",
                    size(info.geometry().total_bytes()),
                    count(files.count() as u64, "file"),
                ))
            }
            SessionEvent::Opened { have_pieces, .. } if *have_pieces > 0 => self.say(format_args!(
                "{name}: {} of {} are there already",
                grouped(u64::from(*have_pieces)),
                count(u64::from(item.pieces()), "piece"),
            )),
            SessionEvent::Completed { .. } => self.complete(item),
            SessionEvent::PeerBanned { addr, reason, .. } => {
                self.say(format_args!("{name}: banned {addr}: {}", plain(reason)))
            }
            SessionEvent::TrackerFailed { url, error, .. } => {
                self.say(format_args!("{name}: {}: {}", plain(url), plain(error)))
            }
            SessionEvent::TorrentStopped {
                reason, retry_secs, ..
            } => {
                let reason = plain(reason);
                match retry_after(item, *retry_secs) {
                    Some(secs) => self.say(format_args!(
                        "{name}: stopped: {reason}; it is tried again every {secs} s"
                    )),
                    None => self.say(format_args!("{name}: stopped: {reason}")),
                }
            }
            SessionEvent::TorrentRecovered { .. } => self.say(format_args!("{name}: goes on")),
            _ => Ok(()),
        }
    }

    fn say(&self, text: impl std::fmt::Display) -> Result<(), Failure> {
        match &self.form {
            Form::Bars(bars) => bars.above(|| print(text)),
            _ => print(text),
        }
    }
}

/// Seconds until a stopped torrent is tried again, if this run waits for that.
fn retry_after(item: &Item, retry_secs: Option<u64>) -> Option<u64> {
    retry_secs.filter(|_| item.failed.is_none())
}

/// What a torrent is doing, on one line.
pub(super) fn status(item: &Item) -> String {
    let Some(view) = &item.view else {
        let at_rest = item.complete_since.is_some();
        return if at_rest { "seeding" } else { "opening" }.to_owned();
    };
    match &view.state {
        TorrentState::Metadata {
            done_bytes,
            of_bytes,
        } => metadata(view, *done_bytes, *of_bytes),
        TorrentState::Checking { done, of } => format!("checking {done} of {of} pieces"),
        TorrentState::Paused => "paused".to_owned(),
        TorrentState::Stopped { reason } => format!("stopped: {}", plain(reason)),
        TorrentState::Seeding => format!(
            "seeding to {}, {}/s, {} sent",
            count(view.peers.len() as u64, "peer"),
            size(view.up_bytes_per_sec),
            size(view.totals.uploaded_bytes),
        ),
        TorrentState::Downloading => downloading(item, view),
    }
}

/// Whom the metadata is asked of and how much has come, or why it is asked of nobody.
fn metadata(view: &TorrentView, done_bytes: u32, of_bytes: u32) -> String {
    if let Some(Reason::MetadataAsked { peers }) = view.why.first() {
        return format!(
            "metadata from {}, {} of {}",
            count(u64::from(*peers), "peer"),
            size(done_bytes.into()),
            size(of_bytes.into()),
        );
    }
    let reasons = view.why.iter().map(|reason| plain(&reason.to_string()));
    let reasons: Vec<String> = reasons.collect();
    format!("no metadata yet: {}", reasons.join("; "))
}

fn downloading(item: &Item, view: &TorrentView) -> String {
    let percent = view.done_bytes as f64 * 100.0 / view.wanted_bytes.max(1) as f64;
    let mut text = format!(
        "{percent:.1} %, {}/s, {}",
        size(view.down_bytes_per_sec),
        count(view.peers.len() as u64, "peer")
    );
    let slow = item
        .slow_since
        .is_some_and(|since| since.elapsed() >= SLOW_FOR);
    if slow {
        if let Some(reason) = view.why.first() {
            text += &format!(": {}", plain(&reason.to_string()));
        }
    } else if let Some(secs) = eta_secs(view) {
        text += &format!(", {} left", clock(secs));
    }
    text
}

fn eta_secs(view: &TorrentView) -> Option<u64> {
    view.wanted_bytes
        .saturating_sub(view.done_bytes)
        .checked_div(view.down_bytes_per_sec)
}

fn clock(secs: u64) -> String {
    let (hours, minutes, secs) = (secs / 3600, secs / 60 % 60, secs % 60);
    match hours {
        0 => format!("{minutes}:{secs:02}"),
        _ => format!("{hours}:{minutes:02}:{secs:02}"),
    }
}

/// Files that are wanted, padding and empty ones aside, each with its bytes done.
pub(super) fn file_lines(item: &Item, view: &TorrentView) -> Vec<String> {
    let files = item
        .info
        .iter()
        .flat_map(|info| info.files())
        .zip(&view.file_done_bytes);
    files
        .filter(|(file, _)| !file.attributes.padding && file.length > 0)
        .map(|(file, done)| {
            format!(
                "  {:>5.1} %  {}",
                *done as f64 * 100.0 / file.length as f64,
                plain(file.path.as_str())
            )
        })
        .collect()
}

fn fact(item: &Item, event: &SessionEvent) -> Option<Value> {
    let hash = item.info_hash.to_string();
    Some(match event {
        SessionEvent::MetadataCame { info, .. } => json!({
            "type": "metadata",
            "info_hash": hash,
            "name": info.name(),
            "total_bytes": info.geometry().total_bytes(),
            "pieces": info.geometry().piece_count(),
            "files": info.files().len(),
            "private": info.is_private(),
        }),
        SessionEvent::Opened {
            have_pieces,
            checked_pieces,
            ..
        } => json!({
            "type": "checked",
            "info_hash": hash,
            "have_pieces": have_pieces,
            "checked_pieces": checked_pieces,
            "pieces": item.pieces(),
        }),
        SessionEvent::HashFailed { piece, .. } => {
            json!({ "type": "hash_failed", "info_hash": hash, "piece": piece })
        }
        SessionEvent::PeerBanned { addr, reason, .. } => {
            json!({ "type": "peer_banned", "info_hash": hash, "addr": addr, "reason": reason })
        }
        SessionEvent::TrackerReplied { url, peers, .. } => {
            json!({ "type": "tracker", "info_hash": hash, "url": url, "peers": peers })
        }
        SessionEvent::TrackerFailed { url, error, .. } => {
            json!({ "type": "tracker", "info_hash": hash, "url": url, "error": error })
        }
        SessionEvent::TorrentStopped {
            reason, retry_secs, ..
        } => json!({
            "type": "stopped",
            "info_hash": hash,
            "reason": reason,
            "retry_secs": retry_after(item, *retry_secs),
        }),
        SessionEvent::TorrentRecovered { .. } => json!({ "type": "recovered", "info_hash": hash }),
        SessionEvent::PieceDone { .. }
        | SessionEvent::Completed { .. }
        | SessionEvent::Moved { .. }
        | SessionEvent::Removed { .. }
        | SessionEvent::Stopped => return None,
    })
}

fn progress_fact(item: &Item, view: &TorrentView, files: bool) -> Value {
    let mut fact = json!({
        "type": "progress",
        "info_hash": view.info_hash.to_string(),
        "state": state_word(&view.state),
        "done_bytes": view.done_bytes,
        "wanted_bytes": view.wanted_bytes,
        "have_pieces": view.have_pieces,
        "pieces": view.pieces,
        "down_bytes_per_sec": view.down_bytes_per_sec,
        "up_bytes_per_sec": view.up_bytes_per_sec,
        "peers": view.peers.len(),
        "why": view.why.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    if files {
        let files = item
            .info
            .iter()
            .flat_map(|info| info.files())
            .zip(&view.file_done_bytes);
        let files = files.filter(|(file, _)| !file.attributes.padding).map(|(file, done)| {
            json!({ "path": file.path.as_str(), "done_bytes": done, "bytes": file.length })
        });
        fact["files"] = files.collect();
    }
    fact
}

const fn state_word(state: &TorrentState) -> &'static str {
    match state {
        TorrentState::Metadata { .. } => "metadata",
        TorrentState::Checking { .. } => "checking",
        TorrentState::Downloading => "downloading",
        TorrentState::Seeding => "seeding",
        TorrentState::Paused => "paused",
        TorrentState::Stopped { .. } => "stopped",
    }
}

fn summary_fact(item: &Item, seconds: f64) -> Value {
    let view = item.view.as_deref();
    let number = |of: fn(&TorrentView) -> u64| view.map_or(0, of);
    json!({
        "type": "summary",
        "complete": item.complete_since.is_some(),
        "error": item.failed,
        "info_hash": item.info_hash.to_string(),
        "name": item.name(),
        "downloaded_bytes": number(|view| view.totals.downloaded_bytes),
        "uploaded_bytes": number(|view| view.totals.uploaded_bytes),
        "wasted_bytes": number(|view| view.wasted_bytes),
        "corrupt_bytes": number(|view| view.corrupt_bytes),
        "have_pieces": number(|view| view.have_pieces.into()),
        "pieces": item.pieces(),
        "seconds": seconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_show_hours_only_when_there_are_some() {
        assert_eq!(clock(59), "0:59");
        assert_eq!(clock(3600), "1:00:00");
        assert_eq!(clock(100 * 3600 + 61), "100:01:01");
    }
}
