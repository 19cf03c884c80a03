//! Every range of a scenario, checked at once.

mod classes;
mod rest;

use core::fmt;

use dunlin_base::limits::{PIECE_BYTES_MAX, PIECES_MAX};

use super::{Micros, Permille, Rtt, Scenario, Stop};

/// Most nodes of a scenario.
pub const NODES_MAX: u32 = 1_000_000;
/// Most nodes whose packets are simulated one by one.
pub const PACKET_NODES_MAX: u32 = 50;
/// Most classes.
pub const CLASSES_MAX: usize = 256;
/// Most regions.
pub const REGIONS_MAX: usize = 256;
/// Most faults.
pub const FAULTS_MAX: usize = 1_000;
/// Most rows of the time series.
pub const SERIES_ROWS_MAX: u64 = 1_000_000;
/// Longest run.
pub const RUN_MAX: Micros = Micros(366 * 86_400_000_000);
/// Longest delay between two nodes.
pub const DELAY_MAX: Micros = Micros(10_000_000);
/// Longest name of a scenario, class, strategy or region.
pub const NAME_BYTES_MAX: usize = 64;

/// A value that no scenario may have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutOfRange {
    /// The field, as `classes[2].up`.
    pub path: String,
    /// What is wrong, to be read behind the path: `is 0bit, expected 1kbit to 1000Gbit`.
    pub message: String,
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.message)
    }
}

/// Gathers what is wrong.
#[derive(Default)]
struct Faults(Vec<OutOfRange>);

impl Faults {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(OutOfRange {
            path: path.into(),
            message: message.into(),
        });
    }

    fn range<T: PartialOrd + fmt::Display>(
        &mut self,
        path: impl Into<String>,
        value: T,
        min: T,
        max: T,
    ) {
        if value < min || value > max {
            self.add(path, format!("is {value}, expected {min} to {max}"));
        }
    }

    /// A share of something: more than nothing, at most all.
    fn share(&mut self, path: String, share: Permille) {
        self.range(path, share, Permille(1), Permille(1000));
    }

    fn name(&mut self, path: String, name: &str) {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(plain) {
            let expected =
                format!("expected letters, digits, `-` and `_`, at most {NAME_BYTES_MAX}");
            self.add(path, format!("is {name:?}, {expected}"));
        }
    }

    fn unique(&mut self, path: &str, names: impl Iterator<Item = String>) {
        let mut seen = std::collections::BTreeSet::new();
        for name in names {
            if !seen.insert(name.clone()) {
                self.add(path, format!("has {name:?} twice"));
            }
        }
    }
}

impl Scenario {
    /// Every value that is out of range or does not fit to the others.
    #[must_use]
    pub fn check(&self) -> Vec<OutOfRange> {
        let mut faults = Faults::default();
        faults.name("name".to_owned(), &self.name);
        if self.about.trim().is_empty() {
            faults.add("about", "is empty, expected a sentence");
        }
        let tick = self.model.tick();
        faults.range("model.tick", tick, Micros(1_000), Micros(1_000_000));
        faults.range("at_most", self.at_most, Micros(1_000_000), RUN_MAX);
        if let Stop::At(at) = self.stop {
            faults.range("stop", at, Micros(1), self.at_most);
        }
        let every = self.record.series_every;
        let least = Micros(tick.0.max(self.at_most.0 / SERIES_ROWS_MAX));
        faults.range("record.series_every", every, least, RUN_MAX);
        self.check_content(&mut faults);
        self.check_rtt(&mut faults);
        self.check_classes(&mut faults);
        self.check_strategies(&mut faults);
        self.check_rest(&mut faults);
        faults.0
    }

    fn check_content(&self, faults: &mut Faults) {
        let (size, piece) = (self.content.size.0, self.content.piece.0);
        faults.range("content.size", size, 1, 1 << 50);
        let in_range =
            (u64::from(dunlin_base::BLOCK_BYTES)..=PIECE_BYTES_MAX.into()).contains(&piece);
        if !in_range || !piece.is_power_of_two() {
            let expected = "expected a power of two from 16K to 512M";
            faults.add(
                "content.piece",
                format!("is {}, {expected}", self.content.piece),
            );
        } else if self.pieces() > PIECES_MAX.into() {
            let pieces = self.pieces();
            faults.add(
                "content",
                format!("has {pieces} pieces, expected at most {PIECES_MAX}"),
            );
        }
    }

    fn check_rtt(&self, faults: &mut Faults) {
        let (names, matrix) = match &self.rtt {
            Rtt::Uniform(rtt) => return faults.range("rtt", *rtt, Micros(0), DELAY_MAX),
            Rtt::Regions { names, matrix } => (names, matrix),
        };
        faults.range("rtt.names", names.len(), 1, REGIONS_MAX);
        for (at, name) in names.iter().enumerate() {
            faults.name(format!("rtt.names[{at}]"), name);
        }
        faults.unique("rtt.names", names.iter().cloned());
        if matrix.len() != names.len() || matrix.iter().any(|row| row.len() != names.len()) {
            let side = names.len();
            return faults.add(
                "rtt.matrix",
                format!("is not {side} by {side}, as there are {side} names"),
            );
        }
        for (row, times) in matrix.iter().enumerate() {
            for (column, time) in times.iter().enumerate() {
                let path = format!("rtt.matrix[{row}][{column}]");
                let back = matrix[column][row];
                faults.range(path.clone(), *time, Micros(0), DELAY_MAX);
                if column < row && *time != back {
                    faults.add(path, format!("is {time}, but {back} the other way round"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
