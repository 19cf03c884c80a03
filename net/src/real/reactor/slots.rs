//! Keeps connections at small stable numbers, which are their tokens in the poll.

use mio::Token;

use super::connection::Connection;

/// Connections by slot. A slot is used again after its connection is gone, so whoever keeps a
/// slot number over time must bear that it means another connection by then.
#[derive(Default)]
pub(super) struct Slots {
    entries: Vec<Option<Box<Connection>>>,
    vacant: Vec<usize>,
}

impl Slots {
    /// The slot that the next insertion takes.
    pub(super) fn next(&self) -> usize {
        self.vacant.last().copied().unwrap_or(self.entries.len())
    }

    /// Puts a connection into the slot that [`Slots::next`] told.
    pub(super) fn insert(&mut self, connection: Connection) {
        let connection = Some(Box::new(connection));
        match self.vacant.pop() {
            Some(slot) => self.entries[slot] = connection,
            None => self.entries.push(connection),
        }
    }

    pub(super) fn get_mut(&mut self, slot: usize) -> Option<&mut Connection> {
        self.entries.get_mut(slot)?.as_deref_mut()
    }

    /// The slots that there are, with connections or without.
    pub(super) fn numbers(&self) -> core::ops::Range<usize> {
        0..self.entries.len()
    }

    pub(super) fn remove(&mut self, slot: usize) -> Option<Box<Connection>> {
        let connection = self.entries.get_mut(slot)?.take();
        if connection.is_some() {
            self.vacant.push(slot);
        }
        connection
    }
}

/// Wakes the poll from other threads.
pub(super) const WAKER: Token = Token(usize::MAX);

/// Tokens from here up are listeners, those below are slots of connections.
const LISTENERS: usize = usize::MAX / 2;

/// What an event is about.
pub(super) enum Subject {
    Waker,
    Listener(usize),
    Connection(usize),
}

impl From<Token> for Subject {
    fn from(token: Token) -> Self {
        match token {
            WAKER => Self::Waker,
            Token(number) if number >= LISTENERS => Self::Listener(number - LISTENERS),
            Token(number) => Self::Connection(number),
        }
    }
}

/// The token of the listener with this number.
pub(super) const fn listener_token(number: usize) -> Token {
    Token(LISTENERS + number)
}
