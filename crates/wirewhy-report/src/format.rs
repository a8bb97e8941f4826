//! Numbers, times and measured values as people read them.

use wirewhy_detect::Value;
use wirewhy_packet::{Interval, Timestamp};
use wirewhy_protocol::{KeyAlgorithm, MessageKind, UpgradeProtocol, UpgradeVerdict};

pub(crate) use wirewhy_detect::wording::{count as counted, number as count, size, span};

use crate::{Names, Safe};

/// How many values of one list are written out.
const MAX_LISTED: usize = 8;

/// RFC 3339 in UTC with nine digits.
#[must_use]
pub fn rfc3339(time: Timestamp) -> String {
    format!("{:.9}", instant(time))
}

/// Date and time of day in UTC, to the millisecond.
pub(crate) fn date_time(time: Timestamp) -> String {
    instant(time).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// Time of day in UTC, to the second.
pub(crate) fn time_of_day(time: Timestamp) -> String {
    instant(time).strftime("%H:%M:%S").to_string()
}

/// Every `i64` of nanoseconds lies within jiff's range of years, so the epoch never stands in for another time.
fn instant(time: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_nanosecond(i128::from(time.0)).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

/// The level of a TLS alert (RFC 8446 section 6).
pub(crate) fn alert_level(level: u8) -> String {
    match level {
        1 => "warning".to_owned(),
        2 => "fatal".to_owned(),
        other => other.to_string(),
    }
}

/// A kind of TLS message, as the registries name it where they do.
pub(crate) fn message(kind: MessageKind) -> String {
    let fixed = match kind {
        MessageKind::Handshake(kind) => return kind.to_string(),
        MessageKind::HelloRetryRequest => "hello_retry_request",
        MessageKind::SslV2ClientHello => "sslv2_client_hello",
        MessageKind::ChangeCipherSpec => "change_cipher_spec",
        MessageKind::Alert(_) => "alert",
        MessageKind::Sealed(_) => "sealed",
        MessageKind::ApplicationData => "application_data",
        MessageKind::Heartbeat => "heartbeat",
    };
    fixed.to_owned()
}

/// The algorithm of a public key; of an elliptic curve its name.
pub(crate) fn key_algorithm(algorithm: &KeyAlgorithm) -> &str {
    match algorithm {
        KeyAlgorithm::Rsa => "RSA",
        KeyAlgorithm::Dsa => "DSA",
        KeyAlgorithm::Ed25519 => "Ed25519",
        KeyAlgorithm::Ed448 => "Ed448",
        KeyAlgorithm::Ec(name) | KeyAlgorithm::Other(name) => name,
    }
}

/// A protocol that changes to TLS.
pub(crate) fn upgrade_protocol(protocol: UpgradeProtocol) -> &'static str {
    match protocol {
        UpgradeProtocol::Smtp => "smtp",
        UpgradeProtocol::Imap => "imap",
        UpgradeProtocol::Pop3 => "pop3",
        UpgradeProtocol::Nntp => "nntp",
        UpgradeProtocol::Ftp => "ftp",
        UpgradeProtocol::ManageSieve => "managesieve",
        UpgradeProtocol::Xmpp => "xmpp",
        UpgradeProtocol::Ldap => "ldap",
        UpgradeProtocol::PostgreSql => "postgresql",
        UpgradeProtocol::MySql => "mysql",
        UpgradeProtocol::Rdp => "rdp",
        UpgradeProtocol::Tds => "tds",
        UpgradeProtocol::Irc => "irc",
        UpgradeProtocol::HttpConnect => "http-connect",
        UpgradeProtocol::Socks => "socks",
    }
}

/// What became of a request to change to TLS.
pub(crate) fn upgrade_verdict(verdict: UpgradeVerdict) -> &'static str {
    match verdict {
        UpgradeVerdict::NotAsked => "not-asked",
        UpgradeVerdict::Unanswered => "unanswered",
        UpgradeVerdict::Accepted => "accepted",
        UpgradeVerdict::Refused => "refused",
    }
}

/// One measured value with its name, units moved from the name to the value: `idle: 350 s`.
pub(crate) fn fact(name: &str, value: &Value, names: &Names) -> String {
    let (stem, unit) = split_unit(name);
    format!(
        "{}: {}",
        stem.replace('_', " "),
        formatted(value, unit, names)
    )
}

