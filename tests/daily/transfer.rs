//! What a download tells of itself.

use std::path::Path;

use serde_json::{Value, json};

use crate::program::{Desk, Program, noise};

const FILES: [(&str, usize); 3] = [
    ("album/inner/two.bin", 40_000),
    ("album/one.bin", 300_000),
    ("album/three.bin", 1000),
];

/// A seed of a folder, and where it listens.
fn seed(desk: &Desk) -> (Program, String) {
    for (name, bytes) in FILES {
        desk.write(name, noise(bytes));
    }
    let args = "seed album --torrent-out album.torrent --state-dir seed --listen 127.0.0.1:0";
    let seed = desk.start(&args.split(' ').collect::<Vec<_>>());
    let addr = seed.addr().to_string();
    seed.wait_for("seeding");
    (seed, addr)
}

const GET: &str = "get album.torrent -o down --state-dir get --no-trackers --listen 127.0.0.1:0";

#[test]
fn a_download_tells_of_each_file_in_json() {
    let desk = Desk::new();
    let (mut seed, peer) = seed(&desk);
    let args: Vec<_> = GET
        .split(' ')
        .chain(["--files", "--select", "*.bin", "--peer", &peer])
        .collect();
    let mut get = desk.start(&args);
    let checked = get.wait_for("checked");
    assert_eq!(
        (&checked["have_pieces"], &checked["checked_pieces"]),
        (&json!(0), &json!(0))
    );
    let completed = get.wait_for("completed");
    let last = get.wait_until(|fact| fact["type"] == "progress" && fact["state"] == "seeding");
    let files: Vec<Value> = FILES
        .iter()
        .map(|(path, bytes)| json!({ "path": path, "done_bytes": bytes, "bytes": bytes }))
        .collect();
    let mut told = last["files"].as_array().expect("a list").clone();
    told.sort_by_key(|file| file["path"].to_string());
    assert_eq!(told, files);
    assert_eq!(
        (&last["done_bytes"], &last["wanted_bytes"]),
        (&json!(341_000), &json!(341_000))
    );
    let summary = get.wait_for("summary");
    assert_eq!(
        (&summary["complete"], &summary["error"]),
        (&json!(true), &Value::Null)
    );
    for fact in [&completed, &last, &summary] {
        assert_eq!(fact["info_hash"], checked["info_hash"]);
    }
    assert_eq!(get.end(), Some(0));
    assert_eq!(seed.interrupt(), Some(0));
}

#[test]
fn a_download_tells_of_each_file_in_words() {
    let desk = Desk::new();
    let (mut seed, peer) = seed(&desk);
    let output = desk
        .command(Path::new(env!("CARGO_BIN_EXE_dunlin")))
        .args(GET.split(' ').chain(["--files", "--peer", &peer]))
        .output()
        .expect("it runs");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{said}");
    for (path, _) in FILES {
        assert!(
            said.contains(&format!("  100.0 %  {path}\n")),
            "no {path} in {said}"
        );
    }
    assert!(said.contains("album: complete, "), "{said}");
    assert_eq!(seed.interrupt(), Some(0));
}

#[test]
fn an_interrupted_download_leaves_a_recording_that_plays() {
    let desk = Desk::new();
    let (mut seed, peer) = seed(&desk);
    let args = [
        "--record",
        "get.rec",
        "--down-limit",
        "20K",
        "--peer",
        &peer,
    ];
    let mut get = desk.start(&GET.split(' ').chain(args).collect::<Vec<_>>());
    get.wait_until(|fact| fact["type"] == "progress" && fact["done_bytes"].as_u64() > Some(0));
    assert_eq!(get.interrupt(), Some(130));
    assert_eq!(seed.interrupt(), Some(0));
    let output = desk
        .command(Path::new(env!("CARGO_BIN_EXE_dunlin")))
        .args(["sim", "replay", "get.rec", "--json"])
        .output()
        .expect("it runs");
    let replayed: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(output.status.code(), Some(0), "{replayed}");
    assert_eq!(
        (&replayed["same"], &replayed["cut_at"]),
        (&json!(true), &Value::Null)
    );
}

