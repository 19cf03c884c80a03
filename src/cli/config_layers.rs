//! Where the configuration comes from: built-in defaults, under the file, under `DUNLIN_*`
//! variables. Flags come on top of that in the verbs that have them.
//!
//! A variable names a setting by its sections: `DUNLIN_ENGINE__LIMITS__UP=2M` is `up` in
//! `[engine.limits]`, with `_` for `-` and `__` between sections. Its value is TOML where it reads
//! as TOML (`7`, `true`, `["0.0.0.0:6881"]`, `{ fixed = 7 }`), and plain text otherwise. A variable
//! without `__` is no setting.
//!
//! A [`Profile`] is a file of some settings that lies over all of these, below flags alone: it was
//! named for this one session.
//!
//! What is wrong is refused whole, with its place: nobody runs with half a configuration.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use dunlin_port::config::{Config, ConfigError};
use toml::{Table, Value};

/// What the names of variables begin with.
const PREFIX: &str = "DUNLIN_";
/// Longest file that is read: a configuration is a few screens.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A configuration, and what it was made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Loaded {
    /// What is in force, flags aside.
    pub(crate) config: Config,
    /// The file that was read, if there is one.
    pub(crate) file: Option<PathBuf>,
    /// The variables that set something, by name.
    pub(crate) variables: Vec<String>,
}

/// Why a configuration is refused, and where it is wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The file is not there or cannot be read.
    #[error("cannot read the configuration {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file says something that cannot be.
    #[error("{}:{line}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A variable says something that cannot be.
    #[error("variable {name}: {reason}")]
    Variable {
        /// The variable.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The user's own file: `dunlin/config.toml` in the folder for configuration. It need not exist.
/// `None` when there is no such folder, as for a service without a home.
pub(crate) fn default_path() -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).map(PathBuf::from);
    // The XDG specification wants relative paths in its variables ignored.
    let folders = if cfg!(windows) {
        folder("APPDATA")
    } else {
        let home = || folder("HOME").map(|home| home.join(".config"));
        folder("XDG_CONFIG_HOME")
            .filter(|path| path.is_absolute())
            .or_else(home)
    };
    folders.map(|folder| folder.join("dunlin").join("config.toml"))
}

/// The configuration of defaults, file and environment. A file that is named has to be there; the
/// user's own need not.
///
/// # Errors
/// Names the place of whatever cannot be used.
pub(crate) fn load(named: Option<&Path>) -> Result<Loaded, LoadError> {
    load_with(named, std::env::vars_os())
}

/// As [`load`], with these variables.
fn load_with(
    named: Option<&Path>,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Loaded, LoadError> {
    let path = named.map(Path::to_path_buf).or_else(default_path);
    let text = match &path {
        Some(path) => read(path, named.is_some())?,
        None => None,
    };
    let file = path.filter(|_| text.is_some());
    let (config, mut table) = match (&text, &file) {
        (Some(text), Some(path)) => read_file_text(path, text)?,
        _ => (Config::default(), Table::new()),
    };
    let variables = settings_among(variables)?;
    let config = apply(config, &mut table, &variables)?;
    let variables = variables
        .into_iter()
        .map(|variable| variable.name)
        .collect();
    Ok(Loaded {
        config,
        file,
        variables,
    })
}

/// The configuration of a file alone.
///
/// # Errors
/// Names the line that cannot be used.
pub(crate) fn check_file(path: &Path) -> Result<Config, LoadError> {
    let text = read(path, true)?.unwrap_or_default();
    read_file_text(path, &text).map(|(config, _)| config)
}

/// Some settings in a file of their own, such as `dunlin sim tune` writes.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Profile(Table);

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// Names file, line and key of what is no setting.
    pub(crate) fn read(path: &str) -> Result<Self, LoadError> {
        let path = Path::new(path);
        let text = read(path, true)?.unwrap_or_default();
        read_file_text(path, &text).map(|(_, table)| Self(table))
    }

    /// The configuration with these settings over its own.
    pub(crate) fn over(&self, config: &Config) -> Config {
        let mut table = Table::try_from(config).expect("a configuration is a table");
        lay_over(&mut table, &self.0);
        table.try_into().expect("each value is of its key's type")
    }
}

/// Sets all values of `upper` in `lower`.
fn lay_over(lower: &mut Table, upper: &Table) {
    for (name, value) in upper {
        match (lower.get_mut(name), value) {
            (Some(Value::Table(below)), Value::Table(above)) => lay_over(below, above),
            _ => drop(lower.insert(name.clone(), value.clone())),
        }
    }
}

/// A file's text; `None` when there is none and none has to be.
fn read(path: &Path, has_to_exist: bool) -> Result<Option<String>, LoadError> {
    let fail = |error| LoadError::Read {
        path: path.to_path_buf(),
        error,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !has_to_exist => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(fail)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(fail(io::Error::other("it is longer than 1 MiB")));
    }
    Ok(Some(text))
}

