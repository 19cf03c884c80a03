//! Legout et al. (2006, 2007): rarest first and tit for tat.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use dunlin_net::sim::node_of;
use dunlin_scenarios::arrivals::population;
use dunlin_scenarios::outcome::RunRecord;
use dunlin_scenarios::run::Observer;
use dunlin_scenarios::schema::Scenario;
use dunlin_scenarios::summary::{Summary, statistics};
use dunlin_systems::Relation;

use super::pieces::Pieces;
use super::{load, observe};

/// A connection of a leecher to another one.
fn is_between_leechers(relation: &Relation) -> bool {
    relation.downloads && !relation.other_is_complete
}

fn other(relation: &Relation) -> u32 {
    node_of(relation.addr.ip()).expect("a simulated node").0
}

/// Regular unchokes between leechers by class, counted at each row of the time series.
#[derive(Default)]
struct Unchokes {
    class_of: Vec<u16>,
    counts: BTreeMap<(u16, u16), u32>,
}

impl Observer for Unchokes {
    fn sample(&mut self, _: u64, relations: &[Relation]) {
        let regular = relations
            .iter()
            .filter(|relation| is_between_leechers(relation))
            .filter(|relation| relation.unchokes && !relation.by_luck);
        for relation in regular {
            let ends = [relation.node.0, other(relation)];
            let [by, of] = ends.map(|node| self.class_of[node as usize]);
            *self.counts.entry((by, of)).or_default() += 1;
        }
    }
}

impl Unchokes {
    /// Of the regular unchokes by a class, the share of another.
    fn share(&self, scenario: &Scenario, by: &str, of: &str) -> f64 {
        let place = |name| {
            let place = scenario.classes.iter().position(|class| class.name == name);
            place.expect("a class") as u16
        };
        let all = self
            .counts
            .iter()
            .filter(|((giver, _), _)| *giver == place(by));
        let all: u32 = all.map(|(_, count)| count).sum();
        let some = self.counts.get(&(place(by), place(of))).unwrap_or(&0);
        f64::from(*some) / f64::from(all)
    }
}

/// The unchokes of runs of `bandwidth-classes` with seeds 1 to 3, and their records.
fn classes(overrides: &[&str]) -> (Scenario, Unchokes, Vec<RunRecord>) {
    let mut unchokes = Unchokes::default();
    let mut records = Vec::new();
    for seed in ["rng_seed=1", "rng_seed=2", "rng_seed=3"] {
        let overrides = [overrides, &[seed]].concat();
        let nodes = population(&load("bandwidth-classes.ron", &overrides));
        unchokes.class_of = nodes.iter().map(|plan| plan.class).collect();
        let (_, record) = observe("bandwidth-classes.ron", &overrides, &mut unchokes);
        records.push(record);
    }
    (load("bandwidth-classes.ron", overrides), unchokes, records)
}

fn mean_times(scenario: &Scenario, record: &RunRecord) -> Vec<f64> {
    let summary = Summary::new(record, scenario);
    let verdicts = summary.verdicts(record, scenario);
    assert!(verdicts.iter().all(|verdict| verdict.met), "{verdicts:#?}");
    summary
        .classes
        .iter()
        .filter_map(|class| class.times.mean)
        .collect()
}

/// Clustering (2007): regular unchokes of the fast go to the fast; at random it would be 0.31.
#[test]
fn like_finds_like_behind_a_well_provisioned_seed() {
    let (scenario, unchokes, records) = classes(&[]);
    let share = |by, of| unchokes.share(&scenario, by, of);
    assert!(share("fast", "fast") >= 0.55, "{}", share("fast", "fast"));
    assert!(share("slow", "fast") <= 0.25, "{}", share("slow", "fast"));
    for record in &records {
        let times = mean_times(&scenario, record);
        assert!(
            times.is_sorted_by(|slower, faster| slower > faster),
            "{times:?}"
        );
    }
}

/// A seed that cannot keep up with the fast leaves them nothing to trade.
#[test]
fn nothing_clusters_behind_an_underprovisioned_seed() {
    let slow = ["classes.seed.up=800kbit", "expect=[AllComplete]"];
    let (scenario, unchokes, records) = classes(&slow);
    for class in ["slow", "medium", "fast"] {
        let share = unchokes.share(&scenario, class, "fast");
        assert!((0.19..=0.43).contains(&share), "{class}: {share}");
    }
    for record in &records {
        let times = mean_times(&scenario, record);
        // The slow keep what they alone have to themselves: they may be later, the others are not.
        let [slow, medium, fast] = times[..] else {
            panic!("three classes: {times:?}")
        };
        assert!((medium / fast - 1.0).abs() <= 0.1, "{times:?}");
        assert!(slow >= fast * 0.9, "{times:?}");
    }
}

