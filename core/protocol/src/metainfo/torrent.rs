//! A whole .torrent file: the info dictionary and what lies around it.

use core::ops::Range;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::MetainfoError;
use super::info::Info;
use super::info_reader;
use super::outer_fields::{nodes, text, tiers, web_seeds};
use super::piece_layers::PieceLayers;
use crate::bencode::{Dict, Document, Encoder, Limits};

/// Keys that [`Metainfo`] has fields for.
const KNOWN_KEYS: &[&[u8]] = &[
    b"announce",
    b"announce-list",
    b"comment",
    b"comment.utf-8",
    b"created by",
    b"created by.utf-8",
    b"creation date",
    b"encoding",
    b"httpseeds",
    b"info",
    b"nodes",
    b"piece layers",
    b"url-list",
];

/// A .torrent file (BEP 3). All but the info dictionary may be edited; [`Self::write`] keeps the
/// info dictionary byte for byte, and with it the info hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metainfo {
    /// What the content is.
    pub info: Arc<Info>,
    /// Trackers in tiers (BEP 12), each once, with a scheme that trackers have.
    pub tiers: Vec<Vec<String>>,
    /// Web seeds that serve files (BEP 19, `url-list`).
    pub web_seeds: Vec<String>,
    /// Web seeds that serve pieces (BEP 17, `httpseeds`).
    pub http_seeds: Vec<String>,
    /// DHT nodes to begin with (BEP 5).
    pub nodes: Vec<(String, u16)>,
    /// What the maker says of the torrent.
    pub comment: Option<String>,
    /// The program that made the torrent.
    pub created_by: Option<String>,
    /// When it was made, in seconds since 1970.
    pub creation_date: Option<i64>,
    /// The encoding that texts without `.utf-8` claim to be in.
    pub encoding: Option<String>,
    /// Hashes of the pieces of v2 files (BEP 52).
    pub piece_layers: PieceLayers,
    /// Whatever else the file has, as bencode by key: signatures, extensions of other clients.
    pub others: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Metainfo {
    /// A torrent of `info` and nothing else.
    #[must_use]
    pub const fn new(info: Arc<Info>) -> Self {
        Self {
            info,
            tiers: Vec::new(),
            web_seeds: Vec::new(),
            http_seeds: Vec::new(),
            nodes: Vec::new(),
            comment: None,
            created_by: None,
            creation_date: None,
            encoding: None,
            piece_layers: PieceLayers(BTreeMap::new()),
            others: BTreeMap::new(),
        }
    }

    /// Reads a .torrent file. Bytes behind it are ignored.
    ///
    /// # Errors
    /// When it is no bencode, or its info dictionary or a piece layer is malformed. Whatever else is
    /// malformed is left out.
    pub fn parse(bytes: &[u8]) -> Result<Self, MetainfoError> {
        let (info, at, metainfo) = read(bytes)?;
        let raw = bytes.get(at).unwrap_or_default().into();
        Ok(metainfo(Arc::new(Info { raw, ..info })))
    }

    /// As [`Self::parse`], and keeps the info dictionary in the memory of `bytes`: nearly all of a
    /// torrent of many pieces is their hashes, of which there is then no second copy at any time.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_vec(mut bytes: Vec<u8>) -> Result<Self, MetainfoError> {
        let (info, at, metainfo) = read(&bytes)?;
        bytes.truncate(at.end);
        bytes.drain(..at.start);
        let raw = bytes.into();
        Ok(metainfo(Arc::new(Info { raw, ..info })))
    }

    /// The .torrent file. Reading it gives an equal [`Metainfo`], with the same info hash.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let (before, behind) = self.write_around();
        [&before, self.info.raw(), &behind].concat()
    }

    /// What the .torrent file has before its [info dictionary](Info::raw), and what it has behind it:
    /// of large torrents that need not be copied to be written.
    #[must_use]
    pub fn write_around(&self) -> (Vec<u8>, Vec<u8>) {
        let mut entries = self.others.clone();
        let mut put = |key: &str, fill: &dyn Fn(&mut Encoder)| {
            let mut encoder = Encoder::new();
            fill(&mut encoder);
            entries.insert(key.into(), encoder.finish());
        };
        if let Some(first) = self.tiers.iter().flatten().next() {
            put("announce", &|value| value.bytes(first));
        }
        if self.tiers.iter().flatten().nth(1).is_some() {
            put("announce-list", &|value| {
                value.list(|tiers| self.tiers.iter().for_each(|tier| strings(tiers, tier)));
            });
        }
        for (key, text) in [
            ("comment", &self.comment),
            ("created by", &self.created_by),
            ("encoding", &self.encoding),
        ] {
            if let Some(text) = text {
                put(key, &|value| value.bytes(text));
            }
        }
        if let Some(date) = self.creation_date {
            put("creation date", &|value| value.int(date));
        }
        for (key, urls) in [
            ("httpseeds", &self.http_seeds),
            ("url-list", &self.web_seeds),
        ] {
            if !urls.is_empty() {
                put(key, &|value| strings(value, urls));
            }
        }
        if !self.nodes.is_empty() {
            put("nodes", &|value| self.write_nodes(value));
        }
        if !self.piece_layers.is_empty() {
            put("piece layers", &|value| self.write_layers(value));
        }
        // Its place among the others.
        put("info", &|_| {});
        let mut info_at = 0;
        let mut before = Encoder::document(|dict| {
            for (key, value) in &entries {
                dict.entry(key, |encoder| {
                    if key == b"info" {
                        info_at = encoder.len();
                    }
                    encoder.raw(value);
                });
            }
        });
        let behind = before.split_off(info_at);
        (before, behind)
    }

    fn write_nodes(&self, value: &mut Encoder) {
        value.list(|nodes| {
            for (host, port) in &self.nodes {
                nodes.list(|node| {
                    node.bytes(host);
                    node.int(*port);
                });
            }
        });
    }

    fn write_layers(&self, value: &mut Encoder) {
        value.dict(|layers| {
            for (root, layer) in self.piece_layers.iter() {
                layers.bytes(root, layer);
            }
        });
    }
}

