//! `tls.starttls-not-offered`: the server does not announce the change to TLS, and the client leaves.

use wirewhy_flow::{Connection, Interval, Mark, Side};
use wirewhy_protocol::{Upgrade, UpgradeProtocol, UpgradeVerdict};

use super::starttls_refused;
use crate::causes::CONVERSATION;
use crate::ending::Ending;
use crate::handshake::culprit;
use crate::wording::socket;
use crate::{
    Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tls.starttls-not-offered",
    group: Group::Tls,
    title: "The server does not offer the change to TLS",
    severity: Severity::Error,
    means: "The server's greeting or list of capabilities lacks STARTTLS or its kin, and the client left without going on: it insists on \
            TLS. Where the word is there in X's, a device on the path has written over it so that mail stays readable.",
    recognised: "An answer to EHLO, CAPA or CAPABILITY, or a MySQL greeting, without the change to TLS; the client asks for nothing more \
                 and leaves. Certain devices mask the announcement with a word of the same length (XXXXXXXA): a note where the client \
                 goes on without TLS.",
    look_alikes: "A health check that greets and leaves looks the same: then it comes again and again from one host. A server that announces \
                  TLS and refuses it when asked: tls.starttls-refused.",
    check_next: &[
        "openssl s_client -starttls smtp -connect HOST:PORT (imap, pop3, mysql): does the server offer it from another network?",
        "Masked: Cisco's ESMTP inspection does that (no inspect esmtp, or allow-tls).",
        "Not masked: switch TLS on in the server (Postfix: smtpd_tls_security_level, MySQL: ssl_cert), or is it the wrong port?",
    ],
    explained_by: &[CONVERSATION],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Connection(Signs::UPGRADE, detect),
};

/// How long a client takes to leave that has read what the server offers, a round trip not counted.
const LEAVES_WITHIN: Interval = Interval::from_secs(2);

fn detect(connection: &Connection, _limits: &Limits) -> Option<Finding> {
    let app = connection.app.as_deref()?;
    let upgrade = app.upgrade.as_deref()?;
    let name = starttls_refused::name(upgrade.protocol)?;
    let not_offered = upgrade.verdict == UpgradeVerdict::NotAsked && upgrade.offered == Some(false);
    if !not_offered || app.tls.is_some() {
        return None;
    }
    let masked = masked(upgrade);
    let left = match upgrade.went_on {
        Some(_) => None,
        None => left(connection),
    };
    let (severity, ending, frame) = match (left, upgrade.went_on) {
        (Some(mark), _) => (Severity::Error, "; the client left", mark.frame),
        (None, Some(mark)) if masked.is_some() => (
            Severity::Note,
            "; the client went on in plain text",
            mark.frame,
        ),
        _ => return None,
    };
    let server = socket(&connection.server);
    let (confidence, at_fault, what) = match masked {
        Some(line) => (
            Confidence::Likely,
            Culprit::from(Role::Path),
            format!("the offer of {name} by {server} arrived masked (\"{line}\")"),
        ),
        None => (
            Confidence::Possible,
            culprit(connection, Side::Server),
            format!("{server} does not offer {name}"),
        ),
    };
    Some(Finding {
        code: RECORD.code,
        severity,
        confidence,
        culprit: at_fault,
        summary: format!("{what}{ending}"),
        frames: [
            Some(frame),
            connection.server.last_payload.map(|mark| mark.frame),
        ]
        .into_iter()
        .flatten()
        .collect(),
        facts: Facts::default()
            .with("protocol", name)
            .with("masked", masked)
            .with("went_on_in_plain_text", upgrade.went_on.is_some())
            .with("stage", "starttls"),
        consequence_of: None,
    })
}

/// The line in which a device has written over the announcement.
fn masked(upgrade: &Upgrade) -> Option<&str> {
    let line = upgrade.reply.as_deref()?.trim_end();
    let is_list = upgrade.protocol == UpgradeProtocol::Smtp && line.starts_with("250");
    is_list.then_some(line)
}

