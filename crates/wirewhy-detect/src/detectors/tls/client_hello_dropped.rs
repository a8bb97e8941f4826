//! `tls.client-hello-dropped`: a ClientHello of several segments gets no answer.

use wirewhy_flow::{Connection, Side};

use super::{for_name, hello_mark};
use crate::handshake::{End, Handshake, has_waited};
use crate::wording::socket;
use crate::{Confidence, Culprit, Detector, Facts, Finding, Limits, Record, Role, Severity};

pub(crate) const RECORD: Record = Record {
    code: "tls.client-hello-dropped",
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
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    detect,
};

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let handshake = Handshake::failed(connection)?;
    let tls = handshake.tls;
    let hello = tls.client_hello.as_deref()?;
    let split = hello.begun.frame != hello.mark.frame;
    let answered = connection.server.first_payload.is_some() || tls.retry.is_some();
    if !split || answered {
        return None;
    }
    let how = match handshake.end {
        End::Reset {
            from: Side::Server, ..
        } => "a reset",
        End::Closed {
            from: Side::Server, ..
        } => "a FIN",
        End::Silence { waited, .. } if has_waited(waited, limits) => "silence",
        End::Closed {
            from: Side::Client,
            mark,
        }
        | End::Reset {
            from: Side::Client,
            mark,
        } if has_waited(mark.time.since(hello_mark(&handshake)?.time), limits) => "silence",
        _ => return None,
    };
    let server = &connection.server;
    let acknowledged = connection
        .client
        .unacknowledged_by(server)
        .saturating_sub(u32::from(connection.client.fin.is_some()))
        == 0;
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        // Without a shorter hello that succeeds it is one reading of several.
        confidence: Confidence::Possible,
        culprit: if acknowledged {
            Culprit {
                role: Role::Server,
                address: Some(server.address),
            }
        } else {
            Culprit::from(Role::Path)
        },
        summary: format!(
            "a ClientHello of {} bytes in several segments{} to {} was met with {how} instead of a ServerHello",
            hello.length(),
            for_name(&handshake),
            socket(server),
        ),
        frames: vec![hello.begun.frame, hello.mark.frame],
        facts: Facts::default()
            .with(
                "hello_bytes",
                u64::try_from(hello.length()).unwrap_or(u64::MAX),
            )
            .with("records", hello.records)
            .with("all_acknowledged", acknowledged)
            .with("met_with", how)
            .with("stage", "tls-client-hello"),
        consequence_of: if acknowledged {
            None
        } else {
            Some("tcp.mtu-blackhole")
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{Talk, client_hello};
    use crate::Confidence;
    use crate::testing::{codes, judged};

    #[test]
    fn two_segments_and_a_fin() {
        let hello = client_hello("a.example", &[0x0304], 1700);
        let (first, second) = hello.split_at(1460);
        let talk = Talk::open().client(first).client(second).server_closes();
        let judged = judged(&talk.lines());
        let root = judged.root_cause().unwrap();
        assert_eq!(root.code, "tls.client-hello-dropped");
        assert_eq!(root.confidence, Confidence::Possible);
    }

    #[test]
    fn one_segment_is_none() {
        let talk = Talk::open()
            .client(&client_hello("a.example", &[0x0304], 0))
            .server_closes();
        assert!(!codes(&talk.lines()).contains(&"tls.client-hello-dropped"));
    }
}
