//! Protocol numbers and identifiers of QUIC that keep what they do not know.

use std::fmt;

/// A version of QUIC (RFC 9000 section 15).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct QuicVersion(pub u32);

impl QuicVersion {
    /// Version 1 (RFC 9000).
    pub const V1: QuicVersion = QuicVersion(1);
    /// Version 2 (RFC 9369).
    pub const V2: QuicVersion = QuicVersion(0x6b33_43cf);

    /// Whether its Initial packets can be opened here: versions 1 and 2, and drafts 22 to 34 of version 1.
    #[must_use]
    pub fn is_known(self) -> bool {
        self == QuicVersion::V1 || self == QuicVersion::V2 || self.draft().is_some()
    }

    /// The number of the draft of version 1, from 22 to 34; `None` of any other version.
    #[must_use]
    pub fn draft(self) -> Option<u8> {
        match self.0.to_be_bytes() {
            [0xff, 0, 0, draft @ 22..=34] => Some(draft),
            _ => None,
        }
    }

    /// Whether it is one of the values that no endpoint uses, and that keep peers tolerant (RFC 9000 section 15).
    #[must_use]
    pub fn is_grease(self) -> bool {
        self.0 & 0x0f0f_0f0f == 0x0a0a_0a0a
    }
}

impl fmt::Display for QuicVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (*self, self.draft()) {
            (QuicVersion::V1, _) => f.write_str("1"),
            (QuicVersion::V2, _) => f.write_str("2"),
            (_, Some(draft)) => write!(f, "draft-{draft}"),
            _ if self.is_grease() => write!(f, "GREASE (0x{:08x})", self.0),
            _ => write!(f, "0x{:08x}", self.0),
        }
    }
}

/// A connection id (RFC 9000 section 5.1): at most 20 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ConnectionId {
    length: u8,
    bytes: [u8; ConnectionId::MAX],
}

impl ConnectionId {
    /// The most bytes that one has (RFC 9000 section 17.2).
    pub const MAX: usize = 20;

    /// The id of these bytes; `None` of more than [`ConnectionId::MAX`].
    #[must_use]
    pub fn new(id: &[u8]) -> Option<ConnectionId> {
        let mut bytes = [0; ConnectionId::MAX];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        Some(ConnectionId {
            length: u8::try_from(id.len()).ok()?,
            bytes,
        })
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.length)
    }

    /// Whether it has none: its owner is found by addresses and ports alone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionId({self})")
    }
}

/// The code of a CONNECTION_CLOSE frame, of the transport (RFC 9000 section 20.1) or of the application.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CloseCode {
    /// Of the transport (frame type 0x1c).
    Transport(u64),
    /// Of the application (frame type 0x1d).
    Application(u64),
}

impl CloseCode {
    /// NO_ERROR.
    pub const NO_ERROR: CloseCode = CloseCode::Transport(0);
    /// INVALID_TOKEN.
    pub const INVALID_TOKEN: CloseCode = CloseCode::Transport(0x0b);
    /// VERSION_NEGOTIATION_ERROR (RFC 9368 section 10.2).
    pub const VERSION_NEGOTIATION_ERROR: CloseCode = CloseCode::Transport(0x11);

    /// The number.
    #[must_use]
    pub fn value(self) -> u64 {
        match self {
            CloseCode::Transport(value) | CloseCode::Application(value) => value,
        }
    }

    /// The description of the TLS alert that it stands for (RFC 9001 section 4.8).
    #[must_use]
    pub fn alert(self) -> Option<u8> {
        match self {
            CloseCode::Transport(value @ 0x100..=0x1ff) => u8::try_from(value & 0xff).ok(),
            _ => None,
        }
    }

    /// Whether it says that nothing went wrong. Of the application only HTTP/3 is known (RFC 9114 section 8.1), and the
    /// 0 with which others end without an error.
    #[must_use]
    pub fn is_no_error(self) -> bool {
        matches!(
            self,
            CloseCode::Transport(0) | CloseCode::Application(0 | 0x100)
        )
    }

