//! `tls.cert-expired`: a certificate was presented after its validity had ended.

use super::validity::{self, Edge};
use crate::{Cause, Detector, Group, Record, Reportable, Rule, Severity};

pub(crate) const RECORD: Record = Record {
    code: "tls.cert-expired",
    group: Group::Tls,
    title: "The server's certificate had expired",
    severity: Severity::Error,
    means: "The server presented a certificate, or one of its chain, whose validity had ended when it was captured. Clients that verify \
            refuse it.",
    recognised: "notAfter of the leaf, or of a certificate its chain needs, before the time of the packet that carried it. An error where \
                 the client then ended the handshake or left without using it, a warning where it went on.",
    look_alikes: "A client whose clock is wrong says certificate_expired about a valid certificate: then the validity here holds, and the \
                  finding is tls.alert. An expired certificate that the chain does not need counts only where the client refused.",
    check_next: &[
        "Renew the certificate, and reload the server: a renewed file that was never loaded is the usual cause.",
        "openssl s_client -connect HOST:PORT -servername NAME </dev/null | openssl x509 -noout -dates",
        "The second and later certificates of the chain expire, too: -showcerts.",
    ],
    explained_by: &[
        Cause::IfError("tls.intercepted"),
        Cause::IfError("tls.cert-revoked"),
    ],
    reportable: Reportable::ClientReaction,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Certificate(|presented, _| validity::detect(&RECORD, presented, Edge::End)),
};
