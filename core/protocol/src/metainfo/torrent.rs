//! A whole .torrent file: the info dictionary and what lies around it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::MetainfoError;
use super::info::Info;
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
        let document = Document::parse_prefix(bytes, &Limits::TORRENT)?;
        let dict = document.root().dict()?;
        let value = dict.get(b"info").ok_or(MetainfoError::missing(0, "info"))?;
        let info = Info::parse(value.raw()).map_err(|error| error.shifted(value.offset()))?;
        let layers = dict
            .get(b"piece layers")
            .and_then(|layers| layers.as_dict())
            .map(|layers| PieceLayers::read(&info, layers))
            .transpose()?
            .unwrap_or_default();
        Ok(Self {
            tiers: tiers(dict),
            web_seeds: web_seeds(dict, b"url-list"),
            http_seeds: web_seeds(dict, b"httpseeds"),
            nodes: nodes(dict),
            comment: text(dict, "comment"),
            created_by: text(dict, "created by"),
            creation_date: dict.get(b"creation date").and_then(|date| date.as_i64()),
            encoding: text(dict, "encoding"),
            piece_layers: layers,
            others: others(dict),
            ..Self::new(Arc::new(info))
        })
    }

    /// The .torrent file. Reading it gives an equal [`Metainfo`], with the same info hash.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
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
        put("info", &|value| value.raw(self.info.raw()));
        Encoder::document(|dict| {
            for (key, value) in &entries {
                dict.entry(key, |encoder| encoder.raw(value));
            }
        })
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
