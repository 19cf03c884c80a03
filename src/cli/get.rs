//! `dunlin get`: downloads torrents.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgAction;
use dunlin::{FilePriority, NewTorrent};
use dunlin_port::config::PickStrategy;
use dunlin_protocol::magnet::Magnet;
use dunlin_protocol::metainfo::Metainfo;

use super::selection::Selector;
use super::session_args::{SessionArgs, folder};
use super::transfer::{Goal, Transfer};
use super::{Failure, Global, Outcome, torrent_file};

const EXAMPLES: &str = "\
Interrupted or killed, the same command goes on where it stopped.
Exit codes: 0 complete and verified, 1 failed, 2 bad usage, 130 interrupted with the state saved.

Examples:
  dunlin get debian.torrent -o ~/Downloads
  dunlin get album.torrent --select '*.flac' --select 12
  dunlin get film.torrent --sequential --down-limit 2M --ratio 1.5
  dunlin get set.torrent --peer 192.0.2.7:6881 --no-trackers --json";

/// Downloads torrents
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GetArgs {
    /// Torrent files
    #[arg(required = true, value_name = "WHAT")]
    what: Vec<String>,
    /// Folder to download into [default: as configured, or the current folder]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Download from the first piece to the last
    #[arg(long)]
    sequential: bool,
    /// Files to download: a number as `dunlin show` counts them from 1, or a pattern such as
    /// '*.flac'; may be repeated
    #[arg(long, value_name = "GLOB|INDEX", action = ArgAction::Append)]
    select: Vec<Selector>,
    /// Show each file
    #[arg(long)]
    files: bool,
    /// Ask no trackers
    #[arg(long)]
    no_trackers: bool,
    /// Seconds to seed after the download is complete
    #[arg(long, value_name = "SECS")]
    seed_time: Option<u64>,
    /// Seed until so many times the content was sent, such as 1.5
    #[arg(long, value_name = "R", value_parser = parse_ratio)]
    ratio: Option<f64>,
    #[command(flatten)]
    session: SessionArgs,
}

fn parse_ratio(text: &str) -> Result<f64, String> {
    let ratio = text
        .parse::<f64>()
        .ok()
        .filter(|ratio| ratio.is_finite() && *ratio >= 0.0);
    ratio.ok_or_else(|| "expected a number such as 1.5".to_owned())
}

impl GetArgs {
    pub(crate) fn run(self, global: &Global) -> Outcome {
        // Everything that can be wrong with what was typed, before anything starts.
        let torrents: Vec<Metainfo> = self
            .what
            .iter()
            .map(|what| read(what))
            .collect::<Result<_, _>>()?;
        let config = self.session.config(global)?;
        let selections: Vec<_> = torrents
            .iter()
            .map(|metainfo| self.priorities(metainfo))
            .collect::<Result<_, _>>()?;
        let download_dir = self
            .output
            .clone()
            .or_else(|| config.paths.download_dir.clone());
        let root = folder(&download_dir.unwrap_or_else(|| PathBuf::from(".")))?;

        let mut transfer = Transfer::start(self.session.clone(), &config, global)?;
        if self.files {
            transfer = transfer.with_files();
        }
        let mut all = Vec::with_capacity(torrents.len());
        for (metainfo, priorities) in torrents.into_iter().zip(selections) {
            let info = metainfo.info.clone();
            let mut new = NewTorrent::new(metainfo, &root)
                .file_priorities(priorities)
                .peers(self.session.peer.clone());
            if self.sequential {
                new = new.strategy(PickStrategy::Sequential);
            }
            if self.no_trackers {
                new = new.trackers(Vec::new());
            }
            all.push((info, new));
        }
        transfer.add_all(all)?;
        transfer.run(Goal {
            seed_time: self.seed_time.map(Duration::from_secs),
            ratio: self.ratio,
            seeds_on: false,
        })
    }

    /// How much each file is wanted; empty when nothing was selected.
    fn priorities(&self, metainfo: &Metainfo) -> Result<Vec<FilePriority>, Failure> {
        if self.select.is_empty() {
            return Ok(Vec::new());
        }
        let info = &metainfo.info;
        let shown = info
            .files()
            .iter()
            .filter(|file| !file.attributes.padding)
            .count();
        let mut number = 0;
        let priorities: Vec<_> = info
            .files()
            .iter()
            .map(|file| {
                number += usize::from(!file.attributes.padding);
                let wanted = !file.attributes.padding
                    && self
                        .select
                        .iter()
                        .any(|selector| selector.matches(number, file.path.as_str()));
                if wanted {
                    FilePriority::Normal
                } else {
                    FilePriority::Skip
                }
            })
            .collect();
        if priorities
            .iter()
            .all(|priority| *priority == FilePriority::Skip)
        {
            return Err(Failure::usage(format_args!(
                "--select matches none of the {shown} files of `{}`; `dunlin show` lists them",
                info.name()
            )));
        }
        Ok(priorities)
    }
}

fn read(what: &str) -> Result<Metainfo, Failure> {
    let scheme = what
        .split_once(':')
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("magnet") => {
            let magnet: Magnet = what.parse().map_err(|error| {
                Failure::usage(format_args!("this is no usable magnet link: {error}"))
            })?;
            let name = magnet
                .swarm_hash()
                .map_or_else(String::new, |hash| format!(" {hash}"));
            Err(Failure::usage(format_args!(
                "a magnet link names a torrent{name} without its list of pieces, and asking peers \
                 for that list (BEP 9) is not there yet; give its .torrent file instead"
            )))
        }
        Some("http" | "https") => Err(Failure::usage(
            "torrents are read from files, not from the web yet; download the .torrent file first",
        )),
        _ => torrent_file::read(Path::new(what)),
    }
}
