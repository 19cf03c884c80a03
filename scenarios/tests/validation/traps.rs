//! What throw-away models of swarms got wrong. The same rules within one engine: partial pieces survive a
//! choke (`receive/tests/answers.rs`), what is asked of one peer is not rare for another
//! (`pick/tests/order.rs`), a seed's slots are held for a quota and a minute (`choke/tests/rounds.rs`).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use dunlin_scenarios::outcome::{NodeOutcome, RunRecord};
use dunlin_scenarios::run::{Observer, run_observed};
use dunlin_scenarios::schema::{Micros, Scenario, Stop};
use dunlin_systems::Relation;

use super::{run, simulate};

fn parse(classes: &str) -> Scenario {
    let text = format!(
        r#"(
            name: "trap",
            about: "What models got wrong.",
            content: (size: "4MiB", piece: "64KiB"),
            rtt: Uniform("50ms"),
            classes: [{classes}],
            at_most: "25m",
        )"#
    );
    Scenario::parse("trap.ron", &text, &[]).unwrap_or_else(|error| panic!("{error}"))
}

/// Leechers that became complete.
fn completed(record: &RunRecord) -> usize {
    let complete = |node: &&NodeOutcome| node.completed_us.is_some();
    record.nodes.iter().filter(complete).count()
}

/// Who loses all neighbours finds others, long before the tracker wants to hear of it again. They can
/// neither be called nor call each other.
#[test]
fn who_is_left_alone_finds_others() {
    let record = run(&parse(
        r#"
        (name: "first", role: Seed, count: 1, up: "100kbit", down: "1Mbit", stay: SeedFor(Fixed("30s"))),
        (name: "second", role: Seed, count: 1, up: "1Mbit", down: "1Mbit", arrival: At("40s")),
        (name: "home", role: Leech, count: 4, up: "1Mbit", down: "4Mbit", nat: true),
        "#,
    ));
    assert_eq!(completed(&record), 4, "{:#?}", record.nodes);
}

/// Leechers with as many neighbours as they may have, all of the same pieces, look for others: the seed has
/// the rest, and nobody of them knows it. Those who stay, and those who take their pieces along.
#[test]
fn who_knows_only_its_like_finds_others() {
    for (connections, stay) in [(4, "Forever"), (9, "LeaveOnComplete")] {
        let (connections, stay) = (
            format!("strategy.connections={connections}"),
            format!("classes.leech.stay={stay}"),
        );
        let overrides = ["expect=[]", "classes.leech.count=40", &connections, &stay];
        let (_, record) = simulate("minimal.ron", &overrides);
        assert_eq!(completed(&record), 40, "{connections}, {stay}");
        // The tracker is asked again after half an hour.
        let ends = record.nodes.iter().filter_map(|node| node.completed_us);
        let last_secs = ends.max().map(|us| us / 1_000_000);
        assert!(
            last_secs < Some(600),
            "{connections}, {stay}: {last_secs:?} s"
        );
    }
}

/// A seed and two leechers, some behind NAT. A seed that has to call comes when there is whom to.
fn behind_nat([seed, leechers]: [bool; 2]) -> RunRecord {
    let arrives = if seed { 5 } else { 0 };
    run(&parse(&format!(
        r#"
        (name: "seed", role: Seed, count: 1, up: "1Mbit", down: "1Mbit", nat: {seed}, arrival: At("{arrives}s")),
        (name: "leech", role: Leech, count: 2, up: "1Mbit", down: "4Mbit", nat: {leechers}),
        "#
    )))
}

#[test]
fn who_is_behind_nat_calls_but_is_not_called() {
    let leechers = behind_nat([false, true]);
    assert_eq!(completed(&leechers), 2);
    let among_them = leechers.nodes.iter().map(|node| node.down_from_class[1]);
    assert_eq!(among_them.sum::<u64>(), 0, "they do not reach each other");
    let seed = behind_nat([true, false]);
    assert_eq!(completed(&seed), 2, "it calls");
    let all = behind_nat([true, true]);
    let sent: u64 = all.nodes.iter().map(|node| node.up_bytes).sum();
    assert_eq!((completed(&all), sent), (0, 0), "nobody is reached");
}

/// A leecher that holds a slot of the seed: since when and from how many bytes on, and whether by luck now.
#[derive(Clone, Copy)]
struct Slot {
    since_us: u64,
    from_bytes: u64,
    by_luck: bool,
}

/// Slots of the seed, which is node 0, and what the holders of regular ones had when they lost them:
/// microseconds and bytes.
#[derive(Default)]
struct Slots {
    held: BTreeMap<SocketAddr, Slot>,
    lost: Vec<(u64, u64)>,
}

impl Observer for Slots {
    fn sample(&mut self, at_us: u64, relations: &[Relation]) {
        for end in relations.iter().filter(|end| end.node.0 == 0) {
            if end.unchokes {
                let slot = self.held.entry(end.addr).or_insert(Slot {
                    since_us: at_us,
                    from_bytes: end.up_bytes,
                    by_luck: false,
                });
                slot.by_luck = end.by_luck;
            } else if let Some(slot) = self.held.remove(&end.addr)
                && !slot.by_luck
            {
                let had = (at_us - slot.since_us, end.up_bytes - slot.from_bytes);
                self.lost.push(had);
            }
        }
    }
}

/// A seed that gives its slots to others in the middle of pieces has sent many copies of the content
/// before anybody is complete.
#[test]
fn a_seed_keeps_its_slots_for_a_quota_and_a_minute() {
    let mut slots = Slots::default();
    let mut scenario = parse(
        r#"
        (name: "seed", role: Seed, count: 1, up: "500kbit", down: "1Mbit", strategy: (slots: Fixed(5))),
        (name: "leech", role: Leech, count: 20, up: "200kbit", down: "4Mbit"),
        "#,
    );
    scenario.content.size.0 *= 4;
    scenario.stop = Stop::At(Micros(400_000_000));
    scenario.record.series_every.0 = 1_000_000;
    run_observed(&scenario, &mut slots).expect("nobody stops it");
    println!("{:?}", slots.lost);
    assert!(slots.lost.len() >= 4, "{:?}", slots.lost);
    // A row is as much as a second late, and a block may have been under way.
    for (micros, bytes) in slots.lost {
        assert!(
            micros >= 59_000_000 && bytes >= 20 * 65_536 - 65_536,
            "{micros} us, {bytes} bytes"
        );
    }
}
