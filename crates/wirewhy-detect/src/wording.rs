//! Words that several summaries share.

use std::net::IpAddr;

use wirewhy_flow::{Connection, Endpoint};
use wirewhy_packet::Interval;

/// `10.0.0.9:443`, `[2001:db8::9]:443`.
pub(crate) fn socket(endpoint: &Endpoint) -> String {
    socket_of(endpoint.address, endpoint.port)
}

/// `10.0.0.9:443`, `[2001:db8::9]:443`.
pub(crate) fn socket_of(address: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}

/// A span for a sentence: `3.2 s`, `140 ms`, `85 µs`.
pub(crate) fn span(interval: Interval) -> String {
    let seconds = interval.as_secs_f64();
    match seconds.abs() {
        s if s >= 100.0 => format!("{seconds:.0} s"),
        s if s >= 1.0 => format!("{seconds:.1} s"),
        s if s >= 0.01 => format!("{:.0} ms", seconds * 1e3),
        s if s >= 0.001 => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{:.0} µs", seconds * 1e6),
    }
}

/// `1 SYN`, `3 SYNs`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// The HTTP request that was made last, in words: ` (GET /index.html of example.com)`. Text from the wire.
pub(crate) fn request(connection: &Connection) -> String {
    let asked = connection
        .said
        .as_deref()
        .and_then(|said| said.http.last_request.as_deref());
    asked.map_or(String::new(), |request| {
        let host = request
            .host
            .as_deref()
            .map_or(String::new(), |host| format!(" of {host}"));
        format!(" ({} {}{host})", request.method, request.target)
    })
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
}
