//! Many runs of one scenario: which they are, who runs which, and all their results in one table.
//!
//! Nothing is run in here. A run's folder is named by what it is (see [`crate::tables::run_name`]),
//! so whoever runs the plan, in whatever order and however often, fills the same folders.

mod merge;
mod vary;

use core::fmt;
use core::str::FromStr;
use std::path::Path;

pub(crate) use merge::differing;
pub use merge::{merge, write_merged};
pub use vary::{VALUES_MAX, Vary, VaryError};

use crate::schema::{Override, Scenario, ScenarioError};
use crate::tables::find_run;

/// Most runs of a sweep.
pub const RUNS_MAX: u64 = 10_000_000;

/// The plan of a sweep: every combination of values, each with every seed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sweep {
    base: Scenario,
    vary: Vec<Vary>,
    seeds: u32,
}

/// A sweep that cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// No seeds, or a product of values that nobody will run.
    #[error("the sweep has {0} runs, expected 1 to {RUNS_MAX}")]
    Runs(u128),
    /// A field is varied twice.
    #[error("{0} is varied twice")]
    Twice(String),
    /// A value does not fit the scenario.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
}

/// One run of a sweep.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlannedRun {
    /// Its number in the sweep, from 0.
    pub index: u64,
    /// What makes it differ from the scenario of the file, the seed included.
    pub overrides: Vec<Override>,
    /// What is run.
    pub scenario: Scenario,
}

impl Sweep {
    /// Plans runs of `base`: all combinations of what `vary` says, each with `seeds` seeds that
    /// count up from the scenario's own. The last field varies fastest, seeds faster still; all
    /// combinations share their seeds, so that they can be compared pair by pair.
    ///
    /// # Errors
    /// When there are no runs or too many, a field is varied twice, or one of its values alone does
    /// not fit the scenario.
    pub fn new(base: Scenario, vary: Vec<Vary>, seeds: u32) -> Result<Self, SweepError> {
        let product = vary.iter().map(|one| one.values.len() as u128);
        let runs = product.fold(u128::from(seeds), u128::saturating_mul);
        if !(1..=u128::from(RUNS_MAX)).contains(&runs) {
            return Err(SweepError::Runs(runs));
        }
        for (at, one) in vary.iter().enumerate() {
            if vary[..at].iter().any(|before| before.path == one.path) {
                return Err(SweepError::Twice(one.path.clone()));
            }
            for value in &one.values {
                base.with(&[Override {
                    path: one.path.clone(),
                    value: value.clone(),
                }])?;
            }
        }
        Ok(Self { base, vary, seeds })
    }

    /// Number of runs.
    #[must_use]
    pub fn runs(&self) -> u64 {
        let product = self.vary.iter().map(|one| one.values.len() as u64);
        product.product::<u64>() * u64::from(self.seeds)
    }

    /// Number of combinations of values.
    #[must_use]
    pub fn combinations(&self) -> u64 {
        self.runs() / u64::from(self.seeds)
    }

    /// The numbers of the runs of one combination, one a seed.
    #[must_use]
    pub fn runs_of(&self, combination: u64) -> core::ops::Range<u64> {
        let seeds = u64::from(self.seeds);
        combination * seeds..(combination + 1) * seeds
    }

    /// The fields that are varied, with their values.
    #[must_use]
    pub fn vary(&self) -> &[Vary] {
        &self.vary
    }

    /// Runs of each combination.
    #[must_use]
    pub fn seeds(&self) -> u32 {
        self.seeds
    }

    /// The scenario before anything is varied.
    #[must_use]
    pub fn base(&self) -> &Scenario {
        &self.base
    }

    /// The run of this number, below [`Sweep::runs`].
    ///
    /// # Errors
    /// When the values, each of which fits, do not fit together.
    pub fn run(&self, index: u64) -> Result<PlannedRun, ScenarioError> {
        let mut rest = index / u64::from(self.seeds);
        let mut overrides = Vec::with_capacity(self.vary.len() + 1);
        for one in self.vary.iter().rev() {
            let count = one.values.len() as u64;
            let value = one.values[(rest % count) as usize].clone();
            overrides.push(Override {
                path: one.path.clone(),
                value,
            });
            rest /= count;
        }
        overrides.reverse();
        let seed = self
            .base
            .rng_seed
            .wrapping_add(index % u64::from(self.seeds));
        overrides.push(Override {
            path: "rng_seed".to_owned(),
            value: seed.to_string(),
        });
        Ok(PlannedRun {
            index,
            scenario: self.base.with(&overrides)?,
            overrides,
        })
    }

    /// How many of the runs are not finished in `out`.
    ///
    /// # Errors
    /// As [`Sweep::run`].
    pub fn missing(&self, out: &Path) -> Result<u64, ScenarioError> {
        let mut missing = 0;
        for index in 0..self.runs() {
            missing += u64::from(find_run(out, &self.run(index)?.scenario).is_none());
        }
        Ok(missing)
    }

    /// The numbers of the runs that belong to a shard, dealt in turn: long and short runs, which
    /// lie beside each other, spread over all shards.
    pub fn shard(&self, shard: Shard) -> impl Iterator<Item = u64> + use<> {
        (shard.index..self.runs()).step_by(shard.of as usize)
    }
}

/// One of several equal parts of a sweep, written `i/n` with `i` from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shard {
    index: u64,
    of: u64,
}

/// A text that names no shard.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no shard: expected i/n with i from 0 to n - 1, such as 0/4")]
pub struct ShardError(String);

impl Shard {
    /// All of a sweep.
    pub const ALL: Self = Self { index: 0, of: 1 };

    /// Part `index` of `of`.
    ///
    /// # Errors
    /// When `index` is not below `of`.
    pub fn new(index: u64, of: u64) -> Result<Self, ShardError> {
        let shard = Self { index, of };
        if index < of {
            Ok(shard)
        } else {
            Err(ShardError(shard.to_string()))
        }
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let parts = text
            .split_once('/')
            .and_then(|(index, of)| Some((index.trim().parse().ok()?, of.trim().parse().ok()?)));
        let (index, of) = parts.ok_or_else(|| ShardError(text.to_owned()))?;
        Self::new(index, of)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests;
