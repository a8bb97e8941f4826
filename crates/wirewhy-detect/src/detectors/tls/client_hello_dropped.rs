//! `tls.client-hello-dropped`: a ClientHello of several segments gets no answer.

use wirewhy_flow::{Mark, Side};

use super::{for_name, hello_mark};
use crate::handshake::{End, Handshake, long_enough};
use crate::wording::socket;
use crate::{
    Cause, Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role,
    Rule, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "tls.client-hello-dropped",
    group: Group::Tls,
    title: "A ClientHello of several segments gets no answer",
    severity: Severity::Error,
    means: "The client's hello did not fit one segment, as with post-quantum key shares, and it was not answered: a server or a device on \
            the way takes only what comes in the first segment, or the path drops full-size packets.",
    recognised: "The TCP handshake worked, the ClientHello takes two segments or more, and a reset, a FIN or silence follows instead of \
                 a ServerHello.",
    look_alikes: "A server that is busy or does not serve TLS ends a short hello the same way: a second connection of the same client \
                  with a hello of one segment that succeeds is the proof. A full-size segment that is never acknowledged: \
                  tcp.mtu-blackhole.",
    check_next: &[
        "Repeat with a short hello: openssl s_client -groups X25519 -connect HOST:PORT. Does it work then?",
        "Update or bypass the firewall or balancer in front of the server; capture on both sides of it.",
    ],
    explained_by: &[
        Cause::IfAsSevere("tls.not-tls"),
        Cause::IfAsSevere("proxy.header-mismatch"),
        Cause::IfAsSevere("rst.injected"),
        Cause::IfAsSevere("tcp.mtu-blackhole"),
    ],
    reportable: Reportable::MoreAttempts,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::FailedHandshake(detect),
};

fn detect(handshake: &Handshake<'_>, limits: &Limits) -> Option<Finding> {
    // Over QUIC what is sent again and acknowledged is seen otherwise: quic.client-hello-dropped.
    if handshake.tls.is_quic() {
        return None;
    }
    let connection = handshake.connection;
    let tls = handshake.tls;
    let answered = connection.server.first_payload.is_some() || tls.retry.is_some();
    let hello = LongHello::of(handshake)?;
    let how = met_with(handshake, &hello, limits)?;
    if answered {
        return None;
    }
    let server = &connection.server;
    // A server that was not heard since has vanished, whatever was sent to it.
    let begun = hello.frames.first().copied().unwrap_or_default();
    if how == SILENCE && server.last.is_none_or(|last| last.frame < begun) {
        return None;
    }
    let acknowledged = handshake.ending.is_taken(Side::Client);
    let whole = hello.missing == 0;
    let what = if whole {
        format!("of {} bytes in several segments", hello.bytes)
    } else {
        format!(
            "of {} bytes, of which the last {} never came,",
            hello.bytes, hello.missing
        )
    };
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        // Without a shorter hello that succeeds it is one reading of several.
        confidence: Confidence::Possible,
        // A device before the server can acknowledge in its name, and a server can drop what it acknowledged.
        culprit: match acknowledged && whole {
            true => Culprit::new(Role::Server, server.address),
            false => Culprit::from(Role::Path),
        }
        .at_most(Confidence::Possible),
        summary: format!(
            "a ClientHello {what}{} to {} was met with {how} instead of a ServerHello",
            for_name(handshake),
            socket(server),
        ),
        frames: hello.frames,
        facts: Facts::default()
            .with("hello_bytes", hello.bytes)
            .with("missing_bytes", hello.missing)
            .with("all_acknowledged", acknowledged)
            .with("met_with", how)
            .with("stage", "tls-client-hello"),
        consequence_of: None,
    })
}

/// A ClientHello of more than one segment, or the beginning of one.
struct LongHello {
    bytes: u64,
    missing: u64,
    frames: Vec<u64>,
    complete: Option<Mark>,
}

