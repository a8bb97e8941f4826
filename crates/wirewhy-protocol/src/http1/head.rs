//! The header of an HTTP/1 message, as far as it frames the message or names the request.

use std::mem::MaybeUninit;
use std::sync::Arc;

use httparse::{Header, ParserConfig, Status};
use memchr::memchr;

use super::plain::{Plain, RequestLine};
use super::refusal::{detail, purpose_of_upgrade};
use crate::exchanges::Method;
use crate::http_trouble::{Detail, Purpose};
use crate::{Mark, Request};

/// The most headers read; servers stop at about 100.
pub(super) const MAX_HEADERS: usize = 256;

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
#[derive(PartialEq, Debug)]
pub(super) enum Parsed<T> {
    Yes(T),
    No,
}

#[derive(PartialEq, Debug)]
pub(super) struct RequestHead {
    pub(super) request: Arc<Request>,
    pub(super) method: Method,
    pub(super) body: Body,
    /// What it asks for, another protocol (RFC 9110 section 7.8) among others.
    pub(super) purpose: Purpose,
    /// Whether it expects "100 Continue" before it sends its body.
    pub(super) expects: bool,
}

#[derive(PartialEq, Debug)]
pub(super) struct ResponseHead {
    pub(super) status: u16,
    /// As the header alone says: the request's method and the status may forbid one.
    pub(super) body: Body,
}

/// A whole header section.
pub(super) struct Head<'a> {
    /// Its bytes, the empty line included.
    pub(super) bytes: &'a [u8],
    /// The same, where it is in the usual form.
    plain: Option<Plain<'a>>,
}

impl<'a> Head<'a> {
    /// The header section that `bytes` begin with, where it is whole; the first `searched` bytes were searched for its end before.
    pub(super) fn find(bytes: &'a [u8], searched: usize) -> Option<Head<'a>> {
        let plain = match searched {
            0 => Plain::read(bytes),
            _ => None,
        };
        let length = match &plain {
            Some(plain) => plain.length,
            None => end(bytes, searched)?,
        };
        let bytes = bytes.get(..length)?;
        Some(Head { bytes, plain })
    }

    pub(super) fn request(&self, begun: Mark) -> Parsed<RequestHead> {
        let usual = self.plain.as_ref().and_then(|plain| {
            let (RequestLine { method, target }, body) = plain.request()?;
            Some(RequestHead {
                request: Arc::new(Request::read(method, target, plain.host, begun)),
                method: self::method(method),
                body,
                purpose: Purpose::Request,
                expects: false,
            })
        });
        usual.map_or_else(|| request(self.bytes, begun), Parsed::Yes)
    }

    pub(super) fn response(&self) -> Parsed<ResponseHead> {
        match self.plain.as_ref().and_then(Plain::response) {
            Some((status, body)) => Parsed::Yes(ResponseHead { status, body }),
            None => response(self.bytes),
        }
    }

    /// What a response that refuses says.
    pub(super) fn refusal(&self, purpose: Purpose) -> Detail {
        let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut []);
        let outcome =
            config().parse_response_with_uninit_headers(&mut parsed, self.bytes, &mut headers);
        match (outcome, parsed.code) {
            (Ok(Status::Complete(_)), Some(status)) => detail(parsed.headers, status, purpose),
            _ => Detail::default(),
        }
    }

    /// The first line without its end, a bounded copy.
    pub(super) fn first_line(&self) -> Box<str> {
        let head = self.bytes;
        let end = head.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        text(head.get(..end.unwrap_or(head.len())).unwrap_or(head))
    }
}

/// The length of a header section up to and including its empty line; the first `searched` bytes were searched before.
fn end(bytes: &[u8], searched: usize) -> Option<usize> {
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

fn request(head: &[u8], begun: Mark) -> Parsed<RequestHead> {
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
    let host = value(parsed.headers, "host");
    Parsed::Yes(RequestHead {
        request: Arc::new(Request::read(
            method.as_bytes(),
            target.as_bytes(),
            host,
            begun,
        )),
        method: self::method(method.as_bytes()),
        body: coding.of_request(),
        purpose: match method {
            "CONNECT" => Purpose::Connect,
            _ if upgrades => purpose_of_upgrade(parsed.headers),
            _ => Purpose::Request,
        },
        expects: has_token(parsed.headers, "expect", b"100-continue"),
    })
}

fn response(head: &[u8]) -> Parsed<ResponseHead> {
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

/// The request line at the start of an incomplete header.
pub(super) fn request_line(bytes: &[u8], begun: Mark) -> Option<Request> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut []);
    // The outcome says nothing new: the header is incomplete, or contradicts itself further on.
    let _ = config().parse_request_with_uninit_headers(&mut parsed, bytes, &mut headers);
    let (method, target) = (parsed.method?.as_bytes(), parsed.path?.as_bytes());
    Some(Request::read(method, target, None, begun))
}

