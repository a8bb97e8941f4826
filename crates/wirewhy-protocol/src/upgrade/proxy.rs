//! The PROXY protocol, versions 1 and 2: a prefix that names the client behind a proxy.

/// What a client's first bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Prefix {
    /// So many bytes of prefix.
    Is(usize),
    /// More bytes are needed.
    Open,
    Not,
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest line of version 1.
const MAX_LINE: usize = 107;

/// The prefix that `bytes` begin with.
pub(crate) fn prefix(bytes: &[u8]) -> Prefix {
    let word = b"PROXY ";
    if bytes.starts_with(word) {
        return match bytes.iter().take(MAX_LINE).position(|&byte| byte == b'\n') {
            Some(end) => Prefix::Is(end + 1),
            None if bytes.len() < MAX_LINE => Prefix::Open,
            None => Prefix::Not,
        };
    }
    if let Some(rest) = bytes.strip_prefix(SIGNATURE) {
        return match *rest {
            [version, ..] if version >> 4 != 2 => Prefix::Not,
            [_, _, high, low, ..] => Prefix::Is(16 + usize::from(u16::from_be_bytes([high, low]))),
            _ => Prefix::Open,
        };
    }
    if word.starts_with(bytes) || SIGNATURE.starts_with(bytes) {
        Prefix::Open
    } else {
        Prefix::Not
    }
}