/// Where the client left behind what the server had said: at once, or with its farewell.
fn left(connection: &Connection) -> Option<Mark> {
    let ending = Ending::of(connection);
    let first_payload_of_server = connection.server.first_payload?;
    let (from, mark) = [ending.closed, ending.reset]
        .into_iter()
        .flatten()
        .min_by_key(|(_, mark)| mark.frame)?;
    let last = [&connection.client, &connection.server]
        .into_iter()
        .filter_map(|side| side.last_payload)
        .filter(|last| last.frame <= mark.frame)
        .max_by_key(|last| last.frame)?;
    let within = Interval(LEAVES_WITHIN.0.saturating_add(ending.round_trip.0));
    let soon = mark.time.since(last.time) <= within;
    let had_it = first_payload_of_server.frame < mark.frame && ending.crossed(mark) == 0;
    // A server that closes first closes behind the client's farewell, which it has answered.
    let farewell = connection
        .client
        .last_payload
        .is_some_and(|client| client.frame > first_payload_of_server.frame);
    (soon && had_it && (from == Side::Client || farewell)).then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::super::traces::ConversationTrace;
    use crate::testing::{codes, findings};
    use crate::{Confidence, Role, Severity};

    fn greeted(list: &[u8]) -> ConversationTrace {
        ConversationTrace::open()
            .server(b"220 mx.example ESMTP\r\n")
            .client(b"EHLO a\r\n")
            .server(list)
    }

    fn found(conversation: ConversationTrace) -> Option<(Severity, Confidence, Role)> {
        let found = findings(&conversation.lines());
        let found = found
            .iter()
            .find(|found| found.code == "tls.starttls-not-offered")?;
        Some((found.severity, found.confidence, found.culprit.role))
    }

    const WITHOUT: &[u8] = b"250-mx.example\r\n250 SIZE 1\r\n";
    const MASKED: &[u8] = b"250-mx.example\r\n250-SIZE 1\r\n250 XXXXXXXA\r\n";

    #[test]
    fn a_client_that_leaves_without_and_one_whose_offer_is_masked() {
        assert_eq!(
            found(greeted(WITHOUT).client_closes()),
            Some((Severity::Error, Confidence::Possible, Role::Server))
        );
        assert_eq!(
            found(greeted(MASKED).client_closes()),
            Some((Severity::Error, Confidence::Likely, Role::Path))
        );
        let farewell = greeted(WITHOUT)
            .client(b"QUIT\r\n")
            .server(b"221 bye\r\n")
            .server_closes();
        assert_eq!(
            found(farewell),
            Some((Severity::Error, Confidence::Possible, Role::Server))
        );
    }

    #[test]
    fn a_mysql_greeting_without_tls() {
        let mut greeting = b"\x0a5.7.1\0\x01\0\0\0saltsalt\0\xff\xf7".to_vec();
        greeting.resize(70, 0);
        let packet = [&[70, 0, 0, 0][..], &greeting].concat();
        let lines = ConversationTrace::open().server(&packet).client_closes();
        assert_eq!(
            found(lines),
            Some((Severity::Error, Confidence::Possible, Role::Server))
        );
    }

    #[test]
    fn a_client_that_goes_on_and_a_server_that_offers_it() {
        let mail = |list| {
            greeted(list)
                .client(b"MAIL FROM:<a@b>\r\n")
                .server(b"250 ok\r\n")
        };
        assert_eq!(found(mail(WITHOUT).client_closes()), None);
        assert_eq!(
            found(mail(MASKED).client_closes()),
            Some((Severity::Note, Confidence::Likely, Role::Path))
        );
        let offers = greeted(b"250-mx.example\r\n250 STARTTLS\r\n").client_closes();
        assert!(!codes(&offers.lines()).contains(&"tls.starttls-not-offered"));
    }
}
