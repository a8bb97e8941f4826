//! `tcp.paws-drop`: the server ignores SYNs whose clock is behind that of another host at the same address.

use wirewhy_flow::{Connection, EventKind};
use wirewhy_packet::Seq;

use super::syns;
use crate::wording::{count, socket};
use crate::{
    Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.paws-drop",
    group: Group::Tcp,
    title: "The server drops SYNs with an older timestamp than one it accepted",
    severity: Severity::Error,
    means: "Several hosts share the client's address (NAT), each with a clock of its own. The server remembers the latest timestamp of \
            the address and ignores SYNs that carry an older one: old Linux with tcp_tw_recycle, or a device that does the same.",
    recognised: "An unanswered SYN whose timestamp (RFC 7323) is older than that of a SYN from the same address to the same service \
                 that was answered before, while the answered ones follow one clock.",
    look_alikes: "Clients that start every connection at a random timestamp (Linux since 4.10) also send older ones; then the answered \
                  SYNs follow no clock, and nothing is said. A lone unanswered SYN of one host is newer than its earlier ones: tcp.syn-unanswered.",
    check_next: &[
        "On the server: sysctl net.ipv4.tcp_tw_recycle (kernels before 4.12) must be 0; nstat -az TcpExtPAWSPassive.",
        "Does the client's address belong to a NAT, and do the failing hosts sit behind it?",
        "As a test, switch timestamps off on one client (net.ipv4.tcp_timestamps=0): its connections then succeed.",
    ],
    explained_by: &[],
    reportable: Reportable::SynUnanswered,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::NO_ANSWER, detect),
};

pub(crate) fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let handshake = &connection.tcp.handshake;
    let last_syn = handshake.last_syn?;
    if connection.server.was_seen() || handshake.ack.is_some() {
        return None;
    }
    if handshake.syns < 2 && connection.heard_after(last_syn.time) < limits.silence {
        return None;
    }
    let accepted = connection.host_context.accepted?;
    if !accepted.one_clock || accepted.answered < limits.paws_answers {
        return None;
    }
    let newest = syns(connection).last()?;
    let EventKind::Syn {
        timestamp: Some(own),
        ..
    } = newest.kind
    else {
        return None;
    };
    let behind = u32::try_from(Seq(accepted.value).distance_from(Seq(own)))
        .ok()
        .filter(|ticks| *ticks > 0)?;
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Likely,
        culprit: Culprit::new(Role::Server, connection.server.address),
        summary: format!(
            "{} ignored {} from {} whose timestamp is {behind} ticks older than one it answered before (frame {}): several hosts \
             share that address and the server goes by the newest clock",
            socket(&connection.server),
            count(u64::from(handshake.syns), "SYN"),
            connection.client.address,
            accepted.mark.frame,
        ),
        frames: syns(connection)
            .map(|event| event.frame)
            .chain([accepted.mark.frame])
            .collect(),
        facts: Facts::default()
            .with("timestamp", own)
            .with("accepted_timestamp", accepted.value)
            .with("accepted_frame", accepted.mark.frame)
            .with("behind_ticks", behind)
            .with("answered_on_one_clock", accepted.answered)
            .with("attempts", handshake.syns)
            .with("stage", "syn"),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::diagnose_all;

    fn trace(second_answered: u32, ignored: u32) -> String {
        format!(
            "0.00 #1 > S 0:0(0) <mss 1460,ts 5000 0>
             0.05 #1 < SA 0:0(0) ack 1
             0.10 #1 > A 1:1(0) ack 1
             1.00 #2 > S 0:0(0) <mss 1460,ts {second_answered} 0>
             1.05 #2 < SA 0:0(0) ack 1
             1.10 #2 > A 1:1(0) ack 1
             2.00 #3 > S 0:0(0) <mss 1460,ts {ignored} 0>
             3.00 #3 > S 0:0(0) <mss 1460,ts {ignored} 0>
             9.00 end"
        )
    }

    fn root(lines: &str) -> &'static str {
        let diagnosis = diagnose_all(lines);
        diagnosis
            .iter()
            .find(|diagnosis| diagnosis.connection.stream == 2)
            .unwrap()
            .root_cause()
            .unwrap()
            .code
    }

    #[test]
    fn an_older_clock_is_ignored() {
        assert_eq!(root(&trace(6000, 900)), "tcp.paws-drop");
    }

    #[test]
    fn a_newer_clock_is_plain_silence() {
        assert_eq!(root(&trace(6000, 7000)), "tcp.syn-unanswered");
    }

    #[test]
    fn clients_with_random_clocks_prove_nothing() {
        assert_eq!(root(&trace(1000, 900)), "tcp.syn-unanswered");
    }
}
