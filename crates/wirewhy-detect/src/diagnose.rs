//! All detectors over one connection, and what follows from them.

use wirewhy_flow::{
    Connection, Ended, EndpointState, Event, EventKind, Healthy, Position, Side, Transport,
    Unopened,
};
use wirewhy_packet::Interval;

use crate::detectors::certificate;
use crate::detectors::quic;
use crate::detectors::tcp::{checksum_drop, paws_drop, refused, syn_unanswered};
use crate::record::Readings;
use crate::{
    Confidence, DETECTORS, Finding, Limits, Role, Severity, Signs, TrustStore, link_causes,
    record_of,
};

/// A connection with what was concluded about it.
#[derive(Clone, PartialEq, Debug)]
pub struct Diagnosis {
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
pub fn diagnose(connection: Box<Connection>, limits: &Limits, trust: &TrustStore) -> Diagnosis {
    // The packets that would say otherwise may be among the missing.
    if connection.interrupted {
        return Diagnosis {
            connection,
            findings: Vec::new(),
        };
    }
    let signs = Signs::of(&connection, limits);
    // Most of them: no rule runs.
    if signs == Signs::default() {
        return Diagnosis {
            connection,
            findings: Vec::new(),
        };
    }
    let readings = Readings::with(&connection, limits, signs);
    let mut findings: Vec<Finding> = readings
        .signs()
        .rules()
        .filter_map(|detector| detector.diagnose(&readings))
        .collect();
    if let Some(handshake) = readings.handshake() {
        certificate::diagnose(handshake, limits, trust, &mut findings);
    }
    if findings.is_empty() {
        return Diagnosis {
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
    Diagnosis {
        connection,
        findings,
    }
}

/// Diagnoses a connection as [`diagnose`] does, and leaves the words of a plain failure, of which there may be masses, for later
/// ([`Diagnosis::put_into_words`]): an attempt that nothing answered or that the server refused, and that shows nothing else.
#[must_use]
pub fn diagnose_briefly(
    connection: Box<Connection>,
    limits: &Limits,
    trust: &TrustStore,
) -> Diagnosis {
    match plain_attempt(&connection, limits) {
        Some(finding) => Diagnosis {
            connection,
            findings: finding.into_iter().collect(),
        },
        None => diagnose(connection, limits, trust),
    }
}

/// What [`diagnose_briefly`] finds of an attempt that nothing answered or that the server refused: its finding without words. Where
/// another device than the server refused it, its connection has more to say.
#[must_use]
pub fn diagnose_unopened(attempt: &Unopened, limits: &Limits) -> Option<Finding> {
    match attempt.refused() {
        Some(_) => refused::verdict_on(attempt, limits),
        None => syn_unanswered::verdict_on(attempt, limits),
    }
}

/// Whether [`diagnose`] finds nothing in a connection that went well, and its outcome is [`Outcome::Ok`].
#[must_use]
pub fn finds_nothing(healthy: &Healthy, limits: &Limits) -> bool {
    Signs::are_absent_in(healthy, limits)
}

/// What there is to say of an attempt that never opened and shows nothing else, which is nothing where the capture ended before
/// an answer was due. `None` of any other connection.
fn plain_attempt(connection: &Connection, limits: &Limits) -> Option<Option<Finding>> {
    let (client, server) = (&connection.client, &connection.server);
    let handshake = &connection.tcp.handshake;
    let unseen = client.tcp.counts.unseen_bytes + server.tcp.counts.unseen_bytes;
    let began = handshake.first_syn == Some(connection.first) && handshake.syn_acks == 0;
    let silent = client.first_payload.is_none() && server.first_payload.is_none();
    if connection.interrupted || !began || !silent || connection.app.is_some() || unseen > 0 {
        return None;
    }
    let signs = Signs::of(connection, limits);
    match signs.without(Signs::DAMAGE) {
        Signs::NO_ANSWER if !has_reason(connection, signs, limits) => {
            Some(syn_unanswered::verdict(connection, limits))
        }
        Signs::RESET if signs == Signs::RESET && connection.events.iter().all(refuses) => {
            // What came from another device than the host has more to say.
            refused::verdict(connection, limits)
                .filter(|finding| finding.culprit.role == Role::Server)
                .map(Some)
        }
        _ => None,
    }
}

/// Whether a rule says why an attempt without an answer had none.
fn has_reason(connection: &Connection, signs: Signs, limits: &Limits) -> bool {
    paws_drop::detect(connection, limits).is_some()
        || signs.any_of(Signs::DAMAGE) && checksum_drop::detect(connection, limits).is_some()
}

/// Whether an event is a SYN of the client, or a reset of the server in answer to one.
fn refuses(event: &Event) -> bool {
    match &event.kind {
        EventKind::Syn { .. } => event.from == Side::Client,
        EventKind::Reset(reset) => {
            let answers = matches!(
                reset.position,
                Position::AnswersSyn | Position::IgnoredInSynSent
            );
            event.from == Side::Server && answers
        }
        _ => false,
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

impl Diagnosis {
    /// Whether its only finding is to be put into words yet.
    #[must_use]
    pub fn is_wordless(&self) -> bool {
        matches!(self.findings.as_slice(), [only] if only.summary.is_empty())
    }

    /// Words what was left for later, as [`diagnose`] would have under the same limits.
    pub fn put_into_words(&mut self, limits: &Limits) {
        if let [only] = self.findings.as_mut_slice()
            && only.summary.is_empty()
            && let Some(detector) = DETECTORS
                .iter()
                .find(|known| known.record.code == only.code)
            && let Some(mut worded) = detector.detect(&self.connection, limits)
        {
            worded.frames.truncate(Finding::MAX_FRAMES);
            *only = worded;
        }
    }

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
        if let Some(reading) = quic::Reading::of(connection) {
            return !reading.is_established();
        }
        // DTLS is named, not diagnosed.
        if connection.dtls().is_some() {
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
    use crate::testing::{diagnose_all, only, without_tcp};

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
    /// A connection diagnosed briefly, and then put into words.
    fn briefly(connection: &Connection) -> (Diagnosis, Diagnosis) {
        let limits = Limits::default();
        let connection = Box::new(connection.clone());
        let brief = diagnose_briefly(connection, &limits, &TrustStore::mozilla());
        let mut worded = brief.clone();
        worded.put_into_words(&limits);
        (brief, worded)
    }

    #[test]
    fn masses_of_failures_are_put_into_words_later() {
        for (lines, wordless) in [
            ("0.0 > S 0:0(0)\n 9 end", true),
            ("0.0 > S 0:0(0) badsum\n 9 end", true),
            ("0.0 > S 0:0(0)\n 1.0 > S 0:0(0)\n 9 end", true),
            (
                "0.0 > S 0:0(0)\n 0.05 < RA 0:0(0) ack 1 abs-seq win 0 id 0",
                true,
            ),
            (
                "0.0 > S 0:0(0)\n 0.05 < RA 0:0(0) ack 77 abs-seq win 0 id 0",
                true,
            ),
            (
                "0.0 > S 0:0(0)\n 0.5 icmp 203.0.113.1 > client unreachable host\n 9 end",
                false,
            ),
            ("0.0 > S 0:0(0)\n 0.1 < SA 0:0(0) ack 1\n 9 end", false),
            (ANSWER, false),
        ] {
            for whole in diagnose_all(lines) {
                let (brief, worded) = briefly(&whole.connection);
                assert_eq!(brief.is_wordless(), wordless, "{lines}");
                assert_eq!(brief.outcome(), whole.outcome());
                assert_eq!(worded, whole);
            }
        }
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
