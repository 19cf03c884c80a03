//! Goal: no stream makes the decoder panic, how it is cut does not matter, and what was read can
//! be written again. Method: the first byte chooses where the stream is cut or which parser of the
//! extension protocol gets it.
#![no_main]

use dunlin_protocol::wire::extension::{
    DontHave, ExtensionHandshake, ExtensionIds, MetadataMessage, UploadOnly,
};
use dunlin_protocol::wire::{Decoder, Frame, Handshake, Message, WireError, piece_header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&choice, stream)) = input.split_first() else {
        return;
    };
    match choice {
        0 => extensions(stream),
        1 => handshake(stream),
        part_bytes => messages(stream, usize::from(part_bytes)),
    }
});

fn messages(stream: &[u8], part_bytes: usize) {
    let (whole, whole_result) = decode(stream.chunks(usize::MAX));
    let (cut, cut_result) = decode(stream.chunks(part_bytes));
    assert_eq!(whole, cut);
    assert_eq!(whole_result, cut_result);

    // Frames are the stream's only meaning: written again, they decode to themselves.
    let mut again = Vec::new();
    for frame in &whole {
        match frame {
            Frame::Message(message) => message.encode(&mut again),
            Frame::PieceHeader { piece, begin, len } => {
                again.extend(piece_header(*piece, *begin, *len));
                again.resize(again.len() + *len as usize, 0);
            }
        }
    }
    assert_eq!(decode(again.chunks(usize::MAX)), (whole, Ok(())));
}

/// Decodes as the reactor does: parts one after another, payload taken past the decoder.
fn decode<'a>(parts: impl Iterator<Item = &'a [u8]>) -> (Vec<Frame>, Result<(), WireError>) {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    let mut payload_left = 0;
    for mut input in parts {
        loop {
            let payload = payload_left.min(input.len());
            input = &input[payload..];
            payload_left -= payload;
            if payload_left > 0 {
                break;
            }
            let before = input.len();
            let needed = decoder.needed();
            assert!(needed > 0);
            match decoder.decode(&mut input) {
                Ok(Some(frame)) => {
                    assert!(
                        before - input.len() >= needed,
                        "a frame from less than needed"
                    );
                    if let Frame::PieceHeader { len, .. } = frame {
                        payload_left = len as usize;
                    }
                    frames.push(frame);
                }
                Ok(None) => {
                    assert!(input.is_empty(), "bytes were left behind");
                    break;
                }
                Err(error) => {
                    assert_eq!(decoder.decode(&mut input), Err(error), "errors stay");
                    return (frames, Err(error));
                }
            }
        }
    }
    (frames, Ok(()))
}

fn handshake(stream: &[u8]) {
    let prefix = Handshake::check_prefix(stream);
    if let Some(bytes) = stream.first_chunk() {
        let whole = Handshake::decode(bytes);
        assert_eq!(whole.is_ok(), prefix.is_ok());
        if let Ok(handshake) = whole {
            assert_eq!(&handshake.encode(), bytes);
            assert_eq!(Handshake::peek_info_hash(stream), Some(handshake.info_hash));
        }
    }
}

fn extensions(payload: &[u8]) {
    if let Ok(handshake) = ExtensionHandshake::decode(payload) {
        let mut known = ExtensionIds::default();
        known.update(&handshake.ids);
        assert_ne!(known.ut_metadata, Some(0));
        // A name that is cut after replacing broken characters may shrink once more.
        let nameless = ExtensionHandshake {
            client: None,
            ..handshake
        };
        assert_eq!(ExtensionHandshake::decode(&nameless.encode()), Ok(nameless));
    }
    if let Ok(message) = MetadataMessage::decode(payload)
        && message != MetadataMessage::Unknown
    {
        assert_eq!(MetadataMessage::decode(&message.encode()), Ok(message));
    }
    if let Ok(lost) = DontHave::decode(payload) {
        assert_eq!(lost.encode(), payload);
    }
    if let Ok(flag) = UploadOnly::decode(payload) {
        assert_eq!(UploadOnly::decode(&flag.encode()), Ok(flag));
    }
    let message = Message::Extended {
        id: 1,
        payload: payload.into(),
    };
    let mut encoded = Vec::new();
    message.encode(&mut encoded);
    assert_eq!(encoded.len(), message.wire_bytes());
}
