//! Names from a torrent, made safe by a fixed rule.

use core::fmt;
use std::path::PathBuf;

/// Longest name of a file or folder in bytes: what ext4, NTFS and APFS take.
const NAME_BYTES_MAX: usize = 255;
/// Longest extension that survives when a name is cut, with its dot.
const EXTENSION_BYTES_MAX: usize = 32;
/// What stands for a character or a name that cannot stay.
const SUBSTITUTE: char = '_';
/// What Windows refuses in names and other systems allow. Where it is allowed it stays, or content
/// that is on the disk already would not be found.
const FORBIDDEN_HERE: &str = if cfg!(windows) { "<>:\"|?*" } else { "" };

/// A relative path that is safe on every system: it never leaves the folder that it is joined to,
/// and names nothing but a plain file in it.
///
/// Names are made safe and never refused, by a fixed rule, so that a torrent lies on every disk in
/// the same way:
///
/// - names that are `.` or `..` are left out, a path without any name is `_`;
/// - slashes of both kinds, and marks that turn the direction of text, are left out;
/// - control characters, bytes that are no UTF-8, and the colon of a drive letter become `_`;
/// - dots and spaces at the end are left out, an empty name is `_`;
/// - names that Windows reserves (`CON`, `NUL`, `COM1`, ...) get a `_` behind their stem;
/// - names over 255 bytes are cut in front of their extension.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafePath(Box<str>);

impl SafePath {
    /// The safe form of a path that is given name by name.
    pub fn from_raw<N: AsRef<[u8]>>(names: impl IntoIterator<Item = N>) -> Self {
        let mut path = String::new();
        for name in names {
            if let Some(name) = safe_name(name.as_ref()) {
                push_name(&mut path, &name);
            }
        }
        if path.is_empty() {
            path.push(SUBSTITUTE);
        }
        Self(path.into())
    }

    /// This path inside the folder `parent`.
    #[must_use]
    pub fn inside(&self, parent: &Self) -> Self {
        let mut path = String::from(&*parent.0);
        push_name(&mut path, &self.0);
        Self(path.into())
    }

    /// The names, from the outermost folder to the file.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last name: the file's own.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The path with `/` between names.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path in the form of this system.
    #[must_use]
    pub fn to_path_buf(&self) -> PathBuf {
        self.names().collect()
    }

    /// The path of the same folder whose file name is `stem.number.extension`.
    pub(super) fn numbered(&self, number: u32) -> Self {
        let name = self.file_name();
        let folder = self.0.strip_suffix(name).unwrap_or_default();
        let (stem, extension) = split_extension(name);
        let suffix = format!(".{number}{extension}");
        let stem = cut(stem, NAME_BYTES_MAX.saturating_sub(suffix.len()));
        // What is left after spaces at the cut may be a reserved name.
        let name = unreserved(format!("{stem}{suffix}"));
        Self(format!("{folder}{name}").into())
    }
}

impl fmt::Display for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

fn push_name(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('/');
    }
    path.push_str(name);
}

/// The safe form of one name, or nothing for the names that only mean "here" and "up".
pub(super) fn safe_name(raw: &[u8]) -> Option<String> {
    let mut name = String::with_capacity(raw.len());
    for chunk in raw.utf8_chunks() {
        name.extend(chunk.valid().chars().filter_map(safe_char));
        if !chunk.invalid().is_empty() {
            name.push(SUBSTITUTE);
        }
    }
    if name == "." || name == ".." {
        return None;
    }
    if let [letter, b':', ..] = name.as_bytes()
        && letter.is_ascii_alphabetic()
    {
        name = name.replacen(':', "_", 1);
    }
    name.truncate(trim(&name).len());
    if name.is_empty() {
        name.push(SUBSTITUTE);
    }
    name = unreserved(name);
    if name.len() > NAME_BYTES_MAX {
        let (stem, extension) = split_extension(&name);
        let stem = cut(stem, NAME_BYTES_MAX - extension.len());
        // What is left after spaces at the cut may be a reserved name again.
        name = unreserved(format!("{stem}{extension}"));
    }
    Some(name)
}

fn safe_char(c: char) -> Option<char> {
    match c {
        // Direction marks make `exe.txt` of `txt.exe` on the screen.
        '/'
        | '\\'
        | '\u{061c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => None,
        '\u{2028}' | '\u{2029}' | '\u{feff}' => Some(SUBSTITUTE),
        c if c.is_control() || FORBIDDEN_HERE.contains(c) => Some(SUBSTITUTE),
        c => Some(c),
    }
}

/// Windows drops dots and spaces at the end of a name, so that two names would be one file.
fn trim(name: &str) -> &str {
    name.trim_end_matches(['.', ' '])
}

/// `name` with its stem changed when Windows would open a device of that name.
fn unreserved(name: String) -> String {
    let dot = name.find('.').unwrap_or(name.len());
    let (stem, rest) = name.split_at_checked(dot).unwrap_or((&name, ""));
    let stem = stem.trim_end_matches(' ');
    if is_device(stem) {
        format!("{stem}{SUBSTITUTE}{rest}")
    } else {
        name
    }
}

fn is_device(stem: &str) -> bool {
    const DEVICES: [&str; 7] = ["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"];
    let lower = stem.to_ascii_lowercase();
    let port = lower
        .strip_prefix("com")
        .or_else(|| lower.strip_prefix("lpt"))
        .is_some_and(|number| {
            let mut digits = number.chars();
            matches!(digits.next(), Some('0'..='9' | '¹' | '²' | '³')) && digits.next().is_none()
        });
    port || DEVICES.contains(&lower.as_str())
}

