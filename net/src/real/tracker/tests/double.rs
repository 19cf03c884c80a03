//! A tracker on loopback that says what a test tells it to.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

/// What a double does with a request.
pub(super) enum Act {
    /// Sends these bytes and closes.
    Say(Vec<u8>),
    /// Sends these bytes, one at a time and slowly.
    Drip(Vec<u8>),
    /// Says nothing and keeps the connection.
    Hang,
}

impl Act {
    /// An answer with these header lines and this body.
    pub(super) fn answer(status: &str, headers: &str, body: &[u8]) -> Self {
        let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}\r\n").into_bytes();
        bytes.extend_from_slice(body);
        Self::Say(bytes)
    }

    pub(super) fn bencoded(body: &[u8]) -> Self {
        Self::answer(
            "200 OK",
            &format!("Content-Length: {}\r\n", body.len()),
            body,
        )
    }

    pub(super) fn redirect(location: &str) -> Self {
        Self::answer(
            "302 Found",
            &format!("Location: {location}\r\nContent-Length: 0\r\n"),
            b"",
        )
    }
}

pub(super) struct Double {
    addr: SocketAddr,
    /// The head of each request.
    pub(super) requests: Receiver<String>,
    stop: Arc<AtomicBool>,
}

impl Double {
    /// Starts one; `act` gets the number of the request and its head.
    pub(super) fn start(act: impl Fn(usize, &str) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (heads, requests) = sync_channel(1000);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (act, count) = (Arc::new(act), Arc::new(AtomicUsize::new(0)));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (act, count) = (Arc::clone(&act), Arc::clone(&count));
                let (heads, stopped) = (heads.clone(), Arc::clone(&stopped));
                thread::spawn(move || {
                    let head = read_head(&stream);
                    let act = act(count.fetch_add(1, Ordering::Relaxed), &head);
                    heads.try_send(head).unwrap();
                    perform(stream, act, &stopped);
                });
            }
        });
        Self {
            addr,
            requests,
            stop,
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.addr));
    }
}

fn read_head(mut stream: &TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

fn perform(mut stream: TcpStream, act: Act, stopped: &AtomicBool) {
    let mut send = |bytes: &[u8]| stream.write_all(bytes).is_ok();
    match act {
        Act::Say(bytes) => drop(send(&bytes)),
        Act::Drip(bytes) => {
            for byte in bytes {
                thread::sleep(Duration::from_millis(20));
                if stopped.load(Ordering::Relaxed) || !send(&[byte]) {
                    return;
                }
            }
        }
        Act::Hang => {
            while !stopped.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}
