//! Signs of trouble: what a connection must show before a rule is asked about it.
//!
//! Every rule over one connection names the signs without which it finds nothing. One look at a connection says which of them
//! it shows, and only the rules of those are run: few or none where it went well, or where it never opened. A sign may be
//! shown without any trouble behind it; a rule that finds something without a sign of its own is an error, which tests look
//! for over generated connections and over every capture of the repository.

use std::ops::BitOr;
use std::sync::LazyLock;

use wirewhy_flow::{Answer, Connection, Endpoint, EventKind, Healthy, Transport};
use wirewhy_protocol::{AppFacts, AppProtocol, Framing, UpgradeVerdict};

use crate::detectors::tcp::{GREETING_FIRST, accept_queue_full, awaits_greeting};
use crate::{DETECTORS, Detector, Limits};

/// Some of the signs, a bit for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Signs(u32);

impl Signs {
    /// A SYN came into an open connection of the same addresses and ports.
    pub(crate) const COLLISION: Signs = Signs(1);
    /// An answer to the SYN with the numbers of another connection.
    pub(crate) const UNRELATED_ACK: Signs = Signs(1 << 1);
    /// SYN-ACKs sent again behind the client's ACK.
    pub(crate) const REPEATED_SYN_ACK: Signs = Signs(1 << 2);
    /// A SYN, and not a packet of the server.
    pub(crate) const NO_ANSWER: Signs = Signs(1 << 3);
    /// A SYN-ACK, and no ACK of it.
    pub(crate) const UNCONFIRMED: Signs = Signs(1 << 4);
    /// It opened after a SYN or a SYN-ACK had been sent again.
    pub(crate) const OPENED_AGAIN: Signs = Signs(1 << 5);
    /// A round trip of the handshake beyond a limit.
    pub(crate) const SLOW_OPENING: Signs = Signs(1 << 6);
    /// A reset.
    pub(crate) const RESET: Signs = Signs(1 << 7);
    /// An ICMP error.
    pub(crate) const ICMP: Signs = Signs(1 << 8);
    /// A segment that was lost, overtaken or not answered, a window that closed.
    pub(crate) const TROUBLE: Signs = Signs(1 << 9);
    /// A segment with a wrong checksum.
    pub(crate) const DAMAGE: Signs = Signs(1 << 10);
    /// What shows how windows and SACK blocks are read on the way, and waits for a delayed acknowledgement.
    pub(crate) const TELLTALE: Signs = Signs(1 << 11);
    /// The server's turn at the end: by its port, its protocol, or because it had answered before.
    pub(crate) const OWED: Signs = Signs(1 << 12);
    /// A FIN of the server that may stand in the place of an answer.
    pub(crate) const CLOSED_OWING: Signs = Signs(1 << 13);
    /// One side closed, and the other did not.
    pub(crate) const HALF_CLOSED: Signs = Signs(1 << 14);
    /// The server stopped in the middle of a message.
    pub(crate) const UNFINISHED: Signs = Signs(1 << 15);
    /// An answer that took long.
    pub(crate) const SLOW_ANSWER: Signs = Signs(1 << 16);
    /// The client began with a PROXY header.
    pub(crate) const PROXY_HEADER: Signs = Signs(1 << 17);
    /// A session of FTP.
    pub(crate) const FTP: Signs = Signs(1 << 18);
    /// Words about a change to TLS.
    pub(crate) const UPGRADE: Signs = Signs(1 << 19);
    /// TLS of one side that the other may not speak, or a client that said nothing until the end.
    pub(crate) const NOT_TLS: Signs = Signs(1 << 20);
    /// SSH of either side.
    pub(crate) const SSH: Signs = Signs(1 << 21);
    /// Words with which a service refuses or ends a session.
    pub(crate) const REFUSAL: Signs = Signs(1 << 22);
    /// Statuses of HTTP that refuse, and bodies that were held back.
    pub(crate) const HTTP_TROUBLE: Signs = Signs(1 << 23);
    /// Streams of HTTP/2 that were reset or lost, and calls of gRPC that failed.
    pub(crate) const HTTP2_TROUBLE: Signs = Signs(1 << 24);
    /// HTTP/2 of either side.
    pub(crate) const HTTP2: Signs = Signs(1 << 25);
    /// TLS of either side.
    pub(crate) const TLS: Signs = Signs(1 << 26);
    /// A TLS handshake that was not completed.
    pub(crate) const FAILED_TLS: Signs = Signs(1 << 27);

