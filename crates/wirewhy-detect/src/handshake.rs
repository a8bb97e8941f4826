//! How the TLS handshake of a connection ended: one reading, on which every `tls.*` detector rests.
//!
//! It is read from the TLS facts, the two ends and the [`Ending`] of the connection, whatever transport carries it.

mod hellos;
mod leaving;

use wirewhy_flow::{Connection, Interval, Mark, Side};
use wirewhy_protocol::{
    Alert, AlertDescription, AlertSeen, ContentType, ProtocolVersion, Sealed, Secrets, TlsFacts,
    TlsSide, TlsStage, UpgradeVerdict,
};

pub(crate) use hellos::{Demand, Rewritten};

use crate::ending::Ending;
use crate::{Confidence, Culprit, Facts, Limits, Role, Value};

/// A handshake that was seen from its beginning, and how it ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handshake<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) tls: &'a TlsFacts,
    pub(crate) stage: TlsStage,
    pub(crate) ending: Ending,
    pub(crate) end: End,
}

/// How a handshake ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// Both sides finished.
    Completed,
    /// An alert that can be read ended it.
    Alert {
        /// Who sent it.
        from: Side,
        /// The alert.
        alert: Alert,
    },
    /// A record that is an alert by its type, or by size and place, ended it.
    SealedAlert {
        /// Who sent it.
        from: Side,
        /// Where.
        mark: Mark,
        /// The length its header announces.
        length: u16,
        /// The record's type says that it is an alert.
        by_type: bool,
    },
    /// A reset.
    Reset {
        /// In whose name.
        from: Side,
        /// Where.
        mark: Mark,
    },
    /// A FIN.
    Closed {
        /// Who closed first.
        from: Side,
        /// Where.
        mark: Mark,
    },
    /// Nothing more came.
    Silence {
        /// Whose turn it was.
        owed_by: Side,
        /// The last word before.
        since: Mark,
        /// How long the capture ran on.
        waited: Interval,
    },
}

/// How soon a FIN or reset must follow a record that has merely an alert's size. Clients close at once; a round trip is
/// added where one is known.
const AT_ONCE: Interval = Interval::from_millis(200);

/// How soon a server answers the client's flight, the round trip included.
const ANSWERED_WITHIN: Interval = Interval::from_secs(2);

