//! Gives each file a path of its own, on disks that fold case and Unicode too.

use std::collections::{BTreeMap, BTreeSet};

use dunlin_base::limits::DUPLICATE_NAMES_MAX;
use unicode_normalization::UnicodeNormalization as _;

use super::error::MetainfoErrorKind;
use super::safe_path::SafePath;

/// A name in a folder, by which a disk may not tell it from another.
type Key = (u32, String);

/// Folders and files that are taken. Folders are numbered, so that deep paths cost their length
/// once and not once for every level.
#[derive(Default)]
struct Taken {
    folders: BTreeMap<Key, u32>,
    files: BTreeSet<Key>,
    /// The number that the next duplicate of a name tries first.
    next: BTreeMap<Key, u32>,
}

impl Taken {
    /// The number of the folder that holds `path`.
    fn parent_of(&mut self, path: &SafePath) -> u32 {
        let mut folder = 0;
        let mut names = path.names();
        // The last name is the file.
        let _ = names.next_back();
        for name in names {
            let fresh = self.folders.len() as u32 + 1;
            folder = *self.folders.entry((folder, fold(name))).or_insert(fresh);
        }
        folder
    }

    /// Takes the path for a file, unless a folder or file has it.
    fn take(&mut self, key: Key) -> bool {
        !self.folders.contains_key(&key) && self.files.insert(key)
    }
}

/// The form in which names are the same to a disk that folds case and normal forms (APFS, NTFS).
fn fold(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    // Upper case first: it joins letters that have one upper and several lower forms.
    name.nfd()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfc()
        .collect()
}

/// Renames files whose path another file or a folder has. In the order of the torrent the first
/// keeps its name, the next becomes `name.1.ext`, and so on, as libtorrent names them. Folders keep
/// their names: files in folders that differ by case alone do not meet.
///
/// # Errors
/// When over [`DUPLICATE_NAMES_MAX`] files have one name.
pub(super) fn make_unique<'p>(
    paths: impl IntoIterator<Item = &'p mut SafePath>,
) -> Result<(), MetainfoErrorKind> {
    let mut taken = Taken::default();
    // All folders come first: which files meet them must not depend on the order of files.
    let paths: Vec<(u32, &mut SafePath)> = paths
        .into_iter()
        .map(|path| (taken.parent_of(path), path))
        .collect();
    for (parent, path) in paths {
        let key = (parent, fold(path.file_name()));
        if taken.take(key.clone()) {
            continue;
        }
        let mut number = taken.next.get(&key).copied().unwrap_or(1);
        loop {
            if number as usize > DUPLICATE_NAMES_MAX {
                let max = DUPLICATE_NAMES_MAX;
                return Err(MetainfoErrorKind::TooManyDuplicates { max });
            }
            let renamed = path.numbered(number);
            number += 1;
            if taken.take((parent, fold(renamed.file_name()))) {
                *path = renamed;
                break;
            }
        }
        taken.next.insert(key, number);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unique(paths: &[&str]) -> Vec<String> {
        let mut paths: Vec<_> = paths
            .iter()
            .map(|path| SafePath::from_raw(path.split('/')))
            .collect();
        make_unique(&mut paths).unwrap();
        paths.iter().map(SafePath::to_string).collect()
    }

    #[test]
    fn colliding_files_are_numbered_in_order() {
        for (paths, expected) in [
            (
                &["a.txt", "a.txt", "a.txt"][..],
                &["a.txt", "a.1.txt", "a.2.txt"][..],
            ),
            (&["A.txt", "a.TXT"], &["A.txt", "a.1.TXT"]),
            (&["a", "a.1", "a"], &["a", "a.1", "a.2"]),
            (&["d/a", "D/A", "e/a"], &["d/a", "D/A.1", "e/a"]),
            (&["a", "a/b"], &["a.1", "a/b"]),
            (&["A/b", "a"], &["A/b", "a.1"]),
            (&["a", "a.1/x", "a"], &["a", "a.1/x", "a.2"]),
            // U+00E9, and e with U+0301.
            (&["\u{e9}", "e\u{301}"], &["\u{e9}", "e\u{301}.1"]),
            (&["É", "é"], &["É", "é.1"]),
            (&["straße", "STRASSE"], &["straße", "STRASSE.1"]),
            (&["σ", "ς"], &["σ", "ς.1"]),
        ] {
            assert_eq!(unique(paths), expected);
        }
    }

    #[test]
    fn too_many_of_one_name_are_refused() {
        let mut paths = vec![SafePath::from_raw(["a"]); DUPLICATE_NAMES_MAX + 1];
        assert_eq!(make_unique(&mut paths), Ok(()));
        paths = vec![SafePath::from_raw(["a"]); DUPLICATE_NAMES_MAX + 2];
        let max = DUPLICATE_NAMES_MAX;
        assert_eq!(
            make_unique(&mut paths),
            Err(MetainfoErrorKind::TooManyDuplicates { max })
        );
    }

    proptest! {
        #[test]
        fn no_two_paths_meet(paths in proptest::collection::vec("[abAB1.](/[abAB1.]){0,2}", 0..40)) {
            let mut paths: Vec<_> =
                paths.iter().map(|path| SafePath::from_raw(path.split('/'))).collect();
            make_unique(&mut paths).unwrap();
            let folded: Vec<String> = paths.iter().map(|path| fold(path.as_str())).collect();
            for (index, path) in folded.iter().enumerate() {
                let folder = format!("{path}/");
                for (other, name) in folded.iter().enumerate() {
                    prop_assert!(index == other || (name != path && !name.starts_with(&folder)));
                }
            }
        }
    }
}
