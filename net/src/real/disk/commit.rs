//! Makes durable what was written, then says so in the resume database.
//!
//! A torrent's files are flushed by any thread; the transaction behind it is done by one thread at
//! a time for all torrents that are flushed by then, so thousands of torrents share few of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use dunlin_base::{Bitfield, TorrentKey};
use dunlin_port::disk::{DiskError, DiskEvent, Totals};
use dunlin_storage::{Flushed, Storage as _};

use super::records::{Facts, Records};
use super::torrent::OpenTorrent;
use super::trouble;

/// Torrents that wait for a transaction.
#[derive(Default)]
pub(super) struct Line {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    facts: VecDeque<(TorrentKey, Facts, Then)>,
    /// Whether a thread carries out commits, ours among them.
    led: bool,
}

/// What a commit was for.
pub(super) enum Then {
    /// To be told of.
    Committed,
    /// A check, of which this is told.
    Opened(DiskEvent, Arc<OpenTorrent>),
    /// The last one of a torrent.
    Closed,
}

/// How a torrent's commit ended.
pub(super) type Outcome = (TorrentKey, Then, Result<(), DiskError>);

/// Flushes a torrent's files, after their last touch when they are complete.
pub(super) fn flush(
    torrent: &Arc<OpenTorrent>,
    have: Bitfield,
    state: Option<(Totals, bool)>,
) -> Result<Facts, DiskError> {
    let completes = have.is_full() && std::mem::take(&mut torrent.ledger().wrote);
    if completes && let Err(error) = torrent.files.finish() {
        torrent.ledger().wrote = true;
        return Err(trouble::of_storage(&error));
    }
    let flushed = torrent
        .files
        .flush()
        .map_err(|error| trouble::of_storage(&error))?;
    let mut ledger = torrent.ledger();
    ledger.have.clone_from(&have);
    let flushed = merged(ledger.unproven.take(), flushed);
    drop(ledger);
    Ok(Facts {
        torrent: Arc::clone(torrent),
        have,
        flushed,
        state,
        checked: None,
        at_rest: None,
    })
}

/// Two flushes in a row vouch for the bytes of both.
fn merged(earlier: Option<Box<Flushed>>, later: Flushed) -> Flushed {
    match earlier {
        Some(mut earlier) => {
            earlier.merge(&later);
            *earlier
        }
        None => later,
    }
}

/// Commits what was flushed of some torrents, or keeps the proof for the next try.
fn settle(records: Option<&Records>, batch: Vec<(TorrentKey, Facts, Then)>) -> Vec<Outcome> {
    let good = |(key, _, then)| (key, then, Ok(()));
    let Some(records) = records else {
        return batch.into_iter().map(good).collect();
    };
    let all: Vec<_> = batch.iter().map(|(_, facts, _)| facts).collect();
    if records.commit(&all).is_ok() {
        return batch.into_iter().map(good).collect();
    }
    // One that cannot be stored must not hold up the others.
    let one = |(key, facts, then): (_, Facts, _)| match records.commit(&[&facts]) {
        Ok(()) => (key, then, Ok(())),
        Err(error) => {
            let mut ledger = facts.torrent.ledger();
            // Another flush may have come between.
            let between = ledger.unproven.take();
            let proof = between.map_or(facts.flushed.clone(), |between| {
                merged(Some(Box::new(facts.flushed.clone())), *between)
            });
            ledger.unproven = Some(Box::new(proof));
            (key, then, Err(trouble::of_resume(&error)))
        }
    };
    batch.into_iter().map(one).collect()
}

impl Line {
    /// Lines a torrent up. When no thread carries out commits, this one does, until none waits;
    /// `tell` is told of each.
    pub(super) fn commit(
        &self,
        key: TorrentKey,
        facts: Facts,
        then: Then,
        records: Option<&Records>,
        tell: impl Fn(Outcome),
    ) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.facts.push_back((key, facts, then));
        if waiting.led {
            return;
        }
        waiting.led = true;
        while !waiting.facts.is_empty() {
            let batch = std::mem::take(&mut waiting.facts).into();
            drop(waiting);
            settle(records, batch).into_iter().for_each(&tell);
            waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        }
        waiting.led = false;
    }
}
