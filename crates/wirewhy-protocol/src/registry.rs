//! The protocols that are known, and how a direction's protocol is recognised by its first bytes.

use crate::dns::DNS;
use crate::http1::{HTTP1_REQUEST, HTTP1_RESPONSE};
use crate::http2::{HTTP2_PREFACE, HTTP2_SETTINGS};
use crate::protocol::Protocol;
use crate::quic::{self, QUIC};
use crate::records::TLS;
use crate::session::amqp::AMQP;
use crate::session::mqtt::MQTT;
use crate::session::redis::REDIS;
use crate::session::tds::TDS_ANSWER;
use crate::ssh::SSH;
use crate::tls::{ContentType, DTLS};
use crate::types::{AppProtocol, Role, Transport};
use crate::upgrade::greetings::{FTP, IMAP, IRC, MANAGE_SIEVE, NNTP, POP3, SMTP, SMTP_OR_FTP};
use crate::upgrade::ldap::LDAP;
use crate::upgrade::mysql::MYSQL;
use crate::upgrade::postgresql::POSTGRESQL;
use crate::upgrade::proxy::PROXY;
use crate::upgrade::rdp::RDP;
use crate::upgrade::socks::SOCKS;
use crate::upgrade::tds::TDS;
use crate::upgrade::tds_tls::TLS_IN_TDS;
use crate::upgrade::xmpp::XMPP;

/// All protocols. Where first bytes fit several, the first one counts, so what proves less comes later.
pub(crate) static PROTOCOLS: [&Protocol; 30] = [
    &TLS,
    &HTTP1_REQUEST,
    &HTTP1_RESPONSE,
    &HTTP2_PREFACE,
    &HTTP2_SETTINGS,
    &SSH,
    &SMTP,
    &FTP,
    &SMTP_OR_FTP,
    &POP3,
    &IMAP,
    &NNTP,
    &MANAGE_SIEVE,
    &IRC,
    &XMPP,
    &LDAP,
    &POSTGRESQL,
    &RDP,
    &TDS,
    &TLS_IN_TDS,
    &TDS_ANSWER,
    &SOCKS,
    &PROXY,
    &REDIS,
    &AMQP,
    &MQTT,
    &DNS,
    &QUIC,
    &DTLS,
    // The first byte of its greeting is the lowest of a length: any.
    &MYSQL,
];

/// Those of them that are read over UDP.
pub(crate) static OVER_UDP: [&Protocol; 2] = [&QUIC, &DTLS];

/// Whether a datagram may begin a conversation in one of them: with an Initial packet, or a record of a handshake.
pub(crate) fn may_be_over_udp(datagram: &[u8]) -> bool {
    quic::begins_initial(datagram) || datagram.first() == Some(&ContentType::HANDSHAKE.0)
}

/// What first bytes are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Recognised {
    As(&'static Protocol),
    /// No protocol that is known.
    Unknown,
    /// More bytes may decide it.
    Undecided,
}

impl Recognised {
    /// The protocol, once that is decided.
    pub(crate) fn id(self) -> Option<AppProtocol> {
        match self {
            Recognised::As(protocol) => Some(protocol.id),
            Recognised::Unknown => Some(AppProtocol::Unknown),
            Recognised::Undecided => None,
        }
    }
}

/// What the first bytes of a direction are, of `protocols` over `transport`; `all` where no more bytes follow, so that it is
/// decided. No bytes decide nothing.
pub(crate) fn recognise(
    protocols: &[&'static Protocol],
    transport: Transport,
    role: Role,
    bytes: &[u8],
    all: bool,
) -> Recognised {
    if bytes.is_empty() {
        return Recognised::Undecided;
    }
    let mut open = false;
    for protocol in protocols {
        if !protocol.transports.contains(&transport) {
            continue;
        }
        match (protocol.probe)(role, bytes) {
            Some(true) => return Recognised::As(protocol),
            Some(false) => {}
            None => open = true,
        }
    }
    match open && !all {
        true => Recognised::Undecided,
        false => Recognised::Unknown,
    }
}

/// What is registered of a protocol; `None` of an unknown one.
pub(crate) fn find(id: AppProtocol) -> Option<&'static Protocol> {
    PROTOCOLS.into_iter().find(|protocol| protocol.id == id)
}

