//! LDAP and SSH.

use super::{Meaning, Reason, has};

/// A result code (RFC 4511 appendix A). Active Directory adds its own code to a refused bind, behind "data".
pub(super) fn ldap(number: Option<u32>, message: &str) -> Meaning {
    use Reason::{Account, Capacity, Credentials, Policy, Request, Service, Unknown};
    let (name, reason) = match number.unwrap_or(u32::MAX) {
        1 => ("operationsError", Credentials),
        2 => ("protocolError", Request),
        3 => ("timeLimitExceeded", Service),
        7 => ("authMethodNotSupported", Request),
        8 => ("strongerAuthRequired", Policy),
        10 => ("referral", Request),
        11 => ("adminLimitExceeded", Capacity),
        12 => ("unavailableCriticalExtension", Request),
        13 => ("confidentialityRequired", Policy),
        32 => ("noSuchObject", Request),
        34 => ("invalidDNSyntax", Request),
        48 => ("inappropriateAuthentication", Policy),
        49 => ("invalidCredentials", Credentials),
        50 => ("insufficientAccessRights", Policy),
        51 => ("busy", Capacity),
        52 => ("unavailable", Service),
        53 => ("unwillingToPerform", Policy),
        80 => ("other", Service),
        _ => ("", Unknown),
    };
    let account = ["530", "531", "532", "533", "568", "701", "773", "775"];
    let is_account = account
        .iter()
        .any(|code| message.contains(&format!("data {code}")));
    match reason {
        Credentials if is_account => Meaning::new(name, Account),
        reason => Meaning::new(name, reason),
    }
}

/// What Active Directory's code behind "data" says of a refused bind.
pub(crate) fn active_directory(message: &str) -> Option<&'static str> {
    let (_, code) = message.split_once("data ")?;
    let end = code.find(|letter: char| !letter.is_ascii_hexdigit());
    Some(match code.get(..end.unwrap_or(code.len()))? {
        "525" => "no such user",
        "52e" => "wrong name or password",
        "530" => "not permitted at this time",
        "531" => "not permitted from this workstation",
        "532" => "password expired",
        "533" => "account disabled",
        "568" => "too many group memberships",
        "701" => "account expired",
        "773" => "password must be changed",
        "775" => "account locked",
        _ => return None,
    })
}

/// A reason code of SSH_MSG_DISCONNECT (RFC 4253 section 11.1), or OpenSSH's words without one.
pub(super) fn ssh(number: Option<u32>, message: &str) -> Meaning {
    use Reason::{Capacity, Credentials, Policy, Request, Service, Unknown};
    let (name, reason) = match number.unwrap_or(0) {
        1 => ("host not allowed to connect", Policy),
        2 => ("protocol error", Request),
        3 => ("key exchange failed", Request),
        5 => ("MAC error", Unknown),
        6 => ("compression error", Unknown),
        7 => ("service not available", Service),
        8 => ("protocol version not supported", Request),
        9 => ("host key not verifiable", Unknown),
        10 => ("connection lost", Unknown),
        11 => ("by application", Unknown),
        12 => ("too many connections", Capacity),
        13 => ("authentication cancelled by user", Request),
        14 => ("no more authentication methods available", Credentials),
        15 => ("illegal user name", Credentials),
        _ if has(message, &["maxstartups"]) => ("", Capacity),
        _ if has(message, &["not allowed at this time"]) => ("", Policy),
        _ => ("", Unknown),
    };
    let reason = match reason {
        _ if has(message, &["too many authentication failures"]) => Credentials,
        reason => reason,
    };
    Meaning::new(name, reason)
}
