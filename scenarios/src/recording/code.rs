//! How plain values are written and read: little-endian, lists behind their lengths, choices behind
//! a number. Reading is total: nothing is believed that the bytes do not bear out.

use core::fmt;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dunlin_base::{EngineTime, InfoHash, NodeKey, PeerId, PeerKey, PieceIndex, TorrentKey};

/// Highest raw peer key that is read: the index of peers takes room in proportion to it.
const PEER_KEY_MAX: u64 = u32::MAX as u64;

/// Something that a recording holds.
pub(super) trait Code: Sized {
    /// Appends it.
    fn put(&self, out: &mut Vec<u8>);

    /// Reads it.
    fn get(input: &mut Input<'_>) -> Result<Self, Malformed>;
}

/// What is wrong with an entry, and at which of its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Malformed {
    pub(super) at: usize,
    pub(super) expected: &'static str,
    pub(super) got: String,
}

/// The bytes of an entry, and how far they are read.
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `len` bytes.
    fn take(&mut self, len: usize, expected: &'static str) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(len);
        let Some(bytes) = end.and_then(|end| self.bytes.get(self.at..end)) else {
            return Err(self.wrong(expected, format_args!("{} bytes", self.left())));
        };
        self.at += len;
        Ok(bytes)
    }

    pub(super) fn wrong(&self, expected: &'static str, got: impl fmt::Display) -> Malformed {
        Malformed {
            at: self.at,
            expected,
            got: got.to_string(),
        }
    }
}

macro_rules! numbers {
    ($($number:ident),*) => {$(
        impl Code for $number {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
                let bytes = input.take(size_of::<Self>(), concat!("a ", stringify!($number)))?;
                let mut array = [0; size_of::<Self>()];
                array.copy_from_slice(bytes);
                Ok(Self::from_le_bytes(array))
            }
        }
    )*};
}

numbers!(u8, u16, u32, u64);

/// Types around one value.
macro_rules! around {
    ($($outer:path: $inner:ty;)*) => {$(
        impl Code for $outer {
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }

            fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
                <$inner>::get(input).map(Self)
            }
        }
    )*};
}
pub(super) use around;

around! {
    NodeKey: u32;
    TorrentKey: u32;
    PieceIndex: u32;
    InfoHash: [u8; 20];
    PeerId: [u8; 20];
}

/// Structs, field by field.
macro_rules! rows {
    ($($name:path { $($field:ident),* $(,)? })*) => {$(
        impl Code for $name {
            fn put(&self, out: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($field.put(out);)*
            }

            fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
                Ok(Self { $($field: Code::get(input)?),* })
            }
        }
    )*};
}
pub(super) use rows;

/// Enums: a number, and the variant's fields. The numbers are the format: they never change.
macro_rules! choices {
    ($($name:path { $($tag:literal => $variant:ident
        $({ $($field:ident),* $(,)? })? $(( $($part:ident),* ))?,)* })*) => {$(
        impl Code for $name {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $({ $($field),* })? $(( $($part),* ))? => {
                        out.push($tag);
                        $($($field.put(out);)*)?
                        $($($part.put(out);)*)?
                    })*
                }
            }

            fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
                let tag = u8::get(input)?;
                Ok(match tag {
                    $($tag => {
                        $($(let $part = Code::get(input)?;)*)?
                        Self::$variant $({ $($field: Code::get(input)?),* })? $(( $($part),* ))?
                    })*
                    _ => return Err(input.wrong(concat!("a ", stringify!($name)), tag)),
                })
            }
        }
    )*};
}
pub(super) use choices;

impl Code for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
        match u8::get(input)? {
            0 => Ok(false),
            1 => Ok(true),
            got => Err(input.wrong("0 or 1", got)),
        }
    }
}

impl<const N: usize> Code for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
        let mut array = [0; N];
        array.copy_from_slice(input.take(N, "bytes of a fixed number")?);
        Ok(array)
    }
}

impl Code for usize {
    fn put(&self, out: &mut Vec<u8>) {
        (*self as u64).put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
        let number = u64::get(input)?;
        Self::try_from(number).map_err(|error| input.wrong("a length", error))
    }
}

impl<T: Code> Code for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        self.iter().for_each(|item| item.put(out));
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
        let len = usize::get(input)?;
        // Whatever it is, an item takes a byte or more; room comes as items do.
        if len > input.left() {
            return Err(input.wrong("a list that fits", len));
        }
        let mut items = Self::new();
        for _ in 0..len {
            items.push(T::get(input)?);
        }
        Ok(items)
    }
}

impl Code for Box<[u8]> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        out.extend_from_slice(self);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
        let len = usize::get(input)?;
        input.take(len, "so many bytes").map(Into::into)
    }
}

impl Code for String {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
        let len = usize::get(input)?;
        let bytes = input.take(len, "a text of so many bytes")?;
        core::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|error| input.wrong("a text in UTF-8", error))
    }
}

/// As it is shown: no rule of the engine looks at a path.
impl Code for Arc<Path> {
    fn put(&self, out: &mut Vec<u8>) {
        self.to_path_buf().put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
        PathBuf::get(input).map(Self::from)
    }
}

impl Code for PathBuf {
    fn put(&self, out: &mut Vec<u8>) {
        self.to_string_lossy().into_owned().put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
        String::get(input).map(Self::from)
    }
}

impl<T: Code> Code for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        self.iter().for_each(|value| value.put(out));
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
        bool::get(input)?.then(|| T::get(input)).transpose()
    }
}

impl<T: Code, E: Code> Code for Result<T, E> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_ok().put(out);
        match self {
            Ok(value) => value.put(out),
            Err(error) => error.put(out),
        }
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
        Ok(if bool::get(input)? {
            Ok(T::get(input)?)
        } else {
            Err(E::get(input)?)
        })
    }
}

impl<T: Code> Code for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
        T::get(input).map(Self::new)
    }
}

impl<T: Code> Code for Arc<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
        T::get(input).map(Self::new)
    }
}

impl Code for IpAddr {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_ipv4().put(out);
        match self {
            Self::V4(ip) => ip.octets().put(out),
            Self::V6(ip) => ip.octets().put(out),
        }
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
        Ok(if bool::get(input)? {
            Self::from(<[u8; 4]>::get(input)?)
        } else {
            Self::from(<[u8; 16]>::get(input)?)
        })
    }
}

impl Code for SocketAddr {
    fn put(&self, out: &mut Vec<u8>) {
        self.ip().put(out);
        self.port().put(out);
        if let Self::V6(addr) = self {
            addr.flowinfo().put(out);
            addr.scope_id().put(out);
        }
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
        let (ip, port) = (IpAddr::get(input)?, u16::get(input)?);
        Ok(match ip {
            IpAddr::V4(_) => Self::new(ip, port),
            IpAddr::V6(ip) => {
                let (flow, scope) = (u32::get(input)?, u32::get(input)?);
                SocketAddrV6::new(ip, port, flow, scope).into()
            }
        })
    }
}

impl Code for EngineTime {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_nanos().put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
        u64::get(input).map(Self::from_nanos)
    }
}

impl Code for PeerKey {
    fn put(&self, out: &mut Vec<u8>) {
        self.raw().put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
        let raw = u64::get(input)?;
        if raw > PEER_KEY_MAX {
            return Err(input.wrong("the key of a peer", raw));
        }
        Ok(match raw & 1 {
            1 => Self::incoming(raw >> 1),
            _ => Self::outgoing(raw >> 1),
        })
    }
}