fn read_file_text(path: &Path, text: &str) -> Result<(Config, Table), LoadError> {
    let fail = |offset, reason| LoadError::File {
        path: path.to_path_buf(),
        line: line_of(text, offset),
        reason,
    };
    let misread = |error: toml::de::Error| {
        fail(
            error.span().map_or(0, |span| span.start),
            error.message().to_owned(),
        )
    };
    let table: Table = toml::from_str(text).map_err(misread)?;
    let config: Config = toml::from_str(text).map_err(misread)?;
    config.check().map_err(|error| {
        let offset = error.key.and_then(|key| offset_of(text, key));
        fail(offset.unwrap_or(0), error.message)
    })?;
    Ok((config, table))
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text
        .bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
}

/// Where the value of a dotted key begins.
fn offset_of(text: &str, key: &str) -> Option<usize> {
    let root = toml::de::DeTable::parse(text).ok()?.into_inner();
    let mut names = key.split('.');
    let mut value = root.get(names.next()?)?;
    for name in names {
        value = value.get_ref().get(name)?;
    }
    Some(value.span().start)
}

/// A variable that sets something.
struct Variable {
    name: String,
    /// The setting's sections and its own name.
    key: Vec<String>,
    value: String,
}

impl Variable {
    fn fail(&self, reason: impl Into<String>) -> LoadError {
        LoadError::Variable {
            name: self.name.clone(),
            reason: reason.into(),
        }
    }

    /// What the value may mean, the likelier first: `1` may be a number or the name of a folder.
    fn meanings(&self) -> impl Iterator<Item = Value> {
        let as_toml = format!("value = {}", self.value).parse::<Table>().ok();
        let as_toml = as_toml
            .filter(|table| table.len() == 1)
            .and_then(|mut table| table.remove("value"));
        as_toml
            .into_iter()
            .chain([Value::String(self.value.clone())])
    }
}

/// The variables that set something, in the order of their names.
fn settings_among(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<Variable>, LoadError> {
    let mut found = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str() else { continue };
        let Some(key) = name.strip_prefix(PREFIX).filter(|key| key.contains("__")) else {
            continue;
        };
        let key = key
            .split("__")
            .map(|part| part.to_ascii_lowercase().replace('_', "-"))
            .collect();
        let name = name.to_owned();
        let value = value.into_string().map_err(|_value| LoadError::Variable {
            name: name.clone(),
            reason: "its value is no UTF-8".to_owned(),
        })?;
        found.push(Variable { name, key, value });
    }
    found.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(found)
}

/// Sets the variables on top of `table`, whose configuration is `config`.
fn apply(
    mut config: Config,
    table: &mut Table,
    variables: &[Variable],
) -> Result<Config, LoadError> {
    for variable in variables {
        let mut refused = None;
        let accepted = variable.meanings().find_map(|value| {
            let mut tried = table.clone();
            set(&mut tried, &variable.key, value);
            match tried.clone().try_into::<Config>() {
                Ok(config) => Some((tried, config)),
                // The first meaning is the one that was most likely meant.
                Err(error) => {
                    refused.get_or_insert_with(|| error.message().to_owned());
                    None
                }
            }
        });
        let Some((next, accepted)) = accepted else {
            return Err(variable.fail(refused.unwrap_or_default()));
        };
        check_set_by(&accepted, variable)?;
        (*table, config) = (next, accepted);
    }
    Ok(config)
}

/// Checks the ranges; what is wrong now and was not before is this variable's fault.
fn check_set_by(config: &Config, variable: &Variable) -> Result<(), LoadError> {
    config
        .check()
        .map_err(|ConfigError { message, .. }| variable.fail(message))
}

/// Sets a value in the tables below `table`, making those that are not there.
fn set(table: &mut Table, key: &[String], value: Value) {
    let [name, inner @ ..] = key else { return };
    if inner.is_empty() {
        table.insert(name.clone(), value);
        return;
    }
    let next = table
        .entry(name.as_str())
        .or_insert_with(|| Value::Table(Table::new()));
    // `slots = "rate-based"` in the file makes way for `...SLOTS__FIXED=7`.
    if !next.is_table() {
        *next = Value::Table(Table::new());
    }
    if let Value::Table(next) = next {
        set(next, inner, value);
    }
}

#[cfg(test)]
mod tests {
    use dunlin_port::config::{ByteSize, SlotCount};

    use super::*;

