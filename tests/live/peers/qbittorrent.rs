//! qBittorrent without a window, driven by its web interface.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::{Job, Node};
use crate::support::http;
use crate::support::lab::Host;
use crate::support::process::Process;
use crate::support::torrent::Torrent;
use crate::support::wait::{START, wait_until};

const PORT: u16 = 6889;
const WEB: &str = "127.0.0.1:8080";
const BOUNDARY: &str = "dunlin-live-test";

pub(crate) fn start(host: &Host, program: &Path, job: &Job<'_>) -> Node {
    let profile = host.fresh_folder("qbittorrent");
    let config = profile.join("qBittorrent/config");
    fs::create_dir_all(&config).expect("a folder");
    fs::write(config.join("qBittorrent.conf"), settings(job)).expect("a settings file");
    let profile_text = format!("--profile={}", profile.display());
    let process = Process::start(host, "qbittorrent", program, &[profile_text]);
    wait_until("qbittorrent's web interface", START, || {
        http::get(host, server(), "/api/v2/app/version").is_some_and(|reply| reply.status == 200)
    });
    for torrent in &job.torrents {
        let added = add(host, torrent, &job.folder);
        assert!(added, "qbittorrent refuses {}", torrent.name);
    }
    let host = host.clone();
    let peers = job.peers.clone();
    Node::new(process, host.at(PORT), job, move |_| {
        complete(&host, &peers)
    })
}

fn settings(job: &Job<'_>) -> String {
    format!(
        "[LegalNotice]\nAccepted=true\n\n\
         [Preferences]\nWebUI\\LocalHostAuth=false\nWebUI\\Port=8080\nWebUI\\CSRFProtection=false\n\
         WebUI\\HostHeaderValidation=false\nWebUI\\UseUPnP=false\n\n\
         [BitTorrent]\nSession\\DHTEnabled=false\nSession\\LSDEnabled=false\nSession\\PeXEnabled=false\n\
         Session\\Port={PORT}\nSession\\UseRandomPort=false\nSession\\QueueingSystemEnabled=false\n\
         Session\\BTProtocol=TCP\nSession\\Encryption=2\nSession\\SSRFMitigation=false\n\
         Session\\IgnoreLimitsOnLAN=false\nSession\\GlobalUPSpeedLimit={}\nSession\\GlobalDLSpeedLimit={}\n\n\
         [Network]\nPortForwardingEnabled=false\n",
        job.up_limit_bytes.unwrap_or(0) / 1024,
        job.down_limit_bytes.unwrap_or(0) / 1024,
    )
}

fn server() -> SocketAddr {
    WEB.parse().expect("an address")
}

fn add(host: &Host, torrent: &Torrent, folder: &Path) -> bool {
    let mut body = Vec::new();
    let fields = [
        ("savepath", folder.display().to_string()),
        ("autoTMM", "false".to_owned()),
    ];
    for (name, value) in fields {
        let part = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        );
        body.extend_from_slice(part.as_bytes());
    }
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"torrents\"; filename=\"a.torrent\"\r\n\
         Content-Type: application/x-bittorrent\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(&fs::read(&torrent.file).expect("a torrent file"));
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    let kind = format!("Content-Type: multipart/form-data; boundary={BOUNDARY}");
    let reply = http::post(host, server(), "/api/v2/torrents/add", &[&kind], &body);
    reply.is_some_and(|reply| reply.status == 200 && reply.body.starts_with(b"Ok"))
}

/// How many torrents it has whole and checked. Names the peers to the others again: it sometimes loses the first call.
fn complete(host: &Host, peers: &[SocketAddr]) -> usize {
    let reply = http::get(host, server(), "/api/v2/torrents/info").and_then(|reply| reply.json());
    let torrents = reply
        .as_ref()
        .and_then(|reply| reply.as_array())
        .cloned()
        .unwrap_or_default();
    let whole = |state: &str| state.ends_with("UP") && !state.starts_with("checking");
    let (done, rest): (Vec<_>, Vec<_>) = torrents
        .iter()
        .partition(|torrent| torrent["state"].as_str().is_some_and(whole));
    let lonely: Vec<&str> = rest
        .iter()
        .filter(|torrent| torrent["num_seeds"] == 0)
        .filter_map(|torrent| torrent["hash"].as_str())
        .collect();
    if !peers.is_empty() && !lonely.is_empty() {
        let peers: Vec<String> = peers.iter().map(SocketAddr::to_string).collect();
        let form = format!("hashes={}&peers={}", lonely.join("|"), peers.join("|"));
        let kind = "Content-Type: application/x-www-form-urlencoded";
        http::post(
            host,
            server(),
            "/api/v2/torrents/addPeers",
            &[kind],
            form.as_bytes(),
        );
    }
    done.len()
}