/// One measured value by itself.
pub(crate) fn value(name: &str, value: &Value) -> String {
    let (_, unit) = split_unit(name);
    formatted(value, unit, &Names::default())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    None,
    Bytes,
    /// A number that names rather than counts, to be found again elsewhere as it is.
    Label,
}

fn split_unit(name: &str) -> (&str, Unit) {
    if let Some(stem) = name.strip_suffix("_bytes") {
        return (stem, Unit::Bytes);
    }
    let last = name.rsplit('_').next().unwrap_or(name);
    if [
        "frame", "seq", "ack", "isn", "id", "port", "stream", "type", "code",
    ]
    .contains(&last)
    {
        return (name, Unit::Label);
    }
    let stem = name
        .strip_suffix("_seconds")
        .or_else(|| name.strip_suffix("_share"));
    (stem.unwrap_or(name), Unit::None)
}

fn formatted(value: &Value, unit: Unit, names: &Names) -> String {
    match value {
        Value::Absent => "unknown".to_owned(),
        Value::Flag(true) => "yes".to_owned(),
        Value::Flag(false) => "no".to_owned(),
        Value::Count(number) if unit == Unit::Bytes => counted(*number, "byte"),
        Value::Count(number) if unit == Unit::Label => number.to_string(),
        Value::Count(number) => count(*number),
        Value::Signed(number) if unit == Unit::Bytes => format!("{number} bytes"),
        Value::Signed(number) => number.to_string(),
        // A clock that was set back in between measures less than nothing.
        Value::Seconds(interval) => span((*interval).max(Interval::ZERO)),
        Value::Share(share) => format!("{:.1} %", share * 100.0),
        Value::Text(text) => Safe(text).to_string(),
        Value::Address(address) => names.host(*address),
        Value::List(values) => {
            let mut shown: Vec<String> = values
                .iter()
                .take(MAX_LISTED)
                .map(|value| formatted(value, unit, names))
                .collect();
            match values.len().saturating_sub(MAX_LISTED) {
                0 if shown.is_empty() => "none".to_owned(),
                0 => shown.join(", "),
                more => {
                    shown.push(format!("and {more} more"));
                    shown.join(", ")
                }
            }
        }
        Value::Object(fields) => {
            let shown: Vec<String> = fields
                .iter()
                .map(|(name, value)| fact(name, value, names))
                .collect();
            format!("({})", shown.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_with_nine_digits_over_the_whole_range() {
        let time = Timestamp::from_secs_nanos(1_767_323_045, 123_456_789);
        assert_eq!(rfc3339(time), "2026-01-02T03:04:05.123456789Z");
        assert_eq!(rfc3339(Timestamp(0)), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(
            rfc3339(Timestamp(i64::MAX)),
            "2262-04-11T23:47:16.854775807Z"
        );
        assert_eq!(
            rfc3339(Timestamp(i64::MIN)),
            "1677-09-21T00:12:43.145224192Z"
        );
        assert_eq!(date_time(time), "2026-01-02 03:04:05.123");
    }

    #[test]
    fn units_move_from_the_name_to_the_value() {
        let names = Names::default();
        let idle = fact(
            "idle_seconds",
            &Value::Seconds(Interval::from_secs(15)),
            &names,
        );
        assert_eq!(idle, "idle: 15.0 s");
        assert_eq!(
            fact("mss_bytes", &Value::Count(1460), &names),
            "mss: 1,460 bytes"
        );
        let seq = fact("answer_seq", &Value::Count(249_537_172), &names);
        assert_eq!(seq, "answer seq: 249537172");
        assert_eq!(
            fact("frame", &Value::Count(874_419), &names),
            "frame: 874419"
        );
        assert_eq!(
            fact("loss_share", &Value::Share(0.0123), &names),
            "loss: 1.2 %"
        );
        assert_eq!(
            fact("backs_off", &Value::Flag(true), &names),
            "backs off: yes"
        );
        let many = Value::List((0..10).map(Value::Count).collect());
        assert_eq!(
            fact("gaps", &many, &names),
            "gaps: 0, 1, 2, 3, 4, 5, 6, 7, and 2 more"
        );
        let record = Value::Object(vec![("ttl", Value::Count(57)), ("seen", Value::Absent)]);
        assert_eq!(
            fact("reset", &record, &names),
            "reset: (ttl: 57, seen: unknown)"
        );
    }
}
