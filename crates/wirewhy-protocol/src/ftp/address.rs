//! The addresses in PORT, EPRT, 227 and 229.

use std::net::{IpAddr, Ipv4Addr};

/// The argument of PORT: six numbers with commas between (RFC 959 section 5.2).
pub(super) fn port(argument: &[u8]) -> Option<(IpAddr, u16)> {
    let mut numbers = argument.trim_ascii().split(|&byte| byte == b',');
    let found = six(&mut numbers)?;
    numbers.next().is_none().then_some(found)
}

/// The reply 227: the first six numbers with commas between, wherever they are (RFC 1123 section 4.1.2.6).
pub(super) fn passive(text: &[u8]) -> Option<(IpAddr, u16)> {
    let is_part = |byte: &u8| byte.is_ascii_digit() || *byte == b',';
    text.split(|byte| !is_part(byte))
        .find_map(|run| six(&mut run.split(|&byte| byte == b',')))
}

fn six<'a>(numbers: &mut impl Iterator<Item = &'a [u8]>) -> Option<(IpAddr, u16)> {
    let mut octets = [0_u8; 6];
    for octet in &mut octets {
        *octet = number(numbers.next()?.trim_ascii())?;
    }
    let [a, b, c, d, high, low] = octets;
    let port = u16::from_be_bytes([high, low]);
    Some((Ipv4Addr::new(a, b, c, d).into(), port))
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

/// The argument of EPRT: a delimiter of the client's choice, protocol, delimiter, address, delimiter, port, delimiter (RFC 2428
/// section 2).
pub(super) fn extended_port(argument: &[u8]) -> Option<(IpAddr, u16)> {
    let (&delimiter, rest) = argument.trim_ascii().split_first()?;
    let mut parts = rest.split(|&byte| byte == delimiter);
    let family = parts.next()?;
    let address: IpAddr = str::from_utf8(parts.next()?).ok()?.parse().ok()?;
    let port = number(parts.next()?)?;
    let fits = match address {
        IpAddr::V4(_) => family == b"1",
        IpAddr::V6(_) => family == b"2",
    };
    fits.then_some((address, port))
}

/// The port in a reply 229: in parentheses, a delimiter three times, the port, the delimiter (RFC 2428 section 3).
pub(super) fn extended_passive(text: &[u8]) -> Option<u16> {
    let open = text.iter().position(|&byte| byte == b'(')?;
    let inside = text.get(open + 1..)?;
    let (&delimiter, _) = inside.split_first()?;
    if delimiter.is_ascii_digit() {
        return None;
    }
    let mut parts = inside.split(|&byte| byte == delimiter).skip(1);
    // A server may name the protocol and its address, which do not count.
    let (_, _) = (parts.next()?, parts.next()?);
    number(parts.next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(found: Option<(IpAddr, u16)>) -> Option<String> {
        found.map(|(address, port)| std::net::SocketAddr::new(address, port).to_string())
    }

    #[test]
    fn six_numbers() {
        let some = Some("192.0.2.9:1025".to_owned());
        assert_eq!(shown(port(b"192,0,2,9,4,1")), some);
        assert_eq!(shown(port(b" 192,0,2,9, 4,1 ")), some);
        for text in [
            &b"Entering Passive Mode (192,0,2,9,4,1)."[..],
            b"Entering passive mode. 192,0,2,9,4,1",
            b"=192,0,2,9,4,1",
            b"3 ways, as 1,2 and: 192,0,2,9,4,1",
        ] {
            assert_eq!(shown(passive(text)), some);
        }
        for wrong in [
            &b"192,0,2,9,4"[..],
            b"192,0,2,256,4,1",
            b"192,0,2,9,4,1,7",
            b"a,b,c,d,e,f",
            b"",
        ] {
            assert_eq!(port(wrong), None);
        }
        assert_eq!(passive(b"Entering Passive Mode"), None);
    }

    #[test]
    fn extended() {
        assert_eq!(
            shown(extended_port(b"|2|2001:db8::9|1025|")),
            Some("[2001:db8::9]:1025".to_owned())
        );
        assert_eq!(
            shown(extended_port(b"!1!192.0.2.9!21!")),
            Some("192.0.2.9:21".to_owned())
        );
        for wrong in [
            &b"|1|2001:db8::9|1025|"[..],
            b"|2|192.0.2.9|1025|",
            b"|1|192.0.2.9|70000|",
            b"|",
            b"",
        ] {
            assert_eq!(extended_port(wrong), None);
        }
        let text = b"Entering Extended Passive Mode (|||50001|)";
        assert_eq!(extended_passive(text), Some(50_001));
        assert_eq!(extended_passive(b"ok (!!!7!)."), Some(7));
        assert_eq!(extended_passive(b"(|1|192.0.2.9|7|)"), Some(7));
        assert_eq!(extended_passive(b"Entering (50001)"), None);
        assert_eq!(extended_passive(b"Entering"), None);
    }
}
