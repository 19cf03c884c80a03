//! Peers that break every rule, at a program that runs.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use socket2::{Domain, Socket, Type};

use dunlin_base::limits::{PEER_REJECTS_MAX, PEER_REQUESTS_IN_MAX};

use crate::program::{Desk, PATIENCE, Program};
use crate::torrent::{Torrent, fetch, greet, message, read_message, request, text};

/// Fast extension and extension protocol.
const ABLE: [u8; 8] = [0, 0, 0, 0, 0, 0x10, 0, 0x04];
/// 13 pieces, the last one short: three spare bits in a bitfield.
const BYTES: usize = 200_000;

/// A program that seeds, and where.
fn seed(desk: &Desk, torrent: &Torrent) -> (Program, SocketAddr) {
    desk.write("t.torrent", &torrent.metainfo);
    desk.write("payload", &torrent.content);
    let args = "seed payload --torrent t.torrent --state-dir state --listen 127.0.0.1:0";
    let program = desk.start(&args.split(' ').collect::<Vec<_>>());
    let addr = program.addr();
    program.wait_for("seeding");
    (program, addr)
}

fn extended(id: u8, body: &[u8]) -> Vec<u8> {
    message(20, &[&[id], body].concat())
}

/// What comes until the other end closes. A reset is an end as well.
fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut came = Vec::new();
    match stream.read_to_end(&mut came) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            panic!("still open after {PATIENCE:?}")
        }
        Ok(_) | Err(_) => came,
    }
}

#[test]
fn broken_messages_end_their_connection_and_nothing_else() {
    let torrent = Torrent::file("payload", BYTES);
    let desk = Desk::new();
    let (mut program, addr) = seed(&desk, &torrent);
    let broken: [Vec<u8>; 19] = [
        u32::MAX.to_be_bytes().to_vec(),
        // Longer than any message, before a byte of it.
        [&(1_u32 << 20).to_be_bytes()[..], &[5]].concat(),
        message(0, b"x"),
        message(4, b"abc"),
        message(6, b"abcd"),
        message(7, b"abcd"),
        message(8, &[0; 13]),
        message(9, b"a"),
        message(13, b""),
        message(14, b"x"),
        message(5, &[0xff]),
        message(5, &[0xff, 0xff, 0xff]),
        message(5, &[0xff, 0xff]),
        message(4, &13_u32.to_be_bytes()),
        message(4, &u32::MAX.to_be_bytes()),
        request(13, 0, 16_384),
        request(0, u32::MAX, 16_384),
        request(0, 0, 0),
        [message(4, &1_u32.to_be_bytes()), message(15, b"")].concat(),
    ];
    for (number, bytes) in broken.iter().enumerate() {
        let mut stream = greet(addr, &torrent, ABLE);
        stream.write_all(bytes).expect("it reads");
        let came = rest(stream);
        let mut came = &came[..];
        while let Ok(said) = read_message(&mut came) {
            assert_ne!(said.first(), Some(&7), "a block for message {number}");
        }
    }
    // No handshake at all, one of nobody, one for another torrent.
    let mut foreign = torrent.handshake(ABLE);
    foreign[30] ^= 1;
    for words in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 68], &foreign] {
        let mut stream = TcpStream::connect(addr).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("an option");
        stream.write_all(words).expect("it reads");
        assert_eq!(rest(stream), b"");
    }
    fetch(addr, &torrent);
    assert_eq!(program.interrupt(), Some(0));
}

/// What is odd but no breach: nobody is closed for it, and nothing is believed of it.
#[test]
fn absurd_extension_messages_are_borne() {
    let torrent = Torrent::file("payload", BYTES);
    let desk = Desk::new();
    let (mut program, addr) = seed(&desk, &torrent);
    let metadata = b"d8:msg_typei1e5:piecei4294967295e10:total_sizei2000000000ee";
    let absurd: [Vec<u8>; 9] = [
        message(200, &[7; 1000]),
        extended(0, b"d13:metadata_sizei2000000000e4:reqqi0ee"),
        extended(0, b"d13:metadata_sizei-1e4:reqqi-1ee"),
        extended(0, b"d1:md11:ut_metadatai255e6:ut_pexi0eee"),
        extended(0, &[&b"d1:v"[..], &text(vec![b'v'; 60_000]), b"e"].concat()),
        extended(99, &[b'l'; 50_000]),
        extended(3, &[&metadata[..], &[0; 16_384]].concat()),
        // A piece that nobody may ask for without being told of it: advice only.
        message(13, &u32::MAX.to_be_bytes()),
        message(17, &u32::MAX.to_be_bytes()),
    ];
    let mut stream = greet(addr, &torrent, ABLE);
    stream.write_all(&absurd.concat()).expect("it reads");
    stream.write_all(&message(2, b"")).expect("it reads");
    // It still listens: interest is answered.
    while read_message(&mut stream).expect("it goes on").first() != Some(&1) {}
    fetch(addr, &torrent);
    assert_eq!(program.interrupt(), Some(0));
}

