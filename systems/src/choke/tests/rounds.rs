//! Goal: rounds happen when they should and write down what the policy says.
//! Method: a world of one node and one torrent, peers as bare rows, the choke systems alone.

use core::time::Duration;
use std::sync::Arc;

use bevy_ecs::prelude::*;
use dunlin_base::{Bitfield, EngineTime, NodeKey, PeerKey, TorrentKey};
use dunlin_components::node::{ChokeRound, Luck, Node, Rules, Suitors};
use dunlin_components::peer::{
    AmChoking, AmInterested, Bargain, Peer, PeerChoking, PeerInterested, PeerOf, PeerTraffic,
    Phase, RemoteHave, Requests,
};
use dunlin_components::torrent::{Content, Lifecycle, Torrent};
use dunlin_components::world::{NodeIndex, Now, PeerIndex, Wake, Work};
use dunlin_port::config::{ByteSize, EngineConfig, LeechChoke, SlotCount};
use dunlin_protocol::metainfo::MetainfoBuilder;

const NODE: NodeKey = NodeKey(0);

struct Bench {
    world: World,
    schedule: Schedule,
    node: Entity,
    torrent: Entity,
}

impl Bench {
    fn new(slots: SlotCount, lifecycle: Lifecycle) -> Self {
        let mut world = World::new();
        world.init_resource::<Now>();
        world.init_resource::<Wake>();
        world.init_resource::<Work>();
        world.init_resource::<PeerIndex>();
        let mut config = EngineConfig::default();
        config.choke.slots = slots;
        let node = world
            .spawn((Node(NODE), Rules(config), Luck::new(1, NODE)))
            .id();
        world.insert_resource(NodeIndex([(NODE, node)].into()));
        let info = MetainfoBuilder::single_file("x", 64 * 16384, 16384)
            .build(&[[0; 20]; 64])
            .unwrap()
            .info;
        let torrent = world
            .spawn((
                Torrent(TorrentKey(1)),
                Content(Arc::clone(&info)),
                lifecycle,
            ))
            .id();
        let mut schedule = Schedule::default();
        super::super::plugin(&mut schedule);
        Self {
            world,
            schedule,
            node,
            torrent,
        }
    }

    fn peer(&mut self, n: u64, interested: bool) -> PeerKey {
        let key = PeerKey::outgoing(n);
        let established_at = self.world.resource::<Now>().0;
        let entity = self
            .world
            .spawn((
                Peer(key),
                PeerOf(self.torrent),
                Phase::Established,
                PeerInterested(interested),
                PeerTraffic {
                    established_at,
                    ..PeerTraffic::default()
                },
            ))
            .id();
        let mut index = self.world.resource_mut::<PeerIndex>();
        index.insert(key, entity, established_at);
        self.changed(key);
        key
    }

    fn entity(&self, peer: PeerKey) -> Entity {
        self.world.resource::<PeerIndex>().get(peer).unwrap()
    }

    fn changed(&mut self, peer: PeerKey) {
        self.world.resource_mut::<Work>().choke.insert((NODE, peer));
    }

    fn set_interested(&mut self, peer: PeerKey, interested: bool) {
        let entity = self.entity(peer);
        self.world
            .entity_mut(entity)
            .insert(PeerInterested(interested));
        self.changed(peer);
    }

    fn traffic(&mut self, peer: PeerKey, act: impl FnOnce(&mut PeerTraffic, EngineTime)) {
        let (entity, now) = (self.entity(peer), self.world.resource::<Now>().0);
        act(&mut self.world.get_mut::<PeerTraffic>(entity).unwrap(), now);
    }

    fn leave(&mut self, peer: PeerKey) {
        let mut index = self.world.resource_mut::<PeerIndex>();
        let entity = index.remove(peer).unwrap();
        self.world.despawn(entity);
        self.changed(peer);
    }

    fn tick(&mut self) {
        self.world.insert_resource(Wake::default());
        self.world.resource_mut::<Work>().flags.take();
        self.schedule.run(&mut self.world);
    }

    fn wait(&mut self, secs: u64) {
        self.world.resource_mut::<Now>().0 += Duration::from_secs(secs);
        self.tick();
    }

    fn unchoked(&self, peer: PeerKey) -> bool {
        !self.world.get::<AmChoking>(self.entity(peer)).unwrap().0
    }

    fn count_unchoked(&self, peers: &[PeerKey]) -> usize {
        peers.iter().filter(|&&peer| self.unchoked(peer)).count()
    }

    fn wake_at(&self) -> EngineTime {
        self.world.resource::<Wake>().at()
    }

    fn round(&self) -> ChokeRound {
        *self.world.get::<ChokeRound>(self.node).unwrap()
    }
}

#[test]
fn an_idle_node_has_no_rounds() {
    let mut bench = Bench::new(SlotCount::RateBased, Lifecycle::Seeding);
    let peer = bench.peer(1, false);
    bench.tick();
    assert_eq!(bench.wake_at(), EngineTime::NEVER);
    assert!(!bench.unchoked(peer));
}

