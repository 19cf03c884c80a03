//! Sweeps whose shards run in real batch systems: a HyperQueue server with a worker, and Slurm on one node. Each stands in
//! a host of a lab, called `localhost`: they know their machines by name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use rustix::process::Signal;
use serde_json::Value;

use crate::peers::dunlin;
use crate::peers::libtorrent::cache_folder;
use crate::support::lab::{Host, Lab, find_program, skip};
use crate::support::process::Process;
use crate::support::wait::{START, STOP, TRANSFER, wait_until};

const NODE_NAME: &str = "localhost";

/// A host where shards can be run, and what a program needs to find its batch system.
struct Cluster {
    host: Host,
    environment: Vec<String>,
    out: PathBuf,
    _daemons: Vec<Process>,
}

impl Cluster {
    /// Starts a program in the surroundings of the cluster, under the cluster's host name.
    fn start(&self, name: &str, program: &Path, arguments: &[&str]) -> Process {
        start(&self.host, &self.environment, name, program, arguments)
    }

    fn sweep(&self, more: &[&str]) -> Process {
        let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/minimal.ron");
        let out = self.out.to_str().expect("a plain path");
        let arguments = [&["sim", "sweep", scenario, "--json", "--out", out], more].concat();
        self.start(
            "dunlin",
            &dunlin::program().expect("asked for before"),
            &arguments,
        )
    }

    /// What a sweep that ends well says.
    fn swept(&self, more: &[&str]) -> Value {
        let mut process = self.sweep(more);
        process.wait_success(TRANSFER);
        process.json_lines().pop().expect("one object")
    }
}

fn start(
    host: &Host,
    environment: &[String],
    name: &str,
    program: &Path,
    arguments: &[&str],
) -> Process {
    let script = format!("hostname {NODE_NAME} && exec \"$@\"");
    let mut all = vec!["--uts", "sh", "-c", script.as_str(), "sh", "env"];
    all.extend(environment.iter().map(String::as_str));
    all.push(program.to_str().expect("a plain path"));
    all.extend(arguments);
    Process::start(host, name, Path::new("unshare"), &all)
}

const PLAN: [&str; 4] = [
    "--vary",
    "strategy.slots=[Fixed(2), Fixed(4)]",
    "--seeds",
    "2",
];

/// What any batch system must do: run all shards, run nothing twice, go on where it was broken off, and give what one
/// process gives alone.
fn shards_run_merge_and_resume(cluster: &Cluster, engine: &str) {
    let there = [&PLAN[..], &["--engine", engine, "--shards", "3"]].concat();
    let first = cluster.swept(&there);
    assert_eq!(
        (&first["ran"], &first["merged"]),
        (&4.into(), &4.into()),
        "{first}"
    );
    let merged = fs::read(cluster.out.join("summary.csv")).expect("a table");

    let again = cluster.swept(&there);
    assert_eq!(
        (&again["ran"], &again["were_there"]),
        (&0.into(), &4.into()),
        "{again}"
    );

    let folders = fs::read_dir(&cluster.out).expect("a folder").flatten();
    let run = folders
        .map(|entry| entry.path())
        .find(|path| path.join("summary.json").exists());
    fs::remove_dir_all(run.expect("four runs")).expect("our own folder");
    let resumed = cluster.swept(&there);
    assert_eq!(
        (&resumed["ran"], &resumed["merged"]),
        (&1.into(), &4.into()),
        "{resumed}"
    );
    assert_eq!(
        fs::read(cluster.out.join("summary.csv")).expect("a table"),
        merged
    );

    fs::remove_dir_all(&cluster.out).expect("our own folder");
    cluster.swept(&PLAN);
    assert_eq!(
        fs::read(cluster.out.join("summary.csv")).expect("a table"),
        merged
    );
}

/// What a sweep complains of that cannot be submitted.
fn complaint(cluster: &Cluster, more: &[&str]) -> String {
    let mut process = cluster.sweep(&[&["--seeds", "3"], more].concat());
    let status = process.wait(TRANSFER);
    assert_eq!(status.code(), Some(1), "{}", process.tail());
    process.tail()
}

const HYPERQUEUE: &str = "
import signal, sys
from hyperqueue import LocalCluster
from hyperqueue.cluster import WorkerConfig
with LocalCluster(sys.argv[1], WorkerConfig(cores=2)):
    print('ready', flush=True)
    signal.pause()
";

