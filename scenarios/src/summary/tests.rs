//! A run small enough to sum up by hand.

use super::*;
use crate::outcome::SeriesRow;
use crate::schema::{Completion, Expectation, Micros, Permille, Span, Yardstick};

const SECOND: u64 = 1_000_000;

/// One seed and four leechers of 1 MiB: done after 10, 20 and 40 s, one gone.
pub(crate) fn record() -> (RunRecord, Scenario) {
    let mut scenario = crate::schema::tests::scenario();
    scenario.classes[1].count = 4;
    let leecher = |node: u32, arrived: u64, completed: Option<u64>| NodeOutcome {
        node,
        class: 1,
        arrived_us: arrived * SECOND,
        first_piece_us: completed.map(|at| at * SECOND / 4),
        half_us: completed.map(|at| at * SECOND / 2),
        completed_us: completed.map(|at| at * SECOND),
        down_bytes: 1_100_000,
        up_bytes: 550_000 * u64::from(node),
        wasted_bytes: 11_000,
        down_from_class: vec![600_000, 500_000],
        control_bytes_up: 5_500 * u64::from(node),
        ..NodeOutcome::default()
    };
    let mut nodes = vec![
        NodeOutcome {
            up_bytes: 4_400_000,
            down_from_class: vec![0, 0],
            ..NodeOutcome::default()
        },
        leecher(1, 0, Some(10)),
        leecher(2, 2, Some(22)),
        leecher(3, 5, Some(45)),
        leecher(4, 5, None),
    ];
    nodes[4].left_us = Some(30 * SECOND);
    nodes[4].crashed = true;
    let row = |at: u64, up_bytes| SeriesRow {
        at_us: at * SECOND,
        leechers: 3,
        seeds: 1,
        up_bytes,
        connections: 12,
        seed_up_bytes: up_bytes / 2,
        up_capacity_bytes: 1000,
        down_bytes: up_bytes,
        rarest_copies: 1,
        mean_copies_milli: 2500,
        most_copies: 4,
    };
    let record = RunRecord {
        scenario: scenario.to_ron(),
        name: scenario.name.clone(),
        seed: 1,
        digest: 0xabc,
        ticks: 500,
        virtual_us: 50 * SECOND,
        nodes,
        series: vec![row(1, 100), row(20, 900), row(40, 700), row(50, 0)],
        classes: vec!["seed".to_owned(), "leech".to_owned()],
        unchoke_us: vec![vec![0, 5 * SECOND], vec![0, 8 * SECOND]],
        bound_us: Some(20 * SECOND),
    };
    (record, scenario)
}

fn near(found: Option<f64>, expected: f64) {
    let found = found.expect("a number");
    assert!(
        (found - expected).abs() < 1e-9,
        "{found}, expected {expected}"
    );
}

#[test]
fn a_run_in_a_few_numbers() {
    let (record, scenario) = record();
    let summary = Summary::new(&record, &scenario);
    assert_eq!(
        (
            summary.nodes,
            summary.times.leechers,
            summary.times.completed,
            summary.times.gone
        ),
        (5, 4, 3, 1)
    );
    near(summary.times.mean, 70.0 / 3.0);
    near(summary.times.median, 20.0);
    near(summary.times.p95, 40.0);
    near(summary.times.last, 45.0);
    near(summary.utilisation, 0.425);
    // From 2.25 s to 40.5 s: most of the second row, the third, a twentieth of the last.
    let busy = (900.0 * 17.75 / 19.0 + 700.0) / (1000.0 * (17.75 / 19.0 + 1.05));
    near(summary.utilisation_busy, busy);
    // Three in four are nine in ten of four: until 45 s, half of the last row.
    near(summary.utilisation_most, 1700.0 / 3500.0);
    near(summary.bound_s, 20.0);
    // Rates as 4 : 2 : 1, share ratios as 1 : 2 : 3 : 4.
    near(summary.jain_rates, 49.0 / (3.0 * 21.0));
    near(summary.jain_share_ratios, 100.0 / (4.0 * 30.0));
    near(summary.wasted, 0.01);
    near(summary.classes[1].share_ratio, 1.25);
    assert_eq!(summary.classes[0].share_ratio, None);
    assert_eq!(summary.classes[0].times.mean, None);
    assert_eq!(summary.unchoke_s, [[0.0, 5.0], [0.0, 8.0]]);
}

#[test]
fn json_has_the_promised_names_and_reads_back() {
    let (record, scenario) = record();
    let summary = Summary::new(&record, &scenario);
    let json = summary.to_json(Some(1.5));
    for name in [
        "digest",
        "seed",
        "virtual_s",
        "wall_s",
        "nodes",
        "completed",
        "mean",
        "median",
        "p95",
        "last",
        "bound_s",
        "utilisation",
    ] {
        assert!(!json[name].is_null(), "{name} in {json}");
    }
    assert_eq!(json["classes"][1]["name"], "leech");
    assert_eq!(json["classes"][1]["median"], 20.0);
    let plain = summary.to_json(None);
    assert!(plain.get("wall_s").is_none());
    assert_eq!(serde_json::from_value::<Summary>(plain).unwrap(), summary);
}

