//! `dunlin sim` as a person runs it.

use std::path::Path;
use std::process::{Command, Output};

fn sim(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dunlin"))
        .arg("sim")
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("SLURM_ARRAY_TASK_ID")
        .env_remove("HQ_TASK_ID")
        .env_remove("JOB_COMPLETION_INDEX")
        .output()
        .expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn fact(args: &[&str]) -> serde_json::Value {
    let output = sim(args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

#[test]
fn a_run_says_what_came_out_and_repeats_in_another_process() {
    let run = || fact(&["run", "scenarios/minimal.ron", "--json", "--check"]);
    let (first, second) = (run(), run());
    assert_eq!(first["digest"], second["digest"]);
    assert_eq!(first["completed"], 4);
    assert!(first["last"].as_f64() >= first["bound_s"].as_f64());
    for key in [
        "seed",
        "virtual_s",
        "wall_s",
        "nodes",
        "mean",
        "median",
        "p95",
        "utilisation",
    ] {
        assert!(first[key].is_number(), "{key} in {first}");
    }
    let other = fact(&["run", "scenarios/minimal.ron", "--json", "--seed", "2"]);
    assert_ne!(first["digest"], other["digest"]);
    let words = sim(&["run", "scenarios/minimal.ron"]);
    assert!(text(&words.stdout).contains("Kumar-Ross bound"));
}

#[test]
fn a_sweep_in_shards_goes_on_where_it_was_and_makes_a_report() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().to_str().expect("a plain path");
    let sweep = |shard: &str| {
        let vary = "strategy.slots=[Fixed(2), Fixed(4)]";
        let args = [
            "sweep",
            "scenarios/minimal.ron",
            "--vary",
            vary,
            "--seeds",
            "2",
        ];
        fact(&[&args[..], &["--shard", shard, "--out", out, "--json"]].concat())
    };
    let first = sweep("0/2");
    assert_eq!((&first["ran"], &first["merged"]), (&2.into(), &2.into()));
    let second = sweep("1/2");
    assert_eq!((&second["ran"], &second["merged"]), (&2.into(), &4.into()));
    let again = sweep("1/2");
    assert_eq!(
        (&again["ran"], &again["were_there"]),
        (&0.into(), &2.into())
    );
    let summary = std::fs::read_to_string(dir.path().join("summary.csv")).expect("a table");
    assert_eq!(summary.lines().count(), 5, "{summary}");
    let report = sim(&["report", out]);
    assert!(report.status.success(), "{}", text(&report.stderr));
    let page = std::fs::read_to_string(dir.path().join("report.html")).expect("a page");
    assert!(page.contains("<svg") && page.contains("Fixed(2)"));
}

#[test]
fn a_shard_can_come_from_a_batch_system() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = |of: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dunlin"));
        command
            .args([
                "sim",
                "sweep",
                "scenarios/minimal.ron",
                "--seeds",
                "3",
                "--json",
                "--out",
            ])
            .arg(dir.path())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("SLURM_ARRAY_TASK_ID", "1");
        if let Some(of) = of {
            command.env("SLURM_ARRAY_TASK_COUNT", of);
        }
        command.output().expect("the binary runs")
    };
    let lone = run(None);
    assert_eq!(lone.status.code(), Some(2));
    assert!(text(&lone.stderr).contains("SLURM_ARRAY_TASK_COUNT"));
    let shard: serde_json::Value =
        serde_json::from_slice(&run(Some("3")).stdout).expect("one JSON object");
    assert_eq!(shard["ran"], 1);
}

#[test]
fn what_is_wrong_with_a_scenario_is_said_with_its_place() {
    let dir = tempfile::tempdir().expect("a folder");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/minimal.ron");
    let good = std::fs::read_to_string(shipped).expect("it is shipped");
    let file = dir.path().join("bad.ron");
    let run = |content: &str| {
        std::fs::write(&file, content).expect("a file");
        let output = sim(&["run", file.to_str().expect("a plain path")]);
        assert_eq!(output.status.code(), Some(2));
        text(&output.stderr)
    };
    let unknown = run(&good.replace("role: Seed", "rôle: Seed"));
    assert!(unknown.contains("bad.ron:8:"), "{unknown}");
    let range = run(&good.replace("down: \"2Mbit\"", "down: \"0bit\""));
    assert!(range.contains("classes[0].down"), "{range}");
    let none = sim(&[
        "run",
        "scenarios/minimal.ron",
        "--set",
        "classes.nobody.count=3",
    ]);
    assert_eq!(none.status.code(), Some(2));
    assert!(
        text(&none.stderr).contains("nobody"),
        "{}",
        text(&none.stderr)
    );
}

#[test]
fn a_recorded_run_is_played_again_and_compared() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| {
        dir.path()
            .join(name)
            .to_str()
            .expect("a plain path")
            .to_owned()
    };
    let (first, second) = (path("a.rec"), path("b.rec"));
    let record = |file: &str, more: &[&str]| {
        let size = "content.size=1MiB";
        let args = [
            "run",
            "scenarios/minimal.ron",
            "--json",
            "--set",
            size,
            "--record",
            file,
        ];
        fact(&[&args, more].concat())
    };
    let run = record(&first, &[]);
    let replayed = fact(&["replay", &first, "--json"]);
    assert_eq!(replayed["digest"], run["digest"]);
    assert_eq!(
        (&replayed["same"], &replayed["cut_at"]),
        (&true.into(), &serde_json::Value::Null)
    );

    record(&second, &["--seed", "2"]);
    let same = fact(&["diff", &first, &first, "--json"]);
    assert_eq!(same["same_ticks"], replayed["ticks"]);
    let differ = sim(&["diff", &first, &second, "--json"]);
    assert_eq!(differ.status.code(), Some(1));
    let differ: serde_json::Value = serde_json::from_slice(&differ.stdout).expect("one object");
    let rows = differ["parting"]["rows"].as_array().expect("a list");
    assert!(rows.iter().any(|row| row["table"] == "Luck"), "{differ}");

    let whole = std::fs::read(&first).expect("a recording");
    std::fs::write(&second, &whole[..whole.len() / 2]).expect("a file");
    let words = sim(&["replay", &second]);
    assert!(words.status.success(), "{}", text(&words.stderr));
    assert!(
        text(&words.stdout).contains("cut off"),
        "{}",
        text(&words.stdout)
    );
    std::fs::write(&second, &whole[7..]).expect("a file");
    let none = sim(&["replay", &second]);
    assert_eq!(none.status.code(), Some(1));
    assert!(
        text(&none.stderr).contains("no recording"),
        "{}",
        text(&none.stderr)
    );
}

#[test]
fn a_campaign_says_what_it_did_and_repeats() {
    let run = |jobs| {
        fact(&[
            "fuzz", "--seeds", "4", "--first", "7", "--jobs", jobs, "--json",
        ])
    };
    let (first, second) = (run("1"), run("2"));
    assert_eq!(first["digest"], second["digest"]);
    assert_eq!(first["failed"], serde_json::json!([]));
    assert!(first["ticks"].as_u64() > Some(100), "{first}");
    // Its own troubles are none of the reader's, unless asked for.
    let args = ["fuzz", "--first", "27", "--seeds", "1"];
    let words = |more: &[&str]| text(&sim(&[&args, more].concat()).stderr);
    assert_eq!(words(&[]), "");
    assert!(words(&["--log", "warn"]).contains("WARN"));
}
