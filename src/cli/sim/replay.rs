//! `dunlin sim replay`: a recording once more, without anything outside.

use core::ops::ControlFlow;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Instant;

use dunlin_base::EngineTime;
use dunlin_scenarios::recording::{Played, replay};
use serde_json::json;

use super::super::signals::Interrupts;
use super::super::text::{count, print};
use super::super::{Exit, Failure, Outcome};

/// Gives an engine what a recording says that another was given, and compares the tables.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code 0: every tick came out as it was recorded. 1: one did not, or the recording is damaged
or has no whole tick. A recording that was cut off is played up to the cut.

Examples:
  dunlin get debian.torrent --record get.rec; dunlin sim replay get.rec
  dunlin sim run scenarios/minimal.ron --record run.rec && dunlin sim replay run.rec --json"
)]
pub(super) struct ReplayArgs {
    /// The recording
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

impl ReplayArgs {
    pub(super) fn run(&self) -> Outcome {
        let source = open(&self.file)?;
        let start = Instant::now();
        let mut watch = stop_on(Interrupts::catch()?);
        let replayed = replay(source, &mut watch)
            .map_err(|error| Failure::failed(format_args!("{}: {error}", self.file.display())))?;
        if replayed.stopped {
            return Ok(Exit::Interrupted);
        }
        let wall_s = start.elapsed().as_secs_f64();
        let virtual_s = secs(replayed.at);
        let digest = format!("{:016x}", replayed.digest);
        if self.json {
            let mismatch = replayed
                .mismatch
                .as_ref()
                .map(|at| json!({"tick": at.tick, "tables": at.tables}));
            print(json!({
                "same": replayed.mismatch.is_none(), "mismatch": mismatch, "seed": replayed.seed,
                "ticks": replayed.ticks, "virtual_s": virtual_s, "digest": digest,
                "cut_at": replayed.cut_at, "wall_s": wall_s,
            }))?;
        } else {
            print(format_args!(
                "{}, {virtual_s:.3} s of the engine's time in {wall_s:.2} s, digest {digest}",
                count(replayed.ticks, "tick"),
            ))?;
            if let Some(at) = replayed.cut_at {
                print(format_args!("the recording was cut off at byte {at}"))?;
            }
            match &replayed.mismatch {
                None => print("every tick came out as it was recorded")?,
                Some(at) => print(format_args!(
                    "tick {} came out otherwise than it was recorded, in {}",
                    at.tick,
                    at.tables.join(", ")
                ))?,
            }
        }
        Ok(match replayed.mismatch {
            None => Exit::Done,
            Some(_) => Exit::Failed,
        })
    }
}

/// A recording to read.
pub(super) fn open(path: &Path) -> Result<BufReader<File>, Failure> {
    File::open(path)
        .map(BufReader::new)
        .map_err(|error| Failure::usage(format_args!("cannot read {}: {error}", path.display())))
}

/// Ends what is played when a person says so.
pub(super) fn stop_on(interrupts: Interrupts) -> impl FnMut(&Played) -> ControlFlow<()> {
    move |_played| match interrupts.came() {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    }
}

/// Seconds since the engine started.
pub(super) fn secs(at: EngineTime) -> f64 {
    at.since(EngineTime::START).as_secs_f64()
}