impl<'a> Handshake<'a> {
    /// The handshake of a connection; `None` where it speaks no TLS or the beginning was not seen, or its bytes could not
    /// be followed.
    pub(crate) fn of(connection: &'a Connection) -> Option<Handshake<'a>> {
        let app = connection.app.as_deref()?;
        let tls = app.tls.as_deref()?;
        // Some clients begin although the change to TLS was refused: no answer is due to them.
        let refused = app
            .upgrade
            .as_deref()
            .is_some_and(|upgrade| upgrade.verdict == UpgradeVerdict::Refused);
        let begun = tls.client_hello.is_some() || tls.client.incomplete.is_some();
        // An alert in the clear says how it ended, whatever came before; to a client that said nothing it is no answer.
        let stated = connection.client.first_payload.is_some()
            && [Side::Client, Side::Server].into_iter().any(|side| {
                records(tls, side)
                    .alerts
                    .iter()
                    .any(|alert| alert.seen == AlertSeen::Clear && is_fatal(alert, tls.version()))
            });
        if refused || !stated && (tls.joined_late || !begun) {
            return None;
        }
        let stage = tls.stage();
        let ending = Ending::of(connection);
        let end = end(tls, stage, &ending);
        Some(Handshake {
            connection,
            tls,
            stage,
            ending,
            end,
        })
    }

    /// Whether both sides finished.
    pub(crate) fn is_completed(&self) -> bool {
        matches!(self.end, End::Completed)
    }

    /// The alert that ended it, if it can be read.
    pub(crate) fn alert(&self) -> Option<(Side, Alert, AlertDescription)> {
        match self.end {
            End::Alert { from, alert } => Some((from, alert, alert.description?)),
            _ => None,
        }
    }

    /// The silence that ended it, if one did: who was to speak, since when, and for how long. A side that closes or resets
    /// after it has only given up.
    pub(crate) fn silence(&self) -> Option<(Side, Mark, Interval)> {
        match self.end {
            End::Silence {
                owed_by,
                since,
                waited,
            } => Some((owed_by, since, waited)),
            End::Closed { mark, .. } | End::Reset { mark, .. } => {
                let connection = self.connection;
                let since = [&connection.client, &connection.server]
                    .into_iter()
                    .filter_map(|side| side.last_payload)
                    .filter(|last| last.time <= mark.time)
                    .max_by_key(|last| last.time)?;
                let owed_by = owed_by(self.tls, self.stage);
                Some((owed_by, since, mark.time.since(since.time)))
            }
            _ => None,
        }
    }

    /// What every finding about it carries.
    pub(crate) fn facts(&self) -> Facts {
        let hello = self.tls.client_hello.as_deref();
        Facts::default()
            .with("stage", format!("tls-{}", self.stage.name()))
            .with("server_name", hello.and_then(|hello| hello.server_name()))
            .with(
                "version",
                self.tls.version().map(|version| version.to_string()),
            )
            .with(
                "cipher_suite",
                self.tls.cipher_suite().map(|suite| suite.to_string()),
            )
            .with("vantage", self.connection.vantage().name())
    }

    /// Frames of the hellos, behind the decisive ones.
    pub(crate) fn frames(&self, decisive: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let mut frames: Vec<u64> = decisive.into_iter().collect();
        let hello = self.tls.client_hello.as_ref().map(|hello| hello.mark.frame);
        let answer = self.tls.server_hello.as_ref().map(|hello| hello.mark.frame);
        for frame in [hello, answer].into_iter().flatten() {
            if !frames.contains(&frame) {
                frames.push(frame);
            }
        }
        frames
    }
}

/// Whether a TLS handshake is under way and neither side has left.
pub(crate) fn is_pending(connection: &Connection) -> bool {
    Handshake::of(connection).is_some_and(|handshake| matches!(handshake.end, End::Silence { .. }))
}

/// A side as culprit.
pub(crate) fn culprit(connection: &Connection, side: Side) -> Culprit {
    Culprit::new(
        match side {
            Side::Client => Role::Client,
            Side::Server => Role::Server,
        },
        Some(connection.side(side).address),
    )
}

/// One side's records.
pub(crate) fn records(tls: &TlsFacts, side: Side) -> &TlsSide {
    match side {
        Side::Client => &tls.client,
        Side::Server => &tls.server,
    }
}

/// Numbers of the protocol in words.
pub(crate) fn names<T: ToString>(numbers: &[T]) -> Value {
    Value::List(
        numbers
            .iter()
            .map(|number| Value::Text(number.to_string()))
            .collect(),
    )
}

/// The alert that ends a handshake: not the farewell, and not a warning that lets it go on (RFC 8446 section 6.1, RFC 5246
/// section 7.2.2).
fn is_fatal(alert: &Alert, version: Option<ProtocolVersion>) -> bool {
    let Some(description) = alert.description else {
        return false;
    };
    let farewell = matches!(
        description,
        AlertDescription::CLOSE_NOTIFY | AlertDescription::USER_CANCELED
    );
    !farewell && (alert.level == Some(2) || version == Some(ProtocolVersion::TLS1_3))
}

fn end(tls: &TlsFacts, stage: TlsStage, ending: &Ending) -> End {
    let version = tls.version();
    let readable = [Side::Client, Side::Server]
        .into_iter()
        .flat_map(|side| {
            records(tls, side)
                .alerts
                .iter()
                .filter(|alert| is_fatal(alert, version))
                .map(move |alert| (side, *alert))
        })
        .min_by_key(|(_, alert)| alert.mark.frame);
    if let Some((from, alert)) = readable {
        return match ending.closed {
            Some((closed_by, mark)) if complains_of_end(&alert, from, closed_by, mark) => {
                match stage >= TlsStage::Established {
                    true => End::Completed,
                    false => End::Closed {
                        from: closed_by,
                        mark,
                    },
                }
            }
            _ => End::Alert { from, alert },
        };
    }
    if let Some(end) = sealed_alert(tls, stage, ending) {
        return end;
    }
    if stage >= TlsStage::Established {
        return End::Completed;
    }
    left(tls, stage, ending)
}

/// Whether an alert says no more than that the other side has closed: OpenSSL 3 calls the missing message malformed.
fn complains_of_end(alert: &Alert, from: Side, closed_by: Side, closed: Mark) -> bool {
    alert.description == Some(AlertDescription(50))
        && from != closed_by
        && closed.frame < alert.mark.frame
}

/// The first of reset and FIN; else silence.
fn left(tls: &TlsFacts, stage: TlsStage, ending: &Ending) -> End {
    match (ending.reset, ending.closed) {
        (Some((_, reset)), Some((from, mark))) if mark.frame < reset.frame => {
            End::Closed { from, mark }
        }
        (None, Some((from, mark))) => End::Closed { from, mark },
        (Some((from, mark)), _) => End::Reset { from, mark },
        (None, None) => End::Silence {
            owed_by: owed_by(tls, stage),
            since: ending.last,
            waited: ending.silence,
        },
    }
}

/// Whose turn it is.
fn owed_by(tls: &TlsFacts, stage: TlsStage) -> Side {
    // The side that stopped in the middle of a record.
    if tls.server.incomplete.is_some() {
        return Side::Server;
    }
    if tls.client.incomplete.is_some() {
        return Side::Client;
    }
    match stage {
        TlsStage::Begun | TlsStage::ServerFlight => Side::Client,
        TlsStage::HelloRetryRequest => {
            let answered = tls
                .retry
                .as_ref()
                .is_some_and(|retry| retry.answered.is_some());
            if answered { Side::Server } else { Side::Client }
        }
        TlsStage::ClientHello
        | TlsStage::ServerHello
        | TlsStage::ClientFinished
        | TlsStage::Established
        | TlsStage::ApplicationData => Side::Server,
    }
}

/// Lengths of sealed records of TLS 1.3 (RFC 8446 section 5.2): their content, one byte of inner type, and a tag.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    /// What protection adds.
    added: u16,
    alert: u16,
    finished: u16,
}

