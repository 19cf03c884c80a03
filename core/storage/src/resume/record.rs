//! The small record of a torrent, and the snapshot of its files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dunlin_base::{InfoHash, limits};

use super::codec::{Reader, Writer};
use super::{RecordError, ResumeError};
use crate::{FileStat, StatSnapshot};

const VERSION: u64 = 1;
/// Longest path of a download folder.
const PATH_BYTES_MAX: usize = 32 * 1024;
/// Most further facts of a torrent.
const EXTRA_MAX: usize = 256;
/// Longest name of a further fact.
const EXTRA_NAME_BYTES_MAX: usize = 256;
/// Longest further fact.
const EXTRA_BYTES_MAX: usize = 1 << 20;

/// What a restart has to know of a torrent besides its pieces and its metainfo.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ResumeRecord {
    /// The download folder.
    pub root: PathBuf,
    /// The folder to which a move was under way: move there again before anything else.
    pub moving_to: Option<PathBuf>,
    /// When the torrent was added, in seconds since 1970 (UTC).
    pub added_unix_secs: i64,
    /// Payload bytes that ever came.
    pub downloaded_bytes: u64,
    /// Payload bytes that ever went.
    pub uploaded_bytes: u64,
    /// Whether a person paused it.
    pub paused: bool,
    /// For each file its priority, 0 for files that are not wanted; empty when nobody chose.
    pub priorities: Vec<u8>,
    /// Further facts by name (labels, trackers, a magnet link, ...): what the layers above want kept.
    pub extra: BTreeMap<String, Vec<u8>>,
}

impl ResumeRecord {
    pub(super) fn encode(&self, torrent: InfoHash) -> Result<Vec<u8>, ResumeError> {
        let check = |fits: bool, what| {
            fits.then_some(())
                .ok_or(ResumeError::Unstorable { torrent, what })
        };
        let path = |path: &Path| {
            let bytes = path_bytes(path).filter(|bytes| bytes.len() <= PATH_BYTES_MAX);
            bytes.ok_or(ResumeError::Unstorable {
                torrent,
                what: "download folder",
            })
        };
        check(
            self.priorities.len() <= limits::FILES_MAX,
            "number of files",
        )?;
        check(self.extra.len() <= EXTRA_MAX, "number of further facts")?;
        let mut out = Writer::default();
        out.number(VERSION);
        out.bytes(&path(&self.root)?);
        out.number(u64::from(self.moving_to.is_some()));
        if let Some(moving_to) = &self.moving_to {
            out.bytes(&path(moving_to)?);
        }
        out.signed(self.added_unix_secs);
        out.number(self.downloaded_bytes);
        out.number(self.uploaded_bytes);
        out.number(u64::from(self.paused));
        out.bytes(&self.priorities);
        out.number(self.extra.len() as u64);
        for (name, value) in &self.extra {
            check(name.len() <= EXTRA_NAME_BYTES_MAX, "name of a further fact")?;
            check(value.len() <= EXTRA_BYTES_MAX, "length of a further fact")?;
            out.bytes(name.as_bytes());
            out.bytes(value);
        }
        Ok(out.finish())
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut input = Reader::new(bytes);
        match input.number("version")? {
            VERSION => {}
            version => return Err(RecordError::Version(version)),
        }
        let root = read_path(&mut input)?;
        let moving = input.flag("move")?;
        let moving_to = moving.then(|| read_path(&mut input)).transpose()?;
        let record = Self {
            root,
            moving_to,
            added_unix_secs: input.signed("time of addition")?,
            downloaded_bytes: input.number("downloaded bytes")?,
            uploaded_bytes: input.number("uploaded bytes")?,
            paused: input.flag("pause")?,
            priorities: input.bytes(limits::FILES_MAX, "priorities")?.to_vec(),
            extra: read_extra(&mut input)?,
        };
        input.finish()?;
        Ok(record)
    }
}

fn read_extra(input: &mut Reader<'_>) -> Result<BTreeMap<String, Vec<u8>>, RecordError> {
    let mut extra = BTreeMap::<String, Vec<u8>>::new();
    for _ in 0..input.count(EXTRA_MAX, "number of further facts")? {
        let name = input.bytes(EXTRA_NAME_BYTES_MAX, "name of a further fact")?;
        let name = std::str::from_utf8(name).ok();
        // In ascending order, as a writer has them: no fact comes twice.
        let name = name
            .filter(|&name| {
                extra
                    .last_key_value()
                    .is_none_or(|(last, _)| &**last < name)
            })
            .ok_or_else(|| input.refuse("name of a further fact"))?;
        let value = input.bytes(EXTRA_BYTES_MAX, "further fact")?;
        extra.insert(name.to_owned(), value.to_vec());
    }
    Ok(extra)
}

