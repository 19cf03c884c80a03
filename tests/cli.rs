//! The commands that need no peers, as people run them: the binary, its words and its exit codes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder to work in, which is also the home of what runs in it.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("below the desk")).expect("a folder");
        fs::write(&path, content).expect("a file");
        path
    }

    /// A folder `album` with files of several sizes, one of them empty.
    fn album(&self) {
        self.write("album/one.bin", noise(100_000));
        self.write("album/inner/two.bin", noise(40_000));
        self.write("album/inner/empty.txt", "");
        self.write("album/z.bin", noise(1));
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.0.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.0.path())
            .stdin(Stdio::null());
        command
    }

    fn dunlin(&self) -> Command {
        self.command(Path::new(env!("CARGO_BIN_EXE_dunlin")))
    }

    fn run(&self, args: &[&str]) -> Ended {
        Ended::of(self.dunlin().args(args))
    }

    /// Runs a command that has to succeed, with `--json`; what it prints last.
    fn facts(&self, args: &[&str]) -> Value {
        let ended = self.run(&[args, &["--json"]].concat());
        assert_eq!(ended.code, 0, "{args:?}: {ended:?}");
        ended.json()
    }
}

/// How a command ended.
#[derive(Debug)]
struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Ended {
    fn of(command: &mut Command) -> Self {
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().expect("it runs");
        Self {
            code: status.code().expect("no signal ended it"),
            out: String::from_utf8(stdout).expect("UTF-8"),
            err: String::from_utf8(stderr).expect("UTF-8"),
        }
    }

    fn json(&self) -> Value {
        let line = self.out.lines().last().expect("a line");
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
    }

    /// It failed with this code, and says why in these words.
    fn assert_refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in {self:?}");
        }
    }
}

/// Bytes that no piece shares with another.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ len as u64;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(step).collect()
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("DUNLIN_REQUIRE_PEERS").is_none(),
            "{program} is required and not there"
        );
        eprintln!("skipped: {program} not found");
    }
    found
}

#[test]
fn what_create_makes_show_shows_and_verify_accepts() {
    let desk = Desk::new();
    desk.album();
    let made = desk.facts(&[
        "create",
        "album",
        "-o",
        "album.torrent",
        "--piece-size",
        "32K",
        "--tracker",
        "http://one.example/announce,udp://two.example:6969/announce",
        "--tracker",
        "http://three.example/announce",
        "--web-seed",
        "http://files.example/",
        "--comment",
        "made for a test",
        "--source",
        "TEST",
        "--private",
    ]);
    let shown = desk.facts(&["show", "album.torrent"]);
    assert_eq!(shown["info_hash"], made["info_hash"]);
    assert_eq!(shown["name"], "album");
    assert_eq!(shown["version"], "v1");
    assert_eq!(shown["piece_bytes"], 32 << 10);
    assert_eq!(shown["total_bytes"], 140_001);
    assert_eq!(shown["private"], true);
    assert_eq!(shown["source"], "TEST");
    assert_eq!(shown["comment"], "made for a test");
    assert_eq!(shown["tiers"][0][1], "udp://two.example:6969/announce");
    assert_eq!(shown["tiers"][1][0], "http://three.example/announce");
    assert_eq!(shown["web_seeds"][0], "http://files.example/");
    assert!(shown["creation_date"].is_u64(), "{shown}");
    let paths: Vec<&str> = shown["files"]
        .as_array()
        .expect("files")
        .iter()
        .filter_map(|file| file["path"].as_str())
        .collect();
    assert_eq!(
        paths,
        [
            "album/inner/empty.txt",
            "album/inner/two.bin",
            "album/one.bin",
            "album/z.bin"
        ]
    );

    let text = desk.run(&["show", "album.torrent"]);
    for words in [
        "album",
        made["info_hash"].as_str().expect("a hash"),
        "5 of 32 KiB",
        "tier 2",
        "magnet:?xt=urn:btih:",
        "4 files",
    ] {
        assert!(text.out.contains(words), "no {words:?} in {}", text.out);
    }

    let checked = desk.facts(&["verify", "album.torrent", "-d", "."]);
    assert_eq!(checked["complete"], true);
    assert_eq!(checked["good_pieces"], 5);
}

