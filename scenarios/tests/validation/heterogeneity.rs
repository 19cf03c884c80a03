//! Bharambe, Herley and Padmanabhan (2006): use of uplinks, seeds, picking, neighbours, classes.

use std::collections::BTreeMap;
use std::sync::Mutex;

use dunlin_scenarios::summary::Summary;

use super::simulate;

/// What uplinks carried in `mb-util` with these overrides, until nine in ten leechers were done, as a share of
/// what they could. Each is run once, whoever asks.
fn used(overrides: &[&str]) -> f64 {
    static FOUND: Mutex<BTreeMap<String, f64>> = Mutex::new(BTreeMap::new());
    let mut known = FOUND.lock().expect("no run fails");
    let found = known.entry(overrides.join(" ")).or_insert_with(|| {
        let overrides = [&["expect=[]"], overrides].concat();
        let (scenario, record) = simulate("mb-util.ron", &overrides);
        let summary = Summary::new(&record, &scenario);
        assert_eq!(summary.times.completed, summary.times.leechers);
        summary.utilisation_most.expect("all are complete")
    });
    println!("{}: {found:.3} used", overrides.join(" "));
    *found
}

/// What ramp-up leaves of it: `1 - 1.5 k log(N) / log(1 + k) / K` with five slots.
fn law(leechers: f64, pieces: f64) -> f64 {
    1.0 - 1.5 * 5.0 * leechers.ln() / 6.0_f64.ln() / pieces
}

fn uplinks_are_used(leechers: u32, pieces: u32) {
    let count = format!("classes.leech.count={leechers}");
    let size = format!("content.size={}KiB", pieces * 256);
    // As the runs with other seeds have it, when the content is theirs.
    let found = match pieces {
        200 => used(&[&count, "classes.seed.up=6Mbit"]),
        _ => used(&[&count, "classes.seed.up=6Mbit", &size]),
    };
    let expected = law(leechers.into(), pieces.into());
    assert!(found >= expected - 0.05, "{found}, the law says {expected}");
    assert!(found <= 1.0, "{found}");
}

#[test]
fn uplinks_are_used_whatever_the_size_of_the_swarm() {
    uplinks_are_used(50, 200);
    uplinks_are_used(100, 200);
}

/// What is lost while a swarm gets going is lost once, whatever the content: more pieces lose less. How
/// much less differs from the law, see the crate's docs.
#[test]
fn ramp_up_costs_less_of_more_pieces() {
    let with = |pieces: u32| {
        let size = format!("content.size={}KiB", pieces * 256);
        used(&["classes.leech.count=60", "classes.seed.up=6Mbit", &size])
    };
    let (few, many) = (with(150), with(300));
    assert!(few < many, "{few} {many}");
}

/// Uplinks idle behind a seed that is slower than a few leechers; above that its speed is no matter.
fn a_slow_seed_starves_the_swarm(count: &str) {
    let with = |up| used(&[count, &format!("classes.seed.up={up}")]);
    let (half, same, twice, five, fifteen) = (
        with("200kbit"),
        with("400kbit"),
        with("800kbit"),
        with("2Mbit"),
        with("6Mbit"),
    );
    assert!(
        half < same && same < twice && twice < five,
        "{half} {same} {twice} {five}"
    );
    assert!(half <= 0.3, "{half}");
    // As long as the seed binds, so many copies must leave it: twice its speed is half the time.
    let steep = same / half;
    assert!((1.5..=2.5).contains(&steep), "{half}, then {same}");
    assert!((fifteen - five).abs() <= 0.05, "{five}, then {fifteen}");
    assert!(five >= 0.83 && fifteen >= 0.83, "{five} {fifteen}");
}

#[test]
fn a_slow_seed_starves_a_small_swarm() {
    a_slow_seed_starves_the_swarm("classes.leech.count=100");
}

/// Random picking, for the whole content.
const RANDOM: &str = "strategy.random_first_pieces=1000000";

