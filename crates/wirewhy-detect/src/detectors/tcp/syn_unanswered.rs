//! `tcp.syn-unanswered`: a SYN without an answer.

use std::net::IpAddr;

use wirewhy_flow::{Connection, EventKind, Unopened, Vantage};
use wirewhy_packet::Interval;

use super::syns;
use crate::wording::{count, socket, span};
use crate::{
    Cause, Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role,
    Rule, Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.syn-unanswered",
    group: Group::Tcp,
    title: "Connection attempt got no answer",
    severity: Severity::Error,
    means: "The client asked to open a connection and nothing came back: no acceptance, no refusal, no ICMP error. \
            The application sees a connect timeout.",
    recognised: "One or more SYNs, and no packet of the server and no ICMP error about them. One SYN is enough only if the \
                 capture runs on for 3 s after it.",
    look_alikes: "A filter that drops, a dead or wrong address, a lost route and a full SYN queue look the same from here. \
                  Packets of the same host elsewhere in the capture rule out a dead host. A capture that holds one direction \
                  only shows the same; then the confidence is `possible`. A closed port answers with a reset: \
                  tcp.refused.",
    check_next: &[
        "Capture on the server (tcpdump -ni any 'tcp[tcpflags] & tcp-syn != 0'): does the SYN arrive?",
        "If it arrives: look for a drop rule (nft list ruleset, iptables -L -nv) and at nstat -az TcpExtListenDrops.",
        "If it does not: follow the path with tcptraceroute or mtr --tcp to that port, and ask the firewalls on it.",
    ],
    explained_by: &[
        Cause::IfAsSevere("tcp.option-blackhole"),
        Cause::IfAsSevere("tcp.port-collision"),
        Cause::IfAsSevere("tcp.paws-drop"),
        Cause::IfAsSevere("rst.stray-segment"),
    ],
    reportable: Reportable::SynUnanswered,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::NO_ANSWER, detect),
};

/// What is concluded, without words.
pub(crate) fn verdict(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let handshake = &connection.tcp.handshake;
    let last_syn = handshake.last_syn?;
    let icmp = connection
        .events
        .iter()
        .any(|event| matches!(event.kind, EventKind::Icmp(_)));
    if connection.server.was_seen() || handshake.ack.is_some() || icmp {
        return None;
    }
    if handshake.syns < 2 && connection.heard_after(last_syn.time) < limits.silence {
        return None;
    }
    let host_answers = connection.host_context.server_ttl.is_some();
    let server = connection.server.address;
    Some(wordless(host_answers, connection.vantage(), server))
}

/// The same of an attempt of one SYN.
pub(crate) fn verdict_on(attempt: &Unopened, limits: &Limits) -> Option<Finding> {
    if attempt.heard() < limits.silence {
        return None;
    }
    let (server, _) = attempt.server();
    Some(wordless(attempt.host_answers(), attempt.vantage(), server))
}

fn wordless(host_answers: bool, vantage: Vantage, server: IpAddr) -> Finding {
    let confidence = match host_answers {
        true => Confidence::Certain,
        false => Confidence::Likely,
    };
    let culprit = match vantage {
        Vantage::ServerSide => Culprit::new(Role::Server, server),
        _ => Role::Unknown.into(),
    };
    let severity = Severity::Error;
    Finding::brief(&RECORD, severity, confidence, culprit)
}

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let verdict = verdict(connection, limits)?;
    let handshake = &connection.tcp.handshake;
    let listened = connection.heard_after(handshake.last_syn?.time);
    let gaps = gaps(connection);
    let host_answers = connection.host_context.server_ttl.is_some();
    let vantage = connection.vantage();
    let summary = format!(
        "{} to {} from {} got no answer of any kind{}; {} for {} after the last one{}",
        count(u64::from(handshake.syns), "SYN"),
        socket(&connection.server),
        connection.client.address,
        over(&gaps),
        if connection.is_ongoing() {
            "nothing came"
        } else {
            "the capture ran on"
        },
        span(listened),
        match (host_answers, vantage == Vantage::ServerSide) {
            (_, true) =>
                "; they did reach the server's side, so it is the server that keeps silent",
            (true, _) =>
                "; the host does answer other connections, so it is up and something drops this one",
            (false, _) => "; dropped on the way or by the server, which look the same from here",
        },
    );
    Some(Finding {
        summary,
        frames: syns(connection).map(|event| event.frame).collect(),
        facts: Facts::default()
            .with("attempts", handshake.syns)
            .with("gap_seconds", gaps.clone())
            .with("follows_back_off", backs_off(&gaps))
            .with("listened_seconds", listened)
            .with(
                "wait_seconds",
                connection.heard_after(connection.first.time),
            )
            .with("host_answers_others", host_answers)
            .with("vantage", vantage.name())
            .with("stage", "syn"),
        ..verdict
    })
}

fn gaps(connection: &Connection) -> Vec<Interval> {
    let times: Vec<_> = syns(connection).map(|event| event.time).collect();
    times
        .iter()
        .zip(times.iter().skip(1))
        .map(|(earlier, later)| later.since(*earlier))
        .collect()
}

fn over(gaps: &[Interval]) -> String {
    if gaps.is_empty() {
        return String::new();
    }
    let words: Vec<String> = gaps.iter().take(8).map(|gap| span(*gap)).collect();
    let more = if gaps.len() > 8 { " …" } else { "" };
    format!(" (sent again after {}{more})", words.join(", "))
}

/// Whether each gap repeats the one before or doubles it, within a quarter: RFC 6298 section 5.5, with the linear start
/// of Linux 6.5 (`tcp_syn_linear_timeouts`). `None` where one gap or none was seen.
fn backs_off(gaps: &[Interval]) -> Option<bool> {
    if gaps.len() < 2 {
        return None;
    }
    let near = |value: Interval, target: Interval| (value - target).abs() <= Interval(target.0 / 4);
    Some(
        gaps.iter()
            .zip(gaps.iter().skip(1))
            .all(|(before, after)| near(*after, *before) || near(*after, *before + *before)),
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::{codes, only};
    use crate::{Confidence, Role};

    #[test]
    fn three_syns_into_the_void() {
        let found = only(
            "0.000 > S 0:0(0) win 64240 <mss 1460>
             1.021 > S 0:0(0) win 64240 <mss 1460>
             3.037 > S 0:0(0) win 64240 <mss 1460>
             10.00 end",
        );
        assert_eq!(found.code, "tcp.syn-unanswered");
        assert_eq!(
            (found.confidence, found.culprit.role),
            (Confidence::Likely, Role::Unknown)
        );
        assert_eq!(found.frames, [1, 2, 3]);
    }

    #[test]
    fn one_syn_counts_when_the_capture_runs_on() {
        assert_eq!(codes("0.0 > S 0:0(0)\n 3.5 end"), ["tcp.syn-unanswered"]);
    }

    #[test]
    fn a_capture_that_ends_too_soon_proves_nothing() {
        assert!(codes("0.0 > S 0:0(0)\n 2.0 end").is_empty());
    }

    #[test]
    fn a_copy_of_the_frame_is_no_second_attempt() {
        assert!(codes("0.0 > S 0:0(0)\n 0.0001 dup ttl-1\n 2.0 end").is_empty());
    }

    #[test]
    fn one_direction_of_a_working_connection_is_no_silence() {
        let lines = "0.0 > S 0:0(0)
             0.1 > A 1:1(0) ack 1
             0.1 > PA 1:11(10) ack 1
             0.3 > A 11:11(0) ack 100
             9.0 end";
        assert!(codes(lines).is_empty());
    }
}
