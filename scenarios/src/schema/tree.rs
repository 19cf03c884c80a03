//! Where things stand in a RON text: the span of every value, found by path.
//!
//! RON's own tree (`ron::Value`) forgets the names of enum variants and all positions, so overrides
//! are cut into the text itself, and the typed parser has the last word on the result.

use core::ops::Range;

/// A value of a RON text and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Tree {
    /// The whole value, the name in front of its parentheses included.
    pub(super) span: Range<usize>,
    /// Its parts.
    pub(super) parts: Parts,
}

/// The parts of a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Parts {
    /// None: a number, a text, a bare name.
    None,
    /// Named: fields of a struct or entries of a map.
    Named(Vec<(String, Tree)>),
    /// In order: items of a list, fields of a tuple.
    Ordered(Vec<Tree>),
}

/// Deepest nesting that is read; as deep as `ron` goes.
const DEPTH_MAX: usize = 128;

impl Tree {
    /// The tree of a text, or `None` of one that is no RON. It accepts more than RON does where
    /// that does not move spans.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { text, at: 0 };
        reader.attributes()?;
        let tree = reader.value(0)?;
        reader.space();
        (reader.at == text.len()).then_some(tree)
    }

    /// The part of this name: a field, a map's entry, the number of an item, or the item whose
    /// field `name` says so.
    pub(super) fn part(&self, text: &str, name: &str) -> Option<&Self> {
        match &self.parts {
            Parts::None => None,
            Parts::Named(parts) => parts
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, part)| part),
            Parts::Ordered(parts) => {
                let by_number = name.parse().ok().and_then(|at: usize| parts.get(at));
                by_number.or_else(|| parts.iter().find(|part| part.is_called(text, name)))
            }
        }
    }

    fn is_called(&self, text: &str, name: &str) -> bool {
        let called = self.name(text);
        called == Some(name)
    }

    /// What an item's field `name` says.
    pub(super) fn name<'a>(&self, text: &'a str) -> Option<&'a str> {
        let Parts::Named(parts) = &self.parts else {
            return None;
        };
        let (_, name) = parts.iter().find(|(key, _)| key == "name")?;
        Some(text[name.span.clone()].trim_matches('"'))
    }

    /// What [`Tree::part`] would find, for messages.
    pub(super) fn part_names(&self, text: &str) -> Vec<String> {
        match &self.parts {
            Parts::None => Vec::new(),
            Parts::Named(parts) => parts.iter().map(|(name, _)| name.clone()).collect(),
            Parts::Ordered(parts) => {
                let name = |(at, part): (usize, &Self)| match part.name(text) {
                    Some(name) => format!("{at} ({name})"),
                    None => at.to_string(),
                };
                parts.iter().enumerate().map(name).collect()
            }
        }
    }

    /// The values that have no parts or begin with a name, by path. Items of lists go by their
    /// `name` where they have one.
    pub(super) fn leaves<'a>(&self, text: &'a str) -> Vec<(String, &'a str)> {
        let own = &text[self.span.clone()];
        let branches: Vec<(String, &Self)> = match &self.parts {
            Parts::Named(_) | Parts::Ordered(_) if own.starts_with(char::is_alphabetic) => {
                Vec::new()
            }
            Parts::None => Vec::new(),
            Parts::Named(parts) => parts
                .iter()
                .map(|(name, part)| (name.clone(), part))
                .collect(),
            Parts::Ordered(parts) => {
                let name = |(at, part): (usize, &Self)| {
                    part.name(text)
                        .map_or_else(|| at.to_string(), str::to_owned)
                };
                parts
                    .iter()
                    .enumerate()
                    .map(|item| (name(item), item.1))
                    .collect()
            }
        };
        if branches.is_empty() {
            return vec![(String::new(), own)];
        }
        let mut leaves = Vec::new();
        for (name, branch) in branches {
            for (path, value) in branch.leaves(text) {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{name}.{path}")
                };
                leaves.push((path, value));
            }
        }
        leaves
    }

    /// The deepest value on the way along `path`, as `classes[2].up`.
    pub(super) fn nearest(&self, text: &str, path: &str) -> &Self {
        let mut here = self;
        for name in path.split(['.', '[', ']']).filter(|name| !name.is_empty()) {
            match here.part(text, name) {
                Some(part) => here = part,
                None => break,
            }
        }
        here
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '+' | '-' | '#')
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn take(&mut self, token: &str) -> Option<()> {
        self.rest()
            .starts_with(token)
            .then(|| self.at += token.len())
    }

    fn up_to(&mut self, end: &str) -> Option<()> {
        self.at += self.rest().find(end)? + end.len();
        Some(())
    }

    /// Skips blanks and comments; an unclosed comment runs to the end.
    fn space(&mut self) {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start().len();
            let closed = if self.take("//").is_some() {
                self.up_to("\n")
            } else if self.take("/*").is_some() {
                self.block_comment()
            } else {
                return;
            };
            if closed.is_none() {
                self.at = self.text.len();
            }
        }
    }

    fn block_comment(&mut self) -> Option<()> {
        let mut depth = 1;
        while depth > 0 {
            if self.take("/*").is_some() {
                depth += 1;
            } else if self.take("*/").is_some() {
                depth -= 1;
            } else {
                self.at += self.rest().chars().next()?.len_utf8();
            }
        }
        Some(())
    }

    fn attributes(&mut self) -> Option<()> {
        self.space();
        while self.take("#!").is_some() {
            self.up_to("]")?;
            self.space();
        }
        Some(())
    }

    fn value(&mut self, depth: usize) -> Option<Tree> {
        if depth > DEPTH_MAX {
            return None;
        }
        self.space();
        let start = self.at;
        let parts = if let Some(open) = self.opening() {
            self.group(open, depth)?
        } else if self.string()? {
            Parts::None
        } else {
            let before = self.at;
            self.word()?;
            let end_of_word = self.at;
            let is_name = self.text[before..].starts_with(|c: char| c.is_alphabetic() || c == '_');
            self.space();
            if is_name && self.rest().starts_with('(') {
                self.at += 1;
                self.group(')', depth)?
            } else {
                self.at = end_of_word;
                Parts::None
            }
        };
        Some(Tree {
            span: start..self.at,
            parts,
        })
    }

    /// Takes an opening bracket and says how it closes.
    fn opening(&mut self) -> Option<char> {
        let close = match self.rest().chars().next()? {
            '(' => ')',
            '[' => ']',
            '{' => '}',
            _ => return None,
        };
        self.at += 1;
        Some(close)
    }

    fn word(&mut self) -> Option<()> {
        let rest = self.rest();
        let length = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
        self.at += length;
        (length > 0).then_some(())
    }

    /// Takes a text or a character; `None` if it does not end.
    fn string(&mut self) -> Option<bool> {
        let rest = self.rest();
        if let Some(raw) = rest.strip_prefix('r') {
            let hashes = raw.len() - raw.trim_start_matches('#').len();
            if raw[hashes..].starts_with('"') {
                self.at += 2 + hashes;
                self.up_to(&format!("\"{}", "#".repeat(hashes)))?;
                return Some(true);
            }
        }
        let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            return Some(false);
        };
        let mut escaped = false;
        for (at, c) in rest.char_indices().skip(1) {
            if c == quote && !escaped {
                self.at += at + 1;
                return Some(true);
            }
            escaped = c == '\\' && !escaped;
        }
        None
    }

    /// What is between brackets, up to and with `close`.
    fn group(&mut self, close: char, depth: usize) -> Option<Parts> {
        let (mut named, mut ordered) = (Vec::new(), Vec::new());
        loop {
            self.space();
            if self.rest().starts_with(close) {
                self.at += 1;
                break;
            }
            let key = self.value(depth + 1)?;
            self.space();
            if close != ']' && self.take(":").is_some() {
                let name = self.text[key.span.clone()].trim_matches('"');
                named.push((name.to_owned(), self.value(depth + 1)?));
            } else {
                ordered.push(key);
            }
            self.space();
            if self.take(",").is_none() && !self.rest().starts_with(close) {
                return None;
            }
        }
        match (named.is_empty(), ordered.is_empty()) {
            (false, true) => Some(Parts::Named(named)),
            // An empty struct can be given fields, an empty list nothing by name.
            (true, true) if close != ']' => Some(Parts::Named(named)),
            (true, _) => Some(Parts::Ordered(ordered)),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r##"#![enable(implicit_some)]
// a comment with ( and "
(name: "a \" b", /* ( /* nested */ */ model: Flow(tick: "100ms"),
 classes: [(name: "seed", count: 1), (name: "leech", up: 1.5e3, stay: Fixed(4)),],
 strategies: {"slow one": (slots: 3)}, raw: r#"un"closed ("#, c: ')', empty: ())"##;

    fn found(path: &str) -> &'static str {
        let tree = Tree::parse(TEXT).expect("it is RON");
        &TEXT[tree.nearest(TEXT, path).span.clone()]
    }

    #[test]
    fn values_are_found_by_path() {
        assert_eq!(found("name"), r#""a \" b""#);
        assert_eq!(found("model.tick"), "\"100ms\"");
        assert_eq!(found("model"), "Flow(tick: \"100ms\")");
        assert_eq!(found("classes[0].count"), "1");
        assert_eq!(found("classes.leech.up"), "1.5e3");
        assert_eq!(found("classes[1].stay.0"), "4");
        assert_eq!(found("strategies.slow one.slots"), "3");
        assert_eq!(found("empty"), "()");
        assert_eq!(found("classes[1].absent"), found("classes[1]"));
    }

    #[test]
    fn what_is_there_is_listed() {
        let tree = Tree::parse(TEXT).unwrap();
        let classes = tree.part(TEXT, "classes").unwrap();
        assert_eq!(classes.part_names(TEXT), ["0 (seed)", "1 (leech)"]);
        assert_eq!(
            tree.part_names(TEXT),
            [
                "name",
                "model",
                "classes",
                "strategies",
                "raw",
                "c",
                "empty"
            ]
        );
    }

    #[test]
    fn broken_texts_have_no_tree() {
        for text in [
            "",
            "(",
            "(a: 1",
            "(a 1)",
            "[1, (]",
            "\"open",
            "(a: 1, 2)",
            "1 2",
            "r#\"x\"",
        ] {
            assert_eq!(Tree::parse(text), None, "{text}");
        }
        assert_eq!(Tree::parse(&"(".repeat(100_000)), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in "[(){}\\[\\]:,\"'r#/* \nab0é\\\\]{0,40}") {
            if let Some(tree) = Tree::parse(&text) {
                assert!(text.get(tree.span).is_some());
            }
        }
    }
}
