//! Reads a recording, entry by entry.

use std::io::{self, Read};

use dunlin_base::EngineTime;
use dunlin_systems::NodeSettings;

use super::border::{Given, get_given};
use super::code::{Code, Input, Malformed};
use super::{ENTRY_BYTES_MAX, MAGIC, Start, VERSION, check_sum, kind};

/// A recording that cannot be played, and at which byte of it.
#[derive(Debug, thiserror::Error)]
#[error("byte {at} of the recording: {kind}")]
pub struct RecordingError {
    /// The byte.
    pub at: u64,
    /// What is wrong there.
    pub kind: RecordingErrorKind,
}

/// What is wrong with a recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordingErrorKind {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is something else, or ends before anything was recorded.
    #[error("this is no recording")]
    NotARecording,
    /// It is of another version.
    #[error("it is of version {0}, expected {VERSION}")]
    Version(u32),
    /// Its bytes are not as they were written.
    #[error("it is damaged: the check sum is another")]
    Damaged,
    /// It ends before a tick was recorded and what came of it, so that there is nothing to compare with.
    #[error("it ends before the end of its first tick")]
    NoTick,
    /// An entry says what cannot be.
    #[error("expected {expected}, got {got}")]
    Malformed {
        /// What should be there.
        expected: &'static str,
        /// What is there.
        got: String,
    },
}

/// An entry of a recording.
pub(super) enum Entry {
    Node(NodeSettings),
    Given(Given),
    After(Vec<u64>),
    End(u64),
}

/// Reads entries in order.
pub(super) struct Reader<R> {
    source: R,
    /// How far it was read.
    at: u64,
    /// Where the present entry begins.
    entry_at: u64,
    body: Vec<u8>,
    /// The latest instant of a tick.
    now: EngineTime,
    /// Whether the recording ends inside an entry, or without an end.
    cut: bool,
}

impl<R: Read> Reader<R> {
    /// Reads how the recording begins.
    pub(super) fn open(source: R) -> Result<(Self, Start), RecordingError> {
        let mut reader = Self {
            source,
            at: 0,
            entry_at: 0,
            body: Vec::new(),
            now: EngineTime::START,
            cut: false,
        };
        let head = reader.bytes::<12>()?;
        let Some(version) = head.as_ref().and_then(|head| head.strip_prefix(&MAGIC)) else {
            return Err(reader.error(RecordingErrorKind::NotARecording));
        };
        let version = u32::get(&mut Input::new(version)).map_err(|wrong| reader.wrong(wrong))?;
        if version != VERSION {
            return Err(reader.error(RecordingErrorKind::Version(version)));
        }
        reader.entry_at = reader.at;
        if !reader.load()? {
            return Err(reader.error(RecordingErrorKind::NotARecording));
        }
        let start = parse(&reader.body, |kind, input| match kind {
            kind::START => Start::get(input),
            _ => Err(input.wrong("how the engine was made", kind)),
        });
        let start = start.map_err(|wrong| reader.wrong(wrong))?;
        Ok((reader, start))
    }

    /// The next entry; `None` at the end, in order or not.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, RecordingError> {
        self.entry_at = self.at;
        if !self.load()? {
            return Ok(None);
        }
        let now = self.now;
        let entry = parse(&self.body, |kind, input| {
            Ok(match kind {
                kind::NODE => Entry::Node(NodeSettings::get(input)?),
                kind::GIVEN => {
                    let given = get_given(input)?;
                    if given.now < now {
                        return Err(input.wrong("a later instant", given.now));
                    }
                    Entry::Given(given)
                }
                kind::AFTER => Entry::After(Vec::get(input)?),
                kind::END => Entry::End(u64::get(input)?),
                _ => return Err(input.wrong("an entry", kind)),
            })
        });
        let entry = entry.map_err(|wrong| self.wrong(wrong))?;
        if let Entry::Given(given) = &entry {
            self.now = given.now;
        }
        Ok(Some(entry))
    }

    /// The bytes of the present entry.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Where the recording was cut, if it was.
    pub(super) fn cut_at(&self) -> Option<u64> {
        self.cut.then_some(self.entry_at)
    }

    /// An error at the present entry.
    pub(super) const fn error(&self, kind: RecordingErrorKind) -> RecordingError {
        RecordingError {
            at: self.entry_at,
            kind,
        }
    }

    fn wrong(&self, wrong: Malformed) -> RecordingError {
        let Malformed { at, expected, got } = wrong;
        // Behind the length and the check sum.
        RecordingError {
            at: self.entry_at + 8 + at as u64,
            kind: RecordingErrorKind::Malformed { expected, got },
        }
    }

    /// Loads the body of the next entry; says whether there is a whole one.
    fn load(&mut self) -> Result<bool, RecordingError> {
        let Some(head) = self.bytes::<8>()? else {
            self.cut = true;
            return Ok(false);
        };
        let [len, sum] = [0, 4].map(|at| {
            let word = head[at..].first_chunk::<4>();
            u32::from_le_bytes(word.copied().unwrap_or_default())
        });
        if len > ENTRY_BYTES_MAX {
            return Err(self.error(RecordingErrorKind::Damaged));
        }
        self.body.clear();
        // Room comes as bytes do.
        let mut part = self.source.by_ref().take(len.into());
        let read = part
            .read_to_end(&mut self.body)
            .map_err(|error| self.error(error.into()))?;
        self.at += read as u64;
        if read < len as usize {
            self.cut = true;
            return Ok(false);
        }
        if check_sum(len, &self.body) != sum {
            return Err(self.error(RecordingErrorKind::Damaged));
        }
        Ok(true)
    }

    /// The next `N` bytes, if there are so many.
    fn bytes<const N: usize>(&mut self) -> Result<Option<[u8; N]>, RecordingError> {
        let mut bytes = [0; N];
        let mut filled = 0;
        while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
            match self.source.read(room) {
                Ok(0) => return Ok(None),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(error.into())),
            }
        }
        self.at += N as u64;
        Ok(Some(bytes))
    }
}

/// Reads the kind of an entry and then the rest, to its last byte.
fn parse<T>(
    body: &[u8],
    get: impl FnOnce(u8, &mut Input<'_>) -> Result<T, Malformed>,
) -> Result<T, Malformed> {
    let mut input = Input::new(body);
    let kind = u8::get(&mut input)?;
    let value = get(kind, &mut input)?;
    match input.left() {
        0 => Ok(value),
        left => Err(input.wrong("the end of the entry", format_args!("{left} bytes more"))),
    }
}
