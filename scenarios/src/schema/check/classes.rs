//! The ranges of classes and of the strategies that they follow.

use dunlin_port::config::{Config, EngineConfig};

use super::{CLASSES_MAX, DELAY_MAX, Faults, NODES_MAX, PACKET_NODES_MAX, RUN_MAX};
use crate::schema::{
    Arrival, Behaviour, Class, Micros, Model, Permille, Rate, Role, Rtt, Scenario, Span, Stay,
    Strategy, StrategyChoice,
};

/// Slowest line: 1 kbit/s.
const RATE_MIN: Rate = Rate(125);
/// Fastest line: 1 Tbit/s.
const RATE_MAX: Rate = Rate(125_000_000_000);

/// What is wrong with slots of those who never unchoke.
const NO_SLOTS: &str = "is set, but a FreeRider has no slots";

impl Scenario {
    pub(super) fn check_classes(&self, faults: &mut Faults) {
        faults.range("classes", self.classes.len(), 1, CLASSES_MAX);
        faults.unique(
            "classes",
            self.classes.iter().map(|class| class.name.clone()),
        );
        let nodes: u64 = self
            .classes
            .iter()
            .map(|class| u64::from(class.count))
            .sum();
        let most = match self.model {
            Model::Flow { .. } => NODES_MAX,
            Model::Packet { .. } => PACKET_NODES_MAX,
        };
        if !(1..=u64::from(most)).contains(&nodes) {
            faults.add(
                "classes",
                format!("have {nodes} nodes, expected 1 to {most}"),
            );
        }
        let has_seed = |class: &Class| class.role == Role::Seed && class.count > 0;
        if !self.classes.iter().any(has_seed) {
            faults.add("classes", "have no seed: nobody could become complete");
        }
        for (at, class) in self.classes.iter().enumerate() {
            let path = format!("classes[{at}]");
            self.check_line(class, &path, faults);
            self.check_arrival(class, &path, faults);
            check_stay(class, &path, faults);
            check_behaviour(class, &path, faults);
            match &class.strategy {
                Some(StrategyChoice::Named(name)) if !self.strategies.contains_key(name) => {
                    let known: Vec<&str> = self.strategies.keys().map(String::as_str).collect();
                    let known = if known.is_empty() {
                        "none".to_owned()
                    } else {
                        known.join(", ")
                    };
                    faults.add(
                        format!("{path}.strategy"),
                        format!("is {name:?}, strategies has {known}"),
                    );
                }
                Some(StrategyChoice::Inline(strategy)) => {
                    check_strategy(strategy, &format!("{path}.strategy"), faults);
                    if strategy.slots.is_some() && class.is_free_rider() {
                        faults.add(format!("{path}.strategy.slots"), NO_SLOTS);
                    }
                }
                _ => {}
            }
        }
    }

    pub(super) fn check_strategies(&self, faults: &mut Faults) {
        check_strategy(&self.strategy, "strategy", faults);
        for (name, strategy) in &self.strategies {
            let path = format!("strategies.{name}");
            faults.name(path.clone(), name);
            check_strategy(strategy, &path, faults);
            let mut users = self.classes.iter().filter(|class| class.names(name));
            if !self.strategy_names().contains(name) {
                faults.add(path, "is the strategy of no class");
            } else if strategy.slots.is_some() && users.all(Class::is_free_rider) {
                faults.add(format!("{path}.slots"), NO_SLOTS);
            }
        }
    }

    fn check_line(&self, class: &Class, path: &str, faults: &mut Faults) {
        faults.name(format!("{path}.name"), &class.name);
        faults.range(format!("{path}.up"), class.up, RATE_MIN, RATE_MAX);
        faults.range(format!("{path}.down"), class.down, RATE_MIN, RATE_MAX);
        for (name, limit) in [
            ("up_limit", class.up_limit),
            ("down_limit", class.down_limit),
        ] {
            if let Some(limit) = limit {
                faults.range(format!("{path}.{name}"), limit, RATE_MIN, RATE_MAX);
            }
        }
        if class.role == Role::Seed && class.down_limit.is_some() {
            faults.add(
                format!("{path}.down_limit"),
                "is set, but a seed downloads nothing",
            );
        }
        faults.range(
            format!("{path}.access_delay"),
            class.access_delay,
            Micros(0),
            DELAY_MAX,
        );
        faults.range(format!("{path}.loss_ppm"), class.loss_ppm, 0, 500_000);
        if let Some(buffer) = class.buffer {
            let millisecond = Micros(1_000);
            faults.range(format!("{path}.buffer"), buffer, millisecond, DELAY_MAX);
        } else if matches!(self.model, Model::Packet { .. }) {
            faults.add(
                format!("{path}.buffer"),
                "is missing, but packets wait in one",
            );
        }
        let region = format!("{path}.region");
        match (&self.rtt, &class.region) {
            (Rtt::Uniform(_), Some(_)) => faults.add(region, "is set, but rtt has no regions"),
            (Rtt::Regions { names, .. }, None) => {
                faults.add(
                    region,
                    format!("is missing, expected one of {}", names.join(", ")),
                );
            }
            (Rtt::Regions { names, .. }, Some(name)) if !names.contains(name) => {
                faults.add(
                    region,
                    format!("is {name:?}, expected one of {}", names.join(", ")),
                );
            }
            (Rtt::Uniform(_), None) | (Rtt::Regions { .. }, Some(_)) => {}
        }
    }

