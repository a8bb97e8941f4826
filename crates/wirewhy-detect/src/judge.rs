//! All detectors over one connection, and what follows from them.

use wirewhy_flow::{Connection, Ended, EndpointState, EventKind, Transport};
use wirewhy_packet::Interval;

use crate::detectors::certificate;
use crate::record::Readings;
use crate::{Confidence, Finding, Limits, Role, Severity, TrustStore, link_causes, record_of};

/// A connection with what was concluded about it.
#[derive(Clone, PartialEq, Debug)]
pub struct Judged {
    /// The facts.
    pub connection: Box<Connection>,
    /// The findings, in the order of the catalogue.
    pub findings: Vec<Finding>,
}

/// How a connection went.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// Its worst finding is an error.
    Failed,
    /// Its worst finding is a warning.
    Degraded,
    /// The capture shows too little to say.
    Undecided,
    /// It went well.
    Ok,
}

impl Outcome {
    /// The word used in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Failed => "failed",
            Outcome::Degraded => "degraded",
            Outcome::Undecided => "undecided",
            Outcome::Ok => "ok",
        }
    }
}

/// Runs over a connection every detector that it shows a sign for, and ties causes to consequences. `trust` is what the server's certificates are held
/// against.
#[must_use]
pub fn judge(connection: Box<Connection>, limits: &Limits, trust: &TrustStore) -> Judged {
    // The packets that would say otherwise may be among the missing.
    if connection.interrupted {
        return Judged {
            connection,
            findings: Vec::new(),
        };
    }
    let readings = Readings::of(&connection, limits);
    let mut findings: Vec<Finding> = readings
        .signs()
        .rules()
        .filter_map(|detector| detector.judge(&readings))
        .collect();
    if let Some(handshake) = readings.handshake() {
        certificate::judge(handshake, limits, trust, &mut findings);
    }
    if findings.is_empty() {
        return Judged {
            connection,
            findings,
        };
    }
    let unseen =
        connection.client.tcp.counts.unseen_bytes + connection.server.tcp.counts.unseen_bytes;
    let on_loopback =
        connection.client.address.is_loopback() && connection.server.address.is_loopback();
    for finding in &mut findings {
        if unseen > 0 {
            finding.confidence = doubted(finding.confidence);
            finding.facts.0.push(("unseen_bytes", unseen.into()));
        }
        finding.frames.truncate(Finding::MAX_FRAMES);
        // Within one host there is no path.
        if on_loopback && finding.culprit.role == Role::Path {
            finding.culprit = Role::Unknown.into();
        }
    }
    link_causes(&mut findings, record_of);
    Judged {
        connection,
        findings,
    }
}

/// What a recording with holes in this very connection leaves of a certainty: the packet that would say otherwise may be
/// among those it missed.
fn doubted(confidence: Confidence) -> Confidence {
    match confidence {
        Confidence::Certain => Confidence::Likely,
        Confidence::Likely | Confidence::Possible => Confidence::Possible,
    }
}

impl Judged {
    /// How the connection went.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.findings.iter().map(|finding| finding.severity).max() {
            Some(Severity::Error) => Outcome::Failed,
            Some(Severity::Warning) => Outcome::Degraded,
            // A note explains how it ended, and that no harm was done.
            Some(Severity::Note) => Outcome::Ok,
            None if self.shows_too_little() => Outcome::Undecided,
            None => Outcome::Ok,
        }
    }

    /// The finding that explains the worst one: `consequence_of` followed to its end.
    #[must_use]
    pub fn root_cause(&self) -> Option<&Finding> {
        // The first of the worst, not the last: the catalogue lists causes before symptoms.
        let mut cause = self.findings.iter().reduce(|worst, next| {
            if next.severity > worst.severity {
                next
            } else {
                worst
            }
        })?;
        for _ in 0..self.findings.len() {
            let Some(earlier) = cause
                .consequence_of
                .and_then(|code| self.findings.iter().find(|finding| finding.code == code))
            else {
                break;
            };
            cause = earlier;
        }
        Some(cause)
    }

    /// The capture ended while a request was waiting for its answer, before that was late.
    fn awaits_answer(&self) -> bool {
        let connection = &self.connection;
        let (client, server) = (&connection.client, &connection.server);
        let Some(asked) = client.last_payload else {
            return false;
        };
        let answered = server
            .last_payload
            .is_some_and(|answer| answer.time >= asked.time);
        connection.ended == Ended::EndOfCapture
            && !answered
            && client.tcp.fin.is_none()
            && server.tcp.fin.is_none()
            && connection.heard_after(asked.time) < Interval::from_secs(10)
    }

    /// Neither a failure nor a success: the answer was not due yet, the beginning is missing, or a reset ended work
    /// that no rule explains.
    fn shows_too_little(&self) -> bool {
        let connection = &self.connection;
        if connection.interrupted {
            return true;
        }
        if connection.transport == Transport::Udp {
            let both_seen = connection.client.was_seen() && connection.server.was_seen();
            return !both_seen || self.awaits_answer();
        }
        let opened_in_view =
            connection.tcp.handshake.syns > 0 || connection.tcp.handshake.syn_acks > 0;
        let closed = |state| matches!(state, EndpointState::Closing { .. });
        let closed_well =
            closed(connection.client.tcp.state) && closed(connection.server.tcp.state);
        if connection.is_one_sided() || (!connection.is_open() && !closed_well) {
            return true;
        }
        if !opened_in_view && !closed_well {
            return true;
        }
        let reset = connection
            .events
            .iter()
            .any(|event| matches!(event.kind, EventKind::Reset(_)));
        let outstanding = connection
            .client
            .tcp
            .unacknowledged_by(&connection.server.tcp)
            + connection
                .server
                .tcp
                .unacknowledged_by(&connection.client.tcp);
        (reset && outstanding > 0) || self.awaits_answer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{only, without_tcp};

    const ANSWER: &str = "0.00 > S 0:0(0)
         0.02 < SA 0:0(0) ack 1
         0.03 > A 1:1(0) ack 1
         0.04 > PA 1:11(10) ack 1";

    #[test]
    fn a_recording_with_holes_is_sure_of_less() {
        let whole = only(&format!(
            "{ANSWER}\n 0.06 < A 1:1(0) ack 11\n 2.00 < RA 1:1(0) ack 11"
        ));
        let holed = only(&format!(
            "{ANSWER}\n 0.06 < A 1:1(0) ack 31\n 2.00 < RA 1:1(0) ack 31"
        ));
        assert_eq!(whole.code, holed.code);
        assert_eq!(
            (whole.confidence, holed.confidence),
            (Confidence::Likely, Confidence::Possible)
        );
    }
    #[test]
    fn there_is_no_path_within_a_host() {
        let slow = |host: &str| {
            only(&format!(
                "client {host}:40000\n server {host}:80
                 0.0 > S 0:0(0)\n 1.0 > S 0:0(0)\n 1.02 < SA 0:0(0) ack 1\n 1.03 > A 1:1(0) ack 1"
            ))
            .culprit
            .role
        };
        assert_eq!(slow("127.0.0.1"), Role::Unknown);
        assert_eq!(slow("192.0.2.1"), Role::Path);
    }

    #[test]
    fn a_rule_about_tcp_is_for_tcp() {
        let unanswered = "0.0 > S 0:0(0)\n 10 end";
        assert_eq!(only(unanswered).code, "tcp.syn-unanswered");
        let datagrams = without_tcp(unanswered);
        assert_eq!(datagrams.findings, []);
        assert_eq!(datagrams.outcome(), Outcome::Undecided);
    }
}
