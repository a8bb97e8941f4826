//! The last words of protocols: a message after which the sender expects no answer.

/// Whether a payload is, as a whole, the message with which a client leaves: LDAP's UnbindRequest (RFC 4511 section 4.3),
/// PostgreSQL's Terminate, MySQL's COM_QUIT, MQTT's DISCONNECT, or QUIT and LOGOUT of the line protocols; or one that
/// ends TLS from either side: a single alert, in the clear not a fatal one.
#[must_use]
pub fn is_farewell(payload: &[u8]) -> bool {
    match payload {
        _ if payload.len() > LONGEST => false,
        [b'X', 0, 0, 0, 4] | [1, 0, 0, 0, 1] | [0xe0, 0] => true,
        [0x30, rest @ ..] => is_unbind(rest),
        [0x15, 3, _, 0, 2, level, _] => *level != 2,
        // Of TLS 1.3 the length shows it: two bytes and their type, with a tag of 16 or 8 bytes (RFC 8446 section 5.2).
        [kind @ (0x15 | 0x17), 3, _, high, low, body @ ..] => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            length == body.len() && (*kind == 0x15 || matches!(length, 19 | 11))
        }
        _ => is_closing_command(payload),
    }
}

/// The longest of them: an alert in a TLS record, with the padding and MAC of CBC suites (RFC 5246 section 6.2.3.2).
const LONGEST: usize = 85;

/// What follows the tag of an LDAPMessage: its length, the message number, and the empty UnbindRequest. Controls may follow.
fn is_unbind(rest: &[u8]) -> bool {
    let Some((length, body)) = ber_length(rest) else {
        return false;
    };
    let [0x02, after @ ..] = body else {
        return false;
    };
    let operation = ber_length(after).and_then(|(number, after)| after.get(number..));
    body.len() == length && matches!(operation, Some([0x42, 0, ..]))
}

/// A definite BER length, and what follows it (X.690 section 8.1.3).
fn ber_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if *first < 0x80 {
        return Some((usize::from(*first), rest));
    }
    let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    let value = octets.iter().try_fold(0_usize, |value, octet| {
        value.checked_mul(256)?.checked_add(usize::from(*octet))
    })?;
    Some((value, rest))
}

/// `QUIT` of FTP, SMTP, POP3, NNTP and Redis, or IMAP's `LOGOUT` behind its tag.
fn is_closing_command(payload: &[u8]) -> bool {
    let Some(line) = payload.strip_suffix(b"\r\n") else {
        return false;
    };
    let mut words = line.split(|byte| *byte == b' ');
    match (words.next(), words.next(), words.next()) {
        (Some(word), None, None) => word.eq_ignore_ascii_case(b"quit"),
        (Some(_), Some(word), None) => word.eq_ignore_ascii_case(b"logout"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_farewell;

    #[test]
    fn last_words_of_each_protocol() {
        for word in [
            &b"X\0\0\0\x04"[..],
            b"\x01\0\0\0\x01",
            b"\xe0\0",
            b"\x30\x05\x02\x01\x07\x42\0",
            b"\x30\x84\0\0\0\x06\x02\x02\x01\x07\x42\0",
            b"QUIT\r\n",
            b"quit\r\n",
            b"a003 LOGOUT\r\n",
            b"\x15\x03\x03\0\x02\x01\0",
            b"\x15\x03\x03\0\x1a12345678901234567890123456",
            b"\x17\x03\x03\0\x131234567890123456789",
        ] {
            assert!(is_farewell(word), "{word:?}");
        }
    }

    #[test]
    fn requests_are_none() {
        for word in [
            &b"Q\0\0\0\x05\0"[..],
            b"X\0\0\0\x05\0",
            b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0",
            b"\x30\x05\x02\x01\x07\x42",
            b"\x30\x84\xff\xff\xff\xff\x02\x01\x07\x42\0",
            b"\x30",
            b"\x15\x03\x03\0\x02\x02\x28",
            b"\x17\x03\x03\0\x1412345678901234567890",
            b"\x17\x03\x03\0\x13123456789012345678",
            b"QUIT",
            b"QUIT now please\r\n",
            b"NOOP\r\n",
            b"",
        ] {
            assert!(!is_farewell(word), "{word:?}");
        }
    }
}
