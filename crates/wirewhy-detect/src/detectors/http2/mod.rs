//! What only HTTP/2 has: streams, and the frames that end them.

pub(crate) mod goaway;
pub(crate) mod protocol_mismatch;
pub(crate) mod stream_reset;

use wirewhy_flow::Connection;
use wirewhy_protocol::{Http2Error, Http2Facts, Request, Role as Sender};

use crate::{Confidence, Culprit, Role};

/// What went wrong in the HTTP/2 of a connection.
pub(super) fn http2(connection: &Connection) -> Option<&Http2Facts> {
    connection.app.as_deref()?.http.http2.as_deref()
}

/// ` (POST /a of example.com)`. Text from the wire.
pub(super) fn named(request: Option<&Request>) -> String {
    let Some(request) = request else {
        return String::new();
    };
    let host = request.host();
    let host = host.map_or(String::new(), |host| format!(" of {host}"));
    format!(" ({} {}{host})", request.method(), request.target())
}

/// Who is at fault where one side ends streams or the connection with this error.
fn fault(connection: &Connection, sender: Sender, code: Http2Error) -> Culprit {
    let side = |of: Sender, confidence| {
        let (role, end) = match of {
            Sender::Client => (Role::Client, &connection.client),
            Sender::Server => (Role::Server, &connection.server),
        };
        Culprit::new(role, end.address).at_most(confidence)
    };
    let other = match sender {
        Sender::Client => Sender::Server,
        Sender::Server => Sender::Client,
    };
    match code {
        Http2Error::ENHANCE_YOUR_CALM => side(other, Confidence::Likely),
        Http2Error::NO_ERROR
        | Http2Error::INTERNAL_ERROR
        | Http2Error::REFUSED_STREAM
        | Http2Error::CANCEL => side(sender, Confidence::Likely),
        // One side says that the other one broke the protocol: either may be wrong.
        _ => side(other, Confidence::Possible),
    }
}

/// What usually stands behind an error, for the end of a sentence.
fn reading(code: Http2Error) -> &'static str {
    match code {
        Http2Error::INTERNAL_ERROR => "it failed itself, or the server behind it did",
        Http2Error::REFUSED_STREAM => "it took no more streams: to send them again is safe",
        Http2Error::ENHANCE_YOUR_CALM => "the other side sends more than it takes",
        Http2Error::SETTINGS_TIMEOUT => "its SETTINGS were not acknowledged in time",
        Http2Error::HTTP_1_1_REQUIRED => "the request is to be sent over HTTP/1.1",
        Http2Error::PROTOCOL_ERROR => "it says that the other side broke the protocol",
        _ => "",
    }
}

fn reading_behind(code: Http2Error) -> String {
    match reading(code) {
        "" => String::new(),
        words => format!("; {words}"),
    }
}

/// Conversations of HTTP/2, for the tests of the detectors.
#[cfg(test)]
pub(crate) mod traces {
    use crate::detectors::tls::traces::ConversationTrace;

    /// What a client begins with.
    pub(crate) const PREFACE: &[u8] =
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    /// What a server begins with.
    pub(crate) const SETTINGS: &[u8] = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const GOAWAY: u8 = 7;

    /// Both sides have begun.
    pub(crate) fn conversation() -> ConversationTrace {
        ConversationTrace::open().client(PREFACE).server(SETTINGS)
    }

    pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    /// GET /, complete.
    pub(crate) fn get(stream: u32) -> Vec<u8> {
        frame(1, 5, stream, b"\x82\x84")
    }

    /// Status 200, complete, with these fields, each as it is written in a block.
    pub(crate) fn answer(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut block = vec![0x88];
        for (name, value) in fields {
            block.push(0);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).unwrap());
                block.extend(text.as_bytes());
            }
        }
        frame(1, 5, stream, &block)
    }

    pub(crate) fn go_away(last: u32, code: u32, debug: &str) -> Vec<u8> {
        let payload = [
            &last.to_be_bytes()[..],
            &code.to_be_bytes(),
            debug.as_bytes(),
        ];
        frame(GOAWAY, 0, 0, &payload.concat())
    }
}
