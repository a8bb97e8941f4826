//! `tcp.syn-retransmitted`: the handshake succeeded, but not at the first try.

use wirewhy_flow::{Connection, Roles};
use wirewhy_packet::Interval;

use super::{accept_queue_full, syn_acks, syns};
use crate::wording::{count, socket, span};
use crate::{
    Cause, Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role,
    Rule, Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.syn-retransmitted",
    group: Group::Tcp,
    title: "The handshake needed more than one try",
    severity: Severity::Warning,
    means: "A SYN or SYN-ACK had to be sent again before the connection opened. Each try costs the user a second or more.",
    recognised: "More than one SYN or SYN-ACK, copies by the recording not counted, and then a complete handshake.",
    look_alikes: "Loss on the path, a full SYN queue and a race in a NAT's table cost the same second. A SYN-ACK sent again after the \
                  client's ACK was captured means that this ACK was lost, or the server's accept queue is full: \
                  tcp.accept-queue-full.",
    check_next: &[
        "Do many connections to this service lose the first SYN? On the server: nstat -az TcpExtListenDrops TcpExtTCPReqQFullDrop.",
        "Behind source NAT (containers, Kubernetes): conntrack -S, insert_failed counting up is the known port race.",
    ],
    explained_by: &[
        Cause::IfAsSevere("tcp.option-blackhole"),
        Cause::IfAsSevere("tcp.checksum-drop"),
        Cause::IfAsSevere("tcp.port-collision"),
        Cause::IfAsSevere("tcp.stale-connection"),
        Cause::IfAsSevere("tcp.unreachable"),
        Cause::IfAsSevere("tcp.accept-queue-full"),
    ],
    reportable: Reportable::FirstAnswer,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::OPENED_AGAIN, detect),
};

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let handshake = &connection.tcp.handshake;
    let (first_syn, ack) = (handshake.first_syn?, handshake.ack?);
    let (syns_sent, syn_acks_sent) = (handshake.syns, handshake.syn_acks);
    let tries = syns_sent > 1 || syn_acks_sent > 1;
    if !tries
        || syn_acks_sent == 0
        || connection.roles == Roles::Simultaneous
        || accept_queue_full::applies(connection, limits)
        || waits_for_data(connection)
    {
        return None;
    }
    let opened = handshake
        .last_syn_ack
        .map_or(ack.time, |last| last.time.max(ack.time));
    let took = opened.since(first_syn.time);
    let one_try = handshake
        .syn_ack
        .zip(handshake.answered_syn)
        .map_or(Interval::ZERO, |(answer, asked)| {
            answer.time.since(asked.time)
        });
    let lost = (took - one_try).max(Interval::ZERO);
    let what = match (syns_sent > 1, syn_acks_sent > 1) {
        (true, true) => format!(
            "{} and {}",
            count(u64::from(syns_sent), "SYN"),
            count(u64::from(syn_acks_sent), "SYN-ACK")
        ),
        (true, false) => count(u64::from(syns_sent), "SYN"),
        _ => count(u64::from(syn_acks_sent), "SYN-ACK"),
    };
    // A SYN that was seen and not answered before the next one came may have been passed over by the server as well.
    let answered_late = handshake
        .syn_ack
        .zip(handshake.answered_syn)
        .is_some_and(|(answer, asked)| asked != first_syn && answer.time >= asked.time);
    let culprit = Culprit::from(Role::Path).at_most(if answered_late {
        Confidence::Possible
    } else {
        Confidence::Likely
    });
    let mut frames: Vec<u64> = syns(connection).skip(1).map(|event| event.frame).collect();
    frames.extend(syn_acks(connection).skip(1).map(|event| event.frame));
    frames.push(first_syn.frame);
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Warning,
        confidence: Confidence::Likely,
        culprit,
        summary: format!(
            "opening the connection to {} took {what} and {}; about {} of that was spent waiting to try again",
            socket(&connection.server),
            span(took),
            span(lost),
        ),
        frames,
        facts: Facts::default()
            .with("syns", syns_sent)
            .with("syn_acks", syn_acks_sent)
            .with("syn_acks_after_ack", handshake.syn_acks_after_ack)
            .with("opened_after_seconds", took)
            .with("lost_seconds", lost),
        consequence_of: None,
    })
}

/// A listener that defers accepting until data comes repeats its SYN-ACK once, when it stops waiting (`TCP_DEFER_ACCEPT`): long
/// after any retransmission would have been due (1 s, RFC 6298 section 2.1).
fn waits_for_data(connection: &Connection) -> bool {
    let handshake = &connection.tcp.handshake;
    let late = handshake
        .last_syn_ack
        .zip(handshake.ack)
        .is_some_and(|(last, ack)| last.time.since(ack.time) > Interval::from_secs(3));
    handshake.syns == 1 && handshake.syn_acks_after_ack == 1 && late
}

#[cfg(test)]
mod tests {
    use crate::testing::{codes, diagnosis};
    use crate::{Outcome, Severity};

    const CLOSE: &str = "2.000 > FA 1:1(0) ack 1
         2.050 < FA 1:1(0) ack 2
         2.100 > A 2:2(0) ack 2";

    #[test]
    fn the_second_syn_gets_through() {
        let diagnosis = diagnosis(&format!(
            "0.000 > S 0:0(0)
             1.000 > S 0:0(0)
             1.050 < SA 0:0(0) ack 1
             1.051 > A 1:1(0) ack 1
             {CLOSE}"
        ));
        let root = diagnosis.root_cause().unwrap();
        assert_eq!(
            (root.code, root.severity),
            ("tcp.syn-retransmitted", Severity::Warning)
        );
        assert_eq!(diagnosis.outcome(), Outcome::Degraded);
    }

    #[test]
    fn frames_recorded_twice_are_no_retries() {
        let lines = format!(
            "0.000 > S 0:0(0)
             0.0001 dup ttl-1
             0.050 < SA 0:0(0) ack 1
             0.0501 dup ttl-1
             0.051 > A 1:1(0) ack 1
             {CLOSE}"
        );
        assert!(codes(&lines).is_empty());
    }

    #[test]
    fn what_comes_again_one_hop_farther_was_forwarded() {
        // A SYN-ACK of Linux has the identification 0, and the router's other side recorded it 20 ms later.
        let again = |ttl: u8| {
            codes(&format!(
                "0.000 > S 0:0(0)
                 0.050 < SA 0:0(0) ack 1 id 0 ttl 57
                 0.060 > A 1:1(0) ack 1
                 0.070 < SA 0:0(0) ack 1 id 0 ttl {ttl}
                 {CLOSE}"
            ))
        };
        assert!(again(56).is_empty());
        assert_eq!(again(57), ["tcp.syn-retransmitted"]);
    }
}
