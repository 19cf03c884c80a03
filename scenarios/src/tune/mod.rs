//! The search for the best parameters of a scenario: what to try, how good it was, and what a client
//! can take from it.
//!
//! Nothing is run in here. What is tried is a combination of a [`crate::sweep::Sweep`], so its runs
//! are those of the sweep and stand in the same folders: a search that is begun again with the same
//! seed asks for the same combinations, finds their runs there, and goes on where it was.

mod objective;
mod profile;
mod search;

pub use objective::{Objective, ObjectiveError};
pub use profile::{Profile, ProfileError};
pub use search::{BATCH, Search};

use crate::schema::Override;
use crate::summary::statistics;
use crate::tables::{Column, Table};

/// A combination that was tried.
#[derive(Clone, PartialEq, Debug)]
pub struct Trial {
    /// The values that it sets; none for the scenario as it is.
    pub overrides: Vec<Override>,
    /// What the objective came to with each seed.
    pub values: Vec<f64>,
}

impl Trial {
    /// What counts: the mean over the seeds.
    #[must_use]
    pub fn value(&self) -> f64 {
        statistics::mean(&self.values).unwrap_or(f64::NAN)
    }
}

/// Every trial in order: what was set (empty: as the scenario has it), the value that counts, and
/// the lowest and highest over the seeds.
#[must_use]
pub fn history(trials: &[Trial], paths: &[String], objective: &Objective) -> Table {
    let mut table = Table::default();
    table.add("trial", Column::whole(0..trials.len() as u64));
    for path in paths {
        let value = |trial: &Trial| {
            let set = trial.overrides.iter().find(|one| one.path == *path);
            set.map(|one| one.value.clone()).unwrap_or_default()
        };
        table.add(
            path.clone(),
            Column::Text(trials.iter().map(value).collect()),
        );
    }
    let numbers = |number: fn(&Trial) -> f64| {
        Column::Real(trials.iter().map(|trial| Some(number(trial))).collect())
    };
    table.add(objective.to_string(), numbers(Trial::value));
    let lowest = |trial: &Trial| trial.values.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = |trial: &Trial| {
        trial
            .values
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max)
    };
    table.add("lowest", numbers(lowest));
    table.add("highest", numbers(highest));
    table
}

#[cfg(test)]
mod tests;
