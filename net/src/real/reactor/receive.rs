//! Gives connections their turn to be read.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use dunlin_port::net::{CloseReason, NetEvent};

use super::Reactor;
use super::connection::{Connection, Phase};
use super::inflow::{INBOX_EVENTS_MAX, Pulled};
use super::landing::Landing;

/// Bytes that are read from one connection before it is the next one's turn.
const TURN_BYTES: usize = 512 * 1024;

/// How long to wait before asking again whether there is a buffer or room in the inbox. The pool
/// does not tell; while it is empty the disk is busy, and its wake usually comes first.
const STARVED_WAIT: Duration = Duration::from_millis(5);

impl Reactor {
    /// Gives each connection that may have something its turn to be read.
    pub(super) fn receive_all(&mut self, inbox: &mut VecDeque<NetEvent>) {
        for _ in 0..self.turns.len() {
            if inbox.len() >= INBOX_EVENTS_MAX {
                self.go_on_within(STARVED_WAIT);
                return;
            }
            if let Some(slot) = self.turns.pop_front() {
                self.receive(slot, inbox);
            }
        }
    }

    /// Asks for a turn.
    pub(super) fn want_turn(&mut self, slot: usize) {
        if let Some(connection) = self.slots.get_mut(slot)
            && !mem::replace(&mut connection.in_turn, true)
        {
            self.turns.push_back(slot);
        }
    }

    fn receive(&mut self, slot: usize, inbox: &mut VecDeque<NetEvent>) {
        let Some(connection) = self.slots.get_mut(slot) else {
            return;
        };
        connection.in_turn = false;
        if connection.failure.is_some() {
            return;
        }
        if connection.phase == Phase::Connecting {
            match connection.check_connect() {
                Ok(false) => return,
                Ok(true) => {}
                Err(reason) => return self.fail(slot, reason),
            }
            let peer = connection.peer;
            connection.phase = Phase::Greeting { counted: None };
            self.greeting_out.start(Instant::now(), peer);
            inbox.push_back(NetEvent::Connected { peer });
        }
        match take_turn(connection, &mut self.landing, inbox) {
            Ok(None) => {
                if let Some(reason) = connection.mute.take() {
                    self.fail(slot, reason);
                }
            }
            Ok(Some(wait)) => {
                self.want_turn(slot);
                self.go_on_within(wait);
            }
            Err(reason) => self.fail(slot, reason),
        }
        self.settle_greeting(slot);
    }

    /// Lets a connection whose handshake is complete out of the door.
    fn settle_greeting(&mut self, slot: usize) {
        if let Some(connection) = self.slots.get_mut(slot)
            && let Phase::Greeting { counted } = connection.phase
            && connection.inflow.greeted()
        {
            connection.phase = Phase::Open;
            if let Some(from) = counted {
                self.admission.leave(from);
            }
        }
    }
}

/// Reads from a connection until it has nothing more or others should have their turn; says how
/// soon to come back if there is more.
fn take_turn(
    connection: &mut Connection,
    landing: &mut Landing,
    inbox: &mut VecDeque<NetEvent>,
) -> Result<Option<Duration>, CloseReason> {
    let mut taken = 0;
    while taken < TURN_BYTES {
        match connection
            .inflow
            .pull(&mut &connection.stream, landing, inbox)?
        {
            Pulled::Starved => return Ok(Some(STARVED_WAIT)),
            Pulled::Last(0) => return Ok(None),
            // epoll(7): a short read says that the kernel has no more and that an event will
            // come, except that the end of the stream has no event of its own when it came
            // together with the last bytes.
            Pulled::Last(_) if cfg!(target_os = "linux") && !connection.ending => return Ok(None),
            Pulled::Last(bytes) | Pulled::Bytes(bytes) => taken += bytes,
        }
    }
    Ok(Some(Duration::ZERO))
}
