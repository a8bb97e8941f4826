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
            entry(&mut self.0, key).add(connection.stream, connection.first.time);
        }
    }

    /// The stream of a connection the same client opened to the same port at about the same time. Over two address
    /// families the link address shows that it is the same client.
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
            .find(|(stream, start)| {
                let apart = start.since(connection.first.time).abs();
                *stream != connection.stream && apart <= limits.parallel_attempts
            })
            .map(|(stream, _)| stream)
    }
}

/// What shows that two attempts are of one client: its address, or, over two address families, its link address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum OpenedBy {
    Address(IpAddr, u16),
    Link { mac: MacAddr, ipv4: bool, port: u16 },
}

/// The latest connections that opened, to be found by an attempt that raced one of them.
#[derive(Clone, Debug, Default)]
struct Openings {
    streams: Vec<u32>,
    /// When each of them began.
    starts: Vec<Timestamp>,
    /// The oldest of them, once there are as many as are kept.
    oldest: usize,
}

impl Openings {
    /// How many are kept of one client and port.
    const KEPT: usize = 32;

    fn add(&mut self, stream: u32, start: Timestamp) {
        if self.streams.contains(&stream) {
            return;
        }
        if self.streams.len() < Self::KEPT {
            self.streams.push(stream);
            self.starts.push(start);
            return;
        }
        let mut oldest = self.streams.iter_mut().zip(&mut self.starts);
        if let Some((oldest, began)) = oldest.nth(self.oldest) {
            (*oldest, *began) = (stream, start);
        }
        self.oldest = (self.oldest + 1) % Self::KEPT;
    }

    fn oldest_first(&self) -> impl Iterator<Item = (u32, Timestamp)> {
        let all = self
            .streams
            .iter()
            .copied()
            .zip(self.starts.iter().copied());
        let newer = all.clone().take(self.oldest);
        all.skip(self.oldest).chain(newer)
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
    fn an_attempt_without_a_winner_beside_it_failed() {
        let found = findings("0.00 > S 0:0(0)\n 0.05 < SA 0:0(0) ack 1\n 0.06 > R 1:1(0) win 0");
        assert_eq!(found[0].severity, Severity::Error);
    }
}
