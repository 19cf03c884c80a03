//! From text to a checked scenario and back, with overrides from the command line.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeMap;
use std::path::Path;

use ron::extensions::Extensions;

use super::Scenario;
use super::check::OutOfRange;
use super::suggest::{did_you_mean, explained};
use super::tree::{Parts, Tree};

/// Largest scenario file.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// A scenario that cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("{file}: {source}")]
    Read {
        /// Which.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than any scenario.
    #[error("{file} has {bytes} bytes, a scenario has at most {FILE_BYTES_MAX}")]
    TooLong {
        /// Which.
        file: String,
        /// Its length.
        bytes: u64,
    },
    /// The text is no RON, or has fields or values that a scenario has not.
    #[error("{file}:{line}:{column}: {message}")]
    Syntax {
        /// Which file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// An override does not fit.
    #[error("{text}: {message}")]
    Override {
        /// The override.
        text: String,
        /// What is wrong with it.
        message: String,
    },
    /// Values are out of range; all of them.
    #[error("{}", listed(.0))]
    Range(Vec<Misplaced>),
}

/// A value out of range and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Misplaced {
    /// Which file.
    pub file: String,
    /// Line and column, from 1, of the value or the nearest that is written out.
    pub position: (usize, usize),
    /// What is wrong.
    pub what: OutOfRange,
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.position;
        write!(f, "{}:{line}:{column}: {}", self.file, self.what)
    }
}

fn listed(all: &[Misplaced]) -> String {
    let lines: Vec<String> = all.iter().map(Misplaced::to_string).collect();
    lines.join("\n")
}

/// A value to put in the place of a scenario's own: `classes.leech.up=1Mbit`.
///
/// A path goes by the names of fields; items of lists by number or by their `name`. The value is
/// RON, or else text that needs no quotes. An optional field that is not set is added.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Override {
    /// Where.
    pub path: String,
    /// What.
    pub value: String,
}

impl FromStr for Override {
    type Err = ScenarioError;

    fn from_str(text: &str) -> Result<Self, ScenarioError> {
        let parts = text
            .split_once('=')
            .map(|(path, value)| (path.trim(), value.trim()));
        match parts {
            Some((path, value)) if !path.is_empty() && !value.is_empty() => Ok(Self {
                path: path.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err(ScenarioError::Override {
                text: text.to_owned(),
                message: "expected path=value, such as classes.0.count=50".to_owned(),
            }),
        }
    }
}

impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.path, self.value)
    }
}

fn options() -> ron::Options {
    ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME)
}

impl Scenario {
    /// Reads, overrides and checks the scenario in a file.
    ///
    /// # Errors
    /// When the file cannot be read, and as [`Scenario::parse`].
    pub fn load(path: &Path, overrides: &[Override]) -> Result<Self, ScenarioError> {
        let file = path.display().to_string();
        let read = |source| ScenarioError::Read {
            file: file.clone(),
            source,
        };
        let bytes = std::fs::metadata(path).map_err(read)?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(ScenarioError::TooLong { file, bytes });
        }
        let text = std::fs::read_to_string(path).map_err(read)?;
        Self::parse(&file, &text, overrides)
    }

    /// Overrides and checks a scenario's text; `file` is its name in errors.
    ///
    /// # Errors
    /// Names line and column of what is no scenario, the override that does not fit, or every
    /// value that is out of range.
    pub fn parse(file: &str, text: &str, overrides: &[Override]) -> Result<Self, ScenarioError> {
        let mut scenario = typed(text).map_err(|error| ScenarioError::Syntax {
            file: file.to_owned(),
            line: error.span.start.line,
            column: error.span.start.col,
            message: explained(&error.code),
        })?;
        let named = scenario.strategy_names();
        for one in overrides {
            scenario = overridden(&scenario, one).map_err(|message| ScenarioError::Override {
                text: one.to_string(),
                message,
            })?;
        }
        // A strategy that an override put another in the place of is no mistake of the file's.
        let still = scenario.strategy_names();
        let strategies = &mut scenario.strategies;
        strategies.retain(|name, _| still.contains(name) || !named.contains(name));
        let faults = scenario.check();
        if faults.is_empty() {
            return Ok(scenario);
        }
        let place = |what: OutOfRange| Misplaced {
            file: file.to_owned(),
            position: position(text, &what.path),
            what,
        };
        Err(ScenarioError::Range(
            faults.into_iter().map(place).collect(),
        ))
    }

    /// The scenario with overrides, checked.
    ///
    /// # Errors
    /// Names the override that does not fit, or every value that is out of range.
    pub fn with(&self, overrides: &[Override]) -> Result<Self, ScenarioError> {
        Self::parse(&self.name, &self.to_ron(), overrides)
    }

    /// Every field that is written out, by path, with its value as RON. What begins with a name,
    /// as `Fixed(4)` does, is one value.
    #[must_use]
    pub fn fields(&self) -> BTreeMap<String, String> {
        let text = self.to_ron();
        let leaves = Tree::parse(&text).map_or_else(Vec::new, |tree| tree.leaves(&text));
        let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        leaves
            .into_iter()
            .map(|(path, value)| (path, one_line(value).trim_matches('"').to_owned()))
            .collect()
    }

    /// The scenario as RON, every default written out. It reads back as the same scenario.
    #[must_use]
    pub fn to_ron(&self) -> String {
        let pretty = ron::ser::PrettyConfig::new()
            .new_line("\n")
            .indentor("  ")
            .compact_arrays(true);
        // No key is a map and no number a float: nothing of a scenario can fail to be written.
        options().to_string_pretty(self, pretty).unwrap_or_default()
    }
}

