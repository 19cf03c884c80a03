//! `dunlin demo`: tracker, seeder and downloader over real loopback sockets in one go.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use dunlin::{
    Check, CreateOptions, Created, NewTorrent, Session, SessionEvent, SessionSettings,
    Subscription, create,
};
use dunlin_hash::Sha1Stream;
use dunlin_net::tracker_server::{TrackerServer, TrackerServerOptions};
use dunlin_port::config::{ByteSize, Config};
use dunlin_port::snapshot::TorrentView;
use dunlin_protocol::metainfo::Info;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::signals::Interrupts;
use super::text::{count, print, size};
use super::{Exit, Failure, Global, Outcome};

const EXAMPLES: &str = "\
Examples:
  dunlin demo
  dunlin demo --size 1G";

/// How long nothing may happen before the demonstration has failed.
const PATIENCE: Duration = Duration::from_secs(30);
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Small files beside the large one, so that pieces run across files.
const SMALL_FILES: usize = 9;

/// Shows a whole transfer: tracker, seeder and downloader over loopback sockets, in one go
///
/// Everything happens in a temporary folder that is gone at the end.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArgs {
    /// How much data to make up and transfer
    #[arg(long, value_name = "SIZE", default_value = "64M")]
    size: ByteSize,
}

impl DemoArgs {
    pub(crate) fn run(self, _global: &Global) -> Outcome {
        let interrupts = Interrupts::catch()?;
        let folder = tempfile::Builder::new()
            .prefix("dunlin-demo-")
            .tempdir()
            .map_err(|error| {
                Failure::failed(format_args!("cannot make a temporary folder: {error}"))
            })?;
        let outcome = Demo {
            folder: folder.path(),
            bytes: self.size.0,
            interrupts,
        }
        .run();
        let kept = folder.path().to_path_buf();
        folder.close().map_err(|error| {
            Failure::failed(format_args!(
                "cannot remove {}: {error}; remove it by hand",
                kept.display()
            ))
        })?;
        outcome
    }
}

struct Demo<'a> {
    folder: &'a Path,
    bytes: u64,
    interrupts: Interrupts,
}

impl Demo<'_> {
    fn run(&self) -> Outcome {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let tracker =
            TrackerServer::start(vec![local], Vec::new(), TrackerServerOptions::default())
                .map_err(Failure::failed)?;
        let url = tracker
            .local_addrs()
            .http
            .first()
            .map(|addr| format!("http://{addr}/announce"));
        let url = url.ok_or_else(|| Failure::failed("the tracker listens nowhere"))?;
        print(format_args!("tracker     {url}"))?;

        let Some(made) = self.make_torrent(url)? else {
            return Ok(Exit::Interrupted);
        };
        let info = &made.metainfo.info;
        let geometry = info.geometry();
        print(format_args!(
            "torrent     {} in {}, {} of {}, info hash {}",
            size(geometry.total_bytes()),
            count(info.files().len() as u64, "file"),
            count(u64::from(geometry.piece_count()), "piece"),
            size(u64::from(geometry.piece_bytes())),
            info.info_hash(),
        ))?;

        let (seeder, seeder_events) = self.start("seeder", "seed-state")?;
        let seeding = NewTorrent::new(made.metainfo.clone(), &made.root).check(Check::Trusted);
        seeder.add(seeding).map_err(Failure::failed)?;
        // Who asks the tracker before the seeder has told it of itself learns nothing for a minute.
        let announced = |event: &SessionEvent| matches!(event, SessionEvent::TrackerReplied { .. });
        if !self.wait(&seeder_events, announced, || {})? {
            return Ok(Exit::Interrupted);
        }

        let target = self.folder.join("downloaded");
        let (getter, events) = self.start("downloader", "download-state")?;
        getter
            .add(NewTorrent::new(made.metainfo.clone(), &target))
            .map_err(Failure::failed)?;
        let started = Instant::now();
        let Some(view) = self.download(&getter, &events)? else {
            return Ok(Exit::Interrupted);
        };
        let took = started.elapsed();
        print(format_args!(
            "transferred {} in {:.2} s: {:.0} MB/s, every piece verified as it came",
            size(view.done_bytes),
            took.as_secs_f64(),
            view.done_bytes as f64 / took.as_secs_f64() / 1e6,
        ))?;
        for session in [getter, seeder] {
            session.stop(STOP_TIMEOUT).map_err(Failure::failed)?;
        }
        verify(info, &target)?;
        let stats = tracker.stats();
        print(format_args!(
            "verified    all {} read back from disk and hashed again, one by one",
            count(u64::from(geometry.piece_count()), "piece")
        ))?;
        print(format_args!(
            "tracker     answered {}, {} left",
            count(stats.announces, "announce"),
            count(stats.peers as u64, "peer")
        ))?;
        Ok(Exit::Done)
    }

    /// Makes up content and its torrent; `None` when interrupted.
    fn make_torrent(&self, tracker: String) -> Result<Option<Created>, Failure> {
        let source = self.folder.join("shared").join("dunlin-demo");
        make_content(&source, self.bytes).map_err(|error| {
            Failure::failed(format_args!("cannot write {}: {error}", source.display()))
        })?;
        let options = CreateOptions {
            tiers: vec![vec![tracker]],
            ..CreateOptions::default()
        };
        let go_on = |_done, _total| match self.interrupts.came() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        match create(&source, &options, go_on) {
            Ok(made) => Ok(Some(made)),
            Err(dunlin::CreateError::Cancelled) => Ok(None),
            Err(error) => Err(Failure::failed(error)),
        }
    }

    fn start(&self, role: &str, state: &str) -> Result<(Session, Subscription), Failure> {
        let mut config = Config::default();
        config.network.listen = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
        let settings = SessionSettings {
            config,
            state_dir: Some(self.folder.join(state)),
            record: None,
        };
        let session = Session::start(settings).map_err(Failure::failed)?;
        if let Some(addr) = session.listen_addrs().first() {
            print(format_args!("{role:<11} {addr}"))?;
        }
        let events = session.subscribe();
        Ok((session, events))
    }

    /// Waits until everything is there; `None` when interrupted.
    fn download(
        &self,
        session: &Session,
        events: &Subscription,
    ) -> Result<Option<TorrentView>, Failure> {
        let view = || {
            session
                .snapshot()
                .ok()
                .and_then(|mut snapshot| snapshot.torrents.pop())
        };
        let bar = ProgressBar::with_draw_target(Some(self.bytes), ProgressDrawTarget::stderr());
        bar.set_style(style());
        let completed = |event: &SessionEvent| matches!(event, SessionEvent::Completed { .. });
        let done = self.wait(events, completed, || {
            if let Some(view) = view() {
                bar.set_length(view.wanted_bytes);
                bar.set_position(view.done_bytes);
                bar.set_message(
                    view.why
                        .first()
                        .map(ToString::to_string)
                        .unwrap_or_default(),
                );
            }
        });
        bar.finish_and_clear();
        match done? {
            true => Ok(view()),
            false => Ok(None),
        }
    }

    /// Waits for an event; false when interrupted.
    fn wait(
        &self,
        events: &Subscription,
        wanted: impl Fn(&SessionEvent) -> bool,
        look: impl Fn(),
    ) -> Result<bool, Failure> {
        let mut last = Instant::now();
        let mut last_look = last;
        while !self.interrupts.came() {
            let event = events.next(Duration::from_millis(100));
            if event.as_ref().is_some_and(&wanted) {
                return Ok(true);
            }
            match event {
                Some(SessionEvent::TrackerFailed { url, error, .. }) => {
                    return Err(Failure::failed(format_args!("{url}: {error}")));
                }
                Some(SessionEvent::TorrentStopped { reason, .. }) => {
                    return Err(Failure::failed(reason));
                }
                Some(_) => last = Instant::now(),
                None if events.is_over() => {
                    return Err(Failure::failed("the engine ended by itself"));
                }
                None if last.elapsed() > PATIENCE => {
                    return Err(Failure::failed(format_args!(
                        "nothing happened for {PATIENCE:?}"
                    )));
                }
                None => {}
            }
            if last_look.elapsed() > Duration::from_millis(100) {
                look();
                last_look = Instant::now();
            }
        }
        Ok(false)
    }
}

