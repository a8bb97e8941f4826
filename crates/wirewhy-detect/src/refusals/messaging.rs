//! Brokers, caches and mail.

use super::{Meaning, Reason, has};

/// The first word of an error of Redis.
pub(super) fn redis(code: &str, message: &str) -> Meaning {
    let reason = match code {
        "NOAUTH" | "WRONGPASS" => Reason::Credentials,
        "NOPERM" | "DENIED" => Reason::Policy,
        "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" => Reason::Service,
        _ if has(message, &["max number of clients"]) => Reason::Capacity,
        _ if has(message, &["invalid password"]) => Reason::Credentials,
        _ if has(message, &["auth"]) => Reason::Request,
        _ => Reason::Unknown,
    };
    Meaning::new("", reason)
}

/// A reply code of AMQP 0-9-1 (section 1.2 of its reference), or a condition of AMQP 1.0 (parts 2.8.15 to 2.8.17, 5.3.3.6).
pub(super) fn amqp(code: &str, message: &str) -> Meaning {
    use Reason::{Capacity, Credentials, Policy, Request, Service, Unknown};
    let (name, reason) = match code {
        "320" => ("connection-forced", Service),
        "402" => ("invalid-path", Request),
        "403" => ("access-refused", Credentials),
        "404" => ("not-found", Request),
        "501" => ("frame-error", Request),
        "502" => ("syntax-error", Request),
        "503" => ("command-invalid", Request),
        "504" => ("channel-error", Request),
        "505" => ("unexpected-frame", Request),
        "506" => ("resource-error", Capacity),
        "530" => ("not-allowed", Policy),
        "540" => ("not-implemented", Request),
        "541" => ("internal-error", Service),
        "version" => ("the broker speaks another version", Request),
        "sasl-auth" | "amqp:unauthorized-access" => ("", Credentials),
        "sasl-sys" | "sasl-sys-perm" | "sasl-sys-temp" => ("", Service),
        "amqp:not-allowed" | "amqp:not-authorized" => ("", Policy),
        "amqp:not-found" | "amqp:decode-error" | "amqp:invalid-field" => ("", Request),
        "amqp:resource-limit-exceeded" => ("", Capacity),
        "amqp:internal-error" | "amqp:connection:forced" => ("", Service),
        "amqp:connection:framing-error" | "amqp:connection:redirect" => ("", Request),
        _ => ("", Unknown),
    };
    let reason = match reason {
        Policy if has(message, &["limit"]) => Capacity,
        reason => reason,
    };
    Meaning::new(name, reason)
}

/// A return code of CONNACK in MQTT 3.1.1 (section 3.2.2.3), or a reason code of MQTT 5 (section 2.4).
pub(super) fn mqtt(number: Option<u32>) -> Meaning {
    use Reason::{Capacity, Credentials, Idle, Policy, Request, Service, Unknown};
    let (name, reason) = match number.unwrap_or(0) {
        1 => ("unacceptable protocol version", Request),
        2 => ("identifier rejected", Request),
        3 | 136 => ("server unavailable", Service),
        4 | 134 => ("bad user name or password", Credentials),
        5 | 135 => ("not authorized", Policy),
        128 => ("unspecified error", Unknown),
        129 => ("malformed packet", Request),
        130 => ("protocol error", Request),
        131 => ("implementation specific error", Unknown),
        132 => ("unsupported protocol version", Request),
        133 => ("client identifier not valid", Request),
        137 => ("server busy", Capacity),
        138 => ("banned", Policy),
        139 => ("server shutting down", Service),
        140 => ("bad authentication method", Request),
        141 => ("keep alive timeout", Idle),
        142 => ("session taken over", Request),
        143 => ("topic filter invalid", Request),
        144 => ("topic name invalid", Request),
        147 => ("receive maximum exceeded", Request),
        148 => ("topic alias invalid", Request),
        149 => ("packet too large", Request),
        150 => ("message rate too high", Capacity),
        151 => ("quota exceeded", Capacity),
        152 => ("administrative action", Service),
        153 => ("payload format invalid", Request),
        154 => ("retain not supported", Request),
        155 => ("QoS not supported", Request),
        156 => ("use another server", Service),
        157 => ("server moved", Service),
        158 => ("shared subscriptions not supported", Request),
        159 => ("connection rate exceeded", Capacity),
        160 => ("maximum connect time", Policy),
        161 => ("subscription identifiers not supported", Request),
        162 => ("wildcard subscriptions not supported", Request),
        _ => ("", Unknown),
    };
    Meaning::new(name, reason)
}

/// A reply code of SMTP (RFC 5321 section 4.2.3, RFC 4954 section 6).
pub(super) fn smtp(code: &str, message: &str) -> Meaning {
    use Reason::{Account, Capacity, Credentials, Idle, Policy, Request, Service, Unknown};
    let (name, reason) = match code {
        "421" => ("service not available", Service),
        "432" => ("password must be changed", Account),
        "450" | "451" => ("not now", Service),
        "452" => ("insufficient storage", Service),
        "454" => ("temporary authentication failure", Service),
        "500" | "501" | "502" | "503" | "504" | "555" => ("command not accepted", Request),
        "530" => ("authentication or encryption required", Policy),
        "534" => ("authentication mechanism too weak", Policy),
        "535" => ("authentication credentials invalid", Credentials),
        "538" => ("encryption required for the mechanism", Policy),
        "550" | "552" | "553" => ("refused by policy", Policy),
        "554" => ("no service", Policy),
        _ => ("", Unknown),
    };
    let reason = match code {
        "421"
            if has(
                message,
                &["too many", "connection limit", "limit exceeded", "4.7.0"],
            ) =>
        {
            Capacity
        }
        "421" if has(message, &["timeout", "timed out", "idle"]) => Idle,
        _ => reason,
    };
    Meaning::new(name, reason)
}

/// The words with which IMAP, POP3, NNTP and ManageSieve refuse a login: the response codes of RFC 5530 and RFC 3206 where
/// there are any.
pub(super) fn mailbox(message: &str) -> Meaning {
    let reason = match message {
        _ if has(message, &["[unavailable]", "[serverbug]", "[sys/"]) => Reason::Service,
        _ if has(
            message,
            &[
                "[privacyrequired]",
                "[authorizationfailed]",
                "plaintext auth",
            ],
        ) =>
        {
            Reason::Policy
        }
        _ if has(message, &["[expired]", "disabled", "locked"]) => Reason::Account,
        _ if has(message, &["[limit]", "too many", "maximum number"]) => Reason::Capacity,
        _ if has(message, &["[in-use]", "[login-delay]"]) => Reason::Request,
        _ if message.starts_with("BYE") => Reason::Service,
        _ => Reason::Credentials,
    };
    Meaning::new("", reason)
}