    /// QUIC.
    pub(crate) const QUIC: Signs = Signs(1 << 28);

    /// Whether any of these is among them.
    pub(crate) fn any_of(self, signs: Signs) -> bool {
        self.0 & signs.0 != 0
    }

    /// The same without these.
    pub(crate) fn without(self, signs: Signs) -> Signs {
        Signs(self.0 & !signs.0)
    }

    /// Adds signs where they are shown.
    fn add(&mut self, signs: Signs, shown: bool) {
        self.0 |= signs.0 * u32::from(shown);
    }

    /// The signs that a connection shows. How long the capture ran on bears on none of them.
    pub(crate) fn of(connection: &Connection, limits: &Limits) -> Signs {
        let mut signs = Signs::default();
        if connection.transport == Transport::Tcp {
            signs.add_opening(connection, limits);
            signs.add_delivery(connection);
            signs.add_answers(connection, limits);
        }
        if let Some(app) = connection.app.as_deref() {
            signs.add_conversation(app);
        }
        signs.add(Signs::REFUSAL, connection.notice.is_some());
        signs
    }

    fn add_opening(&mut self, connection: &Connection, limits: &Limits) {
        let handshake = &connection.tcp.handshake;
        let server = &connection.server;
        let opened = handshake.ack.is_some();
        let silent = !server.was_seen();
        self.add(Signs::COLLISION, connection.collision.is_some());
        let repeated = accept_queue_full::applies(connection, limits);
        self.add(Signs::REPEATED_SYN_ACK, repeated);
        let asked = handshake.last_syn.is_some();
        self.add(Signs::NO_ANSWER, asked && silent && !opened);
        let unconfirmed = handshake.syn_ack.is_some() && !opened;
        self.add(Signs::UNCONFIRMED, unconfirmed);
        let again = handshake.syns > 1 || handshake.syn_acks > 1;
        self.add(Signs::OPENED_AGAIN, again && opened);
        let round_trip = connection.round_trip();
        let slow = round_trip.to_server > Some(limits.slow_handshake)
            || round_trip.handshake > Some(limits.slow_path);
        self.add(Signs::SLOW_OPENING, slow);
        for event in connection.events.iter() {
            match event.kind {
                EventKind::Reset(_) => self.add(Signs::RESET, true),
                EventKind::Icmp(_) => self.add(Signs::ICMP, true),
                EventKind::UnrelatedAck { .. } => self.add(Signs::UNRELATED_ACK, true),
                _ => {}
            }
        }
        // Either side may wait for the other to begin.
        let silent_client = connection.client.first_payload.is_none();
        self.add(Signs::NOT_TLS, opened && silent_client);
    }

    fn add_delivery(&mut self, connection: &Connection) {
        let (client, server) = (&connection.client, &connection.server);
        for side in [client, server] {
            let delivery = &side.tcp.delivery;
            self.add(Signs::TROUBLE, delivery.trouble.is_some());
            self.add(Signs::DAMAGE, delivery.damage.is_some());
            self.add(Signs::TELLTALE, delivery.signs.is_some());
        }
        let closed = |side: &Endpoint| side.tcp.fin.is_some();
        self.add(Signs::HALF_CLOSED, closed(client) != closed(server));
    }

    fn add_answers(&mut self, connection: &Connection, limits: &Limits) {
        let server = &connection.server;
        let exchange = &connection.tcp.exchange;
        let app = connection.app.as_deref();
        let silent = server.counts.payload_packets == 0;
        let request = app.is_some_and(has_request);
        let greeting = awaits_greeting(connection);
        let begun =
            connection.tcp.handshake.ack.is_some() || connection.client.last_payload.is_some();
        let owed = exchange.asked.is_some() || request || silent && greeting && begun;
        self.add(Signs::OWED, owed || app.is_some_and(may_have_only_tickets));
        let closed = server.tcp.fin.is_some() && (silent || request);
        self.add(Signs::CLOSED_OWING, closed);
        let late = |answer: &Option<Answer>| {
            answer
                .as_ref()
                .is_some_and(|answer| answer.took() >= limits.slow_response)
        };
        let slow = greeting && server.first_payload.is_some()
            || late(&exchange.first)
            || late(&exchange.slowest)
            || app.is_some_and(|app| {
                let slowest = app.http.slowest.as_ref();
                slowest.is_some_and(|slowest| {
                    slowest.sent.is_some_and(|sent| {
                        slowest.answered.time.since(sent.time) >= limits.slow_response
                    })
                })
            });
        self.add(Signs::SLOW_ANSWER, slow);
    }

