//! What services speak, and which certificates of theirs were refused, to be held against connections that show too little by
//! themselves.

use std::net::IpAddr;

use wirewhy_flow::{Connection, Healthy};
use wirewhy_protocol::AppProtocol;

use crate::recent::RecentTable;
use wirewhy_detect::{
    Confidence, Diagnosis, Finding, Limits, Outcome, Severity, code, header_missing,
    header_not_expected, neighbours_speak_otherwise, neighbours_speak_tls, spoken,
};

/// What was seen of services, by address and port.
#[derive(Debug, Default)]
pub(crate) struct Services(RecentTable<(IpAddr, u16), Seen>);

/// Streams that show how a service is spoken to.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// It answered in TLS at once.
    tls: Option<u32>,
    /// It answered in something else, named here.
    other: Option<(&'static str, u32)>,
    /// It answered behind a PROXY header.
    proxied: Option<u32>,
    /// It answered without one.
    bare: Option<u32>,
    /// A client refused its certificate with an alert: the certificate's SHA-256, and the stream.
    refused: Option<([u8; 32], u32)>,
    /// Clients that left because TLS was not offered, and how often.
    left: [Option<(IpAddr, u32)>; Seen::CLIENTS],
}

impl Seen {
    /// How many clients are kept that left.
    const CLIENTS: usize = 4;

    fn note_left(&mut self, client: IpAddr) {
        let known =
            |place: &&mut Option<(IpAddr, u32)>| place.is_none_or(|(address, _)| address == client);
        if let Some(place) = self.left.iter_mut().find(known) {
            let (_, times) = place.get_or_insert((client, 0));
            *times = times.saturating_add(1);
        }
    }

    fn times_left(&self, client: IpAddr) -> u32 {
        let mut known = self.left.iter().flatten();
        let known = known.find(|(address, _)| *address == client);
        known.map_or(0, |(_, times)| *times)
    }
}

/// Findings about whom the client trusts.
const TRUST: [&str; 2] = [code::TLS_CERT_UNTRUSTED, code::TLS_CERT_CHAIN_INCOMPLETE];

impl Services {
    /// Takes in one connection.
    pub(crate) fn note(&mut self, diagnosis: &Diagnosis, outcome: Outcome) {
        let connection = &diagnosis.connection;
        let stream = connection.stream;
        let key = key(connection);
        let mut refusals = diagnosis
            .findings
            .iter()
            .filter(|found| TRUST.contains(&found.code));
        if refusals.any(|found| client_did(found, "refused"))
            && let Some(leaf) = leaf(connection)
        {
            self.0.entry(key).refused.get_or_insert((leaf, stream));
        }
        if diagnosis.findings.iter().any(is_left_without_tls) {
            self.0.entry(key).note_left(connection.client.address);
        }
        let Some(spoken) = spoken(connection) else {
            return;
        };
        let seen = self.0.entry(key);
        match spoken.other {
            None => _ = seen.tls.get_or_insert(stream),
            // What failed may have failed for being the wrong one.
            Some(_) if outcome == Outcome::Failed => return,
            Some(name) => _ = seen.other.get_or_insert((name, stream)),
        }
        let place = match spoken.proxied {
            true => &mut seen.proxied,
            false => &mut seen.bare,
        };
        place.get_or_insert(stream);
    }

    /// Takes in a connection that went well.
    pub(crate) fn note_healthy(&mut self, healthy: &Healthy) {
        let stream = healthy.stream();
        let seen = self.0.entry(healthy.server());
        let name = AppProtocol::Http1Response.name();
        seen.other.get_or_insert((name, stream));
        seen.bare.get_or_insert(stream);
    }

    /// Whether what a service speaks can bear on a connection without a finding: the client waited, or began with a header.
    pub(crate) fn may_concern(connection: &Connection) -> bool {
        let silent =
            connection.client.first_payload.is_none() || connection.server.first_payload.is_none();
        silent && connection.is_open()
    }

