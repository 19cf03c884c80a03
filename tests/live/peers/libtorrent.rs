//! libtorrent from PyPI, driven by the small script beside this file.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::{Job, Node};
use crate::support::lab::{Host, find_program};
use crate::support::process::Process;

const PORT: u16 = 6881;

/// Where `.ci/install-peers` puts what no package holds.
pub(crate) fn cache_folder() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    Some(cache.join("dunlin-peers"))
}

/// A Python that has libtorrent: the one of `.ci/install-peers`, or the system's.
pub(crate) fn python() -> Option<PathBuf> {
    // Asking a Python costs as much as starting a client, and swarms start dozens at a time.
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND.get_or_init(find_python).clone()
}

fn find_python() -> Option<PathBuf> {
    let own = cache_folder().map(|folder| folder.join("venv/bin/python"));
    [own, find_program("python3")]
        .into_iter()
        .flatten()
        .find(|python| {
            let probe = Command::new(python)
                .args(["-c", "import libtorrent"])
                .output();
            probe.is_ok_and(|output| output.status.success())
        })
}

pub(crate) fn start(host: &Host, python: &Path, job: &Job<'_>) -> Node {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/live/peers/libtorrent_peer.py"
    );
    let listen = host.at(PORT);
    let mut arguments = vec![
        script.to_owned(),
        format!("--listen={listen},[{}]:{PORT}", host.ip_v6()),
    ];
    arguments.push(format!("--save={}", job.folder.display()));
    arguments.extend(job.peers.iter().map(|peer| format!("--peer={peer}")));
    arguments.extend(
        job.up_limit_bytes
            .map(|bytes| format!("--up-limit={bytes}")),
    );
    arguments.extend(
        job.down_limit_bytes
            .map(|bytes| format!("--down-limit={bytes}")),
    );
    arguments.extend(job.slots.map(|slots| format!("--slots={slots}")));
    arguments.extend(job.sources());
    let process = Process::start(host, "libtorrent", python, &arguments);
    Node::new(process, listen, job, |process| {
        process.events("complete").len()
    })
}

/// Payload bytes that it says it has sent so far.
pub(crate) fn uploaded_bytes(node: &Node) -> u64 {
    node.process
        .events("totals")
        .last()
        .and_then(|totals| totals["uploaded"].as_u64())
        .unwrap_or(0)
}
