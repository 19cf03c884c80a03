//! Goal: programs are named as people know them, and strangers' bytes do no harm.
//! Method: a table of peer ids and of what peers say.

use dunlin_base::PeerId;

use crate::observe::client::name;

#[test]
fn peer_ids_are_named() {
    for (id, expected) in [
        (b"-TR3000-abcdefghijkl", "Transmission 3.00"),
        (b"-TR2940-abcdefghijkl", "Transmission 2.94"),
        (b"-TR4060-abcdefghijkl", "Transmission 4.0.6"),
        (b"-qB4650-abcdefghijkl", "qBittorrent 4.6.5"),
        (b"-LT20B0-abcdefghijkl", "libtorrent 2.0.11"),
        (b"-DE211s-abcdefghijkl", "Deluge 2.1.1"),
        (b"-UT1000-abcdefghijkl", "µTorrent 1.0"),
        (b"A2-1-36-0-abcdefghij", "aria2 1.36.0"),
        (b"-ZZ1234-abcdefghijkl", "-ZZ1234-"),
        (b"M7-9-2--\0bcdefghijkl", "M7-9-2--"),
        (b"\0\xff\x1b[2J\n!abcdefghijkl", "???[2J?!"),
    ] {
        assert_eq!(name(None, Some(&PeerId(*id))), expected);
    }
    assert_eq!(name(None, None), "");
}

#[test]
fn what_a_peer_says_comes_first_if_it_says_anything() {
    let id = PeerId(*b"-TR3000-abcdefghijkl");
    for (said, expected) in [
        ("µTorrent 3.5.5", "µTorrent 3.5.5"),
        ("", "Transmission 3.00"),
        (" \u{7}\n", "Transmission 3.00"),
        ("evil\u{1b}[31m", "evil[31m"),
    ] {
        assert_eq!(name(Some(said), Some(&id)), expected);
    }
    assert_eq!(name(Some(&"x".repeat(5000)), None).len(), 64);
}
