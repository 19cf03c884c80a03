//! `dunlin seed`: makes a torrent if there is none, and seeds it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::ArgAction;
use dunlin::{Check, CreateError, CreateOptions, NewTorrent, create};
use dunlin_port::config::SeedChoke;
use dunlin_protocol::metainfo::Metainfo;

use super::create::{PieceSize, parse_piece_size};
use super::session_args::SessionArgs;
use super::signals::Interrupts;
use super::transfer::{Addition, Goal, Transfer};
use super::{Exit, Failure, Global, Outcome, torrent_file};

const EXAMPLES: &str = "\
It seeds until it is interrupted, which is its normal end: exit code 0.

Examples:
  dunlin seed album --tracker http://tracker.example:6969/announce --torrent-out album.torrent
  dunlin seed ~/Downloads/film.mkv --torrent film.torrent --up-limit 5M
  dunlin seed one two --torrent one.torrent --torrent two.torrent";

/// Seeds files or folders, and makes their torrents when none are given
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SeedArgs {
    /// Files or folders, each a torrent of its own
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The torrent of a path, once for each in their order; without any, new ones are made
    #[arg(long, value_name = "FILE", action = ArgAction::Append)]
    torrent: Vec<PathBuf>,
    /// Tracker of the new torrents; may be repeated
    #[arg(long, value_name = "URL", action = ArgAction::Append, conflicts_with = "torrent")]
    tracker: Vec<String>,
    /// Piece length of the new torrents, such as 1M
    #[arg(long, value_name = "SIZE", default_value = "auto", value_parser = parse_piece_size, conflicts_with = "torrent")]
    piece_size: PieceSize,
    /// Where to write the new torrent, when it is one
    #[arg(long, value_name = "FILE", conflicts_with = "torrent")]
    torrent_out: Option<PathBuf>,
    /// Who is served: round-robin, fastest-upload or anti-leech [default: as configured]
    #[arg(long, value_name = "ALG", value_parser = parse_choke)]
    seed_choke: Option<SeedChoke>,
    /// Show each peer one piece at a time until it has passed the last one on: the first seed of a
    /// new torrent then sends little twice [default: as configured]
    #[arg(long)]
    super_seed: bool,
    #[command(flatten)]
    session: SessionArgs,
}

fn parse_choke(text: &str) -> Result<SeedChoke, String> {
    match text {
        "round-robin" => Ok(SeedChoke::RoundRobin),
        "fastest-upload" => Ok(SeedChoke::FastestUpload),
        "anti-leech" => Ok(SeedChoke::AntiLeech),
        _ => Err("expected round-robin, fastest-upload or anti-leech".to_owned()),
    }
}

/// What to seed.
struct Offer {
    metainfo: Metainfo,
    root: PathBuf,
    check: Check,
}

impl SeedArgs {
    pub(crate) fn run(mut self, global: &Global) -> Outcome {
        self.session.seed_choke = self.seed_choke;
        self.session.super_seed = self.super_seed;
        let config = self.session.config(global)?;
        let Some(offers) = self.offers()? else {
            return Ok(Exit::Interrupted);
        };
        let mut transfer = Transfer::start(self.session.clone(), &config, global)?;
        let mut all = Vec::with_capacity(offers.len());
        for offer in offers {
            let Offer {
                metainfo,
                root,
                check,
            } = offer;
            let info = metainfo.info.clone();
            let mut new = NewTorrent::new(metainfo, root)
                .check(check)
                // What is shared stays as it is, also when it turns out to be something else.
                .as_is()
                .peers(self.session.peer.clone());
            if self.session.no_trackers {
                new = new.trackers(Vec::new());
            }
            all.push(Addition::known(info, new));
        }
        transfer.add_all(all)?;
        transfer.run(Goal {
            seeds_on: true,
            ..Goal::default()
        })
    }

    /// What there is to seed; `None` when interrupted.
    fn offers(&self) -> Result<Option<Vec<Offer>>, Failure> {
        let (paths, torrents) = (self.paths.len(), self.torrent.len());
        if torrents != 0 && torrents != paths {
            return Err(Failure::usage(format_args!(
                "{paths} paths and {torrents} torrents were given; name one --torrent for each \
                 path, in their order, or none"
            )));
        }
        if self.torrent_out.is_some() && paths > 1 {
            return Err(Failure::usage(
                "--torrent-out is for one path; `dunlin create` writes a torrent for each",
            ));
        }
        if torrents != 0 {
            let known = self.paths.iter().zip(&self.torrent);
            let known = known.map(|(path, torrent)| known_offer(path, torrent));
            return known.collect::<Result<_, _>>().map(Some);
        }
        let interrupts = Interrupts::catch()?;
        let made = self.paths.iter().map(|path| self.make(path, &interrupts));
        // The first that was interrupted ends the rest.
        made.map(Result::transpose)
            .collect::<Option<Result<_, _>>>()
            .transpose()
    }

    /// A new torrent; `None` when interrupted.
    fn make(&self, path: &Path, interrupts: &Interrupts) -> Result<Option<Offer>, Failure> {
        let options = CreateOptions {
            piece_bytes: self.piece_size.0,
            tiers: self.tracker.iter().map(|url| vec![url.clone()]).collect(),
            created_by: Some(concat!("Dunlin ", env!("CARGO_PKG_VERSION")).to_owned()),
            ..CreateOptions::default()
        };
        let go_on = |_done, _total| match interrupts.came() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let made = match create(path, &options, go_on) {
            Ok(made) => made,
            Err(CreateError::Cancelled) => return Ok(None),
            Err(error) => return Err(Failure::failed(error)),
        };
        for odd in &made.left_out {
            tracing::warn!("{} is no file and was left out", odd.display());
        }
        if let Some(out) = &self.torrent_out {
            std::fs::write(out, made.metainfo.write()).map_err(|error| {
                Failure::failed(format_args!("cannot write {}: {error}", out.display()))
            })?;
        }
        Ok(Some(Offer {
            metainfo: made.metainfo,
            root: made.root,
            check: Check::Trusted,
        }))
    }
}

/// The content of a torrent that is there already.
fn known_offer(path: &Path, torrent: &Path) -> Result<Offer, Failure> {
    let metainfo = torrent_file::read(torrent)?;
    let real = path.canonicalize().map_err(|error| {
        Failure::failed(format_args!("cannot read {}: {error}", path.display()))
    })?;
    let name = metainfo.info.name();
    let is_it = real.file_name().is_some_and(|found| found == name);
    let Some(root) = real.parent().filter(|_| is_it) else {
        return Err(Failure::usage(format_args!(
            "{} holds `{name}`, which {} is not called; rename it or name the right one",
            torrent.display(),
            path.display(),
        )));
    };
    Ok(Offer {
        root: root.to_path_buf(),
        metainfo,
        check: Check::Full,
    })
}