/// Rarest first is better than random where the seed is slow, and no matter where it is fast.
fn rarity_matters_behind_a_slow_seed(count: &str) {
    let both = |up| [used(&[count, up]), used(&[count, up, RANDOM])];
    let [rarest, random] = both("classes.seed.up=2Mbit");
    assert!(rarest > random + 0.05, "{rarest}, {random} at random");
    let [rarest, random] = both("classes.seed.up=6Mbit");
    assert!(
        (rarest - random).abs() <= 0.1,
        "{rarest}, {random} at random"
    );
}

#[test]
fn rarity_matters_behind_a_slow_seed_of_a_small_swarm() {
    rarity_matters_behind_a_slow_seed("classes.leech.count=100");
}

/// Seven neighbours are too few, twenty are enough. Published are 0.78 with seven and 0.93 with more; here who is
/// left alone finds others, and a fifth of that difference is what has to be there.
fn neighbours_saturate(count: &str) {
    let with = |degree: u32| {
        let want = format!("overlay.tracker_want={degree}");
        let most = format!("classes.leech.strategy=(slots: Fixed(5), connections: {degree})");
        used(&[count, &want, &most])
    };
    let (seven, twenty, forty) = (with(7), with(20), with(40));
    assert!(seven <= forty - (0.93 - 0.78) / 5.0, "{seven} {forty}");
    assert!(seven < twenty, "{seven} {twenty}");
    assert!((forty - twenty).abs() <= 0.05, "{twenty} {forty}");
}

#[test]
fn neighbours_saturate_in_a_small_swarm() {
    neighbours_saturate("classes.leech.count=100");
}

/// Where the seed has no more neighbours than the leechers, seven are too few, and what twenty gain on them
/// is more than what forty gain on twenty. In smaller swarms forty are nearly everybody.
#[test]
fn seven_neighbours_are_too_few_where_the_seed_has_no_more() {
    let with = |degree: u32| {
        let want = format!("overlay.tracker_want={degree}");
        let most = format!("strategy.connections={degree}");
        used(&["classes.leech.count=100", &want, &most])
    };
    let (seven, twenty, forty) = (with(7), with(20), with(40));
    assert!(seven < twenty - 0.05, "{seven} {twenty}");
    assert!(forty - twenty < twenty - seven, "{seven} {twenty} {forty}");
}

/// Behind a seed twice as fast as a leecher, what it sends twice decides how long it takes: the
/// sooner it gives a slot to somebody else, the more pieces are begun at several places.
fn seed_choking_dominates(count: &str) {
    let with = |rule: &str| {
        let strategy = format!("classes.seed.strategy=({rule})");
        let overrides = [count, "classes.seed.up=800kbit", "expect=[]", &strategy];
        let (scenario, record) = simulate("mb-util.ron", &overrides);
        let summary = Summary::new(&record, &scenario);
        let mean = summary.times.mean.expect("all are complete");
        let bound = summary.bound_s.expect("it is closed");
        println!("{rule}: a mean of {:.3} times the bound", mean / bound);
        mean / bound
    };
    let plain = with("slots: Fixed(5)");
    let few = with("slots: Fixed(2)");
    let posing = with("slots: Fixed(5), super_seed: true");
    assert!(few < plain, "{few} {plain}");
    assert!(posing < plain, "{posing} {plain}");
}

#[test]
fn seed_choking_dominates_in_a_small_swarm() {
    seed_choking_dominates("classes.leech.count=100");
}

fn the_fast_give_more_and_are_done_sooner(overrides: &[&str]) {
    let (scenario, record) = simulate("mb-two-class.ron", overrides);
    let summary = Summary::new(&record, &scenario);
    let verdicts = summary.verdicts(&record, &scenario);
    assert!(verdicts.iter().all(|verdict| verdict.met), "{verdicts:#?}");
    let mean = |at: usize| summary.classes[at].times.mean.expect("complete");
    let sooner = mean(2) / mean(1);
    println!("the fast are done {sooner:.2} times sooner; {verdicts:#?}");
    assert!((2.0..=4.0).contains(&sooner), "{sooner}");
}

#[test]
fn the_fast_give_more_and_are_done_sooner_in_a_small_swarm() {
    let small = ["classes.fast.count=50", "classes.slow.count=50"];
    the_fast_give_more_and_are_done_sooner(&small);
}
