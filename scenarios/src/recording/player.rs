//! Plays a recording: the same engine, given the same, with nothing outside.

use core::ops::ControlFlow;
use std::collections::BTreeSet;
use std::io::Read;

use dunlin_base::{EngineTime, NodeKey};
use dunlin_port::Inbox;
use dunlin_systems::{Engine, NodeSettings, TABLES};

use super::border::Given;
use super::reader::{Entry, Reader, RecordingError, RecordingErrorKind};

/// Plays a recording tick by tick.
pub struct Player<R> {
    reader: Reader<R>,
    engine: Engine,
    seed: u64,
    tables: Vec<String>,
    nodes: BTreeSet<NodeKey>,
    ticks: u64,
    /// Bodies of the entries that the last tick was given.
    given: Vec<u8>,
}

/// A tick that was played.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Played {
    /// Its number, from 1.
    pub tick: u64,
    /// Its instant.
    pub at: EngineTime,
    /// The digest of the tables after it.
    pub digest: u64,
    /// The tables that were otherwise when it was recorded. Where the recording was cut before it
    /// says how they were, none is known to be.
    pub mismatch: Vec<String>,
}

/// A tick whose tables were otherwise when it was recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch {
    /// Its number, from 1.
    pub tick: u64,
    /// The tables.
    pub tables: Vec<String>,
}

/// What came of a recording.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Replayed {
    /// The engine's seed.
    pub seed: u64,
    /// Ticks that were played.
    pub ticks: u64,
    /// The instant of the last one.
    pub at: EngineTime,
    /// The digest of the tables after it.
    pub digest: u64,
    /// Where the recording was cut; `None` when it ended in order.
    pub cut_at: Option<u64>,
    /// The first tick that came out otherwise; nothing was played after it.
    pub mismatch: Option<Mismatch>,
    /// Whether whoever watched ended it.
    pub stopped: bool,
}

impl<R: Read> Player<R> {
    /// The engine of a recording, before its first tick.
    ///
    /// # Errors
    /// When it is no recording that this program can read.
    pub fn open(source: R) -> Result<Self, RecordingError> {
        let (reader, start) = Reader::open(source)?;
        Ok(Self {
            reader,
            engine: Engine::new(start.seed, start.memory_bytes),
            seed: start.seed,
            tables: start.tables,
            nodes: BTreeSet::new(),
            ticks: 0,
            given: Vec::new(),
        })
    }

    /// Plays the next tick; `None` at the end.
    ///
    /// # Errors
    /// When the recording is damaged or has no whole tick.
    pub fn play(&mut self) -> Result<Option<Played>, RecordingError> {
        self.given.clear();
        loop {
            let entry = self.reader.next()?;
            self.given.extend_from_slice(self.reader.body());
            match entry {
                Some(Entry::Node(settings)) => self.add(settings)?,
                Some(Entry::Given(given)) => return self.tick(given).map(Some),
                Some(Entry::End(ticks)) if ticks == self.ticks => return self.end(),
                Some(Entry::End(ticks)) => {
                    return Err(self.wrong("as many ticks as it has", ticks.to_string()));
                }
                Some(Entry::After(_)) => {
                    return Err(self.wrong("what a tick is given", "digests".to_owned()));
                }
                None => return self.end(),
            }
        }
    }

    /// The end, unless there was nothing: then nothing is as it was recorded either.
    fn end(&self) -> Result<Option<Played>, RecordingError> {
        match self.ticks {
            0 => Err(self.reader.error(RecordingErrorKind::NoTick)),
            _ => Ok(None),
        }
    }

    fn add(&mut self, settings: NodeSettings) -> Result<(), RecordingError> {
        let node = settings.node;
        if !self.nodes.insert(node) {
            return Err(self.wrong("another node", format!("{node:?} again")));
        }
        self.engine.add_node(settings);
        Ok(())
    }

    fn tick(&mut self, given: Given) -> Result<Played, RecordingError> {
        let Given { now, inbox } = given;
        let Inbox {
            net,
            disk,
            hash,
            tracker,
            user,
        } = inbox;
        let to = self.engine.inbox();
        to.net.extend(net);
        to.disk.extend(disk);
        to.hash.extend(hash);
        to.tracker.extend(tracker);
        to.user.extend(user);
        self.engine.tick(now);
        core::mem::take(self.engine.outbox());
        self.ticks += 1;
        let digests = self.engine.table_digests();
        let mismatch = match self.reader.next()? {
            Some(Entry::After(recorded)) => self.compare(&recorded, &digests)?,
            Some(_) => return Err(self.wrong("digests", "something else".to_owned())),
            // Of the last tick of many that is no matter; of the only one it is all there is.
            None if self.ticks == 1 => return Err(self.reader.error(RecordingErrorKind::NoTick)),
            None => Vec::new(),
        };
        Ok(Played {
            tick: self.ticks,
            at: now,
            digest: digests.iter().copied().fold(0, u64::wrapping_add),
            mismatch,
        })
    }

    /// Names the tables whose digests differ. A table that only one of the two programs has counts.
    fn compare(&self, recorded: &[u64], played: &[u64]) -> Result<Vec<String>, RecordingError> {
        if recorded.len() != self.tables.len() {
            return Err(self.wrong("a digest of each table", recorded.len().to_string()));
        }
        let digest_of = |table: &str| {
            let at = TABLES.iter().position(|known| *known == table)?;
            played.get(at)
        };
        let known = self.tables.iter().zip(recorded);
        let differing = known
            .filter(|(table, digest)| digest_of(table) != Some(*digest))
            .map(|(table, _)| table.clone());
        let new = TABLES
            .iter()
            .filter(|table| !self.tables.iter().any(|known| known == *table));
        Ok(differing
            .chain(new.map(|&table| table.to_owned()))
            .collect())
    }

    fn wrong(&self, expected: &'static str, got: String) -> RecordingError {
        self.reader
            .error(RecordingErrorKind::Malformed { expected, got })
    }

    /// The engine as it is after the last tick.
    pub const fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// The bytes of what the last tick was given.
    pub(super) fn given(&self) -> &[u8] {
        &self.given
    }

    /// Where the recording was cut, once that is known.
    #[must_use]
    pub fn cut_at(&self) -> Option<u64> {
        self.reader.cut_at()
    }
}

/// Plays a recording up to its end, its cut, or the first tick that comes out otherwise. `watch`
/// sees every tick and may end it.
///
/// # Errors
/// When it is no recording, is damaged, or has no whole tick.
pub fn replay(
    source: impl Read,
    watch: &mut dyn FnMut(&Played) -> ControlFlow<()>,
) -> Result<Replayed, RecordingError> {
    let mut player = Player::open(source)?;
    let mut replayed = Replayed {
        seed: player.seed,
        ..Replayed::default()
    };
    while let Some(played) = player.play()? {
        replayed.ticks = played.tick;
        replayed.at = played.at;
        replayed.digest = played.digest;
        if !played.mismatch.is_empty() {
            replayed.mismatch = Some(Mismatch {
                tick: played.tick,
                tables: played.mismatch,
            });
            return Ok(replayed);
        }
        if watch(&played).is_break() {
            replayed.stopped = true;
            return Ok(replayed);
        }
    }
    replayed.cut_at = player.cut_at();
    Ok(replayed)
}
