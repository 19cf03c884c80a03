//! `dunlin get`: downloads torrents.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgAction;
use dunlin::{FilePriority, NewTorrent};
use dunlin_port::config::PickStrategy;
use dunlin_protocol::magnet::{Magnet, MagnetPeer};
use dunlin_protocol::metainfo::Metainfo;

use super::selection::{self, Selector};
use super::session_args::{SessionArgs, folder};
use super::transfer::{Addition, Goal, Transfer};
use super::{Failure, Global, Outcome, torrent_file};

const EXAMPLES: &str = "\
Interrupted or killed, the same command goes on where it stopped.
Exit codes: 0 complete and verified, 1 failed, 2 bad usage, 130 interrupted with the state saved.

Examples:
  dunlin get debian.torrent -o ~/Downloads
  dunlin get 'magnet:?xt=urn:btih:...&tr=http://tracker.example/announce'
  dunlin get album.torrent --select '*.flac' --select 12
  dunlin get film.torrent --sequential --down-limit 2M --ratio 1.5
  dunlin get set.torrent --peer 192.0.2.7:6881 --no-trackers --json";

/// Downloads torrents
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GetArgs {
    /// Torrent files and magnet links
    #[arg(required = true, value_name = "WHAT")]
    what: Vec<String>,
    /// Folder to download into [default: as configured, or the current folder]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Download from the first piece to the last
    #[arg(long)]
    sequential: bool,
    /// Download the first and the last piece of each file before the others
    #[arg(long)]
    first_last: bool,
    /// Files to download: a number as `dunlin show` counts them from 1, or a pattern such as
    /// '*.flac'; may be repeated
    #[arg(long, value_name = "GLOB|INDEX", action = ArgAction::Append)]
    select: Vec<Selector>,
    /// Show each file
    #[arg(long)]
    files: bool,
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
    pub(crate) fn run(mut self, global: &Global) -> Outcome {
        self.session.first_last_first = self.first_last;
        // Everything that can be wrong with what was typed, before anything starts.
        let what = std::mem::take(&mut self.what);
        let wanted: Vec<Wanted> = what
            .into_iter()
            .map(|what| self.read(&what))
            .collect::<Result<_, _>>()?;
        let config = self.session.config(global)?;
        let download_dir = self
            .output
            .clone()
            .or_else(|| config.paths.download_dir.clone());
        let root = folder(&download_dir.unwrap_or_else(|| PathBuf::from(".")))?;

        let mut transfer = Transfer::start(self.session.clone(), &config, global)?;
        if self.files {
            transfer = transfer.with_files();
        }
        let mut all = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            all.push(match wanted {
                Wanted::Torrent(metainfo, priorities) => {
                    let info = metainfo.info.clone();
                    let new = NewTorrent::new(*metainfo, &root).file_priorities(priorities);
                    Addition::known(info, self.dress(new, Vec::new()))
                }
                Wanted::Link(magnet) => {
                    let (name, peers) = (magnet.name.clone(), magnet_peers(&magnet));
                    let mut new =
                        NewTorrent::from_magnet(*magnet, &root).map_err(Failure::usage)?;
                    if !self.select.is_empty() {
                        new = new.decide_files_later();
                    }
                    Addition::link(name, self.select.clone(), self.dress(new, peers))
                }
            });
        }
        transfer.add_all(all)?;
        transfer.run(Goal {
            seed_time: self.seed_time.map(Duration::from_secs),
            ratio: self.ratio,
            seeds_on: false,
        })
    }

    /// What all torrents of this run have in common.
    fn dress(&self, mut new: NewTorrent, mut peers: Vec<SocketAddr>) -> NewTorrent {
        peers.extend(&self.session.peer);
        new = new.peers(peers);
        if self.sequential {
            new = new.strategy(PickStrategy::Sequential);
        }
        if self.session.no_trackers {
            new = new.trackers(Vec::new());
        }
        new
    }

    fn read(&self, what: &str) -> Result<Wanted, Failure> {
        let scheme = what
            .split_once(':')
            .map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            Some("magnet") => self.read_link(what),
            Some("http" | "https") => Err(Failure::usage(
                "torrents are read from files, not from the web yet; download the .torrent file \
                 first",
            )),
            _ => {
                let metainfo = torrent_file::read(Path::new(what))?;
                let priorities = match self.select.is_empty() {
                    true => Vec::new(),
                    false => selection::priorities(&self.select, &metainfo.info)
                        .map_err(Failure::usage)?,
                };
                Ok(Wanted::Torrent(Box::new(metainfo), priorities))
            }
        }
    }

    fn read_link(&self, what: &str) -> Result<Wanted, Failure> {
        let magnet: Magnet = what.parse().map_err(|error| {
            Failure::usage(format_args!("this is no usable magnet link: {error}"))
        })?;
        if magnet.info_hash.is_none() {
            return Err(Failure::usage(
                "this link is to a torrent of version 2 alone, which cannot be downloaded yet: get \
                 the link to its version 1 or hybrid torrent (with xt=urn:btih:)",
            ));
        }
        let trackers = !magnet.trackers.is_empty() && !self.session.no_trackers;
        if !trackers && magnet.peers.is_empty() && self.session.peer.is_empty() {
            return Err(Failure::usage(
                "nobody can be asked what is in this torrent: the link names no tracker and no \
                 peer that may be used, and finding peers without either (DHT) is not there yet; \
                 name a peer with --peer IP:PORT, or take a link with a tracker (tr=)",
            ));
        }
        Ok(Wanted::Link(Box::new(magnet)))
    }
}

/// What to download.
enum Wanted {
    /// A torrent, with how much each file is wanted; empty for all alike.
    Torrent(Box<Metainfo>, Vec<FilePriority>),
    /// A link.
    Link(Box<Magnet>),
}

/// The addresses of a link's peers, those that are named looked up. Who cannot be found is left out.
fn magnet_peers(magnet: &Magnet) -> Vec<SocketAddr> {
    let find = |peer: &MagnetPeer| match (peer.host.as_str(), peer.port).to_socket_addrs() {
        Ok(found) => found.collect(),
        Err(error) => {
            tracing::warn!("the peer {peer} of the link cannot be found: {error}");
            Vec::new()
        }
    };
    magnet.peers.iter().flat_map(find).collect()
}
