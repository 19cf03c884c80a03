//! `dunlin tracker`: a small tracker, until somebody stops it.

use std::net::SocketAddr;
use std::time::Duration;

use clap::ArgAction;
use dunlin_net::tracker_server::{TrackerServer, TrackerServerOptions, TrackerServerStats};
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::text::{count, print};
use super::{Exit, Failure, Global, Outcome};

/// Where it listens when nobody says where: the ports that other small trackers have.
const HTTP_DEFAULT: ([u8; 4], u16) = ([127, 0, 0, 1], 6969);

const EXAMPLES: &str = "\
Without addresses it serves this machine alone, over HTTP and UDP at 127.0.0.1:6969.
Port 0 takes any free one. Everything is kept in memory and forgotten at the end.

Examples:
  dunlin tracker
  dunlin tracker --http 0.0.0.0:6969 --udp 0.0.0.0:6969 --udp [::]:6969
  dunlin tracker --http 127.0.0.1:0 --json";

/// Runs a small tracker
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TrackerArgs {
    /// Address to serve HTTP at; may be repeated
    #[arg(long, value_name = "ADDR", action = ArgAction::Append)]
    http: Vec<SocketAddr>,
    /// Address to serve UDP at; may be repeated
    #[arg(long, value_name = "ADDR", action = ArgAction::Append)]
    udp: Vec<SocketAddr>,
    /// Seconds after which clients shall announce again
    #[arg(long, value_name = "SECS", default_value_t = 1800, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    interval: u64,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

impl TrackerArgs {
    pub(crate) fn run(mut self, _global: &Global) -> Outcome {
        if self.http.is_empty() && self.udp.is_empty() {
            self.http.push(HTTP_DEFAULT.into());
            self.udp.push(HTTP_DEFAULT.into());
        }
        let interval = Duration::from_secs(self.interval);
        let defaults = TrackerServerOptions::default();
        let options = TrackerServerOptions {
            interval,
            min_interval: defaults.min_interval.min(interval),
            ..defaults
        };
        // Caught before it serves, so that whoever waits for its first line may stop it at once.
        let mut signals = Signals::new([SIGINT, SIGTERM])
            .map_err(|error| Failure::failed(format_args!("cannot wait for signals: {error}")))?;
        let server = TrackerServer::start(self.http, self.udp, options).map_err(Failure::failed)?;
        say_addresses(&server, self.json)?;
        signals.forever().next();
        say_stats(&server.stats(), self.json)?;
        Ok(Exit::Done)
    }
}

fn say_addresses(server: &TrackerServer, as_json: bool) -> Result<(), Failure> {
    let addrs = server.local_addrs();
    let http = addrs.http.iter().map(|addr| ("http", addr));
    for (scheme, addr) in http.chain(addrs.udp.iter().map(|addr| ("udp", addr))) {
        let url = format!("{scheme}://{addr}/announce");
        match as_json {
            true => {
                print(
                    json!({ "type": "listening", "protocol": scheme, "addr": addr, "url": url }),
                )?;
            }
            false => print(url)?,
        }
    }
    Ok(())
}

fn say_stats(stats: &TrackerServerStats, as_json: bool) -> Result<(), Failure> {
    let TrackerServerStats {
        torrents,
        peers,
        announces,
        scrapes,
        refused,
    } = *stats;
    if as_json {
        return print(json!({
            "type": "summary",
            "torrents": torrents,
            "peers": peers,
            "announces": announces,
            "scrapes": scrapes,
            "refused": refused,
        }));
    }
    print(format_args!(
        "{}, {}, {} refused; {} in {}",
        count(announces, "announce"),
        count(scrapes, "scrape"),
        count(refused, "request"),
        count(peers as u64, "peer"),
        count(torrents as u64, "torrent"),
    ))
}
