//! `dunlin create`: a torrent of what is on disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::ArgAction;
use dunlin::CreateOptions;
use dunlin_port::config::ByteSize;
use dunlin_protocol::magnet::Magnet;
use dunlin_protocol::metainfo::Metainfo;
use dunlin_protocol::tracker::TrackerUrl;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use url::Url;

use super::text::{count, plain, print, size};
use super::{Exit, Failure, Global, Outcome};

const PIECE_BYTES_MIN: u64 = 16 << 10;
const PIECE_BYTES_MAX: u64 = 16 << 20;

const EXAMPLES: &str = "\
Examples:
  dunlin create album --tracker http://tracker.example:6969/announce
  dunlin create film.mkv -o film.torrent --piece-size 4M
  dunlin create album --tracker http://a.example/announce,udp://b.example:6969/announce \\
                      --tracker http://fallback.example/announce --private";

/// Makes a torrent of a file or a folder
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CreateArgs {
    /// The file or folder
    path: PathBuf,
    /// Where to write the torrent [default: its name with .torrent, in the current folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the torrent file if there is one
    #[arg(long)]
    force: bool,
    /// Piece length: a power of two from 16K to 16M, or `auto` for one to two thousand pieces
    #[arg(long, value_name = "SIZE", default_value = "auto", value_parser = parse_piece_size)]
    piece_size: PieceSize,
    /// Tracker; each one named is a tier of its own, commas join trackers to one tier
    #[arg(long, value_name = "URL[,URL]", action = ArgAction::Append, value_parser = parse_tier)]
    tracker: Vec<Tier>,
    /// Web seed (BEP 19): a URL that serves the content; may be repeated
    #[arg(long, value_name = "URL", action = ArgAction::Append, value_parser = parse_web_seed)]
    web_seed: Vec<String>,
    /// Let peers come from the trackers alone (BEP 27)
    #[arg(long)]
    private: bool,
    /// What there is to say of it
    #[arg(long)]
    comment: Option<String>,
    /// The tracker that it is for, which gives it an info hash of its own
    #[arg(long)]
    source: Option<String>,
    /// Leave out when it was made
    #[arg(long)]
    no_date: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl CreateArgs {
    pub(crate) fn run(self, _global: &Global) -> Outcome {
        let target = Target {
            path: self
                .output
                .clone()
                .map_or_else(|| default_output(&self.path), Ok)?,
            replace: self.force,
        };
        target.check()?;
        refuse_itself(&self.path, &target.path)?;
        let (path, as_json) = (self.path.clone(), self.json);
        let created = hash(&path, &self.into_options())?;
        target.write(&created.metainfo.write())?;
        for left_out in &created.left_out {
            let left_out = plain(&left_out.display().to_string());
            eprintln!("dunlin: left out {left_out}: it is no file and no folder");
        }
        say(&created.metainfo, &target.path, as_json)?;
        Ok(Exit::Done)
    }

    fn into_options(self) -> CreateOptions {
        let now = || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .ok()?
                .as_secs()
                .try_into()
                .ok()
        };
        CreateOptions {
            piece_bytes: self.piece_size.0,
            private: self.private,
            tiers: self.tracker.into_iter().map(|Tier(urls)| urls).collect(),
            web_seeds: self.web_seed,
            comment: self.comment,
            source: self.source,
            created_by: Some(concat!("Dunlin ", env!("CARGO_PKG_VERSION")).to_owned()),
            creation_date: if self.no_date { None } else { now() },
        }
    }
}

/// Refuses to replace a torrent file that is part of the content: the new one would describe the old.
fn refuse_itself(content: &Path, target: &Path) -> Result<(), Failure> {
    let (Ok(content), Ok(target)) = (content.canonicalize(), target.canonicalize()) else {
        return Ok(());
    };
    if !target.starts_with(&content) {
        return Ok(());
    }
    Err(Failure::failed(format_args!(
        "{} is part of what the torrent is made of: move it away or write elsewhere with -o",
        target.display()
    )))
}

/// The content's own name with `.torrent` behind it, in the current folder.
fn default_output(content: &Path) -> Result<PathBuf, Failure> {
    // Also `.` and `..` have a name then.
    let full = content.canonicalize().map_err(|error| {
        Failure::failed(format_args!("cannot read {}: {error}", content.display()))
    })?;
    let name = full.file_name().ok_or_else(|| {
        Failure::usage(format_args!(
            "{} has no name: say with -o where to write",
            full.display()
        ))
    })?;
    let mut name = name.to_os_string();
    name.push(".torrent");
    Ok(name.into())
}

