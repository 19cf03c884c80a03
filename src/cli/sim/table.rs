//! A run in words for people.

use core::fmt::Write as _;

use dunlin_scenarios::summary::{Summary, Times};

use super::super::text::size;

/// The summary of a run.
pub(super) fn of_run(summary: &Summary, wall_s: f64) -> String {
    let mut text = String::new();
    let speed = summary.virtual_s / wall_s.max(0.001);
    // Writing to a string cannot fail.
    let mut line = |words: std::fmt::Arguments<'_>| writeln!(text, "{words}").unwrap_or_default();
    line(format_args!(
        "{}, seed {}: {:.1} s of virtual time in {wall_s:.2} s ({speed:.0} times real time)",
        summary.scenario, summary.seed, summary.virtual_s,
    ));
    line(format_args!("digest  {}", summary.digest));
    line(format_args!(
        "{:<16} {:>6} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7} {:>10}",
        "completion, s", "nodes", "complete", "mean", "median", "p95", "last", "ratio", "received"
    ));
    for class in &summary.classes {
        let ratio = class
            .share_ratio
            .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        line(format_args!(
            "{:<16} {:>6} {} {ratio:>7} {:>10}",
            class.name,
            class.nodes,
            times(&class.times),
            size(class.down_bytes),
        ));
    }
    if summary.classes.len() > 2 {
        line(format_args!(
            "{:<16} {:>6} {}",
            "all",
            summary.nodes,
            times(&summary.times)
        ));
    }
    if let (Some(bound), Some(mean), Some(last)) =
        (summary.bound_s, summary.times.mean, summary.times.last)
    {
        line(format_args!(
            "Kumar-Ross bound {bound:.1} s: mean {:.3}, last {:.3} times the bound",
            mean / bound,
            last / bound
        ));
    }
    let percent = |share: Option<f64>| {
        share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
    };
    line(format_args!(
        "uplinks {} used ({} from 5 % to 90 % of the run); wasted {}, beside payload {}",
        percent(summary.utilisation),
        percent(summary.utilisation_busy),
        percent(summary.wasted),
        percent(summary.control),
    ));
    let stalls: u64 = summary.classes.iter().map(|class| class.stalls).sum();
    let stalled: f64 = summary.classes.iter().map(|class| class.stalled_s).sum();
    if stalls > 0 {
        line(format_args!(
            "playback stopped {stalls} times, {stalled:.1} s in all"
        ));
    }
    text.truncate(text.trim_end().len());
    text
}

fn times(times: &Times) -> String {
    let secs = |time: Option<f64>| {
        let text = time.map_or_else(|| "-".to_owned(), |time| format!("{time:.1}"));
        format!("{text:>9}")
    };
    format!(
        "{:>9} {} {} {} {}",
        if times.leechers > 0 {
            times.completed.to_string()
        } else {
            "-".to_owned()
        },
        secs(times.mean),
        secs(times.median),
        secs(times.p95),
        secs(times.last),
    )
}
