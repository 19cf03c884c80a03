//! `dunlin verify`: whether what is on disk is what a torrent says. It writes nothing.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dunlin_base::{Bitfield, PieceIndex};
use dunlin_net::real::disk::layout_of;
use dunlin_protocol::metainfo::{Info, Metainfo};
use dunlin_storage::{
    FileIndex, FileLayout, FilePool, FileStat, PieceHashes, Preallocation, RecheckProgress,
    Storage as _, TorrentFiles, recheck,
};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::text::{count, plain, print};
use super::v2_hashes::V2Hashes;
use super::{Exit, Failure, Global, Outcome, torrent_file};

/// Faulty files and runs of pieces that are listed for people; JSON has all.
const FAULTS_SHOWN: usize = 50;

const EXAMPLES: &str = "\
Examples:
  dunlin verify debian.torrent -d ~/Downloads
  dunlin verify debian.torrent -d ~/Downloads --json
Exits with 0 only when every file is there and every piece is good.";

/// Checks data on disk against a torrent
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// The .torrent file, or `-` for standard input
    file: PathBuf,
    /// The folder that the torrent's file or folder is in
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl VerifyArgs {
    pub(crate) fn run(self, _global: &Global) -> Outcome {
        let metainfo = torrent_file::read(&self.file)?;
        let files = open(&metainfo.info, self.dir)?;
        let mut good = hash(&files, &metainfo)?;
        let stat = files.stat().map_err(Failure::failed)?;
        drop_lost(&mut good, files.layout(), &stat.files);
        let found = Found::new(&metainfo.info, files.layout(), &stat.files, &good);
        match self.json {
            true => print(found.to_json())?,
            false => print(found.to_text().trim_end())?,
        }
        Ok(if found.is_complete() {
            Exit::Done
        } else {
            Exit::Failed
        })
    }
}

fn open(info: &Info, dir: PathBuf) -> Result<TorrentFiles, Failure> {
    let layout = layout_of(info).map_err(Failure::failed)?;
    // Nothing is wanted, so that nothing is created or moved; what is there is read all the same.
    let wanted = vec![false; info.files().len()];
    let pool = FilePool::of_process();
    let hash = info.info_hash();
    TorrentFiles::open(
        dir.into(),
        hash,
        Arc::new(layout),
        wanted,
        Preallocation::None,
        pool,
    )
    .map_err(Failure::failed)
}

/// The pieces that are good, by SHA-1 where there are such hashes and by SHA-256 otherwise.
fn hash(files: &TorrentFiles, metainfo: &Metainfo) -> Result<Bitfield, Failure> {
    let info = &*metainfo.info;
    let v1: Option<Vec<[u8; 20]>> = info
        .geometry()
        .pieces()
        .map(|piece| info.piece_hash(piece).copied())
        .collect();
    match v1 {
        Some(hashes) => hash_by(files, &hashes[..]),
        None => {
            let hashes = V2Hashes::new(metainfo).ok_or_else(|| {
                Failure::failed("the torrent lacks the piece layers of its files (BEP 52)")
            })?;
            hash_by(files, &hashes)
        }
    }
}

fn hash_by<H: PieceHashes + ?Sized>(files: &TorrentFiles, hashes: &H) -> Result<Bitfield, Failure> {
    let geometry = *files.layout().geometry();
    let bar = ProgressBar::new(geometry.total_bytes()).with_style(
        ProgressStyle::with_template(
            "checking {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} eta {eta}",
        )
        .unwrap_or_else(|_error| ProgressStyle::default_bar()),
    );
    let mut progress = |progress: RecheckProgress| {
        let bytes = u64::from(progress.checked) * u64::from(geometry.piece_bytes());
        bar.set_position(bytes.min(geometry.total_bytes()));
    };
    // Interrupting it kills the process: there is nothing to save.
    let good = recheck(files, hashes, &AtomicBool::new(false), &mut progress);
    bar.finish_and_clear();
    good.map_err(Failure::failed)
}

/// What is on disk of a torrent.
struct Found<'a> {
    info: &'a Info,
    good: u32,
    /// Not there, or only in part.
    missing: Vec<PieceIndex>,
    /// There, but with another content.
    bad: Vec<PieceIndex>,
    faults: Vec<Fault>,
}

/// A file that is not as it should be.
struct Fault {
    path: String,
    length: u64,
    /// Its length on disk; `None` when it is not there.
    found: Option<u64>,
    /// Its pieces that are not good.
    not_good: u32,
    pieces: u32,
}

impl<'a> Found<'a> {
    fn new(
        info: &'a Info,
        layout: &FileLayout,
        stat: &[Option<FileStat>],
        good: &Bitfield,
    ) -> Self {
        let (mut missing, mut bad) = (Vec::new(), Vec::new());
        for piece in info.geometry().pieces().filter(|piece| !good.has(*piece)) {
            let list = if is_there(layout, stat, piece) {
                &mut bad
            } else {
                &mut missing
            };
            list.push(piece);
        }
        let faults = layout.iter().zip(stat).filter_map(|((file, spec), stat)| {
            // Padding and links have no content on disk.
            if spec.pad || spec.symlink.is_some() {
                return None;
            }
            let found = stat.map(|stat| stat.len);
            let pieces = layout.pieces_of(file);
            let of = pieces.len() as u32;
            let not_good = pieces.filter(|piece| !good.has(PieceIndex(*piece))).count() as u32;
            let path = info.files().get(file.0 as usize)?.path.as_str().to_owned();
            let fault = Fault {
                path,
                length: spec.length,
                found,
                not_good,
                pieces: of,
            };
            (not_good > 0 || found != Some(spec.length)).then_some(fault)
        });
        Self {
            info,
            good: good.count(),
            missing,
            bad,
            faults: faults.collect(),
        }
    }

