//! Whole downloads over the in-memory link, and what bad data and bad disks do to them.

use core::time::Duration;

use dunlin_base::{NodeKey, PieceIndex, TorrentKey};
use dunlin_components::piece::PieceState;
use dunlin_port::config::EngineConfig;
use dunlin_port::hash::HashDone;
use dunlin_port::snapshot::SessionEvent;
use dunlin_protocol::wire::Message;

use crate::swarm::{Sample, Swarm, addr_of};

const MINUTES: Duration = Duration::from_secs(600);

fn banned(swarm: &Swarm) -> Vec<std::net::IpAddr> {
    let bans = swarm.events.iter().filter_map(|event| match event {
        SessionEvent::PeerBanned { addr, .. } => Some(addr.ip()),
        _ => None,
    });
    bans.collect()
}

#[test]
fn one_leecher_fetches_everything_from_one_seed() {
    let sample = Sample::new(1_000_000, 65_536);
    let mut swarm = Swarm::new(2, &EngineConfig::default());
    swarm.add(0, &sample, true, &[]);
    swarm.add(1, &sample, false, &[0]);
    assert!(
        swarm.run_until(MINUTES, |swarm| swarm.is_complete(1)),
        "{:?}",
        swarm.events
    );
    assert!(swarm.committed[&TorrentKey(1)].is_full());
}

/// A piece from one sender that fails is that sender's fault; the good seed finishes the job.
#[test]
fn a_poisoner_is_banned_and_the_download_completes() {
    let sample = Sample::new(2_000_000, 131_072);
    let mut swarm = Swarm::new(4, &EngineConfig::default());
    swarm.corrupt.insert(NodeKey(1));
    swarm.add(0, &sample, true, &[]);
    swarm.add(1, &sample, true, &[]);
    swarm.add(2, &sample, true, &[]);
    swarm.add(3, &sample, false, &[0, 1, 2]);
    assert!(
        swarm.run_until(MINUTES, |swarm| swarm.is_complete(3)),
        "{:?}",
        swarm.events
    );
    assert_eq!(
        banned(&swarm),
        [addr_of(1).ip()],
        "the poisoner and nobody else"
    );
}

/// A verdict on the first copy of a piece that comes again, late, is not taken for one on the second,
/// whatever it says.
#[test]
fn a_verdict_of_an_earlier_life_is_ignored() {
    let torrent = TorrentKey(2);
    let sample = Sample::new(65_536, 65_536);
    for good in [true, false] {
        let mut swarm = Swarm::new(3, &EngineConfig::default());
        swarm.corrupt.insert(NodeKey(0));
        swarm.add(0, &sample, true, &[]);
        swarm.add(2, &sample, false, &[0]);
        let failed = |swarm: &mut Swarm| {
            let failed = |event: &SessionEvent| matches!(event, SessionEvent::HashFailed { .. });
            swarm.events.iter().any(failed)
        };
        assert!(swarm.run_until(MINUTES, failed));
        swarm.hashers_rest = true;
        swarm.add(1, &sample, true, &[2]);
        let hashed = |swarm: &mut Swarm| {
            let world = swarm.engine.world();
            let mut states = world.query::<&PieceState>();
            states
                .iter(world)
                .any(|state| *state == PieceState::Hashing)
        };
        assert!(swarm.run_until(MINUTES, hashed), "the second copy is whole");
        swarm.engine.inbox().hash.push_back(HashDone {
            torrent,
            piece: PieceIndex(0),
            number: 0,
            blocks: Vec::new(),
            good,
            block_digests: vec![[0; 20]; 4],
        });
        swarm.run_for(Duration::from_secs(1));
        assert!(
            hashed(&mut swarm),
            "the verdict on the second copy is awaited"
        );
        swarm.hashers_rest = false;
        assert!(swarm.run_until(MINUTES, |swarm| swarm.is_complete(2)));
        assert_eq!(banned(&swarm), [addr_of(0).ip()], "it and nobody else");
    }
}

/// The piece is kept while the disk is full and written when there is room: nothing is fetched twice.
#[test]
fn a_full_disk_stops_the_torrent_and_it_recovers_by_itself() {
    let sample = Sample::new(300_000, 65_536);
    let mut swarm = Swarm::new(2, &EngineConfig::default());
    let torrent = TorrentKey(1);
    swarm.full.insert(torrent);
    swarm.add(0, &sample, true, &[]);
    swarm.add(1, &sample, false, &[0]);
    let stopped = |swarm: &mut Swarm| {
        swarm
            .events
            .iter()
            .any(|event| matches!(event, SessionEvent::TorrentStopped { .. }))
    };
    assert!(swarm.run_until(MINUTES, stopped));
    assert!(!swarm.run_until(Duration::from_secs(60), |swarm| swarm.is_complete(1)));
    swarm.full.clear();
    assert!(
        swarm.run_until(MINUTES, |swarm| swarm.is_complete(1)),
        "{:?}",
        swarm.events
    );
    assert!(
        swarm
            .events
            .contains(&SessionEvent::TorrentRecovered { torrent })
    );
}

#[test]
fn a_swarm_of_leechers_completes_and_the_seed_sends_little_more_than_once() {
    let sample = Sample::new(4_000_000, 65_536);
    let mut config = EngineConfig::default();
    config.limits.up = Some(dunlin_port::config::ByteSize(200_000));
    let mut swarm = Swarm::new(6, &config);
    swarm.add(0, &sample, true, &[]);
    for node in 1..6 {
        let others: Vec<u32> = (0..node).collect();
        swarm.add(node, &sample, false, &others);
    }
    let all = |swarm: &mut Swarm| (1..6).all(|node| swarm.is_complete(node));
    assert!(
        swarm.run_until(Duration::from_secs(3600), all),
        "{:?}",
        swarm.events.len()
    );
    let snapshot = swarm.engine.snapshot();
    let seed = &snapshot.torrents[0];
    assert!(
        seed.totals.uploaded_bytes < 5 * sample.data.len() as u64,
        "{:?}",
        seed.totals
    );
}

/// Same seed, same swarm: every message in the same order, on every run.
#[test]
fn runs_repeat_to_the_message() {
    let run = || {
        let sample = Sample::new(1_500_000, 65_536);
        let mut swarm = Swarm::new(4, &EngineConfig::default());
        swarm.add(0, &sample, true, &[]);
        (1..4).for_each(|node| swarm.add(node, &sample, false, &[0, 1, 2, 3]));
        assert!(swarm.run_until(MINUTES, |swarm| (1..4).all(|node| swarm.is_complete(node))));
        (swarm.now, format!("{:?}", swarm.wire))
    };
    assert!(run() == run());
}

/// libtorrent calls a request without interest a fault.
#[test]
fn interest_is_told_before_the_first_request() {
    let sample = Sample::new(500_000, 65_536);
    let mut swarm = Swarm::new(2, &EngineConfig::default());
    swarm.add(0, &sample, true, &[]);
    swarm.add(1, &sample, false, &[0]);
    assert!(swarm.run_until(MINUTES, |swarm| swarm.is_complete(1)));
    let first =
        |wanted: fn(&Message) -> bool| swarm.wire.iter().position(|(_, message)| wanted(message));
    let interested = first(|message| matches!(message, Message::Interested));
    let request = first(|message| matches!(message, Message::Request(_)));
    assert!(
        interested.is_some() && interested < request,
        "{interested:?} {request:?}"
    );
}
