//! Qiu and Srikant (2004): the fluid model of a swarm that nodes come to and leave all the time.
//!
//! At the sizes of the source the scenarios take minutes: `dunlin sim run` of `steady-state.ron`,
//! `qs-download-limited.ron` and `qs-abort.ron` says whether they are as expected.

use dunlin_scenarios::outcome::SeriesRow;
use dunlin_scenarios::summary::{Summary, statistics};

use super::pieces::Pieces;
use super::{observe, simulate};

/// When the swarms have settled: after five downloads, microseconds.
const SETTLED_US: u64 = 1_340_000_000;

/// Bytes on the line for a byte of a stream: headers of TCP, IP and Ethernet.
const HEADERS: f64 = 1514.0 / 1448.0;

/// A swarm as `steady-state`, settled, with fewer arrivals.
#[derive(Debug)]
struct Settled {
    /// Mean download time, seconds.
    download_s: f64,
    /// What the model says of it: what a line of 1 Mbit/s takes for the content with headers, requests
    /// and haves, less the time for which nodes seed, as that was drawn.
    model_s: f64,
    /// The model's effectiveness: for how much of the time uplinks are busy.
    eta: f64,
    /// How far the commonest piece is from the rarest, by the copies of a piece in the mean.
    spread: f64,
    /// Gaps before pieces: see [`Pieces::gaps`].
    gaps: [[f64; 2]; 2],
}

fn settled() -> Settled {
    let overrides = [
        "classes.peer.arrival=Poisson(every: \"20s\")",
        "classes.first.count=13",
        "stop=At(\"3000s\")",
        "expect=[]",
    ];
    let mut pieces = Pieces::default();
    let (scenario, record) = observe("steady-state.ron", &overrides, &mut pieces);
    let control = Summary::new(&record, &scenario).control;
    let complete = record.nodes.iter().filter_map(|node| {
        let at_us = node.completed_us.filter(|at_us| *at_us >= SETTLED_US)?;
        Some((at_us - node.arrived_us) as f64 / 1e6)
    });
    let times: Vec<f64> = complete.collect();
    let rows = record.series.iter().filter(|row| row.at_us > SETTLED_US);
    let rows: Vec<&SeriesRow> = rows.collect();
    let sum = |of: fn(&SeriesRow) -> u64| rows.iter().map(|row| of(row)).sum::<u64>() as f64;
    let per_payload = (1.0 + control.expect("they talk")) * HEADERS;
    let settled_s = (record.virtual_us - SETTLED_US) as f64 / 1e6;
    // Little's law, without the seed that stays.
    let seeds = sum(|row| (row.seeds - 1).into()) / rows.len() as f64;
    let seeding_s = seeds * settled_s / times.len() as f64;
    let found = Settled {
        model_s: scenario.content.size.0 as f64 * per_payload / 125_000.0 - seeding_s,
        download_s: statistics::mean(&times).expect("somebody completes"),
        eta: sum(|row| row.up_bytes) * per_payload / sum(|row| row.up_capacity_bytes),
        spread: 1000.0 * sum(|row| (row.most_copies - row.rarest_copies).into())
            / sum(|row| row.mean_copies_milli),
        gaps: pieces.gaps(scenario.pieces() as usize),
    };
    println!("{found:?}");
    found
}

/// A download takes what uplinks bind it to, and uplinks are busy.
#[test]
fn a_download_takes_what_the_fluid_model_says() {
    let found = settled();
    let ratio = found.download_s / found.model_s;
    assert!((ratio - 1.0).abs() <= 0.12, "{found:?}");
    assert!(found.eta >= 0.95 && found.eta <= 1.0, "{found:?}");
    // Legout et al. (2006): pieces are diverse, and the last ones come like all others.
    assert!(found.spread < 0.5, "{found:?}");
    let [[_, all], [_, last]] = found.gaps;
    assert!(last <= 1.5 * all, "{found:?}");
}

/// `qs-scale`, settled, at some rate of arrivals.
struct Scaled {
    /// Mean download time, seconds.
    download_s: f64,
    /// Leechers present, in the mean.
    leechers: f64,
}

/// A leecher comes in `every_us` microseconds, `first` seeds are there at the start.
fn scaled(every_us: f64, first: u32, stop_s: u64) -> Scaled {
    let overrides = [
        &*format!("classes.peer.arrival=Poisson(every: \"{every_us}us\")"),
        &*format!("classes.first.count={first}"),
        &*format!("stop=At(\"{stop_s}s\")"),
        "expect=[]",
    ];
    let (_, record) = simulate("qs-scale.ron", &overrides);
    // After five downloads.
    let settled_us = 370_000_000;
    let complete = record.nodes.iter().filter_map(|node| {
        let at_us = node.completed_us.filter(|at_us| *at_us >= settled_us)?;
        Some((at_us - node.arrived_us) as f64 / 1e6)
    });
    let times: Vec<f64> = complete.collect();
    let rows = record.series.iter().filter(|row| row.at_us > settled_us);
    let rows: Vec<f64> = rows.map(|row| f64::from(row.leechers)).collect();
    let found = Scaled {
        download_s: statistics::mean(&times).expect("somebody completes"),
        leechers: statistics::mean(&rows).expect("a series"),
    };
    println!(
        "one in {every_us} us: {} complete after {:.1} s, {:.1} leechers",
        times.len(),
        found.download_s,
        found.leechers
    );
    found
}

/// A download takes the same time however many come, and leechers are as many as come.
#[test]
fn downloads_take_the_same_time_at_any_rate_of_arrivals() {
    // The more come the sooner enough are counted.
    let runs = [(0.5, 1110), (1.0, 740), (2.0, 740), (4.0, 555)];
    let found = runs.map(|(rate, stop_s)| {
        let first = (27.0 * rate) as u32;
        (rate, scaled(2_500_000.0 / rate, first, stop_s))
    });
    let count = found.len() as f64;
    let mean = |of: &dyn Fn(&(f64, Scaled)) -> f64| found.iter().map(of).sum::<f64>() / count;
    let (rates, times) = (mean(&|run| run.0), mean(&|run| run.1.download_s));
    let both = mean(&|run| (run.0 - rates) * (run.1.download_s - times));
    let slope = both / mean(&|run| (run.0 - rates).powi(2));
    let over_range = slope * (4.0 - 0.5) / times;
    println!("{:.1} % over the range", 100.0 * over_range);
    assert!(over_range.abs() <= 0.05, "{over_range}");
    // Through the origin: leechers for each unit of rate.
    let each = mean(&|run| run.0 * run.1.leechers) / mean(&|run| run.0.powi(2));
    for (rate, run) in &found {
        let ratio = run.leechers / (rate * each);
        assert!((ratio - 1.0).abs() <= 0.1, "{rate}: {ratio}");
    }
}
