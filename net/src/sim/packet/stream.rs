//! One direction of a connection: what is to be sent, what is under way, what has come.

use std::collections::{BTreeMap, VecDeque};

use super::window::Window;
use crate::sim::books::Afloat;
use crate::sim::connections::{Item, Pipe};
use crate::sim::line::MSS_BYTES;

/// Packets that are acknowledged behind one that is not, after which it is lost: TCP's three duplicates.
const REORDER_MAX: u64 = 3;
/// Timeout before a round trip was measured, and the least one after (RFC 6298).
const TIMEOUT_MIN_NANOS: u64 = 1_000_000_000;
const TIMEOUT_MAX_NANOS: u64 = 60_000_000_000;

/// Bytes of a stream that go in one packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    pub(super) from: u64,
    pub(super) len: u64,
}

impl Span {
    const fn end(self) -> u64 {
        self.from + self.len
    }
}

/// A packet under way.
#[derive(Clone, Copy, Debug)]
struct Flying {
    /// Number among all packets of the stream; one that is sent again gets another.
    number: u64,
    span: Span,
    sent_at: u64,
}

/// What goes back for a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ack {
    /// Of which packet.
    pub(super) number: u64,
    /// How much of the stream is there without a hole.
    pub(super) got: u64,
    /// How long the packet took.
    pub(super) delay_nanos: u64,
}

/// One direction of a connection, both its ends.
#[derive(Debug)]
pub(super) struct Stream {
    /// What has no place in the stream yet.
    waiting: Pipe,
    /// What has, with where it ends; the first `sent` of them have left whole.
    framed: VecDeque<(u64, Item)>,
    sent: usize,
    written: u64,
    next: u64,
    flying: VecDeque<Flying>,
    flight_bytes: u64,
    again: VecDeque<Span>,
    numbers: u64,
    /// A loss among packets before this one is of a round trip that was paid for.
    paid_until: u64,
    window: Window,
    /// Smoothed round-trip time and its variation, nanoseconds, once measured.
    rtt: Option<(u64, u64)>,
    /// Timeouts in a row.
    timeouts: u32,
    progress_at: u64,
    /// Whether an event will look at the timeout.
    pub(super) timer_set: bool,
    // The receiver's.
    got: u64,
    early: BTreeMap<u64, u64>,
}

impl Stream {
    pub(super) fn new(utp: bool) -> Self {
        Self {
            waiting: Pipe::new(u64::MAX),
            framed: VecDeque::new(),
            sent: 0,
            written: 0,
            next: 0,
            flying: VecDeque::new(),
            flight_bytes: 0,
            again: VecDeque::new(),
            numbers: 0,
            paid_until: 0,
            window: Window::new(utp),
            rtt: None,
            timeouts: 0,
            progress_at: 0,
            timer_set: false,
            got: 0,
            early: BTreeMap::new(),
        }
    }

    pub(super) fn push(&mut self, item: Item) {
        self.waiting.push(item);
    }

    /// The next packet, if the window lets one go. `left` gets what has left whole by it.
    pub(super) fn send(&mut self, now: u64, mut left: impl FnMut(&Item)) -> Option<(u64, Span)> {
        if self.flight_bytes > 0 && self.flight_bytes + MSS_BYTES > self.window.bytes() {
            return None;
        }
        let span = match self.again.pop_front() {
            Some(span) => span,
            None => self.next_span()?,
        };
        self.next = self.next.max(span.end());
        while let Some((_, item)) = self
            .framed
            .get(self.sent)
            .filter(|(end, _)| *end <= self.next)
        {
            left(item);
            self.sent += 1;
        }
        let number = self.numbers;
        self.numbers += 1;
        if self.flying.is_empty() {
            self.progress_at = now;
        }
        self.flying.push_back(Flying {
            number,
            span,
            sent_at: now,
        });
        self.flight_bytes += span.len;
        Some((number, span))
    }

    /// The next bytes that were never sent. What waits gets its place now, not earlier, so that what is
    /// in a hurry goes before it.
    fn next_span(&mut self) -> Option<Span> {
        while self.written - self.next < MSS_BYTES
            && let Some(item) = self.waiting.next_leaving()
        {
            self.written += item.stream_bytes();
            self.framed.push_back((self.written, item));
        }
        let len = (self.written - self.next).min(MSS_BYTES);
        (len > 0).then_some(Span {
            from: self.next,
            len,
        })
    }

