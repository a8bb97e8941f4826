//! `tls.extension-required`: the client demands an extension that the server's hello lacks.

use wirewhy_flow::Side;

use super::{AlertReason, cause, finding, for_name, party};
use crate::causes::CERTIFICATES;
use crate::handshake::{Demand, Handshake, culprit};
use crate::{Confidence, Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity};

pub(crate) const RECORD: Record = Record {
    code: "tls.extension-required",
    group: Group::Tls,
    title: "The server's hello lacks an extension that the client demands",
    severity: Severity::Error,
    means: "The client offers an extension that protects the handshake and goes on with no server that does not answer it: the renegotiation \
            information (RFC 5746) or the extended master secret (RFC 7627). Old servers and devices that terminate TLS lack them.",
    recognised: "The client's handshake_failure right behind a ServerHello of TLS 1.2 or before, in which an extension is missing that the \
                 client had offered.",
    look_alikes: "Older Java and GnuTLS send handshake_failure about certificates, too: where the certificate is plainly bad, that is the \
                  cause. OpenSSL 3 logs that legacy renegotiation is disabled.",
    check_next: &[
        "openssl s_client -connect HOST:PORT -tls1_2: what does it print at Secure Renegotiation and Extended master secret?",
        "Update the server, or the device before it; both extensions are a decade old.",
        "For the time being: Options = UnsafeLegacyServerConnect in the client's openssl.cnf, at the cost of its protection.",
    ],
    explained_by: &[CERTIFICATES],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::FailedHandshake(detect),
};

fn detect(handshake: &Handshake<'_>, limits: &Limits) -> Option<Finding> {
    let (AlertReason::Extension, from, alert, description) = cause(handshake, limits)? else {
        return None;
    };
    let (lacks, rfc, confidence) = match handshake.demand()? {
        Demand::Renegotiation => ("renegotiation information", "RFC 5746", Confidence::Likely),
        // Few clients insist on it.
        Demand::MasterSecret => ("extended master secret", "RFC 7627", Confidence::Possible),
    };
    let found = finding(RECORD.code, handshake, (from, alert, description));
    Some(Finding {
        confidence,
        culprit: culprit(handshake.connection, Side::Server),
        summary: format!(
            "{} ended the handshake with {description} right behind a ServerHello without the {lacks} ({rfc}), which it had \
             offered{}",
            party(handshake, from),
            for_name(handshake),
        ),
        facts: found
            .facts
            .clone()
            .with("lacks", lacks)
            .with("defined_in", rfc),
        ..found
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{
        ConversationTrace, careful_client_hello, client_hello, extension, fatal, server_hello,
        server_hello_with,
    };
    use crate::Confidence;
    use crate::testing::{codes, only};

    fn refused(extensions: &[u8]) -> ConversationTrace {
        let hello = server_hello_with((0x0303, 0xc02f), (&[9; 32], &[]), extensions);
        ConversationTrace::open()
            .client(&careful_client_hello("a.example"))
            .server(&hello)
            .client(&fatal(40))
            .client_closes()
    }

    #[test]
    fn either_extension_can_be_missing() {
        let renegotiation = extension(0xff01, &[0]);
        for (has, lacks, confidence) in [
            (&[][..], "renegotiation", Confidence::Likely),
            (&renegotiation, "master secret", Confidence::Possible),
        ] {
            let found = only(&refused(has).lines());
            assert_eq!(found.code, "tls.extension-required");
            assert_eq!(found.confidence, confidence);
            assert!(found.summary.contains(lacks), "{}", found.summary);
        }
    }

    #[test]
    fn with_both_or_without_an_offer_it_is_the_alert() {
        let both = [extension(0xff01, &[0]), extension(23, &[])].concat();
        let unasked = ConversationTrace::open()
            .client(&client_hello("a.example", &[], 0))
            .server(&server_hello(0x0303, 0xc02f))
            .client(&fatal(40))
            .client_closes();
        for conversation in [refused(&both), unasked] {
            assert_eq!(codes(&conversation.lines()), ["tls.alert"]);
        }
    }
}
