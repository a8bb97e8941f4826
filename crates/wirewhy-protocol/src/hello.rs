//! The server name a TLS client asks for, where its ClientHello fits one segment.

use crate::tls::{HandshakeType, server_name_of};

/// Length of a TLS record header (RFC 8446 section 5.1).
const RECORD_HEADER: usize = 5;

/// The longest name kept: what a DNS name can be (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 255;

/// The host name in the server_name extension (RFC 6066 section 3) of a ClientHello, from the first bytes of a client's
/// stream. `None` where they are no ClientHello, hold no name, or not all of it.
///
/// The name is as it was on the wire: hostile text.
#[must_use]
pub fn server_name(bytes: &[u8]) -> Option<Box<str>> {
    let (&[22, 3, _, high, low], rest) = bytes.split_first_chunk::<RECORD_HEADER>()? else {
        return None;
    };
    let record = rest.get(..usize::from(u16::from_be_bytes([high, low])))?;
    let (&[kind, a, b, c], rest) = record.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
    let hello = rest.get(..length)?;
    let name =
        server_name_of(hello).filter(|_| HandshakeType(kind) == HandshakeType::CLIENT_HELLO)?;
    let name = str::from_utf8(name.get(..MAX_NAME).unwrap_or(name)).ok()?;
    Some(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TLS 1.2 ClientHello with one suite and the server name given.
    fn hello(name: &str) -> Vec<u8> {
        let name = name.as_bytes();
        let with_len = |body: &[u8]| {
            let mut out = u16::try_from(body.len()).unwrap().to_be_bytes().to_vec();
            out.extend(body);
            out
        };
        let entry = [&[0][..], &with_len(name)].concat();
        let extension = [&[0, 0][..], &with_len(&with_len(&entry))].concat();
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0xc0, 0x2f, 1, 0]);
        body.extend(with_len(&extension));
        let len = u32::try_from(body.len()).unwrap().to_be_bytes();
        let message = [&[1, len[1], len[2], len[3]][..], &body].concat();
        [&[22, 3, 1][..], &with_len(&message)].concat()
    }

    #[test]
    fn the_name_asked_for() {
        assert_eq!(
            server_name(&hello("blocked.example")).as_deref(),
            Some("blocked.example")
        );
    }

    #[test]
    fn half_a_hello_names_nobody_and_no_cut_panics() {
        let whole = hello("blocked.example");
        for end in 0..whole.len() {
            assert_eq!(server_name(whole.get(..end).unwrap()), None);
        }
    }

    #[test]
    fn http_is_no_hello() {
        assert_eq!(server_name(b"GET / HTTP/1.1\r\n\r\n"), None);
    }
}
