//! opentracker, over HTTP and UDP at one port. Debian's build serves only the torrents it is told of.

use std::fs;
use std::net::SocketAddr;

use crate::support::lab::{Host, find_program, skip};
use crate::support::process::Process;
use crate::support::torrent::Torrent;
use crate::support::wait::{START, wait_until};

const PORT: u16 = 6969;

pub(crate) struct Opentracker {
    _process: Process,
    address: SocketAddr,
}

impl Opentracker {
    pub(crate) fn http(&self) -> String {
        format!("http://{}/announce", self.address)
    }

    pub(crate) fn udp(&self) -> String {
        format!("udp://{}/announce", self.address)
    }
}

/// Starts it for these torrents; `None` with a message where it is not installed.
pub(crate) fn start(host: &Host, torrents: &[&Torrent]) -> Option<Opentracker> {
    let Some(program) = find_program("opentracker") else {
        skip("opentracker not found (.ci/install-peers installs it)");
        return None;
    };
    let list: String = torrents
        .iter()
        .map(|torrent| format!("{}\n", torrent.hash_hex()))
        .collect();
    // It reads its list as nobody, after it has made this folder its root.
    let folder = host.fresh_folder("opentracker");
    fs::write(folder.join("served"), list).expect("a file");
    let address = host.at(PORT);
    let (ip, port) = (address.ip().to_string(), PORT.to_string());
    let folder = folder.display().to_string();
    let arguments = [
        "-i", &ip, "-p", &port, "-P", &port, "-d", &folder, "-w", "/served",
    ];
    let mut process = Process::start(host, "opentracker", &program, &arguments);
    wait_until("opentracker's port", START, || {
        process.assert_running();
        host.connect(address).is_ok()
    });
    Some(Opentracker {
        _process: process,
        address,
    })
}
