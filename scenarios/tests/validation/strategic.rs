//! Piatek et al. (2007), BitTyrant: what a client gains that gives to those who give most for it, and what
//! all lose if all do.

use dunlin_scenarios::arrivals::population;
use dunlin_scenarios::run::Observer;
use dunlin_scenarios::summary::{Summary, statistics};
use dunlin_systems::Relation;

use super::{load, observe, simulate};

/// When the seed of `tyrant-1` is gone, microseconds.
const ALONE_US: u64 = 100_000_000;

/// What a node has received from the peers that it has: when the seed went, and at the last row.
struct Received {
    node: u32,
    early: u64,
    late: u64,
}

impl Observer for Received {
    fn sample(&mut self, at_us: u64, relations: &[Relation]) {
        let own = relations.iter().filter(|end| end.node.0 == self.node);
        self.late = own
            .filter(|end| !end.other_is_complete)
            .map(|end| end.down_bytes)
            .sum();
        if at_us <= ALONE_US {
            self.early = self.late;
        }
    }
}

/// What the strategic client of `tyrant-1` downloads after the seed is gone, and what it gave in all,
/// bytes. One in a run: what a few buy of the fastest, they buy from each other.
fn traded(seed: u64, strategy: &str) -> [f64; 2] {
    let strategy = format!("classes.tyrant.strategy={strategy}");
    let seed = format!("rng_seed={seed}");
    let overrides = [seed.as_str(), &strategy];
    let scenario = load("tyrant-1.ron", &overrides);
    let mut nodes = population(&scenario).into_iter();
    let tyrant = nodes.find(|plan| scenario.classes[usize::from(plan.class)].name == "tyrant");
    let mut received = Received {
        node: tyrant.expect("it comes").node,
        early: 0,
        late: 0,
    };
    let (_, record) = observe("tyrant-1.ron", &overrides, &mut received);
    let mut done = record
        .nodes
        .iter()
        .filter(|node| node.completed_us.is_some());
    assert!(done.next().is_none(), "all download to the end of the run");
    let up_bytes = record.nodes[received.node as usize].up_bytes;
    [(received.late - received.early) as f64, up_bytes as f64]
}

/// The paper has 1.7 times as much in the median; what comes out here, and why, is in the crate's docs. What is
/// asserted is what the rules are for: more comes, and less is given for it. Single runs differ by a factor of
/// two, so three of them show nothing.
#[test]
fn who_gives_to_those_who_give_most_for_it_gains() {
    let mut downloads = Vec::new();
    let mut yields = Vec::new();
    for seed in 1..=7 {
        // The same client in the same swarm: slots of mainline for 125 KiB/s, and BitTyrant.
        let [even, even_gave] = traded(seed, "(slots: Fixed(8))");
        let buys = "(slots: Fixed(200), leech_choke: BitTyrant)";
        let [bought, gave] = traded(seed, buys);
        downloads.push(bought / even);
        yields.push(bought / gave / (even / even_gave));
    }
    println!("{downloads:.2?} times as much, {yields:.2?} times for a byte");
    for of in [&mut downloads, &mut yields] {
        of.sort_by(f64::total_cmp);
    }
    let median = |of: &[f64]| statistics::median(of).expect("one for each seed");
    assert!(median(&downloads) > 1.0, "{downloads:?}");
    assert!(median(&yields) >= 1.1, "{yields:?}");
}

/// Slots of mainline for the classes of `tyrant-all-selfish`.
const MAINLINE_SLOTS: [u32; 10] = [2, 3, 4, 4, 5, 5, 6, 8, 10, 17];

#[test]
fn all_lose_where_everybody_is_selfish() {
    let mean = |overrides: &[String]| {
        let overrides: Vec<&str> = overrides.iter().map(String::as_str).collect();
        let (scenario, record) = simulate("tyrant-all-selfish.ron", &overrides);
        let times = Summary::new(&record, &scenario).times;
        assert_eq!(times.completed, times.leechers);
        times.mean.expect("all are complete")
    };
    let even = |(class, slots): (usize, &u32)| {
        format!("classes.d{class}.strategy=(slots: Fixed({slots}))")
    };
    let even: Vec<String> = MAINLINE_SLOTS.iter().enumerate().map(even).collect();
    let (selfish, even) = (mean(&[]), mean(&even));
    println!("a mean of {selfish:.0} s, {even:.0} s where all share evenly");
    assert!(selfish >= 1.05 * even, "{selfish} s, {even} s");
}