#[test]
fn expectations_are_judged() {
    let (record, mut scenario) = record();
    let ratio = |of, to, max| Expectation::Ratio {
        of,
        class: Some("leech".to_owned()),
        to,
        min: Permille(1000),
        max: Permille(max),
    };
    scenario.expect = vec![
        Expectation::AllComplete,
        ratio(Completion::Mean, Yardstick::KumarRoss, 1200),
        ratio(Completion::Last, Yardstick::KumarRoss, 2000),
        ratio(Completion::P95, Yardstick::Time(Micros(40_000_000)), 1000),
        Expectation::Utilisation {
            min: Permille(750),
            max: Permille(800),
        },
        Expectation::ShareRatio {
            class: "seed".to_owned(),
            min: Permille(0),
            max: Permille(9000),
        },
        Expectation::Waste { max: Permille(9) },
        Expectation::Leechers {
            from: Micros(0),
            min: 3,
            max: 3,
        },
        // Those complete after 10 s, 20 s and 40 s.
        Expectation::DownloadTime {
            from: Micros(20_000_000),
            min: Micros(30_000_000),
            max: Micros(30_000_000),
        },
        Expectation::DownloadTime {
            from: Micros(46_000_000),
            min: Micros(1),
            max: Micros(99_000_000),
        },
        Expectation::SeedCopies {
            min: Permille(0),
            max: Permille(1000),
        },
        Expectation::UnchokeShare {
            by: "seed".to_owned(),
            of: "leech".to_owned(),
            min: Permille(1000),
            max: Permille(1000),
        },
    ];
    let verdicts = Summary::new(&record, &scenario).verdicts(&record, &scenario);
    let met: Vec<bool> = verdicts.iter().map(|verdict| verdict.met).collect();
    assert_eq!(
        met,
        [
            true, true, false, true, true, false, false, true, true, false, true, true
        ],
        "{verdicts:#?}"
    );
    assert_eq!(
        verdicts[2].text,
        "Last completion of leech over the Kumar-Ross bound is 2.250, expected 1 to 2"
    );
}

#[test]
fn where_nobody_is_complete_not_all_are() {
    let (mut record, mut scenario) = record();
    scenario.expect = vec![Expectation::AllComplete];
    let judged = |record: &RunRecord| {
        let all = Summary::new(record, &scenario).verdicts(record, &scenario);
        (all[0].met, all[0].text.clone())
    };
    let said = "3 of 4 leechers complete, gone before: 1 of leech crashed";
    assert_eq!(judged(&record), (true, said.to_owned()));
    for node in &mut record.nodes[2..4] {
        node.completed_us = None;
        node.left_us = Some(9 * SECOND);
    }
    let said = "1 of 4 leechers complete, gone before: 1 of leech crashed, 2 of leech left";
    assert_eq!(judged(&record), (true, said.to_owned()));
    record.nodes[3].left_us = None;
    assert!(!judged(&record).0, "it is there and not complete");
    record.nodes[3].left_us = Some(9 * SECOND);
    record.nodes[1].completed_us = None;
    record.nodes[1].left_us = Some(9 * SECOND);
    assert!(!judged(&record).0, "all are gone");
    record.nodes.truncate(1);
    let said = "0 of 0 leechers complete";
    assert_eq!(judged(&record), (false, said.to_owned()), "none came");
}

/// Of leechers that give up after 20 s in the mean, those who take 20 s are one of `e` that began, those who
/// take 40 s one of `e^2`: so 2 of `e + e^2`, of whom 2 of 3 were found.
#[test]
fn who_finishes_is_compared_with_whom_giving_up_leaves() {
    let (record, mut scenario) = record();
    scenario.classes[1].abort = Some(Span::Exponential {
        mean: Micros(20 * SECOND),
    });
    let judged = |scenario: &Scenario, min: u64, max: u64, from: u64| {
        let mut scenario = scenario.clone();
        scenario.expect = vec![Expectation::Finished {
            class: "leech".to_owned(),
            from: Micros(from * SECOND),
            min: Permille(min),
            max: Permille(max),
        }];
        Summary::new(&record, &scenario).verdicts(&record, &scenario)[0].met
    };
    let e = core::f64::consts::E;
    let ratio = (1000.0 * (2.0 / 3.0) * (e + e * e) / 2.0) as u64;
    assert!(judged(&scenario, ratio, ratio + 1, 20));
    assert!(!judged(&scenario, ratio + 1, 9000, 20));
    assert!(!judged(&scenario, 0, 9000, 46), "nobody ended");
    scenario.classes[1].abort = None;
    assert!(!judged(&scenario, 0, 9000, 20), "nobody gives up");
}
