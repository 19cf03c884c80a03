//! Quantities as people write them, kept as integers: `"400kbit"`, `"50ms"`, `1.5`.
//!
//! Sizes are [`dunlin_port::config::ByteSize`]. All others are here; each is written so that it
//! reads back as the same value.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A text that is no such quantity.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{text}` is no {what}: expected {expected}")]
pub struct ParseUnitError {
    /// What was read.
    pub text: String,
    /// What it should have been.
    pub what: &'static str,
    /// How that is written.
    pub expected: &'static str,
}

/// An instant since the start of the run, or a length of time, in microseconds.
///
/// Written with `us`, `ms`, `s`, `m`, `h` or `d`, also joined: `"50ms"`, `"1.5s"`, `"1h30m"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Micros(pub u64);

/// Bytes per second.
///
/// Written in bits per second with powers of 1000 (`"400kbit"`, `"1.5Mbit"`), as the capacity of a
/// line is, or in bytes with powers of 1024 (`"50KiB/s"`). Parts of a byte are cut off.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Rate(pub u64);

/// A ratio in thousandths: share ratios, shares of a class, factors over a bound.
///
/// Written as a number with at most three decimals, with or without quotes: `1.5`, `"0.05"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Permille(pub u64);

const TIME_UNITS: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

const BIT_UNITS: [(&str, u64); 4] = [
    ("gbit", 1_000_000_000),
    ("mbit", 1_000_000),
    ("kbit", 1_000),
    ("bit", 1),
];

const SHOWN_BIT_UNITS: [(&str, u64); 3] = [
    ("Gbit", 1_000_000_000),
    ("Mbit", 1_000_000),
    ("kbit", 1_000),
];

/// `text` times `unit`, the decimals included, cut off below one. At most nine decimals.
fn scaled(text: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 9 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let parts: u128 = format!("{whole}{fraction}").parse().ok()?;
    let value = parts.checked_mul(u128::from(unit))? / 10_u128.pow(fraction.len() as u32);
    u64::try_from(value).ok()
}

impl FromStr for Micros {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let error = || ParseUnitError {
            text: text.to_owned(),
            what: "time",
            expected: "a number with us, ms, s, m, h or d behind it, such as 50ms or 1h30m",
        };
        let mut rest = text.trim();
        let mut total = 0_u64;
        if rest.is_empty() {
            return Err(error());
        }
        while !rest.is_empty() {
            let number_end = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .ok_or_else(error)?;
            let (number, behind) = rest.split_at(number_end);
            let behind = behind.trim_start();
            let unit_end = behind
                .find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(behind.len());
            let (unit, next) = behind.split_at(unit_end);
            let (_, micros) = TIME_UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .ok_or_else(error)?;
            total = scaled(number, *micros)
                .and_then(|part| total.checked_add(part))
                .ok_or_else(error)?;
            rest = next.trim_start();
        }
        Ok(Self(total))
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, unit) = TIME_UNITS
            .iter()
            .find(|(_, unit)| self.0 > 0 && self.0.is_multiple_of(*unit))
            .unwrap_or(&("s", 1));
        write!(f, "{}{name}", self.0 / unit)
    }
}

impl FromStr for Rate {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let error = || ParseUnitError {
            text: text.to_owned(),
            what: "rate",
            expected: "bits per second, such as 400kbit or 1.5Mbit, or bytes, such as 50KiB/s",
        };
        let lower = text.trim().to_ascii_lowercase();
        let number = lower.strip_suffix("/s").unwrap_or(&lower);
        let bits = BIT_UNITS
            .iter()
            .find_map(|(name, unit)| Some((number.strip_suffix(name)?, *unit)));
        if let Some((number, unit)) = bits {
            let bits = scaled(number.trim(), unit).ok_or_else(error)?;
            return Ok(Self(bits / 8));
        }
        if !lower.ends_with("/s") {
            return Err(error());
        }
        let bytes: Option<dunlin_port::config::ByteSize> = lower.parse().ok();
        bytes.map(|size| Self(size.0)).ok_or_else(error)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from(self.0) * 8;
        match SHOWN_BIT_UNITS
            .iter()
            .find(|(_, unit)| bits > 0 && bits.is_multiple_of(u128::from(*unit)))
        {
            Some((name, unit)) => write!(f, "{}{name}", bits / u128::from(*unit)),
            None => write!(f, "{bits}bit"),
        }
    }
}

