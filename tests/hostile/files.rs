//! Torrent files and settings that were made to do harm.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::program::Desk;
use crate::torrent::{Entry, FILE_BYTES, Torrent, text};

/// Files and links below a folder; links are not followed.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        match entry.file_type().expect("a kind").is_dir() {
            true => found.extend(below(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

#[test]
fn names_links_and_twins_stay_in_the_download_folder() {
    use Entry::{File, Link};
    let files = [
        File(&["..", "..", "escape"]),
        File(&["/etc/passwd"]),
        File(&["a/../../../b"]),
        File(&["..\\..\\boot.ini"]),
        File(&["C:", "system"]),
        File(&["CON"]),
        File(&["trailing. . "]),
        File(&["a\0b\n\u{1b}[31m"]),
        File(&["gpj.\u{202e}exe"]),
        File(&[".."]),
        File(&[""]),
        File(&["readme"]),
        File(&["readme"]),
        File(&["README"]),
        File(&["\u{e9}"]),
        File(&["e\u{301}"]),
        File(&["readme", "inside a file"]),
    ];
    let links = [
        Link(&["inner"], &["readme"]),
        Link(&["outer"], &["..", "..", "..", "secret"]),
        Link(&["absolute"], &["/etc/passwd"]),
        Link(&["circle"], &["circle"]),
    ];
    let count = files.len();
    let entries: Vec<_> = files.into_iter().chain(links).collect();
    let torrent = Arc::new(Torrent::folder("../../../top", &entries));
    let desk = Desk::new();
    desk.write("evil.torrent", &torrent.metainfo);
    desk.write("secret", "untouched");
    let peer = torrent.serve().to_string();
    let args = "get evil.torrent -o in/down --state-dir state --no-trackers --listen 127.0.0.1:0";
    let args: Vec<_> = args.split(' ').chain(["--peer", &peer]).collect();
    assert_eq!(desk.start(&args).end(), Some(0));

    let down = desk.path("in/down").canonicalize().expect("a folder");
    let mut came = Vec::new();
    for path in below(&down) {
        let real = path.canonicalize().expect("no link leads to nowhere");
        assert!(real.starts_with(&down), "{path:?} leads to {real:?}");
        let content = fs::read(&path).expect("a file");
        // A link to nowhere is an empty file.
        if !path.is_symlink() && !content.is_empty() {
            came.push(content);
        }
    }
    // No file took the place of another: every one has bytes of its own.
    let expected: BTreeSet<_> = torrent
        .content
        .chunks(FILE_BYTES)
        .map(<[u8]>::to_vec)
        .collect();
    assert_eq!((came.len(), expected.len()), (count, count));
    assert!(came.into_iter().collect::<BTreeSet<_>>() == expected);
    let outside = below(desk.path("").as_path()).into_iter();
    let outside: Vec<_> = outside
        .filter(|path| {
            !path.starts_with(desk.path("in/down")) && !path.starts_with(desk.path("state"))
        })
        .collect();
    let known = ["evil.torrent", "secret"].map(|name| desk.path(name));
    assert!(
        outside.iter().all(|path| known.contains(path)),
        "{outside:?}"
    );
    assert_eq!(fs::read(desk.path("secret")).expect("a file"), b"untouched");
}

#[cfg(unix)]
#[test]
fn links_that_lie_in_wait_are_not_followed() {
    for planted in ["down/top", "down/top/d", "down/top/d/f"] {
        let torrent = Arc::new(Torrent::folder("top", &[Entry::File(&["d", "f"])]));
        let desk = Desk::new();
        desk.write("t.torrent", &torrent.metainfo);
        desk.write("outside/canary", "untouched");
        let link = desk.path(planted);
        fs::create_dir_all(link.parent().expect("below the desk")).expect("a folder");
        // For a folder the place outside, for the file one that is not there yet.
        let target = match planted.ends_with('f') {
            true => "outside/f",
            false => "outside",
        };
        std::os::unix::fs::symlink(desk.path(target), &link).expect("a link");
        let peer = torrent.serve().to_string();
        let args = "get t.torrent -o down --state-dir state --no-trackers --listen 127.0.0.1:0";
        let args: Vec<_> = args.split(' ').chain(["--peer", &peer]).collect();
        let mut get = desk.start(&args);
        let stopped = get.wait_for("stopped");
        let reason = stopped["reason"].as_str().expect("text");
        assert!(!reason.contains("tried again"), "it ends: {stopped}");
        assert!(stopped["retry_secs"].is_null(), "{stopped}");
        assert_eq!(get.end(), Some(1), "{planted}");
        assert_eq!(below(&desk.path("outside")), [desk.path("outside/canary")]);
        assert!(link.is_symlink(), "{planted} is still what it was");
    }
}

/// Dunlin in no more address space than that.
fn in_a_gibibyte(desk: &Desk) -> Command {
    let mut command = desk.command(Path::new("/bin/sh"));
    let script = "ulimit -v 1048576; exec \"$0\" \"$@\"";
    command.args(["-c", script, env!("CARGO_BIN_EXE_dunlin")]);
    command
}

/// A whole torrent file around these entries of an info dictionary.
fn with_info(entries: &str) -> Vec<u8> {
    format!("d4:infod{entries}ee").into_bytes()
}

/// Each claims or nests more than anybody may make us keep; one gibibyte is enough for all of
/// them, and none is answered by a crash.
#[test]
fn bombs_in_torrent_files_are_refused_in_bounded_memory() {
    let hash = "x".repeat(20);
    let pieces = format!("6:pieces20:{hash}");
    let many_pieces = [
        &b"d4:infod6:lengthi9223372036854775807e4:name1:x12:piece lengthi16384e6:pieces"[..],
        &text(vec![b'x'; 9_000_000]),
        b"ee",
    ]
    .concat();
    let file = "d6:lengthi9223372036854775807e4:pathl1:aee";
    let deep_path = "1:d".repeat(200);
    let bombs: [Vec<u8>; 19] = [
        b"l".repeat(5_000_000),
        b"d1:a".repeat(1_000_000),
        [b"l", &b"i0e".repeat(3_100_000)[..], b"e"].concat(),
        vec![b'd'; (10 << 20) + 1],
        b"d4:info99999999999999999999:x".to_vec(),
        b"d4:info4294967295:x".to_vec(),
        [&b"d4:infod6:lengthi"[..], &b"9".repeat(1_000_000), b"eee"].concat(),
        with_info(&format!(
            "6:lengthi007e4:name1:x12:piece lengthi16384e{pieces}"
        )),
        with_info(&format!(
            "6:lengthi-1e4:name1:x12:piece lengthi16384e{pieces}"
        )),
        with_info(&format!(
            "6:lengthi1e4:name1:x4:name1:y12:piece lengthi16384e{pieces}"
        )),
        with_info(&format!("6:lengthi1e4:name1:x12:piece lengthi0e{pieces}")),
        with_info(&format!(
            "6:lengthi1e4:name1:x12:piece lengthi-16384e{pieces}"
        )),
        with_info(&format!(
            "6:lengthi1e4:name1:x12:piece lengthi9223372036854775807e{pieces}"
        )),
        with_info(&format!(
            "6:lengthi99999e4:name1:x12:piece lengthi16384e{pieces}"
        )),
        with_info("6:lengthi1e4:name1:x12:piece lengthi16384e6:pieces3:abc"),
        with_info(&format!(
            "5:filesl{file}{file}{file}e4:name1:x12:piece lengthi16384e{pieces}"
        )),
        with_info(&format!("5:filesle4:name1:x12:piece lengthi16384e{pieces}")),
        with_info(&format!(
            "5:filesld6:lengthi1e4:pathl{deep_path}eee4:name1:x12:piece lengthi16384e{pieces}"
        )),
        many_pieces,
    ];
    let desk = Desk::new();
    for (number, bomb) in bombs.iter().enumerate() {
        desk.write("bomb.torrent", bomb);
        for verb in ["show", "get"] {
            let output = in_a_gibibyte(&desk)
                .args([verb, "bomb.torrent"])
                .output()
                .expect("it runs");
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{verb} {number}: {said}");
            assert!(said.contains("bomb.torrent"), "{verb} {number}: {said}");
        }
    }
    assert!(!desk.path(".local").exists(), "no session began");
}

#[test]
fn settings_that_were_made_to_do_harm_are_refused() {
    let desk = Desk::new();
    let texts: [Vec<u8>; 9] = [
        format!("a = {}", "[".repeat(200_000)).into_bytes(),
        format!("a = {}", "{a = ".repeat(100_000)).into_bytes(),
        format!("[{}a]", "a.".repeat(100_000)).into_bytes(),
        b"\xff\xfe\0\0".to_vec(),
        b"[engine.limits]\nup = 18446744073709551616\n".to_vec(),
        b"[engine.limits]\nup = \"18446744073709551615T\"\n".to_vec(),
        b"[engine.limits]\nconnections = -1\n".to_vec(),
        b"[network]\nmemory = \"9999999T\"\n".to_vec(),
        b"[network]\nlisten = [\"999.0.0.1:99999\"]\n".to_vec(),
    ];
    for (number, text) in texts.iter().enumerate() {
        desk.write("bad.toml", text);
        let output = in_a_gibibyte(&desk)
            .args(["config", "check", "bad.toml"])
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{number}: {said}");
        assert!(said.contains("bad.toml"), "{number}: {said}");
        assert!(
            said.len() < 10_000,
            "{number}: {} bytes of words",
            said.len()
        );
    }
}
