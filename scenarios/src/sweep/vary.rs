//! The values that a sweep gives to one field.

use core::fmt;
use core::str::FromStr;

/// Most values of one field.
pub const VALUES_MAX: usize = 100_000;

/// A field and the values that it takes in turn.
///
/// Written as `path=a..b` or `path=a..b:step` with numbers that may have a unit
/// (`classes.leech.up=200kbit..1000kbit:200kbit`; `b` is reached if a step falls on it, and a step
/// that is not given is 1), or as a list: `strategy.slots=[Fixed(4), RateBased]`.
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

/// A number of a range, in units of its last decimal.
struct Number {
    units: u64,
    decimals: usize,
    suffix: String,
}

const DECIMALS_MAX: usize = 6;

impl Number {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || fraction.len() > DECIMALS_MAX || fraction.contains('.') {
            return None;
        }
        Some(Self {
            units: format!("{whole}{fraction}").parse().ok()?,
            decimals: fraction.len(),
            suffix: suffix.trim().to_owned(),
        })
    }

    fn at(&self, decimals: usize) -> Option<u64> {
        self.units
            .checked_mul(10_u64.pow((decimals - self.decimals) as u32))
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
    let step = match step {
        "" => Number {
            units: 1,
            decimals: 0,
            suffix: first.suffix.clone(),
        },
        step => read(step)?,
    };
    if first.suffix != last.suffix || first.suffix != step.suffix {
        let units = [&first, &last, &step].map(|number| format!("`{}`", number.suffix));
        return Err(format!("the units differ: {}", units.join(", ")));
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
        format!("{number}{}", first.suffix)
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
            "a=[]",
            "a=[1,,2]",
            "a=0..1000000000",
        ] {
            assert!(text.parse::<Vary>().is_err(), "{text}");
        }
    }
}
