//! A whole scenario, and its parts that are not about classes.

use std::collections::{BTreeMap, BTreeSet};

use dunlin_port::config::ByteSize;
use serde::{Deserialize, Serialize};

use super::{Class, Expectation, Micros, Permille, Rate, Strategy, StrategyChoice};

/// A simulated swarm: what is shared, by whom, over which network, until when.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Short name: letters, digits and `-`.
    pub name: String,
    /// What it shows, in a sentence.
    pub about: String,
    /// How the network is simulated. Default flows at 100 ms.
    #[serde(default)]
    pub model: Model,
    /// Where all luck comes from. Default 1.
    #[serde(default = "one")]
    pub rng_seed: u64,
    /// What is shared.
    pub content: Content,
    /// Round-trip times. By flows they are rounded up to steps: see [`Model::Flow`].
    pub rtt: Rtt,
    /// Who takes part.
    pub classes: Vec<Class>,
    /// The rules of every class that names no others. Default the engine's defaults.
    #[serde(default)]
    pub strategy: Strategy,
    /// Rules that classes name. An error where no class does, unless an override took it from the last one.
    #[serde(default)]
    pub strategies: BTreeMap<String, Strategy>,
    /// How nodes find each other.
    #[serde(default)]
    pub overlay: Overlay,
    /// What goes wrong, and when.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// When the run is over.
    #[serde(default)]
    pub stop: Stop,
    /// The run ends here at the latest.
    pub at_most: Micros,
    /// What is kept of the run.
    #[serde(default)]
    pub record: Record,
    /// What must come out.
    #[serde(default)]
    pub expect: Vec<Expectation>,
}

fn one() -> u64 {
    1
}

/// How the network is simulated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Model {
    /// Rates of flows by max-min fairness over access lines, step by step. A message is there at the first
    /// step that its delay has passed by, and at the earliest at the next one, so a round trip takes two
    /// steps at least: distances below that make no difference. Where they decide, as for a fixed number of
    /// requests out, steps have to be a twentieth of them (`pipelining.ron`).
    Flow {
        /// Length of a step, 1 ms to 1 s.
        tick: Micros,
    },
    /// Packet by packet through a queue before each line, for at most [`super::PACKET_NODES_MAX`]
    /// nodes: every class needs a `buffer`.
    Packet {
        /// How often the nodes look at what came, 1 ms to 1 s.
        tick: Micros,
    },
}

impl Model {
    /// Length of a step.
    #[must_use]
    pub const fn tick(&self) -> Micros {
        match self {
            Self::Flow { tick } | Self::Packet { tick } => *tick,
        }
    }
}

impl Default for Model {
    fn default() -> Self {
        Self::Flow {
            tick: Micros(100_000),
        }
    }
}

/// What is shared. Blocks are 16 KiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// All bytes.
    pub size: ByteSize,
    /// Bytes of a piece: a power of two of at least 16 KiB.
    pub piece: ByteSize,
}

/// Round-trip times, without the `access_delay` of the two ends.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Rtt {
    /// The same between any two nodes.
    Uniform(Micros),
    /// By where the nodes are.
    Regions {
        /// What the regions are called.
        names: Vec<String>,
        /// From region (row) to region (column), in the order of `names`; symmetric.
        matrix: Vec<Vec<Micros>>,
    },
}

/// How nodes find each other: a tracker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Overlay {
    /// Most peers in one answer of the tracker. Default 50.
    pub tracker_want: u32,
    /// How often a node asks the tracker again. Default half an hour.
    pub announce_interval: Micros,
    /// Whether leechers know the addresses of all seeds when they come. Default false.
    pub seeds_known_to_all: bool,
}

impl Default for Overlay {
    fn default() -> Self {
        Self {
            tracker_want: 50,
            announce_interval: Micros(1_800_000_000),
            seeds_known_to_all: false,
        }
    }
}

/// Something that goes wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When.
    pub at: Micros,
    /// What.
    pub what: FaultKind,
}

/// What goes wrong. A `share` is of the nodes of the class that are present, at least one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum FaultKind {
    /// All connections of these nodes break at once; the nodes stay and may connect again.
    CutConnections {
        /// Whose.
        class: String,
        /// Of how many of them.
        share: Permille,
    },
    /// The tracker does not answer.
    TrackerDown {
        /// For how long.
        lasts: Micros,
    },
    /// Nodes leave for good.
    Leave {
        /// Which.
        class: String,
        /// How many of them.
        share: Permille,
    },
    /// Nodes disappear without a word.
    Crash {
        /// Which.
        class: String,
        /// How many of them.
        share: Permille,
    },
    /// The lines of a class have less capacity for a while.
    SlowDown {
        /// Whose.
        class: String,
        /// Capacity towards the network meanwhile.
        up: Rate,
        /// For how long.
        lasts: Micros,
    },
}

/// When the run is over. It never goes on past the scenario's `at_most`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Stop {
    /// When all have come, and every leecher is complete or gone.
    #[default]
    AllComplete,
    /// At this instant.
    At(Micros),
}

/// What is kept of the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Record {
    /// Time between the rows of the time series. Default 10 s.
    pub series_every: Micros,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            series_every: Micros(10_000_000),
        }
    }
}

impl Scenario {
    /// The rules that the nodes of `class` follow. A name that does not exist, which
    /// [`Scenario::check`] refuses, falls back to the scenario's own.
    #[must_use]
    pub fn strategy_of<'a>(&'a self, class: &'a Class) -> &'a Strategy {
        match &class.strategy {
            Some(StrategyChoice::Named(name)) => {
                self.strategies.get(name).unwrap_or(&self.strategy)
            }
            Some(StrategyChoice::Inline(strategy)) => strategy,
            None => &self.strategy,
        }
    }

    /// The names of strategies that classes say.
    pub(super) fn strategy_names(&self) -> BTreeSet<String> {
        let name = |class: &Class| match &class.strategy {
            Some(StrategyChoice::Named(name)) => Some(name.clone()),
            Some(StrategyChoice::Inline(_)) | None => None,
        };
        self.classes.iter().filter_map(name).collect()
    }

    /// Number of pieces, the last one counted.
    #[must_use]
    pub fn pieces(&self) -> u64 {
        self.content.size.0.div_ceil(self.content.piece.0.max(1))
    }
}