impl Sizes {
    fn of(tls: &TlsFacts) -> Sizes {
        const AES_256_GCM_SHA384: u16 = 0x1302;
        const AES_128_CCM_8_SHA256: u16 = 0x1305;
        let suite = tls.cipher_suite().map(|suite| suite.0);
        let tag = if suite == Some(AES_128_CCM_8_SHA256) {
            8
        } else {
            16
        };
        let hash = if suite == Some(AES_256_GCM_SHA384) {
            48
        } else {
            32
        };
        Sizes {
            added: 1 + tag,
            alert: 2 + 1 + tag,
            finished: 4 + hash + 1 + tag,
        }
    }
}

/// What a TLS 1.3 client's encrypted flight carried before its Finished, by the lengths of its records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ClientFlight {
    /// Nothing: no certificate was asked for.
    Finished,
    /// A Certificate message without a certificate: the client was asked and had none.
    EmptyCertificate,
    /// More than that: a certificate, or several messages that cannot be told apart.
    More,
}

/// A Certificate message without a certificate (RFC 8446 section 4.4.2): header, context's length, list's length.
const EMPTY_CERTIFICATE: u16 = 4 + 1 + 3;

/// The client's flight of TLS 1.3 where no secrets are known; `None` where early data hides it, or there is none.
pub(crate) fn client_flight(tls: &TlsFacts) -> Option<ClientFlight> {
    let early = tls
        .client_hello
        .as_ref()
        .is_some_and(|hello| hello.offers_early_data());
    if !tls.is_1_3() || early || tls.secrets == Secrets::Used {
        return None;
    }
    let sizes = Sizes::of(tls);
    let last = tls.client.likely_finished?;
    let lengths: Vec<u16> = tls
        .client
        .sealed
        .iter()
        .take_while(|sealed| sealed.mark.frame <= last.mark.frame)
        .map(|sealed| sealed.length)
        .collect();
    let empty = EMPTY_CERTIFICATE + sizes.added;
    Some(match *lengths.as_slice() {
        [only, ..] if only == sizes.finished => ClientFlight::Finished,
        [first, second, ..] if first == empty && second == sizes.finished => {
            ClientFlight::EmptyCertificate
        }
        [both, ..] if both == sizes.finished + EMPTY_CERTIFICATE => ClientFlight::EmptyCertificate,
        _ => ClientFlight::More,
    })
}