    /// Adds and changes what other connections to the service show.
    pub(crate) fn revise(&self, diagnosis: &mut Diagnosis, limits: &Limits) {
        let Some(seen) = self.0.get(&key(&diagnosis.connection)) else {
            return;
        };
        for finding in &mut diagnosis.findings {
            believe_refusal(&diagnosis.connection, finding, seen);
            let times = seen.times_left(diagnosis.connection.client.address);
            if times >= limits.probe_count && is_left_without_tls(finding) {
                finding.severity = Severity::Note;
                finding.facts.0.push(("times_left", times.into()));
                finding.summary.push_str(&format!(
                    "; the same client did so {times} times: a health check, most likely"
                ));
            }
        }
        let connection = &diagnosis.connection;
        let mismatch = match (seen.proxied, seen.bare) {
            (Some(stream), None) => header_missing(connection, stream),
            (None, Some(stream)) => header_not_expected(connection, stream),
            _ => None,
        };
        let otherwise = match (&mismatch, seen.tls, seen.other) {
            (None, Some(stream), None) => neighbours_speak_tls(connection, stream, limits),
            (None, None, Some((name, stream))) => {
                neighbours_speak_otherwise(connection, name, stream, limits)
            }
            _ => None,
        };
        for found in [mismatch, otherwise].into_iter().flatten() {
            let by_itself = diagnosis
                .findings
                .iter_mut()
                .find(|known| known.code == found.code);
            match by_itself {
                Some(known) if known.confidence < found.confidence => *known = found,
                Some(_) => {}
                None => diagnosis.findings.push(found),
            }
        }
    }
}

/// A client that greeted a server, was offered no TLS, and left.
fn is_left_without_tls(finding: &Finding) -> bool {
    finding.code == code::TLS_STARTTLS_NOT_OFFERED
        && finding.severity == Severity::Error
        && finding.confidence == Confidence::Possible
}

/// A client that left unused what another one refused with an alert most likely refused it, too.
fn believe_refusal(connection: &Connection, finding: &mut Finding, seen: &Seen) {
    let doubted = TRUST.contains(&finding.code)
        && finding.severity == Severity::Note
        && client_did(finding, "left unused");
    if let Some((refused, stream)) = seen.refused
        && doubted
        && leaf(connection) == Some(refused)
    {
        finding.severity = Severity::Error;
        finding.confidence = Confidence::Likely;
        finding.facts.0.push(("refused_in_stream", stream.into()));
        finding.summary.push_str(&format!(
            "; another client refused the same certificate (stream {stream})"
        ));
    }
}

fn client_did(finding: &Finding, what: &str) -> bool {
    finding.facts.value("client") == Some(&what.into())
}

/// The SHA-256 of the server's certificate, where it can be read.
fn leaf(connection: &Connection) -> Option<[u8; 32]> {
    let tls = connection.app.as_deref()?.tls.as_deref()?;
    let chain = &tls.server_certificates.as_ref()?.chain;
    chain.first().map(|leaf| leaf.sha256)
}

