//! Whole runs of the engine in simulated surroundings.

use dunlin_scenarios::outcome::{NodeOutcome, RunRecord};
use dunlin_scenarios::schema::{Behaviour, Role, Scenario};
use dunlin_scenarios::summary::Summary;

use super::{load, meets, run, simulate};

/// What holds in every run: payload that was received was sent, nobody is faster than its line, and
/// a closed swarm is not faster than the bound.
fn check(scenario: &Scenario, record: &RunRecord) {
    let sum = |count: fn(&NodeOutcome) -> u64| -> u64 { record.nodes.iter().map(count).sum() };
    let (sent, received) = (sum(|node| node.up_bytes), sum(|node| node.down_bytes));
    assert!(received <= sent, "{received} of {sent} bytes came");
    for node in &record.nodes {
        let class = &scenario.classes[usize::from(node.class)];
        let until = node.left_us.unwrap_or(record.virtual_us);
        let secs = u128::from(until - node.arrived_us + 1_000_000) / 1_000_000 + 1;
        let up = u128::from(node.up_bytes + node.control_bytes_up);
        assert!(up <= secs * u128::from(class.up.0), "uplink of {node:?}");
        let up = u128::from(node.up_bytes);
        assert!(
            up <= secs * u128::from(class.up_bytes_per_sec()),
            "upload of {node:?}"
        );
        let down = u128::from(node.down_bytes);
        assert!(
            down <= secs * u128::from(class.down_bytes_per_sec()),
            "download of {node:?}"
        );
    }
    let last = record
        .nodes
        .iter()
        .filter_map(|node| node.completed_us)
        .max();
    if let (Some(last), Some(bound)) = (last, record.bound_us) {
        assert!(
            last >= bound,
            "complete after {last} us, the bound is {bound} us"
        );
    }
}

#[test]
fn a_run_repeats_bit_for_bit_and_another_seed_is_another_run() {
    let mut scenario = load("minimal.ron", &[]);
    let first = run(&scenario);
    check(&scenario, &first);
    let leechers = first.nodes.iter().filter(|node| node.half_us.is_some());
    assert!(leechers.clone().count() > 0);
    assert!(leechers.clone().all(|node| node.completed_us.is_some()));
    assert!(first == run(&scenario));
    scenario.rng_seed += 1;
    assert!(first.digest != run(&scenario).digest);
}

/// A client's limits hold on lines that are no limit, whatever carries the bytes, and are as good as used up.
#[test]
fn a_client_keeps_to_its_own_limits() {
    let fast = [
        "classes.seed.up=1Gbit",
        "classes.seed.up_limit=2Mbit",
        "classes.leech.up=1Gbit",
        "classes.leech.up_limit=1Mbit",
        "classes.leech.down=1Gbit",
        "classes.leech.down_limit=4Mbit",
        "classes.seed.buffer=100ms",
        "classes.leech.buffer=100ms",
    ];
    for model in ["Flow", "Packet"] {
        let model = format!("model={model}(tick: \"10ms\")");
        let overrides: Vec<&str> = fast.iter().copied().chain([&*model]).collect();
        let scenario = load("minimal.ron", &overrides);
        let record = run(&scenario);
        check(&scenario, &record);
        let completed = record.nodes.iter().filter_map(|node| node.completed_us);
        let (last, bound) = (completed.max(), record.bound_us);
        // 4 MiB for four at 2 and 4 Mbit/s; lines alone would let it end at once.
        assert_eq!(bound, Some(4 * (4 << 20) * 1_000_000 / 750_000), "{model}");
        assert!(
            last.zip(bound)
                .is_some_and(|(last, bound)| last < bound * 5 / 4),
            "{model}: {last:?} us"
        );
    }
}

/// Lines carry no more than they can, whoever comes and leaves between two rows, and their use is no
/// matter of how many rows there are.
#[test]
fn use_of_uplinks_is_at_most_all_and_does_not_depend_on_the_rows() {
    let used = |every: &str| {
        let every = format!("record.series_every={every}");
        let small = [
            "classes.fast.count=20",
            "classes.slow.count=20",
            "content.size=16MiB",
            "expect=[]",
            &every,
        ];
        let (scenario, record) = simulate("mb-two-class.ron", &small);
        // A block is sent when its last byte is, so each node may have begun one in the row before.
        let begun = record.nodes.len() as u64 * u64::from(dunlin_base::BLOCK_BYTES);
        for row in &record.series {
            assert!(row.up_bytes <= row.up_capacity_bytes + begun, "{row:?}");
        }
        let summary = Summary::new(&record, &scenario);
        summary.utilisation_busy.expect("they send")
    };
    let (fine, coarse) = (used("1s"), used("30s"));
    println!("{fine:.3} of the uplinks used by rows of 1 s, {coarse:.3} by rows of 30 s");
    assert!((fine - coarse).abs() <= 0.02, "{fine} {coarse}");
}

#[test]
fn poisoners_are_found_and_the_swarm_completes() {
    let (scenario, record) = simulate("poisoners.ron", &["content.size=8MiB"]);
    check(&scenario, &record);
    let honest = record.nodes.iter().filter(|node| {
        let class = &scenario.classes[usize::from(node.class)];
        class.behaviour == Behaviour::Honest
    });
    assert!(honest.clone().any(|node| node.wasted_bytes > 0));
    assert!(
        honest
            .filter(|node| node.half_us.is_some())
            .all(|node| node.completed_us.is_some())
    );
}

#[test]
fn free_riders_give_nothing() {
    let (scenario, record) = simulate("free-riders.ron", &["content.size=8MiB"]);
    check(&scenario, &record);
    for node in &record.nodes {
        let class = &scenario.classes[usize::from(node.class)];
        if class.behaviour == Behaviour::FreeRider {
            assert_eq!(node.up_bytes, 0, "{node:?}");
        }
    }
}

/// Whoever plays stalls where lines carry less than is played, and hardly where they carry twice that.
#[test]
fn viewers_stall_for_want_of_capacity_alone() {
    meets("streaming.ron");
    let few = "classes.viewer.up=100kbit";
    let (scenario, record) = simulate("streaming.ron", &[few]);
    let verdicts = Summary::new(&record, &scenario).verdicts(&record, &scenario);
    let met: Vec<bool> = verdicts.iter().map(|verdict| verdict.met).collect();
    assert_eq!(met, [true, false], "{verdicts:#?}");
}

/// Nodes come and go, give up and crash; the others complete.
#[test]
fn churn_leaves_nobody_behind() {
    let (scenario, record) = simulate("churn.ron", &["content.size=8MiB"]);
    check(&scenario, &record);
    let leechers = record.nodes.iter().filter(|node| {
        let class = &scenario.classes[usize::from(node.class)];
        class.role == Role::Leech
    });
    let leechers: Vec<&NodeOutcome> = leechers.collect();
    let before = |node: &&&NodeOutcome| node.completed_us.is_none() && node.left_us.is_some();
    let gone: Vec<&&NodeOutcome> = leechers.iter().filter(before).collect();
    let crashed = gone.iter().filter(|node| node.crashed).count();
    assert!(crashed > 0 && crashed < gone.len(), "{gone:#?}");
    let completed = leechers.iter().filter(|node| node.completed_us.is_some());
    let (completed, all) = (completed.count(), leechers.len());
    println!(
        "{completed} of {all} complete, {} gone before, {crashed} of them crashed",
        gone.len()
    );
    assert_eq!(completed + gone.len(), all, "somebody is left behind");
    // With less to download few give up, are struck or crash before they are complete.
    assert!(completed * 5 >= all * 4, "{completed} of {all}");
}
