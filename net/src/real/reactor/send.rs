//! Queues what the engine sends, and flushes it into the kernel.

use std::mem;
use std::time::Duration;

use dunlin_base::PeerKey;
use dunlin_port::net::CloseReason;

use super::Reactor;
use super::connection::Phase;
use super::outflow::Outflow;

/// Bytes besides payload that may wait for a peer to read them.
pub(crate) const UNREAD_BYTES_MAX: usize = 1024 * 1024;

impl Reactor {
    /// Queues something for a connection, unless it is gone or takes nothing any more.
    pub(super) fn queue(&mut self, peer: PeerKey, push: impl FnOnce(&mut Outflow)) {
        let Some(&slot) = self.peers.get(&peer) else {
            return;
        };
        let Some(connection) = self.slots.get_mut(slot) else {
            return;
        };
        if connection.failure.is_none() && connection.mute.is_none() {
            push(&mut connection.outflow);
            self.want_flush(slot);
        }
    }

    /// Asks to be flushed.
    pub(super) fn want_flush(&mut self, slot: usize) {
        if let Some(connection) = self.slots.get_mut(slot)
            && !mem::replace(&mut connection.in_flush, true)
        {
            self.flushes.push(slot);
        }
    }

    pub(super) fn flush_all(&mut self) {
        let mut flushes = mem::take(&mut self.flushes);
        for slot in flushes.drain(..) {
            self.flush(slot);
        }
        self.flushes = flushes;
    }

    pub(super) fn flush(&mut self, slot: usize) {
        let Some(connection) = self.slots.get_mut(slot) else {
            return;
        };
        connection.in_flush = false;
        // Before the connection stands, its first writable event is the answer to the attempt.
        if connection.phase == Phase::Connecting || connection.failure.is_some() {
            return;
        }
        let bytes = match connection.outflow.flush(&mut &connection.stream) {
            Ok(bytes) => bytes,
            Err(error) => {
                // The last blocks of a peer that hung up may still be in the kernel.
                connection.mute = Some(CloseReason::Broken(error.to_string()));
                connection.outflow = Outflow::default();
                self.want_turn(slot);
                return self.go_on_within(Duration::ZERO);
            }
        };
        connection.sent_bytes += bytes;
        let unread = connection.outflow.plain_bytes() > UNREAD_BYTES_MAX;
        if bytes > 0 {
            self.report(slot);
        }
        if unread {
            let reason = format!("it left more than {UNREAD_BYTES_MAX} bytes unread");
            self.fail(slot, CloseReason::Broken(reason));
        }
    }
}