/// The status at the start of an incomplete header.
pub(super) fn status_line(bytes: &[u8]) -> Option<u16> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    let _ = config().parse_response_with_uninit_headers(&mut parsed, bytes, &mut headers);
    parsed.code
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
pub(super) fn method(name: &[u8]) -> Method {
    match name {
        b"HEAD" => Method::Head,
        b"CONNECT" => Method::Connect,
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

/// A bounded copy.
fn text(bytes: &[u8]) -> Box<str> {
    let kept = bytes.get(..Request::MAX_TEXT).unwrap_or(bytes);
    String::from_utf8_lossy(kept).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINES: [&str; 8] = [
        "GET / HTTP/1.1",
        "HEAD /a?b=c HTTP/1.0",
        "CONNECT a:443 HTTP/1.1",
        "POST  /a\tb HTTP/1.1",
        "X-Y http://u@h/ HTTP/1.2",
        "HTTP/1.1 200 OK",
        "HTTP/1.0 204",
        "HTTP/1.1  404  Not Found",
    ];

    const FIELDS: [&str; 24] = [
        "Host: a.example",
        "host:b",
        "Host:   ",
        "Content-Length: 5",
        "content-length: 5 ",
        "Content-Length: 18446744073709551615",
        "Content-Length: 9999999999999999999",
        "Content-Length: 5, 5",
        "Content-Length: 6",
        "Content-Length:",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "transfer-encoding: Chunked",
        "Connection: keep-alive, Upgrade",
        "Upgrade: websocket",
        "Expect: 100-continue",
        "Accept: */*",
        "X-B3-TraceId: 1",
        "X_y.z!: 1",
        "User-Agent: \u{e9}",
        "Date : x",
        ": x",
        " folded",
        "Cookie: a\tb",
    ];

    fn lenient(bytes: &[u8]) -> Option<Head<'_>> {
        let bytes = bytes.get(..end(bytes, 0)?)?;
        Some(Head { bytes, plain: None })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn the_usual_form_is_read_as_the_lenient_parser_reads_it(
            line in prop::sample::select(&LINES),
            fields in prop::collection::vec(prop::sample::select(&FIELDS), 0..6),
            damage in prop::collection::vec((0_usize..200, any::<u8>()), 0..2),
            bare in 0_usize..40,
        ) {
            let mut bytes = line.as_bytes().to_vec();
            for (index, field) in fields.iter().enumerate() {
                let end = if index == bare { "\n" } else { "\r\n" };
                bytes.extend([end, field].concat().bytes());
            }
            bytes.extend(b"\r\n\r\nbody\r\n\r\n");
            for (at, byte) in damage {
                let index = at % bytes.len();
                bytes[index] = byte;
            }
            let (found, expected) = (Head::find(&bytes, 0), lenient(&bytes));
            prop_assert_eq!(found.is_some(), expected.is_some());
            if let (Some(found), Some(expected)) = (found, expected) {
                prop_assert_eq!(found.bytes, expected.bytes);
                prop_assert_eq!(found.request(Mark::default()), expected.request(Mark::default()));
                prop_assert_eq!(found.response(), expected.response());
            }
        }
    }

    #[test]
    fn what_is_usual_takes_the_short_way() {
        let line = |line: &str, fields: &str| format!("{line}\r\n{fields}\r\n\r\n");
        let usual = "Host: a.example:80\r\nX-B3-TraceId: 7\r\nAccept: */*\r\nContent-Length: 12";
        let request = line("GET /index.html?a HTTP/1.1", usual);
        let plain = Plain::read(request.as_bytes()).unwrap();
        assert!(plain.request().is_some() && plain.response().is_none());
        let response = line("HTTP/1.1 404 Not Found", "Transfer-Encoding: chunked");
        let plain = Plain::read(response.as_bytes()).unwrap();
        assert_eq!(plain.response(), Some((404, Body::Chunked)));
    }

    #[test]
    fn headers_up_to_the_most_that_are_read() {
        for (count, is_read) in [(MAX_HEADERS, true), (MAX_HEADERS + 1, false)] {
            let head = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(count));
            assert_eq!(Plain::read(head.as_bytes()).is_some(), is_read);
            let parsed = lenient(head.as_bytes()).unwrap().request(Mark::default());
            assert_eq!(parsed != Parsed::No, is_read);
        }
    }
}
