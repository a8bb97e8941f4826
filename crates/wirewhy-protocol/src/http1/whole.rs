//! A whole conversation in HTTP/1 as most of them are, read at once when it is over: requests without a body, each in a segment of
//! its own, and each answered with success, in order, before the next one is sent.

use std::sync::Arc;

use super::head::{Body, method};
use super::plain::{Plain, RequestLine};
use super::probe;
use crate::exchanges::{ExchangeCounts, Method};
use crate::facts::{AppFacts, SideFacts};
use crate::http_request::{Request, RequestHash};
use crate::types::{AppProtocol, Framing, Mark, Role};

/// A segment with payload.
#[derive(Clone, Copy, Debug)]
pub struct PayloadSegment<'a> {
    /// Who sent it.
    pub role: Role,
    /// Its payload, all of it.
    pub bytes: &'a [u8],
    /// Where it was seen.
    pub mark: Mark,
}

/// The facts of a conversation that both sides have closed, of which these are all segments with payload, in order and without
/// repetitions: the same as a [`Conversation`](crate::Conversation) comes to that is given them. `None` where it is of another
/// form than most in HTTP/1 are, or a request was not answered with success: then only that tells.
pub fn whole_http1<'a>(
    segments: impl IntoIterator<Item = PayloadSegment<'a>>,
) -> Option<Box<AppFacts>> {
    let mut tally = ExchangeCounts::default();
    let mut asked = None;
    let mut turns = WholeTurns::default();
    for segment in segments {
        let mark = segment.mark;
        match turns.turn(segment)? {
            Turn::Request(request) => {
                let request = Arc::new(request.read(mark));
                tally.begun(Some(&request));
                asked = Some((request, mark));
            }
            Turn::Response(status, _) => {
                let (request, sent) = asked.take().unzip();
                tally.answered(request, sent, mark, Some(status));
            }
            Turn::Body => {}
        }
        if turns.is_complete() {
            tally.completed(mark);
        }
    }
    let side = |protocol| SideFacts {
        begins_with_text: true,
        protocol: Some(protocol),
        inner: None,
        framing: Framing::Boundary,
        closed: true,
    };
    turns.is_complete().then(|| {
        Box::new(AppFacts {
            client: side(AppProtocol::Http1Request),
            server: side(AppProtocol::Http1Response),
            http: tally.facts(),
            ..AppFacts::default()
        })
    })
}

/// How far a conversation is that [`whole_http1`] can read.
#[derive(Clone, Copy, Debug, Default)]
pub struct WholeTurns {
    has_begun: bool,
    is_asked: bool,
    /// How much of a response is to come.
    missing: u64,
    /// The latest request.
    asked: RequestHash,
}

/// What a segment of such a conversation is.
enum Turn<'a> {
    Request(WholeRequest<'a>),
    /// A response of this status with a header section of this length, and perhaps a part of its body.
    Response(u16, usize),
    /// A further part.
    Body,
}

/// A request that is all of a segment.
struct WholeRequest<'a> {
    line: RequestLine<'a>,
    host: Option<&'a [u8]>,
}

impl WholeTurns {
    /// Takes in the next segment. Returns how many of its first bytes are of a header section, and so decide anything: the others are
    /// of a body. `None` where the conversation is of another form.
    pub fn take(&mut self, segment: PayloadSegment<'_>) -> Option<usize> {
        Some(match self.turn(segment)? {
            Turn::Request(request) => {
                self.asked = request.hash();
                segment.bytes.len()
            }
            Turn::Response(_, head) => head,
            Turn::Body => 0,
        })
    }

