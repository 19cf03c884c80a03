//! The simulated outside: lines, connections, disks, hashers and a tracker behind the same ports
//! as the real ones, in virtual time.
//!
//! One world of nodes runs on one [`SimPorts`]. Its driver, for each step of virtual time:
//!
//! 1. [`SimPorts::advance`] moves bytes for one tick and puts what arrived into the inbox;
//! 2. the engine ticks;
//! 3. [`SimPorts::carry_out`] takes what the engine decided; disks and hashers answer at once.
//!
//! What is modelled: access lines with integer budgets per tick, shared between the connections
//! that have something to send by max-min fairness; round-trip times between regions;
//! connection set-up; slow start and loss as caps on single connections; headers of TCP, IP and
//! Ethernet as bytes on the line; lines that cannot accept; crashes. Messages of one connection
//! arrive in order, behind the payload that was handed over before them. Payload is counted, not
//! carried: its buffers are [declared](dunlin_port::BlockBuffer::declared).
//!
//! Where lines have buffers, what is sent over a full one waits: for the whole buffer behind TCP, for
//! the target of LEDBAT where only µTP fills it. µTP connections yield to TCP ([`Transport`]), but not
//! where a buffer is shorter than that target: they do not notice it before it overflows, and share
//! as TCP does.
//!
//! What is not: queues inside the network, acknowledgements, reordering. Nothing here draws luck but
//! the tracker, which draws peers.
//!
//! Beside flows there are packets ([`SimSettings::packets`]), with queues of bytes before each line,
//! acknowledgements, windows and losses: slow, for small swarms, to see what flows leave out.

mod ahead;
mod books;
mod breach;
pub mod bytes;
mod connections;
mod delivery;
mod disk;
mod exchange;
mod flow;
mod hash;
mod host;
mod line;
mod packet;
mod ports;
mod queue;
mod sending;
mod tracker;
mod transfer;

pub use books::Books;
pub use breach::{Breach, LineRule};
pub use line::{Line, Region, Regions, Transport, addr_of, node_of};
pub use ports::{SimPorts, SimSettings};