/// What one run shows of rarest first and of tit for tat.
pub(super) struct Swarm {
    /// Connections between leechers at each row: how many, and of how many the near end is
    /// interested.
    interest: Vec<(u64, usize, usize)>,
    /// Bytes that went and came between leechers at this instant, by node: as long as nobody is
    /// complete.
    traded: Vec<Vec<(f64, f64)>>,
    /// When pieces came.
    pieces: Pieces,
}

impl Observer for Swarm {
    fn piece_done(&mut self, at_us: u64, node: u32) {
        self.pieces.piece_done(at_us, node);
    }

    fn sample(&mut self, at_us: u64, relations: &[Relation]) {
        let pairs: Vec<_> = relations
            .iter()
            .filter(|relation| is_between_leechers(relation))
            .collect();
        let interested = pairs.iter().filter(|pair| pair.interested).count();
        self.interest.push((at_us, pairs.len(), interested));
        // The seed alone is complete.
        if relations
            .iter()
            .filter(|relation| !relation.downloads)
            .all(|end| end.node.0 == 0)
        {
            self.traded.iter_mut().for_each(Vec::clear);
            for pair in pairs {
                let bytes = (pair.up_bytes as f64, pair.down_bytes as f64);
                self.traded[pair.node.0 as usize].push(bytes);
            }
        }
    }
}

/// A swarm whose seed is much faster than its leechers, run once for all tests.
pub(super) fn upload_bound() -> &'static (Scenario, RunRecord, Swarm) {
    static RUN: OnceLock<(Scenario, RunRecord, Swarm)> = OnceLock::new();
    RUN.get_or_init(|| {
        let mut seen = Swarm {
            interest: Vec::new(),
            traded: vec![Vec::new(); 101],
            pieces: Pieces::default(),
        };
        let rows = ["record.series_every=1s"];
        let (scenario, record) = observe("kr-upload-bound.ron", &rows, &mut seen);
        (scenario, record, seen)
    })
}

/// Piece diversity (2006).
#[test]
fn rarest_first_keeps_pieces_diverse() {
    let (scenario, record, seen) = upload_bound();
    let seed = &scenario.classes[0];
    let once_us = scenario.content.size.0 * 1_000_000 / seed.up.0;
    // The transient state ends when no piece is at the seed alone.
    let end = record.series.iter().find(|row| row.rarest_copies >= 2);
    let end_us = end.expect("it ends").at_us;
    assert!(
        (once_us..=2 * once_us).contains(&end_us),
        "{end_us}, F/us is {once_us}"
    );
    let first_us = record
        .nodes
        .iter()
        .filter_map(|node| node.completed_us)
        .min();
    let first_us = first_us.expect("somebody is complete");
    let steady = |at_us: u64| at_us > end_us && at_us < first_us;
    for pair in record
        .series
        .windows(2)
        .filter(|pair| steady(pair[0].at_us))
    {
        assert!(pair[1].rarest_copies >= pair[0].rarest_copies, "{pair:?}");
    }
    let interest = seen.interest.iter().filter(|(at_us, ..)| steady(*at_us));
    let (pairs, interested) = interest.fold((0, 0), |sum, row| (sum.0 + row.1, sum.1 + row.2));
    let ratio = interested as f64 / pairs as f64;
    println!("interested in {ratio} of all");
    let kinds: Vec<f64> = seen
        .traded
        .iter()
        .filter_map(|pairs| statistics::spearman(pairs))
        .collect();
    let rank = statistics::mean(&kinds).expect("leechers traded");
    println!("given and got correlate by {rank}");
    let [[_, all], [median, last]] = seen.pieces.gaps(scenario.pieces() as usize);
    println!("gaps: {all} s, of the last hundred {median} s and {last} s");
    assert!(last <= 1.5 * all, "{last} s, of all {all} s");
    assert!(ratio >= 0.9, "{ratio}");
    assert!(rank >= 0.6, "{rank}");
}