fn typed(text: &str) -> Result<Scenario, ron::error::SpannedError> {
    options().from_str(text)
}

/// Line and column of the value at `path`, or of the nearest around it.
fn position(text: &str, path: &str) -> (usize, usize) {
    let start = Tree::parse(text).map_or(0, |tree| tree.nearest(text, path).span.start);
    let before = &text[..start];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

/// The scenario with an override in it, cut into its text with all defaults written out. Values
/// that are no RON of the right type are tried as text, so that nobody has to quote twice.
fn overridden(scenario: &Scenario, one: &Override) -> Result<Scenario, String> {
    let text = scenario.to_ron();
    let error = match typed(&replaced(&text, &one.path, &one.value)?) {
        Ok(scenario) => return Ok(scenario),
        Err(error) => error,
    };
    let is_ron = Tree::parse(&one.value).is_some();
    typed(&replaced(&text, &one.path, &format!("{:?}", one.value))?)
        .map_err(|as_text| explained(&if is_ron { error } else { as_text }.code))
}

/// The text with `value` at `path`.
fn replaced(text: &str, path: &str, value: &str) -> Result<String, String> {
    let tree = Tree::parse(text).ok_or("the scenario cannot be taken apart")?;
    let names: Vec<&str> = path.split('.').collect();
    let mut here = &tree;
    for (depth, name) in names.iter().enumerate() {
        if let Some(part) = here.part(text, name) {
            here = part;
            continue;
        }
        let so_far = names[..depth].join(".");
        return match &here.parts {
            Parts::Named(parts) => Ok(added(text, here, parts.is_empty(), &names[depth..], value)),
            Parts::Ordered(parts) => {
                let called = parts.iter().filter_map(|part| part.name(text));
                Err(format!(
                    "{so_far} has no `{name}`: there is {}{}",
                    here.part_names(text).join(", "),
                    did_you_mean(name, called)
                ))
            }
            Parts::None => Err(format!(
                "{so_far} is {}, which has no `{name}` in it",
                &text[here.span.clone()]
            )),
        };
    }
    let Tree { span, .. } = here;
    Ok(format!(
        "{}{value}{}",
        &text[..span.start],
        &text[span.end..]
    ))
}

/// The text with a new part in `parent`, nested as deep as there are names.
fn added(text: &str, parent: &Tree, is_first: bool, names: &[&str], value: &str) -> String {
    let is_map = text[..parent.span.end].ends_with('}');
    let nested = names
        .iter()
        .enumerate()
        .rev()
        .fold(value.to_owned(), |inner, (depth, name)| {
            let key = if is_map && depth == 0 {
                format!("{name:?}")
            } else {
                (*name).to_owned()
            };
            if depth == 0 {
                format!("{key}: {inner}")
            } else {
                format!("({key}: {inner})")
            }
        });
    let inside_end = parent.span.end - 1;
    let inside = &text[..inside_end];
    // A comment may be the last thing inside, so the part goes to the front, behind the bracket.
    let open = parent.span.start
        + inside[parent.span.start..]
            .find(['(', '{'])
            .map_or(0, |at| at + 1);
    let comma = if is_first { "" } else { ", " };
    format!("{}{nested}{comma}{}", &text[..open], &text[open..])
}
