//! Words that several summaries share.

use std::net::IpAddr;

use wirewhy_flow::{Connection, Endpoint};
use wirewhy_packet::{Interval, Timestamp};
use wirewhy_protocol::AppProtocol;

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

/// A span of time with two or three digits: `85 µs`, `1.4 ms`, `140 ms`, `3.2 s`, `350 s`, `12 min 5 s`, `5 h 20 min`, `3 d 4 h`,
/// `38 days`.
/// Timers are set in seconds, so that seconds are kept up to ten minutes.
#[must_use]
pub fn span(interval: Interval) -> String {
    const SECOND: u64 = 1_000_000_000;
    let sign = if interval.0 < 0 { "-" } else { "" };
    let nanos = interval.0.unsigned_abs();
    let seconds = nanos / SECOND;
    // Exact far beyond the digits that are kept.
    let real = nanos as f64;
    let text = match nanos {
        0 => "0 s".to_owned(),
        1..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => format!("{:.0} µs", real / 1e3),
        1_000_000..10_000_000 => format!("{:.1} ms", real / 1e6),
        10_000_000..SECOND => format!("{:.0} ms", real / 1e6),
        _ if seconds < 100 => format!("{:.1} s", real / 1e9),
        _ if seconds < 600 => format!("{:.0} s", real / 1e9),
        _ if seconds < 7_200 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ if seconds < 172_800 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ if seconds < 864_000 => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
        _ => format!("{} days", number(seconds / 86_400)),
    };
    format!("{sign}{text}")
}

/// A time for a sentence, in UTC: `2026-01-02 03:04:05 UTC`.
#[must_use]
pub fn instant(time: Timestamp) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time.0))
        .unwrap_or_default()
        .strftime("%Y-%m-%d %H:%M:%S UTC")
        .to_string()
}

/// A number with its thousands separated: `2,430,112`.
#[must_use]
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count of things, whose plural adds an s: `1 SYN`, `3 SYNs`, `1,200 connections`.
#[must_use]
pub fn count(many: u64, noun: &str) -> String {
    let plural = if many == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", number(many))
}

/// A size in bytes: `512 bytes`, `12.3 kB`, `1.54 GB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [
        (1_000_000_000_000, "TB"),
        (1_000_000_000, "GB"),
        (1_000_000, "MB"),
        (10_000, "kB"),
    ];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        Some((_, "kB")) => format!("{:.1} kB", bytes as f64 / 1e3),
        Some((unit, name)) => format!("{:.2} {name}", bytes as f64 / *unit as f64),
        None => count(bytes, "byte"),
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
            .host()
            .map_or(String::new(), |host| format!(" of {host}"));
        return format!(" ({} {}{host})", request.method(), request.target());
    }
    connection
        .server_name
        .as_deref()
        .map_or(String::new(), |name| format!(" (TLS for {name})"))
}

/// What may have triggered a device on the way: the server name, the HTTP host, else the protocol.
#[must_use]
pub fn trigger(connection: &Connection) -> Option<String> {
    let app = connection.app.as_deref();
    if let Some(name) = connection.server_name.as_deref() {
        return Some(format!("TLS server name {name}"));
    }
    if let Some(host) = app
        .and_then(|app| app.http.last_request.as_deref())
        .and_then(|request| request.host())
    {
        return Some(format!("HTTP host {host}"));
    }
    let protocol = app?.client.app_protocol()?;
    (protocol != AppProtocol::Unknown).then(|| format!("protocol {}", protocol.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_keep_two_or_three_digits() {
        let spans = [
            (0, "0 s"),
            (999, "999 ns"),
            (85_000, "85 µs"),
            (1_400_000, "1.4 ms"),
            (140_000_000, "140 ms"),
            (3_240_000_000, "3.2 s"),
            (127_400_000_000, "127 s"),
            (350_200_000_000, "350 s"),
            (1_260_000_000_000, "21 min 0 s"),
            (7_260_000_000_000, "2 h 1 min"),
            (180_000_000_000_000, "2 d 2 h"),
            (3_300_000_000_000_000, "38 days"),
            (-1_500_000, "-1.5 ms"),
        ];
        for (nanos, words) in spans {
            assert_eq!(span(Interval(nanos)), words);
        }
    }

    #[test]
    fn counts_are_grouped_by_thousands() {
        let shown = [0, 7, 999, 1_000, 65_536, 2_430_112].map(number);
        assert_eq!(shown, ["0", "7", "999", "1,000", "65,536", "2,430,112"]);
        assert_eq!(count(1, "packet"), "1 packet");
        assert_eq!(count(0, "packet"), "0 packets");
    }

    #[test]
    fn sizes_use_decimal_units() {
        let shown = [1, 9_999, 12_345, 1_540_000_000].map(size);
        assert_eq!(shown, ["1 byte", "9,999 bytes", "12.3 kB", "1.54 GB"]);
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
