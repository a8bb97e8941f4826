//! Words that several summaries share.

use std::net::IpAddr;

use wirewhy_flow::{Connection, Endpoint};
use wirewhy_packet::{Interval, Timestamp};

/// `10.0.0.9:443`, `[2001:db8::9]:443`.
#[must_use]
pub fn socket(endpoint: &Endpoint) -> String {
    socket_of(endpoint.address, endpoint.port)
}

/// `10.0.0.9:443`, `[2001:db8::9]:443`.
#[must_use]
pub fn socket_of(address: IpAddr, port: u16) -> String {
    let IpAddr::V4(address) = address else {
        return std::net::SocketAddr::new(address, port).to_string();
    };
    // By hand: every finding says it, and the formatter takes as long as the rest of a rule.
    let mut text = String::with_capacity("255.255.255.255:65535".len());
    for (octet, behind) in address.octets().into_iter().zip(['.', '.', '.', ':']) {
        push_number(&mut text, u16::from(octet));
        text.push(behind);
    }
    push_number(&mut text, port);
    text
}

fn push_number(text: &mut String, number: u16) {
    let digits = (1..5)
        .take_while(|power| number >= 10_u16.pow(*power))
        .count();
    for power in (0..=digits).rev() {
        let place = number / 10_u16.pow(u32::try_from(power).unwrap_or(0)) % 10;
        text.push(char::from(b'0' + u8::try_from(place).unwrap_or(0)));
    }
}

/// A span for a sentence: `3.2 s`, `140 ms`, `85 µs`.
#[must_use]
pub fn span(interval: Interval) -> String {
    let seconds = interval.as_secs_f64();
    match seconds.abs() {
        s if s >= 100.0 => format!("{seconds:.0} s"),
        s if s >= 1.0 => format!("{seconds:.1} s"),
        s if s >= 0.01 => format!("{:.0} ms", seconds * 1e3),
        s if s >= 0.001 => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{:.0} µs", seconds * 1e6),
    }
}

/// A long span for a sentence: `3 days`, `5 h`, and shorter ones as [`span`] words them.
#[must_use]
pub fn long_span(interval: Interval) -> String {
    const HOUR: i64 = 3_600;
    match interval.0 / 1_000_000_000 {
        seconds if seconds >= 48 * HOUR => format!("{} days", seconds / (24 * HOUR)),
        seconds if seconds >= 2 * HOUR => format!("{} h", seconds / HOUR),
        seconds if seconds >= 120 => format!("{} min", seconds / 60),
        _ => span(interval),
    }
}

/// A time for a sentence, in UTC: `2026-01-02 03:04:05 UTC`.
#[must_use]
pub fn instant(time: Timestamp) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time.0))
        .unwrap_or_default()
        .strftime("%Y-%m-%d %H:%M:%S UTC")
        .to_string()
}

/// `1 SYN`, `3 SYNs`.
#[must_use]
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// What the client asked for last, in words: ` (GET /index.html of example.com)`, ` (TLS for example.com)`. Text from the
/// wire.
#[must_use]
pub fn request(connection: &Connection) -> String {
    let asked = connection
        .app
        .as_deref()
        .and_then(|app| app.http.last_request.as_deref());
    if let Some(request) = asked {
        let host = request
            .host
            .as_deref()
            .map_or(String::new(), |host| format!(" of {host}"));
        return format!(" ({} {}{host})", request.method, request.target);
    }
    connection
        .server_name
        .as_deref()
        .map_or(String::new(), |name| format!(" (TLS for {name})"))
}

/// What may have triggered a device on the way: the server name, the HTTP host, else the first bytes the client sent.
#[must_use]
pub fn trigger(connection: &Connection) -> Option<String> {
    let app = connection.app.as_deref();
    if let Some(name) = connection.server_name.as_deref() {
        return Some(format!("TLS server name {name}"));
    }
    if let Some(host) = app
        .and_then(|app| app.http.last_request.as_deref())
        .and_then(|request| request.host.as_deref())
    {
        return Some(format!("HTTP host {host}"));
    }
    let first = app?.client.opening.bytes();
    (!first.is_empty()).then(|| format!("first bytes \"{}\"", first.escape_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_keep_two_or_three_digits() {
        let spans = [
            85_000,
            1_400_000,
            140_000_000,
            3_240_000_000,
            127_400_000_000,
        ];
        let words: Vec<String> = spans
            .into_iter()
            .map(|nanos| span(Interval(nanos)))
            .collect();
        assert_eq!(words, ["85 µs", "1.4 ms", "140 ms", "3.2 s", "127 s"]);
    }

    #[test]
    fn sockets_are_worded_as_the_standard_library_words_them() {
        let ports = [0, 9, 10, 99, 100, 443, 999, 1_000, 9_999, 10_000, 65_535];
        let hosts = [
            "0.0.0.0",
            "10.0.0.9",
            "99.100.199.255",
            "::1",
            "2001:db8::9",
        ];
        for (host, port) in hosts.iter().flat_map(|host| ports.map(|port| (host, port))) {
            let address: IpAddr = host.parse().unwrap();
            let known = std::net::SocketAddr::new(address, port).to_string();
            assert_eq!(socket_of(address, port), known);
        }
    }
}
