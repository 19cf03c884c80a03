//! Goal: no input makes the reader panic, and reading and writing are inverse.
//! Method: arbitrary bytes, and arbitrary trees through writer and reader.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug, PartialEq)]
enum Tree {
    Int(i64),
    Bytes(Vec<u8>),
    List(Vec<Tree>),
    Dict(BTreeMap<Vec<u8>, Tree>),
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Tree::Int),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Tree::Bytes),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        let key = proptest::collection::vec(any::<u8>(), 0..5);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Tree::List),
            proptest::collection::btree_map(key, inner, 0..8).prop_map(Tree::Dict),
        ]
    })
}

fn write(tree: &Tree, encoder: &mut Encoder) {
    match tree {
        Tree::Int(value) => encoder.int(*value),
        Tree::Bytes(bytes) => encoder.bytes(bytes),
        Tree::List(items) => {
            encoder.list(|list| items.iter().for_each(|item| write(item, list)));
        }
        Tree::Dict(entries) => encoder.dict(|dict| {
            for (key, value) in entries {
                dict.entry(key, |encoder| write(value, encoder));
            }
        }),
    }
}

fn read(value: Value<'_>) -> Tree {
    match value.kind() {
        Kind::Integer => Tree::Int(value.as_i64().unwrap()),
        Kind::Bytes => Tree::Bytes(value.as_bytes().unwrap().to_vec()),
        Kind::List => Tree::List(value.as_list().unwrap().map(read).collect()),
        Kind::Dict => Tree::Dict(
            value
                .as_dict()
                .unwrap()
                .iter()
                .map(|(key, value)| (key.to_vec(), read(value)))
                .collect(),
        ),
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(tree in trees()) {
        let mut encoder = Encoder::new();
        write(&tree, &mut encoder);
        let bytes = encoder.finish();
        let document = Document::parse_canonical(&bytes, &Limits::TORRENT).unwrap();
        prop_assert_eq!(read(document.root()), tree);
        prop_assert_eq!(document.root().raw(), &bytes[..]);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(document) = Document::parse(&bytes, &Limits::TORRENT) {
            prop_assert_eq!(document.root().raw(), &bytes[..]);
        }
    }

    #[test]
    fn arbitrary_bencode_letters_never_panic(text in "[ilde0-9:a-]{0,60}") {
        if let Ok(document) = Document::parse_prefix(text.as_bytes(), &Limits::TORRENT) {
            prop_assert_eq!(document.root().span(), 0..document.len());
        }
    }

    #[test]
    fn errors_point_into_the_input(text in "[ilde0-9:a-]{0,60}") {
        if let Err(error) = Document::parse(text.as_bytes(), &Limits::TORRENT) {
            prop_assert!(error.offset <= text.len());
        }
    }
}