#[test]
fn one_seed_shares_several_paths() {
    let desk = Desk::new();
    desk.write("one", noise(40_000));
    desk.write("two/inner", noise(90_000));
    for name in ["one", "two"] {
        let output = desk
            .command(Path::new(env!("CARGO_BIN_EXE_dunlin")))
            .args(["create", name, "-o", &format!("{name}.torrent")])
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{output:?}");
    }
    let given = "one two --torrent one.torrent --torrent two.torrent";
    // The second round makes the same torrents itself.
    for (round, what) in [given, "one two"].into_iter().enumerate() {
        let args = format!("seed {what} --state-dir seed{round} --listen 127.0.0.1:0");
        let mut seed = desk.start(&args.split(' ').collect::<Vec<_>>());
        let peer = seed.addr().to_string();
        seed.wait_for("seeding");
        seed.wait_for("seeding");
        let get = format!(
            "get one.torrent two.torrent -o down{round} --state-dir get{round} --no-trackers \
             --listen 127.0.0.1:0 --peer {peer}"
        );
        let mut get = desk.start(&get.split(' ').collect::<Vec<_>>());
        assert_eq!((get.end(), seed.interrupt()), (Some(0), Some(0)));
        for (file, bytes) in [("one", 40_000), ("two/inner", 90_000)] {
            let came = std::fs::read(desk.path(&format!("down{round}/{file}"))).expect("a file");
            assert!(came == noise(bytes), "{file}");
        }
    }
    for wrong in [
        "one two --torrent one.torrent",
        "one two --torrent-out x.torrent",
    ] {
        let mut refused = desk.start(&format!("seed {wrong}").split(' ').collect::<Vec<_>>());
        assert_eq!(refused.end(), Some(2), "{wrong}");
    }
}

/// What a person shares is theirs: a seed that finds it changed says so and leaves it alone, though
/// others in the swarm have what is missing.
#[test]
fn a_seed_writes_nothing_over_what_it_shares() {
    let desk = Desk::new();
    desk.write("one", noise(40_000));
    let (mut seed, peer) = seed(&desk);
    let mut changed = noise(300_000);
    changed[12_345] ^= 1;
    let copy = desk.write("copy/album/one.bin", &changed);
    for name in ["inner/two.bin", "three.bin"] {
        let bytes = std::fs::read(desk.path(&format!("album/{name}"))).expect("a file");
        desk.write(&format!("copy/album/{name}"), bytes);
    }
    let output = desk
        .command(Path::new(env!("CARGO_BIN_EXE_dunlin")))
        .args(["create", "one", "-o", "one.torrent"])
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let args = format!(
        "seed one copy/album --torrent one.torrent --torrent album.torrent --state-dir other \
         --listen 127.0.0.1:0 --peer {peer}"
    );
    let mut other = desk.start(&args.split(' ').collect::<Vec<_>>());
    other.wait_for("seeding");
    let stopped = other.wait_until(|fact| fact["type"] == "progress" && fact["state"] == "stopped");
    assert!(
        stopped["why"][0].to_string().contains("missing"),
        "{stopped}"
    );
    assert_eq!(other.interrupt(), Some(1));
    assert!(std::fs::read(copy).expect("a file") == changed);
    assert_eq!(seed.interrupt(), Some(0));
}

/// A torrent of no bytes has files all the same, and who gets complete data gets all of it.
#[test]
fn empty_files_come_with_a_download() {
    let desk = Desk::new();
    desk.write("album/a", "");
    desk.write("album/inner/b", "");
    let dunlin = |args: &str| {
        let mut command = desk.command(Path::new(env!("CARGO_BIN_EXE_dunlin")));
        let output = command.args(args.split(' ')).output().expect("it runs");
        assert!(output.status.success(), "{output:?}");
    };
    dunlin("create album -o album.torrent");
    for _ in 0..2 {
        dunlin(GET);
        assert!(desk.path("down/album/a").exists() && desk.path("down/album/inner/b").exists());
        std::fs::remove_file(desk.path("down/album/a")).expect("it was there");
    }
}

#[test]
fn a_log_tells_what_was_said_with_each_peer() {
    let desk = Desk::new();
    let (mut seed, peer) = seed(&desk);
    let output = desk
        .command(Path::new(env!("CARGO_BIN_EXE_dunlin")))
        .args(GET.split(' ').chain(["--peer", &peer]))
        .args(["--log", "warn,dunlin_systems=trace"])
        .output()
        .expect("it runs");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{said}");
    let addr = format!(" addr={peer}");
    for line in [
        " connecting ",
        " connected ",
        " sent handshake ",
        " received handshake ",
        " received extension handshake ",
        " sent interested ",
        " received unchoke ",
        " sent request ",
        " received block ",
    ] {
        let told = |said: &str| said.contains(line) && said.contains(&addr);
        assert!(said.lines().any(told), "no{line}with{addr} in {said}");
    }
    for line in [
        " torrent state ",
        " piece verified ",
        " piece written ",
        " endgame begins ",
    ] {
        assert!(said.contains(line), "no{line}in {said}");
    }
    assert_eq!(seed.interrupt(), Some(0));
}
