//! `quic.version-mismatch`: the server does not speak the client's version.

use wirewhy_flow::Side;
use wirewhy_protocol::QuicVersion;

use super::{Reading, flow_marks, frames, listed, versions};
use crate::handshake::{culprit, flow_mark};
use crate::wording::{count, socket};
use crate::{
    Confidence, Culprit, Detector, Finding, Group, Limits, Record, Reportable, Role, Rule, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "quic.version-mismatch",
    group: Group::Quic,
    title: "The server does not speak the client's version of QUIC",
    severity: Severity::Error,
    means: "The server answered the client's first packet with the versions that it speaks, and the client's is not among them. \
            Where the client has one of them too it begins again, which costs a round trip; else the connection fails.",
    recognised: "A Version Negotiation packet that echoes the client's connection ids and does not list the version that it used. \
                 It is not authenticated: one that lists that version is ignored, as clients must ignore it.",
    look_alikes: "A client that begins with a reserved version (GREASE) to keep servers tolerant, and goes on with a real one, \
                  has no trouble.",
    check_next: &[
        "Compare the versions of both sides: which of them is out of date, or restricted by its configuration?",
        "A load balancer may pass the first packet to servers of different age: repeat it a few times.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Quic(detect),
};

fn detect(reading: &Reading<'_>, limits: &Limits) -> Option<Finding> {
    let Reading {
        connection, quic, ..
    } = *reading;
    let negotiation = quic.negotiation.as_ref()?;
    let went_on = negotiation.went_on;
    let waited = connection.heard_after(negotiation.mark.time);
    if went_on.is_none() && quic.closes.is_empty() && waited < limits.silence {
        return None;
    }
    let offered = negotiation.offered;
    let found = |severity, culprit, words: String| Finding {
        code: RECORD.code,
        severity,
        confidence: Confidence::Certain,
        culprit,
        summary: format!(
            "{} does not speak QUIC version {offered}{}: it offers {}{words}",
            socket(&connection.server),
            reading.for_name(),
            listed(&negotiation.versions),
        ),
        frames: frames(
            [flow_mark(negotiation.mark), connection.first]
                .into_iter()
                .chain(flow_marks(went_on.as_slice())),
        ),
        facts: reading
            .facts()
            .with("client_version", offered.to_string())
            .with("server_versions", versions(&negotiation.versions))
            .with("went_on", went_on.is_some()),
        consequence_of: None,
    };
    if went_on.is_some() {
        let words = format!("; the client went on with version {}", quic.version);
        return Some(found(Severity::Note, at_fault(reading, offered), words));
    }
    let more = quic.client.datagrams.saturating_sub(1);
    let words = match more {
        0 => "; the client left".to_owned(),
        more => format!(
            "; the client sent {} more and left",
            count(more, "datagram")
        ),
    };
    Some(found(Severity::Error, at_fault(reading, offered), words))
}

/// Who lacks a version: the client where the server has version 1, the server where it lacks that, which every client has.
fn at_fault(reading: &Reading<'_>, offered: QuicVersion) -> Culprit {
    let connection = reading.connection;
    let lists = reading
        .quic
        .negotiation
        .as_ref()
        .is_some_and(|negotiation| negotiation.versions.contains(&QuicVersion::V1));
    match (offered == QuicVersion::V1, lists) {
        (true, _) => culprit(connection, Side::Server).at_most(Confidence::Likely),
        (false, true) => culprit(connection, Side::Client).at_most(Confidence::Likely),
        (false, false) => Role::Unknown.into(),
    }
}

#[cfg(test)]
mod tests {
    use wirewhy_protocol::QuicVersion;

    use super::super::traces::ConversationTrace;
    use crate::{Role, Severity};

    #[test]
    fn a_server_of_version_2_alone() {
        let found = ConversationTrace::new()
            .client_hello(0)
            .negotiation(20, &[QuicVersion::V2, QuicVersion(0x1a2a_3a4a)])
            .until(5_000)
            .only();
        assert_eq!(found.code, "quic.version-mismatch");
        assert_eq!(
            (found.severity, found.culprit.role),
            (Severity::Error, Role::Server)
        );
        assert!(found.summary.contains("offers 2;"), "{}", found.summary);
    }

    #[test]
    fn a_client_that_goes_on_loses_a_round_trip() {
        let found = ConversationTrace::of(QuicVersion::V2)
            .client_hello(0)
            .negotiation(20, &[QuicVersion::V1])
            .with_version(QuicVersion::V1)
            .client_hello(40)
            .handshake(60)
            .until(5_000)
            .only();
        assert_eq!(
            (found.code, found.severity),
            ("quic.version-mismatch", Severity::Note)
        );
        assert_eq!(found.culprit.role, Role::Client);
    }

    #[test]
    fn a_list_with_the_version_in_use_is_to_be_ignored() {
        let conversation = ConversationTrace::new()
            .client_hello(0)
            .negotiation(20, &[QuicVersion::V1])
            .handshake(60)
            .until(5_000);
        assert_eq!(conversation.codes(), [""; 0]);
    }
}