#[test]
fn a_single_file_becomes_a_torrent_of_its_name() {
    let desk = Desk::new();
    desk.write("film.mkv", noise(70_000));
    // Without -o it lies in the current folder, under the content's name.
    desk.facts(&["create", "film.mkv", "--no-date"]);
    let shown = desk.facts(&["show", "film.mkv.torrent"]);
    assert_eq!(shown["files"][0]["path"], "film.mkv");
    assert_eq!(shown["creation_date"], Value::Null);
    assert_eq!(desk.run(&["verify", "film.mkv.torrent"]).code, 0);
}

#[test]
fn verify_tells_what_is_missing_bad_short_and_long() {
    let desk = Desk::new();
    desk.album();
    desk.facts(&[
        "create",
        "album",
        "-o",
        "album.torrent",
        "--piece-size",
        "16K",
    ]);
    let before = fs::read(desk.path("album/one.bin")).expect("our file");

    fs::remove_file(desk.path("album/inner/empty.txt")).expect("our file");
    let mut bad = before.clone();
    bad[50_000] ^= 1;
    fs::write(desk.path("album/one.bin"), bad).expect("our file");
    fs::write(
        desk.path("album/inner/two.bin"),
        noise(40_000).split_at(20_000).0,
    )
    .expect("our file");
    fs::write(desk.path("album/z.bin"), [noise(1), noise(5)].concat()).expect("our file");
    let ended = desk.run(&["verify", "album.torrent", "--json"]);
    assert_eq!(ended.code, 1);
    let found = ended.json();
    assert_eq!(found["complete"], false);
    let states: Vec<(&str, &str)> = found["faulty_files"]
        .as_array()
        .expect("files")
        .iter()
        .filter_map(|file| Some((file["path"].as_str()?, file["state"].as_str()?)))
        .collect();
    assert_eq!(
        states,
        [
            ("album/inner/empty.txt", "missing"),
            ("album/inner/two.bin", "short"),
            ("album/one.bin", "bad"),
            ("album/z.bin", "long"),
        ]
    );
    // The bad byte is at 90,000 in the torrent; the short file lacks its bytes from 20,000 on.
    assert_eq!(found["bad_pieces"], serde_json::json!([[5, 5]]));
    assert_eq!(found["missing_pieces"], serde_json::json!([[1, 2]]));
    let text = desk.run(&["verify", "album.torrent"]);
    assert_eq!(text.code, 1);
    assert!(
        text.out.contains("album/inner/empty.txt: missing"),
        "{}",
        text.out
    );
    assert!(text.out.contains("bad pieces: 5"), "{}", text.out);
}

#[test]
fn verify_writes_nothing() {
    let desk = Desk::new();
    desk.album();
    desk.facts(&["create", "album", "-o", "album.torrent"]);
    fs::create_dir(desk.path("elsewhere")).expect("a folder");
    assert_eq!(
        desk.run(&["verify", "album.torrent", "-d", "elsewhere"])
            .code,
        1
    );
    assert_eq!(
        fs::read_dir(desk.path("elsewhere"))
            .expect("our folder")
            .count(),
        0
    );
    desk.run(&["verify", "album.torrent", "-d", "nowhere"])
        .assert_refused(1, &["nowhere"]);
}

#[test]
fn create_keeps_what_is_there() {
    let desk = Desk::new();
    desk.write("file", noise(10));
    desk.write("file.torrent", "mine");
    let refused = desk.run(&["create", "file", "-o", "file.torrent"]);
    refused.assert_refused(1, &["file.torrent", "--force"]);
    assert_eq!(
        fs::read(desk.path("file.torrent")).expect("our file"),
        b"mine"
    );
    assert_eq!(
        desk.run(&["create", "file", "-o", "file.torrent", "--force"])
            .code,
        0
    );
    assert_eq!(desk.run(&["show", "file.torrent"]).code, 0);
}

