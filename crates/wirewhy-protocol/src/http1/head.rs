//! The header of an HTTP/1 message, as far as it frames the message or names the request.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Status};
use memchr::memchr;

use super::refusal::{detail, purpose_of_upgrade};
use crate::exchanges::Method;
use crate::http_trouble::{Detail, Purpose};
use crate::{Mark, Request};

/// The most headers read; servers stop at about 100.
const MAX_HEADERS: usize = 256;

/// How the length of a body is given (RFC 9112 section 6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Body {
    None,
    Length(u64),
    Chunked,
    UntilClose,
    /// Lengths that contradict each other, or none that can be read.
    Contradictory,
}

/// A parser's result.
pub(super) enum Parsed<T> {
    Yes(T),
    No,
}

pub(super) struct RequestHead {
    pub(super) request: Request,
    pub(super) method: Method,
    pub(super) body: Body,
    /// What it asks for, another protocol (RFC 9110 section 7.8) among others.
    pub(super) purpose: Purpose,
    /// Whether it expects "100 Continue" before it sends its body.
    pub(super) expects: bool,
}

pub(super) struct ResponseHead {
    pub(super) status: u16,
    /// As the header alone says: the request's method and the status may forbid one.
    pub(super) body: Body,
}

/// The length of a header section up to and including its empty line; the first `searched` bytes were searched before.
pub(super) fn end(bytes: &[u8], searched: usize) -> Option<usize> {
    // The end of a line and an empty line may lie on both sides of where the search stopped.
    let mut from = searched.saturating_sub(2);
    loop {
        let line = memchr(b'\n', bytes.get(from..)?)?;
        let after = from + line + 1;
        match bytes.get(after..)? {
            [b'\n', ..] => return Some(after + 1),
            [b'\r', b'\n', ..] => return Some(after + 2),
            _ => from = after,
        }
    }
}

pub(super) fn request(head: &[u8], begun: Mark) -> Parsed<RequestHead> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut []);
    let status = config().parse_request_with_uninit_headers(&mut parsed, head, &mut headers);
    let (Ok(Status::Complete(_)), Some(method), Some(target)) =
        (status, parsed.method, parsed.path)
    else {
        return Parsed::No;
    };
    let coding = Coding::of(parsed.headers, parsed.version);
    let upgrades = has_token(parsed.headers, "connection", b"upgrade")
        && value(parsed.headers, "upgrade").is_some();
    Parsed::Yes(RequestHead {
        request: Request {
            method: text(method.as_bytes()),
            target: target_without_secrets(target.as_bytes()),
            host: value(parsed.headers, "host").map(text),
            begun,
        },
        method: self::method(method),
        body: coding.of_request(),
        purpose: match method {
            "CONNECT" => Purpose::Connect,
            _ if upgrades => purpose_of_upgrade(parsed.headers),
            _ => Purpose::Request,
        },
        expects: has_token(parsed.headers, "expect", b"100-continue"),
    })
}

pub(super) fn response(head: &[u8]) -> Parsed<ResponseHead> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    let status = config().parse_response_with_uninit_headers(&mut parsed, head, &mut headers);
    let (Ok(Status::Complete(_)), Some(status)) = (status, parsed.code) else {
        return Parsed::No;
    };
    Parsed::Yes(ResponseHead {
        status,
        body: Coding::of(parsed.headers, parsed.version).of_response(),
    })
}

/// What a response that refuses says in its header.
pub(super) fn refusal(head: &[u8], purpose: Purpose) -> Detail {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    let outcome = config().parse_response_with_uninit_headers(&mut parsed, head, &mut headers);
    match (outcome, parsed.code) {
        (Ok(Status::Complete(_)), Some(status)) => detail(parsed.headers, status, purpose),
        _ => Detail::default(),
    }
}

/// The request line at the start of an incomplete header.
pub(super) fn request_line(bytes: &[u8], begun: Mark) -> Option<Request> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut []);
    // The outcome says nothing new: the header is incomplete, or contradicts itself further on.
    let _ = config().parse_request_with_uninit_headers(&mut parsed, bytes, &mut headers);
    Some(Request {
        method: text(parsed.method?.as_bytes()),
        target: target_without_secrets(parsed.path?.as_bytes()),
        host: None,
        begun,
    })
}

/// The status at the start of an incomplete header.
pub(super) fn status_line(bytes: &[u8]) -> Option<u16> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    let _ = config().parse_response_with_uninit_headers(&mut parsed, bytes, &mut headers);
    parsed.code
}

/// The first line without its end, a bounded copy.
pub(super) fn first_line(head: &[u8]) -> Box<str> {
    let end = head.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    text(head.get(..end.unwrap_or(head.len())).unwrap_or(head))
}

/// Whether the first line is whole and names no version: HTTP/0.9, whose requests are one line and are not followed.
pub(super) fn has_no_version(bytes: &[u8]) -> bool {
    let Some(end) = memchr(b'\n', bytes) else {
        return false;
    };
    let line = bytes.get(..end).unwrap_or(bytes);
    !line.windows(5).any(|window| window == b"HTTP/")
}

