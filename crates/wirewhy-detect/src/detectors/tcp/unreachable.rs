//! `tcp.unreachable`: a router or host says the packet cannot be delivered.

use wirewhy_flow::{Connection, Event, EventKind, Icmp, Interval, Side};

use crate::icmp::{Meaning, is_loop_hint, undeliverable};
use crate::wording::socket;
use crate::{
    Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.unreachable",
    group: Group::Tcp,
    title: "An ICMP error says the packets cannot be delivered",
    severity: Severity::Error,
    means: "A device on the way, or the host itself, answered a packet of this connection with an ICMP error. The address that \
            sent it names the device that refused. While opening, the application gets an error at once; later, senders \
            keep trying and often recover.",
    recognised: "An ICMP destination unreachable, time exceeded or parameter problem (or its ICMPv6 counterpart) that quotes the \
                 addresses, ports and a sequence number of this connection.",
    look_alikes: "\"Fragmentation needed\" and \"packet too big\" are path MTU discovery: tcp.fragmentation-needed. An error that \
                  quotes numbers outside the connection is a forgery or belongs to another one and is left alone. A closed \
                  port sends a reset, not an ICMP error.",
    check_next: &[
        "Ask the device named as the reporter: its routes (ip route get ADDRESS) and its reject rules.",
        "Host or address unreachable: is the target up, and does it answer ARP or neighbour solicitations on its link?",
        "Time exceeded: mtr to the target shows the two routers that send the packet to each other.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::ICMP, detect),
};

fn detect(connection: &Connection, _limits: &Limits) -> Option<Finding> {
    let errors: Vec<(&Event, &Icmp, Meaning)> = connection
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Icmp(icmp) if icmp.in_window => {
                Some((event, icmp.as_ref(), undeliverable(icmp)?))
            }
            _ => None,
        })
        .collect();
    let (event, icmp, meaning) = *errors.first()?;
    let target = connection.side(event.from.other());
    let recovered = recovered(connection, errors.last()?.0);
    let by_target = icmp.reporter == target.address;
    let role = match (by_target, event.from) {
        (false, _) => Role::Path,
        (true, Side::Client) => Role::Server,
        (true, Side::Server) => Role::Client,
    };
    let loops = errors
        .iter()
        .filter(|(_, icmp, _)| is_loop_hint(icmp))
        .count();
    let after = connection
        .side(event.from)
        .last
        .map_or(Interval::ZERO, |last| event.time.since(last.time))
        .max(Interval::ZERO);
    let reporter = if by_target {
        "the host itself".to_owned()
    } else {
        icmp.reporter.to_string()
    };
    let severity = if recovered {
        Severity::Warning
    } else {
        Severity::Error
    };
    let mut frames: Vec<u64> = errors.iter().map(|(event, _, _)| event.frame).collect();
    frames.extend(connection.tcp.handshake.first_syn.map(|syn| syn.frame));
    Some(Finding {
        code: RECORD.code,
        severity,
        confidence: if icmp.quoted_seq.is_some() {
            Confidence::Certain
        } else {
            Confidence::Likely
        },
        culprit: Culprit::new(role, icmp.reporter),
        summary: format!(
            "{reporter} answered packets to {} with ICMP \"{}\": it {}{}{}",
            socket(target),
            meaning.name,
            meaning.clause,
            if loops > 1 {
                format!("; {loops} times, which points to a loop")
            } else {
                String::new()
            },
            if recovered {
                "; the connection went on all the same"
            } else {
                ""
            },
        ),
        frames,
        facts: Facts::default()
            .with("icmp_version", if icmp.v6 { 6u32 } else { 4u32 })
            .with("type", icmp.kind)
            .with("code", icmp.code)
            .with("name", meaning.name)
            .with("reporter", icmp.reporter)
            .with("reporter_is_target", by_target)
            .with("errors", u64::try_from(errors.len()).unwrap_or(u64::MAX))
            .with("loop_suspected", loops > 1)
            .with("after_seconds", after)
            .with("recovered", recovered)
            .with("stage", connection.stage().name()),
        consequence_of: None,
    })
}

/// The side that could not be reached has spoken after the error, other than to refuse.
fn recovered(connection: &Connection, error: &Event) -> bool {
    let target = connection.side(error.from.other());
    let resets_only =
        connection.tcp.handshake.syn_ack.is_none() && connection.tcp.handshake.syns > 0;
    !resets_only && target.last.is_some_and(|last| last.time > error.time)
}

#[cfg(test)]
mod tests {
    use crate::testing::{codes, diagnosis, only};
    use crate::{Outcome, Role, Severity};

    #[test]
    fn a_router_without_a_route() {
        let found = only(
            "0.000 > S 0:0(0)
             0.001 icmp 192.0.2.254 > client unreachable net
             5.0 end",
        );
        assert_eq!(
            (found.code, found.culprit.role),
            ("tcp.unreachable", Role::Path)
        );
        assert_eq!(found.culprit.address.unwrap().to_string(), "192.0.2.254");
        assert_eq!(found.frames, [2, 1]);
    }

    #[test]
    fn a_host_that_rejects_is_the_server() {
        let found = only("0.000 > S 0:0(0)\n 0.05 icmp server > client unreachable port\n 5.0 end");
        assert_eq!(found.culprit.role, Role::Server);
    }

    #[test]
    fn an_established_connection_that_recovers_is_a_warning() {
        let diagnosis = diagnosis(
            "0.00 > S 0:0(0)
             0.05 < SA 0:0(0) ack 1
             0.10 > A 1:1(0) ack 1
             0.20 > PA 1:11(10) ack 1
             0.21 icmp 192.0.2.254 > client unreachable host
             0.40 > PA 1:11(10) ack 1
             0.45 < PA 1:11(10) ack 11
             0.50 > FA 11:11(0) ack 11
             0.55 < FA 11:11(0) ack 12
             0.60 > A 12:12(0) ack 12",
        );
        let found = diagnosis
            .findings
            .iter()
            .find(|found| found.code == "tcp.unreachable")
            .unwrap();
        assert_eq!(found.severity, Severity::Warning);
        assert_eq!(diagnosis.outcome(), Outcome::Degraded);
    }

    #[test]
    fn path_mtu_discovery_is_not_unreachable() {
        let codes = codes(
            "0.00 > S 0:0(0)
             0.05 < SA 0:0(0) ack 1
             0.10 > A 1:1(0) ack 1
             0.20 > A 1:1461(1460) ack 1
             0.21 icmp 192.0.2.254 > client frag-needed mtu 1400
             0.30 > A 1:1361(1360) ack 1
             0.35 < A 1:1(0) ack 1361
             5.0 end",
        );
        assert!(!codes.contains(&"tcp.unreachable"));
    }
}