/// Of a system that lets programs have few files open, whose limit no program may raise by itself.
#[cfg(unix)]
#[test]
fn few_open_files_are_enough_for_many() {
    let desk = Desk::new();
    for number in 0..300_usize {
        let content = noise(20_000).split_off(number);
        desk.write(&format!("many/{number}.bin"), content);
    }
    let limited = |args: &[&str]| {
        let mut shell = desk.command(Path::new("sh"));
        let run = "ulimit -n 40 && exec \"$0\" \"$@\"";
        shell.args(["-c", run, env!("CARGO_BIN_EXE_dunlin")]);
        Ended::of(shell.args(args))
    };
    let made = limited(&["create", "many", "-o", "many.torrent"]);
    assert_eq!(made.code, 0, "{made:?}");
    let verified = limited(&["verify", "many.torrent", "--json"]);
    assert_eq!(verified.json()["complete"], true, "{verified:?}");
}

#[test]
fn create_makes_no_torrent_that_is_of_no_use() {
    let desk = Desk::new();
    desk.write("album/track", noise(10));
    desk.write("album/old.torrent", "of yesterday");
    // It would describe the file that it replaces.
    let refused = desk.run(&["create", "album", "-o", "album/old.torrent", "--force"]);
    refused.assert_refused(1, &["old.torrent", "-o"]);
    let old = fs::read(desk.path("album/old.torrent"));
    assert_eq!(old.expect("our file"), b"of yesterday");

    // Nobody reads a torrent file of twelve megabytes.
    let big = desk.write("big", "");
    let file = fs::File::options().write(true).open(big).expect("our file");
    file.set_len(600_000 * 16 * 1024).expect("a file of holes");
    let refused = desk.run(&["create", "big", "--piece-size", "16K"]);
    refused.assert_refused(1, &["big", "larger pieces"]);
    assert!(!desk.path("big.torrent").exists());
}

#[test]
fn bad_usage_ends_with_2_and_what_to_do() {
    let desk = Desk::new();
    desk.write("file", noise(10));
    for (args, words) in [
        (
            &["create", "file", "--piece-size", "17K"] as &[&str],
            &["--piece-size", "power of two"] as &[&str],
        ),
        (
            &["create", "file", "--piece-size", "32M"],
            &["--piece-size", "16M"],
        ),
        (
            &["create", "file", "--tracker", "gopher://x/"],
            &["gopher://x/"],
        ),
        (&["create", "file", "--web-seed", "nowhere"], &["nowhere"]),
        (&["create"], &["Usage"]),
        (&["tracker", "--http", "everywhere"], &["everywhere"]),
        (&["tracker", "--interval", "0"], &["--interval"]),
        (&["dance"], &["dance"]),
        (&["config", "show", "--log", "=,="], &["log filter"]),
    ] {
        desk.run(args).assert_refused(2, words);
    }
}

#[test]
fn bad_input_ends_with_1_and_its_place() {
    let desk = Desk::new();
    desk.write("junk.torrent", "d4:infoi7ee");
    desk.write("text.torrent", "hello");
    desk.write("cut.torrent", "d4:info");
    let dash = [
        (
            &["show", "missing.torrent"] as &[&str],
            &["missing.torrent", "No such file"] as &[&str],
        ),
        (&["show", "junk.torrent"], &["junk.torrent", "byte 7"]),
        (&["show", "text.torrent"], &["text.torrent", "byte 0"]),
        (&["show", "cut.torrent"], &["cut.torrent", "byte 7"]),
        (&["verify", "text.torrent"], &["text.torrent", "byte 0"]),
        (&["create", "missing", "-o", "x.torrent"], &["missing"]),
        (
            &["create", "/dev/zero", "-o", "x.torrent"],
            &["/dev/zero", "neither a file nor a folder"],
        ),
        (
            &["create", "/proc/self/mem", "-o", "x.torrent"],
            &["/mem", "only files with a length can be shared"],
        ),
    ];
    for (args, words) in dash {
        desk.run(args).assert_refused(1, words);
    }
    // A link is typed, not read: one that is none is bad usage, whoever is asked.
    for verb in ["show", "get"] {
        let ended = desk.run(&[verb, "magnet:?dn=nothing"]);
        ended.assert_refused(2, &["magnet", "xt=urn:btih:"]);
    }
}

