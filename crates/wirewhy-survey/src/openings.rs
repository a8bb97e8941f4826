//! Connections that opened, to be found by an attempt that raced one of them (happy eyeballs, RFC 8305) or that was made anew
//! at another address of the same name.

use std::net::IpAddr;

use wirewhy_detect::wording::span;
use wirewhy_detect::{Finding, Limits, Severity, code};
use wirewhy_flow::{Connection, Healthy};
use wirewhy_packet::{Interval, MacAddr, Timestamp};

use crate::latest::Latest;
use crate::recent::RecentTable;

/// The latest connections that opened, by client and port.
#[derive(Debug, Default)]
pub(crate) struct OpenedConnections {
    opened: RecentTable<OpenedBy, Latest<Opening>>,
    /// Whether connections that go on were noted, which are noted again.
    ongoing: bool,
}

impl OpenedConnections {
    /// Takes in a connection that opened and goes on.
    pub(crate) fn note_ongoing(&mut self, connection: &Connection) {
        self.ongoing = true;
        self.note(connection);
    }

    /// Takes in a connection that opened.
    pub(crate) fn note(&mut self, connection: &Connection) {
        let client = (connection.client.address, connection.client.mac);
        let opening = Opening {
            stream: connection.stream,
            start: connection.first.time,
            server: connection.server.address,
        };
        let port = connection.server.port;
        self.add(opening, port, client);
        if let Some(name) = by_name(connection) {
            self.add_by(name, opening);
        }
    }

    /// The same of one that went well.
    pub(crate) fn note_healthy(&mut self, healthy: &Healthy) {
        let (server, port) = healthy.server();
        let opening = Opening {
            stream: healthy.stream(),
            start: healthy.first().time,
            server,
        };
        let client = (healthy.client().0, healthy.client_mac());
        self.add(opening, port, client);
    }

    fn add(&mut self, opening: Opening, port: u16, (client, mac): (IpAddr, Option<MacAddr>)) {
        self.add_by(OpenedBy::Address(client, port), opening);
        if let Some(mac) = mac {
            let ipv4 = client.is_ipv4();
            self.add_by(OpenedBy::Link { mac, ipv4, port }, opening);
        }
    }

    fn add_by(&mut self, key: OpenedBy, opening: Opening) {
        let openings = self.opened.entry(key);
        let is_known = |known: &Opening| known.stream == opening.stream;
        if !self.ongoing || !openings.iter().any(is_known) {
            openings.add(opening, KEPT);
        }
    }

    /// The stream of a connection the same client opened at about the same time to the same port of another address. Over
    /// two address families the MAC address shows that it is the same client.
    fn winner_over(&self, connection: &Connection, limits: &Limits) -> Option<u32> {
        let (client, port) = (&connection.client, connection.server.port);
        let other_family = client.mac.map(|mac| OpenedBy::Link {
            mac,
            ipv4: !client.address.is_ipv4(),
            port,
        });
        let keys = [Some(OpenedBy::Address(client.address, port)), other_family];
        keys.into_iter()
            .flatten()
            .filter_map(|key| self.opened.get(&key))
            .flat_map(Latest::iter)
            .find(|opening| {
                let apart = opening.start.since(connection.first.time).abs();
                opening.server != connection.server.address && apart <= limits.parallel_attempts
            })
            .map(|opening| opening.stream)
    }

    /// Where a client got to that had looked up the name of an attempt: the first connection that it opened to another address
    /// of that name, beside the attempt or after it.
    fn reached_instead(&self, connection: &Connection, limits: &Limits) -> Option<Opening> {
        let key = by_name(connection)?;
        let (first, last) = (connection.first.time, connection.last.time);
        let opened = self.opened.get(&key)?.iter().filter(|opening| {
            opening.server != connection.server.address
                && first.since(opening.start) <= limits.parallel_attempts
                && opening.start.since(last) <= NEXT_ADDRESS
        });
        opened.min_by_key(|opening| opening.start).copied()
    }

