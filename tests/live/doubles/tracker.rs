//! An HTTP tracker in the test process that introduces peers to each other and remembers every request.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::bencode::Value;
use crate::support::http::percent_decode;
use crate::support::lab::{HUB_ADDRESS, Lab};
use crate::support::torrent::HUB_ANNOUNCE;

/// How it answers announces.
#[derive(Debug, Clone)]
pub(crate) enum Manner {
    /// With peers, and these intervals in seconds.
    Helpful {
        interval: u64,
        min_interval: Option<u64>,
    },
    /// With this HTTP status and nothing else.
    Broken(u16),
    /// With a failure reason.
    Refusing(&'static str),
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Announce {
    pub(crate) at: Instant,
    pub(crate) from: SocketAddr,
    pub(crate) path: String,
    /// Decoded; a key that comes twice keeps its last value.
    pub(crate) query: BTreeMap<String, Vec<u8>>,
}

impl Announce {
    pub(crate) fn text(&self, key: &str) -> &str {
        self.query
            .get(key)
            .map_or("", |value| std::str::from_utf8(value).unwrap_or("?"))
    }

    pub(crate) fn number(&self, key: &str) -> u64 {
        let text = self.text(key);
        text.parse()
            .unwrap_or_else(|_| panic!("{key}={text:?} in an announce is not a number"))
    }

    /// `started`, `completed`, `stopped`, or empty.
    pub(crate) fn event(&self) -> &str {
        self.text("event")
    }
}

/// The tracker; it stops when dropped.
pub(crate) struct Tracker {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    manner: Manner,
    announces: Mutex<Vec<Announce>>,
    swarms: Mutex<BTreeMap<Vec<u8>, BTreeMap<SocketAddr, bool>>>,
    stopping: AtomicBool,
}

impl Tracker {
    /// Starts at the address that every test torrent announces to.
    pub(crate) fn start(lab: &Lab) -> Self {
        Self::start_as(
            lab,
            Manner::Helpful {
                interval: 5,
                min_interval: None,
            },
        )
    }

    pub(crate) fn start_as(lab: &Lab, manner: Manner) -> Self {
        let port = HUB_ANNOUNCE
            .split([':', '/'])
            .nth(4)
            .and_then(|port| port.parse().ok())
            .expect("a port");
        let address = SocketAddr::new(IpAddr::V4(HUB_ADDRESS), port);
        let listener = lab
            .inside_hub(|| TcpListener::bind(address))
            .expect("a free port in our own namespace");
        listener.set_nonblocking(true).expect("a socket option");
        let state = Arc::new(State {
            manner,
            announces: Mutex::default(),
            swarms: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let serving = state.clone();
        let serve = move || {
            while !serving.stopping.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, from)) => serving.answer(stream, from).unwrap_or(()),
                    Err(_) => std::thread::sleep(Duration::from_millis(10)),
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("tracker double".into())
            .spawn(serve)
            .expect("a thread");
        Self {
            state,
            thread: Some(thread),
        }
    }

    /// Every announce so far, in order.
    pub(crate) fn announces(&self) -> Vec<Announce> {
        self.state.announces.lock().expect("not poisoned").clone()
    }

    /// Who is in a swarm, as they said themselves: address and whether it has everything.
    pub(crate) fn swarm(&self, info_hash: &[u8; 20]) -> Vec<(SocketAddr, bool)> {
        let swarms = self.state.swarms.lock().expect("not poisoned");
        swarms
            .get(info_hash.as_slice())
            .into_iter()
            .flatten()
            .map(|(address, seed)| (*address, *seed))
            .collect()
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        self.state.stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl State {
    fn answer(&self, mut stream: TcpStream, from: SocketAddr) -> std::io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.set_write_timeout(Some(Duration::from_secs(5)))?;
        let mut head = Vec::new();
        let mut buffer = [0; 4096];
        while !head.windows(4).any(|window| window == b"\r\n\r\n") && head.len() < 65_536 {
            match stream.read(&mut buffer)? {
                0 => return Ok(()),
                count => head.extend_from_slice(&buffer[..count]),
            }
        }
        let head = String::from_utf8_lossy(&head);
        let target = head.split_whitespace().nth(1).unwrap_or("/");
        let (status, body) = self.reply(target, from);
        let length = body.len();
        let reason = if status == 200 { "OK" } else { "No" };
        write!(
            stream,
            "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        )?;
        stream.write_all(&body)
    }

    fn reply(&self, target: &str, from: SocketAddr) -> (u16, Vec<u8>) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pair = |part: &str| {
            let (key, value) = part.split_once('=')?;
            Some((key.to_owned(), percent_decode(value)))
        };
        let query: BTreeMap<String, Vec<u8>> = query.split('&').filter_map(pair).collect();
        let announce = Announce {
            at: Instant::now(),
            from,
            path: path.to_owned(),
            query,
        };
        if path.ends_with("/scrape") {
            return (200, self.scrape(&announce).encode());
        }
        self.announces
            .lock()
            .expect("not poisoned")
            .push(announce.clone());
        match self.manner {
            Manner::Broken(status) => (status, Vec::new()),
            Manner::Refusing(reason) => (
                200,
                Value::dictionary([("failure reason", Value::text(reason))]).encode(),
            ),
            Manner::Helpful {
                interval,
                min_interval,
            } => (
                200,
                self.introduce(&announce, interval, min_interval).encode(),
            ),
        }
    }

    /// Takes the peer in and names the others.
    fn introduce(&self, announce: &Announce, interval: u64, min_interval: Option<u64>) -> Value {
        let Some(info_hash) = announce.query.get("info_hash") else {
            return Value::dictionary([("failure reason", Value::text("no info_hash"))]);
        };
        let mut swarms = self.swarms.lock().expect("not poisoned");
        let swarm = swarms.entry(info_hash.clone()).or_default();
        let peer = SocketAddr::new(
            announce.from.ip(),
            announce.text("port").parse().unwrap_or(0),
        );
        if announce.event() == "stopped" {
            swarm.remove(&peer);
        } else {
            swarm.insert(peer, announce.text("left") == "0");
        }
        let mut compact = Vec::new();
        for other in swarm.keys().filter(|other| **other != peer) {
            if let IpAddr::V4(ip) = other.ip() {
                compact.extend_from_slice(&ip.octets());
                compact.extend_from_slice(&other.port().to_be_bytes());
            }
        }
        let mut entries = BTreeMap::from([
            (b"interval".to_vec(), Value::size(interval)),
            (b"peers".to_vec(), Value::Bytes(compact)),
        ]);
        if let Some(seconds) = min_interval {
            entries.insert(b"min interval".to_vec(), Value::size(seconds));
        }
        Value::Dictionary(entries)
    }

    fn scrape(&self, request: &Announce) -> Value {
        let swarms = self.swarms.lock().expect("not poisoned");
        let info_hash = request.query.get("info_hash").cloned().unwrap_or_default();
        let (seeds, leechers) = swarms.get(&info_hash).map_or((0, 0), |swarm| {
            let seeds = swarm.values().filter(|seed| **seed).count() as u64;
            (seeds, swarm.len() as u64 - seeds)
        });
        let file = Value::dictionary([
            ("complete", Value::size(seeds)),
            ("downloaded", Value::size(seeds)),
            ("incomplete", Value::size(leechers)),
        ]);
        Value::dictionary([(
            "files",
            Value::Dictionary(BTreeMap::from([(info_hash, file)])),
        )])
    }
}
