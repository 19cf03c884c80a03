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

/// Where the system gives them to who asks, and nobody said otherwise. The scenario comes when that was seen, so that
/// the program is still there.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn a_run_asks_for_huge_pages_and_comes_out_the_same() {
    use std::io::Write as _;
    use std::process::Stdio;
    use std::time::{Duration, Instant};

    let policy = "/sys/kernel/mm/transparent_hugepage/enabled";
    if !std::fs::read_to_string(policy).is_ok_and(|policy| policy.contains("[madvise]")) {
        eprintln!("skipped: {policy} does not leave the choice to programs");
        return;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_dunlin"));
    command.args(["sim", "run", "/dev/stdin", "--json"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.env("GLIBC_TUNABLES", "glibc.malloc.check=0");
    let mut child = command.spawn().expect("the binary runs");
    let environment = format!("/proc/{}/environ", child.id());
    let end = Instant::now() + Duration::from_secs(120);
    // Glibc ends each option with a zero where it stands.
    let wish = "glibc.malloc.hugetlb=1\0";
    while !text(&std::fs::read(&environment).expect("it waits for us")).contains(wish) {
        assert!(Instant::now() < end, "it does not ask");
        std::thread::sleep(Duration::from_millis(10));
    }
    let scenario = std::fs::read("scenarios/minimal.ron").expect("it is there");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(&scenario).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    let asked: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");

    let mut command = Command::new(env!("CARGO_BIN_EXE_dunlin"));
    command.args(["sim", "run", "scenarios/minimal.ron", "--json"]);
    command.env("GLIBC_TUNABLES", "glibc.malloc.hugetlb=0");
    let output = command.output().expect("the binary runs");
    let refused: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(asked["digest"], refused["digest"]);
}

#[test]
fn a_check_of_nothing_says_so() {
    let run = |expect: &str| {
        let set = format!("expect={expect}");
        let output = sim(&["run", "scenarios/minimal.ron", "--check", "--set", &set]);
        (output.status.code(), text(&output.stderr))
    };
    let (code, words) = run("[]");
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("nothing was checked"), "{words}");
    let (code, words) = run("[AllComplete]");
    assert_eq!(
        (code, words.trim()),
        (Some(0), "met: 4 of 4 leechers complete")
    );
    let crash = "faults=[(at: \"1s\", what: Crash(class: \"leech\", share: 1.0))]";
    let expect = "expect=[AllComplete]";
    let args = "run scenarios/minimal.ron --check --set";
    let args: Vec<&str> = args.split(' ').chain([expect, "--set", crash]).collect();
    let output = sim(&args);
    let words = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(
        words.contains("0 of 4 leechers complete, gone before: 4 of leech crashed"),
        "{words}"
    );
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

/// From a bad default to a better value, to a file, to a real session.
#[test]
fn what_was_tuned_is_what_a_real_session_follows() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (out, profile) = (path("runs"), path("tuned.toml"));
    let tune = |evaluations: &str, more: &[&str]| {
        let bad = "strategy=(pick: Sequential)";
        let args = [
            "tune",
            "scenarios/minimal.ron",
            "--objective",
            "median:leech",
            "--set",
            bad,
            "--set",
            "classes.leech.count=8",
            "--set",
            "rtt.0=400ms",
        ];
        let vary = [
            "--vary",
            "strategy.slots=Fixed(1)..Fixed(9)",
            "--vary",
            "strategy.pick=[Sequential, RarestFirst, RoundRobin]",
        ];
        let rest = [
            "--seeds",
            "2",
            "--evaluations",
            evaluations,
            "--out",
            &out,
            "--json",
        ];
        fact(&[&args, &vary[..], &rest, more].concat())
    };
    let first = tune("6", &[]);
    assert_eq!(
        (&first["evaluations"], &first["ran"]),
        (&6.into(), &14.into()),
        "{first}"
    );
    // It goes on with what is there, and says the same when it is asked the same again. One of the combinations may be
    // the scenario as it is.
    let more = tune("14", &["--profile", &profile]);
    let runs = |key: &str| more[key].as_u64().expect("a number");
    assert_eq!(runs("ran") + runs("were_there"), 30, "{more}");
    assert!((14..=16).contains(&runs("were_there")), "{more}");
    let again = tune("14", &["--jobs", "1"]);
    assert_eq!(
        (&again["ran"], &again["best"]),
        (&0.into(), &more["best"]),
        "{again}"
    );
    let seconds = |fact: &serde_json::Value, key: &str| fact[key].as_f64().expect("a number");
    assert!(
        seconds(&more, "best") < 0.8 * seconds(&more, "as_it_is"),
        "{more}"
    );
    assert!(seconds(&more, "best") <= seconds(&first, "best"), "{more}");
    assert_eq!(more["values"]["strategy.pick"], "RarestFirst", "{more}");
    let table = std::fs::read_to_string(dir.path().join("runs/tune.csv")).expect("a table");
    assert_eq!(table.lines().count(), 16, "{table}");

    let slots = more["values"]["strategy.slots"].as_str().expect("text");
    let slots = slots.trim_start_matches("Fixed(").trim_end_matches(')');
    let given = format!("[engine.choke.slots]\nfixed = {slots}\n");
    a_real_session_follows(dir.path(), &profile, &given);
}

/// A profile that is worse than no profile is none.
#[test]
fn what_is_no_better_is_not_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().display().to_string();
    let tune = |vary: &str, more: &[&str]| {
        let args = "tune scenarios/minimal.ron --objective median --evaluations 2 --seeds 1";
        let set = [
            "--set",
            "classes.leech.count=20",
            "--vary",
            vary,
            "--out",
            &out,
        ];
        let args: Vec<&str> = args.split(' ').chain(set).collect();
        sim(&[&args[..], more].concat())
    };
    let slots = "strategy.slots=[Fixed(9), Fixed(12)]";
    let worse = tune(slots, &[]);
    assert_eq!(worse.status.code(), Some(1));
    let words = text(&worse.stdout);
    assert!(words.contains("no profile is written"), "{words}");
    let worse = tune(slots, &["--json"]);
    assert_eq!(worse.status.code(), Some(1));
    let worse: serde_json::Value = serde_json::from_slice(&worse.stdout).expect("one object");
    assert!(
        worse["best"].as_f64() > worse["as_it_is"].as_f64(),
        "{worse}"
    );
    assert_eq!(
        (&worse["better"], worse["profile"].is_null()),
        (&false.into(), true)
    );
    assert!(dir.path().join("tune.csv").exists());
    assert!(!dir.path().join("profile.toml").exists());
    // The scenario as it is, once more, is no better than itself.
    assert_eq!(
        tune("strategy.pick=[RarestFirst]", &[]).status.code(),
        Some(1)
    );
    assert!(!dir.path().join("profile.toml").exists());
}

