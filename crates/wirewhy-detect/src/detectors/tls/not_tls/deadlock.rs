//! Both wait for the other: the client for a greeting, the server for a ClientHello.

use wirewhy_flow::{Connection, Ended, Interval, Mark, Side, Transport};
use wirewhy_protocol::AppProtocol;

use super::RECORD;
use crate::ending::Ending;
use crate::handshake::culprit;
use crate::wording::{socket, span};
use crate::{Confidence, Facts, Finding, Limits, Severity};

/// The ports at which TLS begins at once, of protocols whose servers greet first: SMTP, NNTP, FTP, IMAP, IRC, POP3 (RFC 8314, IANA).
const GREETING_PORTS: [u16; 6] = [465, 563, 990, 993, 994, 995];

/// Ports to which clients connect before they know what for.
const KEPT_READY: [u16; 3] = [80, 443, 8443];

/// A connection in which the client said nothing until one side gave up.
pub(super) struct Deadlock<'a> {
    connection: &'a Connection,
    waited: Interval,
    left: Mark,
    /// The server's alert once the client had closed: it had waited for a ClientHello.
    alert: Option<Mark>,
}

impl<'a> Deadlock<'a> {
    pub(super) fn of(connection: &'a Connection, limits: &Limits) -> Option<Deadlock<'a>> {
        let opened = connection.tcp.handshake.ack?;
        let (client, server) = (&connection.client, &connection.server);
        let whole = connection.transport == Transport::Tcp
            && connection.tcp.handshake.syn_ack.is_some()
            && connection.ended != Ended::Followed;
        if !whole || client.first_payload.is_some() || KEPT_READY.contains(&server.port) {
            return None;
        }
        let ending = Ending::of(connection);
        let (_, left) = [ending.closed, ending.reset]
            .into_iter()
            .flatten()
            .min_by_key(|(_, mark)| mark.frame)?;
        let alert = server.first_payload.filter(|_| uses_tls(connection));
        let greeted =
            server.first_payload.is_some() && alert.is_none_or(|alert| alert.frame < left.frame);
        let waited = left.time.since(opened.time);
        (!greeted && waited >= limits.silence).then_some(Deadlock {
            connection,
            waited,
            left,
            alert,
        })
    }

    /// Where the connection alone shows what the server waited for: by its alert, or by its port.
    pub(super) fn detect(self) -> Option<Finding> {
        let by_port = GREETING_PORTS.contains(&self.connection.server.port);
        match self.alert {
            Some(_) => Some(self.finding(
                Confidence::Likely,
                "its alert says that it had waited for a ClientHello",
            )),
            None if by_port => Some(self.finding(
                Confidence::Possible,
                "at that port TLS begins with the client's hello",
            )),
            None => None,
        }
    }

    pub(super) fn finding(&self, confidence: Confidence, why: &str) -> Finding {
        let connection = self.connection;
        let frames = [Some(self.left), self.alert, connection.tcp.handshake.ack];
        Finding {
            code: RECORD.code,
            severity: Severity::Error,
            confidence,
            culprit: culprit(connection, Side::Client).at_most(Confidence::Possible),
            summary: format!(
                "the client {} and {} each waited {} for the other to begin: {why}",
                connection.client.address,
                socket(&connection.server),
                span(self.waited),
            ),
            frames: frames
                .into_iter()
                .flatten()
                .map(|mark| mark.frame)
                .collect(),
            facts: Facts::default()
                .with("not_tls", Side::Client.name())
                .with("spoke", "nothing")
                .with("waited_seconds", self.waited)
                .with("stage", "tls-begun"),
            consequence_of: None,
        }
    }
}

fn uses_tls(connection: &Connection) -> bool {
    let app = connection.app.as_deref();
    app.is_some_and(|app| app.server.protocol == Some(AppProtocol::Tls))
}