#[test]
fn the_first_who_asks_is_unchoked_in_the_same_tick() {
    let mut bench = Bench::new(SlotCount::RateBased, Lifecycle::Seeding);
    let first = bench.peer(1, true);
    bench.tick();
    assert!(bench.unchoked(first));
    let flags = bench.world.resource_mut::<Work>().flags.take();
    assert!(flags.contains(&first));
    assert_eq!(bench.wake_at(), EngineTime::from_secs(10));
    bench.wait(3);
    let second = bench.peer(2, false);
    bench.wait(1);
    assert!(!bench.unchoked(second));
    bench.set_interested(second, true);
    bench.tick();
    assert!(bench.unchoked(second), "slots are free, no round is needed");
    assert_eq!(
        bench.wake_at(),
        EngineTime::from_secs(10),
        "rounds keep their beat"
    );
}

#[test]
fn a_slot_that_becomes_free_is_filled_at_once() {
    let mut bench = Bench::new(SlotCount::Fixed(2), Lifecycle::Seeding);
    let peers: Vec<_> = (1..=4).map(|n| bench.peer(n, true)).collect();
    bench.tick();
    assert_eq!(bench.count_unchoked(&peers), 2);
    let (leaver, rest): (Vec<_>, Vec<_>) = peers.iter().partition(|&&peer| bench.unchoked(peer));
    bench.leave(leaver[0]);
    bench.tick();
    assert_eq!(bench.count_unchoked(&rest), 1);
}

#[test]
fn those_who_give_get_the_slots_while_downloading() {
    let mut bench = Bench::new(SlotCount::Fixed(3), Lifecycle::Downloading);
    let peers: Vec<_> = (1..=6).map(|n| bench.peer(n, true)).collect();
    bench.tick();
    for round in 0..6 {
        for (n, &peer) in peers.iter().enumerate() {
            bench.traffic(peer, |traffic, now| traffic.down.add(now, n as u64 * 1000));
        }
        bench.wait(10);
        assert!(
            bench.unchoked(peers[5]) && bench.unchoked(peers[4]),
            "round {round}"
        );
        assert_eq!(bench.count_unchoked(&peers), 3);
    }
    // Once everything is here, what they gave buys nothing more.
    bench
        .world
        .entity_mut(bench.torrent)
        .insert(Lifecycle::Seeding);
    let holders: Vec<_> = peers
        .iter()
        .copied()
        .filter(|&peer| bench.unchoked(peer))
        .collect();
    bench.traffic(peers[5], |traffic, now| traffic.down.add(now, 1 << 30));
    for _ in 0..12 {
        bench.wait(10);
    }
    assert_ne!(
        holders,
        peers
            .iter()
            .copied()
            .filter(|&peer| bench.unchoked(peer))
            .collect::<Vec<_>>()
    );
}

#[test]
fn a_snubbing_peer_loses_its_slot() {
    let mut bench = Bench::new(SlotCount::Fixed(2), Lifecycle::Downloading);
    let peers: Vec<_> = (1..=3).map(|n| bench.peer(n, true)).collect();
    bench.traffic(peers[0], |traffic, now| traffic.down.add(now, 1));
    bench.tick();
    bench.traffic(peers[0], |traffic, now| traffic.down.add(now, 1_000_000));
    let entity = bench.entity(peers[0]);
    bench.world.get_mut::<Requests>(entity).unwrap().snubbed = true;
    bench.wait(10);
    let optimistic = bench.round().optimistic;
    assert_eq!(bench.unchoked(peers[0]), optimistic == Some(peers[0]));
    assert_eq!(bench.count_unchoked(&peers), 2);
}

#[test]
fn round_robin_serves_everybody_within_their_quotas() {
    let mut bench = Bench::new(SlotCount::Fixed(2), Lifecycle::Seeding);
    let peers: Vec<_> = (1..=5).map(|n| bench.peer(n, true)).collect();
    bench.tick();
    let mut served = std::collections::BTreeSet::new();
    for _ in 0..60 {
        for &peer in &peers {
            if bench.unchoked(peer) {
                served.insert(peer);
                bench.traffic(peer, |traffic, now| traffic.up.add(now, 20 * 16384));
            }
        }
        bench.wait(10);
        assert_eq!(bench.count_unchoked(&peers), 2);
    }
    assert_eq!(served.len(), 5);
}

