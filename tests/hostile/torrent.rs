//! Torrents written by hand, so that they can say what no honest program would, and peers that
//! speak by hand.

use std::io::{self, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sha1::{Digest as _, Sha1};

use crate::program::{PATIENCE, noise};

pub(crate) const PIECE: usize = 16_384;

pub(crate) fn text(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [format!("{}:", bytes.len()).as_bytes(), bytes].concat()
}

fn list(names: &[&str]) -> Vec<u8> {
    let names: Vec<u8> = names.iter().flat_map(text).collect();
    [b"l", &names[..], b"e"].concat()
}

/// A file of a torrent: of 100 bytes, or a link.
pub(crate) enum Entry<'a> {
    File(&'a [&'a str]),
    Link(&'a [&'a str], &'a [&'a str]),
}

pub(crate) const FILE_BYTES: usize = 100;

/// A torrent and its content.
pub(crate) struct Torrent {
    pub(crate) metainfo: Vec<u8>,
    pub(crate) info_hash: [u8; 20],
    pub(crate) content: Vec<u8>,
}

impl Torrent {
    /// A folder of this name with these entries.
    pub(crate) fn folder(name: &str, entries: &[Entry<'_>]) -> Self {
        let (mut files, mut count) = (Vec::new(), 0);
        for entry in entries {
            files.push(match entry {
                Entry::File(path) => {
                    count += 1;
                    let length = format!("d6:lengthi{FILE_BYTES}e4:path");
                    [length.as_bytes(), &list(path), b"e"].concat()
                }
                Entry::Link(path, target) => [
                    &b"d4:attr1:l6:lengthi0e4:path"[..],
                    &list(path),
                    b"12:symlink path",
                    &list(target),
                    b"e",
                ]
                .concat(),
            });
        }
        let files = [&b"5:filesl"[..], &files.concat(), b"e4:name", &text(name)].concat();
        Self::of(&files, noise(count * FILE_BYTES))
    }

    /// One file.
    pub(crate) fn file(name: &str, bytes: usize) -> Self {
        let files = [format!("6:lengthi{bytes}e4:name").as_bytes(), &text(name)].concat();
        Self::of(&files, noise(bytes))
    }

    fn of(files: &[u8], content: Vec<u8>) -> Self {
        let hashes: Vec<u8> = content
            .chunks(PIECE)
            .flat_map(|piece| <[u8; 20]>::from(Sha1::digest(piece)))
            .collect();
        let rest = format!("12:piece lengthi{PIECE}e6:pieces");
        let info = [b"d", files, rest.as_bytes(), &text(hashes), b"e"].concat();
        let info_hash = Sha1::digest(&info).into();
        Self {
            metainfo: [b"d4:info", &info[..], b"e"].concat(),
            info_hash,
            content,
        }
    }

    /// The handshake of a peer that nobody has met before.
    pub(crate) fn handshake(&self, reserved: [u8; 8]) -> Vec<u8> {
        static PEERS: AtomicU32 = AtomicU32::new(0);
        let id = format!("-XX0001-{:012}", PEERS.fetch_add(1, Ordering::Relaxed));
        let name = &b"\x13BitTorrent protocol"[..];
        [name, &reserved, &self.info_hash, id.as_bytes()].concat()
    }

    /// A peer that has everything and gives it to everybody; its address, which no other double
    /// has: a ban is of an address.
    pub(crate) fn serve(self: &Arc<Self>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.2:0").expect("a port");
        let addr = listener.local_addr().expect("bound");
        let torrent = Arc::clone(self);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let torrent = Arc::clone(&torrent);
                // The downloader hangs up when it has what it wants.
                std::thread::spawn(move || drop(torrent.give(stream)));
            }
        });
        addr
    }

    fn give(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.read_exact(&mut [0; 68])?;
        stream.write_all(&self.handshake([0; 8]))?;
        self.answer(stream)
    }

    /// Dials to somebody and gives all that it is asked for, until it hangs up.
    pub(crate) fn offer(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.write_all(&self.handshake([0; 8]))?;
        stream.read_exact(&mut [0; 68])?;
        self.answer(stream)
    }

    fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        let pieces = self.content.len().div_ceil(PIECE);
        let mut bits = vec![0_u8; pieces.div_ceil(8)];
        (0..pieces).for_each(|piece| bits[piece / 8] |= 0x80 >> (piece % 8));
        stream.write_all(&message(5, &bits))?;
        loop {
            match read_message(&mut stream)?.split_first() {
                Some((2, _)) => stream.write_all(&message(1, b""))?,
                Some((6, request)) => {
                    let [piece, begin, len] = numbers(request);
                    let at = piece * PIECE + begin;
                    let block = &self.content[at..at + len];
                    stream.write_all(&message(7, &[&request[..8], block].concat()))?;
                }
                _ => {}
            }
        }
    }
}

pub(crate) fn message(id: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 1).expect("short");
    [&len.to_be_bytes()[..], &[id], body].concat()
}

pub(crate) fn request(piece: u32, begin: u32, len: u32) -> Vec<u8> {
    message(6, &[piece, begin, len].map(u32::to_be_bytes).concat())
}

fn numbers(body: &[u8]) -> [usize; 3] {
    [0, 4, 8].map(|at| {
        let bytes = body[at..at + 4].try_into().expect("four bytes");
        u32::from_be_bytes(bytes) as usize
    })
}

/// Id and body of the next message; nothing for a keep-alive.
pub(crate) fn read_message(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut len = [0; 4];
    stream.read_exact(&mut len)?;
    let mut body = vec![0; u32::from_be_bytes(len) as usize];
    stream.read_exact(&mut body)?;
    Ok(body)
}

/// A connection with a handshake behind it.
pub(crate) fn greet(addr: SocketAddr, torrent: &Torrent, reserved: [u8; 8]) -> TcpStream {
    let mut stream = TcpStream::connect(addr).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    stream
        .write_all(&torrent.handshake(reserved))
        .expect("it reads");
    stream.read_exact(&mut [0; 68]).expect("it answers");
    stream
}

/// An honest peer fetches the first block.
pub(crate) fn fetch(addr: SocketAddr, torrent: &Torrent) {
    let mut stream = greet(addr, torrent, [0; 8]);
    stream.write_all(&message(2, b"")).expect("it reads");
    let len = PIECE.min(torrent.content.len());
    loop {
        let said = read_message(&mut stream).expect("it goes on");
        match said.split_first() {
            Some((1, _)) => stream
                .write_all(&request(0, 0, len as u32))
                .expect("it reads"),
            Some((7, block)) => {
                assert!(block[8..] == torrent.content[..len], "other bytes");
                return;
            }
            _ => {}
        }
    }
}
