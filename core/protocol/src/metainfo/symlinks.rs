//! Follows the symbolic links of a torrent (BEP 47) to files of the same torrent.

use std::collections::BTreeMap;

use super::safe_path::SafePath;

/// Where a link ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Unknown,
    /// On the walk that is being followed: to come here again is a loop.
    Walking,
    File(usize),
    Nowhere,
}

/// For each file the number of the file that it leads to, when it is a link to a file of the torrent.
///
/// Both sides are compared as the safe form of what the torrent says, before files are renamed. Of
/// several files with one path the first is meant. Links to folders, out of the torrent, to nothing
/// and in loops lead nowhere.
pub(super) fn resolve(paths: &[SafePath], links: &[Option<SafePath>]) -> Vec<Option<usize>> {
    if links.iter().all(Option::is_none) {
        return vec![None; paths.len()];
    }
    let mut by_path = BTreeMap::new();
    for (index, path) in paths.iter().enumerate() {
        by_path.entry(path).or_insert(index);
    }
    let mut ends: Vec<Target> = links
        .iter()
        .enumerate()
        .map(|(index, link)| match link {
            Some(_) => Target::Unknown,
            None => Target::File(index),
        })
        .collect();
    let mut walk = Vec::new();
    for start in 0..ends.len() {
        let end = follow(start, links, &by_path, &mut ends, &mut walk);
        for index in walk.drain(..) {
            if let Some(slot) = ends.get_mut(index) {
                *slot = end;
            }
        }
    }
    ends.iter()
        .zip(links)
        .map(|(end, link)| match end {
            Target::File(index) if link.is_some() => Some(*index),
            _ => None,
        })
        .collect()
}

/// Walks from link to link until the end is known, and leaves the walk behind.
fn follow(
    start: usize,
    links: &[Option<SafePath>],
    by_path: &BTreeMap<&SafePath, usize>,
    ends: &mut [Target],
    walk: &mut Vec<usize>,
) -> Target {
    let mut at = start;
    loop {
        match ends.get_mut(at) {
            Some(slot @ Target::Unknown) => *slot = Target::Walking,
            Some(Target::File(index)) => return Target::File(*index),
            Some(Target::Walking | Target::Nowhere) | None => return Target::Nowhere,
        }
        walk.push(at);
        let next = links
            .get(at)
            .and_then(Option::as_ref)
            .and_then(|link| by_path.get(link));
        match next {
            Some(next) => at = *next,
            None => return Target::Nowhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(files: &[(&str, Option<&str>)]) -> Vec<Option<usize>> {
        let path = |path: &str| SafePath::from_raw(path.split('/'));
        let paths: Vec<_> = files.iter().map(|(name, _)| path(name)).collect();
        let links: Vec<_> = files.iter().map(|(_, link)| link.map(path)).collect();
        resolve(&paths, &links)
    }

    #[test]
    fn links_lead_to_files_of_the_torrent_or_nowhere() {
        for (files, expected) in [
            (&[("a", None), ("b", Some("a"))][..], &[None, Some(0)][..]),
            (
                &[("l", Some("m")), ("m", Some("d/f")), ("d/f", None)],
                &[Some(2), Some(2), None],
            ),
            (&[("l", Some("l"))], &[None]),
            (
                &[("l", Some("m")), ("m", Some("l")), ("n", Some("m"))],
                &[None, None, None],
            ),
            (&[("l", Some("gone"))], &[None]),
            (&[("l", Some("d")), ("d/f", None)], &[None, None]),
            (&[("l", Some("../../f")), ("f", None)], &[Some(1), None]),
        ] {
            assert_eq!(resolved(files), expected);
        }
    }

    #[test]
    fn long_chains_cost_one_walk() {
        let names: Vec<String> = (0..50_000).map(|n| format!("l{n}")).collect();
        let files: Vec<_> = (0..names.len())
            .map(|n| (names[n].as_str(), names.get(n + 1).map(String::as_str)))
            .collect();
        let ends = resolved(&files);
        assert!(ends[..49_999].iter().all(|end| *end == Some(49_999)));
    }
}