    /// The registered name; of a code of the application its name in HTTP/3 and QPACK (RFC 9114 section 8.1, RFC 9204
    /// section 8.3).
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            CloseCode::Transport(value) => match value {
                0x00 => "NO_ERROR",
                0x01 => "INTERNAL_ERROR",
                0x02 => "CONNECTION_REFUSED",
                0x03 => "FLOW_CONTROL_ERROR",
                0x04 => "STREAM_LIMIT_ERROR",
                0x05 => "STREAM_STATE_ERROR",
                0x06 => "FINAL_SIZE_ERROR",
                0x07 => "FRAME_ENCODING_ERROR",
                0x08 => "TRANSPORT_PARAMETER_ERROR",
                0x09 => "CONNECTION_ID_LIMIT_ERROR",
                0x0a => "PROTOCOL_VIOLATION",
                0x0b => "INVALID_TOKEN",
                0x0c => "APPLICATION_ERROR",
                0x0d => "CRYPTO_BUFFER_EXCEEDED",
                0x0e => "KEY_UPDATE_ERROR",
                0x0f => "AEAD_LIMIT_REACHED",
                0x10 => "NO_VIABLE_PATH",
                0x11 => "VERSION_NEGOTIATION_ERROR",
                0x100..=0x1ff => "CRYPTO_ERROR",
                _ => return None,
            },
            CloseCode::Application(value) => match value {
                0x100 => "H3_NO_ERROR",
                0x101 => "H3_GENERAL_PROTOCOL_ERROR",
                0x102 => "H3_INTERNAL_ERROR",
                0x103 => "H3_STREAM_CREATION_ERROR",
                0x104 => "H3_CLOSED_CRITICAL_STREAM",
                0x105 => "H3_FRAME_UNEXPECTED",
                0x106 => "H3_FRAME_ERROR",
                0x107 => "H3_EXCESSIVE_LOAD",
                0x108 => "H3_ID_ERROR",
                0x109 => "H3_SETTINGS_ERROR",
                0x10a => "H3_MISSING_SETTINGS",
                0x10b => "H3_REQUEST_REJECTED",
                0x10c => "H3_REQUEST_CANCELLED",
                0x10d => "H3_REQUEST_INCOMPLETE",
                0x10e => "H3_MESSAGE_ERROR",
                0x10f => "H3_CONNECT_ERROR",
                0x110 => "H3_VERSION_FALLBACK",
                0x200 => "QPACK_DECOMPRESSION_FAILED",
                0x201 => "QPACK_ENCODER_STREAM_ERROR",
                0x202 => "QPACK_DECODER_STREAM_ERROR",
                _ => return None,
            },
        })
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} (0x{:02x})", self.value()),
            None => write!(f, "0x{:02x}", self.value()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_are_read() {
        for (version, known, shown) in [
            (1, true, "1"),
            (0x6b33_43cf, true, "2"),
            (0xff00_0016, true, "draft-22"),
            (0xff00_001d, true, "draft-29"),
            (0xff00_0022, true, "draft-34"),
            (0xff00_0015, false, "0xff000015"),
            (0xff00_0023, false, "0xff000023"),
            (0, false, "0x00000000"),
            (0x1a2a_3a4a, false, "GREASE (0x1a2a3a4a)"),
            (0x5130_3530, false, "0x51303530"),
            (0xface_b002, false, "0xfaceb002"),
        ] {
            let version = QuicVersion(version);
            assert_eq!(version.is_known(), known, "{version}");
            assert_eq!(version.to_string(), shown);
        }
    }

    #[test]
    fn connection_ids_have_at_most_twenty_bytes() {
        assert_eq!(
            ConnectionId::new(&[0x0a, 0xbc]).unwrap().to_string(),
            "0abc"
        );
        assert!(ConnectionId::new(&[]).unwrap().is_empty());
        assert_eq!(ConnectionId::new(&[7; 20]).unwrap().len(), 20);
        assert_eq!(ConnectionId::new(&[7; 21]), None);
    }

    #[test]
    fn codes_of_both_kinds() {
        let alert = CloseCode::Transport(0x178);
        assert_eq!(alert.alert(), Some(120));
        assert_eq!(alert.to_string(), "CRYPTO_ERROR (0x178)");
        let h3 = CloseCode::Application(0x100);
        assert!(h3.is_no_error());
        assert_eq!(h3.to_string(), "H3_NO_ERROR (0x100)");
        assert_eq!(h3.alert(), None);
        assert_eq!(CloseCode::Transport(0x4000).to_string(), "0x4000");
    }
}