impl LongHello {
    fn of(handshake: &Handshake<'_>) -> Option<LongHello> {
        let tls = handshake.tls;
        if let Some(hello) = tls.client_hello.as_deref() {
            return (hello.begun.frame != hello.mark.frame).then(|| LongHello {
                bytes: u64::try_from(hello.length()).unwrap_or(u64::MAX),
                missing: 0,
                frames: vec![hello.begun.frame, hello.mark.frame],
                complete: hello_mark(handshake),
            });
        }
        let begun = tls.client.incomplete?;
        // A client that stops of itself does not fill its segment.
        let mss = handshake.connection.mss()?;
        let full = begun.received.saturating_add(RECORD_HEADER + OPTIONS) >= u32::from(mss);
        full.then(|| LongHello {
            bytes: u64::from(begun.announced),
            missing: u64::from(begun.announced.saturating_sub(begun.received)),
            frames: vec![begun.begun.frame],
            complete: None,
        })
    }
}

/// Nothing came.
const SILENCE: &str = "silence";

/// A TLS record's header.
const RECORD_HEADER: u32 = 5;

/// What TCP options take of a segment at most.
const OPTIONS: u32 = 40;

/// What came instead of a ServerHello, in words.
fn met_with(handshake: &Handshake<'_>, hello: &LongHello, limits: &Limits) -> Option<&'static str> {
    match handshake.end {
        End::Reset {
            from: Side::Server, ..
        } => Some("a reset"),
        End::Closed {
            from: Side::Server, ..
        } => Some("a FIN"),
        End::Silence { waited, .. } => long_enough(handshake, waited, limits).map(|_| SILENCE),
        End::Closed {
            from: Side::Client,
            mark,
        }
        | End::Reset {
            from: Side::Client,
            mark,
        } => {
            let waited = mark.time.since(hello.complete?.time);
            (waited >= limits.handshake_silence).then_some(SILENCE)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::traces::{ConversationTrace, client_hello};
    use crate::Confidence;
    use crate::testing::{codes, diagnosis};

    #[test]
    fn two_segments_and_a_fin() {
        let hello = client_hello("a.example", &[0x0304], 1700);
        let (first, second) = hello.split_at(1460);
        let conversation = ConversationTrace::open()
            .client(first)
            .client(second)
            .server_closes();
        let diagnosis = diagnosis(&conversation.lines());
        let root = diagnosis.root_cause().unwrap();
        assert_eq!(root.code, "tls.client-hello-dropped");
        assert_eq!(root.confidence, Confidence::Possible);
    }

    /// A hello of two segments of which the second is sent again and again; `answer` is what comes of the first.
    fn second_half_lost(answer: &str) -> &'static str {
        let hello = client_hello("a.example", &[0x0304], 1700);
        let (first, second) = hello.split_at(1460);
        let hex = |bytes: &[u8]| {
            bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        let end = 1 + hello.len();
        let again: String = ["0.30", "0.90", "2.10", "4.50", "9.00", "18.0"]
            .iter()
            .map(|at| {
                format!(
                    "{at} > PA 1461:{end}({}) ack 1 hex {}\n",
                    second.len(),
                    hex(second)
                )
            })
            .collect();
        let lines = format!(
            "0.00 > S 0:0(0) <mss 1460>
             0.02 < SA 0:0(0) ack 1 <mss 1460>
             0.021 > A 1:1(0) ack 1
             0.03 > A 1:1461(1460) ack 1 hex {}
             0.0301 > PA 1461:{end}({}) ack 1 hex {}
             {answer}
             {again}20.0 end",
            hex(first),
            second.len(),
            hex(second)
        );
        diagnosis(&lines).root_cause().unwrap().code
    }

    #[test]
    fn the_second_half_of_a_hello_is_lost() {
        let root = second_half_lost("0.05 < A 1:1(0) ack 1461");
        assert_eq!(root, "tls.client-hello-dropped");
        assert_eq!(second_half_lost(""), "tcp.peer-vanished");
    }

    #[test]
    fn one_segment_is_none() {
        let conversation = ConversationTrace::open()
            .client(&client_hello("a.example", &[0x0304], 0))
            .server_closes();
        assert!(!codes(&conversation.lines()).contains(&"tls.client-hello-dropped"));
    }
}