impl FromStr for Permille {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let trimmed = text.trim();
        let decimals = trimmed
            .split_once('.')
            .map_or(0, |(_, decimals)| decimals.len());
        scaled(trimmed, 1000)
            .filter(|_| decimals <= 3)
            .map(Self)
            .ok_or_else(|| ParseUnitError {
                text: text.to_owned(),
                what: "ratio",
                expected: "a number of at most three decimals, such as 1.5 or 0.05",
            })
    }
}

impl fmt::Display for Permille {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:03}", self.0 / 1000, self.0 % 1000);
        let text = text.trim_end_matches('0');
        f.write_str(text.strip_suffix('.').unwrap_or(text))
    }
}

/// Reads a quantity from its text.
struct FromText<T>(core::marker::PhantomData<T>);

impl<T: FromStr<Err = ParseUnitError>> de::Visitor<'_> for FromText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text's own error says more; this one is for numbers and lists in its place.
        match T::from_str("") {
            Err(error) => write!(f, "a {} in quotes: {}", error.what, error.expected),
            Ok(_) => f.write_str("a quantity in quotes"),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// Reads a ratio from text or from a number.
struct PermilleVisitor;

impl de::Visitor<'_> for PermilleVisitor {
    type Value = Permille;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a ratio such as 1.5")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Permille, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Permille, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Permille, E> {
        // The shortest text that reads back as this number is what was in the file.
        self.visit_str(&number.to_string())
    }

    fn visit_f32<E: de::Error>(self, number: f32) -> Result<Permille, E> {
        self.visit_str(&number.to_string())
    }
}

impl<'de> Deserialize<'de> for Micros {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FromText(core::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FromText(core::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for Permille {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PermilleVisitor)
    }
}

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Permille {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_write_them() {
        let parse = |text: &str| text.parse::<Micros>().map(|time| time.0).ok();
        assert_eq!(parse("50ms"), Some(50_000));
        assert_eq!(parse("1.5s"), Some(1_500_000));
        assert_eq!(parse("1h30m"), Some(5_400_000_000));
        assert_eq!(parse(" 1h 30m "), Some(5_400_000_000));
        assert_eq!(parse("0s"), Some(0));
        for bad in [
            "",
            "5",
            "ms",
            "-1s",
            "1e3s",
            "5 parsecs",
            "1.2.3s",
            "999999999999d",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn rates_as_people_write_them() {
        let parse = |text: &str| text.parse::<Rate>().map(|rate| rate.0).ok();
        assert_eq!(parse("400kbit"), Some(50_000));
        assert_eq!(parse("1.5 Mbit/s"), Some(187_500));
        assert_eq!(parse("50KiB/s"), Some(51_200));
        assert_eq!(parse("9bit"), Some(1));
        for bad in ["", "400", "50K", "fast", "-1kbit", "99999999999Gbit"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn ratios_as_people_write_them() {
        let parse = |text: &str| text.parse::<Permille>().map(|ratio| ratio.0).ok();
        assert_eq!(parse("1.02"), Some(1020));
        assert_eq!(parse("3"), Some(3000));
        assert_eq!(parse("0.0005"), None);
        assert_eq!(parse("-1"), None);
        assert_eq!(ron::from_str::<Permille>("1.45"), Ok(Permille(1450)));
        assert_eq!(ron::from_str::<Permille>("2"), Ok(Permille(2000)));
        assert!(ron::from_str::<Permille>("inf").is_err());
    }

    proptest::proptest! {
        #[test]
        fn what_is_shown_reads_back(value: u64) {
            assert_eq!(Micros(value).to_string().parse(), Ok(Micros(value)));
            assert_eq!(Permille(value).to_string().parse(), Ok(Permille(value)));
            let rate = Rate(value >> 4);
            assert_eq!(rate.to_string().parse(), Ok(rate));
        }
    }

    #[test]
    fn what_is_shown_is_short() {
        assert_eq!(Micros(100_000).to_string(), "100ms");
        assert_eq!(Micros(7_200_000_000).to_string(), "2h");
        assert_eq!(Micros(0).to_string(), "0s");
        assert_eq!(Rate(50_000).to_string(), "400kbit");
        assert_eq!(Rate(0).to_string(), "0bit");
        assert_eq!(Permille(1500).to_string(), "1.5");
    }
}
