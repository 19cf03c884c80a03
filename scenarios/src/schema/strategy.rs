//! The rules that nodes follow: the real engine's parameters, by name.

use core::fmt;

use dunlin_port::config::{EngineConfig, LeechChoke, PickStrategy, SeedChoke, SlotCount};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Micros;

/// Parameters of the engine. What is not set is the engine's default. Times are whole seconds.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Strategy {
    /// How many peers are unchoked at a time, the optimistic one included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slots: Option<Slots>,
    /// Time between choke rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choke_interval: Option<Micros>,
    /// Time between changes of the optimistic slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimistic_interval: Option<Micros>,
    /// Time without a block from an unchoked peer after which it counts as snubbing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snub: Option<Micros>,
    /// Who is served for what is still needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leech_choke: Option<LeechChokeRule>,
    /// Who is served while seeding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed_choke: Option<SeedChokeRule>,
    /// Pieces that a peer gets before its slot may rotate to another (round-robin).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed_quota_pieces: Option<u32>,
    /// Whether who has everything shows itself piece by piece (BEP 16).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub super_seed: Option<bool>,
    /// How pieces are chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pick: Option<PickRule>,
    /// Pieces that are chosen at random before rarest-first begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random_first_pieces: Option<u32>,
    /// How much to keep requested from a peer, as time at its present rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_queue: Option<Micros>,
    /// Most requests to keep out at one peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_max: Option<u32>,
    /// Endgame: blocks that one peer may be asked for though others are; 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endgame_requests: Option<u32>,
    /// Time without an answer after which a request is given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_timeout: Option<Micros>,
    /// Most connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// Most connection attempts under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub half_open: Option<u32>,
}

/// [`SlotCount`] as scenarios write it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Slots {
    /// Always so many.
    Fixed(u32),
    /// As many as the upload rate feeds.
    RateBased,
}

/// [`LeechChoke`] as scenarios write it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LeechChokeRule {
    /// Those who gave most in the last round, and one by luck.
    TitForTat,
    /// Those who give most for what has to be given to them, and to each just that, as far as `up_limit`
    /// of the class goes or, without one, what the line was seen to carry. `Fixed` slots are the most then.
    BitTyrant,
}

/// [`SeedChoke`] as scenarios write it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SeedChokeRule {
    /// Everybody in turn, each for a quota of pieces and at least a minute.
    RoundRobin,
    /// Those who take the fastest.
    FastestUpload,
    /// Those who have just begun or are nearly done.
    AntiLeech,
}

/// [`PickStrategy`] as scenarios write it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PickRule {
    /// The piece that fewest connected peers have, at random among equals.
    RarestFirst,
    /// From the first to the last.
    Sequential,
    /// The piece after the last one begun, round and round.
    RoundRobin,
}

/// The strategy of a class: the name of one of the scenario's `strategies`, or one of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StrategyChoice {
    /// One of the scenario's `strategies`.
    Named(String),
    /// Written in the class itself.
    Inline(Strategy),
}

impl Serialize for StrategyChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Named(name) => serializer.serialize_str(name),
            Self::Inline(strategy) => strategy.serialize(serializer),
        }
    }
}

/// Text is a name, a struct is a strategy.
struct ChoiceVisitor;

impl<'de> de::Visitor<'de> for ChoiceVisitor {
    type Value = StrategyChoice;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a strategy in quotes, or a strategy such as (slots: Fixed(4))")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<StrategyChoice, E> {
        Ok(StrategyChoice::Named(name.to_owned()))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<StrategyChoice, A::Error> {
        Strategy::deserialize(de::value::MapAccessDeserializer::new(map))
            .map(StrategyChoice::Inline)
    }
}

impl<'de> Deserialize<'de> for StrategyChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ChoiceVisitor)
    }
}

