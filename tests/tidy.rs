//! Properties of the code itself: which crate may use which, what the deterministic part must not touch, and what no
//! file may leave behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The arrows of the workspace, each crate with what it may use. Everything absent is forbidden. A new arrow is a change
/// of the architecture: it belongs into the design notes in the same commit.
const ALLOWED: [(&str, &[&str]); 10] = [
    ("dunlin-base", &[]),
    ("dunlin-hash", &[]),
    ("dunlin-protocol", &["dunlin-base"]),
    ("dunlin-port", &["dunlin-base", "dunlin-protocol"]),
    ("dunlin-storage", &["dunlin-base", "dunlin-hash"]),
    (
        "dunlin-components",
        &["dunlin-base", "dunlin-port", "dunlin-protocol"],
    ),
    (
        "dunlin-systems",
        &[
            "dunlin-base",
            "dunlin-components",
            "dunlin-port",
            "dunlin-protocol",
        ],
    ),
    (
        "dunlin-net",
        &[
            "dunlin-base",
            "dunlin-hash",
            "dunlin-port",
            "dunlin-protocol",
            "dunlin-storage",
        ],
    ),
    (
        "dunlin-scenarios",
        &[
            "dunlin-base",
            "dunlin-hash",
            "dunlin-net",
            "dunlin-port",
            "dunlin-protocol",
            "dunlin-storage",
            "dunlin-systems",
        ],
    ),
    (
        "dunlin",
        &[
            "dunlin-base",
            "dunlin-components",
            "dunlin-hash",
            "dunlin-net",
            "dunlin-port",
            "dunlin-protocol",
            "dunlin-scenarios",
            "dunlin-storage",
            "dunlin-systems",
        ],
    ),
];

/// Crates from outside that belong behind one border.
const KEPT_BEHIND: [(&str, &[&str]); 4] = [
    (
        "bevy_ecs",
        &["dunlin", "dunlin-components", "dunlin-systems"],
    ),
    ("mio", &["dunlin-net"]),
    ("tokio", &["dunlin", "dunlin-net"]),
    ("clap", &["dunlin"]),
];

/// Where decisions are made: the same input and seed must give the same tables on every machine.
const DETERMINISTIC: [&str; 9] = [
    "core/base",
    "core/protocol",
    "components",
    "systems",
    "net/src/sim",
    "scenarios/src/arrivals.rs",
    "scenarios/src/bound.rs",
    "scenarios/src/fuzz",
    "scenarios/src/run",
];

/// What would let the machine into a decision, and what to use instead.
const NOT_DETERMINISTIC: [(&str, &str); 9] = [
    (
        "Instant::now",
        "time is an argument: dunlin_base's engine time",
    ),
    (
        "SystemTime",
        "time is an argument: dunlin_base's engine time",
    ),
    ("thread_rng", "dunlin_base's seeded streams"),
    ("std::thread", "a job through a port"),
    ("std::env", "the configuration"),
    ("std::fs", "the storage port"),
    ("TcpStream", "the network port"),
    ("HashMap", "BTreeMap or a dense table: its order is total"),
    ("HashSet", "BTreeSet or a dense table: its order is total"),
];

const LEFTOVERS: [&str; 6] = ["todo!", "dbg!", "unimplemented!", "FIXME", "TODO", "XXX:"];

const LINES_MAX: usize = 600;
const TEST_LINES_MAX: usize = 800;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    metadata["packages"]
        .as_array()
        .expect("a list of packages")
        .clone()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().expect("a string")
}

/// A package's arrows, with those of its tests and build scripts.
fn dependencies(package: &Value) -> BTreeSet<String> {
    let list = package["dependencies"]
        .as_array()
        .expect("a list of dependencies");
    list.iter()
        .map(|dependency| text(dependency, "name").to_owned())
        .collect()
}

/// A source file as the checks see it.
struct Source {
    /// Relative to the workspace.
    path: PathBuf,
    text: String,
    is_test: bool,
}

impl Source {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn is_library(&self) -> bool {
        self.path.components().any(|part| part.as_os_str() == "src")
    }

    /// The numbered lines without comments, up to the test module that ends the file.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self
            .text
            .find("#[cfg(test)]\nmod tests {")
            .unwrap_or(self.text.len());
        self.text[..end]
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line.split("//").next().unwrap_or_default()))
    }
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_str().expect("our own names");
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                let path = path
                    .strip_prefix(root())
                    .expect("below the root")
                    .to_owned();
                let below = |folder: &str| path.iter().any(|part| part == folder);
                // Fuzz targets are in a folder of their own; the fault campaign is not a test.
                let in_tests = below("tests") || below("benches") || below("fuzz") && !below("src");
                let is_test = in_tests || name == "tests.rs" || name.ends_with("_tests.rs");
                found.push(Source {
                    path,
                    text,
                    is_test,
                });
            }
        }
    }
    found.sort_by(|left, right| left.path.cmp(&right.path));
    found
}

