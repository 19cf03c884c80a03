//! The values that a sweep gives to one field.

use core::fmt;
use core::str::FromStr;

/// Most values of one field.
pub const VALUES_MAX: usize = 100_000;

/// A field and the values that it takes in turn.
///
/// Written as `path=a..b` or `path=a..b:step` with numbers that may have a unit
/// (`classes.leech.up=200kbit..1000kbit:200kbit`; `b` is reached if a step falls on it, and a step
/// that is not given is 1) or stand in the same text (`strategy.slots=Fixed(2)..Fixed(10):2`), or as
/// a list: `strategy.slots=[Fixed(4), RateBased]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vary {
    /// The field, as in [`crate::schema::Override`].
    pub path: String,
    /// Its values, in order, each as an override's.
    pub values: Vec<String>,
}

/// A text that says no values.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text}: {message}")]
pub struct VaryError {
    /// What was read.
    pub text: String,
    /// What is wrong.
    pub message: String,
}

/// A number of a range, in units of its last decimal, and what stands around it.
struct Number {
    prefix: String,
    units: u64,
    decimals: usize,
    suffix: String,
}

const DECIMALS_MAX: usize = 6;

impl Number {
    fn parse(text: &str) -> Option<Self> {
        let (prefix, text) = text
            .trim()
            .split_at(text.trim().find(|c: char| c.is_ascii_digit())?);
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || fraction.len() > DECIMALS_MAX || fraction.contains('.') {
            return None;
        }
        Some(Self {
            prefix: prefix.to_owned(),
            units: format!("{whole}{fraction}").parse().ok()?,
            decimals: fraction.len(),
            suffix: suffix.trim().to_owned(),
        })
    }

    /// Whether the other number differs from this one in nothing but the number.
    fn is_like(&self, other: &Self) -> bool {
        self.prefix == other.prefix && self.suffix == other.suffix
    }

    fn at(&self, decimals: usize) -> Option<u64> {
        self.units
            .checked_mul(10_u64.pow((decimals - self.decimals) as u32))
    }
}

impl Vary {
    /// Whether the values are numbers of one kind that go up: near ones are then alike.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        let numbers: Option<Vec<Number>> = self.values.iter().map(|v| Number::parse(v)).collect();
        numbers.is_some_and(|numbers| {
            numbers.windows(2).all(|two| {
                let decimals = two[0].decimals.max(two[1].decimals);
                two[0].is_like(&two[1]) && two[0].at(decimals) < two[1].at(decimals)
            })
        })
    }
}

impl FromStr for Vary {
    type Err = VaryError;

    fn from_str(text: &str) -> Result<Self, VaryError> {
        let error = |message: String| VaryError {
            text: text.to_owned(),
            message,
        };
        let form = "expected path=a..b, path=a..b:step or path=[v1, v2]";
        let (path, values) = text.split_once('=').ok_or_else(|| error(form.to_owned()))?;
        let (path, values) = (path.trim(), values.trim());
        let list = values
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let values = match (list, values.split_once("..")) {
            (Some(list), _) => items(list),
            (None, Some((first, rest))) => range(first, rest).map_err(error)?,
            (None, None) => return Err(error(form.to_owned())),
        };
        if path.is_empty() || values.is_empty() || values.iter().any(String::is_empty) {
            return Err(error(form.to_owned()));
        }
        if values.len() > VALUES_MAX {
            return Err(error(format!(
                "{} values, at most {VALUES_MAX}",
                values.len()
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            values,
        })
    }
}

impl fmt::Display for Vary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=[{}]", self.path, self.values.join(", "))
    }
}

