//! `quic.unanswered`: Initial packets, and nothing comes back.

use wirewhy_flow::{Side, Vantage};
use wirewhy_protocol::{CloseCode, PacketKind};

use super::{Reading, blame_for_silence, flow_marks, frames, gaps, over, phrase};
use crate::wording::{count, socket, span};
use crate::{
    Cause, Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role,
    Rule, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "quic.unanswered",
    group: Group::Quic,
    title: "Connection attempt over QUIC got no answer",
    severity: Severity::Error,
    means: "The client sent its first packets over UDP and nothing came back, or an ICMP error says that they could not be \
            delivered. UDP to that port is blocked on the way, or the server does not speak HTTP/3. Browsers and curl fall \
            back to TCP and lose the time they waited; that makes it a warning where the TCP connection works.",
    recognised: "Initial packets that open, and no datagram of the server, for 3 s of the recording or until the client closes. \
                 An ICMP error names the device that refused.",
    look_alikes: "A server that answers, and whose answers are lost on the way back, looks the same at the client: a capture \
                  at the server shows them. A capture that holds one direction only shows the same.",
    check_next: &[
        "Do other connections over QUIC work from this client, or others to this server? Then it is the server, or the path.",
        "Capture on the server (tcpdump -ni any udp port 443): do the datagrams arrive, and do answers leave?",
        "Does the server listen on UDP at all (ss -lunp)? An Alt-Svc header or an HTTPS record may promise what is not there.",
        "Firewalls on the path: is UDP to that port allowed both ways, and in datagrams of 1,250 bytes?",
    ],
    explained_by: &[Cause::IfAsSevere("quic.mtu-blackhole")],
    reportable: Reportable::HandshakeSilence,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Quic(detect),
};

/// The UDP payload of a datagram with an Initial packet at least (RFC 9000 section 14.1).
const LEAST: u32 = 1_200;