/// A sealed alert that ended the handshake. Before TLS 1.3 the record's type tells; in TLS 1.3 size and place must: the last
/// record of a side, of an alert's length, with that side's FIN or a reset right behind it, and no data of the application
/// before it.
fn sealed_alert(tls: &TlsFacts, stage: TlsStage, ending: &Ending) -> Option<End> {
    if tls.version()? < ProtocolVersion::TLS1_3 {
        return [Side::Client, Side::Server]
            .into_iter()
            .filter_map(|from| {
                let side = records(tls, from);
                let alert = side
                    .alerts
                    .iter()
                    .find(|alert| alert.seen == AlertSeen::Encrypted)?;
                let nothing_carried = tls.client.application_data.count == 0
                    && tls.server.application_data.count == 0;
                let sealed = sealed_at(side, alert.mark)?;
                (nothing_carried
                    && stage < TlsStage::ApplicationData
                    && side
                        .finished
                        .is_none_or(|finished| finished.frame <= alert.mark.frame)
                    && peer_unfinished(tls, from))
                .then_some(End::SealedAlert {
                    from,
                    mark: flow_mark(alert.mark),
                    length: sealed.length,
                    by_type: true,
                })
            })
            .next();
    }
    [Side::Client, Side::Server].into_iter().find_map(|from| {
        let side = records(tls, from);
        let last = side.last_sealed?;
        let fits =
            last.kind == ContentType::APPLICATION_DATA && last.length == Sizes::of(tls).alert;
        let place = match from {
            // Where the Finished is due: the client's first sealed record.
            Side::Client => side.sealed_count == 1 && stage <= TlsStage::ServerFlight,
            // In place of its flight, which is never as short.
            Side::Server if side.sealed_count == 1 => true,
            // The answer to what the client's flight carried beside its Finished: all the server says after its own.
            Side::Server => {
                side.application_data.count == 0
                    && client_flight(tls).is_some_and(|flight| flight != ClientFlight::Finished)
                    && tls.client.likely_finished.is_some_and(|flight| {
                        last.mark.time.since(flight.mark.time) <= ANSWERED_WITHIN
                    })
            }
        };
        let ended = ends_soon_after(ending, last.mark.time);
        (fits && place && ended).then_some(End::SealedAlert {
            from,
            mark: flow_mark(last.mark),
            length: last.length,
            by_type: false,
        })
    })
}

fn peer_unfinished(tls: &TlsFacts, from: Side) -> bool {
    records(tls, from.other()).finished.is_none()
}

fn sealed_at(side: &TlsSide, mark: wirewhy_protocol::Mark) -> Option<Sealed> {
    side.sealed
        .iter()
        .copied()
        .chain(side.last_sealed)
        .find(|sealed| sealed.mark == mark)
}

fn ends_soon_after(ending: &Ending, time: wirewhy_packet::Timestamp) -> bool {
    let within = Interval(AT_ONCE.0.saturating_add(ending.round_trip.0));
    [ending.closed, ending.reset]
        .into_iter()
        .flatten()
        .map(|(_, mark)| mark.time.since(time))
        .any(|later| later >= Interval::ZERO && later <= within)
}

/// The same place, in the tracker's words.
pub(crate) fn flow_mark(mark: wirewhy_protocol::Mark) -> Mark {
    Mark {
        frame: mark.frame,
        time: mark.time,
    }
}

/// Whether the silence of a handshake has lasted, and how sure that makes: one that the capture's end cut short is less so.
pub(crate) fn long_enough(
    handshake: &Handshake<'_>,
    waited: Interval,
    limits: &Limits,
) -> Option<Confidence> {
    let to_the_end = matches!(handshake.end, End::Silence { .. });
    if waited >= limits.handshake_silence {
        Some(Confidence::Likely)
    } else {
        (to_the_end && waited >= limits.silence).then_some(Confidence::Possible)
    }
}
