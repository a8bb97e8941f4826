//! `tls.weak-key-exchange`: a Diffie-Hellman group that is too small.

use wirewhy_flow::Side;

use super::{for_name, party};
use crate::handshake::{Handshake, culprit};
use crate::{Confidence, Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity};

pub(crate) const RECORD: Record = Record {
    code: "tls.weak-key-exchange",
    group: Group::Tls,
    title: "The server's Diffie-Hellman group is too small",
    severity: Severity::Error,
    means: "The server chose a key exchange over a finite field (DHE) with a prime of fewer than 2048 bits. Present clients refuse it; those \
            that take it can be read by who spends enough on that prime (Logjam).",
    recognised: "The length of the prime in the ServerKeyExchange. An error where the client then refuses with handshake_failure, \
                 insufficient_security or illegal_parameter; where it goes on a warning below 1024 bits, else a note.",
    look_alikes: "A weak certificate: tls.cert-weak.",
    check_next: &[
        "Give the server a group of 2048 bits or more (nginx: ssl_dhparam, Java: jdk.tls.ephemeralDHKeySize), or only ECDHE suites.",
        "openssl s_client -connect HOST:PORT -tls1_2 -cipher DHE: Server Temp Key.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Handshake(detect),
};

/// A prime of fewer bits has been broken by what a university can spend (Logjam, CCS 2015).
const BROKEN: u32 = 1_024;

fn detect(handshake: &Handshake<'_>, limits: &Limits) -> Option<Finding> {
    let bits = handshake.weak_exchange(limits)?;
    let refused = handshake.refused_exchange(limits);
    let words = refused
        .and_then(|alert| alert.description)
        .map_or(String::new(), |description| {
            format!("; the client refused ({description})")
        });
    let (severity, confidence) = match refused {
        Some(_) => (Severity::Error, Confidence::Likely),
        None if bits < BROKEN => (Severity::Warning, Confidence::Certain),
        None => (Severity::Note, Confidence::Certain),
    };
    Some(Finding {
        code: RECORD.code,
        severity,
        confidence,
        culprit: culprit(handshake.connection, Side::Server),
        summary: format!(
            "{} chose a Diffie-Hellman group of {bits} bits{}{words}",
            party(handshake, Side::Server),
            for_name(handshake),
        ),
        frames: handshake.frames(refused.map(|alert| alert.mark.frame)),
        facts: handshake
            .facts()
            .with("prime_bits", bits)
            .with("threshold_bits", limits.group_bits),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{
        ConversationTrace, change_cipher_spec, client_hello, fatal, sealed, server_hello,
        server_hello_done, server_key_exchange,
    };
    use crate::Severity;
    use crate::testing::{codes, only};

    fn flight(bytes: usize) -> ConversationTrace {
        let flight = [
            server_hello(0x0303, 0x009e),
            server_key_exchange(bytes),
            server_hello_done(),
        ];
        ConversationTrace::open()
            .client(&client_hello("a.example", &[], 0))
            .server(&flight.concat())
    }

    #[test]
    fn a_small_group_that_is_refused_and_one_that_is_taken() {
        let refused = flight(128).client(&fatal(40)).client_closes();
        let found = only(&refused.lines());
        assert_eq!(
            (found.code, found.severity),
            ("tls.weak-key-exchange", Severity::Error)
        );
        assert!(found.summary.contains("1024 bits"), "{}", found.summary);
        let taken = |bytes| {
            let conversation = flight(bytes)
                .client(&[change_cipher_spec(), sealed(22, 40)].concat())
                .server(&[change_cipher_spec(), sealed(22, 40)].concat())
                .client(&sealed(23, 60))
                .server(&sealed(23, 60))
                .client(&sealed(21, 26))
                .client_closes();
            let found = only(&conversation.lines());
            (found.code, found.severity)
        };
        assert_eq!(taken(128), ("tls.weak-key-exchange", Severity::Note));
        assert_eq!(taken(64), ("tls.weak-key-exchange", Severity::Warning));
    }

    #[test]
    fn a_group_of_2048_bits_is_none() {
        let conversation = flight(256).client(&fatal(40)).client_closes();
        assert_eq!(codes(&conversation.lines()), ["tls.alert"]);
    }
}
