//! Connections over QUIC that were answered, to be found by an attempt in another version that the server did not take.

use std::net::IpAddr;

use wirewhy_detect::{Diagnosis, Finding, Severity, code, lost_state};
use wirewhy_flow::Connection;
use wirewhy_packet::{Interval, Timestamp};
use wirewhy_protocol::QuicVersion;

use crate::latest::Latest;
use crate::recent::RecentTable;

/// The latest connections over QUIC that were answered, by client and server.
#[derive(Debug, Default)]
pub(crate) struct QuicConnections {
    answered: RecentTable<(IpAddr, (IpAddr, u16)), Latest<Answered>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Answered {
    start: Timestamp,
    stream: u32,
    version: QuicVersion,
}

/// How many are kept of one client and server.
const KEPT: usize = 8;

/// How long behind an attempt a client may begin another because of its answer.
const NEXT: Interval = Interval::from_secs(5);

impl QuicConnections {
    /// Takes in a connection over QUIC.
    pub(crate) fn note(&mut self, diagnosis: &Diagnosis) {
        let connection = &diagnosis.connection;
        let Some(quic) = connection.quic() else {
            return;
        };
        if !quic.is_established() {
            return;
        }
        let answered = Answered {
            start: connection.first.time,
            stream: connection.stream,
            version: quic.version,
        };
        let known = self.answered.entry(key(connection));
        if !known.iter().any(|other| *other == answered) {
            known.add(answered, KEPT);
        }
    }

    /// Whether other connections may show that this one ended in a stateless reset.
    pub(crate) fn may_concern(diagnosis: &Diagnosis) -> bool {
        let quic = diagnosis.connection.quic();
        quic.is_some_and(|quic| {
            quic.since_pause.pause > Interval::ZERO && quic.since_pause.server == 1
        })
    }

