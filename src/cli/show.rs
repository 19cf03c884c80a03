//! `dunlin show`: what a torrent or a magnet link says.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use dunlin_protocol::magnet::Magnet;
use dunlin_protocol::metainfo::{FileEntry, Info, Metainfo, SafePath, Version};
use serde_json::{Value, json};

use super::text::{count, grouped, plain, print, size};
use super::{Exit, Failure, Global, Outcome, torrent_file};

/// Files that are listed without being asked for.
const FILES_SHOWN: usize = 20;
/// The end of the year 9999, behind which dates have no common form.
const UNIX_SECS_MAX: u64 = 253_402_300_799;

const EXAMPLES: &str = "\
Examples:
  dunlin show debian.torrent
  dunlin show --files --json debian.torrent
  dunlin show 'magnet:?xt=urn:btih:...'
  curl -s https://example.org/some.torrent | dunlin show -";

/// Shows what a torrent or a magnet link contains
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShowArgs {
    /// A .torrent file (v1, v2 or hybrid), `-` for standard input, or a magnet link
    #[arg(value_name = "FILE|MAGNET")]
    what: String,
    /// List every file, padding included
    #[arg(long)]
    files: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ShowArgs {
    pub(crate) fn run(self, _global: &Global) -> Outcome {
        let is_link = self
            .what
            .get(..7)
            .is_some_and(|start| start.eq_ignore_ascii_case("magnet:"));
        if is_link {
            let magnet: Magnet = self.what.parse().map_err(|error| {
                Failure::usage(format_args!("this is no usable magnet link: {error}"))
            })?;
            match self.json {
                true => print(magnet_json(&magnet))?,
                false => print(magnet_text(&magnet).trim_end())?,
            }
        } else {
            let metainfo = torrent_file::read(Path::new(&self.what))?;
            match self.json {
                true => print(metainfo_json(&metainfo))?,
                false => print(metainfo_text(&metainfo, self.files).trim_end())?,
            }
        }
        Ok(Exit::Done)
    }
}

/// A table of names and values; a name without a value is left out.
#[derive(Default)]
struct Table(String);

impl Table {
    fn row(&mut self, name: &str, value: impl AsRef<str>) {
        // Writing to a string cannot fail.
        _ = writeln!(self.0, "{name:<11} {}", plain(value.as_ref()));
    }

    fn maybe<T: ToString>(&mut self, name: &str, value: Option<T>) {
        if let Some(value) = value {
            self.row(name, value.to_string());
        }
    }

    fn list(&mut self, name: &str, values: &[String]) {
        values
            .iter()
            .enumerate()
            .for_each(|(at, value)| self.row(if at == 0 { name } else { "" }, value));
    }
}

fn metainfo_text(metainfo: &Metainfo, all_files: bool) -> String {
    let info = &*metainfo.info;
    let geometry = info.geometry();
    let content = content_bytes(info);
    let piece_bytes = u64::from(geometry.piece_bytes());
    let mut table = Table::default();
    table.row("name", info.name());
    table.maybe(
        "info hash",
        info.version().has_v1().then(|| info.info_hash()),
    );
    table.maybe("v2 hash", info.info_hash_v2());
    table.row("version", version(info));
    table.row(
        "size",
        format!("{} ({} bytes)", size(content), grouped(content)),
    );
    let pieces = grouped(geometry.piece_count().into());
    table.row("pieces", format!("{pieces} of {}", size(piece_bytes)));
    table.row(
        "private",
        if info.is_private() {
            "yes: peers come from its trackers alone"
        } else {
            "no"
        },
    );
    table.maybe("source", info.source());
    table.maybe("comment", metainfo.comment.as_ref());
    table.maybe("created by", metainfo.created_by.as_ref());
    table.maybe("created", metainfo.creation_date.and_then(date));
    for (at, tier) in metainfo.tiers.iter().enumerate() {
        table.list(&format!("tier {}", at + 1), tier);
    }
    table.list("web seed", &metainfo.web_seeds);
    table.list("http seed", &metainfo.http_seeds);
    let nodes: Vec<String> = metainfo
        .nodes
        .iter()
        .map(|(host, port)| format!("{host}:{port}"))
        .collect();
    table.list("dht node", &nodes);
    table.row("magnet", Magnet::of(metainfo).to_string());
    table.0.push_str(&files_text(info, all_files));
    table.0
}

fn files_text(info: &Info, all: bool) -> String {
    let is_content = |file: &&FileEntry| !file.attributes.padding;
    let contents = info.files().iter().filter(is_content).count();
    let shown: Vec<&FileEntry> = match all {
        true => info.files().iter().collect(),
        false => info
            .files()
            .iter()
            .filter(is_content)
            .take(FILES_SHOWN)
            .collect(),
    };
    let mut text = format!("\n{}\n", count(contents as u64, "file"));
    for file in &shown {
        _ = write!(
            text,
            "{:>10}  {}",
            size(file.length),
            plain(file.path.as_str())
        );
        for (is_so, word) in [
            (file.attributes.padding, "padding"),
            (file.attributes.executable, "executable"),
            (file.attributes.hidden, "hidden"),
        ] {
            if is_so {
                _ = write!(text, " ({word})");
            }
        }
        if let Some(target) = &file.symlink {
            _ = write!(text, " -> {}", plain(target.as_str()));
        }
        text.push('\n');
        if let Some(raw) = &file.raw_path {
            let raw = String::from_utf8_lossy(raw);
            _ = writeln!(
                text,
                "{:>10}  made safe; the torrent says {}",
                "",
                plain(&raw)
            );
        }
    }
    if !all && contents > shown.len() {
        let rest = grouped((contents - shown.len()) as u64);
        _ = writeln!(text, "{:>10}  and {rest} more: see --files", "");
    }
    text
}

/// The length of what is no padding.
fn content_bytes(info: &Info) -> u64 {
    let contents = info.files().iter().filter(|file| !file.attributes.padding);
    contents.map(|file| file.length).sum()
}

fn version(info: &Info) -> &'static str {
    match info.version() {
        Version::V1 => "v1",
        Version::V2 => "v2",
        Version::Hybrid => "hybrid",
    }
}

