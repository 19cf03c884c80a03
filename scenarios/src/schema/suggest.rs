//! What was probably meant by a name that is not there.

use ron::Error;

/// Names that are less alike than this are told without a guess (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.75;

/// The name of those known that is most like `found`, unless none is.
pub(super) fn nearest<'a>(
    found: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let alike = |name: &str| strsim::jaro_winkler(&found.to_lowercase(), &name.to_lowercase());
    let scored = known.into_iter().map(|name| (alike(name), name));
    let best = scored.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (best.0 >= ALIKE).then_some(best.1)
}

/// A guess as the end of a message; nothing without one.
pub(super) fn did_you_mean<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let guess = nearest(found, known);
    guess.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// What RON says of a text, with a guess where a field or variant is not known.
pub(super) fn explained(error: &Error) -> String {
    let guess = match error {
        Error::NoSuchStructField {
            expected, found, ..
        }
        | Error::NoSuchEnumVariant {
            expected, found, ..
        } => did_you_mean(found, expected.iter().copied()),
        _ => String::new(),
    };
    format!("{error}{guess}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_guessed_and_the_rest_is_not() {
        let known = ["count", "up", "down", "access_delay", "LeaveOnComplete"];
        for (found, meant) in [
            ("cuont", Some("count")),
            ("counts", Some("count")),
            ("access-delay", Some("access_delay")),
            ("leaveOnCompletion", Some("LeaveOnComplete")),
            ("streaming", None),
            ("", None),
        ] {
            assert_eq!(nearest(found, known), meant, "{found}");
        }
        assert_eq!(nearest("count", []), None);
    }
}
