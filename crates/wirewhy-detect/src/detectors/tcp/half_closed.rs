//! `tcp.half-closed`: one side is done, the other forgot.

use wirewhy_flow::{Connection, Endpoint, EndpointState, Side};

use crate::causes::CONVERSATION;
use crate::wording::{socket, span};
use crate::{
    Cause, Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role,
    Rule, Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.half-closed",
    group: Group::Tcp,
    title: "One side closed, the other never does",
    severity: Severity::Warning,
    means: "One side said it is done and the other confirmed that, but keeps its half open and does nothing with it. On that host sockets pile \
            up in CLOSE-WAIT until it runs out of file descriptors.",
    recognised: "An acknowledged FIN, and no FIN, reset or byte of the other side for the rest of the capture, at least 60 s.",
    look_alikes: "A half-closed connection in use: the open side goes on sending, as it may. Where the client closed because the server kept \
                  silent, tcp.no-response is the cause.",
    check_next: &[
        "On that host: ss -tnp state close-wait names the process; count them over time.",
        "Look for code that does not close its socket on end of file.",
    ],
    explained_by: &[
        CONVERSATION,
        Cause::IfAsSevere("tcp.no-response"),
        Cause::IfAsSevere("tcp.backend-unreachable"),
        Cause::IfAsSevere("tcp.checksum-drop"),
        Cause::IfAsSevere("tcp.one-way-path"),
        Cause::IfAsSevere("tcp.probe"),
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::HALF_CLOSED, detect),
};

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let (side, open, closed) = [Side::Client, Side::Server].into_iter().find_map(|side| {
        let (open, closed) = (connection.side(side), connection.side(side.other()));
        forgotten(open, closed).then_some((side, open, closed))
    })?;
    let fin = closed.tcp.fin?;
    let waited = connection.heard_after(fin.time);
    let silent = open.last_payload.is_none_or(|last| last.time <= fin.time);
    if waited < limits.half_closed || !silent {
        return None;
    }
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Warning,
        confidence: Confidence::Likely,
        culprit: Culprit::new(
            if side == Side::Client {
                Role::Client
            } else {
                Role::Server
            },
            Some(open.address),
        ),
        summary: format!(
            "{} has not closed its half in {} since {} closed, and sends nothing: a CLOSE-WAIT leak",
            socket(open),
            span(waited),
            socket(closed),
        ),
        frames: [Some(fin), open.last]
            .into_iter()
            .flatten()
            .map(|mark| mark.frame)
            .collect(),
        facts: Facts::default()
            .with("open_side", side.name())
            .with("half_closed_seconds", waited)
            .with("threshold_seconds", limits.half_closed),
        consequence_of: None,
    })
}

fn forgotten(open: &Endpoint, closed: &Endpoint) -> bool {
    closed.tcp.state == EndpointState::Closing { acknowledged: true }
        && open.tcp.fin.is_none()
        && open.tcp.state != EndpointState::Reset
        && open.was_seen()
}

#[cfg(test)]
mod tests {
    use crate::Role;
    use crate::testing::{codes, diagnosis};

    const CLOSED_BY_CLIENT: &str = "0.00 > S 0:0(0)
         0.02 < SA 0:0(0) ack 1
         0.03 > A 1:1(0) ack 1
         0.04 > PA 1:11(10) ack 1
         0.06 < PA 1:11(10) ack 11
         0.07 > FA 11:11(0) ack 11
         0.09 < A 11:11(0) ack 12";

    #[test]
    fn a_server_that_forgets_to_close() {
        let diagnosis = diagnosis(&format!("{CLOSED_BY_CLIENT}\n 70.0 end"));
        let root = diagnosis.root_cause().unwrap();
        assert_eq!(
            (root.code, root.culprit.role),
            ("tcp.half-closed", Role::Server)
        );
    }

    #[test]
    fn half_a_connection_in_use_is_well() {
        let lines = format!(
            "{CLOSED_BY_CLIENT}\n 30.0 < PA 11:21(10) ack 12\n 30.1 > A 12:12(0) ack 21\n 95.0 end"
        );
        assert!(!codes(&lines).contains(&"tcp.half-closed"));
    }

    #[test]
    fn a_minute_is_not_over_yet() {
        assert!(!codes(&format!("{CLOSED_BY_CLIENT}\n 30.0 end")).contains(&"tcp.half-closed"));
    }
}
