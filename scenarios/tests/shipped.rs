//! Every scenario file that is shipped.

use std::path::{Path, PathBuf};

use dunlin_scenarios::arrivals::population;
use dunlin_scenarios::schema::{Role, Scenario};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = folder.read_dir().expect("the folder of the crate");
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "ron"));
    files.sort();
    files
}

fn load(path: &Path) -> Scenario {
    Scenario::load(path, &[]).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn all_are_there_under_their_names() {
    let names: Vec<String> = files().iter().map(|path| load(path).name).collect();
    let stem = |path: &PathBuf| {
        path.file_stem()
            .and_then(|stem| stem.to_str())
            .map(str::to_owned)
    };
    let stems: Vec<String> = files().iter().filter_map(stem).collect();
    assert_eq!(names, stems);
    for expected in [
        "bandwidth-classes",
        "churn",
        "flash-crowd",
        "free-riders",
        "kr-1000",
        "kr-download-bound",
        "kr-seed-bound",
        "kr-two-classes",
        "kr-upload-bound",
        "mb-two-class",
        "mb-util",
        "minimal",
        "pipelining",
        "poisoners",
        "qs-abort",
        "qs-download-limited",
        "qs-scale",
        "slow-seed",
        "steady-state",
        "streaming",
        "super-seeding",
        "swarm-10000",
        "tyrant-1",
        "tyrant-all-selfish",
    ] {
        assert!(names.iter().any(|name| name == expected), "{expected}");
    }
}

#[test]
fn all_read_back_from_what_is_written_beside_their_runs() {
    for path in files() {
        let scenario = load(&path);
        let again = Scenario::parse("again", &scenario.to_ron(), &[])
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again, scenario);
    }
}

#[test]
fn somebody_comes_to_each_and_finds_a_seed() {
    for path in files() {
        let scenario = load(&path);
        let population = population(&scenario);
        let first_leecher = population
            .iter()
            .filter(|plan| !plan.seed)
            .map(|plan| plan.arrives_us)
            .min();
        let first_seed = population
            .iter()
            .filter(|plan| plan.seed)
            .map(|plan| plan.arrives_us)
            .min();
        assert!(first_seed <= first_leecher, "{}", scenario.name);
        assert!(
            first_leecher.is_some_and(|at| at < scenario.at_most.0),
            "{}",
            scenario.name
        );
    }
}

#[test]
fn the_open_ones_let_in_whom_their_rates_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let steady = load(&folder.join("steady-state.ron"));
    let leechers = population(&steady)
        .iter()
        .filter(|plan| steady.classes[usize::from(plan.class)].role == Role::Leech)
        .count();
    // 6700 s at one in 5 s: 1340 in the mean, with a deviation of 37.
    assert!((1200..1480).contains(&leechers), "{leechers}");
}
