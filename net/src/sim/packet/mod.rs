//! The network packet by packet, for small swarms: to see what flows leave out.
//!
//! Each way of an access line has a queue of so many bytes, first in, first out; what does not fit is
//! dropped. A packet passes the sender's queue, the way between the two, and the receiver's queue; its
//! acknowledgement goes back the same way. TCP has slow start, halves its window once a round trip
//! when packets are lost, adds a segment a round trip otherwise; µTP has the window of LEDBAT
//! (RFC 6817). Losses are seen when three packets behind are acknowledged, or by a timeout (RFC 6298).
//!
//! Left out: the bytes of handshakes of connections, delayed acknowledgements' timers (each packet is
//! acknowledged by half of a header instead, as TCP acknowledges every second), receive windows. What is
//! under way when its sender closes a connection is lost.

mod carry;
mod fifo;
mod stream;
mod window;

use std::collections::BTreeMap;

use dunlin_base::RngStream;

use self::fifo::Fifo;
use self::stream::{Ack, Span, Stream};
use super::books::Afloat;
use super::breach::LineRule;
use super::connections::Item;
use super::line::on_the_line;

/// Line bytes of an acknowledgement: half of a packet without payload.
const ACK_BYTES: u64 = 33;

/// What happened to a stream in a step.
#[derive(Debug)]
pub(super) enum Outcome {
    /// So many bytes of payload have left.
    Left(u32),
    /// This is there.
    There(Item),
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// A packet is before the receiver's line.
    Comes(u64, Span, u64),
    /// It is through.
    There(u64, Span, u64),
    /// An acknowledgement is before the line of who sent the packet.
    AckComes(Ack),
    /// It is through.
    Acked(Ack),
    /// Time to see whether too long has passed.
    Timer,
}

/// One direction of a connection, and where it goes.
#[derive(Debug)]
struct Path {
    stream: Stream,
    from: u32,
    to: u32,
    delay_nanos: u64,
    loss_ppm: u32,
}

#[derive(Clone, Copy, Debug)]
struct Event {
    stream: usize,
    what: What,
}

/// All lines, streams and packets.
#[derive(Debug)]
pub(super) struct Packets {
    /// Up and down, by host.
    lines: Vec<[Fifo; 2]>,
    paths: Vec<Path>,
    /// What is to happen, by time and then in the order in which it was planned.
    agenda: BTreeMap<(u64, u64), Event>,
    planned: u64,
    luck: RngStream,
}

impl Packets {
    pub(super) const fn new(luck: RngStream) -> Self {
        Self {
            lines: Vec::new(),
            paths: Vec::new(),
            agenda: BTreeMap::new(),
            planned: 0,
            luck,
        }
    }

    /// Gives the next host its line.
    pub(super) fn add_line(&mut self, rates: [u64; 2], buffer_nanos: u64) {
        self.lines
            .push(rates.map(|rate| Fifo::new(rate, buffer_nanos)));
    }

    /// Changes the rates of a line, up and down.
    pub(super) fn set_rates(&mut self, host: u32, rates: [u64; 2]) {
        for (line, rate) in self.lines[host as usize].iter_mut().zip(rates) {
            line.set_rate(rate);
        }
    }

    /// Opens the next connection: two streams, from the one end and from the other.
    pub(super) fn open(&mut self, ends: [u32; 2], delay_nanos: u64, loss_ppm: u32, utp: bool) {
        for (from, to) in [(ends[0], ends[1]), (ends[1], ends[0])] {
            self.paths.push(Path {
                stream: Stream::new(utp),
                from,
                to,
                delay_nanos,
                loss_ppm,
            });
        }
    }

    /// Throws away what is to be sent on a stream and what is under way, and says how much payload that
    /// was.
    pub(super) fn clear(&mut self, stream: usize) -> Afloat {
        let afloat = self.afloat(stream);
        self.paths[stream].stream.clear();
        afloat
    }

    /// Payload of a stream that is not there yet.
    pub(super) fn afloat(&self, stream: usize) -> Afloat {
        self.paths[stream].stream.afloat()
    }

