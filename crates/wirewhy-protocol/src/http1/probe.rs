//! How a request is recognised.

use memchr::memchr;

use crate::protocol::begins_with;

/// The longest method.
const MAX_METHOD: usize = 15;

/// Methods that begin a request: RFC 9110, RFC 5789, WebDAV (RFC 4918, RFC 3253) and UPnP.
const METHODS: [&str; 32] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "CONNECT",
    "OPTIONS",
    "TRACE",
    "PATCH",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "CHECKOUT",
    "CHECKIN",
    "MERGE",
    "MKACTIVITY",
    "VERSION-CONTROL",
    "SEARCH",
    "ACL",
    "BIND",
    "PURGE",
    "QUERY",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "NOTIFY",
    "M-SEARCH",
    "SOURCE",
];

/// Whether first bytes are a request line, behind empty lines perhaps, which servers ignore (RFC 9112 section 2.2); `None`
/// while they may be.
pub(super) fn is_request(bytes: &[u8]) -> Option<bool> {
    if !matches!(bytes.first(), Some(b'A'..=b'Z' | b'\r' | b'\n')) {
        return Some(false);
    }
    let lines = bytes
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'));
    match bytes.get(lines.count()..) {
        Some([]) if bytes.len() <= 4 => None,
        Some([]) | None => Some(false),
        Some(rest) => is_request_line(rest),
    }
}

/// Whether bytes from the middle of a stream plainly begin a request: a whole request line of HTTP/1.
#[must_use]
pub fn begins_with_request(bytes: &[u8]) -> bool {
    if is_request_line(bytes) != Some(true) {
        return false;
    }
    let line = memchr(b'\n', bytes).and_then(|end| bytes.get(..end));
    line.and_then(|line| line.strip_suffix(b"\r"))
        .is_some_and(|line| line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0"))
}

/// A request line: a method, then a target in one of the forms of RFC 9112 section 3.2.
fn is_request_line(bytes: &[u8]) -> Option<bool> {
    let mut start = bytes.iter().take(MAX_METHOD + 1);
    let Some(space) = start.position(|byte| !matches!(byte, b'A'..=b'Z' | b'-')) else {
        let begins = METHODS
            .iter()
            .any(|method| method.as_bytes().starts_with(bytes));
        return if begins { None } else { Some(false) };
    };
    let (method, rest) = bytes.split_at_checked(space).unwrap_or((bytes, &[]));
    if !rest.starts_with(b" ") || !METHODS.iter().any(|known| known.as_bytes() == method) {
        return Some(false);
    }
    // SIP and RTSP share methods, key-value stores share words; none has a target that begins like these.
    let target = rest.trim_ascii_start();
    if method == b"CONNECT" && !target.is_empty() {
        return Some(true);
    }
    match target.first()? {
        b'/' | b'*' => Some(true),
        _ => {
            let start = target.get(..4).unwrap_or(target).to_ascii_lowercase();
            begins_with(&start, b"http")
        }
    }
}