    /// Adds to a finding about an attempt in a version that the server does not speak that the client began again with another
    /// one: then it lost a round trip, no more.
    pub(crate) fn tie(&self, connection: &Connection, finding: &mut Finding) {
        if finding.code != code::QUIC_VERSION_MISMATCH {
            return;
        }
        let tried = connection.quic().map(|quic| quic.version);
        let later = self.answered.get(&key(connection));
        let Some(next) = later.into_iter().flat_map(Latest::iter).find(|next| {
            let after = next.start.since(connection.first.time);
            Some(next.version) != tried && after > Interval::ZERO && after <= NEXT
        }) else {
            return;
        };
        finding.severity = Severity::Note;
        finding.facts.0.push(("next_stream", next.stream.into()));
        finding.summary.push_str(&format!(
            "; the client began again with version {} (udp.stream {})",
            next.version, next.stream
        ));
    }
}

impl QuicConnections {
    /// A stateless reset that was sent once, by what follows it: behind a pause the server answers the client with one small
    /// packet alone, which the client does not acknowledge, and the client begins another connection at once (RFC 9000 section
    /// 10.3).
    pub(crate) fn lost_state(&self, diagnosis: &Diagnosis) -> Option<Finding> {
        let connection = &diagnosis.connection;
        let quic = connection.quic()?;
        let since = &quic.since_pause;
        let (asked, answered) = (connection.client.last?, connection.server.last?);
        let shape = quic.is_established()
            && quic.closes.is_empty()
            && quic.reset.is_none()
            && since.pause > Interval::ZERO
            && (1..=MOST_REQUESTS).contains(&since.client)
            && since.server == 1
            && answered.frame > asked.frame
            && (SHORTEST_RESET..since.largest_request).contains(&since.largest_answer);
        if !shape {
            return None;
        }
        let later = self.answered.get(&key(connection));
        let next = later.into_iter().flat_map(Latest::iter).find(|next| {
            let after = next.start.since(answered.time);
            after >= Interval::ZERO && after <= AT_ONCE
        })?;
        Some(lost_state(
            connection,
            since.pause,
            (next.stream, next.start.since(answered.time)),
        ))
    }
}

/// What a stateless reset has at least, in bytes.
const SHORTEST_RESET: u32 = 21;

/// How many datagrams a client sends before it gets a reset.
const MOST_REQUESTS: u32 = 4;

/// How long behind a reset a client begins anew.
const AT_ONCE: Interval = Interval::from_secs(1);

fn key(connection: &Connection) -> (IpAddr, (IpAddr, u16)) {
    let server = &connection.server;
    (connection.client.address, (server.address, server.port))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use wirewhy_detect::{Finding, Severity};
    use wirewhy_protocol::quic_testing::{
        TestConversation, ack, client_hello, crypto, server_hello,
    };
    use wirewhy_protocol::{QuicVersion, Role};
    use wirewhy_testkit::{OwnedFrame, at_millis, udp_frame};

    use crate::testing::judge_with;

    /// A datagram between a client's port and the server, by time in milliseconds.
    fn datagram(at: u32, port: u16, role: Role, payload: &[u8]) -> OwnedFrame {
        let client = SocketAddr::from(([192, 0, 2, 1], port));
        let server = SocketAddr::from(([198, 51, 100, 1], 443));
        let (from, to) = match role {
            Role::Client => (client, server),
            Role::Server => (server, client),
        };
        udp_frame(0, at_millis(at), from, to, payload)
    }

    fn attempts(conversation: &mut TestConversation, port: u16, times: &[u32]) -> Vec<OwnedFrame> {
        let hello = crypto(0, &client_hello("shop.example", 0));
        times
            .iter()
            .map(|&at| {
                let packet = conversation.initial(Role::Client, &hello, 1_200);
                datagram(at, port, Role::Client, &packet)
            })
            .collect()
    }

    fn about_quic(lines: &str, frames: Vec<OwnedFrame>) -> Finding {
        let diagnosis = judge_with(lines, frames);
        let mut found: Vec<Finding> = diagnosis
            .into_iter()
            .flat_map(|diagnosis| diagnosis.findings)
            .filter(|found| found.code.starts_with("quic."))
            .collect();
        assert_eq!(found.len(), 1, "{found:#?}");
        found.remove(0)
    }

    #[test]
    fn a_service_that_answers_over_tcp_alone_is_down_over_quic() {
        let frames = |ports: std::ops::Range<u16>| {
            let each = ports.flat_map(|port| {
                let id = u8::try_from(port - 49_999).unwrap() * 3;
                let mut conversation = TestConversation::new(QuicVersion::V1, id);
                attempts(&mut conversation, port, &[0, 250, 700])
            });
            each.collect::<Vec<_>>()
        };
        let down = |lines: &str, ports| {
            let found = crate::testing::group_with(lines, frames(ports));
            let mut found = found
                .into_iter()
                .filter(|found| found.finding.code == "service.down");
            found.next().map(|found| (found.subject, found.finding))
        };
        let (subject, found) = down(OVER_TCP, 50_000..50_003).unwrap();
        assert_eq!(subject, "198.51.100.1:443");
        assert_eq!(found.severity, Severity::Warning);
        assert!(
            found.summary.contains("3 attempts over QUIC")
                && found.summary.ends_with("over TCP it works"),
            "{}",
            found.summary
        );
        let end = "server 198.51.100.1:80\n0.30 > S 0:0(0)\n0.35 < RA 0:0(0) ack 1\n9.00 end";
        assert_eq!(
            down(end, 50_000..50_003).unwrap().1.severity,
            Severity::Error
        );
        assert!(down(end, 50_000..50_002).is_none());
    }

    const OVER_TCP: &str = "server 198.51.100.1:443
         0.30 > S 0:0(0)
         0.35 < SA 0:0(0) ack 1
         0.36 > A 1:1(0) ack 1
         0.40 > PA 1:11(10) ack 1
         0.50 < PA 1:11(10) ack 11
         9.00 end";

    #[test]
    fn an_attempt_that_tcp_replaced_is_a_warning_and_names_it() {
        let mut conversation = TestConversation::new(QuicVersion::V1, 1);
        let frames = attempts(&mut conversation, 50_000, &[0, 250, 700]);
        let found = about_quic(OVER_TCP, frames);
        assert_eq!(
            (found.code, found.severity),
            ("quic.unanswered", Severity::Warning)
        );
        assert_eq!(found.facts.value("fallback_stream"), Some(&0_u32.into()));
        assert!(
            found.summary.ends_with("300 ms after this attempt began the client connected to 198.51.100.1 over TCP (tcp.stream 0)"),
            "{}",
            found.summary
        );
    }

    #[test]
    fn an_attempt_that_nothing_replaced_is_an_error() {
        let mut conversation = TestConversation::new(QuicVersion::V1, 1);
        let frames = attempts(&mut conversation, 50_000, &[0, 250, 700]);
        let refused = "server 198.51.100.1:443\n0.30 > S 0:0(0)\n0.35 < RA 0:0(0) ack 1\n9.00 end";
        let found = about_quic(refused, frames);
        assert_eq!(
            (found.code, found.severity),
            ("quic.unanswered", Severity::Error)
        );
    }

    #[test]
    fn a_connection_over_tcp_to_another_server_replaces_nothing() {
        let mut conversation = TestConversation::new(QuicVersion::V1, 1);
        let frames = attempts(&mut conversation, 50_000, &[0, 250, 700]);
        let other = OVER_TCP.replace("198.51.100.1", "198.51.100.9");
        let found = about_quic(&other, frames);
        assert_eq!(found.severity, Severity::Error);
    }

    #[test]
    fn a_client_that_begins_again_in_another_version_lost_a_round_trip() {
        let mut conversation = TestConversation::new(QuicVersion::V2, 1);
        let mut frames = attempts(&mut conversation, 50_000, &[0]);
        let negotiation = conversation.negotiation(&[QuicVersion::V1]);
        frames.push(datagram(20, 50_000, Role::Server, &negotiation));
        let mut next = TestConversation::new(QuicVersion::V1, 0x21);
        frames.extend(attempts(&mut next, 50_001, &[40]));
        let answer = [ack(0), crypto(0, &server_hello())].concat();
        let answer = next.initial(Role::Server, &answer, 1_200);
        frames.push(datagram(60, 50_001, Role::Server, &answer));
        for (at, role) in [(70, Role::Client), (90, Role::Server)] {
            frames.push(datagram(at, 50_001, role, &next.short(role, 100, 1)));
        }
        let found = about_quic("9.00 end", frames);
        assert_eq!(
            (found.code, found.severity),
            ("quic.version-mismatch", Severity::Note)
        );
    }
}