#[test]
fn names_are_made_safe_and_said_so() {
    let desk = Desk::new();
    let hash = "x".repeat(20);
    let info = format!(
        "d5:filesld6:lengthi5e4:pathl2:..7:p\x1b[31mweee4:name3:top12:piece lengthi16384e6:pieces20:{hash}e"
    );
    desk.write("bad.torrent", format!("d4:info{info}e"));
    let ended = desk.run(&["show", "bad.torrent"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.contains("top/p_[31mw"), "{}", ended.out);
    assert!(
        ended.out.contains("made safe; the torrent says"),
        "{}",
        ended.out
    );
    assert!(!ended.out.contains('\x1b'), "the terminal gets no commands");
}

#[test]
fn magnet_links_are_shown() {
    let desk = Desk::new();
    let hash = "0123456789abcdef0123456789abcdef01234567";
    let link = format!(
        "magnet:?xt=urn:btih:{hash}&dn=a%20name&tr=udp%3A%2F%2Ft.example%3A1%2Fannounce&x.pe=10.0.0.1:7000"
    );
    let shown = desk.facts(&["show", &link]);
    assert_eq!(shown["info_hash"], hash);
    assert_eq!(shown["name"], "a name");
    assert_eq!(shown["trackers"][0], "udp://t.example:1/announce");
    assert_eq!(shown["peers"][0], "10.0.0.1:7000");
    let text = desk.run(&["show", &link]);
    assert!(
        text.out.contains("a name") && text.out.contains(hash),
        "{}",
        text.out
    );
}

/// The info hash of `desk`'s `album` or `file` must be that of other people's tools. Private, because
/// Transmission says of other torrents that they are not, which gives another hash.
fn compare(desk: &Desk, content: &str, theirs: &mut Command) {
    let ended = Ended::of(theirs);
    assert_eq!(ended.code, 0, "{ended:?}");
    let ours = desk.facts(&[
        "create",
        content,
        "-o",
        "ours.torrent",
        "--piece-size",
        "32K",
        "--force",
        "--private",
    ]);
    let other = desk.facts(&["show", "theirs.torrent"]);
    assert_eq!(ours["info_hash"], other["info_hash"], "{theirs:?}");
    fs::remove_file(desk.path("theirs.torrent")).expect("their file");
}

#[test]
fn mktorrent_gives_the_same_info_hash() {
    let Some(mktorrent) = find("mktorrent") else {
        return;
    };
    let desk = Desk::new();
    desk.album();
    desk.write("file", noise(200_000));
    for content in ["album", "file"] {
        compare(
            &desk,
            content,
            desk.command(&mktorrent).args([
                "-d",
                "-p",
                "-l",
                "15",
                "-o",
                "theirs.torrent",
                content,
            ]),
        );
    }
}

#[test]
fn transmission_gives_the_same_info_hash() {
    let Some(transmission) = find("transmission-create") else {
        return;
    };
    let desk = Desk::new();
    desk.album();
    // It leaves empty files out.
    fs::remove_file(desk.path("album/inner/empty.txt")).expect("our file");
    desk.write("file", noise(200_000));
    for content in ["album", "file"] {
        compare(
            &desk,
            content,
            desk.command(&transmission)
                .args(["-p", "-t", "http://t.example/announce", "-s", "32"])
                .args(["-o", "theirs.torrent", content]),
        );
    }
}

#[test]
fn configuration_is_shown_in_layers() {
    let desk = Desk::new();
    desk.write(
        ".config/dunlin/config.toml",
        "[engine.limits]\nup = \"1M\"\ndown = \"3M\"\n",
    );
    let path = desk.facts(&["config", "path"]);
    assert_eq!(path["exists"], true);
    let ended = Ended::of(
        desk.dunlin()
            .args(["config", "show", "--json"])
            .env("DUNLIN_ENGINE__LIMITS__UP", "2M"),
    );
    let shown = ended.json();
    assert_eq!(shown["config"]["engine"]["limits"]["up"], "2M");
    assert_eq!(shown["config"]["engine"]["limits"]["down"], "3M");
    assert_eq!(shown["variables"][0], "DUNLIN_ENGINE__LIMITS__UP");

    // What is shown can be used as a file.
    let text = desk.run(&["config", "show"]);
    desk.write("all.toml", &text.out);
    let again = desk.facts(&["config", "show", "--config", "all.toml"]);
    assert_eq!(again["config"]["engine"]["limits"]["up"], "1M");
    assert_eq!(desk.run(&["config", "check", "all.toml"]).code, 0);
}

#[test]
fn configuration_errors_name_file_line_and_reason() {
    let desk = Desk::new();
    desk.write("unknown.toml", "[engine.choke]\nslotz = 3\n");
    desk.write("range.toml", "\n\n[engine.choke]\ninterval-secs = 0\n");
    desk.run(&["config", "check", "unknown.toml"])
        .assert_refused(1, &["unknown.toml:2:", "slotz"]);
    desk.run(&["config", "check", "range.toml"])
        .assert_refused(1, &["range.toml:4:", "1 to 3600"]);
    desk.run(&["config", "check", "missing.toml"])
        .assert_refused(1, &["missing.toml"]);
    desk.run(&["config", "show", "--config", "missing.toml"])
        .assert_refused(1, &["missing.toml"]);
    let variable = Ended::of(
        desk.dunlin()
            .args(["config", "check"])
            .env("DUNLIN_ENGINE__LIMITS__UP", "fast"),
    );
    variable.assert_refused(1, &["DUNLIN_ENGINE__LIMITS__UP", "fast"]);
    let json = desk.run(&["config", "check", "unknown.toml", "--json"]);
    assert_eq!((json.code, &json.json()["ok"]), (1, &Value::Bool(false)));
}

#[test]
fn every_verb_explains_itself_with_examples() {
    let desk = Desk::new();
    for verb in [
        "get", "seed", "create", "show", "verify", "tracker", "config",
    ] {
        let ended = desk.run(&[verb, "--help"]);
        assert_eq!(ended.code, 0, "{verb}");
        assert!(ended.out.contains("Examples:"), "{verb}: {}", ended.out);
    }
    assert!(desk.run(&["--help"]).out.contains("Exit codes"));
}

/// The lines of the README that need no peers, as they stand there.
#[test]
fn the_examples_of_the_readme_work() {
    let desk = Desk::new();
    desk.album();
    let readme = include_str!("../README.md");
    let verbs = ["create", "show", "verify", "config"].map(|verb| format!("dunlin {verb} "));
    let lines = readme
        .split("```sh\n")
        .skip(1)
        .filter_map(|block| block.split("```").next());
    let lines = lines
        .flat_map(str::lines)
        .filter(|line| verbs.iter().any(|verb| line.contains(verb)));
    let mut ran = 0;
    for line in lines {
        let line = line.replace("dunlin ", concat!(env!("CARGO_BIN_EXE_dunlin"), " "));
        let ended = Ended::of(desk.command(Path::new("/bin/sh")).args(["-c", &line]));
        assert_eq!(ended.code, 0, "{line}: {ended:?}");
        ran += 1;
    }
    assert_eq!(ran, 7, "the README has other examples now");
}