fn read_path(input: &mut Reader<'_>) -> Result<PathBuf, RecordError> {
    let bytes = input.bytes(PATH_BYTES_MAX, "download folder")?;
    path_of(bytes).ok_or_else(|| input.refuse("download folder"))
}

/// The bytes of a path; `None` when they cannot be had without loss.
#[cfg(unix)]
fn path_bytes(path: &Path) -> Option<Vec<u8>> {
    use std::os::unix::ffi::OsStrExt as _;
    Some(path.as_os_str().as_bytes().to_vec())
}

#[cfg(not(unix))]
fn path_bytes(path: &Path) -> Option<Vec<u8>> {
    path.to_str().map(|text| text.as_bytes().to_vec())
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;
    Some(std::ffi::OsStr::from_bytes(bytes).into())
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    std::str::from_utf8(bytes).ok().map(Into::into)
}

pub(super) fn encode_snapshot(snapshot: &StatSnapshot) -> Vec<u8> {
    let mut out = Writer::default();
    out.number(VERSION);
    out.number(snapshot.files.len() as u64);
    for stat in snapshot.files.iter().chain([&snapshot.part]) {
        out.number(u64::from(stat.is_some()));
        if let Some(stat) = stat {
            out.number(stat.len);
            out.signed(stat.mtime_nanos);
        }
    }
    out.finish()
}

pub(super) fn decode_snapshot(bytes: &[u8]) -> Result<StatSnapshot, RecordError> {
    let mut input = Reader::new(bytes);
    match input.number("version")? {
        VERSION => {}
        version => return Err(RecordError::Version(version)),
    }
    // Every file takes a byte at least, which bounds what is allocated.
    let files = input.count(limits::FILES_MAX.min(bytes.len()), "number of files")?;
    let mut stat = || {
        let there = input.flag("file")?;
        there
            .then(|| {
                Ok(FileStat {
                    len: input.number("length of a file")?,
                    mtime_nanos: input.signed("time of a file")?,
                })
            })
            .transpose()
    };
    let snapshot = StatSnapshot {
        files: (0..files).map(|_| stat()).collect::<Result<_, _>>()?,
        part: stat()?,
    };
    input.finish()?;
    Ok(snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records() -> impl Strategy<Value = ResumeRecord> {
        let paths = ("[a-z/é ]{0,40}", prop::option::of("[a-z/]{0,40}"));
        let extra =
            prop::collection::btree_map(".{0,20}", prop::collection::vec(any::<u8>(), 0..20), 0..5);
        let priorities = prop::collection::vec(any::<u8>(), 0..40);
        (paths, any::<(i64, u64, u64, bool)>(), priorities, extra).prop_map(
            |((root, moving_to), (added, down, up, paused), priorities, extra)| ResumeRecord {
                root: root.into(),
                moving_to: moving_to.map(PathBuf::from),
                added_unix_secs: added,
                downloaded_bytes: down,
                uploaded_bytes: up,
                paused,
                priorities,
                extra,
            },
        )
    }

    proptest! {
        #[test]
        fn records_round_trip(record in records(), cut: prop::sample::Index, junk: Vec<u8>) {
            let bytes = record.encode(InfoHash([1; 20])).unwrap();
            prop_assert_eq!(ResumeRecord::decode(&bytes), Ok(record));
            prop_assert!(ResumeRecord::decode(&bytes[..cut.index(bytes.len())]).is_err());
            let mut longer = bytes;
            longer.extend(&junk);
            prop_assert!(junk.is_empty() || ResumeRecord::decode(&longer).is_err());
        }

        #[test]
        fn damaged_records_are_errors_or_other_records(record in records(), at: prop::sample::Index, byte: u8) {
            let mut bytes = record.encode(InfoHash([1; 20])).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(other) = ResumeRecord::decode(&bytes) {
                prop_assert_eq!(other.encode(InfoHash([1; 20])).unwrap(), bytes);
            }
        }

        #[test]
        fn junk_never_panics(junk: Vec<u8>) {
            let mut versioned = vec![VERSION as u8];
            versioned.extend(&junk);
            for bytes in [junk, versioned] {
                _ = ResumeRecord::decode(&bytes);
                _ = decode_snapshot(&bytes);
            }
        }

        #[test]
        fn snapshots_round_trip(stats: Vec<Option<(u64, i64)>>, part: Option<(u64, i64)>) {
            let stat = |(len, mtime_nanos)| FileStat { len, mtime_nanos };
            let snapshot = StatSnapshot {
                files: stats.into_iter().map(|file| file.map(stat)).collect(),
                part: part.map(stat),
            };
            prop_assert_eq!(decode_snapshot(&encode_snapshot(&snapshot)), Ok(snapshot));
        }
    }
}
