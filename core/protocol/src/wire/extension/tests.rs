//! Goal: what we say of ourselves is understood, what others say is bounded and never fatal where
//! the meaning is plain. Method: round trips, tables of odd input, arbitrary bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::*;

fn handshake() -> impl Strategy<Value = ExtensionHandshake> {
    let ids = (
        of(any::<u8>()),
        of(any::<u8>()),
        of(any::<u8>()),
        of(any::<u8>()),
    );
    let ids = ids.prop_map(
        |(ut_metadata, ut_pex, lt_donthave, upload_only)| ExtensionIds {
            ut_metadata,
            ut_pex,
            lt_donthave,
            upload_only,
        },
    );
    (
        (
            ids,
            of("[ -~]{0,30}"),
            of(1..=u16::MAX),
            of(any::<IpAddr>()),
        ),
        of(any::<Ipv4Addr>()),
        of(any::<Ipv6Addr>()),
        (of(1..=u32::MAX), of(1..=10_u32 << 20), of(any::<bool>())),
    )
        .prop_map(
            |((ids, client, port, yourip), ipv4, ipv6, numbers)| ExtensionHandshake {
                ids,
                client,
                port,
                yourip: yourip.map(|address| address.to_canonical()),
                ipv4,
                ipv6,
                reqq: numbers.0,
                metadata_size: numbers.1,
                upload_only: numbers.2,
            },
        )
}

proptest! {
    #[test]
    fn handshakes_round_trip(handshake in handshake()) {
        prop_assert_eq!(ExtensionHandshake::decode(&handshake.encode()), Ok(handshake));
    }

    #[test]
    fn metadata_messages_round_trip(
        piece: u32, total_size: u32, data in vec(any::<u8>(), 1..100),
    ) {
        for message in [
            MetadataMessage::Request { piece },
            MetadataMessage::Reject { piece },
            MetadataMessage::Data { piece, total_size, data: &data },
        ] {
            let payload = message.encode();
            prop_assert_eq!(MetadataMessage::decode(&payload), Ok(message));
        }
        let lost = DontHave { piece };
        prop_assert_eq!(DontHave::decode(&lost.encode()), Ok(lost));
    }

    #[test]
    fn arbitrary_payloads_never_panic(payload in vec(any::<u8>(), 0..100)) {
        // Whether they can be read does not matter here.
        drop(ExtensionHandshake::decode(&payload));
        let _: Option<MetadataMessage<'_>> = MetadataMessage::decode(&payload).ok();
    }
}

#[test]
fn impossible_values_are_left_out() {
    let decode = |payload: &[u8]| ExtensionHandshake::decode(payload).unwrap();
    let nothing = ExtensionHandshake::default();
    for payload in [
        &b"de"[..],
        b"detrailing",
        b"d1:mi5ee",
        b"d1:md11:ut_metadatai256eee",
        b"d1:md11:ut_metadatai-1eee",
        b"d1:md6:ut_pex1:3ee",
        b"d13:metadata_sizei0ee",
        b"d13:metadata_sizei-1ee",
        b"d13:metadata_sizei2000000000ee",
        b"d1:pi0ee",
        b"d1:pi65536ee",
        b"d4:reqqi0ee",
        b"d4:reqqi-5ee",
        b"d6:yourip3:abce",
        b"d4:ipv45:abcdee",
    ] {
        assert_eq!(decode(payload), nothing, "{}", payload.escape_ascii());
    }
    assert_eq!(decode(b"d4:reqqi99999999999ee").reqq, Some(u32::MAX));
    assert_eq!(decode(b"d1:v5:a\x1b[0me").client.unwrap(), "a[0m");
    assert!(
        decode(format!("d1:v300:{}e", "x".repeat(300)).as_bytes())
            .client
            .unwrap()
            .len()
            <= 128
    );
    for broken in [&b""[..], b"le", b"i1e", b"d1:m"] {
        assert!(ExtensionHandshake::decode(broken).is_err());
    }
}

#[test]
fn later_handshakes_add_and_take_back() {
    let mut known = ExtensionIds::default();
    known.update(&ExtensionIds {
        ut_metadata: Some(3),
        ut_pex: Some(1),
        ..ExtensionIds::default()
    });
    known.update(&ExtensionIds {
        ut_pex: Some(0),
        lt_donthave: Some(7),
        ..ExtensionIds::default()
    });
    let expected = ExtensionIds {
        ut_metadata: Some(3),
        lt_donthave: Some(7),
        ..ExtensionIds::default()
    };
    assert_eq!(known, expected);
}

#[test]
fn metadata_messages_are_checked() {
    let request = b"d8:msg_typei0e5:piecei0ee";
    assert_eq!(
        MetadataMessage::decode(request),
        Ok(MetadataMessage::Request { piece: 0 })
    );
    assert_eq!(
        MetadataMessage::decode(b"d8:msg_typei3e5:piecei0ee"),
        Ok(MetadataMessage::Unknown)
    );
    assert_eq!(
        MetadataMessage::decode(b"d8:msg_typei0ee"),
        Err(ExtensionError::Entry("piece"))
    );
    assert_eq!(
        MetadataMessage::decode(b"d8:msg_typei0e5:piecei-1ee"),
        Err(ExtensionError::Entry("piece"))
    );
    for data_bytes in [0, METADATA_PIECE_BYTES + 1] {
        let message = MetadataMessage::Data {
            piece: 0,
            total_size: 1,
            data: &vec![0; data_bytes],
        };
        let refused = ExtensionError::Length {
            got: data_bytes,
            expected: METADATA_PIECE_BYTES,
        };
        let payload = message.encode();
        assert_eq!(MetadataMessage::decode(&payload), Err(refused));
    }
}

#[test]
fn small_messages_have_one_length() {
    assert!(DontHave::decode(&[0; 3]).is_err());
    assert!(DontHave::decode(&[0; 5]).is_err());
    assert_eq!(
        UploadOnly::decode(&UploadOnly(true).encode()),
        Ok(UploadOnly(true))
    );
    assert_eq!(UploadOnly::decode(&[0]), Ok(UploadOnly(false)));
    assert!(UploadOnly::decode(&[]).is_err());
}