impl Strategy {
    /// The times of a strategy with their names.
    pub(super) fn times(&self) -> [(&'static str, Option<Micros>); 5] {
        [
            ("choke_interval", self.choke_interval),
            ("optimistic_interval", self.optimistic_interval),
            ("snub", self.snub),
            ("request_queue", self.request_queue),
            ("request_timeout", self.request_timeout),
        ]
    }
}

/// Seconds of a time that the check has found to be whole seconds.
fn secs(time: Micros) -> u64 {
    time.0 / 1_000_000
}

/// Overwrites `field` when `value` is set.
fn set<T, U: Into<T>>(field: &mut T, value: Option<U>) {
    if let Some(value) = value {
        *field = value.into();
    }
}

impl From<&Strategy> for EngineConfig {
    fn from(strategy: &Strategy) -> Self {
        let mut config = Self::default();
        let (choke, pick) = (&mut config.choke, &mut config.pick);
        set(&mut choke.slots, strategy.slots);
        set(&mut choke.interval_secs, strategy.choke_interval.map(secs));
        set(
            &mut choke.optimistic_interval_secs,
            strategy.optimistic_interval.map(secs),
        );
        set(&mut choke.snub_secs, strategy.snub.map(secs));
        set(&mut choke.leech, strategy.leech_choke);
        set(&mut choke.seed, strategy.seed_choke);
        set(&mut choke.seed_quota_pieces, strategy.seed_quota_pieces);
        set(&mut choke.super_seed, strategy.super_seed);
        set(&mut pick.strategy, strategy.pick);
        set(&mut pick.random_first_pieces, strategy.random_first_pieces);
        set(
            &mut pick.request_queue_secs,
            strategy.request_queue.map(secs),
        );
        set(&mut pick.requests_max, strategy.requests_max);
        set(&mut pick.endgame_requests, strategy.endgame_requests);
        set(
            &mut pick.request_timeout_secs,
            strategy.request_timeout.map(secs),
        );
        let limits = &mut config.limits;
        set(&mut limits.connections, strategy.connections);
        set(&mut limits.connections_per_torrent, strategy.connections);
        set(&mut limits.half_open, strategy.half_open);
        config
    }
}

impl From<&EngineConfig> for Strategy {
    /// Every parameter set, as the engine has it. What scenarios do not vary is left out.
    fn from(config: &EngineConfig) -> Self {
        let EngineConfig {
            choke,
            pick,
            limits,
            ..
        } = config;
        let time = |secs: u64| Some(Micros(secs.saturating_mul(1_000_000)));
        Self {
            slots: Some(match choke.slots {
                SlotCount::Fixed(slots) => Slots::Fixed(slots),
                SlotCount::RateBased => Slots::RateBased,
            }),
            choke_interval: time(choke.interval_secs),
            optimistic_interval: time(choke.optimistic_interval_secs),
            snub: time(choke.snub_secs),
            leech_choke: Some(match choke.leech {
                LeechChoke::TitForTat => LeechChokeRule::TitForTat,
                LeechChoke::BitTyrant => LeechChokeRule::BitTyrant,
            }),
            seed_choke: Some(match choke.seed {
                SeedChoke::RoundRobin => SeedChokeRule::RoundRobin,
                SeedChoke::FastestUpload => SeedChokeRule::FastestUpload,
                SeedChoke::AntiLeech => SeedChokeRule::AntiLeech,
            }),
            seed_quota_pieces: Some(choke.seed_quota_pieces),
            super_seed: Some(choke.super_seed),
            pick: Some(match pick.strategy {
                PickStrategy::RarestFirst => PickRule::RarestFirst,
                PickStrategy::Sequential => PickRule::Sequential,
                PickStrategy::RoundRobin => PickRule::RoundRobin,
            }),
            random_first_pieces: Some(pick.random_first_pieces),
            request_queue: time(pick.request_queue_secs),
            requests_max: Some(pick.requests_max),
            endgame_requests: Some(pick.endgame_requests),
            request_timeout: time(pick.request_timeout_secs),
            connections: Some(limits.connections_per_torrent),
            half_open: Some(limits.half_open),
        }
    }
}

impl Strategy {
    /// The same rules with every parameter set: the engine's defaults where this one is silent.
    #[must_use]
    pub fn effective(&self) -> Self {
        Self::from(&EngineConfig::from(self))
    }
}

impl From<Slots> for SlotCount {
    fn from(slots: Slots) -> Self {
        match slots {
            Slots::Fixed(slots) => Self::Fixed(slots),
            Slots::RateBased => Self::RateBased,
        }
    }
}

impl From<LeechChokeRule> for LeechChoke {
    fn from(rule: LeechChokeRule) -> Self {
        match rule {
            LeechChokeRule::TitForTat => Self::TitForTat,
            LeechChokeRule::BitTyrant => Self::BitTyrant,
        }
    }
}

impl From<SeedChokeRule> for SeedChoke {
    fn from(rule: SeedChokeRule) -> Self {
        match rule {
            SeedChokeRule::RoundRobin => Self::RoundRobin,
            SeedChokeRule::FastestUpload => Self::FastestUpload,
            SeedChokeRule::AntiLeech => Self::AntiLeech,
        }
    }
}

impl From<PickRule> for PickStrategy {
    fn from(rule: PickRule) -> Self {
        match rule {
            PickRule::RarestFirst => Self::RarestFirst,
            PickRule::Sequential => Self::Sequential,
            PickRule::RoundRobin => Self::RoundRobin,
        }
    }
}
