//! Reads a magnet link.

use dunlin_base::limits::{MAGNET_BYTES_MAX, MAGNET_PEERS_MAX, TRACKERS_MAX, WEB_SEEDS_MAX};
use percent_encoding::percent_decode_str;

use super::error::{MagnetError, MagnetErrorKind};
use super::hash_text::{info_hash, info_hash_v2};
use super::link::{Magnet, MagnetPeer};
use super::selection::FileSelection;
use crate::metainfo::{SEED_SCHEMES, TRACKER_SCHEMES, usable_url};

const SCHEME: &str = "magnet:?";

pub(super) fn read(text: &str) -> Result<Magnet, MagnetError> {
    let fail = |offset, kind| Err(MagnetError { offset, kind });
    if text.len() > MAGNET_BYTES_MAX {
        let max = MAGNET_BYTES_MAX;
        return fail(max, MagnetErrorKind::TooLong { max });
    }
    let (scheme, query) = match text.split_at_checked(SCHEME.len()) {
        Some((scheme, query)) if scheme.eq_ignore_ascii_case(SCHEME) => (scheme, query),
        _ => return fail(0, MagnetErrorKind::Scheme),
    };
    let mut magnet = Magnet::default();
    let mut offset = scheme.len();
    for field in query.split('&') {
        if let Some((key, value)) = field.split_once('=') {
            let place = offset + key.len() + 1;
            read_field(&mut magnet, key, value).or_else(|kind| fail(place, kind).map(drop))?;
        }
        offset += field.len() + 1;
    }
    if magnet.info_hash.is_none() && magnet.info_hash_v2.is_none() {
        return fail(SCHEME.len(), MagnetErrorKind::NoInfoHash);
    }
    Ok(magnet)
}

/// Reads one field. Fields that may be there several times may be numbered, as in `tr.1`.
fn read_field(magnet: &mut Magnet, key: &str, value: &str) -> Result<(), MagnetErrorKind> {
    // A plus is a space in most links that have one, but never in a URL.
    let url = |value: &str| percent_decode_str(value).decode_utf8_lossy().into_owned();
    let text = |value: &str| url(&value.replace('+', " "));
    let base = key
        .split_once('.')
        .filter(|(_, number)| number.bytes().all(|digit| digit.is_ascii_digit()))
        .map_or(key, |(base, _)| base);
    match base {
        "xt" => return read_topic(magnet, &url(value)),
        "dn" if magnet.name.is_none() => {
            let name = text(value);
            magnet.name = Some(name).filter(|name| !name.is_empty());
        }
        "xl" => magnet.length = magnet.length.or_else(|| value.parse().ok()),
        "tr" => push_url(
            &mut magnet.trackers,
            &url(value),
            TRACKER_SCHEMES,
            TRACKERS_MAX,
        ),
        "ws" => push_url(
            &mut magnet.web_seeds,
            &url(value),
            SEED_SCHEMES,
            WEB_SEEDS_MAX,
        ),
        "xs" => push_url(
            &mut magnet.exact_sources,
            &url(value),
            SEED_SCHEMES,
            WEB_SEEDS_MAX,
        ),
        "as" => {
            push_url(
                &mut magnet.acceptable_sources,
                &url(value),
                SEED_SCHEMES,
                WEB_SEEDS_MAX,
            );
        }
        "x.pe" if magnet.peers.len() < MAGNET_PEERS_MAX => {
            let peer = MagnetPeer::parse(&url(value));
            magnet
                .peers
                .extend(peer.filter(|peer| !magnet.peers.contains(peer)));
        }
        "so" if magnet.select_only.is_none() => {
            // A selection that nothing can be read of must not mean that nothing is wanted.
            let selection = FileSelection::parse(&url(value));
            magnet.select_only = Some(selection).filter(|selection| !selection.is_empty());
        }
        _ => {}
    }
    Ok(())
}

/// Reads what names the torrent. Topics of other networks are left out.
fn read_topic(magnet: &mut Magnet, topic: &str) -> Result<(), MagnetErrorKind> {
    if let Some(text) = strip_prefix_ignoring_case(topic, "urn:btih:") {
        let hash = info_hash(text).ok_or(MagnetErrorKind::InfoHash)?;
        if magnet
            .info_hash
            .replace(hash)
            .is_some_and(|first| first != hash)
        {
            return Err(MagnetErrorKind::TwoTorrents);
        }
    } else if let Some(text) = strip_prefix_ignoring_case(topic, "urn:btmh:") {
        let hash = info_hash_v2(text).ok_or(MagnetErrorKind::InfoHashV2)?;
        if magnet
            .info_hash_v2
            .replace(hash)
            .is_some_and(|first| first != hash)
        {
            return Err(MagnetErrorKind::TwoTorrents);
        }
    }
    Ok(())
}

fn strip_prefix_ignoring_case<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn push_url(urls: &mut Vec<String>, text: &str, schemes: &[&str], max: usize) {
    if urls.len() < max
        && let Some(url) = usable_url(text, schemes)
        && !urls.contains(&url)
    {
        urls.push(url);
    }
}
