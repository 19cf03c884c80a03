//! Batch systems that run the shards of a sweep: what is handed to them, and the wait for its end.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dunlin_scenarios::sweep::Sweep;

use super::super::signals::Interrupts;
use super::super::{Exit, Failure};
use super::pool::bar;

/// A batch system.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(super) enum Engine {
    /// Tasks of one job of a running HyperQueue server
    Hyperqueue,
    /// An array job of Slurm
    Slurm,
}

/// The client of HyperQueue, which comes as a Python package.
const HYPERQUEUE: &str = include_str!("hyperqueue.py");
/// What Slurm runs in each task: its arguments, with nothing for a shell to take apart.
const SLURM: &str = "#!/bin/sh\nexec \"$@\"\n";

/// Time between looks at how far the shards are.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time between looks for the end and for interrupts.
const POLL_EVERY: Duration = Duration::from_millis(50);

/// The shards of a sweep.
pub(super) struct Task<'a> {
    pub(super) engine: Engine,
    pub(super) shards: u64,
    /// Runs at a time in one shard, and its cores.
    pub(super) jobs: usize,
    /// Options for the batch system.
    pub(super) arguments: &'a [String],
    pub(super) out: &'a Path,
    pub(super) sweep: &'a Sweep,
}

impl Task<'_> {
    /// Has the shards run, until all runs are there, of which `missing` are not.
    ///
    /// # Errors
    /// When the batch system cannot be reached, or runs are missing in the end.
    pub(super) fn run(&self, missing: u64, interrupts: &Interrupts) -> Result<Exit, Failure> {
        if self.engine == Engine::Hyperqueue && !self.arguments.is_empty() {
            return Err(Failure::usage(
                "--engine-arg is for sbatch: hyperqueue has no options",
            ));
        }
        let folder = self.folder()?;
        let errors = folder.join("engine.log");
        let mut command = match self.engine {
            Engine::Hyperqueue => self.hyperqueue(&folder)?,
            Engine::Slurm => self.slurm(&folder)?,
        };
        let log = File::create(&errors).map_err(|error| cannot_write(&errors, &error))?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command.spawn().map_err(|error| {
            let program = command.get_program().to_string_lossy();
            Failure::failed(format_args!("cannot start {program}: {error}"))
        })?;
        // Both say the number of the job as soon as it is submitted.
        let mut job = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout)
                .read_line(&mut job)
                .map_err(Failure::failed)?;
        }
        let ended = self.wait(&mut child, missing, interrupts)?;
        if ended.is_none() {
            self.cancel(job.trim(), &mut child);
            return Ok(Exit::Interrupted);
        }
        match self.sweep.missing(self.out).map_err(Failure::failed)? {
            0 => Ok(Exit::Done),
            missing => Err(Failure::failed(format_args!(
                "{missing} of {} runs are missing{}; run it again to go on",
                self.sweep.runs(),
                complaint(&folder)
            ))),
        }
    }

    /// A new folder for the scenario and what the shards say, which no reader of runs looks into.
    fn folder(&self) -> Result<PathBuf, Failure> {
        let folder = self.out.join(".shards");
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|error| cannot_write(&folder, &error))?;
        }
        fs::create_dir_all(&folder).map_err(|error| cannot_write(&folder, &error))?;
        folder
            .canonicalize()
            .map_err(|error| cannot_write(&folder, &error))
    }

    /// What a shard runs: this program with the scenario as it is now, whatever becomes of its file.
    fn command(&self, folder: &Path) -> Result<Vec<OsString>, Failure> {
        let scenario = folder.join("scenario.ron");
        write(&scenario, &self.sweep.base().to_ron())?;
        let program = std::env::current_exe().map_err(Failure::failed)?;
        let out = self
            .out
            .canonicalize()
            .map_err(|error| cannot_write(self.out, &error))?;
        let mut command: Vec<OsString> = vec![
            program.into(),
            "sim".into(),
            "sweep".into(),
            scenario.into(),
        ];
        for vary in self.sweep.vary() {
            command.extend(["--vary".into(), vary.to_string().into()]);
        }
        let (seeds, jobs) = (self.sweep.seeds().to_string(), self.jobs.to_string());
        command.extend(["--seeds".into(), seeds.into(), "--jobs".into(), jobs.into()]);
        command.extend(["--out".into(), out.into()]);
        Ok(command)
    }

    fn hyperqueue(&self, folder: &Path) -> Result<Command, Failure> {
        let mut command = Command::new("python3");
        command.args(["-c", HYPERQUEUE]).arg(folder);
        command.args([self.shards.to_string(), self.jobs.to_string()]);
        command.args(self.command(folder)?);
        Ok(command)
    }

    fn slurm(&self, folder: &Path) -> Result<Command, Failure> {
        let script = folder.join("task.sh");
        write(&script, SLURM)?;
        // A percent sign begins a placeholder.
        let logs = folder.display().to_string().replace('%', "%%");
        let mut command = Command::new("sbatch");
        command.args(["--parsable", "--wait", "--job-name=dunlin-sweep"]);
        command.arg(format!("--array=0-{}", self.shards - 1));
        command.arg(format!("--cpus-per-task={}", self.jobs));
        command.arg(format!("--output={logs}/%a.log"));
        command
            .args(self.arguments)
            .arg(script)
            .args(self.command(folder)?);
        Ok(command)
    }

    /// Waits for the end; `None` when interrupted.
    fn wait(
        &self,
        child: &mut Child,
        missing: u64,
        interrupts: &Interrupts,
    ) -> Result<Option<()>, Failure> {
        let (bar, before) = (bar(missing, "runs"), self.folders());
        let mut looked = Instant::now();
        while child.try_wait().map_err(Failure::failed)?.is_none() {
            if interrupts.came() {
                bar.finish_and_clear();
                return Ok(None);
            }
            if looked.elapsed() >= LOOK_EVERY {
                bar.set_position(self.folders().saturating_sub(before));
                looked = Instant::now();
            }
            std::thread::sleep(POLL_EVERY);
        }
        bar.finish_and_clear();
        // On a terminal ^C ends the child as well, and sooner.
        Ok((!interrupts.came()).then_some(()))
    }

    /// Folders of runs, whichever: for the bar.
    fn folders(&self) -> u64 {
        let entries = fs::read_dir(self.out).into_iter().flatten().flatten();
        let is_run = |entry: &fs::DirEntry| {
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            !is_hidden && entry.file_type().is_ok_and(|kind| kind.is_dir())
        };
        entries.filter(is_run).count() as u64
    }

    /// Ends the wait, and the job where that can be asked for. What has been run stays.
    fn cancel(&self, job: &str, child: &mut Child) {
        drop(child.kill());
        drop(child.wait());
        // As `sbatch --parsable` prints it: the number, and the cluster if there are several.
        let (number, cluster) = job.split_once(';').unwrap_or((job, ""));
        let cancelled = self.engine == Engine::Slurm && !number.is_empty() && {
            let mut command = Command::new("scancel");
            if !cluster.is_empty() {
                command.arg(format!("--clusters={cluster}"));
            }
            command
                .arg(number)
                .stdin(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        };
        if !cancelled {
            eprintln!("the shards of job {job} go on; run the sweep again to wait for them");
        }
    }
}

/// The first that the engine or a shard complained of.
fn complaint(folder: &Path) -> String {
    let mut logs: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    // The engine's own comes first: nothing runs where it could not submit.
    logs.sort_by_key(|path| (!path.ends_with("engine.log"), path.clone()));
    let last_line = |path: &PathBuf| {
        let text = fs::read_to_string(path).ok()?;
        let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
        let failed = path.ends_with("engine.log") || line.starts_with("dunlin:");
        failed.then(|| format!(" ({}: {line})", path.display()))
    };
    logs.iter().find_map(last_line).unwrap_or_default()
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format_args!("cannot write {}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| cannot_write(path, &error))
}