    /// The first line that carried more than it can: which way, whose, how much, and how much fits.
    pub(super) fn overrun(&self) -> Option<(LineRule, u32, u64, u64)> {
        let lines = (0..).zip(&self.lines);
        let mut ways = lines.flat_map(|(node, [up, down])| {
            [
                (LineRule::Uplink, node, up),
                (LineRule::Downlink, node, down),
            ]
        });
        ways.find_map(|(rule, node, line)| {
            let (found, most) = line.overrun()?;
            Some((rule, node, found, most))
        })
    }

    /// Whether anything is under way.
    pub(super) fn is_moving(&self) -> bool {
        !self.agenda.is_empty()
    }

    /// Hands something to a stream.
    pub(super) fn write(
        &mut self,
        now: u64,
        stream: usize,
        item: Item,
        tell: &mut dyn FnMut(usize, Outcome),
    ) {
        self.paths[stream].stream.push(item);
        self.pump(now, stream, tell);
    }

    /// Lets everything happen that happens until `end`.
    pub(super) fn run(&mut self, end: u64, tell: &mut dyn FnMut(usize, Outcome)) {
        while let Some(first) = self.agenda.first_entry()
            && first.key().0 <= end
        {
            let ((at, _), event) = first.remove_entry();
            self.happen(at, event, tell);
        }
    }

    fn happen(&mut self, now: u64, event: Event, tell: &mut dyn FnMut(usize, Outcome)) {
        let stream = event.stream;
        let path = &mut self.paths[stream];
        let (from, to, delay) = (path.from as usize, path.to as usize, path.delay_nanos);
        match event.what {
            What::Comes(number, span, sent_at) => {
                let bytes = on_the_line(span.len);
                if let Some(at) = self.lines[to][1].pass(now, bytes) {
                    self.plan(at, stream, What::There(number, span, sent_at));
                }
            }
            What::There(number, span, sent_at) => {
                let got = path
                    .stream
                    .receive(span, |item| tell(stream, Outcome::There(item)));
                let ack = Ack {
                    number,
                    got,
                    delay_nanos: now - sent_at,
                };
                if let Some(at) = self.lines[to][0].pass(now, ACK_BYTES) {
                    self.plan(at + delay, stream, What::AckComes(ack));
                }
            }
            What::AckComes(ack) => {
                if let Some(at) = self.lines[from][1].pass(now, ACK_BYTES) {
                    self.plan(at, stream, What::Acked(ack));
                }
            }
            What::Acked(ack) => {
                path.stream.acknowledge(now, ack);
                self.pump(now, stream, tell);
            }
            What::Timer => {
                path.stream.timer_set = false;
                if path.stream.times_out_at().is_some_and(|at| at <= now) {
                    path.stream.time_out(now);
                }
                self.pump(now, stream, tell);
            }
        }
    }

    /// Sends what may be sent.
    fn pump(&mut self, now: u64, stream: usize, tell: &mut dyn FnMut(usize, Outcome)) {
        loop {
            let path = &mut self.paths[stream];
            let left = |item: &Item| {
                if let Item::Block { len, .. } = item {
                    tell(stream, Outcome::Left(*len));
                }
            };
            let Some((number, span)) = path.stream.send(now, left) else {
                break;
            };
            let (delay, loss_ppm) = (path.delay_nanos, path.loss_ppm);
            let line = &mut self.lines[path.from as usize][0];
            let through = line.pass(now, on_the_line(span.len));
            let is_lost = loss_ppm > 0 && self.luck.below(1_000_000) < u64::from(loss_ppm);
            if let Some(at) = through.filter(|_| !is_lost) {
                self.plan(at + delay, stream, What::Comes(number, span, now));
            }
        }
        let path = &mut self.paths[stream].stream;
        if let Some(at) = path.times_out_at().filter(|_| !path.timer_set) {
            path.timer_set = true;
            self.plan(at, stream, What::Timer);
        }
    }

    fn plan(&mut self, at: u64, stream: usize, what: What) {
        self.agenda
            .insert((at, self.planned), Event { stream, what });
        self.planned += 1;
    }
}

#[cfg(test)]
mod tests;
