//! aria2, driven by its JSON-RPC. It cannot be told of a peer: the tracker in the torrent must.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::{Job, Node};
use crate::support::http;
use crate::support::lab::Host;
use crate::support::process::Process;

const PORT: u16 = 6888;
const RPC: &str = "127.0.0.1:6800";

pub(crate) fn start(host: &Host, program: &Path, job: &Job<'_>) -> Node {
    let mut arguments: Vec<String> = [
        "--no-conf=true",
        "--enable-dht6=false",
        "--bt-enable-lpd=false",
        "--enable-peer-exchange=false",
        "--file-allocation=none",
        "--follow-torrent=false",
        "--check-integrity=true",
        "--seed-ratio=0",
        "--bt-max-peers=0",
        "--max-concurrent-downloads=100",
        "--enable-rpc=true",
        "--rpc-listen-port=6800",
        "--summary-interval=0",
        "--console-log-level=notice",
        "--enable-color=false",
        "--show-console-readout=false",
        // Each torrent argument is a download of its own.
        "--force-sequential=true",
    ]
    .map(str::to_owned)
    .to_vec();
    // It speaks to UDP trackers through its DHT socket only; the lab has nobody to talk DHT with.
    let needs_udp = job
        .torrents
        .iter()
        .any(|torrent| torrent.announces_over_udp());
    arguments.push(format!("--enable-dht={needs_udp}"));
    arguments.push(format!("--dht-listen-port={PORT}"));
    arguments.push(format!("--listen-port={PORT}"));
    arguments.push(format!("--dir={}", job.folder.display()));
    arguments.push(format!(
        "--max-overall-upload-limit={}",
        job.up_limit_bytes.unwrap_or(0)
    ));
    arguments.push(format!(
        "--max-overall-download-limit={}",
        job.down_limit_bytes.unwrap_or(0)
    ));
    arguments.extend(
        job.torrents
            .iter()
            .map(|torrent| torrent.file.display().to_string()),
    );
    let process = Process::start(host, "aria2", program, &arguments);
    let host = host.clone();
    Node::new(process, host.at(PORT), job, move |_| complete(&host))
}

/// How many torrents it seeds or has finished.
fn complete(host: &Host) -> usize {
    let keys = json!(["status", "seeder", "totalLength", "completedLength"]);
    let active = call(host, "aria2.tellActive", json!([keys]));
    let stopped = call(host, "aria2.tellStopped", json!([0, 1000, keys]));
    let whole = |download: &&Value| {
        (download["seeder"] == "true" || download["status"] == "complete")
            && download["completedLength"] == download["totalLength"]
    };
    [active, stopped]
        .iter()
        .flatten()
        .flat_map(|list| list.as_array().into_iter().flatten())
        .filter(whole)
        .count()
}

fn call(host: &Host, method: &str, parameters: Value) -> Option<Value> {
    let server: SocketAddr = RPC.parse().expect("an address");
    let request = json!({"jsonrpc": "2.0", "id": "1", "method": method, "params": parameters});
    let reply = http::post(
        host,
        server,
        "/jsonrpc",
        &["Content-Type: application/json"],
        request.to_string().as_bytes(),
    )?;
    Some(reply.json()?["result"].clone())
}