    /// The connection over TCP that the client of an attempt over QUIC opened in its place: to the same port of the same
    /// address, or of another one of the name that it had looked up; the first one beside the attempt or behind it.
    fn in_place_of(&self, connection: &Connection, limits: &Limits) -> Option<Opening> {
        let (client, server) = (&connection.client, &connection.server);
        let by_address = Some(OpenedBy::Address(client.address, server.port));
        let (first, last) = (connection.first.time, connection.last.time);
        let of = |key: Option<OpenedBy>, same_address: bool| {
            key.and_then(|key| self.opened.get(&key))
                .into_iter()
                .flat_map(Latest::iter)
                .filter(move |opening| {
                    (!same_address || opening.server == server.address)
                        && first.since(opening.start) <= limits.parallel_attempts
                        && opening.start.since(last) <= FALLBACK
                })
        };
        of(by_address, true)
            .chain(of(by_name(connection), false))
            .min_by_key(|opening| opening.start)
            .copied()
    }

    /// Adds to a finding about an attempt over QUIC that failed which connection over TCP took its place.
    pub(crate) fn tie_to_fallback(
        &self,
        connection: &Connection,
        finding: &mut Finding,
        limits: &Limits,
    ) {
        let Some(opening) = self.in_place_of(connection, limits) else {
            return;
        };
        let after = opening.start.since(connection.first.time);
        if finding.code == code::QUIC_UNANSWERED {
            finding.severity = Severity::Warning;
        }
        let name = connection.looked_up.as_deref().map(|found| &*found.name);
        finding.facts.0.extend([
            ("name", name.into()),
            ("fallback_address", opening.server.into()),
            ("fallback_stream", opening.stream.into()),
            ("fallback_after_seconds", after.into()),
        ]);
        let when = match after {
            Interval(1..) => format!("{} after this attempt began", span(after)),
            Interval(_) => "beside this attempt".to_owned(),
        };
        finding.summary.push_str(&format!(
            "; {when} the client connected to {} over TCP (tcp.stream {})",
            opening.server, opening.stream
        ));
    }

    /// Whether the client of an attempt got to another address of the name that it had looked up.
    pub(crate) fn has_reached_instead(&self, connection: &Connection, limits: &Limits) -> bool {
        self.reached_instead(connection, limits).is_some()
    }

    /// Adds to a finding about an attempt that never opened what became of the client's others.
    pub(crate) fn tie(&self, connection: &Connection, finding: &mut Finding, limits: &Limits) {
        let by_name = self.reached_instead(connection, limits);
        if finding.code == code::TCP_HANDSHAKE_ABORTED {
            // The client had the other one by the time at which it aborted this one.
            let before = by_name.filter(|opening| opening.start <= connection.last.time);
            let winner = self.winner_over(connection, limits);
            if let Some(stream) = winner.or(before.map(|opening| opening.stream)) {
                finding.severity = Severity::Note;
                finding.facts.0.push(("winning_stream", stream.into()));
                finding
                    .summary
                    .push_str("; a parallel attempt of the same client won (happy eyeballs)");
            }
            return;
        }
        let attempts = [
            code::TCP_SYN_UNANSWERED,
            code::TCP_REFUSED,
            code::TCP_UNREACHABLE,
        ];
        let looked_up = connection.looked_up.as_deref();
        if !attempts.contains(&finding.code) || connection.tcp.handshake.ack.is_some() {
            return;
        }
        let (Some(opening), Some(looked_up)) = (by_name, looked_up) else {
            return;
        };
        let after = opening.start.since(connection.first.time);
        finding.facts.0.extend([
            ("name", (&*looked_up.name).into()),
            ("reached_address", opening.server.into()),
            ("reached_stream", opening.stream.into()),
            ("reached_after_seconds", after.into()),
        ]);
        let when = match after {
            Interval(1..) => format!("{} after this attempt began", span(after)),
            Interval(_) => "beside this attempt".to_owned(),
        };
        finding.summary.push_str(&format!(
            "; {when} the client reached {} at {} (stream {})",
            looked_up.name, opening.server, opening.stream
        ));
    }
}

/// How long behind the latest datagram of an attempt over QUIC a client may fall back to TCP: browsers and curl begin within
/// a second, and no later than when the attempt fails.
const FALLBACK: Interval = Interval::from_secs(5);

/// How long behind the latest packet of an attempt a client may try the next address: Linux waits for 64 s after its last SYN.
const NEXT_ADDRESS: Interval = Interval::from_secs(70);

/// The name and the client that looked it up show that attempts belong together, whatever their addresses.
fn by_name(connection: &Connection) -> Option<OpenedBy> {
    let looked_up = connection.looked_up.as_deref()?;
    Some(OpenedBy::Name {
        name: looked_up.name.to_ascii_lowercase().into(),
        asker: looked_up.asker?,
        port: connection.server.port,
    })
}

