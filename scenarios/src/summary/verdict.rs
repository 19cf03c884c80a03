//! Whether a run came out as its scenario expects.

use super::growth::growth;
use super::{Summary, Times};
use crate::outcome::{NodeOutcome, RunRecord, SeriesRow};
use crate::schema::{Completion, Expectation, Micros, Permille, Role, Scenario, Span, Yardstick};

/// One expectation and how it came out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Whether it was met.
    pub met: bool,
    /// What was expected and what was found, for a person.
    pub text: String,
}

impl Summary {
    /// Judges every expectation of `scenario`, in order. What cannot be computed is not met.
    #[must_use]
    pub fn verdicts(&self, record: &RunRecord, scenario: &Scenario) -> Vec<Verdict> {
        let judge = |expectation| self.judge(expectation, record, scenario);
        scenario.expect.iter().map(judge).collect()
    }

    fn judge(&self, expectation: &Expectation, record: &RunRecord, scenario: &Scenario) -> Verdict {
        match expectation {
            Expectation::AllComplete => self.all_complete(record, scenario),
            Expectation::Ratio {
                of,
                class,
                to,
                min,
                max,
            } => self.judge_time(*of, class.as_deref(), to, *min, *max),
            Expectation::Utilisation { min, max } => within(
                "upload utilisation from 5 % to 90 % of the run",
                self.utilisation_busy,
                *min,
                *max,
            ),
            Expectation::ShareRatio { class, min, max } => {
                let found = self.classes.iter().find(|known| known.name == *class);
                let found = found.and_then(|class| class.share_ratio);
                within(&format!("share ratio of {class}"), found, *min, *max)
            }
            Expectation::Stalls { class, min, max } => {
                let found = self.classes.iter().find(|known| known.name == *class);
                let found = found.and_then(|class| super::ratio(class.stalls, class.nodes));
                within(&format!("stalls of a {class}"), found, *min, *max)
            }
            Expectation::SeedCopies { min, max } => within(
                "copies that seeds sent until the first completion",
                seed_copies(record, scenario),
                *min,
                *max,
            ),
            Expectation::UnchokeShare { by, of, min, max } => within(
                &format!("share of {of} in the unchokes by {by}"),
                unchoke_share(record, by, of),
                *min,
                *max,
            ),
            Expectation::Growth { fit, min, max } => judge_growth(record, *fit, *min, *max),
            Expectation::Control { max } => {
                let what = "bytes beside the payload, as a share of it,";
                within(what, self.control, Permille(0), *max)
            }
            Expectation::Waste { max } => {
                let what = "wasted share of the download";
                within(what, self.wasted, Permille(0), *max)
            }
            Expectation::DownloadTime { from, min, max } => {
                judge_download_time(record, *from, (*min, *max))
            }
            Expectation::Finished {
                class,
                from,
                min,
                max,
            } => {
                let what = format!("{class} that finish from {from}, over whom giving up leaves,");
                within(&what, finished(record, scenario, class, *from), *min, *max)
            }
            Expectation::Leechers { from, min, max } => {
                judge_population("leechers", |row| row.leechers, record, *from, (*min, *max))
            }
            Expectation::Seeds { from, min, max } => {
                judge_population("seeds", |row| row.seeds, record, *from, (*min, *max))
            }
        }
    }

    fn judge_time(
        &self,
        of: Completion,
        class: Option<&str>,
        to: &Yardstick,
        min: Permille,
        max: Permille,
    ) -> Verdict {
        let times = class.map_or(Some(&self.times), |name| self.times_of(name));
        let time = times.and_then(|times| times.pick(of));
        let (unit, unit_name) = match to {
            Yardstick::KumarRoss => (self.bound_s, "the Kumar-Ross bound".to_owned()),
            Yardstick::Time(time) => (Some(super::secs(time.0)), time.to_string()),
        };
        let found = time.zip(unit).map(|(time, unit)| time / unit);
        let of_class = class.map(|name| format!(" of {name}")).unwrap_or_default();
        within(
            &format!("{of:?} completion{of_class} over {unit_name}"),
            found,
            min,
            max,
        )
    }

    fn times_of(&self, class: &str) -> Option<&Times> {
        let found = self.classes.iter().find(|known| known.name == class);
        found.map(|class| &class.times)
    }

    fn all_complete(&self, record: &RunRecord, scenario: &Scenario) -> Verdict {
        let Times {
            leechers,
            completed,
            gone,
            ..
        } = self.times;
        let of_them = match gone {
            0 => String::new(),
            _ => format!(", gone before: {}", gone_before(record, scenario)),
        };
        Verdict {
            // Where nobody became complete nothing was shown, whoever else is gone.
            met: completed > 0 && completed + gone == leechers,
            text: format!("{completed} of {leechers} leechers complete{of_them}"),
        }
    }
}

/// The leechers that were gone before they were complete: how many of which class, and how they went.
fn gone_before(record: &RunRecord, scenario: &Scenario) -> String {
    let mut parts = Vec::new();
    for (at, class) in scenario.classes.iter().enumerate() {
        let gone = |crashed: bool| {
            let is_meant = |node: &&NodeOutcome| {
                usize::from(node.class) == at && super::is_gone(node) && node.crashed == crashed
            };
            record.nodes.iter().filter(is_meant).count()
        };
        let ways = [(gone(true), "crashed"), (gone(false), "left")];
        for (count, way) in ways.into_iter().filter(|_| class.role == Role::Leech) {
            if count > 0 {
                parts.push(format!("{count} of {} {way}", class.name));
            }
        }
    }
    parts.join(", ")
}