/// What a method makes of its response; methods are case-sensitive (RFC 9110 section 9.1).
pub(super) fn method(name: &str) -> Method {
    match name {
        "HEAD" => Method::Head,
        "CONNECT" => Method::Connect,
        _ => Method::Other,
    }
}

/// The size in a chunk's first line, extensions ignored.
pub(super) fn chunk_size(line: &[u8]) -> Option<u64> {
    // The library reads a line without digits as 0, which would end the body.
    line.first().filter(|byte| byte.is_ascii_hexdigit())?;
    match httparse::parse_chunk_size(line) {
        Ok(Status::Complete((_, size))) => Some(size),
        Ok(Status::Partial) | Err(_) => None,
    }
}

/// As lenient as browsers are where leniency cannot change the framing.
fn config() -> ParserConfig {
    let mut config = ParserConfig::default();
    config
        .allow_multiple_spaces_in_request_line_delimiters(true)
        .allow_multiple_spaces_in_response_status_delimiters(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true);
    config
}

/// What Transfer-Encoding and Content-Length say together.
enum Coding {
    Absent,
    Length(u64),
    /// Chunked as the last coding.
    Chunked,
    /// Codings of which the last is not chunked.
    Unchunked,
    Contradictory,
}

impl Coding {
    fn of(headers: &[Header<'_>], version: Option<u8>) -> Coding {
        let codings = list(headers, "transfer-encoding");
        if let Some(last) = codings.last() {
            // HTTP/1.0 has no Transfer-Encoding (RFC 9112 section 6.1); elsewhere it overrides Content-Length.
            return match last.eq_ignore_ascii_case(b"chunked") {
                _ if version == Some(0) => Coding::Contradictory,
                true => Coding::Chunked,
                false => Coding::Unchunked,
            };
        }
        let mut length = None;
        // Identical repetitions count once (RFC 9110 section 8.6).
        for item in list(headers, "content-length") {
            match (length, number(item)) {
                (None, Some(value)) => length = Some(value),
                (Some(before), Some(value)) if before == value => {}
                _ => return Coding::Contradictory,
            }
        }
        length.map_or(Coding::Absent, Coding::Length)
    }

    fn of_request(&self) -> Body {
        match *self {
            Coding::Absent => Body::None,
            Coding::Length(length) => Body::Length(length),
            Coding::Chunked => Body::Chunked,
            Coding::Unchunked | Coding::Contradictory => Body::Contradictory,
        }
    }

    fn of_response(&self) -> Body {
        match *self {
            Coding::Absent | Coding::Unchunked => Body::UntilClose,
            Coding::Length(length) => Body::Length(length),
            Coding::Chunked => Body::Chunked,
            Coding::Contradictory => Body::Contradictory,
        }
    }
}

/// The first value of a header.
pub(super) fn value<'a>(headers: &[Header<'a>], name: &str) -> Option<&'a [u8]> {
    let header = headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case(name))?;
    Some(header.value)
}

/// The items of a header that is a list, over all lines that carry it (RFC 9110 section 5.6.1).
pub(super) fn list<'a>(
    headers: &'a [Header<'a>],
    name: &'a str,
) -> impl DoubleEndedIterator<Item = &'a [u8]> {
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .flat_map(|header| header.value.split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
}

fn has_token(headers: &[Header<'_>], name: &str, token: &[u8]) -> bool {
    list(headers, name).any(|item| item.eq_ignore_ascii_case(token))
}

/// A decimal number without sign.
fn number(digits: &[u8]) -> Option<u64> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

/// A bounded copy of a request target without what may be secret in it: the query, and the user information of a URL.
pub(crate) fn target_without_secrets(target: &[u8]) -> Box<str> {
    let kept = target.get(..Request::MAX_TEXT).unwrap_or(target);
    let (path, query) = match memchr(b'?', kept) {
        Some(at) => (kept.get(..at).unwrap_or(kept), "?..."),
        None => (kept, ""),
    };
    let userless = match path.first() {
        Some(b'/') => None,
        _ => without_user(path),
    };
    if userless.is_none() && query.is_empty() {
        return text(path);
    }
    let path = userless.as_deref().unwrap_or(path);
    [&String::from_utf8_lossy(path), query].concat().into()
}

/// A URL without its user information (RFC 3986 section 3.2.1), where it has any.
fn without_user(url: &[u8]) -> Option<Vec<u8>> {
    let start = url.windows(3).position(|window| window == b"://")? + 3;
    let (scheme, rest) = url.split_at_checked(start)?;
    let authority = memchr(b'/', rest).unwrap_or(rest.len());
    let at = memchr::memrchr(b'@', rest.get(..authority)?)?;
    Some([scheme, rest.get(at + 1..)?].concat())
}

/// A bounded copy.
fn text(bytes: &[u8]) -> Box<str> {
    let kept = bytes.get(..Request::MAX_TEXT).unwrap_or(bytes);
    String::from_utf8_lossy(kept).into()
}
