//! Goal: the reader takes exactly the grammar of BEP 3 and names what is wrong and where.
//! Method: tables of inputs and results.

use super::*;

const LIMITS: Limits = Limits {
    bytes: 1 << 20,
    depth: 100,
    tokens: 1000,
};

fn syntax(offset: usize, expected: Expected, found: Option<u8>) -> DecodeError {
    DecodeError::new(offset, DecodeErrorKind::Syntax { expected, found })
}

#[test]
fn broken_input_is_named_with_its_place() {
    let too_long = |offset, left| DecodeError::new(offset, DecodeErrorKind::StringTooLong { left });
    for (input, error) in [
        ("", syntax(0, Expected::Value, None)),
        ("x", syntax(0, Expected::Value, Some(b'x'))),
        ("e", syntax(0, Expected::Value, Some(b'e'))),
        ("-1:a", syntax(0, Expected::Value, Some(b'-'))),
        ("i", syntax(1, Expected::Digit, None)),
        ("ie", syntax(1, Expected::Digit, Some(b'e'))),
        ("i-e", syntax(2, Expected::Digit, Some(b'e'))),
        ("i--1e", syntax(2, Expected::Digit, Some(b'-'))),
        ("i+1e", syntax(1, Expected::Digit, Some(b'+'))),
        ("i1", syntax(2, Expected::DigitOrEnd, None)),
        ("i1.5e", syntax(2, Expected::DigitOrEnd, Some(b'.'))),
        ("1", syntax(1, Expected::DigitOrColon, None)),
        ("1abc", syntax(1, Expected::DigitOrColon, Some(b'a'))),
        ("3:ab", too_long(0, 2)),
        ("l9:ae", too_long(1, 4)),
        ("99999999999999999999999999:a", too_long(0, 27)),
        ("l", syntax(1, Expected::ValueOrEnd, None)),
        ("li1e", syntax(4, Expected::ValueOrEnd, None)),
        ("d", syntax(1, Expected::KeyOrEnd, None)),
        ("di1e1:ae", syntax(1, Expected::KeyOrEnd, Some(b'i'))),
        ("d1:ae", syntax(4, Expected::Value, Some(b'e'))),
        ("d1:a", syntax(4, Expected::Value, None)),
        ("dle1:ae", syntax(1, Expected::KeyOrEnd, Some(b'l'))),
        (
            "i1ei2e",
            DecodeError::new(3, DecodeErrorKind::TrailingBytes { bytes: 3 }),
        ),
    ] {
        assert_eq!(
            Document::parse(input.as_bytes(), &LIMITS).err(),
            Some(error),
            "{input}"
        );
    }
}

#[test]
fn values_are_read_as_what_they_are() {
    let input = b"d3:inti-42e4:listl1:a0:i7ee3:subd1:ki1eee";
    let document = Document::parse_canonical(input, &LIMITS).unwrap();
    let dict = document.root().dict().unwrap();
    assert_eq!(dict.get(b"int").unwrap().i64(), Ok(-42));
    assert_eq!(dict.get(b"int").unwrap().as_u64(), None);
    let items: Vec<_> = dict.get(b"list").unwrap().list().unwrap().collect();
    assert_eq!(items.len(), 3);
    assert_eq!(items[0].as_str(), Some("a"));
    assert_eq!(items[1].as_bytes(), Some(&b""[..]));
    assert_eq!(items[2].u64(), Ok(7));
    let sub = dict.get(b"sub").unwrap();
    assert_eq!(sub.raw(), b"d1:ki1ee");
    assert_eq!(&input[sub.span()], sub.raw());
    assert_eq!(dict.get(b"none").map(|value| value.kind()), None);
    let keys: Vec<_> = dict.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [&b"int"[..], b"list", b"sub"]);
    assert_eq!(
        sub.bytes().unwrap_err().to_string(),
        "byte 32: expected a string, found a dictionary"
    );
    assert_eq!(document.root().raw(), input);
}

#[test]
fn integers_are_bounded_when_they_are_asked_for() {
    for (input, i64, u64) in [
        ("i0e", Some(0), Some(0)),
        ("i-0e", Some(0), Some(0)),
        ("i007e", Some(7), Some(7)),
        (
            "i9223372036854775807e",
            Some(i64::MAX),
            Some(1 << 63).map(|n: u64| n - 1),
        ),
        ("i-9223372036854775808e", Some(i64::MIN), None),
        ("i18446744073709551615e", None, Some(u64::MAX)),
        ("i18446744073709551616e", None, None),
        ("i999999999999999999999999999999999999999999e", None, None),
    ] {
        let document = Document::parse(input.as_bytes(), &LIMITS).unwrap();
        assert_eq!(document.root().as_i64(), i64, "{input}");
        assert_eq!(document.root().as_u64(), u64, "{input}");
    }
    let document = Document::parse(b"i18446744073709551616e", &LIMITS).unwrap();
    assert_eq!(
        document.root().u64().unwrap_err().kind,
        DecodeErrorKind::IntegerOutOfRange
    );
}

