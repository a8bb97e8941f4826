//! Protocol numbers of TLS that keep what they do not know.

use std::fmt;

/// Defines a number of the protocol as a newtype whose `Display` is its registered name, or its value in hex.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident($raw:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub struct $name(pub $raw);
    };
}

number! {
    /// A protocol version (RFC 8446 section 4.1.2), `0x0002` for SSL 2.0.
    ProtocolVersion(u16)
}
number! {
    /// A cipher suite.
    CipherSuite(u16)
}
number! {
    /// A supported group (RFC 8446 section 4.2.7).
    NamedGroup(u16)
}
number! {
    /// A signature algorithm (RFC 8446 section 4.2.3).
    SignatureScheme(u16)
}
number! {
    /// What an alert says (RFC 8446 section 6).
    AlertDescription(u8)
}
number! {
    /// A record's type (RFC 8446 section 5.1).
    ContentType(u8)
}
number! {
    /// A handshake message's type (RFC 8446 section 4).
    HandshakeType(u8)
}
number! {
    /// An extension's type (RFC 8446 section 4.2).
    ExtensionType(u16)
}

impl ProtocolVersion {
    /// SSL 3.0.
    pub const SSL3: ProtocolVersion = ProtocolVersion(0x0300);
    /// TLS 1.0.
    pub const TLS1_0: ProtocolVersion = ProtocolVersion(0x0301);
    /// TLS 1.1.
    pub const TLS1_1: ProtocolVersion = ProtocolVersion(0x0302);
    /// TLS 1.2.
    pub const TLS1_2: ProtocolVersion = ProtocolVersion(0x0303);
    /// TLS 1.3.
    pub const TLS1_3: ProtocolVersion = ProtocolVersion(0x0304);
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            ProtocolVersion::SSL3 => f.write_str("SSL 3.0"),
            ProtocolVersion::TLS1_0 => f.write_str("TLS 1.0"),
            ProtocolVersion::TLS1_1 => f.write_str("TLS 1.1"),
            ProtocolVersion::TLS1_2 => f.write_str("TLS 1.2"),
            ProtocolVersion::TLS1_3 => f.write_str("TLS 1.3"),
            ProtocolVersion(other) => write!(f, "0x{other:04x}"),
        }
    }
}