    fn check_arrival(&self, class: &Class, path: &str, faults: &mut Faults) {
        let path = format!("{path}.arrival");
        let end = self.at_most;
        let before_end = |faults: &mut Faults, name: &str, at: Micros, min: u64| {
            faults.range(format!("{path}{name}"), at, Micros(min), end);
        };
        match &class.arrival {
            Arrival::AtStart => {}
            Arrival::At(at) => before_end(faults, "", *at, 0),
            Arrival::Flash { within } => before_end(faults, ".within", *within, 1),
            Arrival::Poisson { every, until } => {
                faults.range(format!("{path}.every"), *every, Micros(1), RUN_MAX);
                before_end(faults, ".until", until.unwrap_or(end), 1);
            }
            Arrival::ExpDecay { every, tau, until } => {
                faults.range(format!("{path}.every"), *every, Micros(1), RUN_MAX);
                faults.range(format!("{path}.tau"), *tau, Micros(1), RUN_MAX);
                before_end(faults, ".until", until.unwrap_or(end), 1);
            }
            Arrival::Trace(times) => {
                if times.len() != class.count as usize {
                    let (count, times) = (class.count, times.len());
                    faults.add(
                        path.clone(),
                        format!("has {times} times, but count is {count}"),
                    );
                }
                if !times.is_sorted() {
                    faults.add(path.clone(), "is not in order");
                }
                if let Some(last) = times.iter().max() {
                    before_end(faults, "", *last, 0);
                }
            }
        }
    }
}

fn check_stay(class: &Class, path: &str, faults: &mut Faults) {
    let is_seed = class.role == Role::Seed;
    let stay = format!("{path}.stay");
    match class.stay {
        Stay::LeaveOnComplete if is_seed => faults.add(
            stay,
            "is LeaveOnComplete, but a seed is complete when it comes",
        ),
        Stay::Forever | Stay::LeaveOnComplete => {}
        Stay::AfterRatio(ratio) => faults.range(stay, ratio, Permille(1), Permille(1_000_000)),
        Stay::SeedFor(span) | Stay::AfterTime(span) => check_span(span, stay, faults),
    }
    if let Some(span) = class.abort {
        check_span(span, format!("{path}.abort"), faults);
        if is_seed {
            faults.add(
                format!("{path}.abort"),
                "is set, but a seed has nothing to give up",
            );
        }
    }
    if let Some(span) = class.crash {
        check_span(span, format!("{path}.crash"), faults);
    }
}

fn check_span(span: Span, path: String, faults: &mut Faults) {
    let (Span::Fixed(time) | Span::Exponential { mean: time }) = span;
    faults.range(path, time, Micros(1), RUN_MAX);
}

fn check_behaviour(class: &Class, path: &str, faults: &mut Faults) {
    let is_seed = class.role == Role::Seed;
    match class.behaviour {
        Behaviour::FreeRider if is_seed => {
            faults.add(
                format!("{path}.behaviour"),
                "is FreeRider, but a seed does nothing else than serve",
            );
        }
        Behaviour::Honest | Behaviour::FreeRider => {}
        Behaviour::Poisoner { one_in } => {
            faults.range(format!("{path}.behaviour.one_in"), one_in, 1, 1_000_000);
        }
    }
    if let Some(streaming) = class.streaming {
        let path = format!("{path}.streaming");
        faults.range(
            format!("{path}.bitrate"),
            streaming.bitrate,
            RATE_MIN,
            RATE_MAX,
        );
        faults.range(
            format!("{path}.startup_buffer"),
            streaming.startup_buffer,
            Micros(0),
            RUN_MAX,
        );
        if is_seed {
            faults.add(path, "is set, but a seed has nothing to wait for");
        }
    }
}

/// Whole seconds here; the ranges are the engine's own.
fn check_strategy(strategy: &Strategy, path: &str, faults: &mut Faults) {
    for (name, time) in strategy.times() {
        if let Some(time) = time.filter(|time| !time.0.is_multiple_of(1_000_000)) {
            faults.add(
                format!("{path}.{name}"),
                format!("is {time}, expected whole seconds"),
            );
        }
    }
    let config = Config {
        engine: EngineConfig::from(strategy),
        ..Config::default()
    };
    if let Err(error) = config.check() {
        faults.add(path, format!("does not fit the engine: {error}"));
    }
}