fn hash(path: &Path, options: &CreateOptions) -> Result<dunlin::Created, Failure> {
    let style = ProgressStyle::with_template(
        "hashing {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} eta {eta}",
    );
    let bar = ProgressBar::no_length()
        .with_style(style.unwrap_or_else(|_error| ProgressStyle::default_bar()));
    let created = dunlin::create(path, options, |done, total| {
        bar.set_length(total);
        bar.set_position(done);
        // Interrupting it kills the process: nothing is written yet.
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    created.map_err(Failure::failed)
}

fn say(metainfo: &Metainfo, path: &Path, as_json: bool) -> Result<(), Failure> {
    let info = &*metainfo.info;
    let geometry = info.geometry();
    let hash = info.info_hash();
    if as_json {
        return print(json!({
            "type": "created",
            "file": path,
            "name": info.name(),
            "info_hash": hash.to_string(),
            "total_bytes": geometry.total_bytes(),
            "piece_bytes": geometry.piece_bytes(),
            "pieces": geometry.piece_count(),
            "files": info.files().len(),
            "magnet": Magnet::of(metainfo).to_string(),
        }));
    }
    print(format_args!(
        "{}: {} in {}, {} of {}, info hash {hash}",
        plain(&path.display().to_string()),
        size(geometry.total_bytes()),
        count(info.files().len() as u64, "file"),
        count(geometry.piece_count().into(), "piece"),
        size(geometry.piece_bytes().into()),
    ))?;
    print(plain(&Magnet::of(metainfo).to_string()))
}

/// How long pieces shall be; `None` leaves it to the content's size.
#[derive(Clone, Copy, Debug)]
pub(super) struct PieceSize(pub(super) Option<u32>);

/// Trackers that are tried together.
#[derive(Clone, Debug)]
struct Tier(Vec<String>);

pub(super) fn parse_piece_size(text: &str) -> Result<PieceSize, String> {
    if text == "auto" {
        return Ok(PieceSize(None));
    }
    let ByteSize(bytes) = text
        .parse()
        .map_err(|error: dunlin_port::config::ParseSizeError| error.to_string())?;
    if !bytes.is_power_of_two() || !(PIECE_BYTES_MIN..=PIECE_BYTES_MAX).contains(&bytes) {
        return Err("expected a power of two from 16K to 16M, or auto".to_owned());
    }
    Ok(PieceSize(Some(bytes as u32)))
}

fn parse_tier(text: &str) -> Result<Tier, String> {
    let urls = text.split(',').map(str::trim).filter(|url| !url.is_empty());
    let checked = urls.map(|url| match TrackerUrl::parse(url) {
        Ok(_) => Ok(url.to_owned()),
        Err(error) => Err(format!("{url}: {error}")),
    });
    let urls: Vec<String> = checked.collect::<Result<_, _>>()?;
    if urls.is_empty() {
        return Err("expected a URL".to_owned());
    }
    Ok(Tier(urls))
}

fn parse_web_seed(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https" | "ftp") {
        return Err("expected an address that begins with http://, https:// or ftp://".to_owned());
    }
    Ok(text.to_owned())
}

/// Where the torrent goes.
struct Target {
    path: PathBuf,
    replace: bool,
}

impl Target {
    /// Looks before anything is hashed, which may take hours.
    fn check(&self) -> Result<(), Failure> {
        if !self.replace && fs::symlink_metadata(&self.path).is_ok() {
            return Err(self.occupied());
        }
        Ok(())
    }

    fn occupied(&self) -> Failure {
        let path = self.path.display();
        Failure::failed(format_args!("{path} is there already; --force replaces it"))
    }

    /// Writes the torrent whole or not at all.
    fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let written = if self.replace {
            replace(&self.path, bytes)
        } else {
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&self.path)
                .and_then(|file| {
                    // What was begun and cannot be ended is no torrent.
                    fill(file, bytes).inspect_err(|_| drop(fs::remove_file(&self.path)))
                })
        };
        written.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => self.occupied(),
            _ => Failure::failed(format_args!(
                "cannot write {}: {error}",
                self.path.display()
            )),
        })
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let fresh = tempfile::Builder::new()
        .prefix(".dunlin-")
        .suffix(".torrent")
        .tempfile_in(folder)?;
    fill(fresh.as_file().try_clone()?, bytes)?;
    fresh.persist(path).map(drop).map_err(|error| error.error)
}

fn fill(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}