#[test]
fn who_asks_while_choked_gets_nothing_and_is_sent_away() {
    let torrent = Torrent::file("payload", BYTES);
    let desk = Desk::new();
    let (mut program, addr) = seed(&desk, &torrent);
    let mut stream = greet(addr, &torrent, [0; 8]);
    let asks = PEER_REQUESTS_IN_MAX + PEER_REJECTS_MAX as usize + 1;
    stream
        .write_all(&request(0, 0, 16_384).repeat(asks))
        .expect("it reads");
    let came = rest(stream);
    assert!(came.len() < 16_384, "{} bytes came", came.len());
    fetch(addr, &torrent);
    assert_eq!(program.interrupt(), Some(0));
}

#[test]
fn a_crowd_that_says_nothing_keeps_nobody_out() {
    let torrent = Torrent::file("payload", BYTES);
    let desk = Desk::new();
    let (mut program, addr) = seed(&desk, &torrent);
    // More than there may be connections, each from an address of its own; every other one dribbles
    // half a handshake.
    let crowd: Vec<_> = (0..600_u16)
        .map(|n| {
            let mut stream = connect_from([127, 1, (n >> 8) as u8, n as u8 | 1], addr);
            if n % 2 == 0 {
                // Who came first may be turned out already.
                drop(stream.write_all(&torrent.handshake(ABLE)[..30]));
            }
            stream
        })
        .collect();
    fetch(addr, &torrent);
    drop(crowd);
    assert_eq!(program.interrupt(), Some(0));
}

#[test]
fn a_crowd_that_begins_blocks_does_not_take_the_memory_of_a_download() {
    let torrent = Arc::new(Torrent::file("payload", 40 * BYTES));
    let desk = Desk::new();
    desk.write("t.torrent", &torrent.metainfo);
    // Nothing to fetch from as yet.
    let args =
        "get t.torrent -o down --state-dir state --no-trackers --listen 127.0.0.1:0 --memory 16M";
    let mut program = desk.start(&args.split(' ').collect::<Vec<_>>());
    let addr = program.addr();
    program.wait_for("checked");
    // More than there are buffers to spare and fewer than there may be connections, each from an address of
    // its own.
    let mut words = torrent.handshake(ABLE).to_vec();
    words.extend_from_slice(&message(7, &[0; 8 + 16_384])[..14]);
    let crowd: Vec<_> = (1..=90_u8)
        .map(|n| {
            let mut stream = connect_from([127, 2, 0, n], addr);
            stream.write_all(&words).expect("it reads");
            stream
        })
        .collect();
    // None of them keeps a connection either.
    crowd.into_iter().for_each(|stream| drop(rest(stream)));
    let honest = connect_from([127, 3, 0, 1], addr);
    let seed = Arc::clone(&torrent);
    std::thread::spawn(move || drop(seed.offer(honest)));
    assert_eq!(program.end(), Some(0));
    let came = std::fs::read(desk.path("down/payload")).expect("a file");
    assert!(came == torrent.content);
}

/// Connects from an address of its own.
fn connect_from(from: [u8; 4], addr: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let from = SocketAddr::from((from, 0));
    socket.bind(&from.into()).expect("loopback is all ours");
    socket.connect(&addr.into()).expect("it listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    stream
}

/// Says that it has everything, lies about all else, and sends what nobody asked for.
fn lie(mut stream: TcpStream, torrent: &Torrent) -> std::io::Result<()> {
    stream.read_exact(&mut [0; 68])?;
    stream.write_all(&torrent.handshake(ABLE))?;
    let says = b"d1:md11:ut_metadatai1e6:ut_pexi2ee13:metadata_sizei2000000000e4:reqqi1ee";
    let block = [&[0; 8][..], &[0x55; 16_384]].concat();
    let metadata = b"d8:msg_typei1e5:piecei0e10:total_sizei2000000000ee";
    let words = [
        extended(0, says),
        message(14, b""),
        message(1, b""),
        extended(1, &[&metadata[..], &[0; 16_384]].concat()),
        message(7, &block).repeat(20),
    ];
    stream.write_all(&words.concat())?;
    loop {
        // Every answer is another block than the one that was asked for.
        if let Some((6, asked)) = read_message(&mut stream)?.split_first() {
            let block = [&asked[..4], &[0; 4][..], &[0x55; 16_384]].concat();
            stream.write_all(&message(7, &block))?;
        }
    }
}

#[test]
fn a_download_survives_a_peer_whose_every_word_is_a_lie() {
    let torrent = Arc::new(Torrent::file("payload", BYTES));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let liar = listener.local_addr().expect("bound").to_string();
    let lies = Arc::clone(&torrent);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // It is sent away sooner or later.
            drop(lie(stream, &lies));
        }
    });
    let desk = Desk::new();
    desk.write("t.torrent", &torrent.metainfo);
    let honest = torrent.serve().to_string();
    let args = "get t.torrent -o down --state-dir state --no-trackers --listen 127.0.0.1:0";
    let args: Vec<_> = args
        .split(' ')
        .chain(["--peer", &liar, "--peer", &honest])
        .collect();
    assert_eq!(desk.start(&args).end(), Some(0));
    let came = std::fs::read(desk.path("down/payload")).expect("a file");
    assert!(came == torrent.content);
}
