//! Reads an info dictionary, strictly.

use core::ops::Range;

use dunlin_base::limits::METADATA_BYTES_MAX;
use dunlin_base::{Geometry, InfoHash, InfoHashV2};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use super::error::{MetainfoError, MetainfoErrorKind};
use super::info::{Info, Version};
use super::listing::{Listing, total_bytes};
use super::safe_path::safe_name;
use super::{listing_v1, listing_v2};
use crate::bencode::{DecodeErrorKind, Dict, Document, Limits};

/// What these bytes say, without the bytes themselves.
pub(super) fn read(bytes: &[u8]) -> Result<Info, MetainfoError> {
    let document = Document::parse(bytes, &Limits::bytes(METADATA_BYTES_MAX))?;
    if let Some((offset, flaw)) = document.flaws().first_ambiguous() {
        let kind = MetainfoErrorKind::Bencode(DecodeErrorKind::Flawed(flaw));
        return Err(MetainfoError::new(offset, kind));
    }
    let dict = document.root().dict()?;
    let version = version(dict)?;
    let raw_name = raw_name(dict)?;
    let (piece_bytes_at, piece_bytes) = piece_bytes(dict, version)?;
    let listing = listing(dict, version, raw_name, piece_bytes)?;
    let total =
        total_bytes(&listing.files).ok_or(MetainfoError::new(0, MetainfoErrorKind::TotalLength))?;
    let geometry = Geometry::new(total, piece_bytes)
        .map_err(|error| MetainfoError::new(piece_bytes_at, MetainfoErrorKind::Geometry(error)))?;
    let pieces = match version {
        Version::V1 | Version::Hybrid => piece_hashes(dict, &geometry)?,
        Version::V2 => 0..0,
    };
    let (info_hash, info_hash_v2) = hashes(bytes, version);
    let name = match safe_name(raw_name) {
        // The substitute for a name that says nothing would be the same for all such torrents.
        Some(name) if !raw_name.is_empty() => name,
        _ => info_hash.to_string(),
    };
    let single_file = listing.single_file;
    let files = listing
        .into_entries(raw_name, &name)
        .map_err(|kind| MetainfoError::new(0, kind))?;
    Ok(Info {
        raw: Box::default(),
        name,
        version,
        geometry,
        pieces,
        files,
        single_file,
        private: is_private(dict)?,
        source: dict
            .get(b"source")
            .and_then(|source| source.as_bytes())
            .map(|source| String::from_utf8_lossy(source).into_owned()),
        info_hash,
        info_hash_v2,
    })
}

fn version(dict: Dict<'_>) -> Result<Version, MetainfoError> {
    let Some(value) = dict.get(b"meta version") else {
        return Ok(Version::V1);
    };
    match value.u64()? {
        1 => Ok(Version::V1),
        2 if dict.get(b"pieces").is_some() => Ok(Version::Hybrid),
        2 => Ok(Version::V2),
        unknown => {
            let kind = MetainfoErrorKind::UnknownVersion(unknown);
            Err(MetainfoError::new(value.offset(), kind))
        }
    }
}

/// Old torrents have a name in some local encoding and another in UTF-8 beside it.
fn raw_name(dict: Dict<'_>) -> Result<&[u8], MetainfoError> {
    if let Some(name) = dict.get(b"name.utf-8").and_then(|name| name.as_str()) {
        return Ok(name.as_bytes());
    }
    match dict.get(b"name") {
        Some(name) => Ok(name.bytes()?),
        None => Err(MetainfoError::missing(0, "name")),
    }
}

/// The piece length and where it stands.
fn piece_bytes(dict: Dict<'_>, version: Version) -> Result<(usize, u64), MetainfoError> {
    let value = dict
        .get(b"piece length")
        .ok_or(MetainfoError::missing(0, "piece length"))?;
    let bytes = value.u64()?;
    let fits_v2 = bytes.is_power_of_two() && bytes >= u64::from(dunlin_base::BLOCK_BYTES);
    if version.has_v2() && !fits_v2 {
        let kind = MetainfoErrorKind::PieceLengthV2(bytes);
        return Err(MetainfoError::new(value.offset(), kind));
    }
    Ok((value.offset(), bytes))
}

fn listing<'a>(
    dict: Dict<'a>,
    version: Version,
    name: &[u8],
    piece_bytes: u64,
) -> Result<Listing<'a>, MetainfoError> {
    match version {
        Version::V1 => listing_v1::read(dict, name),
        Version::V2 => {
            let mut listing = listing_v2::read(dict, name)?;
            listing_v2::align(&mut listing, piece_bytes)
                .ok_or(MetainfoError::new(0, MetainfoErrorKind::TotalLength))?;
            Ok(listing)
        }
        Version::Hybrid => {
            let mut listing = listing_v1::read(dict, name)?;
            let trees = listing_v2::read(dict, name)?;
            if listing_v2::adopt_roots(&mut listing, trees, name, piece_bytes) {
                Ok(listing)
            } else {
                Err(MetainfoError::new(0, MetainfoErrorKind::HybridMismatch))
            }
        }
    }
}

fn piece_hashes(dict: Dict<'_>, geometry: &Geometry) -> Result<Range<usize>, MetainfoError> {
    let value = dict
        .get(b"pieces")
        .ok_or(MetainfoError::missing(0, "pieces"))?;
    let got = value.bytes()?.len();
    let expected = geometry.piece_count() as usize * InfoHash::LEN;
    if got != expected {
        let kind = MetainfoErrorKind::PieceHashes { expected, got };
        return Err(MetainfoError::new(value.offset(), kind));
    }
    let end = value.span().end;
    Ok(end - got..end)
}

/// Any integer but zero means private: to leak a private torrent is worse than to find fewer peers.
fn is_private(dict: Dict<'_>) -> Result<bool, MetainfoError> {
    match dict.get(b"private") {
        Some(value) => Ok(value.i64()? != 0),
        None => Ok(false),
    }
}

fn hashes(bytes: &[u8], version: Version) -> (InfoHash, Option<InfoHashV2>) {
    let v2 = version
        .has_v2()
        .then(|| InfoHashV2(Sha256::digest(bytes).into()));
    let truncated = v2
        .as_ref()
        .and_then(|hash| hash.as_bytes().first_chunk().copied());
    let v1 = match (version, truncated) {
        (Version::V2, Some(start)) => InfoHash(start),
        _ => hash_v1(bytes),
    };
    (v1, v2)
}

pub(super) fn hash_v1(bytes: &[u8]) -> InfoHash {
    InfoHash(Sha1::digest(bytes).into())
}
