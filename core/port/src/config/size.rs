//! Sizes and rates as people write them: `64K`, `2M`, `1.5G`, `1048576`.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of bytes, or of bytes per second. Suffixes `K`, `M`, `G`, `T` are powers of 1024,
/// with or without `iB`, and `/s` may follow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ByteSize(pub u64);

/// A text that is no size.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no size: expected a number with K, M, G or T behind it, such as 500K or 1.5G")]
pub struct ParseSizeError(pub String);

const SUFFIXES: [(&str, u64); 4] = [
    ("T", 1 << 40),
    ("G", 1 << 30),
    ("M", 1 << 20),
    ("K", 1 << 10),
];

impl FromStr for ByteSize {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<Self, ParseSizeError> {
        let error = || ParseSizeError(text.to_owned());
        let upper = text.trim().to_ascii_uppercase();
        let number = upper.strip_suffix("/S").unwrap_or(&upper);
        let number = number
            .strip_suffix("IB")
            .or_else(|| number.strip_suffix('B'))
            .unwrap_or(number);
        let (digits, unit) = SUFFIXES
            .iter()
            .find_map(|(suffix, unit)| Some((number.strip_suffix(suffix)?, *unit)))
            .unwrap_or((number, 1));
        let (whole, fraction) = digits.trim().split_once('.').unwrap_or((digits.trim(), ""));
        let only_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || fraction.len() > 6 || !only_digits(whole) || !only_digits(fraction) {
            return Err(error());
        }
        let whole: u64 = whole.parse().ok().ok_or_else(error)?;
        let fraction_bytes = match fraction.parse::<u64>() {
            Ok(value) => {
                value * (unit / 1024).max(1) * unit.min(1024) / 10_u64.pow(fraction.len() as u32)
            }
            Err(_) if fraction.is_empty() => 0,
            Err(_) => return Err(error()),
        };
        let bytes = whole
            .checked_mul(unit)
            .and_then(|bytes| bytes.checked_add(fraction_bytes));
        bytes.map(Self).ok_or_else(error)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SUFFIXES
            .iter()
            .find(|(_, unit)| self.0 > 0 && self.0.is_multiple_of(*unit))
        {
            Some((suffix, unit)) => write!(f, "{}{suffix}", self.0 / unit),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "expected a size: a number, or text such as \"500K\" or \"1.5G\""
        )]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(bytes) => Ok(Self(bytes)),
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_people_write_them() {
        let parse = |text: &str| text.parse::<ByteSize>().map(|size| size.0).ok();
        assert_eq!(parse("0"), Some(0));
        assert_eq!(parse("64K"), Some(65_536));
        assert_eq!(parse("1.5 MiB"), Some(3 << 19));
        assert_eq!(parse("2m/s"), Some(2 << 20));
        assert_eq!(parse("16 kb"), Some(16 << 10));
        for bad in [
            "",
            "K",
            "-1",
            "1.2.3",
            "fast",
            "1e9",
            "99999999999999999999",
            "16777216T",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn shown_sizes_parse_to_themselves() {
        for bytes in [0, 1, 1000, 1024, 1536, 1 << 20, 3 << 30, (1 << 40) + 1] {
            assert_eq!(ByteSize(bytes).to_string().parse(), Ok(ByteSize(bytes)));
        }
    }
}