/// The info dictionary without its bytes, where these are, and what makes the rest of it.
fn read(
    bytes: &[u8],
) -> Result<
    (
        Info,
        Range<usize>,
        impl FnOnce(Arc<Info>) -> Metainfo + use<>,
    ),
    MetainfoError,
> {
    let document = Document::parse_prefix(bytes, &Limits::TORRENT)?;
    let dict = document.root().dict()?;
    let value = dict.get(b"info").ok_or(MetainfoError::missing(0, "info"))?;
    let info = info_reader::read(value.raw()).map_err(|error| error.shifted(value.offset()))?;
    let layers = dict
        .get(b"piece layers")
        .and_then(|layers| layers.as_dict())
        .map(|layers| PieceLayers::read(&info, layers))
        .transpose()?
        .unwrap_or_default();
    let (tiers, nodes, others) = (tiers(dict), nodes(dict), others(dict));
    let [web_seeds, http_seeds] =
        ["url-list", "httpseeds"].map(|key| web_seeds(dict, key.as_bytes()));
    let [comment, created_by, encoding] =
        ["comment", "created by", "encoding"].map(|key| text(dict, key));
    let creation_date = dict.get(b"creation date").and_then(|date| date.as_i64());
    let rest = move |info| Metainfo {
        info,
        tiers,
        web_seeds,
        http_seeds,
        nodes,
        comment,
        created_by,
        creation_date,
        encoding,
        piece_layers: layers,
        others,
    };
    Ok((info, value.span(), rest))
}

fn strings(value: &mut Encoder, texts: &[String]) {
    value.list(|list| texts.iter().for_each(|text| list.bytes(text)));
}

/// What no field holds. Of duplicates the first counts, as everywhere.
fn others(dict: Dict<'_>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut others = BTreeMap::new();
    for (key, value) in dict {
        if !KNOWN_KEYS.contains(&key) {
            others
                .entry(key.to_vec())
                .or_insert_with(|| value.raw().to_vec());
        }
    }
    others
}