/// A name as stem and extension with its dot. Names that begin with their only dot, and names
/// whose last part is too long for an extension, have none.
fn split_extension(name: &str) -> (&str, &str) {
    name.rfind('.')
        .filter(|&dot| dot > 0 && name.len() - dot <= EXTENSION_BYTES_MAX)
        .and_then(|dot| name.split_at_checked(dot))
        .unwrap_or((name, ""))
}

/// The start of `stem`, at most `max` bytes and whole characters.
fn cut(stem: &str, max: usize) -> &str {
    if stem.len() <= max {
        return stem;
    }
    let kept = trim(
        stem.get(..stem.floor_char_boundary(max))
            .unwrap_or_default(),
    );
    if kept.is_empty() { "_" } else { kept }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_made_safe_by_the_rule() {
        for (raw, safe) in [
            ("plain.txt", Some("plain.txt")),
            (".hidden", Some(".hidden")),
            ("", Some("_")),
            (".", None),
            ("..", None),
            ("...", Some("_")),
            (". .", Some("_")),
            ("./.", None),
            (".\u{202e}.", None),
            ("../../etc/passwd", Some("....etcpasswd")),
            ("..\\..\\boot.ini", Some("....boot.ini")),
            ("/etc", Some("etc")),
            ("C:", Some("C_")),
            ("c:\\windows", Some("c_windows")),
            ("\\\\server\\share", Some("servershare")),
            ("name. . ", Some("name")),
            ("   ", Some("_")),
            ("CON", Some("CON_")),
            ("con.txt", Some("con_.txt")),
            ("nul .tar.gz", Some("nul_.tar.gz")),
            ("Com1", Some("Com1_")),
            ("lpt¹.log", Some("lpt¹_.log")),
            ("com10", Some("com10")),
            ("console", Some("console")),
            ("conin$", Some("conin$_")),
            ("a\0b\nc\u{7f}\u{85}", Some("a_b_c__")),
            ("gpj.\u{202e}exe", Some("gpj.exe")),
            ("\u{2066}x\u{2069}\u{200f}", Some("x")),
            ("line\u{2028}two", Some("line_two")),
            ("żółw 亀.mkv", Some("żółw 亀.mkv")),
        ] {
            assert_eq!(
                safe_name(raw.as_bytes()).as_deref(),
                safe,
                "{}",
                raw.escape_debug()
            );
        }
        assert_eq!(safe_name(b"a\xff\xfeb\xc3").unwrap(), "a__b_");
    }

    #[test]
    fn long_names_keep_their_extension() {
        let long = format!("{}.tar.gz", "é".repeat(200));
        let safe = safe_name(long.as_bytes()).unwrap();
        assert_eq!(safe, format!("{}.gz", "é".repeat(126)));
        assert!(safe.len() <= 255);
        let dotless = "x".repeat(300);
        assert_eq!(safe_name(dotless.as_bytes()).unwrap(), "x".repeat(255));
        let late = format!("con{}x", " ".repeat(300));
        assert_eq!(safe_name(late.as_bytes()).unwrap(), "con_");
        let odd = format!("a.{}", "b".repeat(300));
        assert_eq!(safe_name(odd.as_bytes()).unwrap().len(), 255);
    }

    #[test]
    fn paths_stay_inside() {
        for (names, path) in [
            (&["a", "b"][..], "a/b"),
            (&["..", "a", ".", "..", "b"], "a/b"),
            (&[".."], "_"),
            (&[], "_"),
            (&["", ""], "_/_"),
            (&["/", "etc"], "_/etc"),
        ] {
            assert_eq!(SafePath::from_raw(names).as_str(), path);
        }
        let inner = SafePath::from_raw(["b", "c.txt"]);
        let outer = inner.inside(&SafePath::from_raw(["a"]));
        assert_eq!(outer.as_str(), "a/b/c.txt");
        assert_eq!(outer.file_name(), "c.txt");
        assert_eq!(outer.names().count(), 3);
        assert_eq!(
            outer.to_path_buf(),
            ["a", "b", "c.txt"].iter().collect::<PathBuf>()
        );
    }

    #[test]
    fn numbers_go_in_front_of_the_extension() {
        for (path, numbered) in [
            (&["a", "b.txt"][..], "a/b.7.txt"),
            (&["b"], "b.7"),
            (&["a", ".hidden"], "a/.hidden.7"),
            (&["x.tar.gz"], "x.tar.7.gz"),
        ] {
            assert_eq!(SafePath::from_raw(path).numbered(7).as_str(), numbered);
        }
        let long = SafePath::from_raw(["x".repeat(255)]).numbered(12);
        assert_eq!(long.as_str(), format!("{}.12", "x".repeat(252)));
        let spaced = SafePath::from_raw([format!("con{}x", " ".repeat(251))]);
        assert_eq!(spaced.numbered(1).as_str(), "con_.1");
    }

    fn assert_safe(path: &SafePath) {
        for name in path.names() {
            assert!(!name.is_empty() && name.len() <= 255, "{name:?}");
            assert!(name != "." && name != "..", "{name:?}");
            assert_eq!(trim(name), name);
            assert!(!name.contains(['/', '\\']) && !name.chars().any(char::is_control));
            assert_eq!(
                safe_name(name.as_bytes()).as_deref(),
                Some(name),
                "idempotent"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_become_a_safe_path(
            names in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..5),
        ) {
            assert_safe(&SafePath::from_raw(&names));
        }

        #[test]
        fn any_text_becomes_a_safe_path(
            name in "([cC][oO][nNmM]|[a-z./\\\\: \u{202e}é]|[ ]{250}|[0-9x]{252}){0,6}",
            number in 0_u32..1000,
        ) {
            let path = SafePath::from_raw([&name]);
            assert_safe(&path);
            assert_safe(&path.numbered(number));
        }
    }
}
