//! Which combination to try next: a Tree-structured Parzen Estimator (Bergstra et al., NIPS 2011) for
//! each field, which looks where the best tenth of the trials was and the others were not.

use core::convert::Infallible;
use std::collections::BTreeSet;

use dunlin_base::{NodeKey, RngStream, StreamName};
use rand::TryRng;
use tpe::{TpeOptimizer, histogram_estimator, parzen_estimator};

use crate::sweep::Vary;

/// Combinations that are tried before the search is told of any of them. It is fixed, so that what
/// is tried does not depend on how many cores there are.
pub const BATCH: usize = 4;

/// Combinations that are drawn evenly before there is anything to learn from.
const EVEN_DRAWS: usize = 10;
/// How often an estimator that names what was tried already is asked again.
const RETRIES: usize = 32;

/// A search over the combinations of a sweep, by their numbers.
pub struct Search {
    fields: Vec<Field>,
    combinations: u64,
    luck: Luck,
    asked: BTreeSet<u64>,
}

/// A field that is varied.
struct Field {
    values: u64,
    optimiser: TpeOptimizer,
}

/// The stream of the search's luck as the estimators want it.
struct Luck(RngStream);

impl TryRng for Luck {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.0.next_u64() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl Field {
    fn new(vary: &Vary) -> Self {
        let estimator = match vary.is_ordered() {
            true => parzen_estimator(),
            false => histogram_estimator(),
        };
        let range = tpe::categorical_range(vary.values.len()).expect("a field has values");
        Self {
            values: vary.values.len() as u64,
            optimiser: TpeOptimizer::new(estimator, range),
        }
    }

    /// The number of the next value; of any when the estimator cannot say.
    fn ask(&mut self, luck: &mut Luck) -> u64 {
        match self.optimiser.ask(luck) {
            // A point of the range as the number of the value whose unit it lies in.
            Ok(at) => (at.max(0.0) as u64).min(self.values - 1),
            Err(_) => luck.0.below(self.values),
        }
    }

    fn tell(&mut self, value: u64, cost: f64) {
        // The middle of the value's unit.
        let told = self.optimiser.tell(value as f64 + 0.5, cost);
        told.expect("a cost is a number and a value within its range");
    }
}

impl Search {
    /// A search among all combinations of values, which are numbered as by a sweep: the last field
    /// varies fastest.
    #[must_use]
    pub fn new(vary: &[Vary], seed: u64) -> Self {
        let fields: Vec<Field> = vary.iter().map(Field::new).collect();
        Self {
            combinations: fields.iter().map(|field| field.values).product(),
            fields,
            luck: Luck(RngStream::new(seed, NodeKey(0), StreamName::Search)),
            asked: BTreeSet::new(),
        }
    }

    /// The next combination; never one again, and `None` when all were asked for.
    pub fn ask(&mut self) -> Option<u64> {
        if self.asked.len() as u64 == self.combinations {
            return None;
        }
        let retries = if self.asked.len() < EVEN_DRAWS {
            0
        } else {
            RETRIES
        };
        let learnt = (0..retries).find_map(|_| {
            let combination = self.estimate();
            (!self.asked.contains(&combination)).then_some(combination)
        });
        let combination = learnt.unwrap_or_else(|| self.draw());
        self.asked.insert(combination);
        Some(combination)
    }

    /// Learns how good a combination was; less is better.
    pub fn tell(&mut self, combination: u64, cost: f64) {
        let mut rest = combination;
        for field in self.fields.iter_mut().rev() {
            field.tell(rest % field.values, cost);
            rest /= field.values;
        }
    }

    fn estimate(&mut self) -> u64 {
        let luck = &mut self.luck;
        self.fields
            .iter_mut()
            .fold(0, |number, field| number * field.values + field.ask(luck))
    }

    /// Any that was not asked for, where there is one: the next after one that is drawn.
    fn draw(&mut self) -> u64 {
        let mut number = self.luck.0.below(self.combinations);
        while self.asked.contains(&number) {
            number = (number + 1) % self.combinations;
        }
        number
    }
}
