//! A tracker at an address of the internet redirects to where only its victim can reach.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::peers::dunlin::{self, Dunlin, interrupt};
use crate::support::lab::{HUB_ADDRESS, Lab};
use crate::support::payload::{Payload, TINY};
use crate::support::wait::{START, wait_until};

/// Public, and nobody's in the lab.
const GLOBAL: Ipv4Addr = Ipv4Addr::new(11, 22, 33, 44);
const PORT: u16 = 8000;

#[test]
fn a_tracker_on_the_internet_cannot_send_us_into_our_own_network() {
    let Some(lab) = Lab::open() else { return };
    if dunlin::program().is_none() {
        return;
    }
    lab.add_hub_address(GLOBAL);
    let host = lab.host("victim");
    let inside: [SocketAddr; 3] = [
        (Ipv4Addr::LOCALHOST, PORT).into(),
        host.at(PORT),
        (HUB_ADDRESS, PORT).into(),
    ];
    let victims = [
        host.listen(inside[0]),
        host.listen(inside[1]),
        lab.inside_hub(|| TcpListener::bind(inside[2]).expect("a port")),
    ];
    let tracker = lab.inside_hub(|| TcpListener::bind((GLOBAL, PORT)).expect("a port"));
    std::thread::spawn(move || {
        for mut stream in tracker.incoming().map_while(Result::ok) {
            let mut head = [0; 4096];
            let len = stream.read(&mut head).unwrap_or(0);
            // The path is the number of the place.
            let number = head[..len]
                .get(5)
                .map_or(0, |digit| usize::from(digit - b'0'));
            let location = format!("http://{}/announce", inside[number]);
            let answer =
                format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
            // Whoever hung up needs no answer.
            drop(stream.write_all(answer.as_bytes()));
        }
    });

    let urls: Vec<_> = (0..inside.len())
        .map(|number| format!("http://{GLOBAL}:{PORT}/{number}"))
        .collect();
    let tiers: Vec<Vec<&str>> = urls.iter().map(|url| vec![url.as_str()]).collect();
    let tiers: Vec<&[&str]> = tiers.iter().map(Vec::as_slice).collect();
    let mut payload = Payload::named(TINY);
    payload.torrent = payload
        .torrent
        .with_trackers(&tiers, &lab.folder().join("forged.torrent"));
    let folder = host.fresh_folder("download");
    let mut get = Dunlin::get(&host, &[&payload], &folder).start();
    wait_until("every redirect refused", START, || {
        get.assert_running();
        let events = get.events("tracker");
        urls.iter().all(|url| {
            events.iter().any(|event| {
                let error = event["error"].as_str().unwrap_or_default();
                event["url"] == **url && error.contains("redirect from 11.22.33.44 to the local")
            })
        })
    });
    interrupt(&mut get);
    for victim in victims {
        victim.set_nonblocking(true).expect("a socket option");
        let visited = victim.accept().map(|(_, from)| from);
        let nobody = matches!(&visited, Err(error) if error.kind() == ErrorKind::WouldBlock);
        assert!(nobody, "{visited:?}");
    }
}
