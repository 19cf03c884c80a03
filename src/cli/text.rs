//! Numbers and names for people, and how they reach them.

use std::fmt::Display;
use std::io::{self, Write as _};

use super::Failure;

/// Prints one line or more to standard output. That nobody reads to the end (`| head`) is no error.
///
/// # Errors
/// When it cannot be written, as to a full disk.
pub(crate) fn print(text: impl Display) -> Result<(), Failure> {
    // Standard output looks for ends of lines in every part that it is given.
    let line = format!("{text}\n");
    let mut out = io::stdout().lock();
    match out.write_all(line.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::failed(
            format_args!("cannot write to standard output: {error}"),
        )),
        _ => Ok(()),
    }
}

/// A number with its digits in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A length in the largest unit that it fills, with three digits or more: `1.50 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let Some(step) = (1..=UNITS.len())
        .rev()
        .find(|step| bytes >> (10 * step) > 0)
    else {
        return format!("{bytes} B");
    };
    let value = bytes as f64 / 2_f64.powi(10 * step as i32);
    let decimals = match value {
        _ if bytes.is_multiple_of(1 << (10 * step)) => 0,
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {}", UNITS[step - 1])
}

/// A text from outside on one line: what would move the cursor, change the direction of the text or
/// command the terminal is written as an escape.
pub(crate) fn plain(text: &str) -> String {
    let commands = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if commands(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A count with its noun, which gets an `s` unless it is one.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(16 << 10), "16 KiB");
        assert_eq!(size(1_610_612_736), "1.50 GiB");
        assert_eq!(size(289_000_000), "276 MiB");
        assert_eq!(size(u64::MAX), "16.0 EiB");
        assert_eq!(count(1, "piece"), "1 piece");
        assert_eq!(count(1000, "piece"), "1,000 pieces");
    }

    #[test]
    fn texts_do_not_command_the_terminal() {
        assert_eq!(
            plain("a\x1b[2Jb\r\u{202e}c ö"),
            "a\\u{1b}[2Jb\\r\\u{202e}c ö"
        );
    }
}
