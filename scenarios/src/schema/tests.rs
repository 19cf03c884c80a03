//! Texts that are scenarios, texts that are none, and what is said of those.

use dunlin_port::config::{ByteSize, EngineConfig, PickStrategy, SeedChoke, SlotCount};

use super::*;

/// The smallest scenario there is.
pub(crate) const MINIMAL: &str = r#"(
    name: "minimal",
    about: "One seed, two leechers.",
    content: (size: "1MiB", piece: "64KiB"),
    rtt: Uniform("50ms"),
    classes: [
        (name: "seed", role: Seed, count: 1, up: "1Mbit", down: "1Mbit"),
        (name: "leech", role: Leech, count: 2, up: "400kbit", down: "1500kbit"),
    ],
    at_most: "1h",
)"#;

/// [`MINIMAL`], parsed.
pub(crate) fn scenario() -> Scenario {
    parsed(&[]).expect("it is a scenario")
}

/// A class of nodes with nothing special.
pub(crate) fn class(name: &str, role: Role, count: u32) -> Class {
    Class {
        name: name.to_owned(),
        role,
        count,
        ..scenario_class()
    }
}

fn scenario_class() -> Class {
    scenario().classes.remove(1)
}

fn parsed(overrides: &[&str]) -> Result<Scenario, ScenarioError> {
    let overrides: Vec<Override> = overrides
        .iter()
        .map(|text| text.parse().expect("an override"))
        .collect();
    Scenario::parse("test.ron", MINIMAL, &overrides)
}

fn refused(overrides: &[&str]) -> String {
    parsed(overrides)
        .expect_err("it is no scenario")
        .to_string()
}

#[test]
fn what_is_not_written_is_the_default() {
    let scenario = scenario();
    assert_eq!(
        scenario.model,
        Model::Flow {
            tick: Micros(100_000)
        }
    );
    assert_eq!(scenario.rng_seed, 1);
    assert_eq!(scenario.content.size, ByteSize(1 << 20));
    assert_eq!(scenario.pieces(), 16);
    assert_eq!(scenario.classes[1].up, Rate(50_000));
    assert_eq!(scenario.classes[1].stay, Stay::Forever);
    assert_eq!(scenario.stop, Stop::AllComplete);
    assert_eq!(
        EngineConfig::from(&scenario.strategy),
        EngineConfig::default()
    );
}

#[test]
fn everything_reads_back_as_it_was() {
    let everything = [
        "rtt=Regions(names: [\"eu\", \"us\"], matrix: [[\"20ms\", \"90ms\"], [\"90ms\", \"30ms\"]])",
        "classes.seed.region=eu",
        "classes.leech.region=us",
        "classes.leech.stay=SeedFor(Exponential(mean: \"268s\"))",
        "classes.leech.arrival=Poisson(every: \"5s\", until: \"10m\")",
        "classes.leech.abort=Exponential(mean: \"500s\")",
        "classes.leech.strategy=(slots: Fixed(4), seed_choke: AntiLeech)",
        "classes.leech.streaming=(bitrate: \"1Mbit\", startup_buffer: \"10s\")",
        "classes.leech.behaviour=Poisoner(one_in: 10)",
        "strategies={\"lazy\": (choke_interval: \"60s\")}",
        "classes.seed.strategy=lazy",
        "faults=[(at: \"10s\", what: CutConnections(class: \"leech\", share: 0.5))]",
        "expect=[AllComplete, Waste(max: 0.01), Leechers(from: \"60s\", min: 1, max: 9)]",
    ];
    let scenario = parsed(&everything).unwrap();
    assert_eq!(
        scenario.strategy_of(&scenario.classes[0]),
        &scenario.strategies["lazy"]
    );
    let text = scenario.to_ron();
    let again =
        Scenario::parse("again.ron", &text, &[]).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(again, scenario, "{text}");
    assert!(
        text.contains("tracker_want: 50"),
        "defaults are written out: {text}"
    );
}

