//! The words with which a service ends a session that was going on, told from one segment alone: between a login and its end the
//! session is not read.

use wirewhy_packet::Timestamp;

use super::{Refusal, amqp, mqtt, tds};
use crate::types::{AppProtocol, Mark};
use crate::upgrade::{ldap, mysql, postgresql};

/// The longest notice looked at.
const LONGEST: usize = 1024;

/// A server's segment as the notice that it ends the session, if the segment as a whole is nothing else: a fatal error of
/// PostgreSQL, an error of MySQL or SQL Server after which it closes, AMQP's Connection.Close, MQTT 5's DISCONNECT, LDAP's Notice
/// of Disconnection (RFC 4511 section 4.4.1).
///
/// `frame` and `time` are where the segment was seen. `None` for everything else, by its first byte in nearly every case.
#[must_use]
pub fn closing_notice(payload: &[u8], frame: u64, time: Timestamp) -> Option<Refusal> {
    if payload.len() > LONGEST {
        return None;
    }
    let mark = Mark { frame, time };
    let notice = match payload {
        [b'E', 0, 0, ..] => postgresql::fatal(payload, mark),
        [0x30, ..] => ldap::notice(payload, mark),
        [1, 0, 0, 0, 0, ..] => amqp::closing(payload, mark),
        [4, 1, ..] => tds::fatal(payload, mark),
        [mqtt::DISCONNECT, ..] => mqtt::disconnect(payload, mark),
        [_, _, 0, 0, 0xff, ..] => mysql::fatal(payload, mark),
        _ => None,
    };
    notice.map(|notice| Refusal {
        accepted_before: true,
        ..notice
    })
}

impl Refusal {
    /// Whether one segment proves it, so that what the connection began with need not be known.
    #[must_use]
    pub fn proves_itself(&self) -> bool {
        !matches!(self.protocol, AppProtocol::MySql | AppProtocol::Mqtt)
    }
}

#[cfg(test)]
mod tests {
    use super::closing_notice;
    use crate::types::AppProtocol;
    use wirewhy_packet::Timestamp;

    fn decoded(payload: &[u8]) -> Option<(AppProtocol, String)> {
        let notice = closing_notice(payload, 7, Timestamp::default())?;
        assert!(notice.accepted_before);
        Some((notice.protocol, notice.code.to_string()))
    }

    fn postgresql(severity: &str, code: &str) -> Vec<u8> {
        let fields = format!("S{severity}\0V{severity}\0C{code}\0Mwords\0\0");
        let length = u32::try_from(fields.len() + 4).unwrap();
        [b"E", &length.to_be_bytes()[..], fields.as_bytes()].concat()
    }

    #[test]
    fn notices() {
        let postgresql = postgresql("FATAL", "57P01");
        let mysql = b"\x0b\0\0\0\xff\x1d\x04#08S01xx";
        let amqp = b"\x01\0\0\0\0\0\x0d\0\x0a\0\x32\x01\x40\x02no\0\0\0\0\xce";
        let mut ldap =
            b"\x30\x26\x02\x01\0\x78\x21\x0a\x01\x34\x04\0\x04\0\x8a\x161.3.6.1.4.1.1466.20036"
                .to_vec();
        ldap.extend([0x04, 0]);
        let tds = b"\x04\x01\0\x1b\0\0\x01\0\xaa\x10\0\x54\x02\0\0\x01\x15\x01\0x\0\0\0\0\0\0\0";
        for (bytes, protocol, code) in [
            (&postgresql[..], AppProtocol::PostgreSql, "57P01"),
            (mysql, AppProtocol::MySql, "1053"),
            (amqp, AppProtocol::Amqp, "320"),
            (&ldap, AppProtocol::Ldap, "52"),
            (tds, AppProtocol::Tds, "596"),
            (b"\xe0\x01\x8e", AppProtocol::Mqtt, "142"),
            (b"\xe0\x09\x8b\x07\x1f\0\x04bye!", AppProtocol::Mqtt, "139"),
        ] {
            assert_eq!(
                decoded(bytes),
                Some((protocol, code.to_owned())),
                "{protocol:?}"
            );
            assert_eq!(decoded(&bytes[..bytes.len() - 1]), None, "{protocol:?} cut");
        }
    }

    #[test]
    fn what_a_session_goes_on_with() {
        for bytes in [
            &postgresql("ERROR", "42703")[..],
            b"\x0b\0\0\x01\xff\x7a\x04#42S02xx",
            b"\x30\x0c\x02\x01\x02\x65\x07\x0a\x01\0\x04\0\x04\0",
            b"\x01\0\0\0\0\0\x05\0\x0a\0\x33\xce",
            b"\x04\x01\0\x1b\0\0\x01\0\xaa\x10\0\x54\x02\0\0\x01\x10\x01\0x\0\0\0\0\0\0\0",
            // MQTT: a client's leave, one with a will, a code that no server sends, and more behind the packet.
            b"\xe0\x00",
            b"\xe0\x02\x04\0",
            b"\xe0\x02\x86\0",
            b"\xe0\x01\x8e\x30",
            b"Everything",
            b"",
        ] {
            assert_eq!(decoded(bytes), None, "{bytes:?}");
        }
    }
}