/// The settings that a session records are those of the profile; one that is none is refused.
fn a_real_session_follows(dir: &Path, profile: &str, given: &str) {
    std::fs::write(dir.join("payload"), [7; 40_000]).expect("a file");
    let session = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dunlin"));
        command
            .current_dir(dir)
            .env_clear()
            .env("HOME", dir)
            .args(args);
        command.output().expect("the binary runs")
    };
    let made = session(&["create", "payload", "-o", "t.torrent"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let get = "get t.torrent -o . --no-trackers --listen 127.0.0.1:0 --record get.rec --profile";
    let get: Vec<&str> = get.split(' ').collect();
    let got = session(&[&get[..], &[profile]].concat());
    assert!(got.status.success(), "{}", text(&got.stderr));
    let recording = text(&std::fs::read(dir.join("get.rec")).expect("a recording"));
    assert!(recording.contains(given), "no {given} in the recording");

    std::fs::write(profile, "[engine.choke]\nslotz = 3\n").expect("a file");
    let refused = session(&[&get[..], &[profile]].concat());
    assert_eq!(refused.status.code(), Some(2));
    let words = text(&refused.stderr);
    assert!(
        words.contains("tuned.toml:2: unknown field `slotz`"),
        "{words}"
    );
}

#[test]
fn what_cannot_be_tuned_is_refused_before_the_first_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("runs");
    let out = out.to_str().expect("a plain path");
    let refused = |objective: &str, vary: &[&str], more: &[&str]| {
        let mut args = vec![
            "tune",
            "scenarios/minimal.ron",
            "--out",
            out,
            "--objective",
            objective,
        ];
        vary.iter().for_each(|vary| args.extend(["--vary", vary]));
        args.extend(more);
        let output = sim(&args);
        assert_eq!(output.status.code(), Some(2));
        assert!(!Path::new(out).exists());
        text(&output.stderr)
    };
    let slots = "strategy.slots=Fixed(1)..Fixed(4)";
    assert!(refused("speed", &[slots], &[]).contains("no objective"));
    assert!(refused("mean:seed", &[slots], &[]).contains("there are leech"));
    assert!(refused("mean", &["strategy.slotz=1..4"], &[]).contains("did you mean `slots`?"));
    let lines = "classes.leech.up=1Mbit..2Mbit:1Mbit";
    assert!(
        refused("mean", &[lines], &["--profile", "p.toml"]).contains("no parameter of a client")
    );
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
    let limit = "down: \"2Mbit\", down_limit: \"1Mbit\"";
    let ignored = run(&good.replace("down: \"2Mbit\"", limit));
    let place = "bad.ron:8:86: classes[0].down_limit is set";
    assert!(ignored.contains(place), "{ignored}");
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

    record(&second, &["--set", "strategy.slots=Fixed(3)"]);
    let differ = sim(&["diff", &first, &second]);
    assert_eq!(differ.status.code(), Some(1));
    let words = text(&differ.stdout);
    let named = words.contains("given B: node 0: choke.slots") && words.contains("\nRules ");
    assert!(named, "{words}");

    let whole = std::fs::read(&first).expect("a recording");
    std::fs::write(&second, &whole[..whole.len() / 2]).expect("a file");
    let words = sim(&["replay", &second]);
    assert!(words.status.success(), "{}", text(&words.stderr));
    assert!(
        text(&words.stdout).contains("cut off"),
        "{}",
        text(&words.stdout)
    );
    std::fs::write(&second, &whole[..2000]).expect("a file");
    let none = sim(&["replay", &second]);
    assert_eq!(none.status.code(), Some(1));
    let words = text(&none.stderr);
    assert!(
        words.contains("before the end of its first tick"),
        "{words}"
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
    let args = ["fuzz", "--first", "73", "--seeds", "1"];
    let words = |more: &[&str]| text(&sim(&[&args, more].concat()).stderr);
    assert_eq!(words(&[]), "");
    assert!(words(&["--log", "warn"]).contains("WARN"));
}
