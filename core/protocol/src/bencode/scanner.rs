//! The one loop that turns bytes into a tape of tokens.

use super::document::Limits;
use super::error::{DecodeError, DecodeErrorKind, Expected, Flaw, Flaws};

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TokenKind {
    Integer,
    /// A string whose bytes begin this far behind the token's start.
    Bytes {
        head: u8,
    },
    List,
    Dict,
    /// The `e` of a list or dictionary, and the end of the tape.
    End,
}

/// One value, or the end of one. Tokens lie in the order of the bytes and without gaps, so that
/// each ends where the next one on the tape starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token {
    pub(super) start: u32,
    /// Number of the first token behind this value and all that it holds.
    pub(super) next: u32,
    pub(super) kind: TokenKind,
}

/// A list or dictionary that has not ended yet.
struct Open {
    token: usize,
    state: State,
    /// The last key of a dictionary, to see whether keys are sorted.
    last_key: Option<(usize, usize)>,
    sorted: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Item,
    Key,
    Value,
}

pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    limits: Limits,
    tokens: Vec<Token>,
    open: Vec<Open>,
    flaws: Flaws,
}

impl<'a> Scanner<'a> {
    /// The tape of the value at the start of `bytes`, closed by an end token.
    pub(super) fn scan(
        bytes: &'a [u8],
        limits: &Limits,
    ) -> Result<(Vec<Token>, Flaws), DecodeError> {
        // Offsets are kept in 32 bits, whatever the caller allows.
        let max = limits.bytes.min(u32::MAX as usize);
        if bytes.len() > max {
            let kind = DecodeErrorKind::TooManyBytes {
                bytes: bytes.len(),
                max,
            };
            return Err(DecodeError::new(max, kind));
        }
        let mut scanner = Self {
            bytes,
            at: 0,
            limits: *limits,
            tokens: Vec::new(),
            open: Vec::new(),
            flaws: Flaws::default(),
        };
        loop {
            scanner.step()?;
            if scanner.open.is_empty() {
                break;
            }
        }
        let end = scanner.at;
        scanner.tokens.push(Token {
            start: end as u32,
            next: scanner.tokens.len() as u32,
            kind: TokenKind::End,
        });
        Ok((scanner.tokens, scanner.flaws))
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn unexpected(&self, expected: Expected) -> DecodeError {
        let found = self.peek();
        DecodeError::new(self.at, DecodeErrorKind::Syntax { expected, found })
    }

    /// Reads one token.
    fn step(&mut self) -> Result<(), DecodeError> {
        let state = self.open.last().map(|open| open.state);
        match (state, self.peek()) {
            (Some(State::Item | State::Key), Some(b'e')) => self.close(),
            (Some(State::Key), Some(b'0'..=b'9')) => self.key(),
            (Some(State::Key), _) => Err(self.unexpected(Expected::KeyOrEnd)),
            (_, Some(b'i')) => {
                self.integer()?;
                self.value_done();
                Ok(())
            }
            (_, Some(b'0'..=b'9')) => {
                self.string()?;
                self.value_done();
                Ok(())
            }
            (_, Some(b'l')) => self.open(TokenKind::List, State::Item),
            (_, Some(b'd')) => self.open(TokenKind::Dict, State::Key),
            (Some(State::Item), _) => Err(self.unexpected(Expected::ValueOrEnd)),
            _ => Err(self.unexpected(Expected::Value)),
        }
    }

    fn push(&mut self, start: usize, kind: TokenKind) -> Result<(), DecodeError> {
        if self.tokens.len() >= self.limits.tokens {
            let max = self.limits.tokens;
            return Err(DecodeError::new(
                start,
                DecodeErrorKind::TooManyTokens { max },
            ));
        }
        self.tokens.push(Token {
            start: start as u32,
            next: (self.tokens.len() + 1) as u32,
            kind,
        });
        Ok(())
    }

    /// After a value, a dictionary wants a key again.
    fn value_done(&mut self) {
        if let Some(open) = self.open.last_mut()
            && open.state == State::Value
        {
            open.state = State::Key;
        }
    }

    fn open(&mut self, kind: TokenKind, state: State) -> Result<(), DecodeError> {
        if self.open.len() >= self.limits.depth {
            let max = self.limits.depth;
            return Err(DecodeError::new(self.at, DecodeErrorKind::TooDeep { max }));
        }
        self.open.push(Open {
            token: self.tokens.len(),
            state,
            last_key: None,
            sorted: true,
        });
        self.push(self.at, kind)?;
        self.at += 1;
        Ok(())
    }

    fn close(&mut self) -> Result<(), DecodeError> {
        self.push(self.at, TokenKind::End)?;
        self.at += 1;
        if let Some(open) = self.open.pop() {
            let next = self.tokens.len() as u32;
            if let Some(token) = self.tokens.get_mut(open.token) {
                token.next = next;
            }
            if !open.sorted {
                self.find_duplicate(open.token);
            }
        }
        self.value_done();
        Ok(())
    }

    /// Reads a key and compares it with the one before.
    fn key(&mut self) -> Result<(), DecodeError> {
        let start = self.at;
        let body = self.string()?;
        let key = self.bytes.get(body..self.at);
        let Some(open) = self.open.last_mut() else {
            return Ok(());
        };
        let last = open
            .last_key
            .and_then(|(from, to)| self.bytes.get(from..to));
        if last.is_some() && last == key {
            self.flaws.note(Flaw::DuplicateKey, start);
        } else if last > key {
            open.sorted = false;
            self.flaws.note(Flaw::UnsortedKeys, start);
        }
        open.last_key = Some((body, self.at));
        open.state = State::Value;
        Ok(())
    }

    /// Neighbours show the duplicates of a sorted dictionary; an unsorted one has to be sorted.
    fn find_duplicate(&mut self, dict: usize) {
        let mut keys = Vec::new();
        let mut at = dict + 1;
        while let Some(&Token { start, next, kind }) = self.tokens.get(at)
            && let TokenKind::Bytes { head } = kind
            && let Some(value) = self.tokens.get(next as usize)
        {
            let body = start as usize + usize::from(head);
            keys.push((self.bytes.get(body..value.start as usize), start));
            at = value.next as usize;
        }
        keys.sort_unstable();
        let duplicates = keys.iter().zip(keys.iter().skip(1));
        if let Some(offset) = duplicates
            .filter(|(one, other)| one.0 == other.0)
            .map(|(_, other)| other.1)
            .min()
        {
            self.flaws.note(Flaw::DuplicateKey, offset as usize);
        }
    }

    /// Reads `<length>:<bytes>` and tells where the bytes begin.
    fn string(&mut self) -> Result<usize, DecodeError> {
        let start = self.at;
        let mut length = 0_usize;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            length = length
                .saturating_mul(10)
                .saturating_add(usize::from(digit - b'0'));
            // A length has to fit what is left, which also bounds the digits but for zeros.
            if length > self.bytes.len() - self.at || self.at - start >= usize::from(u8::MAX) - 1 {
                let left = self.bytes.len() - self.at;
                return Err(DecodeError::new(
                    start,
                    DecodeErrorKind::StringTooLong { left },
                ));
            }
            self.at += 1;
        }
        if self.peek() != Some(b':') {
            return Err(self.unexpected(Expected::DigitOrColon));
        }
        if self.bytes.get(start) == Some(&b'0') && self.at - start > 1 {
            self.flaws.note(Flaw::LeadingZero, start);
        }
        self.at += 1;
        let body = self.at;
        let left = self.bytes.len() - body;
        if length > left {
            return Err(DecodeError::new(
                start,
                DecodeErrorKind::StringTooLong { left },
            ));
        }
        // The head is at most 255 bytes long by the check of the digits.
        let head = (body - start) as u8;
        self.push(start, TokenKind::Bytes { head })?;
        self.at += length;
        Ok(body)
    }

    /// Reads `i<digits>e`. Its value is worked out when it is asked for, so that an integer that
    /// nobody wants may be of any length.
    fn integer(&mut self) -> Result<(), DecodeError> {
        let start = self.at;
        self.at += 1;
        let negative = self.peek() == Some(b'-');
        if negative {
            self.at += 1;
        }
        let digits = self.at;
        let Some(first @ b'0'..=b'9') = self.peek() else {
            return Err(self.unexpected(Expected::Digit));
        };
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.peek() != Some(b'e') {
            return Err(self.unexpected(Expected::DigitOrEnd));
        }
        if first == b'0' && self.at - digits > 1 {
            self.flaws.note(Flaw::LeadingZero, start);
        } else if first == b'0' && negative {
            self.flaws.note(Flaw::MinusZero, start);
        }
        self.push(start, TokenKind::Integer)?;
        self.at += 1;
        Ok(())
    }
}