/// Whoever holds a slot by rank has had a quota of pieces, and a minute, before another gets it. What
/// they take differs, and is most with some newcomers.
#[test]
fn a_seed_keeps_a_slot_for_a_quota_and_a_minute() {
    for pieces_a_round in [2, 20] {
        let mut bench = Bench::new(SlotCount::Fixed(3), Lifecycle::Seeding);
        let peers: Vec<_> = (1..=8).map(|n| bench.peer(n, true)).collect();
        bench.tick();
        let mut lost = 0;
        for round in 0..90 {
            let by_luck = bench.round().optimistic;
            let holders = peers.iter().filter(|&&peer| bench.unchoked(peer));
            let holders: Vec<_> = holders.copied().collect();
            for (at, &peer) in (0..).zip(&holders) {
                let quarters = pieces_a_round * 4 + (at * 7 + round * 3) % 5;
                bench.traffic(peer, |traffic, now| traffic.up.add(now, quarters * 4096));
            }
            bench.wait(10);
            for &peer in holders.iter().filter(|&&peer| by_luck != Some(peer)) {
                if bench.unchoked(peer) {
                    continue;
                }
                lost += 1;
                bench.traffic(peer, |traffic, now| {
                    let held = now.since(traffic.unchoked_at);
                    let had = traffic.up.total_bytes() - traffic.up_at_unchoke;
                    assert!(held >= Duration::from_secs(60), "{held:?}, round {round}");
                    assert!(had >= 20 * 16384, "{had} bytes, round {round}");
                });
            }
        }
        assert!(lost >= 8, "{lost} slots moved on");
    }
}

#[test]
fn the_optimistic_slot_moves_on_after_its_interval() {
    let mut bench = Bench::new(SlotCount::Fixed(2), Lifecycle::Downloading);
    let peers: Vec<_> = (1..=8).map(|n| bench.peer(n, true)).collect();
    bench.tick();
    let mut holders = Vec::new();
    for _ in 0..12 {
        bench.traffic(peers[0], |traffic, now| traffic.down.add(now, 99_999));
        bench.wait(10);
        assert!(bench.unchoked(peers[0]));
        holders.push(bench.round().optimistic.unwrap());
    }
    let changes = holders.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!((3..=5).contains(&changes), "{holders:?}");
}

#[test]
fn who_wants_nothing_more_is_choked_at_the_next_round() {
    let mut bench = Bench::new(SlotCount::RateBased, Lifecycle::Seeding);
    let peer = bench.peer(1, true);
    bench.tick();
    bench.set_interested(peer, false);
    bench.tick();
    assert!(bench.unchoked(peer));
    bench.wait(10);
    assert!(!bench.unchoked(peer));
    assert!(bench.world.get::<Suitors>(bench.node).unwrap().0.is_empty());
    assert_eq!(bench.wake_at(), EngineTime::NEVER, "and the node sleeps");
}

#[test]
fn nothing_is_told_twice() {
    let mut bench = Bench::new(SlotCount::RateBased, Lifecycle::Seeding);
    bench.peer(1, true);
    bench.tick();
    bench.wait(10);
    assert!(bench.world.resource::<Work>().flags.is_empty());
}

/// Three peers give 20 kB/s each to who gives them 10, 15 and 30 kB/s, a fourth gives nothing. What is
/// bought in the end is what gives most for its price, and no more than the limit.
#[test]
fn a_node_that_buys_finds_who_gives_most_for_what_it_costs() {
    const LIMIT: u64 = 40_000;
    let mut bench = Bench::new(SlotCount::Fixed(10), Lifecycle::Downloading);
    let mut rules = bench.world.get_mut::<Rules>(bench.node).unwrap();
    rules.0.choke.leech = LeechChoke::BitTyrant;
    rules.0.limits.up = Some(ByteSize(LIMIT));
    let asked = [10_000, 15_000, 30_000, u64::MAX];
    let peers: Vec<_> = (1..=4).map(|n| bench.peer(n, true)).collect();
    for &peer in &peers {
        let entity = bench.entity(peer);
        let have = RemoteHave {
            bits: Bitfield::empty(64),
            counted_as_seed: false,
            told: true,
        };
        bench
            .world
            .entity_mut(entity)
            .insert((have, AmInterested(true)));
    }
    bench.tick();
    let price = |bench: &Bench, peer| {
        let bargain = bench.world.get::<Bargain>(bench.entity(peer));
        bargain.map_or(Bargain::PRICE_START_BYTES_PER_SEC, |bargain| {
            bargain.price_bytes_per_sec
        })
    };
    let mut held = [0; 4];
    for round in 0..60 {
        let mut spent = 0;
        for (at, &peer) in peers.iter().enumerate() {
            let paid = if bench.unchoked(peer) {
                price(&bench, peer)
            } else {
                0
            };
            spent += paid;
            held[at] += u32::from(paid > 0 && round >= 30);
            let gives = paid >= asked[at];
            let entity = bench.entity(peer);
            let mut row = bench.world.entity_mut(entity);
            row.insert(PeerChoking(!gives));
            let came = if gives { 200_000 } else { 0 };
            bench.traffic(peer, |traffic, now| {
                traffic.up.add(now, paid * 10);
                traffic.down.add(now, came);
            });
        }
        assert!(spent <= LIMIT, "{spent} in round {round}");
        bench.wait(10);
        assert_eq!(bench.round().optimistic, None);
    }
    assert!(held[0] >= 25 && held[1] >= 25, "{held:?}");
    assert!(held[2] <= 5 && held[3] <= 15, "{held:?}");
    // When there is nothing more to buy, peers are served as by anybody.
    bench
        .world
        .entity_mut(bench.torrent)
        .insert(Lifecycle::Seeding);
    bench.wait(10);
    assert_eq!(bench.count_unchoked(&peers), 4);
}
