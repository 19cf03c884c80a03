//! What a search makes better.

use core::fmt;
use core::str::FromStr;

use crate::outcome::{NodeOutcome, RunRecord};
use crate::schema::{Role, Scenario};
use crate::summary::{Summary, statistics};

/// A number of a run that is to be low (times) or high (utilisation).
///
/// Written `mean`, `median`, `p95` or `last` for completion times of all leechers, with `:class` for
/// those of one class, or `utilisation`.
///
/// A leecher that is not complete counts as if it were complete when the run ends, also if it had
/// given up before: nobody is served better by being left behind. Crashed ones do not count.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Objective {
    measure: Measure,
    class: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Measure {
    Mean,
    Median,
    P95,
    Last,
    Utilisation,
}

const NAMES: [(&str, Measure); 5] = [
    ("mean", Measure::Mean),
    ("median", Measure::Median),
    ("p95", Measure::P95),
    ("last", Measure::Last),
    ("utilisation", Measure::Utilisation),
];

/// An objective that cannot be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ObjectiveError {
    /// The text names none.
    #[error(
        "`{0}` is no objective: expected mean, median, p95 or last, each with :CLASS or without, or utilisation"
    )]
    Unknown(String),
    /// The scenario has no leechers of this class.
    #[error("no leechers are called `{class}`: there are {}", .known.join(", "))]
    Class {
        /// What was asked for.
        class: String,
        /// The classes of leechers.
        known: Vec<String>,
    },
}

impl FromStr for Objective {
    type Err = ObjectiveError;

    fn from_str(text: &str) -> Result<Self, ObjectiveError> {
        let (name, class) = match text.split_once(':') {
            Some((name, class)) => (name, Some(class)),
            None => (text, None),
        };
        let measure = NAMES.iter().find(|(known, _)| *known == name);
        match (measure, class) {
            (None, _) | (Some((_, Measure::Utilisation)), Some(_)) | (_, Some("")) => {
                Err(ObjectiveError::Unknown(text.to_owned()))
            }
            (Some((_, measure)), class) => Ok(Self {
                measure: *measure,
                class: class.map(str::to_owned),
            }),
        }
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, _) = NAMES[self.measure as usize];
        match &self.class {
            None => f.write_str(name),
            Some(class) => write!(f, "{name}:{class}"),
        }
    }
}

impl Objective {
    /// Whether it can be measured in this scenario.
    ///
    /// # Errors
    /// When its class is none of leechers there.
    pub fn check(&self, scenario: &Scenario) -> Result<(), ObjectiveError> {
        let leechers = scenario
            .classes
            .iter()
            .filter(|class| class.role == Role::Leech);
        let known: Vec<String> = leechers.map(|class| class.name.clone()).collect();
        match &self.class {
            Some(class) if !known.contains(class) => Err(ObjectiveError::Class {
                class: class.clone(),
                known,
            }),
            _ => Ok(()),
        }
    }

    /// Whether less is better.
    #[must_use]
    pub fn is_time(&self) -> bool {
        self.measure != Measure::Utilisation
    }

    /// A value as a search sees it: less is better.
    #[must_use]
    pub fn cost(&self, value: f64) -> f64 {
        if self.is_time() { value } else { -value }
    }

    /// What a run came to: seconds, or a share. `None` where there was nobody to measure.
    #[must_use]
    pub fn value(&self, record: &RunRecord, scenario: &Scenario) -> Option<f64> {
        if !self.is_time() {
            return Summary::new(record, scenario).utilisation;
        }
        let counts = |node: &&NodeOutcome| {
            let class = scenario.classes.get(usize::from(node.class));
            !node.crashed
                && class.is_some_and(|class| {
                    class.role == Role::Leech
                        && self.class.as_ref().is_none_or(|name| *name == class.name)
                })
        };
        let done = |node: &NodeOutcome| node.completed_us.unwrap_or(record.virtual_us);
        let nodes = || record.nodes.iter().filter(counts);
        let secs = |micros: u64| micros as f64 / 1e6;
        if self.measure == Measure::Last {
            let start = record.nodes.iter().map(|node| node.arrived_us).min()?;
            return Some(secs(nodes().map(done).max()?.saturating_sub(start)));
        }
        let mut times: Vec<f64> = nodes()
            .map(|node| secs(done(node).saturating_sub(node.arrived_us)))
            .collect();
        times.sort_by(f64::total_cmp);
        match self.measure {
            Measure::Mean => statistics::mean(&times),
            Measure::Median => statistics::median(&times),
            _ => statistics::percentile(&times, 95),
        }
    }
}
