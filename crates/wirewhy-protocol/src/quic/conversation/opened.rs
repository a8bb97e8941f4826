//! What the frames of an opened packet say of the connection.

use wirewhy_packet::Interval;

use super::{Level, MOST_CLOSES, MOST_TOKENS, PARAMETERS, QuicConversation, other};
use crate::CaptureContext;
use crate::quic::facts::QuicClose;
use crate::quic::frames::{Close, Frames, QuicFrame};
use crate::quic::keys::Opened;
use crate::quic::parameters::TransportParameters;
use crate::tls::{AlertDescription, AlertSeen};
use crate::types::{Mark, Role};

impl QuicConversation {
    pub(super) fn frames(
        &mut self,
        role: Role,
        level: Level,
        opened: &Opened,
        mark: Mark,
        context: &mut CaptureContext,
    ) {
        for frame in Frames::of(&opened.payload) {
            match frame {
                QuicFrame::Ack(ack) if level == Level::Initial => {
                    self.facts.side_mut(other(role)).acknowledged = true;
                    if role == Role::Server {
                        self.hello.acknowledge(&ack);
                    }
                }
                // RFC 9000 section 12.4 permits none in 0-RTT packets.
                QuicFrame::Crypto { .. } if level == Level::ZeroRtt => {}
                QuicFrame::Crypto { offset, data } => {
                    if role == Role::Client && level == Level::Initial {
                        self.hello.add(opened.number, offset, data, mark);
                    }
                    self.crypto(role, level, (offset, data), mark, context);
                }
                QuicFrame::NewConnectionId { id, reset_token } => {
                    self.add_id(role, id);
                    self.add_token(role, reset_token);
                }
                QuicFrame::Close(close) => self.close(role, level, &close, mark),
                QuicFrame::HandshakeDone if role == Role::Server => {
                    self.facts.confirmed.get_or_insert(mark);
                }
                _ => {}
            }
        }
    }

    fn crypto(
        &mut self,
        role: Role,
        level: Level,
        (offset, data): (u64, &[u8]),
        mark: Mark,
        context: &mut CaptureContext,
    ) {
        let level = match level {
            Level::Initial => 0,
            Level::Handshake => 1,
            Level::ZeroRtt | Level::OneRtt => 2,
        };
        let had_hello = self.has_hello(role);
        let Some(stream) = role.of(&mut self.crypto).get_mut(level) else {
            return;
        };
        let tls = &mut self.tls;
        let is_new = stream.take(offset, data, mark, |bytes| {
            tls.crypto(role, bytes, mark, context);
        });
        if !is_new {
            let side = self.facts.side_mut(role);
            side.repeated = side.repeated.saturating_add(1);
        }
        if !had_hello && self.has_hello(role) {
            self.write(role, 'S');
        }
        self.learn_parameters(role);
    }

    fn has_hello(&self, role: Role) -> bool {
        match (self.tls.hellos(), role) {
            (None, _) => false,
            (Some(_), Role::Client) => true,
            (Some((_, server)), Role::Server) => server.is_some(),
        }
    }

    fn learn_parameters(&mut self, role: Role) {
        if self.facts.side(role).parameters.is_some() {
            return;
        }
        let body = match role {
            Role::Client => self.tls.hellos().and_then(|(client, _)| {
                PARAMETERS
                    .into_iter()
                    .find_map(|kind| client.extension(kind))
            }),
            Role::Server => self.tls.quic_parameters(),
        };
        let Some(body) = body else { return };
        let parameters = TransportParameters::read(body);
        let token = parameters.reset_token;
        self.facts.side_mut(role).parameters = Some(Box::new(parameters));
        if let Some(token) = token {
            self.add_token(role, token);
        }
    }

    fn add_token(&mut self, owner: Role, token: [u8; 16]) {
        if self.tokens.len() < MOST_TOKENS {
            self.tokens.push((owner, token));
        }
    }

    fn close(&mut self, role: Role, level: Level, close: &Close<'_>, mark: Mark) {
        let known = self
            .facts
            .closes
            .iter()
            .any(|known| known.from == role && known.level == level.kind());
        if known || self.facts.closes.len() >= MOST_CLOSES {
            return;
        }
        self.write(role, 'C');
        // The same close at several levels of encryption is one alert.
        let decoded = self.facts.closes.iter().any(|known| known.from == role);
        if let Some(alert) = close.code.alert().filter(|_| !decoded) {
            let seen = match level {
                Level::Initial => AlertSeen::Clear,
                _ => AlertSeen::Decrypted,
            };
            self.tls
                .close_with(role, AlertDescription(alert), seen, mark);
        }
        let reason = close
            .reason
            .get(..QuicClose::REASON)
            .unwrap_or(close.reason);
        let heard = *other(role).of(&mut self.latest);
        let tries = self.facts.side(role).unanswered.first.len();
        self.facts.closes.push(QuicClose {
            from: role,
            mark,
            level: level.kind(),
            quiet: heard.map_or(Interval::ZERO, |(heard, _)| mark.time.since(heard.time)),
            tries: u32::try_from(tries).unwrap_or(u32::MAX),
            code: close.code,
            frame_type: close.frame,
            reason: String::from_utf8_lossy(reason).into(),
        });
    }
}