#[test]
fn flaws_are_noted_and_refused_on_request() {
    for (input, flaw) in [
        ("i-0e", Some((0, Flaw::MinusZero))),
        ("i00e", Some((0, Flaw::LeadingZero))),
        ("i-01e", Some((0, Flaw::LeadingZero))),
        ("l01:ae", Some((1, Flaw::LeadingZero))),
        ("d1:bi1e1:ai1ee", Some((7, Flaw::UnsortedKeys))),
        ("d1:ai1e1:ai1ee", Some((7, Flaw::DuplicateKey))),
        ("d2:aai1e1:ai1ee", Some((8, Flaw::UnsortedKeys))),
        ("d0:i1e1:ai0ee", None),
        ("i0e", None),
    ] {
        let document = Document::parse(input.as_bytes(), &LIMITS).unwrap();
        assert_eq!(document.flaws().first(), flaw, "{input}");
        assert_eq!(document.is_canonical(), flaw.is_none());
        assert_eq!(
            Document::parse_canonical(input.as_bytes(), &LIMITS).err(),
            flaw.map(|(offset, flaw)| DecodeError::new(offset, DecodeErrorKind::Flawed(flaw)))
        );
    }
}

#[test]
fn duplicates_are_found_between_unsorted_keys() {
    let input = b"d1:bi1e1:ad1:xi0ee1:bi2ee";
    let document = Document::parse(input, &LIMITS).unwrap();
    assert_eq!(document.flaws().duplicate_key, Some(18));
    assert_eq!(
        document.flaws().first_ambiguous(),
        Some((18, Flaw::DuplicateKey))
    );
    let first = document.root().dict().unwrap().get(b"b").unwrap();
    assert_eq!(first.as_i64(), Some(1), "the first of duplicates counts");
}

#[test]
fn limits_are_reached_and_not_passed() {
    let nested = |depth: usize| [vec![b'l'; depth], vec![b'e'; depth]].concat();
    assert!(Document::parse(&nested(100), &LIMITS).is_ok());
    assert_eq!(
        Document::parse(&nested(101), &LIMITS).unwrap_err(),
        DecodeError::new(100, DecodeErrorKind::TooDeep { max: 100 })
    );
    // A thousand tokens: the list, its end, and 998 integers.
    let wide = |items: usize| [&b"l"[..], &b"i1e".repeat(items), b"e"].concat();
    assert!(Document::parse(&wide(998), &LIMITS).is_ok());
    assert_eq!(
        Document::parse(&wide(999), &LIMITS).unwrap_err().kind,
        DecodeErrorKind::TooManyTokens { max: 1000 }
    );
    let small = Limits { bytes: 4, ..LIMITS };
    assert!(Document::parse(b"2:ab", &small).is_ok());
    assert_eq!(
        Document::parse(b"3:abc", &small).unwrap_err().kind,
        DecodeErrorKind::TooManyBytes { bytes: 5, max: 4 }
    );
}

#[test]
fn a_prefix_ends_where_its_value_ends() {
    let document = Document::parse_prefix(b"d1:ai1eePAYLOAD", &LIMITS).unwrap();
    assert_eq!(document.len(), 8);
    assert!(!document.is_empty());
    assert_eq!(document.root().raw(), b"d1:ai1ee");
}

#[test]
fn the_writer_writes_canonical_bencode() {
    let written = Encoder::document(|dict| {
        dict.int("a", -3);
        dict.bytes("b", "text");
        dict.entry("c", |value| {
            value.list(|list| {
                list.int(u64::MAX);
                list.raw(b"le");
                list.dict(|_| {});
            });
        });
    });
    assert_eq!(
        written,
        b"d1:ai-3e1:b4:text1:cli18446744073709551615eledeee"
    );
    assert!(Document::parse_canonical(&written, &LIMITS).is_ok());
}

#[test]
#[should_panic(expected = "out of order")]
fn the_writer_wants_sorted_keys() {
    Encoder::new().dict(|dict| {
        dict.int("b", 1);
        dict.int("a", 1);
    });
}