fn key(connection: &Connection) -> (IpAddr, u16) {
    (connection.server.address, connection.server.port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::diagnose_all;

    /// A ClientHello of TLS 1.2 with one suite.
    fn hello() -> String {
        format!(
            "16030100330100002f0303{}000002c02f01000004000a0000",
            "07".repeat(32)
        )
    }

    /// A ServerHello that takes it.
    fn answer() -> String {
        format!("160303002a020000260303{}00c02f00", "09".repeat(32))
    }

    /// Connection `number` to one port: what the client says first, and the server's answer or its FIN.
    fn conversation(number: u32, says: &str, answer: Option<&str>) -> String {
        let len = says.len() / 2;
        let (end, at) = (1 + len, 10 * number);
        let mut lines = format!(
            "#{number} server 198.51.100.9:6000
             {at}.00 #{number} > S 0:0(0)
             {at}.02 #{number} < SA 0:0(0) ack 1
             {at}.03 #{number} > A 1:1(0) ack 1
             {at}.04 #{number} > PA 1:{end}({len}) ack 1 hex {says}
             {at}.06 #{number} < A 1:1(0) ack {end}\n"
        );
        let (own, peer) = match answer {
            Some(answer) => {
                let (len, after) = (answer.len() / 2, 1 + answer.len() / 2);
                lines.push_str(&format!(
                    "{at}.07 #{number} < PA 1:{after}({len}) ack {end} hex {answer}
                     {at}.08 #{number} > A {end}:{end}(0) ack {after}
                     {at}.09 #{number} > FA {end}:{end}(0) ack {after}\n"
                ));
                (after, end + 1)
            }
            None => (1, end),
        };
        lines.push_str(&format!(
            "{at}.10 #{number} < FA {own}:{own}(0) ack {peer}\n"
        ));
        lines
    }

    fn root(lines: &[String], stream: usize) -> Option<(&'static str, Confidence)> {
        let diagnosis = diagnose_all(&lines.concat());
        let root = diagnosis[stream].root_cause()?;
        Some((root.code, root.confidence))
    }

    const PING: &str = "2a310d0a24340d0a50494e470d0a";
    const PONG: &str = "2b504f4e470d0a";
    const HEADER: &str = "50524f58592054435034203120322033203434330d0a";
    const REQUEST: &str = "474554202f20485454502f312e310d0a486f73743a20610d0a0d0a";
    const OK: &str = "485454502f312e3120323030204f4b0d0a436f6e74656e742d4c656e6774683a20300d0a0d0a";
    const BAD: &str =
        "485454502f312e3120343030204e6f0d0a436f6e74656e742d4c656e6774683a20300d0a0d0a";

    #[test]
    fn what_a_port_speaks_tells_who_speaks_otherwise() {
        let plain = conversation(1, PING, Some(PONG));
        let tls = conversation(1, &hello(), Some(&answer()));
        let mistaken = conversation(2, &hello(), None);
        assert_eq!(
            root(&[plain.clone(), mistaken.clone()], 1),
            Some((code::TLS_NOT_TLS, Confidence::Likely))
        );
        assert_eq!(
            root(&[tls.clone(), conversation(2, PING, None)], 1),
            Some((code::TLS_NOT_TLS, Confidence::Likely))
        );
        // Alone, or where the port speaks both, nothing tells.
        let both = [
            plain,
            mistaken.clone(),
            conversation(3, &hello(), Some(&answer())),
        ];
        for (talks, stream) in [(&both[..], 1), (&[mistaken][..], 0)] {
            let root = root(talks, stream).map(|(code, _)| code);
            assert_ne!(root, Some(code::TLS_NOT_TLS));
        }
    }

    #[test]
    fn what_a_port_answers_tells_whether_it_wants_a_header() {
        let with = |number, answer| conversation(number, &[HEADER, REQUEST].concat(), answer);
        let without = |number, answer| conversation(number, REQUEST, answer);
        assert_eq!(
            root(&[with(1, Some(OK)), without(2, None)], 1),
            Some((code::PROXY_HEADER_MISMATCH, Confidence::Likely))
        );
        assert_eq!(
            root(&[without(1, Some(OK)), with(2, Some(BAD))], 1),
            Some((code::PROXY_HEADER_MISMATCH, Confidence::Likely))
        );
        assert_eq!(
            root(&[with(1, Some(BAD))], 0),
            Some((code::PROXY_HEADER_MISMATCH, Confidence::Possible))
        );
        // A port that takes both refuses this one for another reason.
        let both = [with(1, Some(OK)), without(2, None), without(3, Some(OK))];
        let diagnosis = diagnose_all(&both.concat());
        let codes = diagnosis.iter().flat_map(|diagnosis| &diagnosis.findings);
        assert!(
            codes
                .clone()
                .all(|found| found.code != code::PROXY_HEADER_MISMATCH)
        );
    }

    /// A connection over which neither side sends anything for five seconds.
    fn silent(number: u32) -> String {
        let at = 10 * number;
        format!(
            "#{number} server 198.51.100.9:6000
             {at}.00 #{number} > S 0:0(0)
             {at}.02 #{number} < SA 0:0(0) ack 1
             {at}.03 #{number} > A 1:1(0) ack 1
             {}.03 #{number} > FA 1:1(0) ack 1
             {}.05 #{number} < FA 1:1(0) ack 2
             {}.06 #{number} > A 2:2(0) ack 2\n",
            at + 5,
            at + 5,
            at + 5,
        )
    }

    #[test]
    fn two_that_wait_for_each_other_at_a_port_of_tls() {
        let tls = conversation(1, &hello(), Some(&answer()));
        assert_eq!(
            root(&[tls, silent(2)], 1),
            Some((code::TLS_NOT_TLS, Confidence::Likely))
        );
        let plain = conversation(1, PING, Some(PONG));
        assert_ne!(
            root(&[plain, silent(2)], 1).map(|root| root.0),
            Some(code::TLS_NOT_TLS)
        );
    }

    #[test]
    fn who_greets_again_and_again_checks_health() {
        let greeting = "220 mx.example ESMTP\\r\\n";
        let list = "250 mx.example\\r\\n";
        let visit = |number: u32| {
            let at = 10 * number;
            format!(
                "#{number} client 192.0.2.7:{}
                 #{number} server 198.51.100.9:25
                 {at}.00 #{number} > S 0:0(0)
                 {at}.02 #{number} < SA 0:0(0) ack 1
                 {at}.03 #{number} > A 1:1(0) ack 1
                 {at}.04 #{number} < PA 1:23(22) ack 1 \"{greeting}\"
                 {at}.05 #{number} > PA 1:9(8) ack 23 \"EHLO a\\r\\n\"
                 {at}.06 #{number} < PA 23:39(16) ack 9 \"{list}\"
                 {at}.07 #{number} > FA 9:9(0) ack 39
                 {at}.08 #{number} < FA 39:39(0) ack 10
                 {at}.09 #{number} > A 10:10(0) ack 40\n",
                40_000 + number
            )
        };
        let severity = |visits: u32| {
            let lines: String = (1..=visits).map(visit).collect();
            let diagnosis = diagnose_all(&lines);
            let found = diagnosis[0].root_cause().unwrap();
            assert_eq!(found.code, code::TLS_STARTTLS_NOT_OFFERED);
            found.severity
        };
        assert_eq!(severity(1), Severity::Error);
        assert_eq!(severity(5), Severity::Note);
    }

    #[test]
    fn a_silent_server_at_a_port_that_speaks_otherwise() {
        let waiting = |says: &str| {
            let len = says.len() / 2;
            let end = 1 + len;
            format!(
                "#2 server 198.51.100.9:6000
                 20.00 #2 > S 0:0(0)
                 20.02 #2 < SA 0:0(0) ack 1
                 20.03 #2 > A 1:1(0) ack 1
                 20.04 #2 > PA 1:{end}({len}) ack 1 hex {says}
                 20.06 #2 < A 1:1(0) ack {end}
                 26.00 #2 > FA {end}:{end}(0) ack 1
                 26.02 #2 < FA 1:1(0) ack {}
                 26.03 #2 > A {}:{}(0) ack 2\n",
                end + 1,
                end + 1,
                end + 1,
            )
        };
        let plain = conversation(1, PING, Some(PONG));
        let tls = conversation(1, &hello(), Some(&answer()));
        for (known, asked) in [(plain, hello()), (tls, PING.to_owned())] {
            assert_eq!(
                root(&[known, waiting(&asked)], 1),
                Some((code::TLS_NOT_TLS, Confidence::Likely))
            );
        }
    }

    /// A ClientHello in two segments, or in one, that the server answers with a FIN.
    fn refused(number: u32, long: bool) -> String {
        let at = 10 * number;
        let body = format!("0303{}000002c02f010000", "07".repeat(32));
        // Padding (RFC 7685) makes it long.
        let padding = if long { 2_000 } else { 0 };
        let extension = format!("0015{padding:04x}{}", "00".repeat(padding));
        let hello = format!("{body}{:04x}{extension}", padding + 4);
        let hello = hello.replacen("010000", "0100", 1);
        let message = format!("01{:06x}{hello}", hello.len() / 2);
        let record = format!("160301{:04x}{message}", message.len() / 2);
        let (mut lines, mut from) = (String::new(), 1);
        for (index, piece) in record.as_bytes().chunks(2 * 1_460).enumerate() {
            let len = piece.len() / 2;
            let text = str::from_utf8(piece).unwrap();
            let to = from + len;
            lines += &format!(
                "{at}.0{} #{number} > PA {from}:{to}({len}) ack 1 hex {text}\n",
                4 + index
            );
            from = to;
        }
        format!(
            "#{number} server 198.51.100.9:6000
             {at}.00 #{number} > S 0:0(0) <mss 1460>
             {at}.02 #{number} < SA 0:0(0) ack 1 <mss 1460>
             {at}.03 #{number} > A 1:1(0) ack 1
             {lines}{at}.07 #{number} < A 1:1(0) ack {from}
             {at}.08 #{number} < FA 1:1(0) ack {from}
             {at}.09 #{number} > FA {from}:{from}(0) ack 2
             {at}.10 #{number} < A 2:2(0) ack {}\n",
            from + 1
        )
    }

    #[test]
    fn a_short_hello_that_ends_alike_clears_the_length() {
        let dropped = code::TLS_CLIENT_HELLO_DROPPED;
        let alone = root(&[refused(1, true)], 0).map(|(code, _)| code);
        assert_eq!(alone, Some(dropped));
        let with_short = root(&[refused(1, true), refused(2, false)], 0);
        assert_ne!(with_short.map(|(code, _)| code), Some(dropped));
    }
}
