//! A byte-exact outside for a few nodes, in virtual time: every byte of every stream and every disk
//! is there, and everything that can go wrong with them does when it is told to.
//!
//! Streams are written and read by the code that writes and reads real sockets, cut wherever luck
//! wants; pieces are judged by the hashers of real sessions; disks hold bytes, lose what was not
//! flushed, fill up and fail; the tracker is the one that `dunlin tracker` runs, and may lie. Where it is
//! asked over UDP (BEP 15), requests and answers are datagrams that may be lost, doubled, late or
//! spoiled ([`DatagramFaults`]); over HTTP its answers always come. Some of the hosts are no engines but
//! [hostile](Manner).
//!
//! Unlike [`super::SimPorts`] each node has an inbox of its own: a node is a process that can crash
//! alone. Its driver, for each step of virtual time: [`BytePorts::advance`], then for each node
//! [`BytePorts::deliver`], ticks, and [`BytePorts::carry_out`].

mod datagrams;
mod disk;
mod hostile;
mod network;
mod ports;
mod stream;

pub use datagrams::DatagramFaults;
pub use hostile::Manner;
pub use ports::{BytePorts, Content, Host, Lies};
