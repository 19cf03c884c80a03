//! Reads what lies outside of the info dictionary. What is malformed is left out.

use dunlin_base::limits::{DHT_NODES_IN_TORRENT_MAX, TRACKERS_MAX, URL_BYTES_MAX, WEB_SEEDS_MAX};

use crate::bencode::{Dict, Value};

/// Schemes of trackers: BEP 3 and BEP 15, and those of WebTorrent.
pub(crate) const TRACKER_SCHEMES: &[&str] = &["http", "https", "udp", "ws", "wss"];
/// Schemes of web seeds (BEP 17, BEP 19).
pub(crate) const SEED_SCHEMES: &[&str] = &["http", "https", "ftp"];

/// A text under `key`, or its form in UTF-8 under `key.utf-8`.
pub(super) fn text(dict: Dict<'_>, key: &str) -> Option<String> {
    let utf8 = dict.get(format!("{key}.utf-8").as_bytes());
    utf8.and_then(|text| text.as_str().map(str::to_owned))
        .or_else(|| {
            let text = dict.get(key.as_bytes())?.as_bytes()?;
            Some(String::from_utf8_lossy(text).into_owned())
        })
}

/// The trackers in their tiers (BEP 12), or the one of BEP 3 when there is no list with any.
pub(super) fn tiers(dict: Dict<'_>) -> Vec<Vec<String>> {
    let mut left = TRACKERS_MAX;
    let mut tiers: Vec<Vec<String>> = Vec::new();
    let list = dict.get(b"announce-list").and_then(|list| list.as_list());
    for tier in list.into_iter().flatten() {
        let mut fresh: Vec<String> = Vec::new();
        // What is counted is looked at and not kept, or duplicates would cost without bound.
        for url in urls(tier, TRACKER_SCHEMES).take(left) {
            left -= 1;
            let known = tiers
                .iter()
                .flatten()
                .chain(&fresh)
                .any(|known| *known == url);
            if !known {
                fresh.push(url);
            }
        }
        if !fresh.is_empty() {
            tiers.push(fresh);
        }
    }
    if tiers.is_empty()
        && let Some(announce) = dict.get(b"announce")
    {
        tiers.extend(urls(announce, TRACKER_SCHEMES).take(1).map(|url| vec![url]));
    }
    tiers
}

/// The web seeds under `url-list` (BEP 19) or `httpseeds` (BEP 17), each once.
pub(super) fn web_seeds(dict: Dict<'_>, key: &[u8]) -> Vec<String> {
    let mut seeds: Vec<String> = Vec::new();
    if let Some(list) = dict.get(key) {
        for url in urls(list, SEED_SCHEMES).take(WEB_SEEDS_MAX) {
            if !seeds.contains(&url) {
                seeds.push(url);
            }
        }
    }
    seeds
}

/// The addresses of DHT nodes (BEP 5).
pub(super) fn nodes(dict: Dict<'_>) -> Vec<(String, u16)> {
    dict.get(b"nodes")
        .and_then(|nodes| nodes.as_list())
        .into_iter()
        .flatten()
        .filter_map(|node| {
            let mut node = node.as_list()?;
            let host = node.next()?.as_str()?;
            let port = u16::try_from(node.next()?.as_u64()?).ok()?;
            (!host.is_empty() && host.len() <= URL_BYTES_MAX && port > 0)
                .then(|| (host.to_owned(), port))
        })
        .take(DHT_NODES_IN_TORRENT_MAX)
        .collect()
}

/// The usable URLs of a list of strings, or of one string: both are common everywhere.
fn urls<'a>(value: Value<'a>, schemes: &'static [&str]) -> impl Iterator<Item = String> + use<'a> {
    let one = value.as_bytes().map(|_| value);
    value
        .as_list()
        .into_iter()
        .flatten()
        .chain(one)
        .filter_map(move |url| usable_url(url.as_str()?, schemes))
}

/// `text` without spaces around it, when it is a URL of one of the schemes.
pub(crate) fn usable_url(text: &str, schemes: &[&str]) -> Option<String> {
    let url = text.trim();
    let (scheme, rest) = url.split_once("://")?;
    let known = schemes
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known));
    let clean = !rest.is_empty() && !rest.contains(|c: char| c.is_control() || c == ' ');
    (known && clean && url.len() <= URL_BYTES_MAX).then(|| url.to_owned())
}
