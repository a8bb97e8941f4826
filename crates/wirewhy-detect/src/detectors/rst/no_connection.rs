//! `rst.no-connection`: the sender does not know this connection.

use wirewhy_flow::Stage;

use super::{by_a_device, finding};
use crate::causes::CONVERSATION;
use crate::resets::{Reason, Resets, origin};
use crate::wording::{count, socket};
use crate::{
    Cause, Confidence, Culprit, Detector, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "rst.no-connection",
    group: Group::Reset,
    title: "The host does not know this connection",
    severity: Severity::Error,
    means: "A packet of a connection that one side holds to be open was answered as if it had never existed: the host was restarted, its \
            process died, a balancer sent the packet to another host, or its accept queue overflowed.",
    recognised: "A bare reset whose sequence number is the acknowledgement number of the packet it answers (RFC 9293 section 3.10.7.1), with \
                 no long idle time before.",
    look_alikes: "After an idle time a timer on the path is the better reading: rst.idle-expired. After a close it only answers late \
                  packets: rst.after-close.",
    check_next: &[
        "Was the host or the process restarted at that time (uptime, journalctl, kubectl get events)?",
        "Right after the handshake: net.ipv4.tcp_abort_on_overflow=1 with a full accept queue (nstat -az TcpExtListenOverflows).",
        "Behind a balancer: did the packet reach another back end than the ones before?",
    ],
    explained_by: &[
        Cause::IfAsSevere("rst.stray-segment"),
        Cause::IfAsSevere("tcp.backend-unreachable"),
        Cause::IfAsSevere("tcp.port-collision"),
        Cause::IfAsSevere("tcp.handshake-aborted"),
        Cause::IfAsSevere("tls.client-hello-dropped"),
        Cause::IfAsSevere("rst.injected"),
        CONVERSATION,
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Resets(detect),
};

fn detect(resets: &Resets<'_>, limits: &Limits) -> Option<Finding> {
    let (first, all) = resets.because_of(Reason::NoConnection)?;
    let connection = resets.connection;
    let own = connection.side(first.event.from);
    let fresh = matches!(
        connection.stage(),
        Stage::EstablishedNoData | Stage::RequestSent
    );
    let reading = if fresh && own.counts.payload_packets == 0 {
        "it accepted and then denied the connection: a full accept queue that resets, or a device that accepted in its name"
    } else {
        "it has lost the connection: restarted, its process gone, or another host answers"
    };
    let found = finding(
        RECORD.code,
        Severity::Error,
        (&first, &all),
        connection,
        limits,
    );
    // A filter that rejects in mid-connection (iptables -j REJECT --reject-with tcp-reset) sends the same packet.
    let nearer = origin(connection, first.event, first.reset, limits).hops_nearer;
    let (culprit, reading) = match nearer {
        Some(hops) => (
            Culprit::from(Role::Path).at_most(Confidence::Possible),
            format!(
                "it came from {} nearer than its other packets, so a filter on the way may have sent it",
                count(u64::from(hops.unsigned_abs()), "hop")
            ),
        ),
        None => (found.culprit, reading.to_owned()),
    };
    Some(Finding {
        culprit,
        summary: format!(
            "{} answered a packet of this connection as one it does not know; {reading}{}",
            socket(own),
            by_a_device(connection)
        ),
        ..found
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::USED;
    use crate::Role;
    use crate::testing::{codes, only};

    #[test]
    fn a_host_that_was_restarted() {
        let found = only(&format!(
            "{USED}\n 3.00 > PA 11:21(10) ack 11\n 3.02 < R 11:11(0) win 0 id 0"
        ));
        assert_eq!(
            (found.code, found.culprit.role),
            ("rst.no-connection", Role::Server)
        );
    }

    #[test]
    fn a_filter_in_between_may_reject_in_its_name() {
        let found = only(&format!(
            "{USED}\n 3.00 > PA 11:21(10) ack 11\n 3.02 < R 11:11(0) win 0 id 0 ttl 61"
        ));
        assert_eq!(
            (found.code, found.culprit.role),
            ("rst.no-connection", Role::Path)
        );
    }

    #[test]
    fn a_bare_reset_long_after_the_last_packet_answers_nothing() {
        let late = |at: &str| codes(&format!("{USED}\n {at} < R 11:11(0) win 0 id 0"));
        assert_eq!(late("0.09"), ["rst.no-connection"]);
        assert_eq!(late("0.40"), ["rst.abort"]);
        assert_eq!(late("9.00"), ["rst.abort"]);
    }

    #[test]
    fn a_live_socket_that_resets_knows_it() {
        let codes = codes(&format!(
            "{USED}\n 3.00 > PA 11:21(10) ack 11\n 3.90 < RA 11:11(0) ack 21"
        ));
        assert!(!codes.contains(&"rst.no-connection"));
    }
}