fn detect(reading: &Reading<'_>, limits: &Limits) -> Option<Finding> {
    let Reading {
        connection, quic, ..
    } = *reading;
    // What a client sends behind its Initial packets shows that it was answered: one direction is not in the recording.
    let answered = quic.server.datagrams + quic.client.handshake.count + quic.client.one_rtt.count;
    if answered > 0 {
        return None;
    }
    let run = &quic.client.unanswered;
    let gaps = gaps(&run.first);
    let waited = connection.heard_after(connection.first.time);
    let close = quic.closes.first();
    let errors = reading.undelivered();
    let repeated = run.first.len() >= 2;
    let lasted = waited >= limits.silence || repeated && close.is_some();
    if errors.is_empty() && !lasted {
        return None;
    }
    let attempts = u64::try_from(run.first.len()).unwrap_or(u64::MAX);
    let tries = count(attempts, "attempt");
    let to = format!("{}{}", socket(&connection.server), reading.for_name());
    let decisive = errors.iter().map(|(event, ..)| event.mark());
    let closed = close.map(|close| crate::handshake::flow_mark(close.mark));
    let frames = frames(decisive.chain(flow_marks(&run.first)).chain(closed));
    let facts = Facts::default()
        .with("attempts", attempts)
        .with("datagrams", quic.client.datagrams)
        .with("gap_seconds", gaps.clone())
        .with("wait_seconds", waited)
        .with("largest_datagram_bytes", quic.client.largest)
        .with("hello_datagrams", quic.hello.datagrams)
        .with("close_reason", close.map(|close| close.reason.to_string()));
    let facts = facts
        .with("stage", "client-hello")
        .with("server_name", connection.server_name.as_deref())
        .with("version", quic.version.to_string())
        .with("vantage", connection.vantage().name());
    if let Some((_, icmp, meaning)) = errors.first() {
        let by_target = icmp.reporter == connection.server.address;
        let reporter = match by_target {
            true => "the host itself".to_owned(),
            false => icmp.reporter.to_string(),
        };
        let closed_port = by_target && meaning.name == "port unreachable";
        return Some(Finding {
            code: RECORD.code,
            severity: Severity::Error,
            confidence: Confidence::Certain,
            culprit: match by_target {
                true => Culprit::new(Role::Server, icmp.reporter),
                false => Culprit::new(Role::Path, icmp.reporter),
            },
            summary: format!(
                "QUIC to {to}: {reporter} answered with ICMP \"{}\"{}",
                meaning.name,
                match closed_port {
                    true => ": nothing listens on that UDP port".to_owned(),
                    false => format!(": it {}", meaning.clause),
                }
            ),
            frames,
            facts: facts
                .with("icmp_name", meaning.name)
                .with("reporter", icmp.reporter),
            consequence_of: None,
        });
    }
    let too_small = quic.client.largest < LEAST;
    let host_answers = connection.host_context.server_ttl.is_some();
    let at_server = connection.vantage() == Vantage::ServerSide;
    let stated = close
        .filter(|close| close.code == CloseCode::NO_ERROR || close.level == PacketKind::Initial)
        .map(|close| format!("; the client then closed it{}", phrase(close)))
        .unwrap_or_default();
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: match host_answers || close.is_some() {
            true => Confidence::Certain,
            false => Confidence::Likely,
        },
        culprit: match (too_small, at_server) {
            (true, _) => {
                Culprit::new(Role::Client, connection.client.address).at_most(Confidence::Likely)
            }
            (false, true) => Culprit::new(Role::Server, connection.server.address),
            (false, false) => blame_for_silence(connection, Side::Server),
        },
        summary: format!(
            "QUIC to {to}: {tries}{} with {} got no answer of any kind; {} for {} after the first{stated}{}",
            over(&gaps),
            count(quic.client.datagrams, "datagram"),
            match connection.is_ongoing() {
                true => "nothing came",
                false => "the capture ran on",
            },
            span(waited),
            match (host_answers, at_server) {
                _ if too_small =>
                    "; its datagrams are smaller than 1,200 bytes, and a server must drop such Initial packets",
                (_, true) =>
                    "; they did reach the server's side, so it is the server that keeps silent",
                (true, _) =>
                    "; the host does answer other connections: it does not speak QUIC there, or UDP is dropped",
                (false, _) =>
                    "; dropped on the way or by the server, which look the same from here",
            },
        ),
        frames,
        facts: facts.with("host_answers_others", host_answers),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::ConversationTrace;
    use crate::{Confidence, Role, Severity};

    #[test]
    fn initials_that_nothing_answers() {
        let conversation = ConversationTrace::new()
            .client_hello(0)
            .client_hello(300)
            .client_hello(900)
            .until(6_000);
        let found = conversation.only();
        assert_eq!(found.code, "quic.unanswered");
        assert_eq!(
            (found.severity, found.confidence, found.culprit.role),
            (Severity::Error, Confidence::Likely, Role::Unknown)
        );
        assert!(
            found.summary.contains("3 attempts over 900 ms"),
            "{}",
            found.summary
        );
    }

    #[test]
    fn a_recording_that_ends_early_proves_nothing() {
        let conversation = ConversationTrace::new()
            .client_hello(0)
            .client_hello(300)
            .until(1_500);
        assert_eq!(conversation.codes(), [""; 0]);
    }

    #[test]
    fn the_clients_own_words_are_quoted() {
        let conversation = ConversationTrace::new()
            .client_hello(0)
            .client_hello(300)
            .client_closes(2_000, 0, "No recent network activity after 4002065us")
            .until(2_100);
        let found = conversation.only();
        assert_eq!(found.code, "quic.unanswered");
        assert!(
            found.summary.contains("No recent network activity"),
            "{}",
            found.summary
        );
    }

    #[test]
    fn a_router_that_refuses_is_named() {
        let found = ConversationTrace::new()
            .client_hello(0)
            .icmp(5, "192.0.2.254", "unreachable admin-prohibited")
            .until(1_000)
            .only();
        assert_eq!(
            (found.code, found.culprit.role),
            ("quic.unanswered", Role::Path)
        );
        assert_eq!(found.confidence, Confidence::Certain);
    }

    #[test]
    fn what_is_too_small_a_server_must_drop() {
        let found = ConversationTrace::new()
            .client_hello_of(0, 600)
            .client_hello_of(300, 600)
            .client_hello_of(900, 600)
            .until(6_000)
            .only();
        assert_eq!(
            (found.code, found.culprit.role),
            ("quic.unanswered", Role::Client)
        );
    }

    #[test]
    fn a_recording_of_the_client_alone_shows_that_it_was_answered() {
        let conversation = ConversationTrace::new()
            .client_hello(0)
            .client_handshake(40, 90)
            .client_short(41, 90)
            .until(60_000);
        assert_eq!(conversation.codes(), [""; 0]);
    }

    #[test]
    fn one_that_is_answered_is_none() {
        let conversation = ConversationTrace::new()
            .client_hello(0)
            .server_flight(20)
            .until(500);
        assert_eq!(conversation.codes(), [""; 0]);
    }
}
