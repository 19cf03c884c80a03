//! What program a peer runs: its own word (BEP 10 `v`), or the code in its peer id (BEP 20).

use dunlin_base::PeerId;

/// Longest name that is shown: it comes from a stranger.
const NAME_CHARS_MAX: usize = 64;

/// Codes of peer ids like `-TR3000-`.
const CODES: [(&[u8; 2], &str); 28] = [
    (b"AZ", "Vuze"),
    (b"BC", "BitComet"),
    (b"BI", "BiglyBT"),
    (b"BT", "BitTorrent"),
    (b"DE", "Deluge"),
    (b"DN", "Dunlin"),
    (b"FD", "Free Download Manager"),
    (b"FL", "Flud"),
    (b"FW", "FrostWire"),
    (b"GT", "anacrolix/torrent"),
    (b"KT", "KTorrent"),
    (b"LT", "libtorrent"),
    (b"LW", "LimeWire"),
    (b"PI", "PicoTorrent"),
    (b"SD", "Xunlei"),
    (b"TL", "Tribler"),
    (b"TR", "Transmission"),
    (b"TX", "Tixati"),
    (b"UE", "µTorrent Embedded"),
    (b"UM", "µTorrent Mac"),
    (b"UT", "µTorrent"),
    (b"UW", "µTorrent Web"),
    (b"WD", "WebTorrent Desktop"),
    (b"WW", "WebTorrent"),
    (b"XL", "Xunlei"),
    (b"lt", "rTorrent"),
    (b"qB", "qBittorrent"),
    (b"rQ", "rqbit"),
];

/// A peer's program, for people.
pub(crate) fn name(said: Option<&str>, peer_id: Option<&PeerId>) -> String {
    let said: String = said
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .take(NAME_CHARS_MAX)
        .collect();
    if !said.trim().is_empty() {
        return said;
    }
    peer_id.map_or_else(String::new, of_peer_id)
}

fn of_peer_id(peer_id: &PeerId) -> String {
    let id = peer_id.as_bytes();
    if let [b'-', a, b, v, w, x, y, b'-', ..] = *id
        && let Some((code, name)) = CODES.iter().find(|(code, _)| **code == [a, b])
    {
        return format!("{name} {}", version(**code == *b"TR", [v, w, x, y]));
    }
    if let Some(version) = id.strip_prefix(b"A2-") {
        // `A2-1-36-0-`: the numbers in plain.
        let parts: Vec<String> = version
            .split(|&byte| byte == b'-')
            .take(3)
            .take_while(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
            .map(|part| part.iter().map(|&byte| char::from(byte)).collect())
            .collect();
        return format!("aria2 {}", parts.join("."));
    }
    let shown = id.iter().take(8).map(|&byte| char::from(byte));
    shown
        .map(|c| if c.is_ascii_graphic() { c } else { '?' })
        .collect()
}

/// Four characters, a number each, as a version: letters go on after 9, zeros at the end are left
/// out. Transmission had two numbers before its fourth version: `3000` is 3.00.
fn version(of_transmission: bool, code: [u8; 4]) -> String {
    if of_transmission && matches!(code[0], b'0'..=b'3') {
        let [major, minor @ ..] = code.map(char::from);
        return format!("{major}.{}{}", minor[0], minor[1]);
    }
    let numbers = code.iter().map_while(|&byte| match byte {
        b'0'..=b'9' => Some(u32::from(byte - b'0')),
        b'A'..=b'Z' => Some(u32::from(byte - b'A') + 10),
        _ => None,
    });
    let mut numbers: Vec<u32> = numbers.collect();
    while numbers.len() > 2 && numbers.last() == Some(&0) {
        numbers.pop();
    }
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    numbers.join(".")
}