fn report(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{what}:\n  {}", faults.join("\n  "));
}

#[test]
fn crates_use_only_what_they_may() {
    let mut faults = Vec::new();
    for package in packages() {
        let name = text(&package, "name");
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
            faults.push(format!("{name} is not in the table"));
            continue;
        };
        for used in dependencies(&package)
            .iter()
            .filter(|used| used.starts_with("dunlin"))
        {
            if !allowed.contains(&used.as_str()) {
                faults.push(format!("{name} must not use {used}"));
            }
        }
    }
    report("arrows that the design does not have", &faults);
}

#[test]
fn outside_crates_stay_behind_their_border() {
    let mut faults = Vec::new();
    for package in packages() {
        let name = text(&package, "name");
        let used = dependencies(&package);
        for (outside, users) in KEPT_BEHIND {
            if used.contains(outside) && !users.contains(&name) {
                faults.push(format!("{name} uses {outside}, which only {users:?} may"));
            }
        }
    }
    report("crates where they do not belong", &faults);
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<String> = sources()
        .iter()
        .filter(|source| source.is_library() && !source.text.starts_with("//!"))
        .map(Source::name)
        .collect();
    report("files that do not open with //!", &silent);
}

#[test]
fn no_file_is_too_long() {
    let mut long = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        let limit = if source.is_test {
            TEST_LINES_MAX
        } else {
            LINES_MAX
        };
        if lines > limit {
            long.push(format!("{}: {lines} lines, at most {limit}", source.name()));
        }
    }
    report("files to split", &long);
}

#[test]
fn every_file_belongs_to_a_module() {
    let all = sources();
    let declares = |parent: &Path, name: &str| {
        let source = all.iter().find(|source| source.path == parent);
        source.is_some_and(|source| source.text.contains(&format!("mod {name};")))
    };
    let mut lost = Vec::new();
    for source in all.iter().filter(|source| source.is_library()) {
        let folder = source.path.parent().expect("in a folder");
        let stem = source
            .path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .expect("a name");
        let (home, name) = match stem {
            "lib" | "main" => continue,
            "mod" => (
                folder.parent().expect("below src"),
                folder
                    .file_name()
                    .and_then(|name| name.to_str())
                    .expect("a name"),
            ),
            _ => (folder, stem),
        };
        let parents = [
            home.join("mod.rs"),
            home.join("lib.rs"),
            home.join("main.rs"),
            home.with_extension("rs"),
        ];
        if !parents.iter().any(|parent| declares(parent, name))
            && home.file_name().is_none_or(|name| name != "bin")
        {
            lost.push(source.name());
        }
    }
    report("files that no module names", &lost);
}

#[test]
fn decisions_see_nothing_of_the_machine() {
    let mut faults = Vec::new();
    for source in sources() {
        let inside = DETERMINISTIC
            .iter()
            .any(|folder| source.path.starts_with(folder));
        if !inside || source.is_test {
            continue;
        }
        for (line, code) in source.code() {
            for (word, instead) in NOT_DETERMINISTIC {
                if has_word(code, word) {
                    faults.push(format!("{}:{line}: {word}; use {instead}", source.name()));
                }
            }
        }
    }
    report("what would make two runs differ", &faults);
}

/// Whether `word` stands in `code` on its own: `EntityHashMap` is another word than `HashMap`.
fn has_word(code: &str, word: &str) -> bool {
    let joins =
        |other: Option<char>| other.is_some_and(|other| other.is_alphanumeric() || other == '_');
    code.match_indices(word).any(|(at, _)| {
        !joins(code[..at].chars().next_back()) && !joins(code[at + word.len()..].chars().next())
    })
}

#[test]
fn nothing_is_left_behind() {
    let mut faults = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| !source.path.ends_with("tests/tidy.rs"))
    {
        for (at, line) in source.text.lines().enumerate() {
            for word in LEFTOVERS.iter().filter(|word| line.contains(**word)) {
                faults.push(format!("{}:{}: {word}", source.name(), at + 1));
            }
            if line.trim_start().starts_with("#[ignore") {
                faults.push(format!("{}:{}: an ignored test", source.name(), at + 1));
            }
        }
    }
    report("leftovers", &faults);
}
