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

/// While buffers are short, who is in the midst of the same block for so long is closed: 16 KiB in that time
/// is less than any line has, and a few that stop there would stop all others.
const CLING_MAX: Duration = Duration::from_secs(20);

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
            Ok(Turn::Over) => {
                if let Some(reason) = connection.mute.take() {
                    self.fail(slot, reason);
                }
            }
            Ok(Turn::More) => {
                self.want_turn(slot);
                self.go_on_within(Duration::ZERO);
            }
            Ok(Turn::Starved { of_buffers }) => {
                self.want_turn(slot);
                self.go_on_within(STARVED_WAIT);
                if of_buffers {
                    self.part_with_clinging();
                }
            }
            Err(reason) => self.fail(slot, reason),
        }
        self.settle_greeting(slot);
    }

    /// Buffers are short: closes those that keep theirs for too long. They are looked at now and then, and
    /// who is still at the block at which it was the last time, while they were short too, is closed.
    fn part_with_clinging(&mut self) {
        let now = Instant::now();
        if self.clinging_at.is_some_and(|at| now - at < CLING_MAX) {
            return;
        }
        self.clinging_at = Some(now);
        for slot in self.slots.numbers() {
            if let Some(connection) = self.slots.get_mut(slot)
                && connection.inflow.clings()
            {
                let reason = "sent no whole block for 20 s while memory was short";
                self.fail(slot, CloseReason::Broken(reason.to_owned()));
            }
        }
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

/// How a turn ended.
enum Turn {
    /// The connection has nothing more.
    Over,
    /// It has, and others have their turn first.
    More,
    /// It has something for which there is no buffer, or else no room in the inbox.
    Starved { of_buffers: bool },
}

/// Reads from a connection until it has nothing more or others should have their turn.
fn take_turn(
    connection: &mut Connection,
    landing: &mut Landing,
    inbox: &mut VecDeque<NetEvent>,
) -> Result<Turn, CloseReason> {
    let mut taken = 0;
    while taken < TURN_BYTES {
        match connection
            .inflow
            .pull(&mut &connection.stream, landing, inbox)?
        {
            Pulled::Full => return Ok(Turn::Starved { of_buffers: false }),
            Pulled::NoBuffer => return Ok(Turn::Starved { of_buffers: true }),
            Pulled::Last(0) => return Ok(Turn::Over),
            // epoll(7): a short read says that the kernel has no more and that an event will
            // come, except that the end of the stream has no event of its own when it came
            // together with the last bytes.
            Pulled::Last(_) if cfg!(target_os = "linux") && !connection.ending => {
                return Ok(Turn::Over);
            }
            Pulled::Last(bytes) | Pulled::Bytes(bytes) => taken += bytes,
        }
    }
    Ok(Turn::More)
}
