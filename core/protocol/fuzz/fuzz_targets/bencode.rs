//! Arbitrary bytes as bencode: every view of every value is total, and canonical documents are
//! what the writer writes.

#![no_main]

use dunlin_protocol::bencode::{Document, Encoder, Kind, Limits, Value};
use libfuzzer_sys::fuzz_target;

/// Writes a value again. The limit of depth bounds the recursion.
fn write(value: Value<'_>, encoder: &mut Encoder) {
    match value.kind() {
        Kind::Integer => match (value.as_i64(), value.as_u64()) {
            (Some(int), _) => encoder.int(int),
            (None, Some(int)) => encoder.int(int),
            (None, None) => encoder.raw(value.raw()),
        },
        Kind::Bytes => encoder.bytes(value.bytes().unwrap()),
        Kind::List => encoder.list(|list| {
            for item in value.list().unwrap() {
                write(item, list);
            }
        }),
        Kind::Dict => encoder.dict(|dict| {
            for (key, value) in value.dict().unwrap() {
                dict.entry(key, |encoder| write(value, encoder));
            }
        }),
    }
}

/// The bytes of all leaves, which cannot be more than those of the document.
fn walk(value: Value<'_>) -> usize {
    assert_eq!(value.raw().len(), value.span().len());
    match value.kind() {
        Kind::Integer => value.raw().len(),
        Kind::Bytes => value.bytes().unwrap().len(),
        Kind::List => value.list().unwrap().map(walk).sum(),
        Kind::Dict => value
            .dict()
            .unwrap()
            .iter()
            .map(|(key, value)| key.len() + walk(value))
            .sum(),
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = Document::parse_prefix(bytes, &Limits::TORRENT) else {
        return;
    };
    assert!(!document.is_empty());
    assert!(walk(document.root()) <= document.len());
    let canonical = Document::parse_canonical(bytes, &Limits::TORRENT).is_ok();
    assert_eq!(
        canonical,
        document.is_canonical() && document.len() == bytes.len()
    );
    if document.is_canonical() {
        let mut encoder = Encoder::new();
        write(document.root(), &mut encoder);
        assert_eq!(encoder.finish(), document.root().raw());
    }
});