fn date(unix_secs: i64) -> Option<String> {
    let secs = u64::try_from(unix_secs)
        .ok()
        .filter(|secs| *secs <= UNIX_SECS_MAX)?;
    Some(humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(secs)).to_string())
}

fn metainfo_json(metainfo: &Metainfo) -> Value {
    let info = &*metainfo.info;
    let files: Vec<Value> = info.files().iter().map(file_json).collect();
    json!({
        "type": "torrent",
        "name": info.name(),
        "info_hash": info.version().has_v1().then(|| info.info_hash().to_string()),
        "info_hash_v2": info.info_hash_v2().map(|hash| hash.to_string()),
        "version": version(info),
        "total_bytes": content_bytes(info),
        "pieces": info.geometry().piece_count(),
        "piece_bytes": info.geometry().piece_bytes(),
        "private": info.is_private(),
        "source": info.source(),
        "comment": metainfo.comment,
        "created_by": metainfo.created_by,
        "creation_date": metainfo.creation_date,
        "tiers": metainfo.tiers,
        "web_seeds": metainfo.web_seeds,
        "http_seeds": metainfo.http_seeds,
        "dht_nodes": metainfo.nodes.iter().map(|(host, port)| format!("{host}:{port}")).collect::<Vec<_>>(),
        "magnet": Magnet::of(metainfo).to_string(),
        "files": files,
    })
}

fn file_json(file: &FileEntry) -> Value {
    json!({
        "path": file.path.as_str(),
        "torrent_path": file.raw_path.as_ref().map(|raw| String::from_utf8_lossy(raw).into_owned()),
        "length": file.length,
        "padding": file.attributes.padding,
        "executable": file.attributes.executable,
        "hidden": file.attributes.hidden,
        "symlink": file.symlink.as_ref().map(SafePath::as_str),
    })
}

fn magnet_text(magnet: &Magnet) -> String {
    let mut table = Table::default();
    table.maybe("name", magnet.name.as_ref());
    table.maybe("info hash", magnet.info_hash);
    table.maybe("v2 hash", magnet.info_hash_v2);
    table.maybe(
        "size",
        magnet
            .length
            .map(|bytes| format!("{} ({} bytes)", size(bytes), grouped(bytes))),
    );
    for (name, values) in [
        ("tracker", &magnet.trackers),
        ("web seed", &magnet.web_seeds),
        ("torrent at", &magnet.exact_sources),
        ("or at", &magnet.acceptable_sources),
    ] {
        table.list(name, values);
    }
    table.list("peer", &peers(magnet));
    table.maybe("files", magnet.select_only.as_ref());
    table.row("magnet", magnet.to_string());
    table.0
}

fn magnet_json(magnet: &Magnet) -> Value {
    json!({
        "type": "magnet",
        "name": magnet.name,
        "info_hash": magnet.info_hash.map(|hash| hash.to_string()),
        "info_hash_v2": magnet.info_hash_v2.map(|hash| hash.to_string()),
        "total_bytes": magnet.length,
        "trackers": magnet.trackers,
        "web_seeds": magnet.web_seeds,
        "exact_sources": magnet.exact_sources,
        "acceptable_sources": magnet.acceptable_sources,
        "peers": peers(magnet),
        "select_only": magnet.select_only.as_ref().map(ToString::to_string),
        "magnet": magnet.to_string(),
    })
}

fn peers(magnet: &Magnet) -> Vec<String> {
    magnet.peers.iter().map(ToString::to_string).collect()
}
