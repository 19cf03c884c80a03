//! What is sent to whom, and how fast.

use core::time::Duration;

use dunlin_base::{EngineTime, PeerKey, TorrentKey};
use dunlin_port::config::{ByteSize, EngineConfig, SlotCount};
use dunlin_port::user::{TorrentLimits, UserCommand};
use dunlin_protocol::wire::{BlockRequest, Message};

use crate::swarm::puppet::able;
use crate::swarm::{Sample, Swarm};

const BLOCK: u32 = 16_384;
const RATE: u64 = 100_000;
const PIECES: u32 = 64;

fn seed(config: &EngineConfig, limits: TorrentLimits) -> (Swarm, Sample) {
    let sample = Sample::new((PIECES * 2 * BLOCK) as usize, 2 * BLOCK);
    let mut swarm = Swarm::new(1, config);
    swarm.add_with(0, &sample, true, &[], |add| add.limits = limits);
    swarm.step();
    swarm.step();
    (swarm, sample)
}

fn everything() -> impl Iterator<Item = BlockRequest> {
    (0..PIECES).flat_map(|piece| {
        [0, BLOCK].map(|begin| BlockRequest {
            piece,
            begin,
            len: BLOCK,
        })
    })
}

/// A puppet that asks for everything as soon as it may.
fn leecher(swarm: &mut Swarm, sample: &Sample, n: u8) -> PeerKey {
    let peer = swarm.join(0, sample, n, able());
    swarm.say(peer, Message::Interested);
    everything().for_each(|block| swarm.say(peer, Message::Request(block)));
    peer
}

/// What went stays below the rate at all times, and is not far below it at the end.
fn holds(config: &EngineConfig, limits: TorrentLimits, leechers: u8, rate: u64) {
    let (mut swarm, sample) = seed(config, limits);
    (1..=leechers).for_each(|n| {
        leecher(&mut swarm, &sample, n);
    });
    swarm.run_until(Duration::from_secs(10), |swarm| {
        let passed = swarm.now.since(EngineTime::START).as_millis() as u64;
        let went = swarm.blocks.len() as u64 * u64::from(BLOCK);
        assert!(
            went <= rate * passed / 1000 + rate + u64::from(BLOCK),
            "{went} after {passed} ms"
        );
        false
    });
    let went = swarm.blocks.len() as u64 * u64::from(BLOCK);
    assert!(went >= rate * 9, "{went} bytes went in 10 s");
}

#[test]
fn a_nodes_upload_limit_is_held_and_used() {
    let mut config = EngineConfig::default();
    config.limits.up = Some(ByteSize(RATE));
    holds(&config, TorrentLimits::default(), 1, RATE);
    holds(&config, TorrentLimits::default(), 3, RATE);
}

#[test]
fn a_torrents_upload_limit_is_held_and_used() {
    let limits = TorrentLimits {
        up_bytes_per_sec: Some(RATE),
        ..TorrentLimits::default()
    };
    holds(&EngineConfig::default(), limits, 2, RATE);
}

#[test]
fn a_limit_for_each_peer_is_held_and_used() {
    let mut config = EngineConfig::default();
    config.choke.slots = SlotCount::Fixed(4);
    let limits = TorrentLimits {
        peer_up_bytes_per_sec: Some(RATE / 2),
        ..TorrentLimits::default()
    };
    holds(&config, limits, 2, RATE);
}

#[test]
fn a_limit_of_nothing_stops_the_upload_and_its_end_starts_it() {
    let none = TorrentLimits {
        up_bytes_per_sec: Some(0),
        ..TorrentLimits::default()
    };
    let (mut swarm, sample) = seed(&EngineConfig::default(), none);
    leecher(&mut swarm, &sample, 1);
    swarm.run_for(Duration::from_secs(60));
    assert!(swarm.blocks.len() <= 1, "at most the first burst");
    let limits = TorrentLimits {
        peer_up_bytes_per_sec: Some(RATE),
        ..TorrentLimits::default()
    };
    swarm.tell(UserCommand::SetLimits {
        torrent: TorrentKey(0),
        limits,
    });
    swarm.run_for(Duration::from_secs(10));
    let went = swarm.blocks.len() as u64 * u64::from(BLOCK);
    assert!(
        (RATE * 9..=RATE * 11 + 2 * u64::from(BLOCK)).contains(&went),
        "{went}"
    );
}

#[test]
fn payload_between_disk_and_kernel_is_a_second_of_it_and_bounded() {
    let rates = [0, 100_000, 1 << 40].map(super::read_blocks::in_flight_max);
    assert_eq!(rates, [32_768, 100_000, 1 << 20]);
    let (mut swarm, sample) = seed(&EngineConfig::default(), TorrentLimits::default());
    swarm.disk_rests = true;
    let peer = leecher(&mut swarm, &sample, 1);
    let world = swarm.engine.world();
    let index = world.resource::<dunlin_components::world::PeerIndex>();
    let entity = index.get(peer).expect("it is connected");
    let queue = world
        .get::<dunlin_components::peer::UploadQueue>(entity)
        .expect("every peer has one");
    assert_eq!(
        (queue.in_flight_bytes(), queue.waiting()),
        (2 * u64::from(BLOCK), 126)
    );
}

#[test]
fn all_that_an_unchoked_peer_asks_for_is_sent_once_and_in_order() {
    let (mut swarm, sample) = seed(&EngineConfig::default(), TorrentLimits::default());
    let peer = leecher(&mut swarm, &sample, 1);
    swarm.run_for(Duration::from_secs(1));
    assert!(
        swarm
            .blocks
            .iter()
            .copied()
            .eq(everything().map(|block| (peer, block)))
    );
}
