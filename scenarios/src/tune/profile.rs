//! What a client can take from a search: the varied parameters of the engine, as settings.

use std::collections::BTreeSet;

use crate::schema::{Scenario, Strategy, StrategyChoice};

/// The parameters of the engine among what was varied, and the rest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Profile {
    /// The varied parameters, with the scenario's values; nothing else is set.
    pub strategy: Strategy,
    /// Varied fields that are no parameters of a client: lines, arrivals, the tracker.
    pub elsewhere: Vec<String>,
}

/// Fields that make no profile together.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProfileError {
    /// Two strategies were varied.
    #[error(
        "{one} and {other} are two strategies, and a client has one: vary the parameters of one at a time"
    )]
    Strategies {
        /// One.
        one: String,
        /// The other.
        other: String,
    },
}

impl Profile {
    /// The profile of a scenario whose fields `paths` were varied.
    ///
    /// # Errors
    /// When they are of two strategies.
    pub fn new(scenario: &Scenario, paths: &[String]) -> Result<Self, ProfileError> {
        let mut found: Option<(String, Strategy)> = None;
        let (mut fields, mut elsewhere) = (BTreeSet::new(), Vec::new());
        for path in paths {
            let names: Vec<&str> = path.split('.').collect();
            let Some((owner, strategy, field)) = parameter(scenario, &names) else {
                elsewhere.push(path.clone());
                continue;
            };
            if let Some((one, _)) = found.as_ref().filter(|(one, _)| *one != owner) {
                return Err(ProfileError::Strategies {
                    one: one.clone(),
                    other: owner,
                });
            }
            match field {
                Some(field) => drop(fields.insert(field)),
                None => fields.extend(FIELDS),
            }
            found = Some((owner, strategy.clone()));
        }
        Ok(Self {
            strategy: found.map_or_else(Strategy::default, |(_, all)| all.only(&fields)),
            elsewhere,
        })
    }
}

/// Every parameter of a strategy.
const FIELDS: [&str; 16] = [
    "slots",
    "choke_interval",
    "optimistic_interval",
    "snub",
    "leech_choke",
    "seed_choke",
    "seed_quota_pieces",
    "super_seed",
    "pick",
    "random_first_pieces",
    "request_queue",
    "requests_max",
    "endgame_requests",
    "request_timeout",
    "connections",
    "half_open",
];

/// Whose strategy a path leads into, that strategy, and its parameter unless the path names all.
fn parameter<'a>(
    scenario: &'a Scenario,
    names: &[&'a str],
) -> Option<(String, &'a Strategy, Option<&'a str>)> {
    match names {
        ["strategy", rest @ ..] => Some((
            "strategy".to_owned(),
            &scenario.strategy,
            rest.first().copied(),
        )),
        ["strategies", name, rest @ ..] => {
            let strategy = scenario.strategies.get(*name)?;
            Some((
                format!("strategies.{name}"),
                strategy,
                rest.first().copied(),
            ))
        }
        ["classes", class, "strategy", rest @ ..] => {
            let by_number = class
                .parse()
                .ok()
                .and_then(|at: usize| scenario.classes.get(at));
            let by_name = || scenario.classes.iter().find(|known| known.name == *class);
            let class = by_number.or_else(by_name)?;
            let owner = match &class.strategy {
                Some(StrategyChoice::Named(name)) if !rest.is_empty() => {
                    format!("strategies.{name}")
                }
                _ => format!("classes.{}.strategy", class.name),
            };
            Some((owner, scenario.strategy_of(class), rest.first().copied()))
        }
        _ => None,
    }
}
