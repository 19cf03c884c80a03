//! Downloads by magnet link from one process of the binary to another, over loopback.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::program::{self, Program};

/// A folder with an `album`, its torrent, and what runs in it.
struct Desk {
    desk: program::Desk,
    magnet: String,
}

impl Desk {
    fn new() -> Self {
        let desk = program::Desk::new();
        for (name, bytes) in [("one.bin", 300_000), ("two.bin", 50_000), ("z.txt", 9)] {
            desk.write(&format!("album/{name}"), program::noise(bytes));
        }
        let mut desk = Self {
            desk,
            magnet: String::new(),
        };
        desk.magnet = desk.create(&[]);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.desk.path(name)
    }

    /// Makes a torrent of the album; its link.
    fn create(&self, more: &[&str]) -> String {
        let args = ["create", "album", "--piece-size", "16K"];
        let (code, facts, _) = self.run(&[&args[..], more].concat());
        assert_eq!(code, 0, "{facts:?}");
        let link = facts[0]["magnet"].as_str().expect("a link");
        link.to_owned()
    }

    fn start(&self, args: &[&str]) -> Program {
        self.desk.start(args)
    }

    /// Runs to the end: the exit code, all facts, and what is said to people.
    fn run(&self, args: &[&str]) -> (i32, Vec<Value>, String) {
        let mut command = self.desk.command(Path::new(env!("CARGO_BIN_EXE_dunlin")));
        let output = command.args(args).arg("--json").output();
        let output = output.expect("it runs");
        let [out, err] =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
        let fact = |line: &str| serde_json::from_str(line).expect("JSON");
        let facts = out.lines().map(fact).collect();
        (
            output.status.code().expect("no signal ended it"),
            facts,
            err,
        )
    }

    /// Seeds the album on loopback until it has told of this fact; where.
    fn seed(&self, torrent: &str, until: &str) -> (Program, String) {
        let args = ["seed", "album", "--torrent", torrent];
        let more = ["--listen", "127.0.0.1:0", "--state-dir", "seed-state"];
        let seed = self.start(&[&args[..], &more].concat());
        let address = seed.addr().to_string();
        seed.wait_for(until);
        (seed, address)
    }

    /// `get` of a link from this peer into `folder`.
    fn get<'a>(&self, link: &'a str, peer: &'a str, folder: &'a str) -> Vec<&'a str> {
        vec![
            "get",
            link,
            "--peer",
            peer,
            "-o",
            folder,
            "--listen",
            "127.0.0.1:0",
            "--state-dir",
            "get-state",
        ]
    }

    fn assert_same(&self, file: &str, folder: &str) {
        let read = |path: PathBuf| fs::read(path).expect("a file");
        let ours = read(self.path(folder).join("album").join(file));
        assert!(ours == read(self.path("album").join(file)), "{file}");
    }
}

fn of_type<'a>(facts: &'a [Value], wanted: &str) -> Vec<&'a Value> {
    facts.iter().filter(|fact| fact["type"] == wanted).collect()
}

/// An address where nobody answers: the port was free a moment ago.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

#[test]
fn a_link_is_all_that_is_needed() {
    let desk = Desk::new();
    let (_seed, peer) = desk.seed("album.torrent", "seeding");
    let (code, facts, _) = desk.run(&desk.get(&desk.magnet, &peer, "out"));
    assert_eq!(code, 0, "{facts:?}");
    for file in ["one.bin", "two.bin", "z.txt"] {
        desk.assert_same(file, "out");
    }
    let came = of_type(&facts, "metadata");
    assert_eq!(came.len(), 1);
    assert_eq!(
        (&came[0]["name"], &came[0]["files"]),
        (&"album".into(), &3.into())
    );
    assert_eq!(of_type(&facts, "summary")[0]["complete"], true);

    // What was learnt is remembered: nobody has to be asked again.
    let (code, facts, _) = desk.run(&desk.get(&desk.magnet, &nobody(), "out"));
    assert_eq!(code, 0, "{facts:?}");
    assert_eq!(of_type(&facts, "metadata").len(), 1);
    assert_eq!(of_type(&facts, "checked")[0]["have_pieces"], 22);
}

