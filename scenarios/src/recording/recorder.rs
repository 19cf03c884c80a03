//! Writes a recording while an engine runs.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use dunlin_base::EngineTime;
use dunlin_systems::{Engine, NodeSettings, TABLES};

use super::border::{Taken, lengths, put_given};
use super::code::Code;
use super::{ENTRY_BYTES_MAX, MAGIC, Start, VERSION, check_sum, kind};

/// Ticks an engine and writes down what it is given and what it becomes.
///
/// One entry is in memory at a time, and what a buffered file keeps back. An error of the file ends
/// the recording, not the engine: [`Recorder::finish`] tells of it.
pub struct Recorder {
    out: Box<dyn Write + Send>,
    entry: Vec<u8>,
    /// What the last tick left in the inbox: it was written when it came.
    taken: Taken,
    ticks: u64,
    failed: Option<io::Error>,
}

impl Recorder {
    /// Records into a new file; one of this name is replaced.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(path: &Path, seed: u64, memory_bytes: u64) -> io::Result<Self> {
        let file = BufWriter::new(File::create(path)?);
        Self::new(Box::new(file), seed, memory_bytes)
    }

    /// Records an engine that was made with this seed and memory and has not ticked yet.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(out: Box<dyn Write + Send>, seed: u64, memory_bytes: u64) -> io::Result<Self> {
        let mut recorder = Self {
            out,
            entry: Vec::new(),
            taken: Taken::default(),
            ticks: 0,
            failed: None,
        };
        recorder.out.write_all(&MAGIC)?;
        recorder.out.write_all(&VERSION.to_le_bytes())?;
        let start = Start {
            seed,
            memory_bytes,
            tables: TABLES.iter().map(|&table| table.to_owned()).collect(),
        };
        recorder.entry(kind::START, |out| start.put(out));
        match recorder.failed.take() {
            Some(error) => Err(error),
            None => Ok(recorder),
        }
    }

    /// Adds a node to the engine.
    pub fn add_node(&mut self, engine: &mut Engine, settings: NodeSettings) {
        self.entry(kind::NODE, |out| settings.put(out));
        engine.add_node(settings);
    }

    /// Runs one tick.
    pub fn tick(&mut self, engine: &mut Engine, now: EngineTime) {
        let taken = self.taken;
        self.entry(kind::GIVEN, |out| {
            put_given(now, engine.inbox(), taken, out);
        });
        engine.tick(now);
        self.ticks += 1;
        self.taken = lengths(engine.inbox());
        self.entry(kind::AFTER, |out| engine.table_digests().put(out));
    }

    /// Ends the recording in order; says how many ticks it has.
    ///
    /// # Errors
    /// When it could not be written whole.
    pub fn finish(mut self) -> io::Result<u64> {
        let ticks = self.ticks;
        self.entry(kind::END, |out| ticks.put(out));
        match self.failed {
            Some(error) => Err(error),
            None => self.out.flush().map(|()| ticks),
        }
    }

    /// Writes an entry, unless an earlier one failed.
    fn entry(&mut self, kind: u8, put: impl FnOnce(&mut Vec<u8>)) {
        if self.failed.is_some() {
            return;
        }
        self.entry.clear();
        self.entry.push(kind);
        put(&mut self.entry);
        self.failed = self.write().err();
    }

    fn write(&mut self) -> io::Result<()> {
        let len = u32::try_from(self.entry.len())
            .ok()
            .filter(|len| *len <= ENTRY_BYTES_MAX);
        let len = len.ok_or_else(|| io::Error::other("a tick was given too much"))?;
        self.out.write_all(&len.to_le_bytes())?;
        let sum = check_sum(len, &self.entry);
        self.out.write_all(&sum.to_le_bytes())?;
        self.out.write_all(&self.entry)
    }
}