/// What shows that two attempts are of one client: its address, or, over two address families, its MAC address, or the name
/// that it had looked up.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum OpenedBy {
    Address(IpAddr, u16),
    Link {
        mac: MacAddr,
        ipv4: bool,
        port: u16,
    },
    Name {
        name: Box<str>,
        asker: IpAddr,
        port: u16,
    },
}

/// A connection that opened.
#[derive(Clone, Copy, Debug)]
struct Opening {
    stream: u32,
    /// When it began.
    start: Timestamp,
    server: IpAddr,
}

/// How many are kept of one client and port.
const KEPT: usize = 32;

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

    /// A client that looks up a name with two addresses, and a slow attempt at the first one that it gives up.
    const TWO_ADDRESSES: &str = "#1 server 198.51.100.1:443
         #2 server 198.51.100.2:443
         0.00 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A
         0.02 dns 192.0.2.1:5000 < 192.0.2.53 1 noerror www.example.com A 198.51.100.1 198.51.100.2
         0.10 #1 > S 0:0(0)
         5.10 #2 > S 0:0(0)
         5.12 #2 < SA 0:0(0) ack 1
         5.13 #2 > A 1:1(0) ack 1
         5.20 #2 > PA 1:11(10) ack 1
         5.30 #2 < PA 1:11(10) ack 11\n";

    fn about_the_first(lines: &str, code: &str) -> wirewhy_detect::Finding {
        let mut found = findings(&format!("{TWO_ADDRESSES}{lines}"));
        found.retain(|found| found.code == code);
        assert_eq!(found.len(), 1, "{found:#?}");
        found.pop().unwrap()
    }

    #[test]
    fn the_name_shows_that_a_late_attempt_took_the_place_of_an_aborted_one() {
        let aborted = "6.00 #1 < SA 0:0(0) ack 1\n6.01 #1 > R 1:1(0)";
        let found = about_the_first(aborted, "tcp.handshake-aborted");
        assert_eq!(found.severity, Severity::Note);
        assert_eq!(found.facts.value("winning_stream"), Some(&1_u32.into()));
    }

    #[test]
    fn without_a_name_attempts_so_far_apart_are_strangers() {
        let lines: String = TWO_ADDRESSES
            .lines()
            .filter(|line| !line.contains("dns"))
            .map(|line| format!("{line}\n"))
            .collect();
        let found = findings(&format!(
            "{lines}6.00 #1 < SA 0:0(0) ack 1\n6.01 #1 > R 1:1(0)"
        ));
        let aborted = found
            .iter()
            .find(|found| found.code == "tcp.handshake-aborted");
        assert_eq!(aborted.unwrap().severity, Severity::Error);
    }

    #[test]
    fn an_attempt_that_failed_names_the_address_that_worked() {
        let found = about_the_first("5.40 #1 > S 0:0(0)\n60 end", "tcp.syn-unanswered");
        assert_eq!(found.severity, Severity::Error);
        assert!(
            found.summary.ends_with(
                "; 5.0 s after this attempt began the client reached www.example.com at 198.51.100.2 (stream 1)"
            ),
            "{}",
            found.summary
        );
    }

    #[test]
    fn an_address_of_another_name_is_no_other_address() {
        let found = findings(
            "#1 server 198.51.100.1:443
             #2 server 198.51.100.2:443
             0.00 dns 192.0.2.1:5000 > 192.0.2.53 1 www.example.com A
             0.01 dns 192.0.2.1:5000 < 192.0.2.53 1 noerror www.example.com A 198.51.100.1
             0.02 dns 192.0.2.1:5001 > 192.0.2.53 2 api.example.com A
             0.03 dns 192.0.2.1:5001 < 192.0.2.53 2 noerror api.example.com A 198.51.100.2
             0.10 #1 > S 0:0(0)
             0.11 #1 < RA 0:0(0) ack 1
             0.20 #2 > S 0:0(0)
             0.21 #2 < SA 0:0(0) ack 1
             0.22 #2 > A 1:1(0) ack 1",
        );
        let refused = found
            .iter()
            .find(|found| found.code == "tcp.refused")
            .unwrap();
        assert!(!refused.summary.contains("reached"), "{}", refused.summary);
    }

    #[test]
    fn an_attempt_without_a_winner_beside_it_failed() {
        let found = findings("0.00 > S 0:0(0)\n 0.05 < SA 0:0(0) ack 1\n 0.06 > R 1:1(0) win 0");
        assert_eq!(found[0].severity, Severity::Error);
    }
}
