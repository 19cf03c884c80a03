//! Which files of a torrent a person means.

use std::str::FromStr;

use dunlin::FilePriority;
use dunlin_protocol::metainfo::Info;
use glob::{MatchOptions, Pattern};

/// One file by its number, or all that match a pattern.
#[derive(Clone, Debug)]
pub(crate) enum Selector {
    /// From 1, padding not counted.
    Number(usize),
    /// On the path, or on the file's name alone when the pattern has no `/`.
    Pattern(Pattern),
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(0) => Err("files are counted from 1".to_owned()),
            Ok(number) => Ok(Self::Number(number)),
            Err(_) => Pattern::new(text)
                .map(Self::Pattern)
                .map_err(|error| format!("no usable pattern: {error}")),
        }
    }
}

impl Selector {
    /// Whether it means the file with this number and path.
    pub(crate) fn matches(&self, number: usize, path: &str) -> bool {
        let options = MatchOptions {
            case_sensitive: false,
            require_literal_separator: true,
            require_literal_leading_dot: false,
        };
        match self {
            Self::Number(wanted) => *wanted == number,
            Self::Pattern(pattern) if pattern.as_str().contains('/') => {
                // With or without the torrent's own folder.
                let inside = path.split_once('/').map_or(path, |(_, inside)| inside);
                [path, inside]
                    .iter()
                    .any(|path| pattern.matches_with(path, options))
            }
            Self::Pattern(pattern) => {
                let name = path.rsplit('/').next().unwrap_or(path);
                pattern.matches_with(name, options)
            }
        }
    }
}

/// How much each file is wanted when these are meant.
///
/// # Errors
/// When they are none of the torrent's, in words.
pub(crate) fn priorities(select: &[Selector], info: &Info) -> Result<Vec<FilePriority>, String> {
    let mut number = 0;
    let priorities: Vec<_> = info
        .files()
        .iter()
        .map(|file| {
            let shown = !file.attributes.padding;
            number += usize::from(shown);
            let mut meant = select.iter();
            if shown && meant.any(|selector| selector.matches(number, file.path.as_str())) {
                FilePriority::Normal
            } else {
                FilePriority::Skip
            }
        })
        .collect();
    if priorities.contains(&FilePriority::Normal) {
        return Ok(priorities);
    }
    Err(format!(
        "--select matches none of the {number} files of `{}`; `dunlin show` lists them",
        info.name()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_names_and_paths_select() {
        let matches =
            |text: &str, number, path| text.parse::<Selector>().unwrap().matches(number, path);
        assert!(matches("3", 3, "set/a"));
        assert!(!matches("3", 4, "set/3"));
        assert!(matches("*.FLAC", 1, "set/disc 1/x.flac"));
        assert!(!matches("*.flac", 1, "set/x.flac.txt"));
        assert!(matches("disc 1/*", 1, "set/disc 1/x.flac"));
        assert!(!matches("disc 1/*", 1, "set/disc 1/deep/x.flac"));
        assert!(matches("set/**/x.flac", 1, "set/disc 1/deep/x.flac"));
        assert!("0".parse::<Selector>().is_err());
        assert!("[".parse::<Selector>().is_err());
    }
}
