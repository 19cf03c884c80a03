//! Goal: what we write we read again, and nothing that a peer sends can make us panic or hold
//! more than it sent. Method: tables of the BEPs' bytes, round trips, arbitrary streams cut
//! anywhere.

use std::net::Ipv4Addr;

use dunlin_base::limits::{EXTENDED_BYTES_MAX, MESSAGE_BYTES_MAX, PIECES_MAX, REQUEST_BYTES_MAX};
use dunlin_base::{InfoHash, PeerId};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn block() -> impl Strategy<Value = BlockRequest> {
    any::<(u32, u32, u32)>().prop_map(|(piece, begin, len)| BlockRequest { piece, begin, len })
}

fn message() -> impl Strategy<Value = Message> {
    let payload = || vec(any::<u8>(), 0..300).prop_map(Vec::into_boxed_slice);
    prop_oneof![
        Just(Message::KeepAlive),
        Just(Message::Choke),
        Just(Message::Unchoke),
        Just(Message::Interested),
        Just(Message::NotInterested),
        any::<u32>().prop_map(Message::Have),
        vec(any::<u8>(), 1..300).prop_map(|bytes| Message::Bitfield(bytes.into())),
        block().prop_map(Message::Request),
        block().prop_map(Message::Cancel),
        any::<u16>().prop_map(Message::Port),
        any::<u32>().prop_map(Message::SuggestPiece),
        Just(Message::HaveAll),
        Just(Message::HaveNone),
        block().prop_map(Message::Reject),
        any::<u32>().prop_map(Message::AllowedFast),
        (any::<u8>(), payload()).prop_map(|(id, payload)| Message::Extended { id, payload }),
        (21..=255_u8).prop_map(Message::Unknown),
    ]
}

/// Decodes a stream whose parts arrive one by one; takes payload as the reactor does.
fn decode_all(parts: &[&[u8]]) -> Result<Vec<Frame>, WireError> {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    let mut payload_left = 0;
    for mut input in parts.iter().copied() {
        loop {
            let payload = payload_left.min(input.len());
            input = &input[payload..];
            payload_left -= payload;
            if payload_left > 0 {
                break;
            }
            match decoder.decode(&mut input)? {
                Some(frame) => {
                    if let Frame::PieceHeader { len, .. } = frame {
                        payload_left = len as usize;
                    }
                    frames.push(frame);
                }
                None => {
                    assert!(input.is_empty());
                    assert!(decoder.needed() > 0);
                    break;
                }
            }
        }
    }
    Ok(frames)
}

fn decode_one(bytes: &[u8]) -> Result<Option<Frame>, WireError> {
    Decoder::default().decode(&mut &*bytes)
}

