//! `tls.downgraded`: one of the hellos was changed on its way.

use super::{for_name, party};
use crate::handshake::{End, Handshake, Rewritten};
use crate::{
    Confidence, Culprit, Detector, Finding, Group, Limits, Record, Reportable, Role, Rule, Severity,
};
use wirewhy_flow::Side;

pub(crate) const RECORD: Record = Record {
    code: "tls.downgraded",
    group: Group::Tls,
    title: "Something on the path rewrites TLS hellos",
    severity: Severity::Error,
    means: "What the client sent is not what the server answered: a device between them changes hellos (an inspecting firewall, a \
            balancer, an old proxy). Clients that notice end the handshake.",
    recognised: "The client offered TLS 1.3 and the server chose less, with the mark in its random that says it would speak 1.3 (RFC 8446 \
                 section 4.1.3); or a ServerHello of TLS 1.3 returns another session id than the client sent. An error where the \
                 handshake then failed, a warning where it went on.",
    look_alikes: "A server that speaks TLS 1.2 only chooses it without that mark. A broken server can return a wrong session id.",
    check_next: &[
        "Capture on both sides of each device between the two and compare the hellos byte by byte.",
        "Is there a firewall that decrypts TLS, or a proxy that knows TLS 1.2 only? Except the name from inspection, or update it.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Handshake(detect),
};

fn detect(handshake: &Handshake<'_>, _limits: &Limits) -> Option<Finding> {
    let rewritten = handshake.rewritten()?;
    let what = match rewritten {
        Rewritten::Version(version) => format!(
            "chose {version} with the mark of a server that speaks a newer version, which the client had offered"
        ),
        Rewritten::SessionId => "returned another session id than the client had sent".to_owned(),
    };
    let confidence = match rewritten {
        Rewritten::Version(_) => Confidence::Likely,
        // A broken server does the same.
        Rewritten::SessionId => Confidence::Possible,
    };
    let (severity, words, frame) = match handshake.end {
        End::Alert { from, alert } => (
            Severity::Error,
            alert.description.map_or(String::new(), |description| {
                format!("; the {} ended the handshake ({description})", from.name())
            }),
            Some(alert.mark.frame),
        ),
        End::Completed => (
            Severity::Warning,
            "; the client went on all the same".to_owned(),
            None,
        ),
        End::SealedAlert { mark, .. } | End::Reset { mark, .. } | End::Closed { mark, .. } => (
            Severity::Error,
            "; the handshake failed behind it".to_owned(),
            Some(mark.frame),
        ),
        End::Silence { .. } => (Severity::Warning, String::new(), None),
    };
    Some(Finding {
        code: RECORD.code,
        severity,
        confidence,
        culprit: Culprit::from(Role::Path),
        summary: format!(
            "{} {what}{}: something on the path rewrites hellos{words}",
            party(handshake, Side::Server),
            for_name(handshake),
        ),
        frames: handshake.frames(frame),
        facts: handshake.facts().with(
            "shown_by",
            match rewritten {
                Rewritten::Version(_) => "downgrade mark",
                Rewritten::SessionId => "session id",
            },
        ),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{ConversationTrace, client_hello, fatal, server_hello_with};
    use crate::testing::{codes, only};
    use crate::{Confidence, Role};

    /// A random that ends in the mark of a server of TLS 1.3.
    fn marked() -> [u8; 32] {
        let mut random = [9; 32];
        random[24..].copy_from_slice(b"DOWNGRD\x01");
        random
    }

    fn answered(
        versions: &[u16],
        chosen: u16,
        random: &[u8; 32],
        session: &[u8],
    ) -> ConversationTrace {
        let suite = if chosen == 0x0304 { 0x1301 } else { 0xc02f };
        ConversationTrace::open()
            .client(&client_hello("a.example", versions, 0))
            .server(&server_hello_with((chosen, suite), (random, session), &[]))
            .client(&fatal(47))
            .client_closes()
    }

    #[test]
    fn the_mark_and_the_session_id() {
        let mark = answered(&[0x0304, 0x0303], 0x0303, &marked(), &[]);
        let session = answered(&[0x0304], 0x0304, &[9; 32], &[1; 32]);
        for (conversation, confidence) in
            [(mark, Confidence::Likely), (session, Confidence::Possible)]
        {
            let found = only(&conversation.lines());
            assert_eq!(
                (found.code, found.culprit.role, found.confidence),
                ("tls.downgraded", Role::Path, confidence)
            );
        }
    }

    #[test]
    fn an_old_server_and_an_old_client_are_none() {
        let old_server = answered(&[0x0304, 0x0303], 0x0303, &[9; 32], &[2; 32]);
        let old_client = answered(&[0x0303], 0x0303, &marked(), &[]);
        for conversation in [old_server, old_client] {
            assert_eq!(codes(&conversation.lines()), ["tls.alert"]);
        }
    }
}
