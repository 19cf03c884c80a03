//! A bencode of the tests' own, so that no check of Dunlin's files rests on Dunlin's parser.

use std::collections::BTreeMap;

/// A bencoded value. It is for well-formed input of our own making and of other clients: it panics on anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Integer(i64),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Dictionary(BTreeMap<Vec<u8>, Value>),
}

impl Value {
    pub(crate) fn text(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }

    pub(crate) fn size(size: u64) -> Self {
        Self::Integer(i64::try_from(size).expect("a size fits"))
    }

    pub(crate) fn dictionary<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Dictionary(
            entries
                .into_iter()
                .map(|(key, value)| (key.as_bytes().to_vec(), value))
                .collect(),
        )
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Dictionary(entries) => entries.get(key.as_bytes()),
            _ => None,
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            other => panic!("not a string: {other:?}"),
        }
    }

    pub(crate) fn as_size(&self) -> u64 {
        match self {
            Self::Integer(number) => u64::try_from(*number).expect("a size is not negative"),
            other => panic!("not a number: {other:?}"),
        }
    }

    pub(crate) fn as_list(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            other => panic!("not a list: {other:?}"),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Integer(number) => out.extend_from_slice(format!("i{number}e").as_bytes()),
            Self::Bytes(bytes) => write_bytes(out, bytes),
            Self::List(list) => {
                out.push(b'l');
                list.iter().for_each(|value| value.write(out));
                out.push(b'e');
            }
            Self::Dictionary(entries) => {
                out.push(b'd');
                for (key, value) in entries {
                    write_bytes(out, key);
                    value.write(out);
                }
                out.push(b'e');
            }
        }
    }

    pub(crate) fn decode(input: &[u8]) -> Self {
        let mut rest = input;
        let value = read(&mut rest);
        assert!(rest.is_empty(), "{} bytes after the value", rest.len());
        value
    }
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(format!("{}:", bytes.len()).as_bytes());
    out.extend_from_slice(bytes);
}

fn read(rest: &mut &[u8]) -> Value {
    match rest[0] {
        b'i' => {
            *rest = &rest[1..];
            Value::Integer(read_number(rest, b'e'))
        }
        b'l' => {
            *rest = &rest[1..];
            let mut list = Vec::new();
            while rest[0] != b'e' {
                list.push(read(rest));
            }
            *rest = &rest[1..];
            Value::List(list)
        }
        b'd' => {
            *rest = &rest[1..];
            let mut entries = BTreeMap::new();
            while rest[0] != b'e' {
                let key = read_bytes(rest);
                entries.insert(key, read(rest));
            }
            *rest = &rest[1..];
            Value::Dictionary(entries)
        }
        _ => Value::Bytes(read_bytes(rest)),
    }
}

fn read_number(rest: &mut &[u8], end: u8) -> i64 {
    let length = rest
        .iter()
        .position(|byte| *byte == end)
        .expect("a number ends");
    let number = std::str::from_utf8(&rest[..length])
        .expect("digits")
        .parse()
        .expect("a number");
    *rest = &rest[length + 1..];
    number
}

fn read_bytes(rest: &mut &[u8]) -> Vec<u8> {
    let length = usize::try_from(read_number(rest, b':')).expect("a length is not negative");
    let (bytes, after) = rest.split_at(length);
    *rest = after;
    bytes.to_vec()
}
