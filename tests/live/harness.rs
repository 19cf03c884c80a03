//! The clients among themselves: when this fails, the fault is in the tests or the machine and not in Dunlin.

use crate::doubles::tracker::Tracker;
use crate::peers::{Client, Job};
use crate::support::lab::Lab;
use crate::support::payload::{EMPTY_FILES, EXACT, Payload, TINY};

#[test]
fn every_other_client_completes_without_dunlin() {
    let Some(lab) = Lab::open() else { return };
    let clients: Vec<Client> = Client::ALL
        .into_iter()
        .filter(|client| client.find().is_some())
        .collect();
    if !clients.contains(&Client::Libtorrent) {
        return;
    }
    let payloads = [EXACT, EMPTY_FILES, TINY].map(Payload::named);
    let payloads: Vec<&Payload> = payloads.iter().collect();
    let _tracker = Tracker::start(&lab);
    let seed = Client::Libtorrent.seed(&lab.host("seed"), &payloads);
    let leech = |client: Client| {
        let host = lab.host(client.name());
        let folder = host.fresh_folder("download");
        (
            client.start(&host, &Job::of(&payloads, &folder).from(&[seed.address])),
            folder,
        )
    };
    let leeches: Vec<_> = clients.into_iter().map(leech).collect();
    for (node, folder) in leeches {
        node.finish(&payloads, &folder);
    }
}