fn style() -> ProgressStyle {
    let style =
        ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {wide_msg}");
    style.unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A folder with one large file, some small ones and an empty one, of incompressible bytes.
fn make_content(folder: &Path, bytes: u64) -> io::Result<()> {
    fs::create_dir_all(folder.join("small"))?;
    let small = (bytes / 100).min(100_000);
    let large = bytes - small * SMALL_FILES as u64;
    let mut state = 0x9e37_79b9_7f4a_7c15;
    write_noise(&folder.join("large.bin"), large, &mut state)?;
    for n in 1..=SMALL_FILES {
        write_noise(
            &folder.join("small").join(format!("{n}.bin")),
            small,
            &mut state,
        )?;
    }
    File::create(folder.join("small").join("empty")).map(drop)
}

fn write_noise(path: &Path, bytes: u64, state: &mut u64) -> io::Result<()> {
    let mut file = io::BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut rest = bytes;
    while rest > 0 {
        // Xorshift: fast, and nothing that a file system could store shorter.
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        let word = state.to_le_bytes();
        let take = rest.min(word.len() as u64);
        file.write_all(&word[..take as usize])?;
        rest -= take;
    }
    file.into_inner()
        .map(drop)
        .map_err(io::IntoInnerError::into_error)
}

/// Hashes what is on disk by another implementation than the engine's, file after file.
fn verify(info: &Info, root: &Path) -> Result<(), Failure> {
    let geometry = info.geometry();
    let mut pieces = geometry.pieces();
    let mut piece = pieces.next();
    let (mut stream, mut filled) = (Sha1Stream::new(), 0);
    let mut buffer = vec![0; 1 << 20];
    for file in info.files() {
        let path = root.join(file.path.to_path_buf());
        let fail = |error| Failure::failed(format_args!("cannot read {}: {error}", path.display()));
        let mut reader = File::open(&path).map_err(fail)?;
        while let Some(index) = piece {
            let rest = (geometry.piece_len(index) - filled) as usize;
            let take = rest.min(buffer.len());
            let got = reader.read(&mut buffer[..take]).map_err(fail)?;
            if got == 0 {
                break;
            }
            stream.update(&buffer[..got]);
            filled += got as u32;
            if got == rest {
                let digest = std::mem::take(&mut stream).finish();
                if info.piece_hash(index) != Some(&digest) {
                    return Err(Failure::failed(format_args!(
                        "piece {} is damaged on disk",
                        index.0
                    )));
                }
                (piece, filled) = (pieces.next(), 0);
            }
        }
    }
    match piece {
        None => Ok(()),
        Some(index) => Err(Failure::failed(format_args!(
            "piece {} is not on disk",
            index.0
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifying_finds_one_wrong_byte() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("dunlin-demo");
        make_content(&source, 300_000).unwrap();
        let made = create(&source, &CreateOptions::default(), |_, _| {
            ControlFlow::Continue(())
        })
        .unwrap();
        assert!(verify(&made.metainfo.info, folder.path()).is_ok());
        let path = source.join("small/3.bin");
        let mut content = fs::read(&path).unwrap();
        content[7] ^= 1;
        fs::write(&path, content).unwrap();
        assert!(verify(&made.metainfo.info, folder.path()).is_err());
    }
}
