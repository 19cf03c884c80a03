//! Finds where two recordings part: the first tick, what it was given, and the rows that differ.

use core::fmt::Debug;
use core::ops::ControlFlow;
use std::collections::BTreeMap;
use std::io::Read;

use dunlin_base::EngineTime;
use dunlin_systems::{Engine, NodeSettings};

use super::border::{Given, get_given};
use super::code::{Code as _, Input};
use super::kind;
use super::player::{Played, Player};
use super::reader::RecordingError;

/// Longest text of an event that differs.
const EVENT_CHARS_MAX: usize = 200;

/// Where two recordings part.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Difference {
    /// Ticks that are alike.
    pub same_ticks: u64,
    /// The first tick that is not; `None` when there is no such.
    pub parting: Option<Parting>,
    /// Whether whoever watched ended the search.
    pub stopped: bool,
}

/// The first tick that differs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parting {
    /// Its number, from 1.
    pub tick: u64,
    /// Its instant in each recording; `None` where it has no such tick.
    pub at: [Option<EngineTime>; 2],
    /// The first thing that the two were given which differs, in words; empty where one was given
    /// nothing more.
    pub given: Option<[String; 2]>,
    /// Tables that were otherwise when the tick was recorded than when it is played here: then the
    /// two were recorded by programs that differ.
    pub not_as_recorded: [Vec<String>; 2],
    /// Rows that differ after the tick.
    pub rows: Vec<RowDifference>,
}

/// A row that differs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RowDifference {
    /// Its table.
    pub table: &'static str,
    /// Its key, as it is shown to people.
    pub row: String,
    /// Its digest in each; `None` where it is not there.
    pub digests: [Option<u64>; 2],
}

/// Two recordings cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// The first is no recording, or is damaged.
    #[error("A: {0}")]
    Left(RecordingError),
    /// The second is.
    #[error("B: {0}")]
    Right(RecordingError),
}

/// Plays two recordings side by side up to the first tick that differs. `watch` sees every tick
/// that is alike and may end it.
///
/// # Errors
/// When one is no recording or is damaged before they part.
pub fn diff(
    left: impl Read,
    right: impl Read,
    watch: &mut dyn FnMut(&Played) -> ControlFlow<()>,
) -> Result<Difference, DiffError> {
    let mut left = Player::open(left).map_err(DiffError::Left)?;
    let mut right = Player::open(right).map_err(DiffError::Right)?;
    let mut difference = Difference::default();
    loop {
        let one = left.play().map_err(DiffError::Left)?;
        let other = right.play().map_err(DiffError::Right)?;
        let alike = match (&one, &other) {
            (None, None) => return Ok(difference),
            (Some(one), Some(other)) => {
                let as_recorded = one.mismatch.is_empty() && other.mismatch.is_empty();
                as_recorded && one.digest == other.digest && left.given() == right.given()
            }
            _ => false,
        };
        if !alike {
            let given =
                (left.given() != right.given()).then(|| first_given([left.given(), right.given()]));
            let tables = |played: &Option<Played>| {
                let played = played.as_ref();
                played.map_or_else(Vec::new, |played| played.mismatch.clone())
            };
            difference.parting = Some(Parting {
                tick: difference.same_ticks + 1,
                at: [&one, &other].map(|played| played.as_ref().map(|played| played.at)),
                given,
                not_as_recorded: [tables(&one), tables(&other)],
                rows: rows(left.engine(), right.engine()),
            });
            return Ok(difference);
        }
        difference.same_ticks += 1;
        if one.is_some_and(|played| watch(&played).is_break()) {
            difference.stopped = true;
            return Ok(difference);
        }
    }
}

fn rows(left: &mut Engine, right: &mut Engine) -> Vec<RowDifference> {
    let mut all: BTreeMap<(&'static str, String), [Option<u64>; 2]> = BTreeMap::new();
    for (side, engine) in [left, right].into_iter().enumerate() {
        for row in engine.row_digests() {
            all.entry((row.table, row.row)).or_default()[side] = Some(row.digest);
        }
    }
    let differing = all
        .into_iter()
        .filter(|(_, [left, right])| left != right)
        .map(|((table, row), digests)| RowDifference {
            table,
            row,
            digests,
        });
    differing.collect()
}

/// The first thing in what two ticks were given that differs.
fn first_given(bytes: [&[u8]; 2]) -> [String; 2] {
    let lists = bytes.map(in_words);
    let [left, right] = &lists;
    let at = left
        .iter()
        .zip(right)
        .position(|(left, right)| left != right)
        .unwrap_or(left.len().min(right.len()));
    lists.map(|list| list.into_iter().nth(at).unwrap_or_default())
}

/// What a tick was given, each thing in words: the nodes that were added before it, rule by rule, then what
/// the ports had.
fn in_words(bytes: &[u8]) -> Vec<String> {
    let (mut input, mut list) = (Input::new(bytes), Vec::new());
    // All of it was read once: what is malformed has ended the comparison by now.
    while let Ok(kind) = u8::get(&mut input) {
        match kind {
            kind::NODE => match NodeSettings::get(&mut input) {
                Ok(settings) => node_in_words(&settings, &mut list),
                Err(_) => return list,
            },
            kind::GIVEN => match get_given(&mut input) {
                Ok(given) => events_in_words(&given, &mut list),
                Err(_) => return list,
            },
            _ => return list,
        }
    }
    list
}

fn node_in_words(settings: &NodeSettings, list: &mut Vec<String>) {
    let NodeSettings {
        node,
        peer_id,
        config,
    } = settings;
    let node = node.0;
    list.push(format!("node {node} with {peer_id:?}"));
    let rules = serde_json::to_value(config).unwrap_or_default();
    rules_in_words(&format!("node {node}: "), &rules, list);
}

/// Each rule by the path that it has in a configuration file.
fn rules_in_words(path: &str, rules: &serde_json::Value, list: &mut Vec<String>) {
    let serde_json::Value::Object(table) = rules else {
        return list.push(format!("{path} = {rules}"));
    };
    for (name, rules) in table {
        let dot = if path.ends_with(' ') { "" } else { "." };
        rules_in_words(&format!("{path}{dot}{name}"), rules, list);
    }
}

fn events_in_words(Given { now, inbox }: &Given, list: &mut Vec<String>) {
    list.push(format!("a tick at {now}"));
    list.extend(inbox.net.iter().map(shown));
    list.extend(inbox.disk.iter().map(shown));
    list.extend(inbox.hash.iter().map(shown));
    list.extend(inbox.tracker.iter().map(shown));
    list.extend(inbox.user.iter().map(shown));
}

fn shown(event: &impl Debug) -> String {
    format!("{event:?}").chars().take(EVENT_CHARS_MAX).collect()
}