/// Both what is unused as it is written and what no override uses are mistakes; what an override made
/// unused is not, and is left out.
#[test]
fn a_strategy_that_an_override_replaces_is_left_out() {
    let lazy = [
        "strategies={\"lazy\": (choke_interval: \"60s\", slots: Fixed(3))}",
        "classes.seed.strategy=lazy",
    ];
    let base = parsed(&lazy).unwrap();
    let own: Override = "classes.seed.strategy=(slots: Fixed(5))".parse().unwrap();
    let other = base.with(&[own]).unwrap();
    assert!(other.strategies.is_empty(), "{other:?}");
    assert_eq!(other.with(&[]).unwrap(), other);
    // Slots that an honest class has too are no mistake.
    let shared = [
        "classes.leech.strategy=lazy",
        "classes.leech.behaviour=FreeRider",
    ];
    assert!(parsed(&[&lazy[..], &shared].concat()).is_ok());
}

#[test]
fn overrides_go_by_number_and_by_name() {
    let scenario = parsed(&[
        "classes.0.count=3",
        "classes.leech.up=1Mbit",
        "strategy.slots=Fixed(4)",
        "strategy.pick=Sequential",
        "model.tick=50ms",
        "rng_seed=7",
        "classes.leech.stay=AfterRatio(1.5)",
        "rtt.0=20ms",
        "content=(size: \"2MiB\", piece: \"128KiB\")",
    ])
    .unwrap();
    assert_eq!(scenario.classes[0].count, 3);
    assert_eq!(scenario.classes[1].up, Rate(125_000));
    assert_eq!(
        scenario.model,
        Model::Flow {
            tick: Micros(50_000)
        }
    );
    assert_eq!(scenario.rng_seed, 7);
    assert_eq!(scenario.classes[1].stay, Stay::AfterRatio(Permille(1500)));
    assert_eq!(scenario.rtt, Rtt::Uniform(Micros(20_000)));
    assert_eq!(scenario.content.piece, ByteSize(128 << 10));
    let config = EngineConfig::from(&scenario.strategy);
    assert_eq!(config.choke.slots, SlotCount::Fixed(4));
    assert_eq!(config.pick.strategy, PickStrategy::Sequential);
    assert_eq!(config.choke.seed, SeedChoke::RoundRobin);
}

#[test]
fn syntax_errors_name_line_and_column() {
    let text = MINIMAL.replace("count: 2", "cuont: 2");
    let error = Scenario::parse("swarm.ron", &text, &[])
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("swarm.ron:8:"), "{error}");
    assert!(
        error.contains("`cuont`") && error.contains("`count`"),
        "{error}"
    );
    let text = MINIMAL.replace("\"50ms\"", "\"50 parsecs\"");
    let error = Scenario::parse("swarm.ron", &text, &[])
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("swarm.ron:5:") && error.contains("`50 parsecs` is no time"),
        "{error}"
    );
    let text = MINIMAL.replace("at_most", "about");
    let error = Scenario::parse("swarm.ron", &text, &[])
        .unwrap_err()
        .to_string();
    assert!(error.contains("about"), "{error}");
}

#[test]
fn overrides_that_do_not_fit_say_what_is_there() {
    let error = refused(&["classes.peers.up=1Mbit"]);
    assert!(error.contains("0 (seed), 1 (leech)"), "{error}");
    let error = refused(&["classes.leech.speed=1Mbit"]);
    assert!(
        error.contains("`speed`") && error.contains("`down`"),
        "{error}"
    );
    for (wrong, meant) in [
        ("overlay.tracker_wnat=3", "tracker_want"),
        ("stratgy.slots=Fixed(3)", "strategy"),
        ("strategy.choke_intervall=9s", "choke_interval"),
        ("classes.leach.count=3", "leech"),
        ("model.tik=50ms", "tick"),
        ("strategy.pick=RarestFrist", "RarestFirst"),
    ] {
        let error = refused(&[wrong]);
        assert!(
            error.contains(&format!("did you mean `{meant}`?")),
            "{error}"
        );
    }
    let error = refused(&["name.first=x"]);
    assert!(error.contains("name is \"minimal\""), "{error}");
    let error = refused(&["classes.leech.up=quick"]);
    assert!(error.contains("classes.leech.up=quick"), "{error}");
    assert!("classes".parse::<Override>().is_err());
}

#[test]
fn all_values_out_of_range_are_named_with_their_lines() {
    let error = refused(&[
        "classes.leech.up=0bit",
        "content.piece=100000",
        "model.tick=1us",
    ]);
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(
        lines,
        [
            "test.ron:1:1: model.tick is 1us, expected 1ms to 1s",
            "test.ron:4:36: content.piece is 100000, expected a power of two from 16K to 512M",
            "test.ron:8:52: classes[1].up is 0bit, expected 1kbit to 1000Gbit",
        ]
    );
}
