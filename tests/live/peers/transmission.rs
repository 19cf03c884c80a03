//! Transmission's daemon, driven by its RPC.
//!
//! It never dials loopback addresses, cannot be told of a peer, and first asks a new seeder in its next ten-second round.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::{Job, Node};
use crate::support::http;
use crate::support::lab::Host;
use crate::support::process::Process;
use crate::support::wait::{START, wait_for};

const PORT: u16 = 51_413;
const RPC: &str = "127.0.0.1:9091";

pub(crate) fn start(host: &Host, program: &Path, job: &Job<'_>) -> Node {
    let profile = host.fresh_folder("transmission");
    let settings = json!({
        "dht-enabled": false,
        "lpd-enabled": false,
        "utp-enabled": false,
        "port-forwarding-enabled": false,
        "encryption": 0,
        "peer-port": PORT,
        "rpc-whitelist-enabled": false,
        "rpc-host-whitelist-enabled": false,
        "rpc-port": 9091,
        "rename-partial-files": false,
        "download-queue-enabled": false,
        "seed-queue-enabled": false,
        "speed-limit-up-enabled": job.up_limit_bytes.is_some(),
        "speed-limit-up": job.up_limit_bytes.unwrap_or(0) / 1000,
        "speed-limit-down-enabled": job.down_limit_bytes.is_some(),
        "speed-limit-down": job.down_limit_bytes.unwrap_or(0) / 1000,
    });
    fs::write(profile.join("settings.json"), settings.to_string()).expect("a settings file");
    let profile_text = profile.display().to_string();
    let process = Process::start(host, "transmission", program, &["-f", "-g", &profile_text]);
    for source in job.sources() {
        let request = json!({
            "method": "torrent-add",
            "arguments": {"filename": source, "download-dir": job.folder.display().to_string()},
        });
        let reply = wait_for("transmission's RPC", START, || call(host, &request));
        assert_eq!(reply["result"], "success", "{reply}");
    }
    let host = host.clone();
    Node::new(process, host.at(PORT), job, move |_| complete(&host))
}

/// How many torrents it has whole and checked.
fn complete(host: &Host) -> usize {
    let request = json!({"method": "torrent-get", "arguments": {"fields": ["name", "status", "leftUntilDone", "percentDone"]}});
    let reply = call(host, &request).unwrap_or_default();
    let torrents = reply["arguments"]["torrents"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    // Status 5 is "queued to seed", 6 is "seeding".
    let whole =
        |torrent: &&Value| torrent["status"].as_u64() >= Some(5) && torrent["leftUntilDone"] == 0;
    torrents.iter().filter(whole).count()
}

fn call(host: &Host, request: &Value) -> Option<Value> {
    let server: SocketAddr = RPC.parse().expect("an address");
    let body = request.to_string();
    // The first answer is a refusal that names the session to speak in.
    let refusal = http::post(host, server, "/transmission/rpc", &[], body.as_bytes())?;
    let session = format!(
        "X-Transmission-Session-Id: {}",
        refusal.header("x-transmission-session-id")?
    );
    http::post(
        host,
        server,
        "/transmission/rpc",
        &[&session],
        body.as_bytes(),
    )?
    .json()
}
