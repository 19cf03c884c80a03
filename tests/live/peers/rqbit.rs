//! rqbit, its `download` command with the read-only part of its HTTP interface.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::libtorrent::cache_folder;
use super::{Job, Node};
use crate::support::http;
use crate::support::lab::{Host, find_program};
use crate::support::process::Process;

const PORT: u16 = 4240;
const WEB: &str = "127.0.0.1:3030";

/// The one of `.ci/install-peers`, or the one on the search path.
pub(crate) fn program() -> Option<PathBuf> {
    let own = cache_folder().map(|folder| folder.join("rqbit/bin/rqbit"));
    own.filter(|program| program.is_file())
        .or_else(|| find_program("rqbit"))
}

pub(crate) fn start(host: &Host, program: &Path, job: &Job<'_>) -> Node {
    let mut arguments: Vec<String> = [
        "--disable-dht",
        "--disable-lsd",
        "--disable-upnp-port-forward",
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.push(format!("--http-api-listen-addr={WEB}"));
    arguments.push(format!("--listen-port={PORT}"));
    arguments.push("--tracker-refresh-interval=2s".to_owned());
    arguments.extend(
        job.up_limit_bytes
            .map(|bytes| format!("--ratelimit-upload={bytes}")),
    );
    arguments.extend(
        job.down_limit_bytes
            .map(|bytes| format!("--ratelimit-download={bytes}")),
    );
    arguments.extend(["download".to_owned(), "--overwrite".to_owned()]);
    // It makes a folder per torrent only when there is more than one.
    let alone = job.torrents.len() == 1 && job.torrents[0].files[0].0.components().count() > 1;
    let folder = if alone {
        job.folder.join(&job.torrents[0].name)
    } else {
        job.folder.clone()
    };
    arguments.push(format!("--output-folder={}", folder.display()));
    if !job.peers.is_empty() {
        let peers: Vec<String> = job.peers.iter().map(SocketAddr::to_string).collect();
        arguments.push(format!("--initial-peers={}", peers.join(",")));
    }
    arguments.extend(job.sources());
    let process = Process::start(host, "rqbit", program, &arguments);
    let (host, torrents) = (host.clone(), job.torrents.len());
    Node::new(process, host.at(PORT), job, move |_| {
        (0..torrents)
            .filter(|index| is_complete(&host, *index))
            .count()
    })
}

fn is_complete(host: &Host, index: usize) -> bool {
    let server: SocketAddr = WEB.parse().expect("an address");
    let reply = http::get(host, server, &format!("/torrents/{index}/stats/v1"));
    reply
        .and_then(|reply| reply.json())
        .is_some_and(|stats| stats["finished"] == true && stats["state"] == "live")
}