    /// What the next segment is; `None` where it is anything else.
    fn turn<'a>(&mut self, segment: PayloadSegment<'a>) -> Option<Turn<'a>> {
        let PayloadSegment { role, bytes, .. } = segment;
        match role {
            Role::Client if !self.is_asked && self.missing == 0 => {
                if !self.has_begun && probe::is_request(bytes) != Some(true) {
                    return None;
                }
                let request = WholeRequest::of(bytes)?;
                (self.has_begun, self.is_asked) = (true, true);
                Some(Turn::Request(request))
            }
            Role::Server if self.is_asked => {
                let (status, length, head) = response(bytes)?;
                let here = u64::try_from(bytes.len().checked_sub(head)?).ok()?;
                self.is_asked = false;
                self.missing = length.checked_sub(here)?;
                Some(Turn::Response(status, head))
            }
            Role::Server if self.missing > 0 => {
                let length = u64::try_from(bytes.len()).ok()?;
                self.missing = self.missing.checked_sub(length)?;
                Some(Turn::Body)
            }
            _ => None,
        }
    }

    /// The latest of the requests taken in.
    pub fn last_request(&self) -> RequestHash {
        self.asked
    }

    /// Whether all requests so far have their responses.
    pub fn is_complete(&self) -> bool {
        self.has_begun && !self.is_asked && self.missing == 0
    }
}