impl Times {
    fn pick(&self, of: Completion) -> Option<f64> {
        match of {
            Completion::Mean => self.mean,
            Completion::Median => self.median,
            Completion::P95 => self.p95,
            Completion::P99 => self.p99,
            Completion::Last => self.last,
        }
    }
}

/// Whether what leechers send grows exponentially at a pace between `min` and `max`.
fn judge_growth(record: &RunRecord, fit: Permille, min: Micros, max: Micros) -> Verdict {
    let Some(found) = growth(record) else {
        return Verdict {
            met: false,
            text: "growth is unknown: fewer than three rows of the series show it".to_owned(),
        };
    };
    let within = (super::secs(min.0)..=super::secs(max.0)).contains(&found.doubling_s);
    Verdict {
        met: within && found.fit >= fit.0 as f64 / 1000.0,
        text: format!(
            "what leechers send doubles every {:.2} s, expected {min} to {max}; an exponential \
             explains {:.3} of it, expected {fit}",
            found.doubling_s, found.fit
        ),
    }
}

/// The mean download time of those who become complete from `from` on. By completion and not by
/// arrival: those whose end the run does not see would be the slow ones.
fn judge_download_time(record: &RunRecord, from: Micros, (min, max): (Micros, Micros)) -> Verdict {
    let settled = |node: &&NodeOutcome| node.completed_us.is_some_and(|at| at >= from.0);
    let nodes = record.nodes.iter().filter(settled);
    let times: Vec<f64> = nodes.filter_map(super::download_secs).collect();
    let found = super::statistics::mean(&times);
    let range = super::secs(min.0)..=super::secs(max.0);
    let said = found.map_or("unknown".to_owned(), |found| format!("{found:.1} s"));
    Verdict {
        met: found.is_some_and(|found| range.contains(&found)),
        text: format!("the mean download time from {from} on is {said}, expected {min} to {max}"),
    }
}

/// The share that became complete of a class's leechers that ended from `from` on, over the share that
/// giving up at a constant rate leaves: of those who take as long as one that became complete, one in
/// `exp(rate * time)` does.
fn finished(record: &RunRecord, scenario: &Scenario, class: &str, from: Micros) -> Option<f64> {
    let at = scenario
        .classes
        .iter()
        .position(|known| known.name == class)?;
    let Some(Span::Exponential { mean }) = scenario.classes[at].abort else {
        return None;
    };
    let of_class = record
        .nodes
        .iter()
        .filter(|node| usize::from(node.class) == at);
    let ended = of_class.filter(|node| {
        let ended = node.completed_us.or(node.left_us);
        ended.is_some_and(|at| at >= from.0)
    });
    let (mut all, mut begun, mut completed) = (0, 0.0, 0);
    for node in ended {
        all += 1;
        if let Some(time) = super::download_secs(node) {
            completed += 1;
            begun += (time / super::secs(mean.0)).exp();
        }
    }
    let share = super::ratio(completed, all)?;
    (completed > 0).then(|| share * begun / completed as f64)
}

/// The time average of a number of nodes, from `from` to the end.
fn judge_population(
    what: &str,
    count: fn(&SeriesRow) -> u32,
    record: &RunRecord,
    from: Micros,
    (min, max): (u32, u32),
) -> Verdict {
    let rows = record.series.iter().filter(|row| row.at_us > from.0);
    let counts: Vec<f64> = rows.map(|row| count(row).into()).collect();
    let edge = |nodes: u32| Permille(u64::from(nodes) * 1000);
    let found = super::statistics::mean(&counts);
    within(
        &format!("{what} present from {from}"),
        found,
        edge(min),
        edge(max),
    )
}

/// What seeds sent until the first leecher was complete, by the length of the content.
fn seed_copies(record: &RunRecord, scenario: &Scenario) -> Option<f64> {
    let complete = record.nodes.iter().filter_map(|node| node.completed_us);
    let first = complete.min()?;
    let rows = record.series.iter().take_while(|row| row.at_us <= first);
    let sent: u64 = rows.map(|row| row.seed_up_bytes).sum();
    Some(sent as f64 / scenario.content.size.0 as f64)
}

/// Of the time for which `by` had leechers unchoked, the share of the class `of`. Nodes that came
/// with everything are never unchoked.
fn unchoke_share(record: &RunRecord, by: &str, of: &str) -> Option<f64> {
    let place = |name: &str| record.classes.iter().position(|class| class == name);
    let row = record.unchoke_us.get(place(by)?)?;
    let all: u64 = row.iter().sum();
    (all > 0).then(|| row[place(of).unwrap_or(0)] as f64 / all as f64)
}

fn within(what: &str, found: Option<f64>, min: Permille, max: Permille) -> Verdict {
    let edge = |ratio: Permille| ratio.0 as f64 / 1000.0;
    let Some(found) = found else {
        return Verdict {
            met: false,
            text: format!("{what} is unknown: nothing was there to count, expected {min} to {max}"),
        };
    };
    Verdict {
        met: (edge(min)..=edge(max)).contains(&found),
        text: format!("{what} is {found:.3}, expected {min} to {max}"),
    }
}
