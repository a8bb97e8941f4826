//! `tls.not-tls`: one side speaks TLS, the other plainly does not.

use wirewhy_flow::{Connection, Side};
use wirewhy_protocol::Speech;

use crate::handshake::culprit;
use crate::wording::socket;
use crate::{Confidence, Detector, Facts, Finding, Limits, Record, Severity};

pub(crate) const RECORD: Record = Record {
    code: "tls.not-tls",
    title: "One side speaks TLS, the other does not",
    severity: Severity::Error,
    means: "A TLS client reached a plaintext service, or a plaintext client a TLS service: the wrong port, the wrong scheme, or a proxy in \
            between that answers itself.",
    recognised: "The first bytes of one side are a TLS record, those of the other are plainly another protocol, and nobody had agreed to \
                 change to TLS (STARTTLS, CONNECT).",
    look_alikes: "Plaintext before an agreed upgrade is no fault. An answer that is neither TLS nor anything known is not judged.",
    check_next: &[
        "Compare scheme and port on both sides: http against https, smtp 25 or 587 against smtps 465, and so on.",
        "curl -v http://HOST:PORT/ and openssl s_client -connect HOST:PORT: which one gets a sensible answer?",
    ],
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    detect,
};

/// A protocol in words, where it is plainly one and not TLS.
fn plain(speech: Option<Speech>) -> Option<&'static str> {
    Some(match speech? {
        Speech::Http1Request | Speech::Http1Response => "HTTP",
        Speech::Http2Preface | Speech::Http2Settings => "HTTP/2 in the clear",
        Speech::Ssh => "SSH",
        Speech::Smtp => "SMTP",
        Speech::Ftp => "FTP",
        Speech::SmtpOrFtp => "SMTP or FTP",
        Speech::Pop3 => "POP3",
        Speech::Imap => "IMAP",
        _ => return None,
    })
}

fn detect(connection: &Connection, _limits: &Limits) -> Option<Finding> {
    let said = connection.said.as_deref()?;
    if said.upgrade.is_some() {
        return None;
    }
    let (client, server) = (said.client.speaks, said.server.speaks);
    let tls = Some(Speech::Tls);
    let (wrong, spoke) = if client == tls {
        (Side::Server, plain(server)?)
    } else if server == tls {
        (Side::Client, plain(client)?)
    } else {
        return None;
    };
    let (own, peer) = (connection.side(wrong), connection.side(wrong.other()));
    let summary = match wrong {
        Side::Server => format!(
            "{} answered a TLS client in {spoke}: no TLS is served there",
            socket(own)
        ),
        Side::Client => format!(
            "the client {} spoke {spoke} to {}, which serves TLS",
            own.address,
            socket(peer)
        ),
    };
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Certain,
        culprit: culprit(connection, wrong),
        summary,
        frames: [own.first_payload, peer.first_payload]
            .into_iter()
            .flatten()
            .map(|mark| mark.frame)
            .collect(),
        facts: Facts::default()
            .with("not_tls", wrong.name())
            .with("spoke", spoke)
            .with("stage", "tls-begun"),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::traces::{Talk, client_hello};
    use crate::Role;
    use crate::testing::{codes, only};

    #[test]
    fn http_in_answer_to_a_hello() {
        let talk = Talk::open()
            .client(&client_hello("a.example", &[0x0304], 0))
            .server(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            .server_closes();
        let found = codes(&talk.lines());
        assert!(found.contains(&"tls.not-tls"), "{found:?}");
    }

    #[test]
    fn a_plaintext_request_met_with_an_alert() {
        let talk = Talk::open()
            .client(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .server(&[21, 3, 1, 0, 2, 2, 70])
            .server_closes();
        let found = only(&talk.lines());
        assert_eq!(
            (found.code, found.culprit.role),
            ("tls.not-tls", Role::Client)
        );
    }

    #[test]
    fn both_in_plain_text_are_silent() {
        let talk = Talk::open()
            .client(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .client_closes();
        assert!(codes(&talk.lines()).is_empty());
    }
}
