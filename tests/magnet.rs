//! Downloads by magnet link from one process of the binary to another, over loopback.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// A folder with an `album`, its torrent, and what runs in it.
struct Desk {
    folder: TempDir,
    magnet: String,
}

/// A program that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).ok();
    }
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let album = folder.path().join("album");
        fs::create_dir(&album).expect("a folder");
        for (name, bytes) in [("one.bin", 300_000), ("two.bin", 50_000), ("z.txt", 9)] {
            let content: Vec<u8> = (0..bytes as u32)
                .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
                .take(bytes)
                .collect();
            fs::write(album.join(name), content).expect("a file");
        }
        let mut desk = Self {
            folder,
            magnet: String::new(),
        };
        let made = desk.run(&["create", "album", "--piece-size", "16K", "--json"]);
        assert_eq!(made.0, 0, "{made:?}");
        let link = made.1[0]["magnet"].as_str().expect("a link");
        link.clone_into(&mut desk.magnet);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn dunlin(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dunlin"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(self.path("log")).expect("a log"));
        command
    }

    /// Runs to the end: the exit code and all facts.
    fn run(&self, args: &[&str]) -> (i32, Vec<Value>) {
        let output = self.dunlin(args).output().expect("it runs");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let facts = text.lines().map(fact).collect();
        (output.status.code().expect("no signal ended it"), facts)
    }

    /// A tracker on loopback; its announce URL.
    fn tracker(&self) -> (Running, String) {
        let args = ["tracker", "--http", "127.0.0.1:0", "--json"];
        let mut child = self.dunlin(&args).spawn().expect("it runs");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let running = Running(child);
        let line = lines.next().expect("it says where it listens");
        let url = fact(&line.expect("UTF-8"))["url"]
            .as_str()
            .map(str::to_owned);
        (running, url.expect("a URL"))
    }

    /// Seeds the album on loopback; where.
    fn seed(&self) -> (Running, String) {
        self.seed_torrent("album.torrent", "seeding")
    }

    /// Seeds until it has told of this fact.
    fn seed_torrent(&self, torrent: &str, until: &str) -> (Running, String) {
        let mut child = self
            .dunlin(&[
                "seed",
                "album",
                "--torrent",
                torrent,
                "--listen",
                "127.0.0.1:0",
                "--state-dir",
                "seed-state",
                "--json",
            ])
            .spawn()
            .expect("it runs");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let running = Running(child);
        let mut address = String::new();
        for line in lines {
            let fact = fact(&line.expect("UTF-8"));
            if fact["type"] == "listening" {
                fact["addr"]
                    .as_str()
                    .expect("text")
                    .clone_into(&mut address);
            }
            if fact["type"] == until {
                return (running, address);
            }
        }
        panic!("the seed ended");
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
            "--json",
        ]
    }

    fn assert_same(&self, file: &str, folder: &str) {
        let read = |path: PathBuf| fs::read(path).expect("a file");
        let ours = read(self.path(folder).join("album").join(file));
        assert!(ours == read(self.path("album").join(file)), "{file}");
    }
}

fn fact(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
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
    let (_seed, peer) = desk.seed();
    let (code, facts) = desk.run(&desk.get(&desk.magnet, &peer, "out"));
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
    let (code, facts) = desk.run(&desk.get(&desk.magnet, &nobody(), "out"));
    assert_eq!(code, 0, "{facts:?}");
    assert_eq!(of_type(&facts, "metadata").len(), 1);
    assert_eq!(of_type(&facts, "checked")[0]["have_pieces"], 22);
}

/// As most links are, and as the README shows: a tracker, and nobody's address.
#[test]
fn a_tracker_is_all_that_a_link_has_to_name() {
    let desk = Desk::new();
    let (_tracker, url) = desk.tracker();
    let args = [
        "create",
        "album",
        "-o",
        "tracked.torrent",
        "--tracker",
        &url,
    ];
    let made = desk.run(&[&args[..], &["--piece-size", "16K", "--json"]].concat());
    assert_eq!(made.0, 0, "{made:?}");
    let link = made.1[0]["magnet"].as_str().expect("a link");
    assert!(link.contains("&tr="), "{link}");
    let (_seed, _) = desk.seed_torrent("tracked.torrent", "tracker");
    let mut args = desk.get(link, "", "out");
    args.drain(2..4);
    let (code, facts) = desk.run(&args);
    assert_eq!(code, 0, "{facts:?}");
    desk.assert_same("one.bin", "out");
    assert!(!of_type(&facts, "tracker").is_empty(), "{facts:?}");
}

#[test]
fn interrupted_before_anybody_answered_the_same_command_goes_on() {
    let desk = Desk::new();
    let nobody = nobody();
    let mut child = desk
        .dunlin(&desk.get(&desk.magnet, &nobody, "out"))
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut running = Running(child);
    let waits = lines.find_map(|line| {
        let fact = fact(&line.expect("UTF-8"));
        (fact["type"] == "progress").then_some(fact)
    });
    let waits = waits.expect("it tells how far it is");
    assert_eq!(waits["state"], "metadata");
    let why = waits["why"][0].as_str().expect("a reason");
    assert!(why.contains("nobody connected"), "{why}");
    let pid = Pid::from_child(&running.0);
    kill_process(pid, Signal::INT).expect("it runs");
    assert_eq!(running.0.wait().expect("it ends").code(), Some(130));

    let (_seed, peer) = desk.seed();
    let (code, facts) = desk.run(&desk.get(&desk.magnet, &peer, "out"));
    assert_eq!(code, 0, "{facts:?}");
    desk.assert_same("one.bin", "out");
}

#[test]
fn files_can_be_chosen_by_the_link_and_by_name() {
    let desk = Desk::new();
    let (_seed, peer) = desk.seed();
    let is_there = |folder: &str, file: &str| -> bool {
        let path: &Path = &desk.path(folder).join("album").join(file);
        path.exists()
    };
    let link = format!("{}&so=1", desk.magnet);
    let (code, facts) = desk.run(&desk.get(&link, &peer, "by-link"));
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
        let (code, facts) = desk.run(&args);
        assert_eq!(code, 0, "{args:?} {facts:?}");
        desk.assert_same("z.txt", folder);
        assert!(!is_there(folder, "one.bin"), "{folder}");
    }
    let mut args = desk.get(&desk.magnet, &peer, "none");
    args.extend(["--select", "*.flac"]);
    let (code, facts) = desk.run(&args);
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
        let (code, _) = desk.run(&args);
        assert_eq!(code, 2, "{args:?}");
        let said = fs::read_to_string(desk.path("log")).expect("a log");
        for word in words {
            assert!(said.contains(word), "no {word:?} in {said}");
        }
    }
}