fn range(first: &str, rest: &str) -> Result<Vec<String>, String> {
    let (last, step) = rest.split_once(':').unwrap_or((rest, ""));
    let read =
        |text: &str| Number::parse(text).ok_or_else(|| format!("`{text}` is no number of a range"));
    let (first, last) = (read(first)?, read(last)?);
    // What stands around a number is no unit when something stands before it, and steps have none.
    let as_step = |number: &str| match first.prefix.is_empty() {
        true => read(number),
        false => read(&format!("{}{number}{}", first.prefix, first.suffix)),
    };
    let step = match step {
        "" => read(&format!("{}1{}", first.prefix, first.suffix))?,
        step => as_step(step)?,
    };
    if !first.is_like(&last) || !first.is_like(&step) {
        let around =
            [&first, &last, &step].map(|number| format!("`{}{}`", number.prefix, number.suffix));
        return Err(format!("the units differ: {}", around.join(", ")));
    }
    let decimals = first.decimals.max(last.decimals).max(step.decimals);
    let at = |number: &Number| number.at(decimals).ok_or("a number is too large");
    let (first_units, last_units, step_units) = (at(&first)?, at(&last)?, at(&step)?);
    if first_units > last_units || step_units == 0 {
        return Err("a range goes up by a step of more than 0".to_owned());
    }
    if (last_units - first_units) / step_units >= VALUES_MAX as u64 {
        return Err(format!("more than {VALUES_MAX} values"));
    }
    let show = |units: u64| {
        let scale = 10_u64.pow(decimals as u32);
        let number = match decimals {
            0 => units.to_string(),
            _ => format!("{}.{:0decimals$}", units / scale, units % scale),
        };
        format!("{}{number}{}", first.prefix, first.suffix)
    };
    Ok((first_units..=last_units)
        .step_by(step_units as usize)
        .map(show)
        .collect())
}

/// Splits at the commas that are in no brackets and no text.
fn items(list: &str) -> Vec<String> {
    let (mut depth, mut quoted) = (0_i32, false);
    let is_comma = |c: char| {
        match c {
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0 && !quoted
    };
    list.split(is_comma)
        .map(|item| item.trim().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<String> {
        text.parse::<Vary>()
            .unwrap_or_else(|error| panic!("{error}"))
            .values
    }

    #[test]
    fn ranges_and_lists() {
        assert_eq!(values("a.b=3..6"), ["3", "4", "5", "6"]);
        assert_eq!(
            values("up=200kbit..900kbit:300kbit"),
            ["200kbit", "500kbit", "800kbit"]
        );
        assert_eq!(values("r=0.5..1:0.25"), ["0.50", "0.75", "1.00"]);
        assert_eq!(
            values("s=[Fixed(4), (a: 1, b: 2), \"x,y\"]"),
            ["Fixed(4)", "(a: 1, b: 2)", "\"x,y\""]
        );
        assert_eq!(values("s=[1Mbit]"), ["1Mbit"]);
        assert_eq!(
            values("slots=Fixed(2)..Fixed(7):2"),
            ["Fixed(2)", "Fixed(4)", "Fixed(6)"]
        );
    }

    #[test]
    fn numbers_that_go_up_are_ordered() {
        let ordered = |text: &str| text.parse::<Vary>().unwrap().is_ordered();
        for text in [
            "a=1..9",
            "a=[1s, 5s]",
            "a=Fixed(2)..Fixed(4)",
            "a=[0.5, 1, 1.25]",
        ] {
            assert!(ordered(text), "{text}");
        }
        for text in [
            "a=[2, 1]",
            "a=[1s, 2ms]",
            "a=[Fixed(2), RateBased]",
            "a=[x, y]",
            "a=[1, 1]",
        ] {
            assert!(!ordered(text), "{text}");
        }
    }

    #[test]
    fn what_says_no_values_is_refused() {
        for text in [
            "a",
            "a=",
            "a=5",
            "=1..2",
            "a=2..1",
            "a=1..2:0",
            "a=1s..2ms",
            "a=x..y",
            "a=Fixed(2)..Other(3)",
            "a=Fixed(2)..Fixed(3):x",
            "a=[]",
            "a=[1,,2]",
            "a=0..1000000000",
        ] {
            assert!(text.parse::<Vary>().is_err(), "{text}");
        }
    }
}