    fn is_complete(&self) -> bool {
        self.faults.is_empty() && self.good == self.info.geometry().piece_count()
    }

    fn to_text(&self) -> String {
        let pieces = self.info.geometry().piece_count();
        let name = plain(self.info.name());
        let all = count(pieces.into(), "piece");
        if self.is_complete() {
            return format!("{name}: all good, {all}");
        }
        let mut text = format!("{name}: {} of {all} good\n", self.good);
        for fault in self.faults.iter().take(FAULTS_SHOWN) {
            _ = writeln!(text, "  {}: {}", plain(&fault.path), fault.reason());
        }
        if self.faults.len() > FAULTS_SHOWN {
            _ = writeln!(
                text,
                "  and {} more",
                count((self.faults.len() - FAULTS_SHOWN) as u64, "file")
            );
        }
        for (word, list) in [("missing", &self.missing), ("bad", &self.bad)] {
            if !list.is_empty() {
                _ = writeln!(text, "{word} pieces: {}", runs_text(list));
            }
        }
        text
    }

    fn to_json(&self) -> Value {
        let files: Vec<Value> = self.faults.iter().map(Fault::to_json).collect();
        json!({
            "type": "summary",
            "name": self.info.name(),
            "info_hash": self.info.info_hash().to_string(),
            "complete": self.is_complete(),
            "pieces": self.info.geometry().piece_count(),
            "good_pieces": self.good,
            "missing_pieces": runs(&self.missing),
            "bad_pieces": runs(&self.bad),
            "faulty_files": files,
        })
    }
}

impl Fault {
    fn state(&self) -> &'static str {
        match self.found {
            None => "missing",
            Some(found) if found < self.length => "short",
            Some(found) if found > self.length => "long",
            Some(_) => "bad",
        }
    }

    fn reason(&self) -> String {
        let pieces = format!(
            "{} of {} not good",
            self.not_good,
            count(self.pieces.into(), "piece")
        );
        match (self.state(), self.found) {
            ("bad", _) => pieces,
            (_, Some(found)) => format!("{found} bytes instead of {}, {pieces}", self.length),
            (state, None) => state.to_owned(),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "path": self.path,
            "state": self.state(),
            "length": self.length,
            "found_length": self.found,
            "pieces": self.pieces,
            "pieces_not_good": self.not_good,
        })
    }
}

/// Takes out what was good when it was hashed and is not there any more: somebody deletes meanwhile.
fn drop_lost(good: &mut Bitfield, layout: &FileLayout, stat: &[Option<FileStat>]) {
    let lost: Vec<_> = good
        .iter()
        .filter(|piece| !is_there(layout, stat, *piece))
        .collect();
    for piece in lost {
        good.clear(piece);
    }
}

/// Whether every byte of a piece is on disk, good or not.
fn is_there(layout: &FileLayout, stat: &[Option<FileStat>], piece: PieceIndex) -> bool {
    let geometry = layout.geometry();
    let mut spans = layout.spans(
        geometry.piece_start(piece),
        geometry.piece_len(piece).into(),
    );
    spans.all(|span| {
        let FileIndex(file) = span.file;
        let len = stat
            .get(file as usize)
            .copied()
            .flatten()
            .map_or(0, |stat| stat.len);
        span.pad || span.file_offset + span.len <= len
    })
}

/// Neighbours joined: the first and the last of each run.
fn runs(pieces: &[PieceIndex]) -> Vec<[u32; 2]> {
    let mut runs: Vec<[u32; 2]> = Vec::new();
    for PieceIndex(piece) in pieces.iter().copied() {
        match runs.last_mut() {
            Some([_, last]) if *last + 1 == piece => *last = piece,
            _ => runs.push([piece, piece]),
        }
    }
    runs
}

fn runs_text(pieces: &[PieceIndex]) -> String {
    let runs = runs(pieces);
    let mut texts: Vec<String> = runs
        .iter()
        .take(FAULTS_SHOWN)
        .map(|[first, last]| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        })
        .collect();
    if runs.len() > FAULTS_SHOWN {
        texts.push("...".to_owned());
    }
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three pieces in two files, all of them good when they were hashed.
    #[test]
    fn what_is_deleted_meanwhile_is_not_good() {
        let geometry = dunlin_base::Geometry::new(45_000, 16_384).unwrap();
        let file = |path: &str, length| dunlin_storage::FileSpec {
            path: path.into(),
            length,
            pad: false,
            executable: false,
            symlink: None,
        };
        let files = vec![file("a", 20_000), file("b", 25_000)];
        let layout = FileLayout::new(files, geometry).unwrap();
        let stat = |len| {
            Some(FileStat {
                len,
                mtime_nanos: 0,
            })
        };
        for (stats, left) in [
            ([stat(20_000), stat(25_000)], vec![0, 1, 2]),
            ([stat(20_000), None], vec![0]),
            ([None, stat(25_000)], vec![2]),
            ([stat(20_000), stat(24_999)], vec![0, 1]),
        ] {
            let mut good = Bitfield::full(3);
            drop_lost(&mut good, &layout, &stats);
            let good: Vec<u32> = good.iter().map(|piece| piece.0).collect();
            assert_eq!(good, left, "{stats:?}");
        }
    }

    #[test]
    fn neighbours_are_joined() {
        let pieces = [0, 1, 2, 5, 7, 8].map(PieceIndex);
        assert_eq!(runs(&pieces), [[0, 2], [5, 5], [7, 8]]);
        assert_eq!(runs_text(&pieces), "0-2, 5, 7-8");
        assert_eq!(runs_text(&[]), "");
    }
}