    fn add_conversation(&mut self, app: &AppFacts) {
        let (client, server) = (&app.client, &app.server);
        let unfinished = matches!(server.framing, Framing::Inside(_));
        self.add(Signs::UNFINISHED, unfinished);
        let header = client.protocol == Some(AppProtocol::ProxyProtocol);
        self.add(Signs::PROXY_HEADER, header);
        self.add(Signs::FTP, app.ftp.is_some());
        self.add(Signs::UPGRADE | Signs::NOT_TLS, app.upgrade.is_some());
        self.add(Signs::NOT_TLS, app.http.complaint.is_some());
        self.add(Signs::SSH, app.ssh.is_some());
        self.add(Signs::REFUSAL, app.refusal.is_some());
        self.add(Signs::HTTP_TROUBLE, app.http.trouble.is_some());
        self.add(Signs::HTTP2_TROUBLE, app.http.http2.is_some());
        for spoken in [
            client.app_protocol(),
            server.protocol,
            server.app_protocol(),
        ] {
            match spoken {
                Some(AppProtocol::Tls) => self.add(Signs::NOT_TLS, !went_on_in_tls(app)),
                Some(AppProtocol::Ssh) => self.add(Signs::SSH, true),
                Some(AppProtocol::Http2Preface | AppProtocol::Http2Settings) => {
                    self.add(Signs::HTTP2, true);
                }
                _ => {}
            }
        }
        self.add(Signs::TLS, app.tls.is_some());
        self.add(Signs::QUIC, app.quic.is_some());
    }

    /// Whether a connection that went well shows none of them: how long it took is all that it can show.
    pub(crate) fn are_absent_in(healthy: &Healthy, limits: &Limits) -> bool {
        let (_, port) = healthy.server();
        healthy.to_server() <= limits.slow_handshake
            && healthy.handshake() <= limits.slow_path
            && healthy.slowest_answer() < limits.slow_response
            && !GREETING_FIRST.contains(&port)
    }

    /// The rules that rest on any of these, in the order of [`DETECTORS`].
    pub(crate) fn rules(self) -> impl Iterator<Item = &'static Detector> {
        let mut signs = self.0;
        let mut rules = 0;
        for about in RULES.iter() {
            if signs == 0 {
                break;
            }
            rules |= if signs & 1 == 1 { *about } else { 0 };
            signs >>= 1;
        }
        std::iter::from_fn(move || {
            let at = usize::try_from(rules.trailing_zeros()).ok()?;
            rules &= rules.wrapping_sub(1);
            DETECTORS.get(at)
        })
    }
}

impl BitOr for Signs {
    type Output = Signs;

    fn bitor(self, other: Signs) -> Signs {
        Signs(self.0 | other.0)
    }
}

const _: () = assert!(DETECTORS.len() <= 128, "a bit for each");

/// Which of [`DETECTORS`] rest on each sign, a bit for each rule.
static RULES: LazyLock<[u128; 32]> = LazyLock::new(|| {
    std::array::from_fn(|sign| {
        let about = (0..).zip(DETECTORS);
        let about = about.filter(|(_, detector)| detector.signs().0 >> sign & 1 == 1);
        about.map(|(at, _)| 1_u128 << at).sum()
    })
});

/// Whether a request is waiting for its answer, or a demand for TLS.
fn has_request(app: &AppFacts) -> bool {
    let asks_for_tls = || {
        let upgrade = app.upgrade.as_deref();
        upgrade.is_some_and(|upgrade| upgrade.verdict == UpgradeVerdict::Unanswered)
    };
    app.awaiting.is_some() || asks_for_tls()
}

/// Whether all that a server of TLS 1.3 sent may be its tickets.
fn may_have_only_tickets(app: &AppFacts) -> bool {
    app.tls.as_deref().is_some_and(|tls| {
        let kept = u64::try_from(tls.server.sealed.len()).unwrap_or(u64::MAX);
        tls.client.likely_finished.is_some() && tls.server.application_data.count <= kept
    })
}

/// Whether the client encrypted something: then the server speaks TLS, too.
fn went_on_in_tls(app: &AppFacts) -> bool {
    app.tls
        .as_deref()
        .is_some_and(|tls| tls.client.change_cipher_spec.is_some() || tls.client.sealed_count > 0)
}

#[cfg(test)]
mod tests;