impl AppProtocol {
    /// What it is called in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        find(self).map_or("unknown", |protocol| protocol.name)
    }

    /// The end that sends first, where the protocol defines it.
    #[must_use]
    pub fn first_sender(self) -> Option<Role> {
        find(self)?.first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recognised(bytes: &[u8], all: bool) -> Option<AppProtocol> {
        recognise(&PROTOCOLS, Transport::Tcp, Role::Client, bytes, all).id()
    }

    #[test]
    fn first_bytes_of_every_protocol() {
        let table: [(&[u8], AppProtocol); 34] = [
            (b"GET / HTTP/1.1\r\n", AppProtocol::Http1Request),
            (b"OPTIONS * HTTP/1.1\r\n", AppProtocol::Http1Request),
            (b"GET HTTP://a/ HTTP/1.1\r\n", AppProtocol::Http1Request),
            (b"CONNECT a:443 HTTP/1.1\r\n", AppProtocol::Http1Request),
            (b"\r\nPOST /x HTTP/1.1\r\n", AppProtocol::Http1Request),
            (b"PROPFIND /dav HTTP/1.1\r\n", AppProtocol::Http1Request),
            (b"OPTIONS sip:a@b SIP/2.0\r\n", AppProtocol::Unknown),
            (b"OPTIONS rtsp://a RTSP/1.0\r\n", AppProtocol::Unknown),
            (b"GET key\r\n", AppProtocol::Unknown),
            (b"get / HTTP/1.1\r\n", AppProtocol::Unknown),
            (b"\r\n\r\n\r\n", AppProtocol::Unknown),
            (b"HTTP/1.0 200 OK\r\n", AppProtocol::Http1Response),
            (b"HTTP/2 200\r\n", AppProtocol::Unknown),
            (crate::http2::PREFACE, AppProtocol::Http2Preface),
            (b"PROPERTY", AppProtocol::Unknown),
            (b"\0\0\x12\x04\0\0\0\0\0", AppProtocol::Http2Settings),
            (b"\0\0\x13\x04\0\0\0\0\0", AppProtocol::Unknown),
            (b"\x16\x03\x01\x02\x00\x01", AppProtocol::Tls),
            (b"\x15\x03\x00\x00\x02\x02\x28", AppProtocol::Tls),
            (b"\x16\x03\x05\x02\x00\x01", AppProtocol::Unknown),
            (b"\x16\x03\x01\x00\x00", AppProtocol::Unknown),
            (b"SSH-2.0-x\r\n", AppProtocol::Ssh),
            (b"220 a.example ESMTP ready\r\n", AppProtocol::Smtp),
            (b"220-vsFTPd 3.0\r\n", AppProtocol::Ftp),
            (b"220 welcome\r\n", AppProtocol::SmtpOrFtp),
            (b"2200 no\r\n", AppProtocol::Unknown),
            (b"421 too many\r\n", AppProtocol::SmtpOrFtp),
            (b"+OK ready\r\n", AppProtocol::Pop3),
            (b"* OK [CAPABILITY IMAP4rev1]\r\n", AppProtocol::Imap),
            (b"*3\r\n$3\r\nSET\r\n", AppProtocol::Redis),
            (b"*3\r\n:3\r\n", AppProtocol::Unknown),
            (b"AMQP\0\0\x09\x01", AppProtocol::Amqp),
            (b"\x10\x10\0\x04MQTT\x04", AppProtocol::Mqtt),
            (b"EHLO a\r\n", AppProtocol::Smtp),
        ];
        for (bytes, protocol) in table {
            let shown = String::from_utf8_lossy(bytes);
            assert_eq!(recognised(bytes, false), Some(protocol), "{shown:?}");
            // Fewer bytes give the same protocol or none, and more of them do not change it.
            let early: Vec<_> = (0..bytes.len())
                .filter_map(|cut| recognised(&bytes[..cut], false))
                .collect();
            assert!(
                early.iter().all(|&early| early == protocol),
                "{shown:?}: {early:?}"
            );
        }
    }

    #[test]
    fn a_greeting_without_end_is_decided_all_the_same() {
        let mut endless = b"220 ".to_vec();
        endless.resize(255, b'x');
        assert_eq!(recognised(&endless, false), None);
        assert_eq!(recognised(&endless, true), Some(AppProtocol::Unknown));
        endless.push(b'x');
        assert_eq!(recognised(&endless, false), Some(AppProtocol::SmtpOrFtp));
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(recognised(b"", false), None);
        assert_eq!(recognised(b"", true), None);
    }

    #[test]
    fn every_protocol_is_registered_once() {
        for (index, protocol) in PROTOCOLS.iter().enumerate() {
            let first = PROTOCOLS.iter().position(|other| other.id == protocol.id);
            assert_eq!(first, Some(index), "{:?}", protocol.id);
            assert!(!protocol.transports.is_empty(), "{:?}", protocol.id);
            assert_ne!(protocol.id, AppProtocol::Unknown);
        }
    }

    #[test]
    fn what_is_registered_can_be_looked_up() {
        assert_eq!(AppProtocol::Http2Settings.name(), "HTTP/2 in the clear");
        assert_eq!(AppProtocol::Unknown.name(), "unknown");
        assert_eq!(AppProtocol::Smtp.first_sender(), Some(Role::Server));
        assert_eq!(AppProtocol::Tls.first_sender(), Some(Role::Client));
        assert_eq!(AppProtocol::Ssh.first_sender(), None);
        assert_eq!(AppProtocol::Unknown.first_sender(), None);
    }
}
