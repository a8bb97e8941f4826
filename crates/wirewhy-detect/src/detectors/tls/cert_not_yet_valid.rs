//! `tls.cert-not-yet-valid`: a certificate was presented before its validity began.

use super::validity::{self, Edge};
use crate::{Cause, Detector, Group, Record, Reportable, Rule, Severity};

pub(crate) const RECORD: Record = Record {
    code: "tls.cert-not-yet-valid",
    group: Group::Tls,
    title: "The server's certificate was not valid yet",
    severity: Severity::Error,
    means: "The server presented a certificate, or one of its chain, whose validity had not begun when it was captured. Clients that \
            verify refuse it.",
    recognised: "notBefore of the leaf, or of a certificate its chain needs, after the time of the packet that carried it.",
    look_alikes: "A recording host whose clock is behind: then every certificate looks younger. Where no certificate of the chain was valid \
                  yet, not even those of its authorities, it is a note about that clock.",
    check_next: &[
        "Which clock is wrong: that of the authority that issued it, of the server, or of the recording host?",
        "openssl s_client -connect HOST:PORT -servername NAME </dev/null | openssl x509 -noout -dates",
    ],
    explained_by: &[
        Cause::IfError("tls.intercepted"),
        Cause::IfError("tls.cert-revoked"),
        Cause::IfError("tls.cert-expired"),
    ],
    reportable: Reportable::ClientReaction,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Certificate(|presented, _| validity::detect(&RECORD, presented, Edge::Beginning)),
};