    /// A packet came. `there` gets what is there whole and in order by it.
    pub(super) fn receive(&mut self, span: Span, mut there: impl FnMut(Item)) -> u64 {
        if span.end() > self.got {
            let end = self.early.entry(span.from).or_default();
            *end = span.end().max(*end);
        }
        while let Some((&from, &end)) = self.early.first_key_value()
            && from <= self.got
        {
            self.early.pop_first();
            self.got = self.got.max(end);
        }
        while self.framed.front().is_some_and(|(end, _)| *end <= self.got) {
            if let Some((_, item)) = self.framed.pop_front() {
                self.sent -= 1;
                there(item);
            }
        }
        self.got
    }

    /// An acknowledgement came.
    pub(super) fn acknowledge(&mut self, now: u64, ack: Ack) {
        let flight = self.flight_bytes;
        let paid_until = self.paid_until;
        let (mut fresh, mut lost) = (0, false);
        let mut round_trip = None;
        let again = &mut self.again;
        self.flying.retain(|packet| {
            if packet.number == ack.number {
                round_trip = Some(now - packet.sent_at);
            }
            let there = packet.number == ack.number || packet.span.end() <= ack.got;
            let gone = !there && packet.number + REORDER_MAX <= ack.number;
            if there {
                fresh += packet.span.len;
            }
            if gone {
                lost |= packet.number >= paid_until;
                again.push_back(packet.span);
            }
            self.flight_bytes -= if there || gone { packet.span.len } else { 0 };
            !there && !gone
        });
        if fresh > 0 {
            self.progress_at = now;
            self.timeouts = 0;
            self.window.acknowledge(now, fresh, flight, ack.delay_nanos);
        }
        if let Some(sample) = round_trip {
            self.measure(sample);
        }
        if lost {
            self.paid_until = self.numbers;
            self.window.lose(flight);
        }
    }

    /// RFC 6298.
    fn measure(&mut self, sample: u64) {
        self.rtt = Some(match self.rtt {
            None => (sample, sample / 2),
            Some((smooth, varies)) => (
                smooth - smooth / 8 + sample / 8,
                varies - varies / 4 + smooth.abs_diff(sample) / 4,
            ),
        });
    }

    /// When too long has passed without an acknowledgement; `None` while nothing is under way.
    pub(super) fn times_out_at(&self) -> Option<u64> {
        let timeout = self.rtt.map_or(TIMEOUT_MIN_NANOS, |(smooth, varies)| {
            (smooth + 4 * varies).max(TIMEOUT_MIN_NANOS)
        });
        let timeout = (timeout << self.timeouts.min(6)).min(TIMEOUT_MAX_NANOS);
        (!self.flying.is_empty()).then_some(self.progress_at + timeout)
    }

    /// Takes all that is under way for lost.
    pub(super) fn time_out(&mut self, now: u64) {
        self.window.time_out(self.flight_bytes);
        self.again
            .extend(self.flying.drain(..).map(|packet| packet.span));
        self.flight_bytes = 0;
        self.paid_until = self.numbers;
        self.progress_at = now;
        self.timeouts += 1;
    }

    /// Payload that waits, and that has left and is not there whole.
    pub(super) fn afloat(&self) -> Afloat {
        let payload = |(at, (_, item)): (usize, &(u64, Item))| {
            let bytes = item.payload_bytes();
            if at < self.sent {
                (0, bytes)
            } else {
                (bytes, 0)
            }
        };
        let framed = self.framed.iter().enumerate().map(payload);
        let (waiting, under_way) = framed.fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
        Afloat {
            waiting: waiting + self.waiting.payload_bytes(),
            under_way,
        }
    }

    /// Throws away what waits and what is under way.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.framed.clear();
        self.flying.clear();
        self.again.clear();
        self.early.clear();
        (self.sent, self.flight_bytes) = (0, 0);
        (self.next, self.got) = (self.written, self.written);
    }
}
