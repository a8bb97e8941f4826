//! What the tracker says of traces, from bytes to connections.
//!
//! Every situation in which Wireshark's marks are known to mislead has its test here, named after the situation.

mod copies;
mod datagrams;
mod forged;
mod memory;
mod opening;
mod order;
mod probes;
mod quic;
mod traces;
mod tracker;
mod vantage;
mod watch;
mod zeek;
