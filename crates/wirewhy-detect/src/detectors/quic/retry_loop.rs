//! `quic.retry-loop`: the server asks again for a token that it has given, or does not take it.

use wirewhy_flow::Side;
use wirewhy_protocol::CloseCode;

use super::{Reading, flow_marks, frames, phrase};
use crate::handshake::{culprit, flow_mark};
use crate::wording::{count, socket};
use crate::{Confidence, Detector, Finding, Group, Limits, Record, Reportable, Rule, Severity};

pub(crate) const RECORD: Record = Record {
    code: "quic.retry-loop",
    group: Group::Quic,
    title: "The server does not accept the token of its own Retry",
    severity: Severity::Error,
    means: "A server may answer the first packet with a Retry, and the client comes again with the token in it. Here the server, or \
            another one behind the same address, answers that with another Retry, or closes with INVALID_TOKEN. A client heeds \
            one Retry of an attempt only, so the connection fails.",
    recognised: "A Retry with a right integrity tag in answer to an Initial packet that carries the token of an earlier one, or \
                 CONNECTION_CLOSE with INVALID_TOKEN.",
    look_alikes: "Two Retry packets for the two datagrams of one ClientHello are in order: both answer the first attempt.",
    check_next: &[
        "Behind a load balancer: do all servers share the key of their tokens, and does the balancer keep a client on one server?",
        "Does a NAT change the client's port between the two packets? The token is bound to the address.",
        "Compare the clocks of the servers: tokens expire.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Quic(detect),
};

fn detect(reading: &Reading<'_>, _limits: &Limits) -> Option<Finding> {
    let Reading {
        connection, quic, ..
    } = *reading;
    let refused = quic
        .closes
        .iter()
        .find(|close| close.code == CloseCode::INVALID_TOKEN);
    let again = quic.retry_count >= 2;
    if reading.is_established() || !(again || refused.is_some()) {
        return None;
    }
    let at = socket(&connection.server);
    let name = reading.for_name();
    let summary = match refused {
        Some(close) => format!(
            "{at} refused the token of the client's Initial packet{name} with INVALID_TOKEN{}",
            phrase(close)
        ),
        None => format!(
            "{at} answered an Initial packet with the token of its Retry by another Retry{name}: {} in all",
            count(u64::from(quic.retry_count), "round")
        ),
    };
    let closed = refused.map(|close| flow_mark(close.mark));
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Certain,
        culprit: culprit(connection, Side::Server).at_most(Confidence::Likely),
        summary,
        frames: frames(closed.into_iter().chain(flow_marks(&quic.retries))),
        facts: reading
            .facts()
            .with("retries", quic.retry_count)
            .with("invalid_token", refused.is_some()),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::ConversationTrace;
    use crate::Role;

    #[test]
    fn a_retry_in_answer_to_a_token() {
        let found = ConversationTrace::new()
            .client_hello(0)
            .retry(20, 0x51)
            .client_hello(40)
            .retry(60, 0x61)
            .until(5_000)
            .cause();
        assert_eq!(
            (found.code, found.culprit.role),
            ("quic.retry-loop", Role::Server)
        );
    }

    #[test]
    fn a_token_that_is_refused() {
        let found = ConversationTrace::new()
            .client_hello(0)
            .retry(20, 0x51)
            .client_hello(40)
            .server_closes(60, 0x0b, "")
            .until(5_000)
            .cause();
        assert_eq!(found.code, "quic.retry-loop");
    }

    #[test]
    fn one_retry_is_in_order() {
        let conversation = ConversationTrace::new()
            .client_hello(0)
            .retry(20, 0x51)
            .client_hello(40)
            .handshake(60)
            .until(5_000);
        assert_eq!(conversation.codes(), [""; 0]);
    }
}
