//! What the statuses of HTTP mean for a diagnosis.

use wirewhy_flow::Connection;
use wirewhy_packet::Interval;
use wirewhy_protocol::{Reason, Refusals};

use crate::{Confidence, Role, Severity};

/// The reason phrase of a status (IANA's registry), or what its user calls it.
pub(super) fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        463 => "too many X-Forwarded-For addresses",
        464 => "protocol of the target group does not fit",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        520 => "unknown error of the origin",
        521 => "origin refuses the connection",
        522 => "connection to the origin timed out",
        523 => "origin unreachable",
        524 => "origin did not answer in time",
        525 => "TLS handshake with the origin failed",
        526 => "certificate of the origin is not valid",
        530 => "origin could not be reached",
        561 => "identity provider answered with an error",
        999 => "request denied",
        _ => "",
    }
}

/// How much an answer matters by its status alone, where the client got no other one.
fn severity_of(status: u16) -> Severity {
    match status {
        // Answers of applications about the state of what is asked for.
        409 | 412 | 416 | 423 | 424 | 428 => Severity::Note,
        505 => Severity::Warning,
        463 | 464 | 500..=599 => Severity::Error,
        _ => Severity::Warning,
    }
}

/// How much the answers of a kind matter.
pub(super) fn severity(connection: &Connection, kind: &Refusals) -> Severity {
    let met = kind.settled >= kind.count;
    // Browsers open connections that they then do not need.
    let is_idle = kind.status == 408 && connection.client.counts.payload_packets == 0;
    let is_waited_for = matches!(
        kind.detail.error,
        Some("authorization_pending" | "slow_down" | "use_dpop_nonce")
    );
    let can_be_met = matches!(kind.status, 401 | 407 | 417 | 421 | 425);
    if (can_be_met && met) || is_idle || is_waited_for || kind.optional >= kind.count {
        return Severity::Note;
    }
    severity_of(kind.status)
}

/// Who is at fault by default, and how sure that is, once it is certain that the answer was given.
pub(super) fn fault(kind: &Refusals) -> (Role, Confidence) {
    use Confidence::{Likely, Possible};
    let client_named = matches!(
        kind.detail.error,
        Some(
            "invalid_token"
                | "insufficient_scope"
                | "insufficient_user_authentication"
                | "invalid_dpop_proof"
                | "invalid_request"
                | "invalid_grant"
                | "invalid_client"
                | "unauthorized_client"
                | "unsupported_grant_type"
                | "invalid_scope"
                | "expired_token"
                | "RequestTimeTooSkewed"
                | "SignatureDoesNotMatch"
                | "InvalidAccessKeyId"
                | "ExpiredToken"
                | "InvalidToken"
        )
    );
    match kind.status {
        _ if client_named => (Role::Client, Likely),
        403 | 451 | 999 => (Role::Server, Possible),
        400 | 404 | 408 | 410 | 501 | 505 => (Role::Client, Possible),
        511 => (Role::Path, Likely),
        463 | 464 | 500..=599 => (Role::Server, Likely),
        _ => (Role::Client, Likely),
    }
}

/// Whether gateways answer so about the server behind them.
pub(super) fn is_of_gateways(status: u16) -> bool {
    matches!(status, 500 | 502..=504 | 520..=527 | 530 | 561)
}

/// What a status says about its cause, for the end of a sentence.
pub(super) fn cause(status: u16) -> &'static str {
    match status {
        407 => "the proxy wants the client to authenticate",
        408 => "the client's request did not arrive in time",
        413 => "the body is larger than the server takes",
        414 | 431 => "the request's target or header is larger than the server takes",
        421 => "the connection was reused for a name that it is not for",
        425 => "the server does not act on early data",
        426 => "the server wants another protocol, or a proxy dropped the upgrade",
        429 => "the client sends more than the server allows",
        463 => "the request passed too many proxies, or runs in a circle",
        464 => "the back ends are set up for another version of HTTP",
        502 => "the server behind the gateway gave no valid answer",
        503 => "no back end is available, or the server is overloaded",
        504 => "the server behind the gateway did not answer in time",
        508 => "the request runs in a circle",
        511 => "the network wants the user to log in first",
        520..=527 | 530 => "the origin behind the network that answers failed",
        _ => "",
    }
}

/// What a text says, for the end of a sentence.
pub(super) fn reason(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::HeaderTooLarge => "header or cookies are too large",
        Reason::DefaultBackend => "no rule of the ingress fits host and path",
        Reason::NoBackend => "it has no back end that is available",
        Reason::InvalidAnswer => "the server behind it closed without a valid answer",
        Reason::BackendTimeout => "the server behind it did not answer in time",
        Reason::BackendUnreachable => "it could not connect to the server behind it",
        Reason::RequestTimeout => "the request did not arrive in time",
    })
}

/// Time limits of gateways, in seconds, for the statuses they answer with (vendors' documentation; most can be changed).
const TIMERS: &[(u16, i64, &str)] = &[
    (504, 60, "nginx, Amazon ALB"),
    (504, 30, "Google Cloud load balancers"),
    (504, 29, "Amazon API Gateway"),
    (504, 15, "Envoy"),
    (504, 10, "Amazon ALB connecting"),
    (503, 30, "Heroku"),
    (502, 230, "Azure App Service"),
    (500, 230, "Azure App Service"),
    (524, 120, "Cloudflare"),
    (524, 100, "Cloudflare until 2025"),
];

/// Whose time limit a wait equals within a hundredth.
pub(super) fn timer(status: u16, waited: Interval) -> Option<&'static str> {
    let seconds = waited.as_secs_f64();
    TIMERS
        .iter()
        .find(|(of, limit, _)| {
            let limit = *limit as f64;
            *of == status && (seconds - limit).abs() <= limit * 0.01
        })
        .map(|(_, _, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_held_against_the_timers_of_its_status() {
        let waited = |millis| Interval::from_millis(millis);
        assert_eq!(timer(504, waited(60_020)), Some("nginx, Amazon ALB"));
        assert_eq!(timer(504, waited(61_000)), None);
        assert_eq!(timer(500, waited(60_000)), None);
    }
}
