//! A seeder of the tests' own on plain BEP 3, which can be told to lie.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::support::lab::Host;
use crate::support::payload::Payload;

/// What it does with the blocks it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conduct {
    Honest,
    /// Spoils one byte in every n-th block.
    Poisonous {
        every: u64,
    },
}

const CHOKE_FREE: u8 = 1;
const INTERESTED: u8 = 2;
const BITFIELD: u8 = 5;
const REQUEST: u8 = 6;
const PIECE: u8 = 7;
const MESSAGE_BYTES_MAX: usize = 65_536;

/// A listening peer that has everything; it stops when dropped.
pub(crate) struct WirePeer {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

struct State {
    content: Vec<u8>,
    info_hash: [u8; 20],
    piece_bytes: u64,
    piece_count: usize,
    peer_id: [u8; 20],
    conduct: Conduct,
    /// Rests this long before each block, so that others get their share of the requests.
    rest: Duration,
    stopping: AtomicBool,
    connections: AtomicU64,
    blocks: AtomicU64,
    spoiled: AtomicU64,
}

impl WirePeer {
    pub(crate) fn start(
        host: &Host,
        port: u16,
        payload: &Payload,
        conduct: Conduct,
        rest: Duration,
    ) -> Self {
        let content = payload.torrent.files.iter().flat_map(|(path, _)| {
            let parent = payload.root.parent().expect("below a folder");
            std::fs::read(parent.join(path)).expect("our own file")
        });
        // Clients drop a second connection to the same identity.
        let identity = format!("-XX0001-{:02x}{port:010}", host.ip().octets()[3]);
        let peer_id = identity.as_bytes().try_into().expect("20 bytes");
        let state = Arc::new(State {
            content: content.collect(),
            info_hash: payload.torrent.info_hash,
            piece_bytes: payload.torrent.piece_bytes,
            piece_count: payload.torrent.piece_count(),
            peer_id,
            conduct,
            rest,
            stopping: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            blocks: AtomicU64::new(0),
            spoiled: AtomicU64::new(0),
        });
        let address = host.at(port);
        let listener = host.listen(address);
        listener.set_nonblocking(true).expect("a socket option");
        let accepting = state.clone();
        std::thread::Builder::new()
            .name("wire double".into())
            .spawn(move || accept(&accepting, &listener))
            .expect("a thread");
        Self { address, state }
    }

    pub(crate) fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn blocks(&self) -> u64 {
        self.state.blocks.load(Ordering::Relaxed)
    }

    pub(crate) fn spoiled(&self) -> u64 {
        self.state.spoiled.load(Ordering::Relaxed)
    }
}

impl Drop for WirePeer {
    fn drop(&mut self) {
        self.state.stopping.store(true, Ordering::Relaxed);
    }
}

fn accept(state: &Arc<State>, listener: &TcpListener) {
    while !state.stopping.load(Ordering::Relaxed) {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(10));
            continue;
        };
        state.connections.fetch_add(1, Ordering::Relaxed);
        let serving = state.clone();
        let serve = move || serving.serve(stream).unwrap_or(());
        std::thread::Builder::new()
            .name("wire double".into())
            .spawn(serve)
            .expect("a thread");
    }
}

impl State {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        stream.set_nodelay(true)?;
        let mut theirs = [0; 68];
        stream.read_exact(&mut theirs)?;
        if theirs[28..48] != self.info_hash {
            return Ok(());
        }
        let mut hello = b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0".to_vec();
        hello.extend_from_slice(&self.info_hash);
        hello.extend_from_slice(&self.peer_id);
        hello.extend_from_slice(&message(BITFIELD, &self.bitfield()));
        stream.write_all(&hello)?;
        while !self.stopping.load(Ordering::Relaxed) {
            let mut length = [0; 4];
            stream.read_exact(&mut length)?;
            let length = u32::from_be_bytes(length) as usize;
            if length == 0 {
                continue;
            }
            if length > MESSAGE_BYTES_MAX {
                return Ok(());
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body)?;
            match body[0] {
                INTERESTED => stream.write_all(&message(CHOKE_FREE, &[]))?,
                REQUEST if length == 13 => {
                    std::thread::sleep(self.rest);
                    stream.write_all(&self.block(&body[1..]))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn bitfield(&self) -> Vec<u8> {
        let mut bits = vec![0_u8; self.piece_count.div_ceil(8)];
        for piece in 0..self.piece_count {
            bits[piece / 8] |= 0x80 >> (piece % 8);
        }
        bits
    }

    fn block(&self, request: &[u8]) -> Vec<u8> {
        let number = |at: usize| {
            u64::from(u32::from_be_bytes(
                request[at..at + 4].try_into().expect("four bytes"),
            ))
        };
        let start = usize::try_from(number(0) * self.piece_bytes + number(4)).expect("fits");
        let length = usize::try_from(number(8))
            .expect("fits")
            .min(MESSAGE_BYTES_MAX);
        let mut body = request[..8].to_vec();
        body.extend_from_slice(self.content.get(start..start + length).unwrap_or_default());
        let served = self.blocks.fetch_add(1, Ordering::Relaxed) + 1;
        if let Conduct::Poisonous { every } = self.conduct
            && served.is_multiple_of(every)
            && let Some(last) = body.last_mut()
        {
            *last ^= 0x55;
            self.spoiled.fetch_add(1, Ordering::Relaxed);
        }
        message(PIECE, &body)
    }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = u32::try_from(body.len() + 1)
        .expect("short")
        .to_be_bytes()
        .to_vec();
    message.push(kind);
    message.extend_from_slice(body);
    message
}
