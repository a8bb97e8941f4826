//! Connections that opened, to be found by an attempt that raced one of them (happy eyeballs, RFC 8305).

use std::net::IpAddr;

use wirewhy_detect::Limits;
use wirewhy_flow::Connection;
use wirewhy_packet::{MacAddr, Timestamp};

use crate::recent::{RecentTable, entry};

/// The latest connections that opened, by client and port.
#[derive(Debug, Default)]
pub(crate) struct OpenedConnections(RecentTable<OpenedBy, Openings>);

impl OpenedConnections {
    /// Takes in a connection that opened.
    pub(crate) fn note(&mut self, connection: &Connection) {
        let (client, port) = (&connection.client, connection.server.port);
        let by_link = client.mac.map(|mac| OpenedBy::Link {
            mac,
            ipv4: client.address.is_ipv4(),
            port,
        });
        for key in [Some(OpenedBy::Address(client.address, port)), by_link]
            .into_iter()
            .flatten()
        {
            entry(&mut self.0, key).add(Opening {
                stream: connection.stream,
                start: connection.first.time,
                server: connection.server.address,
            });
        }
    }

    /// The stream of a connection the same client opened at about the same time to the same port of another address. Over
    /// two address families the link address shows that it is the same client.
    pub(crate) fn winner_over(&self, connection: &Connection, limits: &Limits) -> Option<u32> {
        let (client, port) = (&connection.client, connection.server.port);
        let other_family = client.mac.map(|mac| OpenedBy::Link {
            mac,
            ipv4: !client.address.is_ipv4(),
            port,
        });
        let keys = [Some(OpenedBy::Address(client.address, port)), other_family];
        keys.into_iter()
            .flatten()
            .filter_map(|key| self.0.get(&key))
            .flat_map(Openings::oldest_first)
            .find(|opening| {
                let apart = opening.start.since(connection.first.time).abs();
                opening.server != connection.server.address && apart <= limits.parallel_attempts
            })
            .map(|opening| opening.stream)
    }
}

/// What shows that two attempts are of one client: its address, or, over two address families, its link address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum OpenedBy {
    Address(IpAddr, u16),
    Link { mac: MacAddr, ipv4: bool, port: u16 },
}

/// A connection that opened.
#[derive(Clone, Copy, Debug)]
struct Opening {
    stream: u32,
    /// When it began.
    start: Timestamp,
    server: IpAddr,
}

/// The latest connections that opened, to be found by an attempt that raced one of them.
#[derive(Clone, Debug, Default)]
struct Openings {
    opened: Vec<Opening>,
    /// The oldest of them, once there are as many as are kept.
    oldest: usize,
}

impl Openings {
    /// How many are kept of one client and port.
    const KEPT: usize = 32;

    fn add(&mut self, opening: Opening) {
        if self
            .opened
            .iter()
            .any(|known| known.stream == opening.stream)
        {
            return;
        }
        if self.opened.len() < Self::KEPT {
            self.opened.push(opening);
            return;
        }
        if let Some(oldest) = self.opened.get_mut(self.oldest) {
            *oldest = opening;
        }
        self.oldest = (self.oldest + 1) % Self::KEPT;
    }

    fn oldest_first(&self) -> impl Iterator<Item = &Opening> {
        let (newer, older) = self.opened.split_at(self.oldest.min(self.opened.len()));
        older.iter().chain(newer)
    }
}

#[cfg(test)]
mod tests {
    use wirewhy_detect::Severity;

    use crate::testing::findings;

    #[test]
    fn a_parallel_attempt_that_won_makes_it_a_note() {
        let found = findings(
            "#1 server 198.51.100.1:443
             #2 server 198.51.100.2:443
             0.00 #1 > S 0:0(0)
             0.25 #2 > S 0:0(0)
             0.30 #2 < SA 0:0(0) ack 1
             0.31 #2 > A 1:1(0) ack 1
             0.40 #1 < SA 0:0(0) ack 1
             0.41 #1 > R 1:1(0)
             0.50 #2 > PA 1:11(10) ack 1
             0.60 #2 < PA 1:11(10) ack 11
             0.70 #2 > FA 11:11(0) ack 11
             0.75 #2 < FA 11:11(0) ack 12
             0.80 #2 > A 12:12(0) ack 12",
        );
        let found = found
            .iter()
            .find(|found| found.code == "tcp.handshake-aborted")
            .unwrap();
        assert_eq!(found.severity, Severity::Note);
    }

    #[test]
    fn a_second_attempt_at_the_same_address_is_no_rival() {
        let found = findings(
            "0.00 #1 > S 0:0(0)
             0.05 #2 > S 0:0(0)
             0.07 #2 < SA 0:0(0) ack 1
             0.08 #2 > A 1:1(0) ack 1
             0.10 #1 < SA 0:0(0) ack 1
             0.11 #1 > R 1:1(0)
             0.50 #2 > FA 1:1(0) ack 1
             0.55 #2 < FA 1:1(0) ack 2
             0.60 #2 > A 2:2(0) ack 2",
        );
        let aborted = found
            .iter()
            .find(|found| found.code == "tcp.handshake-aborted");
        assert_eq!(aborted.unwrap().severity, Severity::Error);
    }

    #[test]
    fn an_attempt_without_a_winner_beside_it_failed() {
        let found = findings("0.00 > S 0:0(0)\n 0.05 < SA 0:0(0) ack 1\n 0.06 > R 1:1(0) win 0");
        assert_eq!(found[0].severity, Severity::Error);
    }
}
