//! The number of a connection in the words of a report.

use std::fmt;

use wirewhy_flow::{Connection, Transport};

/// The number that Wireshark gives a connection. Each transport counts from 0: one over UDP is written as `udp:N`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct StreamId {
    pub(crate) transport: Transport,
    pub(crate) number: u32,
}

impl StreamId {
    pub(crate) fn of(connection: &Connection) -> StreamId {
        StreamId {
            transport: connection.transport,
            number: connection.stream,
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transport {
            Transport::Tcp => write!(f, "{}", self.number),
            Transport::Udp => write!(f, "udp:{}", self.number),
        }
    }
}
