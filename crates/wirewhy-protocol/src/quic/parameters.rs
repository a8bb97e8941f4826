//! Transport parameters (RFC 9000 section 18), as far as they explain how a connection goes.

use wirewhy_packet::Interval;

use super::ids::{ConnectionId, QuicVersion};
use super::wire;

/// What a side declares of itself in its hello. Absent is what it does not send.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TransportParameters {
    /// How long it keeps an idle connection; `None` where it sets no limit of its own.
    pub max_idle_timeout: Option<Interval>,
    /// The largest UDP payload that it is willing to receive, in bytes.
    pub max_udp_payload_size: Option<u64>,
    /// How many connection ids of its peer it is willing to keep.
    pub active_connection_id_limit: Option<u64>,
    /// Whether its peer must not move to another address.
    pub disable_active_migration: bool,
    /// The connection id that it had in its first Initial packet.
    pub initial_source: Option<ConnectionId>,
    /// Of a server that sent a Retry, the connection id that it had there.
    pub retry_source: Option<ConnectionId>,
    /// The versions that it could use (RFC 9368), at most [`TransportParameters::VERSIONS`].
    pub versions: Vec<QuicVersion>,
    /// The token of its stateless reset.
    pub(super) reset_token: Option<[u8; 16]>,
}

impl TransportParameters {
    /// How many versions are kept.
    pub const VERSIONS: usize = 16;

    /// Reads the body of the extension, up to what is not whole.
    pub(super) fn read(mut body: &[u8]) -> TransportParameters {
        let mut parameters = TransportParameters::default();
        while let Some((kind, value)) = parameter(&mut body) {
            parameters.take(kind, value);
        }
        parameters
    }

    fn take(&mut self, kind: u64, value: &[u8]) {
        let number = || {
            let mut rest = value;
            wire::varint(&mut rest)
        };
        match kind {
            0x01 => {
                self.max_idle_timeout = number()
                    .and_then(|millis| i64::try_from(millis).ok())
                    .filter(|millis| *millis > 0)
                    .and_then(|millis| millis.checked_mul(1_000_000))
                    .map(Interval);
            }
            0x02 => self.reset_token = value.first_chunk::<16>().copied(),
            0x03 => self.max_udp_payload_size = number(),
            0x0c => self.disable_active_migration = true,
            0x0e => self.active_connection_id_limit = number(),
            0x0f => self.initial_source = ConnectionId::new(value),
            0x10 => self.retry_source = ConnectionId::new(value),
            // The one in use, then those available.
            0x11 => {
                let (numbers, _) = value.get(4..).unwrap_or_default().as_chunks::<4>();
                self.versions = numbers
                    .iter()
                    .take(TransportParameters::VERSIONS)
                    .map(|number| QuicVersion(u32::from_be_bytes(*number)))
                    .collect();
            }
            _ => {}
        }
    }
}

fn parameter<'a>(body: &mut &'a [u8]) -> Option<(u64, &'a [u8])> {
    Some((wire::varint(body)?, wire::vector(body)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_declares() {
        let body = [
            &[0x01, 0x04, 0x80, 0x00, 0x75, 0x30][..],
            &[0x03, 0x02, 0x45, 0xc0],
            &[0x0c, 0x00],
            &[0x0f, 0x02, 0xab, 0xcd],
            &[0x11, 0x08, 0, 0, 0, 1, 0x6b, 0x33, 0x43, 0xcf],
            &[0x20, 0x01],
        ];
        let parameters = TransportParameters::read(&body.concat());
        assert_eq!(parameters.max_idle_timeout, Some(Interval::from_secs(30)));
        assert_eq!(parameters.max_udp_payload_size, Some(1472));
        assert!(parameters.disable_active_migration);
        assert_eq!(parameters.initial_source, ConnectionId::new(&[0xab, 0xcd]));
        assert_eq!(parameters.versions, [QuicVersion::V2]);
    }

    #[test]
    fn no_limit_is_no_limit() {
        let parameters = TransportParameters::read(&[0x01, 0x01, 0x00]);
        assert_eq!(parameters, TransportParameters::default());
    }
}
