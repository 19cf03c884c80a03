//! Who takes part: classes of alike nodes, when they come, how long they stay, how they behave.

use serde::{Deserialize, Serialize};

use super::{Micros, Permille, Rate, StrategyChoice};

/// Nodes that are alike.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// What the class is called in tables, plots and other parts of the scenario. Unique.
    pub name: String,
    /// With or without the content at the start.
    pub role: Role,
    /// How many nodes. For [`Arrival::Poisson`] and [`Arrival::ExpDecay`] the most that may come.
    pub count: u32,
    /// Capacity of the line towards the network.
    pub up: Rate,
    /// Capacity of the line from the network.
    pub down: Rate,
    /// What the client lets itself send: payload, without headers and messages, and up to a second's
    /// worth at once. The engine's own limiter keeps it. Default no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_limit: Option<Rate>,
    /// What the client lets itself receive, as `up_limit`. An error for seeds, which receive nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down_limit: Option<Rate>,
    /// Where the nodes are; needed with [`super::Rtt::Regions`], an error without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Added to the round trip of every connection of such a node. Default none.
    #[serde(default)]
    pub access_delay: Micros,
    /// Packets lost on every connection of such a node, in millionths. Default 0.
    #[serde(default)]
    pub loss_ppm: u32,
    /// What carries the connections that such a node opens; those that it accepts are as the other end
    /// opens them. Default [`Transport::Tcp`].
    #[serde(default)]
    pub transport: Transport,
    /// How long the queue before the line is, each way, in the time that it takes to empty. In flows
    /// without one nothing ever waits, the default; packets need one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffer: Option<Micros>,
    /// Whether the nodes are behind a NAT: they connect to others but cannot accept. Default false.
    #[serde(default)]
    pub nat: bool,
    /// The rules that the nodes follow; the scenario's `strategy` when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<StrategyChoice>,
    /// When the nodes come. Default [`Arrival::AtStart`].
    #[serde(default)]
    pub arrival: Arrival,
    /// What a node does once it has everything (for a seed: from the start). Default
    /// [`Stay::Forever`].
    #[serde(default)]
    pub stay: Stay,
    /// How long after it came a leecher gives up if it is not complete by then. Default never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<Span>,
    /// How long after it came a node disappears without a word: no `stopped` announce, and its
    /// connections die only of silence. Default never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crash: Option<Span>,
    /// Whether it plays by the rules. Default [`Behaviour::Honest`].
    #[serde(default)]
    pub behaviour: Behaviour,
    /// Plays the content while it comes; the node's missed deadlines are counted as stalls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streaming: Option<Streaming>,
}

impl Class {
    /// Bytes per second that a node can send, by its line and its limit.
    #[must_use]
    pub fn up_bytes_per_sec(&self) -> u64 {
        self.up.min(self.up_limit.unwrap_or(self.up)).0
    }

    /// Whether its strategy is the one of this name.
    pub(super) fn names(&self, strategy: &str) -> bool {
        matches!(&self.strategy, Some(StrategyChoice::Named(name)) if name == strategy)
    }

    pub(super) fn is_free_rider(&self) -> bool {
        self.behaviour == Behaviour::FreeRider
    }

    /// Bytes per second that a node can receive, by its line and its limit.
    #[must_use]
    pub fn down_bytes_per_sec(&self) -> u64 {
        self.down.min(self.down_limit.unwrap_or(self.down)).0
    }
}

/// What carries connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Transport {
    /// TCP: fills queues, and shares lines evenly.
    #[default]
    Tcp,
    /// µTP (BEP 29): gives way to TCP, and keeps queues at 100 ms, where they are longer than that.
    Utp,
}

/// With or without the content at the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Role {
    /// Has everything.
    Seed,
    /// Has nothing.
    Leech,
}

/// When the nodes of a class come. Times are from the start of the run.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Arrival {
    /// All at the start.
    #[default]
    AtStart,
    /// All at one instant.
    At(Micros),
    /// Spread evenly at random.
    Flash {
        /// The last instant before which all have come.
        within: Micros,
    },
    /// A Poisson process: gaps are exponential and independent.
    Poisson {
        /// Mean gap, the inverse of the rate.
        every: Micros,
        /// Nobody comes from here on; the scenario's `at_most` when not set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Micros>,
    },
    /// A Poisson process whose rate decays exponentially (Guo et al., IMC 2005). `tau / every`
    /// nodes come in the mean.
    ExpDecay {
        /// Mean gap at the start, the inverse of the first rate.
        every: Micros,
        /// Time in which the rate falls to 1/e.
        tau: Micros,
        /// Nobody comes from here on; the scenario's `at_most` when not set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Micros>,
    },
    /// At these instants, in this order; `count` must be their number.
    Trace(Vec<Micros>),
}

/// What a node does once it has everything. Seeds have everything when they come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Stay {
    /// Seeds to the end.
    #[default]
    Forever,
    /// Leaves at once.
    LeaveOnComplete,
    /// Leaves when it has uploaded so many times the content.
    AfterRatio(Permille),
    /// Seeds for a while.
    SeedFor(Span),
    /// Leaves so long after it came, complete or not.
    AfterTime(Span),
}

/// A length of time, the same for all nodes or drawn for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Span {
    /// The same for all.
    Fixed(Micros),
    /// Exponential with this mean, drawn for each node.
    Exponential {
        /// The mean.
        mean: Micros,
    },
}

/// Whether a node plays by the rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Behaviour {
    /// By the rules.
    #[default]
    Honest,
    /// Never unchokes anybody. An error where its strategy sets `slots`.
    FreeRider,
    /// Serves false data in some of the blocks.
    Poisoner {
        /// Every so many-th block that it sends is false; 1 for all.
        one_in: u32,
    },
}

/// Playback while downloading.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Streaming {
    /// How fast the content is played.
    pub bitrate: Rate,
    /// How much must be there from the front, in playing time, before playback starts, and again
    /// before it goes on after a stall.
    pub startup_buffer: Micros,
}