    fn with(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, LoadError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)))
            .collect();
        load_with(Some(&path), variables.into_iter())
    }

    fn refusal(text: &str, variables: &[(&str, &str)]) -> String {
        with(text, variables).unwrap_err().to_string()
    }

    #[test]
    fn variables_lie_over_the_file() {
        let text =
            "[engine.limits]\nup = \"1M\"\ndown = \"3M\"\n[engine.choke]\nslots = \"rate-based\"\n";
        let variables = [
            ("DUNLIN_ENGINE__LIMITS__UP", "2M"),
            ("DUNLIN_ENGINE__CHOKE__SLOTS__FIXED", "7"),
            ("DUNLIN_NETWORK__LISTEN", "[\"127.0.0.1:0\"]"),
            ("DUNLIN_PATHS__DOWNLOAD_DIR", "1984"),
            ("DUNLIN_LOG", "debug"),
            ("HOME", "/nowhere"),
        ];
        let loaded = with(text, &variables).unwrap();
        let limits = &loaded.config.engine.limits;
        assert_eq!(limits.up, Some(ByteSize(2 << 20)));
        assert_eq!(limits.down, Some(ByteSize(3 << 20)));
        assert_eq!(loaded.config.engine.choke.slots, SlotCount::Fixed(7));
        assert_eq!(
            loaded.config.network.listen,
            ["127.0.0.1:0".parse().unwrap()]
        );
        assert_eq!(loaded.config.paths.download_dir, Some("1984".into()));
        assert_eq!(loaded.variables.len(), 4);
    }

    #[test]
    fn refusals_name_the_line() {
        let unknown = refusal("# notes\n[engine.choke]\nslotz = 3\n", &[]);
        assert!(
            unknown.contains("config.toml:3: unknown field `slotz`"),
            "{unknown}"
        );
        let out_of_range = refusal("[engine.choke]\n\n\ninterval-secs = 0\n", &[]);
        assert!(
            out_of_range.contains("config.toml:4: engine.choke.interval-secs is 0"),
            "{out_of_range}"
        );
        let dotted = refusal("engine.choke.snub-secs = 1\n", &[]);
        assert!(dotted.contains("config.toml:1:"), "{dotted}");
        let no_toml = refusal("[engine\n", &[]);
        assert!(no_toml.contains("config.toml:1:"), "{no_toml}");
        let no_size = refusal("[engine.limits]\nup = -5\n", &[]);
        assert!(
            no_size.contains(":2: ") && no_size.contains("expected a size"),
            "{no_size}"
        );
    }

    #[test]
    fn refusals_name_the_variable() {
        for (name, value, reason) in [
            ("DUNLIN_ENGINE__CHOKE__SLOTZ", "3", "unknown field `slotz`"),
            ("DUNLIN_ENGINES__CHOKE", "3", "unknown field `engines`"),
            (
                "DUNLIN_ENGINE__CHOKE__INTERVAL_SECS",
                "0",
                "expected 1 to 3600",
            ),
            (
                "DUNLIN_ENGINE__CHOKE__INTERVAL_SECS",
                "soon",
                "expected u64",
            ),
            (
                "DUNLIN_NETWORK__LISTEN",
                "everywhere",
                "expected a sequence",
            ),
        ] {
            let error = refusal("", &[(name, value)]);
            assert!(error.contains(name) && error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_profile_lies_over_all_layers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile.toml");
        let profile = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Profile::read(path.to_str().unwrap())
        };
        let loaded = with(
            "[engine.choke]\nslots = \"rate-based\"\nsnub-secs = 33\n[engine.limits]\nup = \"1M\"\n",
            &[("DUNLIN_ENGINE__CHOKE__INTERVAL_SECS", "9")],
        );
        let text = "[engine.choke]\nslots = { fixed = 3 }\ninterval-secs = 20\n";
        let config = profile(text).unwrap().over(&loaded.unwrap().config);
        let choke = &config.engine.choke;
        assert_eq!(
            (choke.slots, choke.interval_secs),
            (SlotCount::Fixed(3), 20)
        );
        assert_eq!(
            (choke.snub_secs, config.engine.limits.up),
            (33, Some(ByteSize(1 << 20)))
        );
        let back = profile("[engine.choke]\nslots = \"rate-based\"\n")
            .unwrap()
            .over(&config);
        assert_eq!(back.engine.choke.slots, SlotCount::RateBased);

        let unknown = profile("[engine.choke]\nslotz = 3\n")
            .unwrap_err()
            .to_string();
        assert!(
            unknown.contains("profile.toml:2: unknown field `slotz`"),
            "{unknown}"
        );
        let range = profile("[engine.pick]\nrequest-queue-secs = 0\n")
            .unwrap_err()
            .to_string();
        assert!(
            range.contains("profile.toml:2: engine.pick.request-queue-secs is 0"),
            "{range}"
        );
    }

    #[test]
    fn a_named_file_has_to_exist() {
        let error = load_with(Some(Path::new("/nowhere/config.toml")), [].into_iter()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("cannot read the configuration /nowhere/config.toml")
        );
    }
}