impl<'a> WholeRequest<'a> {
    fn of(bytes: &'a [u8]) -> Option<WholeRequest<'a>> {
        let plain = Plain::read(bytes).filter(|plain| plain.length == bytes.len())?;
        let (line, body) = plain.request()?;
        let usual = body == Body::None && method(line.method) == Method::Other;
        usual.then_some(WholeRequest {
            line,
            host: plain.host,
        })
    }

    fn hash(&self) -> RequestHash {
        RequestHash::read(self.line.method, self.line.target, self.host)
    }

    fn read(self, mark: Mark) -> Request {
        Request::read(self.line.method, self.line.target, self.host, mark)
    }
}

/// The status of a response whose header a segment begins with, the length of its body, and that of its header.
fn response(bytes: &[u8]) -> Option<(u16, u64, usize)> {
    let plain = Plain::read(bytes)?;
    let (status, body) = plain.response()?;
    let Body::Length(length) = body else {
        return None;
    };
    let usual = matches!(status, 200..400) && !matches!(status, 204 | 304);
    usual.then_some((status, length, plain.length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wirewhy_packet::Timestamp;

    use super::*;
    use crate::{CaptureContext, Conversation};

    /// What either side may say next.
    fn words(role: Role, number: u8) -> String {
        let head = |length: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        match (role, number % 16) {
            (Role::Client, 0..=8) => format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n"),
            (Role::Client, 9) => {
                "GET / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n".to_owned()
            }
            (Role::Client, 10) => "POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nab".to_owned(),
            (Role::Client, 11) => "HEAD / HTTP/1.1\r\n\r\n".to_owned(),
            (Role::Client, 12) => "CONNECT a:1 HTTP/1.1\r\n\r\n".to_owned(),
            (Role::Client, 13) => "GET a HTTP/1.1\r\n\r\n".to_owned(),
            (Role::Client, 14) => "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n".to_owned(),
            (Role::Client, _) => "QUIT\r\n".to_owned(),
            (Role::Server, 0..=5) => head("0"),
            (Role::Server, 6) => format!("{}ab", head("2")),
            (Role::Server, 7) => head("4"),
            (Role::Server, 8) => "abcd".to_owned(),
            (Role::Server, 9) => "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n".to_owned(),
            (Role::Server, 10) => "HTTP/1.1 304 Same\r\nContent-Length: 7\r\n\r\n".to_owned(),
            (Role::Server, 11) => "HTTP/1.1 100 Go\r\n\r\n".to_owned(),
            (Role::Server, 12) => "HTTP/1.1 101 Else\r\nContent-Length: 0\r\n\r\n".to_owned(),
            (Role::Server, 13) => "HTTP/1.0 301 There\r\nContent-Length: 1\r\n\r\nabc".to_owned(),
            (Role::Server, 14) => {
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned()
            }
            (Role::Server, _) => "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
        }
    }

    fn read_in_full(segments: &[PayloadSegment<'_>]) -> AppFacts {
        let mut conversation = Conversation::new();
        let context = &mut CaptureContext::default();
        let mut ends = [0; 2];
        for PayloadSegment { role, bytes, mark } in segments {
            let len = u32::try_from(bytes.len()).unwrap();
            let [client, server] = &mut ends;
            let (frame, time) = (mark.frame, mark.time);
            match role {
                Role::Client => {
                    conversation.client_data(*client, bytes, len, frame, time, context);
                    *client += u64::from(len);
                }
                Role::Server => {
                    conversation.server_data(*server, bytes, len, frame, time, context);
                    *server += u64::from(len);
                }
            }
        }
        conversation.server_closed(ends[1], context);
        conversation.client_closed(ends[0], context);
        *conversation.finish().unwrap()
    }

    /// The segments with nothing but zeros in the place of bodies.
    fn without_bodies(segments: &[PayloadSegment<'_>]) -> Option<Vec<Vec<u8>>> {
        let mut turns = WholeTurns::default();
        let heads: Option<Vec<Vec<u8>>> = segments
            .iter()
            .map(|segment| {
                let mut head = segment.bytes[..turns.take(*segment)?].to_vec();
                head.resize(segment.bytes.len(), 0);
                Some(head)
            })
            .collect();
        heads.filter(|_| turns.is_complete())
    }

    fn marked<'a>(segments: impl IntoIterator<Item = (Role, &'a str)>) -> Vec<PayloadSegment<'a>> {
        let numbered = (1..).zip(segments);
        let marked = numbered.map(|(frame, (role, words))| PayloadSegment {
            role,
            bytes: words.as_bytes(),
            mark: Mark {
                frame,
                time: Timestamp(i64::try_from(frame * frame).unwrap()),
            },
        });
        marked.collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_read_at_once_is_what_is_read_piece_by_piece(
            steps in prop::collection::vec((any::<bool>(), any::<u8>()), 1..9),
            alternates in any::<bool>(),
        ) {
            let roles = [Role::Client, Role::Server];
            let words: Vec<(Role, String)> = (0..).zip(&steps).map(|(at, (from_server, number))| {
                let role = roles[if alternates { at % 2 } else { usize::from(*from_server) }];
                (role, words(role, *number))
            }).collect();
            let segments = marked(words.iter().map(|(role, words)| (*role, words.as_str())));
            let whole = whole_http1(segments.iter().copied());
            if let Some(facts) = whole {
                prop_assert_eq!(&*facts, &read_in_full(&segments));
                let heads = without_bodies(&segments).unwrap();
                let bare = segments.iter().zip(&heads);
                let bare: Vec<_> = bare.map(|(segment, bytes)| PayloadSegment { bytes, ..*segment }).collect();
                prop_assert_eq!(&*facts, &read_in_full(&bare));
                let mut turns = WholeTurns::default();
                prop_assert!(segments.iter().all(|segment| turns.take(*segment).is_some()));
                let last = facts.http.last_request.as_deref();
                prop_assert_eq!(last.map(Request::hash), Some(turns.last_request()));
                prop_assert_eq!(Some(facts), whole_http1(bare.iter().copied()));
            } else {
                prop_assert_eq!(without_bodies(&segments), None);
            }
        }
    }

    #[test]
    fn most_conversations_are_read_at_once() {
        let (get, ok) = (words(Role::Client, 0), words(Role::Server, 7));
        let talk = [
            (Role::Client, get.as_str()),
            (Role::Server, ok.as_str()),
            (Role::Server, "ab"),
            (Role::Server, "cd"),
            (Role::Client, get.as_str()),
            (Role::Server, "HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n"),
        ];
        let segments = marked(talk);
        let facts = whole_http1(segments.iter().copied());
        assert_eq!(facts.as_deref(), Some(&read_in_full(&segments)));
        for end in [0, 1, 2, 3, 5] {
            assert_eq!(
                whole_http1(segments.iter().copied().take(end)),
                None,
                "{end}"
            );
        }
    }
}
