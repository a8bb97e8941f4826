//! `tls.starttls-refused`: the change to TLS itself is refused.

use wirewhy_flow::{Connection, Side};
use wirewhy_protocol::{UpgradeProtocol, UpgradeVerdict};

use crate::handshake::culprit;
use crate::wording::socket;
use crate::{
    Confidence, Detector, Facts, Finding, Group, Limits, Record, Reportable, Rule, Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tls.starttls-refused",
    group: Group::Tls,
    title: "The server refused to change to TLS",
    severity: Severity::Error,
    means: "The client asked to change the plaintext connection to TLS (STARTTLS or its kin), and the server said no.",
    recognised: "A request to change to TLS and a refusal: SMTP 454 or 5xx, IMAP NO or BAD, POP3 -ERR, FTP 4xx or 5xx, PostgreSQL N, and so on.",
    look_alikes: "A client that is content without TLS goes on in plain text: then it is a note.",
    check_next: &[
        "Is TLS configured on the server, with a certificate it can read? Its log says why it refused.",
        "Is the capability announced? A middlebox may write other letters over the word STARTTLS in the server's answer to EHLO.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Connection(Signs::UPGRADE, detect),
};

/// The protocol in words; `None` for proxies, whose refusal is not about TLS.
pub(super) fn name(protocol: UpgradeProtocol) -> Option<&'static str> {
    Some(match protocol {
        UpgradeProtocol::Smtp => "SMTP STARTTLS",
        UpgradeProtocol::Imap => "IMAP STARTTLS",
        UpgradeProtocol::Pop3 => "POP3 STLS",
        UpgradeProtocol::Nntp => "NNTP STARTTLS",
        UpgradeProtocol::Ftp => "FTP AUTH TLS",
        UpgradeProtocol::ManageSieve => "ManageSieve STARTTLS",
        UpgradeProtocol::Xmpp => "XMPP starttls",
        UpgradeProtocol::Ldap => "LDAP StartTLS",
        UpgradeProtocol::PostgreSql => "PostgreSQL SSLRequest",
        UpgradeProtocol::MySql => "MySQL SSLRequest",
        UpgradeProtocol::Rdp => "RDP negotiation of TLS",
        UpgradeProtocol::Tds => "TDS encryption",
        UpgradeProtocol::Irc => "IRC STARTTLS",
        UpgradeProtocol::HttpConnect | UpgradeProtocol::Socks => return None,
    })
}

fn detect(connection: &Connection, _limits: &Limits) -> Option<Finding> {
    let upgrade = connection.app.as_deref()?.upgrade.as_deref()?;
    let name = name(upgrade.protocol)?;
    if upgrade.verdict != UpgradeVerdict::Refused {
        return None;
    }
    let answered = upgrade.answered?;
    let went_on = upgrade.went_on.is_some();
    let reply = upgrade.reply.as_deref().unwrap_or_default().trim_end();
    let words = if went_on {
        "; the client went on in plain text"
    } else {
        ""
    };
    Some(Finding {
        code: RECORD.code,
        severity: if went_on {
            Severity::Note
        } else {
            Severity::Error
        },
        confidence: Confidence::Certain,
        culprit: culprit(connection, Side::Server),
        summary: format!(
            "{} refused {name}: \"{reply}\"{words}",
            socket(&connection.server)
        ),
        frames: [Some(answered), upgrade.asked]
            .into_iter()
            .flatten()
            .map(|mark| mark.frame)
            .collect(),
        facts: Facts::default()
            .with("protocol", name)
            .with("reply", reply)
            .with("announced", upgrade.offered)
            .with("went_on_in_plain_text", went_on)
            .with("stage", "starttls"),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{ConversationTrace, client_hello};
    use crate::Severity;
    use crate::testing::{codes, only};

    fn asked(answer: &[u8]) -> Vec<&'static str> {
        let conversation = ConversationTrace::open()
            .server(b"220 mx.example ESMTP\r\n")
            .client(b"EHLO a\r\n")
            .server(b"250-mx.example\r\n250 STARTTLS\r\n")
            .client(b"STARTTLS\r\n")
            .server(answer)
            .client(b"QUIT\r\n")
            .server(b"221 bye\r\n")
            .server_closes();
        codes(&conversation.lines())
    }

    #[test]
    fn a_refusal() {
        assert_eq!(
            asked(b"454 TLS not available\r\n"),
            ["tls.starttls-refused"]
        );
    }

    #[test]
    fn a_client_that_shakes_hands_all_the_same() {
        let hello = client_hello("a.example", &[0x0304], 0);
        let conversation = ConversationTrace::open()
            .server(b"220 mx.example ESMTP\r\n")
            .client(b"STARTTLS\r\n")
            .server(b"502 what?\r\n")
            .client(&hello)
            .server(b"500 what?\r\n")
            .client_closes();
        let found = only(&conversation.lines());
        assert_eq!(
            (found.code, found.severity),
            ("tls.starttls-refused", Severity::Error)
        );
    }

    #[test]
    fn a_client_that_is_content_without() {
        let conversation = ConversationTrace::open()
            .client(b"\0\0\0\x08\x04\xd2\x16\x2f")
            .server(b"N")
            .client(b"\0\0\0\x0d\0\x03\0\0user\0")
            .server(b"R\0\0\0\x08\0\0\0\0")
            .client(b"X\0\0\0\x04")
            .client_closes();
        let found = only(&conversation.lines());
        assert_eq!(
            (found.code, found.severity),
            ("tls.starttls-refused", Severity::Note)
        );
    }

    #[test]
    fn a_client_that_does_not_ask() {
        let conversation = ConversationTrace::open()
            .server(b"220 mx.example ESMTP\r\n")
            .client(b"EHLO a\r\n")
            .server(b"250 mx.example\r\n")
            .client(b"QUIT\r\n")
            .server(b"221 bye\r\n")
            .server_closes();
        assert!(!codes(&conversation.lines()).contains(&"tls.starttls-refused"));
    }
}
