//! Settings that change while a transfer runs.

use crate::program::{Desk, noise};

/// A seed that may send next to nothing goes on at full speed once its file says so; a file that
/// cannot be used in between is refused with its place, and changes nothing.
#[test]
fn a_limit_changes_while_a_seed_runs_and_a_bad_file_changes_nothing() {
    let desk = Desk::new();
    desk.write("payload", noise(1 << 20));
    let settings = |up: &str| desk.write("seed.toml", format!("[engine.limits]\nup = {up}\n"));
    settings("1");
    let args = "seed payload --torrent-out t.torrent --config seed.toml --state-dir seed --listen 127.0.0.1:0";
    let mut seed = desk.start(&args.split(' ').collect::<Vec<_>>());
    let peer = seed.addr().to_string();
    seed.wait_for("seeding");
    let args = "get t.torrent -o down --state-dir get --no-trackers --listen 127.0.0.1:0";
    let args: Vec<_> = args.split(' ').chain(["--peer", &peer]).collect();
    let mut get = desk.start(&args);
    let connected = |fact: &serde_json::Value| fact["type"] == "progress" && fact["peers"] == 1;
    get.wait_until(connected);

    settings("\"fast\"");
    let warning = seed.wait_until(|fact| fact["type"] == "stderr");
    let words = warning["line"].as_str().expect("text");
    for word in ["the configuration stays as it was", "seed.toml:2:", "fast"] {
        assert!(words.contains(word), "no {word:?} in {words}");
    }
    for _ in 0..2 {
        let fact = get.wait_until(connected);
        assert_eq!(fact["state"], "downloading", "{fact}");
    }

    settings("\"64M\"");
    assert_eq!(get.end(), Some(0));
    assert_eq!(get.wait_for("summary")["complete"], true);
    assert_eq!(seed.interrupt(), Some(0));
    assert!(std::fs::read(desk.path("down/payload")).expect("a file") == noise(1 << 20));
}

/// Little memory is enough, also for pieces that are longer than what blocks may take; less than
/// the program itself needs is bad usage.
#[test]
fn a_piece_longer_than_the_memory_is_put_together() {
    let desk = Desk::new();
    let content = noise(9 << 20);
    desk.write("payload", &content);
    let args = "seed payload --piece-size 8M --torrent-out t.torrent --state-dir seed --listen 127.0.0.1:0 --memory 16M";
    let mut seed = desk.start(&args.split(' ').collect::<Vec<_>>());
    let peer = seed.addr().to_string();
    seed.wait_for("seeding");
    let get = |memory| {
        let args = "get t.torrent -o down --state-dir get --no-trackers --listen 127.0.0.1:0";
        let more = ["--peer", &peer, "--memory", memory];
        desk.start(&args.split(' ').chain(more).collect::<Vec<_>>())
    };
    let mut refused = get("1M");
    assert_eq!(refused.end(), Some(2));
    let mut get = get("16M");
    assert_eq!(get.end(), Some(0));
    assert_eq!(get.wait_for("summary")["complete"], true);
    assert_eq!(seed.interrupt(), Some(0));
    assert!(std::fs::read(desk.path("down/payload")).expect("a file") == content);
}