/// As most links are, and as the README shows: a tracker, and nobody's address.
#[test]
fn a_tracker_is_all_that_a_link_has_to_name() {
    let desk = Desk::new();
    let tracker = desk.start(&["tracker", "--http", "127.0.0.1:0"]);
    let listening = tracker.wait_for("listening");
    let url = listening["url"].as_str().expect("a URL");
    let link = &*desk.create(&["-o", "tracked.torrent", "--tracker", url]);
    assert!(link.contains("&tr="), "{link}");
    let (_seed, _) = desk.seed("tracked.torrent", "tracker");
    let mut args = desk.get(link, "", "out");
    args.drain(2..4);
    let (code, facts, _) = desk.run(&args);
    assert_eq!(code, 0, "{facts:?}");
    desk.assert_same("one.bin", "out");
    assert!(!of_type(&facts, "tracker").is_empty(), "{facts:?}");
}

#[test]
fn interrupted_before_anybody_answered_the_same_command_goes_on() {
    let desk = Desk::new();
    let nobody = nobody();
    let mut get = desk.start(&desk.get(&desk.magnet, &nobody, "out"));
    let waits = get.wait_for("progress");
    assert_eq!(waits["state"], "metadata");
    let why = waits["why"][0].as_str().expect("a reason");
    assert!(why.contains("nobody connected"), "{why}");
    assert_eq!(get.interrupt(), Some(130));

    let (_seed, peer) = desk.seed("album.torrent", "seeding");
    let (code, facts, _) = desk.run(&desk.get(&desk.magnet, &peer, "out"));
    assert_eq!(code, 0, "{facts:?}");
    desk.assert_same("one.bin", "out");
}

#[test]
fn files_can_be_chosen_by_the_link_and_by_name() {
    let desk = Desk::new();
    let (_seed, peer) = desk.seed("album.torrent", "seeding");
    let is_there = |folder: &str, file: &str| -> bool {
        let path: &Path = &desk.path(folder).join("album").join(file);
        path.exists()
    };
    let link = format!("{}&so=1", desk.magnet);
    let (code, facts, _) = desk.run(&desk.get(&link, &peer, "by-link"));
    assert_eq!(code, 0, "{facts:?}");
    desk.assert_same("two.bin", "by-link");
    assert!(!is_there("by-link", "one.bin"));

    // With and without what was remembered by then.
    for (state, folder) in [("get-state", "again"), ("fresh-state", "by-name")] {
        let mut args = desk.get(&desk.magnet, &peer, folder);
        for arg in &mut args {
            if *arg == "get-state" {
                *arg = state;
            }
        }
        args.extend(["--select", "z.*"]);
        let (code, facts, _) = desk.run(&args);
        assert_eq!(code, 0, "{args:?} {facts:?}");
        desk.assert_same("z.txt", folder);
        assert!(!is_there(folder, "one.bin"), "{folder}");
    }
    let mut args = desk.get(&desk.magnet, &peer, "none");
    args.extend(["--select", "*.flac"]);
    let (code, facts, _) = desk.run(&args);
    assert_eq!(code, 1, "{facts:?}");
    let error = &of_type(&facts, "summary")[0]["error"];
    let error = error.as_str().expect("a reason");
    assert!(error.contains("none of the 3 files"), "{error}");
}

#[test]
fn links_that_lead_nowhere_are_refused_in_words() {
    let desk = Desk::new();
    let v2 = format!("magnet:?xt=urn:btmh:1220{}", "ab".repeat(32));
    let bare = &*desk.magnet;
    let tracked = format!("{bare}&tr=http%3A%2F%2Ftracker.example%2Fannounce");
    for (args, words) in [
        (vec!["get", &*v2], &["version 2", "hybrid"][..]),
        (vec!["get", bare], &["--peer", "tracker", "DHT"]),
        (vec!["get", &*tracked, "--no-trackers"], &["--peer"]),
        (vec!["get", "magnet:?dn=x"], &["xt=urn:btih:"]),
    ] {
        let (code, _, said) = desk.run(&args);
        assert_eq!(code, 2, "{args:?}");
        for word in words {
            assert!(said.contains(word), "no {word:?} in {said}");
        }
    }
}
