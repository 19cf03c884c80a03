//! Torrent files and what is on disk: `create`, `show` and `verify` against other people's tools.

use std::fs;
use std::process::Command;

use crate::peers::dunlin::{self, Dunlin};
use crate::support::lab::{Host, Lab, find_program, skip};
use crate::support::payload::{BIG_PIECES, EMPTY_FILES, EXACT, MANY_FILES, ONE_FILE, Payload};
use crate::support::torrent::Torrent;
use crate::support::wait::CHECK;

#[test]
fn created_torrents_are_those_of_the_tests_own_writer() {
    let Some(lab) = Lab::open() else { return };
    if dunlin::program().is_none() {
        return;
    }
    let host = lab.host("dunlin");
    for payload in Payload::all() {
        let made = create(
            &host,
            payload,
            &["--tracker", "http://10.77.0.1:6969/announce"],
        );
        let (found, expected) = (sorted(&made.files), sorted(&payload.torrent.files));
        assert_eq!(found, expected, "{}", payload.torrent.name);
        assert_eq!(
            made.piece_count(),
            payload.torrent.piece_count(),
            "{}",
            payload.torrent.name
        );
        made.assert_complete(payload.root.parent().expect("below a folder"));
    }
}

fn sorted<T: Ord + Clone>(list: &[T]) -> Vec<T> {
    let mut list = list.to_vec();
    list.sort();
    list
}

#[test]
fn a_created_torrent_has_the_info_hash_that_mktorrent_gives() {
    let Some(lab) = Lab::open() else { return };
    let Some(mktorrent) = find_program("mktorrent") else {
        skip("mktorrent not found (.ci/install-peers installs it)");
        return;
    };
    if dunlin::program().is_none() {
        return;
    }
    let host = lab.host("dunlin");
    // It makes no pieces below 32 KiB.
    for payload in [ONE_FILE, EXACT].map(Payload::named) {
        let ours = create(&host, &payload, &[]);
        let file = host.folder().join("theirs.torrent");
        let exponent = payload.torrent.piece_bytes.ilog2().to_string();
        fs::remove_file(&file).ok();
        let status = Command::new(&mktorrent)
            .args(["-d", "-l", &exponent, "-o"])
            .arg(&file)
            .arg(&payload.root)
            .stdout(std::process::Stdio::null())
            .status()
            .expect("mktorrent runs");
        assert!(status.success());
        assert_eq!(
            ours.hash_hex(),
            Torrent::read(&file).hash_hex(),
            "{}",
            payload.torrent.name
        );
    }
}

fn create(host: &Host, payload: &Payload, more: &[&str]) -> Torrent {
    let file = host
        .folder()
        .join(format!("made-{}.torrent", payload.torrent.name));
    let mut command = Dunlin::run(host, "create")
        .arg(payload.root.display())
        .option("-o", file.display())
        .option(
            "--piece-size",
            format!("{}K", payload.torrent.piece_bytes / 1024),
        );
    for argument in more {
        command = command.arg(argument);
    }
    command.start().wait_success(CHECK);
    Torrent::read(&file)
}

#[test]
fn show_names_the_info_hash() {
    let Some(lab) = Lab::open() else { return };
    if dunlin::program().is_none() {
        return;
    }
    let host = lab.host("dunlin");
    for payload in Payload::all() {
        let mut process = Dunlin::run(&host, "show")
            .arg(payload.torrent.file.display())
            .arg("--json")
            .start();
        process.wait_success(CHECK);
        let printed = process.output();
        assert!(printed.contains(&payload.torrent.hash_hex()), "{printed}");
    }
}

#[test]
fn verify_agrees_with_an_independent_hash() {
    let Some(lab) = Lab::open() else { return };
    if dunlin::program().is_none() {
        return;
    }
    let host = lab.host("dunlin");
    for payload in [MANY_FILES, EMPTY_FILES, BIG_PIECES].map(Payload::named) {
        let folder = host.fresh_folder("verified");
        payload.place(&folder);
        Dunlin::verify(&host, &payload, &folder)
            .start()
            .wait_success(CHECK);
        // One byte of the first file that has any.
        let (path, _) = payload
            .torrent
            .files
            .iter()
            .find(|(_, size)| *size > 0)
            .expect("some content");
        let mut content = fs::read(folder.join(path)).expect("our own file");
        content[0] ^= 1;
        fs::write(folder.join(path), content).expect("our own file");
        let mut process = Dunlin::verify(&host, &payload, &folder).start();
        let status = process.wait(CHECK);
        assert_eq!(status.code(), Some(1), "{}", process.tail());
    }
}
