//! `tcp.synack-unanswered`: the server accepts, the client never confirms.

use wirewhy_flow::{Connection, EventKind, Side, Vantage};

use super::{resets, syn_acks, syns};
use crate::wording::{count, socket, span};
use crate::{
    Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.synack-unanswered",
    group: Group::Tcp,
    title: "The server accepted, the client never confirmed",
    severity: Severity::Error,
    means: "The server answered the SYN, but the last step of the handshake never came. The server keeps a half-open \
            connection and gives up after its retries; the client, if it is real, sees a connect timeout.",
    recognised: "A SYN-ACK that acknowledges the SYN, sent again or followed by 3 s of capture, and neither an ACK nor a reset of \
                 the client.",
    look_alikes: "Where the client repeats its SYN after the SYN-ACK, it never got the SYN-ACK (or threw it away): an \
                  asymmetric route or a stateful firewall that missed the SYN. Where it stays silent, its address may be forged \
                  (a flood) or its ACK was lost. A capture of one direction shows the same; then the confidence is `possible`.",
    check_next: &[
        "Capture on the client at the same time: does the SYN-ACK arrive there?",
        "If not: look for asymmetric routes and for firewalls that see only one direction (conntrack -L, dropped INVALID).",
        "If it does: look at the client's own firewall and rp_filter (nstat -az TcpExtIPReversePathFilter).",
    ],
    explained_by: &[],
    reportable: Reportable::SynAckUnanswered,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::UNCONFIRMED, detect),
};

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let handshake = &connection.tcp.handshake;
    let first = handshake.syn_ack?;
    let latest = handshake.last_syn_ack?;
    let icmp = connection
        .events
        .iter()
        .any(|event| matches!(event.kind, EventKind::Icmp(_)));
    let client_left =
        connection.client.tcp.fin.is_some() || resets(connection, Side::Client).next().is_some();
    // A server that goes on to other packets was answered, recorded or not.
    let server = &connection.server;
    let accounted = u64::from(handshake.syn_acks) + u64::from(server.tcp.counts.resets);
    let went_on = server.counts.packets > accounted;
    if handshake.ack.is_some() || client_left || icmp || went_on {
        return None;
    }
    let listened = connection.heard_after(latest.time);
    if handshake.syn_acks < 2 && listened < limits.silence {
        return None;
    }
    let asks_again = syns(connection).filter(|syn| syn.time > first.time).count();
    let vantage = connection.vantage();
    let at_client = vantage == Vantage::ClientSide;
    let (role, reading) = match (asks_again > 0, at_client) {
        (true, true) => (
            Role::Client,
            "the SYN-ACK reached the client's side and the client still repeats its SYN: its own host drops it",
        ),
        (true, false) => (
            Role::Path,
            "the client repeats its SYN, so the SYN-ACK does not reach it: lost on the way back",
        ),
        (false, true) => (
            Role::Client,
            "the SYN-ACK reached the client's side and the client keeps silent",
        ),
        (false, false) => (
            Role::Unknown,
            "the SYN-ACK or its ACK is lost on the way, or the client's address is forged",
        ),
    };
    let client = &connection.client;
    let mut frames: Vec<u64> = syn_acks(connection).map(|event| event.frame).collect();
    frames.extend(handshake.first_syn.map(|syn| syn.frame));
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        // Only a SYN-ACK that was sent again is known to have missed its ACK; SYN cookies never send it again.
        confidence: if handshake.syn_acks > 1 {
            Confidence::Likely
        } else {
            Confidence::Possible
        },
        culprit: Culprit::new(role, (role == Role::Client).then_some(client.address)),
        summary: format!(
            "{} accepted with {}, {} never confirmed in {}; {reading}",
            socket(&connection.server),
            count(u64::from(handshake.syn_acks), "SYN-ACK"),
            client.address,
            span(connection.heard_after(first.time)),
        ),
        frames,
        facts: Facts::default()
            .with("syn_acks", handshake.syn_acks)
            .with("syns", handshake.syns)
            .with(
                "syns_after_syn_ack",
                u64::try_from(asks_again).unwrap_or(u64::MAX),
            )
            .with("listened_seconds", listened)
            .with("vantage", vantage.name())
            .with("stage", "syn-ack"),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::Role;
    use crate::testing::{codes, only};

    #[test]
    fn a_client_that_keeps_asking_never_got_the_answer() {
        let found = only(
            "client ttl 57
             server ttl 64
             0.00 > S 0:0(0)
             0.01 < SA 0:0(0) ack 1
             1.02 > S 0:0(0)
             1.03 < SA 0:0(0) ack 1
             9.00 end",
        );
        assert_eq!(
            (found.code, found.culprit.role),
            ("tcp.synack-unanswered", Role::Path)
        );
    }

    #[test]
    fn a_client_that_keeps_silent_may_be_forged() {
        let found = only(
            "client ttl 57\n server ttl 64\n 0.0 > S 0:0(0)\n 0.1 < SA 0:0(0) ack 1\n 4.0 end",
        );
        assert_eq!(
            (found.code, found.culprit.role),
            ("tcp.synack-unanswered", Role::Unknown)
        );
    }

    #[test]
    fn too_early_to_say() {
        assert!(codes("0.0 > S 0:0(0)\n 0.1 < SA 0:0(0) ack 1\n 2.0 end").is_empty());
    }

    #[test]
    fn one_direction_of_a_working_connection_is_no_silence() {
        let lines = "0.0 < SA 0:0(0) ack 1
             0.2 < A 1:1(0) ack 200
             0.3 < PA 1:100(99) ack 200
             9.0 end";
        assert!(!codes(lines).contains(&"tcp.synack-unanswered"));
    }
}