#[test]
fn hyperqueue_runs_shards() {
    let Some(lab) = Lab::open() else { return };
    let python = cache_folder().map(|folder| folder.join("venv/bin"));
    let has_it = |folder: &PathBuf| {
        let probe = std::process::Command::new(folder.join("python3"))
            .args(["-c", "import hyperqueue"])
            .output();
        probe.is_ok_and(|output: Output| output.status.success())
    };
    let Some(python) = python.filter(has_it) else {
        return skip("hyperqueue not found (.ci/install-peers installs it)");
    };
    if dunlin::program().is_none() {
        return;
    }
    let host = lab.host("hyperqueue");
    let server = host.folder().join("server");
    let path = std::env::var("PATH").expect("a search path");
    let environment = vec![
        format!("PATH={}:{path}", python.display()),
        format!("HQ_SERVER_DIR={}", server.display()),
    ];
    let arguments = ["-c", HYPERQUEUE, server.to_str().expect("a plain path")];
    let program = python.join("python3");
    let daemon = start(&host, &environment, "hyperqueue", &program, &arguments);
    wait_until("a server of HyperQueue", START, || {
        daemon.output().contains("ready")
    });
    let mut cluster = Cluster {
        out: host.folder().join("runs"),
        host,
        environment,
        _daemons: vec![daemon],
    };
    shards_run_merge_and_resume(&cluster, "hyperqueue");

    cluster.environment[1] = format!("HQ_SERVER_DIR={}/nowhere", server.display());
    let said = complaint(&cluster, &["--engine", "hyperqueue"]);
    assert!(
        said.contains("no HyperQueue server could be asked"),
        "{said}"
    );
}

fn slurm_configuration(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "ClusterName=lab
SlurmctldHost={NODE_NAME}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1
SlurmdParameters=config_overrides
ReturnToService=2
MpiDefault=none
NodeName={NODE_NAME} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=lab Nodes={NODE_NAME} Default=YES MaxTime=INFINITE State=UP
"
    )
}

/// Slurm on one node, or `None` where it is not installed.
fn slurm(lab: &Lab) -> Option<Cluster> {
    let mut programs = Vec::new();
    for name in ["munged", "slurmctld", "slurmd", "sbatch", "squeue"] {
        // Debian has the daemons where only root's search path leads.
        let daemon = Path::new("/usr/sbin").join(name);
        let Some(found) = find_program(name).or_else(|| daemon.is_file().then_some(daemon)) else {
            skip(&format!("{name} not found (.ci/install-peers installs it)"));
            return None;
        };
        programs.push(found);
    }
    dunlin::program()?;
    let host = lab.host("slurm");
    let folder = host.folder().to_owned();
    let file = |name: &str| folder.join(name).display().to_string();
    for name in ["state", "spool"] {
        fs::create_dir(folder.join(name)).expect("a folder");
    }
    fs::write(file("slurm.conf"), slurm_configuration(&folder)).expect("a file");
    fs::write(file("munge.key"), [7; 1024]).expect("a file");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(file("munge.key"), private).expect("our own file");

    let environment = vec![format!("SLURM_CONF={}", file("slurm.conf"))];
    let options = [
        "--foreground".to_owned(),
        // The folder is one that only we may enter, which it thinks too private for a socket.
        "--force".to_owned(),
        format!("--key-file={}", file("munge.key")),
        format!("--socket={}", file("munge.socket")),
        format!("--pid-file={}", file("munged.pid")),
        format!("--log-file={}", file("munged.log")),
        format!("--seed-file={}", file("munged.seed")),
    ];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let munged = start(&host, &environment, "munged", &programs[0], &options);
    wait_until("a socket of munge", START, || {
        folder.join("munge.socket").exists()
    });
    let slurmctld = start(
        &host,
        &environment,
        "slurmctld",
        &programs[1],
        &["-D", "-i"],
    );
    let slurmd = start(&host, &environment, "slurmd", &programs[2], &["-D"]);
    let cluster = Cluster {
        out: folder.join("runs"),
        host,
        environment,
        // In the order of their end.
        _daemons: vec![slurmd, slurmctld, munged],
    };
    wait_until("an idle node of Slurm", START, || {
        ask(&cluster, "sinfo", "%T") == "idle"
    });
    Some(cluster)
}

/// What a client of Slurm prints in this format.
fn ask(cluster: &Cluster, client: &str, format: &str) -> String {
    let mut process = cluster.start(
        client,
        Path::new(client),
        &["--noheader", "--format", format],
    );
    process.wait(STOP);
    process.output().trim().to_owned()
}

#[test]
fn slurm_runs_shards() {
    let Some(lab) = Lab::open() else { return };
    let Some(cluster) = slurm(&lab) else { return };
    shards_run_merge_and_resume(&cluster, "slurm");
    let said = complaint(
        &cluster,
        &["--engine", "slurm", "--engine-arg=--partition=nowhere"],
    );
    assert!(said.contains("Invalid partition name"), "{said}");
}

#[test]
fn an_interrupted_sweep_leaves_no_job_in_slurm() {
    let Some(lab) = Lab::open() else { return };
    let Some(cluster) = slurm(&lab) else { return };
    // Far longer than it takes to see it run.
    let long = ["--set", "classes.leech.count=5000", "--seeds", "2"];
    let engine = ["--engine", "slurm", "--shards", "2"];
    let mut sweep = cluster.sweep(&[long, engine].concat());
    wait_until("running shards", TRANSFER, || {
        ask(&cluster, "squeue", "%T").contains("RUNNING")
    });
    sweep.signal(Signal::INT);
    assert_eq!(sweep.wait(STOP).code(), Some(130), "{}", sweep.tail());
    wait_until("the end of the shards", TRANSFER, || {
        ask(&cluster, "squeue", "%T").is_empty()
    });
}
