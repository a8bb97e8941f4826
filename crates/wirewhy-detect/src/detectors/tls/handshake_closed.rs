//! `tls.handshake-closed`: a FIN in the middle of the handshake.

use wirewhy_flow::{Connection, Side};
use wirewhy_protocol::TlsStage;

use super::{for_name, party, told_otherwise};
use crate::handshake::{End, Handshake, culprit};
use crate::{Confidence, Detector, Finding, Limits, Record, Severity};

pub(crate) const RECORD: Record = Record {
    code: "tls.handshake-closed",
    title: "The connection was closed in the middle of the TLS handshake",
    severity: Severity::Error,
    means: "One side closed before the handshake was done, and no alert says why.",
    recognised: "A FIN while the handshake was under way, without a fatal alert before it.",
    look_alikes: "A reset at the same place: tls.handshake-reset. After long silence: tls.handshake-timeout. A client that closes right \
                  after a plainly bad certificate: that certificate is the cause.",
    check_next: &[
        "Closed by the server right after the ClientHello: is TLS served on that port, for that name? See its log.",
        "Closed by the client after the server's certificate: it most likely did not like it; check it with openssl s_client.",
    ],
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    detect,
};

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let handshake = Handshake::failed(connection)?;
    let End::Closed { from, mark } = handshake.end else {
        return None;
    };
    if told_otherwise(connection, limits) {
        return None;
    }
    let hint = match (from, handshake.stage) {
        (Side::Server, TlsStage::ClientHello) => ", right after the ClientHello",
        (Side::Client, TlsStage::ServerFlight) => ", right after the server's certificate",
        _ => "",
    };
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Certain,
        culprit: culprit(connection, from),
        summary: format!(
            "{} closed the connection in the middle of the TLS handshake{}{hint}, without an alert",
            party(&handshake, from),
            for_name(&handshake),
        ),
        frames: handshake.frames([mark.frame]),
        facts: handshake.facts().with("closed_by", from.name()),
        consequence_of: None,
    })
}
