//! Each rule of the check, broken alone.

use crate::schema::tests::MINIMAL;
use crate::schema::{Override, Scenario};

/// Overrides that break the minimal scenario, and what is said of them.
const BROKEN: [(&[&str], &str); 51] = [
    (&["name="], "name is \"\""),
    (&["name=\"a b\""], "name is \"a b\""),
    (&["about=\" \""], "about is empty"),
    (&["model=Flow(tick: \"2s\")"], "model.tick is 2s"),
    (&["at_most=400d"], "at_most is 400d"),
    (&["stop=At(\"2h\")"], "stop is 2h"),
    (&["record.series_every=10ms"], "record.series_every is 10ms"),
    (&["content.size=0"], "content.size is 0"),
    (&["content.piece=8KiB"], "content.piece is 8K"),
    (&["content.piece=1GiB"], "content.piece is 1G"),
    (
        &["content=(size: \"64GiB\", piece: \"16KiB\")"],
        "4194304 pieces",
    ),
    (&["rtt=Uniform(\"11s\")"], "rtt is 11s"),
    (&["rtt=Regions(names: [], matrix: [])"], "rtt.names is 0"),
    (
        &["rtt=Regions(names: [\"a\", \"a\"], matrix: [[\"1s\", \"1s\"], [\"1s\", \"1s\"]])"],
        "has \"a\" twice",
    ),
    (
        &["rtt=Regions(names: [\"a\"], matrix: [])"],
        "rtt.matrix is not 1 by 1",
    ),
    (
        &["rtt=Regions(names: [\"a\", \"b\"], matrix: [[\"1s\", \"2s\"], [\"3s\", \"1s\"]])"],
        "rtt.matrix[1][0] is 3s, but 2s",
    ),
    (
        &["rtt=Regions(names: [\"a\"], matrix: [[\"1s\"]])"],
        "classes[0].region is missing",
    ),
    (
        &["classes.0.region=eu"],
        "classes[0].region is set, but rtt has no regions",
    ),
    (&["classes.1.name=seed"], "classes has \"seed\" twice"),
    (&["classes.1.count=1000000"], "classes have 1000001 nodes"),
    (&["classes.0.count=0"], "have no seed"),
    (&["classes=[]"], "classes is 0"),
    (&["classes.1.down=2000Gbit"], "classes[1].down is 2000Gbit"),
    (&["classes.1.up_limit=1bit"], "classes[1].up_limit is 0bit"),
    (
        &["classes.1.down_limit=2000Gbit"],
        "classes[1].down_limit is 2000Gbit",
    ),
    (
        &["classes.1.access_delay=1m"],
        "classes[1].access_delay is 1m",
    ),
    (
        &["classes.1.loss_ppm=900000"],
        "classes[1].loss_ppm is 900000",
    ),
    (&["classes.1.buffer=20s"], "classes[1].buffer is 20s"),
    (
        &["model=Packet(tick: \"10ms\")"],
        "classes[0].buffer is missing",
    ),
    (
        &["model=Packet(tick: \"10ms\")", "classes.1.count=60"],
        "classes have 61 nodes, expected 1 to 50",
    ),
    (
        &["classes.1.strategy=lazy"],
        "classes[1].strategy is \"lazy\", strategies has none",
    ),
    (
        &["classes.1.strategy=(snub: \"1s\")"],
        "engine.choke.snub-secs is 1",
    ),
    (
        &["strategy.choke_interval=1500ms"],
        "strategy.choke_interval is 1500ms, expected whole seconds",
    ),
    (&["strategies={\"a b\": ()}"], "strategies.a b is"),
    (
        &["classes.1.arrival=Flash(within: \"2h\")"],
        "classes[1].arrival.within is 2h",
    ),
    (
        &["classes.1.arrival=Trace([\"2s\", \"1s\"])"],
        "is not in order",
    ),
    (
        &["classes.1.arrival=Trace([\"2s\"])"],
        "has 1 times, but count is 2",
    ),
    (
        &["classes.0.stay=LeaveOnComplete"],
        "classes[0].stay is LeaveOnComplete",
    ),
    (&["classes.0.abort=Fixed(\"1s\")"], "nothing to give up"),
    (
        &["classes.0.behaviour=FreeRider"],
        "classes[0].behaviour is FreeRider",
    ),
    (&["classes.1.behaviour=Poisoner(one_in: 0)"], "one_in is 0"),
    (
        &["faults=[(at: \"1s\", what: Leave(class: \"x\", share: 1))]"],
        "faults[0].what.class is \"x\", expected one of seed, leech",
    ),
    (
        &["faults=[(at: \"1s\", what: Crash(class: \"seed\", share: 1.5))]"],
        "share is 1.5",
    ),
    (
        &["expect=[Utilisation(min: 1, max: 0.5)]"],
        "expects 1 to 0.5",
    ),
    (
        &[
            "classes.1.crash=Fixed(\"1s\")",
            "expect=[Ratio(of: Mean, to: KumarRoss, min: 1, max: 2)]",
        ],
        "no bound",
    ),
    (
        &["classes.0.down_limit=1Mbit"],
        "classes[0].down_limit is set, but a seed downloads nothing",
    ),
    (
        &[
            "classes.1.behaviour=FreeRider",
            "classes.1.strategy=(slots: Fixed(3))",
        ],
        "classes[1].strategy.slots is set, but a FreeRider has no slots",
    ),
    (
        &[
            "strategies={\"lazy\": (slots: Fixed(3))}",
            "classes.1.behaviour=FreeRider",
            "classes.1.strategy=lazy",
        ],
        "strategies.lazy.slots is set, but a FreeRider has no slots",
    ),
    (
        &["strategies={\"lazy\": ()}"],
        "strategies.lazy is the strategy of no class",
    ),
    (
        &["expect=[Stalls(class: \"leech\", min: 0, max: 1)]"],
        "expect[0].class is a class that plays nothing",
    ),
    (&["overlay.tracker_want=0"], "overlay.tracker_want is 0"),
];

#[test]
fn each_rule_is_kept() {
    for (overrides, expected) in BROKEN {
        let overrides: Vec<Override> = overrides
            .iter()
            .map(|text| {
                let (path, value) = text.split_once('=').expect("path=value");
                let value = if value.is_empty() { "\"\"" } else { value };
                Override {
                    path: path.to_owned(),
                    value: value.to_owned(),
                }
            })
            .collect();
        let error = Scenario::parse("broken.ron", MINIMAL, &overrides)
            .expect_err(expected)
            .to_string();
        assert!(error.contains(expected), "{error}\nexpected: {expected}");
    }
}