proptest! {
    #[test]
    fn messages_round_trip_wherever_the_stream_is_cut(
        messages in vec(message(), 0..12),
        part_bytes in 1_usize..64,
    ) {
        let mut stream = Vec::new();
        for message in &messages {
            let before = stream.len();
            message.encode(&mut stream);
            prop_assert_eq!(stream.len() - before, message.wire_bytes());
        }
        let parts: Vec<&[u8]> = stream.chunks(part_bytes).collect();
        let expected: Vec<Frame> = messages.into_iter().map(Frame::Message).collect();
        prop_assert_eq!(decode_all(&parts).unwrap(), expected);
    }

    #[test]
    fn headers_leave_payload_to_the_caller(
        piece: u32, begin: u32, len in 1..=REQUEST_BYTES_MAX, part_bytes in 1_usize..40_000,
    ) {
        let mut stream = piece_header(piece, begin, len).to_vec();
        stream.resize(stream.len() + len as usize, 0xff);
        Message::Unchoke.encode(&mut stream);
        let parts: Vec<&[u8]> = stream.chunks(part_bytes).collect();
        prop_assert_eq!(decode_all(&parts).unwrap(), vec![
            Frame::PieceHeader { piece, begin, len },
            Frame::Message(Message::Unchoke),
        ]);
    }

    #[test]
    fn reading_only_what_is_needed_never_crosses_a_frame(messages in vec(message(), 1..6)) {
        let mut stream = Vec::new();
        for message in &messages {
            message.encode(&mut stream);
        }
        let mut decoder = Decoder::default();
        let mut rest = &stream[..];
        for message in messages {
            let frame = loop {
                let (mut part, after) = rest.split_at(decoder.needed());
                rest = after;
                let frame = decoder.decode(&mut part).unwrap();
                prop_assert!(part.is_empty());
                if let Some(frame) = frame {
                    break frame;
                }
            };
            prop_assert_eq!(frame, Frame::Message(message));
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn arbitrary_streams_give_the_same_frames_however_cut(
        stream in vec(prop_oneof![3 => Just(0_u8), 2 => 0..24_u8, 1 => any::<u8>()], 0..400),
        part_bytes in 1_usize..32,
    ) {
        let parts: Vec<&[u8]> = stream.chunks(part_bytes).collect();
        prop_assert_eq!(decode_all(&parts), decode_all(&[&stream]));
    }

    #[test]
    fn handshakes_round_trip(reserved: [u8; 8], info_hash: [u8; 20], peer_id: [u8; 20]) {
        let handshake = Handshake {
            reserved: Reserved(reserved),
            info_hash: InfoHash(info_hash),
            peer_id: PeerId(peer_id),
        };
        let bytes = handshake.encode();
        prop_assert_eq!(Handshake::decode(&bytes), Ok(handshake));
        prop_assert_eq!(Handshake::peek_info_hash(&bytes[..48]), Some(handshake.info_hash));
        prop_assert_eq!(Handshake::peek_info_hash(&bytes[..47]), None);
    }
}

#[test]
fn a_wrong_length_is_refused_by_its_first_five_bytes() {
    for id in 0..=u8::MAX {
        let (min, max) = match id {
            0..=3 | 14 | 15 => (1, 1),
            4 | 13 | 17 => (5, 5),
            5 => (2, 1 + PIECES_MAX / 8),
            6 | 8 | 16 => (13, 13),
            7 => (10, 9 + REQUEST_BYTES_MAX),
            9 => (3, 3),
            20 => (2, 2 + EXTENDED_BYTES_MAX as u32),
            _ => (1, MESSAGE_BYTES_MAX),
        };
        for got in [1, min - 1, min, max, max + 1, MESSAGE_BYTES_MAX] {
            if got == 0 || got > MESSAGE_BYTES_MAX {
                continue;
            }
            let mut bytes = got.to_be_bytes().to_vec();
            bytes.push(id);
            let error = WireError::Length { id, got, min, max };
            let refused = decode_one(&bytes) == Err(error);
            assert_eq!(refused, !(min..=max).contains(&got), "id {id} length {got}");
        }
    }
}

#[test]
fn a_length_over_every_limit_is_refused_before_its_id_and_again() {
    let mut decoder = Decoder::default();
    let bytes = (MESSAGE_BYTES_MAX + 1).to_be_bytes();
    let error = WireError::TooLong {
        got: MESSAGE_BYTES_MAX + 1,
        max: MESSAGE_BYTES_MAX,
    };
    assert_eq!(decoder.decode(&mut &bytes[..]), Err(error));
    assert_eq!(decoder.needed(), 1);
    assert_eq!(decoder.decode(&mut &[0][..]), Err(error));
}

#[test]
fn bitfields_are_held_to_the_torrent_once_it_is_known() {
    let mut decoder = Decoder::default();
    decoder.set_bitfield_bytes_max(3);
    assert_eq!(decoder.decode(&mut &[0, 0, 0, 4, 5][..]), Ok(None));
    let mut decoder = Decoder::default();
    decoder.set_bitfield_bytes_max(3);
    assert!(decoder.decode(&mut &[0, 0, 0, 5, 5][..]).is_err());
}

#[test]
fn unknown_messages_are_skipped_with_their_body() {
    let stream = [0, 0, 0, 4, 21, 7, 7, 7, 0, 0, 0, 1, 0];
    assert_eq!(
        decode_all(&[&stream]).unwrap(),
        [
            Frame::Message(Message::Unknown(21)),
            Frame::Message(Message::Choke),
        ]
    );
}

#[test]
fn strangers_are_refused_by_their_first_wrong_byte() {
    assert_eq!(Handshake::check_prefix(b""), Ok(()));
    assert_eq!(Handshake::check_prefix(b"\x13BitTor"), Ok(()));
    assert_eq!(
        Handshake::check_prefix(b"GET /"),
        Err(HandshakeError::Protocol {
            offset: 0,
            got: b'G',
            expected: 0x13,
        })
    );
    let mut bytes = [0; Handshake::BYTES];
    bytes[..20].copy_from_slice(b"\x13BitTorrent Protocol");
    let error = HandshakeError::Protocol {
        offset: 12,
        got: b'P',
        expected: b'p',
    };
    assert_eq!(Handshake::decode(&bytes), Err(error));
}

#[test]
fn reserved_bits_are_where_the_beps_put_them() {
    let none = Reserved::default();
    assert_eq!(
        none.with_extension_protocol().0,
        [0, 0, 0, 0, 0, 0x10, 0, 0]
    );
    assert_eq!(none.with_fast().0, [0, 0, 0, 0, 0, 0, 0, 0x04]);
    assert_eq!(none.with_dht().0, [0, 0, 0, 0, 0, 0, 0, 0x01]);
    assert_eq!(none.with_v2().0, [0, 0, 0, 0, 0, 0, 0, 0x10]);
    let all = none
        .with_extension_protocol()
        .with_fast()
        .with_dht()
        .with_v2();
    assert!(all.extension_protocol() && all.fast() && all.dht() && all.v2());
    assert!(!none.extension_protocol() && !none.fast() && !none.dht() && !none.v2());
}

#[test]
fn allowed_fast_gives_the_sets_of_bep_6() {
    let set = |count| {
        allowed_fast_set(
            Ipv4Addr::new(80, 4, 4, 200),
            InfoHash([0xaa; 20]),
            1313,
            count,
        )
    };
    assert_eq!(set(7), [1059, 431, 808, 1217, 287, 376, 1188]);
    assert_eq!(set(9), [1059, 431, 808, 1217, 287, 376, 1188, 353, 508]);
}

#[test]
fn allowed_fast_of_a_small_torrent_is_all_of_it() {
    let set =
        |pieces, count| allowed_fast_set(Ipv4Addr::LOCALHOST, InfoHash([1; 20]), pieces, count);
    assert_eq!(set(0, ALLOWED_FAST_PIECES), []);
    assert_eq!(set(3, ALLOWED_FAST_PIECES), [0, 1, 2]);
    let mut most = set(256, 255);
    most.sort_unstable();
    most.dedup();
    assert_eq!(most.len(), 255);
    assert_eq!(set(256, 0), []);
}
