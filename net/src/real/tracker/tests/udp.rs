//! UDP trackers that are silent, gone, or talk nonsense. Good ones are in `tracker_server`'s tests.

use std::net::UdpSocket;

use dunlin_protocol::tracker::udp::{UdpRequest, UdpResponse};
use dunlin_protocol::tracker::{AddressFamily, Retry};

use super::*;

#[test]
fn a_silent_tracker_is_given_up_and_asked_anew() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("udp://{}/announce", socket.local_addr().unwrap());
    let bench = Bench::impatient();
    for _ in 0..3 {
        let why = unreachable(bench.announce(&url, started()));
        assert!(why.contains("no answer"), "{why}");
        // Each announce begins with a connect of its own.
        let mut packet = [0; 100];
        assert_eq!(socket.recv(&mut packet).unwrap(), 16);
    }
}

#[test]
fn a_closed_port_is_noticed_at_once() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("udp://{}/announce", socket.local_addr().unwrap());
    drop(socket);
    let why = unreachable(Bench::new().announce(&url, started()));
    assert!(why.contains("refused"), "{why}");
}

#[test]
fn garbage_is_dropped_and_errors_are_refusals() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("udp://{}/announce?key=1", socket.local_addr().unwrap());
    let tracker = thread::spawn(move || {
        let mut packet = [0; 2000];
        let mut urls = Vec::new();
        for _ in 0..2 {
            let (len, from) = socket.recv_from(&mut packet).unwrap();
            let answer = match UdpRequest::decode(&packet[..len]).unwrap() {
                UdpRequest::Connect { transaction } => {
                    socket.send_to(b"garbage", from).unwrap();
                    // The answer to somebody else.
                    let other = UdpResponse::Connect {
                        transaction: !transaction,
                        connection: 1,
                    };
                    socket
                        .send_to(&other.encode(AddressFamily::V4), from)
                        .unwrap();
                    UdpResponse::Connect {
                        transaction,
                        connection: 42,
                    }
                }
                UdpRequest::Announce {
                    connection,
                    transaction,
                    url_data,
                    ..
                } => {
                    assert_eq!(connection, 42);
                    urls.push(url_data);
                    let reason = "go away".to_owned();
                    UdpResponse::Error {
                        transaction,
                        reason,
                    }
                }
                UdpRequest::Scrape { .. } => panic!("nobody asked for a scrape"),
            };
            socket
                .send_to(&answer.encode(AddressFamily::V4), from)
                .unwrap();
        }
        urls
    });
    let bench = Bench::new();
    let refused = bench.announce(&url, started());
    let reason = "go away".to_owned();
    assert_eq!(
        refused,
        Err(TrackerError::Refused {
            reason,
            retry: Retry::Unspecified
        })
    );
    assert_eq!(
        tracker.join().unwrap(),
        [b"/announce?key=1".to_vec().into_boxed_slice()]
    );
}
