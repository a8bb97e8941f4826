//! `tls.encrypted-alert`: a sealed record that fits an alert ended the handshake.

use wirewhy_flow::Side;

use super::{for_name, party, refused_flight};
use crate::causes::CERTIFICATES;
use crate::handshake::{End, Handshake, culprit};
use crate::{
    Cause, Confidence, Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "tls.encrypted-alert",
    group: Group::Tls,
    title: "An encrypted alert ended the handshake",
    severity: Severity::Error,
    means: "One side refused to go on, and what it said is encrypted. From the client, right after the server's flight, it is nearly \
            always about the server's certificate; from the server, after the client's flight, about the client's.",
    recognised: "Before TLS 1.3 by the record's type. In TLS 1.3 by size and place: a record of an alert's length where a Finished is \
                 due, or as all the server says after the client's flight, and the end of the connection right behind it.",
    look_alikes: "A close_notify has the same size: it is told apart by its place only. A short message of the application too: none \
                  is expected there.",
    check_next: &[
        "Log the secrets of the client (SSLKEYLOGFILE) and pass them with the capture: then the alert can be read.",
        "Check the server's certificate: openssl s_client -connect HOST:PORT -servername NAME -showcerts </dev/null.",
    ],
    explained_by: &[
        Cause::IfAsSevere("tls.not-tls"),
        CERTIFICATES,
        Cause::IfAsSevere("tls.downgraded"),
        Cause::IfAsSevere("tls.record-corrupted"),
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::FailedHandshake(detect),
};

fn detect(handshake: &Handshake<'_>, _limits: &Limits) -> Option<Finding> {
    let connection = handshake.connection;
    let End::SealedAlert {
        from,
        mark,
        length,
        by_type,
    } = handshake.end
    else {
        return None;
    };
    // With what the client's flight carried it has a code of its own.
    if refused_flight(handshake).is_some() {
        return None;
    }
    let about = match from {
        Side::Client => "right after the server's certificate: it most likely refused that",
        Side::Server => {
            "after the client's flight: it most likely refused the client's certificate, or that there was none"
        }
    };
    let known = if by_type {
        "an encrypted alert"
    } else {
        "a record of an encrypted alert's size"
    };
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Likely,
        culprit: culprit(connection, from.other()).at_most(Confidence::Possible),
        summary: format!(
            "{} ended the TLS handshake{} with {known} {about}",
            party(handshake, from),
            for_name(handshake),
        ),
        frames: handshake.frames([mark.frame]),
        facts: handshake
            .facts()
            .with("alert_from", from.name())
            .with("alert_frame", mark.frame)
            .with("record_bytes", length)
            .with("known_by", if by_type { "type" } else { "size and place" }),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{ConversationTrace, client_hello, sealed, server_hello};
    use crate::testing::{codes, only};
    use crate::{Confidence, Role};

    fn flight() -> Vec<u8> {
        [server_hello(0x0304, 0x1301), sealed(23, 900)].concat()
    }

    #[test]
    fn nineteen_bytes_where_a_finished_is_due() {
        let conversation = ConversationTrace::open()
            .client(&client_hello("a.example", &[0x0304], 0))
            .server(&flight())
            .client(&sealed(23, 19))
            .client_closes();
        let found = only(&conversation.lines());
        assert_eq!(found.code, "tls.encrypted-alert");
        assert_eq!(found.confidence, Confidence::Likely);
        assert_eq!(found.culprit.role, Role::Server);
    }

    #[test]
    fn a_finished_request_answer_and_farewell_are_silent() {
        let conversation = ConversationTrace::open()
            .client(&client_hello("a.example", &[0x0304], 0))
            .server(&flight())
            .client(&[sealed(23, 53), sealed(23, 200)].concat())
            .server(&[sealed(23, 250), sealed(23, 700)].concat())
            .client(&sealed(23, 19))
            .client_closes();
        assert!(codes(&conversation.lines()).is_empty());
    }
}
