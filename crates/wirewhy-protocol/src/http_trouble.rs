//! What went wrong in the HTTP of a connection: answers that refuse, and bodies held back.

use std::sync::Arc;

use wirewhy_packet::Interval;

use crate::http_facts::Exchange;
use crate::http_request::Request;
use crate::types::Mark;

/// Answers that refuse, and what was waited for in HTTP.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HttpTrouble {
    /// The answers that refuse, by kind, in the order of the first of each: statuses of 400 and above, and any final answer
    /// but the one asked for to CONNECT or to an upgrade. At most [`HttpTrouble::MAX_KINDS`].
    pub refusals: Vec<Refusals>,
    /// Answers that refuse in more kinds than are kept.
    pub further: u64,
    /// Bodies that a client held back for a "100 Continue" which did not come, and sent after all.
    pub held: Option<HeldBodies>,
}

crate::compact!(HttpTrouble {
    refusals,
    further,
    held
});

impl HttpTrouble {
    /// The most kinds kept.
    pub const MAX_KINDS: usize = 16;
}

/// Answers of one kind: of one status, to requests for the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusals {
    /// The status.
    pub status: u16,
    /// What they answer.
    pub purpose: Purpose,
    /// How many.
    pub count: u64,
    /// How many of them answer what browsers and crawlers look for unasked: icons, robots.txt.
    pub optional: u64,
    /// How many of them the client repeated in the same connection and got another status for: a challenge that it met.
    pub settled: u64,
    /// The request and the first of the answers.
    pub first: Exchange,
    /// The latest of the answers.
    pub last: Mark,
    /// The shortest time from an answer with Retry-After to the client's next request.
    pub asked_again: Option<Interval>,
    /// What the answers say: the first, or the first that says more.
    pub detail: Detail,
    /// The latest request answered so, and how often in a row: what settles these answers is about it.
    pub(crate) open: Option<(Arc<Request>, u64)>,
}

crate::compact!(Refusals {
    status,
    purpose,
    count,
    optional,
    settled,
    first,
    last,
    asked_again,
    detail,
    open
});

/// What an answer is to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Purpose {
    /// A request.
    Request,
    /// A request to a proxy for a tunnel (RFC 9110 section 9.3.6).
    Connect,
    /// A request to change to WebSocket (RFC 6455).
    WebSocket,
    /// A request to change to HTTP/2 in the clear (RFC 7540 section 3.2).
    Http2,
    /// A request to change to another protocol (RFC 9110 section 7.8).
    Upgrade,
}

crate::compact!(Purpose = { 0 Request, 1 Connect, 2 WebSocket, 3 Http2, 4 Upgrade });

/// What an answer that refuses says, as far as it explains it. Credentials and nonces are not kept.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Detail {
    /// The first challenge of WWW-Authenticate or Proxy-Authenticate.
    pub challenge: Option<Challenge>,
    /// Retry-After (RFC 9110 section 10.2.3).
    pub retry_after: Option<RetryAfter>,
    /// The methods that are allowed, or the protocols that are demanded: Allow or Upgrade. Hostile text.
    pub offers: Option<Box<str>>,
    /// The error a service names in its body or its challenge: RFC 6749 section 5.2 and its kin, and those of S3.
    pub error: Option<&'static str>,
    /// What the text of the answer says.
    pub reason: Option<Reason>,
    /// What tells who wrote the answer; `None` where nothing does.
    pub author: Option<Author>,
}

crate::compact!(Detail {
    challenge,
    retry_after,
    offers,
    error,
    reason,
    author
});

// The error of a service.
crate::compact!(declined &'static str);

/// A challenge (RFC 9110 section 11.6.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Challenge {
    /// The scheme: hostile text.
    pub scheme: Box<str>,
    /// Whether the nonce of Digest is old: the client is to repeat the request with a new one (RFC 7616 section 3.3).
    pub is_stale: bool,
}

crate::compact!(Challenge { scheme, is_stale });

/// When a client may ask again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RetryAfter {
    /// In so many seconds.
    Seconds(u64),
    /// At this date: hostile text.
    Date(Box<str>),
}

crate::compact!(RetryAfter = { 0 Seconds(item), 1 Date(item) });

/// What the text of an answer says about its cause.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    /// Header or cookies are larger than the server takes.
    HeaderTooLarge,
    /// The default back end of an ingress controller: no rule fits host and path.
    DefaultBackend,
    /// No back end is available.
    NoBackend,
    /// The back end answered what is no HTTP, or nothing at all.
    InvalidAnswer,
    /// The back end did not answer in time.
    BackendTimeout,
    /// The back end could not be connected to.
    BackendUnreachable,
    /// The client did not send its request in time.
    RequestTimeout,
}

crate::compact!(Reason = {
    0 HeaderTooLarge, 1 DefaultBackend, 2 NoBackend, 3 InvalidAnswer, 4 BackendTimeout, 5 BackendUnreachable,
    6 RequestTimeout,
});

/// What shows who wrote an answer, the strongest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Author {
    /// Proxy-Status (RFC 9209): the hop names itself.
    ProxyStatus {
        /// The hop: hostile text.
        hop: Box<str>,
        /// Its error, where it wrote the answer itself: hostile text.
        error: Option<Box<str>>,
        /// The status it had received, where it passed an answer on.
        received: Option<u16>,
    },
    /// A header that only this gateway's own answers have.
    OwnHeader(Gateway),
    /// A header that only answers have which this gateway passed on.
    Relayed(Gateway),
    /// A status that only this gateway uses.
    OwnStatus(Gateway),
    /// The text with which this gateway answers.
    OwnText(Gateway),
    /// The header of this gateway, without what it adds to answers that it passes on.
    NotMarked(Gateway),
}

crate::compact!(Author = {
    0 ProxyStatus { hop, error, received }, 1 OwnHeader(item), 2 Relayed(item), 3 OwnStatus(item), 4 OwnText(item),
    5 NotMarked(item),
});

/// Servers and networks that answer in the place of a server behind them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Gateway {
    /// nginx, which is often the origin, too.
    Nginx,
    /// HAProxy.
    HaProxy,
    /// Apache as a proxy.
    Apache,
    /// Envoy, and what is built on it.
    Envoy,
    /// Squid.
    Squid,
    /// Varnish, and Fastly.
    Varnish,
    /// Cloudflare.
    Cloudflare,
    /// Amazon's application load balancer.
    AmazonBalancer,
    /// Amazon CloudFront.
    CloudFront,
    /// Google's front ends and load balancers.
    Google,
    /// Akamai.
    Akamai,
    /// Azure Application Gateway and Front Door.
    Azure,
}

crate::compact!(Gateway = {
    0 Nginx, 1 HaProxy, 2 Apache, 3 Envoy, 4 Squid, 5 Varnish, 6 Cloudflare, 7 AmazonBalancer, 8 CloudFront, 9 Google,
    10 Akamai, 11 Azure,
});

impl Gateway {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Gateway::Nginx => "nginx",
            Gateway::HaProxy => "HAProxy",
            Gateway::Apache => "Apache",
            Gateway::Envoy => "Envoy",
            Gateway::Squid => "Squid",
            Gateway::Varnish => "Varnish",
            Gateway::Cloudflare => "Cloudflare",
            Gateway::AmazonBalancer => "Amazon ALB",
            Gateway::CloudFront => "CloudFront",
            Gateway::Google => "Google's front end",
            Gateway::Akamai => "Akamai",
            Gateway::Azure => "Azure's gateway",
        }
    }
}

/// Bodies held back behind `Expect: 100-continue` (RFC 9110 section 10.1.1) that no answer released.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldBodies {
    /// How many.
    pub count: u64,
    /// How long the longest was held.
    pub longest: Interval,
    /// How long all of them were.
    pub total: Interval,
    /// The first request.
    pub request: Option<Arc<Request>>,
    /// The end of the first request's header.
    pub asked: Mark,
    /// The first byte of its body.
    pub sent: Mark,
}

crate::compact!(HeldBodies {
    count,
    longest,
    total,
    request,
    asked,
    sent
});

/// A body sent sooner than this behind its header was not held back: the shortest wait of the usual clients is 350 ms (.NET),
/// the most common 1 s (curl, Go).
const SHORTEST_WAIT: Interval = Interval::from_millis(250);

impl HttpTrouble {
    /// A final answer that refuses; `says` what it says.
    pub(crate) fn refused(&mut self, purpose: Purpose, status: u16, first: Exchange, says: Detail) {
        let is_optional = first.request.as_deref().is_some_and(is_optional);
        let same = |kind: &&mut Refusals| kind.status == status && kind.purpose == purpose;
        let Some(kind) = self.refusals.iter_mut().find(same) else {
            if self.refusals.len() >= HttpTrouble::MAX_KINDS {
                self.further += 1;
                return;
            }
            self.refusals.reserve_exact(1);
            self.refusals.push(Refusals {
                status,
                purpose,
                count: 1,
                optional: u64::from(is_optional),
                settled: 0,
                last: first.answered,
                asked_again: None,
                detail: says,
                open: first.request.clone().map(|request| (request, 1)),
                first,
            });
            return;
        };
        // The first that was asked for is shown.
        let shows_more = kind.optional == kind.count && !is_optional;
        kind.count += 1;
        kind.optional += u64::from(is_optional);
        kind.last = first.answered;
        if kind.detail.error.is_none() && says.error.is_some() {
            kind.detail = says;
        }
        kind.open = match (kind.open.take(), first.request.clone()) {
            (Some((before, many)), Some(request)) if before.is_for_same(&request) => {
                Some((request, many + 1))
            }
            (_, request) => request.map(|request| (request, 1)),
        };
        if shows_more {
            kind.first = first;
        }
    }

    /// Whether the text of an answer with this status is worth reading: it is the first, or those before named no error.
    pub(crate) fn wants_text(&self, status: u16) -> bool {
        let mut kinds = self.refusals.iter().filter(|kind| kind.status == status);
        kinds.next_back().is_some_and(|kind| {
            kind.count == 1 || (matches!(status, 400 | 401) && kind.detail.error.is_none())
        })
    }

    /// The text of the latest answer with this status, or as much of it as was seen.
    pub(crate) fn says(&mut self, status: u16, text: &Text) {
        let mut kinds = self.refusals.iter_mut();
        let Some(kind) = kinds.rfind(|kind| kind.status == status) else {
            return;
        };
        let detail = &mut kind.detail;
        detail.error = text.error.or(detail.error);
        detail.reason = text.reason.or(detail.reason);
        let settled = matches!(
            detail.author,
            Some(Author::ProxyStatus { .. } | Author::OwnHeader(_) | Author::Relayed(_))
        );
        if let Some(gateway) = text.author.filter(|_| !settled) {
            detail.author = Some(Author::OwnText(gateway));
        }
    }

    /// Another status to a request: settles what was refused about the same before.
    pub(crate) fn answered(&mut self, request: &Request, status: u16) {
        for kind in &mut self.refusals {
            if kind.status != status
                && let Some((_, many)) = kind.open.take_if(|(open, _)| open.is_for_same(request))
            {
                kind.settled += many;
            }
        }
    }

    /// The client sends a request.
    pub(crate) fn asks(&mut self, begun: Mark) {
        let last = self
            .refusals
            .iter_mut()
            .max_by_key(|kind| kind.last.time)
            .filter(|kind| kind.detail.retry_after.is_some());
        if let Some(kind) = last {
            let after = begun.time.since(kind.last.time);
            kind.asked_again = Some(kind.asked_again.map_or(after, |before| before.min(after)));
        }
    }

    /// Bytes of memory of its own.
    pub(crate) fn retained(&self) -> usize {
        let text = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
        let requests = |kind: &Refusals| {
            let open = kind.open.as_ref().map(|(request, _)| request);
            let both = open.into_iter().chain(&kind.first.request);
            both.map(|request| request.retained()).sum::<usize>()
        };
        let details = |kind: &Refusals| {
            let challenge = kind.detail.challenge.as_ref();
            let date = match &kind.detail.retry_after {
                Some(RetryAfter::Date(date)) => date.len(),
                Some(RetryAfter::Seconds(_)) | None => 0,
            };
            let author = match &kind.detail.author {
                Some(Author::ProxyStatus { hop, error, .. }) => hop.len() + text(error),
                _ => 0,
            };
            challenge.map_or(0, |challenge| challenge.scheme.len())
                + date
                + author
                + text(&kind.detail.offers)
        };
        let kinds = self.refusals.iter();
        let texts: usize = kinds.map(|kind| requests(kind) + details(kind)).sum();
        let held = self.held.as_ref().and_then(|held| held.request.as_ref());
        size_of::<HttpTrouble>()
            + self.refusals.capacity() * size_of::<Refusals>()
            + texts
            + held.map_or(0, |request| request.retained())
    }
}

/// Adds a body that was held back from `asked` to `sent`, if it was.
pub(crate) fn held(
    trouble: &mut Option<Box<HttpTrouble>>,
    request: Option<&Arc<Request>>,
    asked: Mark,
    sent: Mark,
) {
    let waited = sent.time.since(asked.time);
    if waited < SHORTEST_WAIT {
        return;
    }
    let held = &mut trouble.get_or_insert_default().held;
    let held = held.get_or_insert_with(|| HeldBodies {
        count: 0,
        longest: waited,
        total: Interval::ZERO,
        request: request.cloned(),
        asked,
        sent,
    });
    held.count += 1;
    held.longest = held.longest.max(waited);
    held.total = Interval(held.total.0.saturating_add(waited.0));
}

/// What the text of an answer shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Text {
    pub(crate) error: Option<&'static str>,
    pub(crate) reason: Option<Reason>,
    pub(crate) author: Option<Gateway>,
}

/// Whether browsers and crawlers look for this unasked.
fn is_optional(request: &Request) -> bool {
    let target = request.target();
    let path = target.strip_suffix("?...").unwrap_or(&target);
    let name = path.rsplit('/').next().unwrap_or(path);
    name.starts_with("favicon.")
        || name.starts_with("apple-touch-icon")
        || matches!(
            name,
            "robots.txt" | "browserconfig.xml" | "sitemap.xml" | "ads.txt" | "security.txt"
        )
}

#[cfg(test)]
mod tests {
    use crate::testing::{Turn, client, closed_facts, facts_of, segments, server};
    use crate::{Author, Gateway, HttpTrouble, Purpose, Reason};

    fn get(path: &str) -> Turn {
        client(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"))
    }

    fn answer(status: &str, header: &str, body: &str) -> Turn {
        let length = body.len();
        server(format!(
            "HTTP/1.1 {status}\r\n{header}Content-Length: {length}\r\n\r\n{body}"
        ))
    }

    fn trouble(turns: &[Turn]) -> HttpTrouble {
        *closed_facts(turns).http.trouble.unwrap()
    }

    fn counts(turns: &[Turn]) -> Vec<(u16, u64, u64)> {
        let kinds = trouble(turns).refusals.into_iter();
        kinds
            .map(|kind| (kind.status, kind.count, kind.settled))
            .collect()
    }

    #[test]
    fn answers_are_counted_by_status() {
        let turns = [
            get("/a"),
            answer("404 Not Found", "", "no"),
            get("/b"),
            answer("200 OK", "", "yes"),
            get("/favicon.ico"),
            answer("404 Not Found", "", ""),
            get("/c"),
            answer("500 Internal Server Error", "", ""),
        ];
        assert_eq!(counts(&turns), [(404, 2, 0), (500, 1, 0)]);
        let first = &trouble(&turns).refusals[0];
        assert_eq!((first.optional, first.last.frame), (1, 6));
        assert_eq!(closed_facts(&turns[2..4]).http.trouble, None);
    }

    #[test]
    fn what_was_asked_for_is_shown_before_an_icon() {
        let turns = [
            get("/favicon.ico"),
            answer("404 Not Found", "", ""),
            get("/c"),
            answer("404 Not Found", "", ""),
        ];
        let kind = trouble(&turns).refusals.remove(0);
        assert_eq!(kind.first.request.unwrap().target(), "/c");
    }

    #[test]
    fn a_challenge_that_is_met_is_settled() {
        let challenge = || answer("401 Unauthorized", "WWW-Authenticate: NTLM\r\n", "");
        let turns = [
            get("/a?x=1"),
            challenge(),
            get("/a?x=1"),
            challenge(),
            get("/a?x=1"),
            answer("200 OK", "", ""),
        ];
        assert_eq!(counts(&turns), [(401, 2, 2)]);
        assert_eq!(counts(&turns[..4]), [(401, 2, 0)]);
        // The answer to something else settles nothing.
        let other = [get("/a"), challenge(), get("/b"), answer("200 OK", "", "")];
        assert_eq!(counts(&other), [(401, 1, 0)]);
    }

    #[test]
    fn the_text_of_a_refusal_is_read_however_it_comes() {
        const TEXT: &str =
            "<h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n";
        let chunks = format!("{:x}\r\n{TEXT}\r\n0\r\n\r\n", TEXT.len());
        let texts = [
            answer("503 Service Unavailable", "", TEXT),
            server(format!(
                "HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"
            )),
            server(format!("HTTP/1.0 503 No\r\n\r\n{TEXT}")),
        ];
        for text in texts {
            let turns = [get("/"), text];
            for size in [1, 7, 40, 4_000] {
                let facts = facts_of(&segments(&turns, size), &turns);
                let detail = facts.http.trouble.unwrap().refusals.remove(0).detail;
                assert_eq!(detail.author, Some(Author::OwnText(Gateway::HaProxy)));
                assert_eq!(detail.reason, Some(Reason::NoBackend));
                assert_eq!(facts.server.truncated(), None);
            }
        }
    }

    #[test]
    fn secrets_of_a_target_are_not_kept() {
        let turns = [
            client("GET http://joe:s3cret@h/a?token=s3cret HTTP/1.1\r\nHost: h\r\n\r\n"),
            answer("403 Forbidden", "", ""),
        ];
        let request = trouble(&turns).refusals.remove(0).first.request.unwrap();
        assert_eq!(request.target(), "http://h/a?...");
    }

    #[test]
    fn a_tunnel_and_an_upgrade_refused() {
        let connect = [
            client("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
            answer("403 Forbidden", "", ""),
        ];
        assert_eq!(trouble(&connect).refusals[0].purpose, Purpose::Connect);
        let upgrade = |protocol: &str| {
            client(format!(
                "GET /s HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n"
            ))
        };
        let turns = [upgrade("websocket"), answer("200 OK", "", "")];
        assert_eq!(trouble(&turns).refusals[0].purpose, Purpose::WebSocket);
        let turns = [upgrade("h2c"), answer("200 OK", "", "")];
        assert_eq!(trouble(&turns).refusals[0].purpose, Purpose::Http2);
        let accepted = server("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n");
        assert_eq!(
            closed_facts(&[upgrade("websocket"), accepted]).http.trouble,
            None
        );
    }

    #[test]
    fn a_body_held_back_and_one_left_away() {
        const PUT: &str = "PUT /a HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
        const AGAIN: &str = "PUT /a HTTP/1.1\r\nContent-Length: 4\r\n\r\ndata";
        let done = || answer("200 OK", "", "");
        let turns = [client(PUT), client("data"), done()];
        for size in [1, 3, 100] {
            let facts = facts_of(&segments(&turns, size), &turns);
            let held = facts.http.trouble.unwrap().held.unwrap();
            assert_eq!((held.count, held.asked.frame, held.sent.frame), (1, 1, 2));
        }
        let agreed = server("HTTP/1.1 100 Continue\r\n\r\n");
        let facts = closed_facts(&[client(PUT), agreed, client("data"), done()]);
        assert_eq!((facts.http.trouble, facts.http.responses), (None, 1));
        let refused = answer("417 Expectation Failed", "", "");
        let turns = [client(PUT), refused, client(AGAIN), done()];
        for size in [1, 3, 100] {
            let facts = facts_of(&segments(&turns, size), &turns);
            let kind = facts.http.trouble.unwrap().refusals.remove(0);
            assert_eq!((kind.status, kind.count, kind.settled), (417, 1, 1));
            assert_eq!((facts.http.requests, facts.http.responses), (2, 2));
        }
        // The body may come all the same.
        let refused = answer("401 Unauthorized", "", "");
        let facts = closed_facts(&[client(PUT), refused, client("data"), get("/b"), done()]);
        assert_eq!((facts.http.requests, facts.http.responses), (2, 2));
    }

    #[test]
    fn kinds_are_bounded() {
        let turns: Vec<_> = (400..420)
            .flat_map(|status| [get("/"), answer(&format!("{status} No"), "", "")])
            .collect();
        let trouble = trouble(&turns);
        assert_eq!(trouble.refusals.len(), HttpTrouble::MAX_KINDS);
        assert_eq!(trouble.further, 4);
    }

    #[test]
    fn when_the_client_asks_again() {
        let turns = [
            get("/"),
            answer("429 Too Many Requests", "Retry-After: 60\r\n", ""),
            get("/"),
            answer("200 OK", "", ""),
        ];
        let again = trouble(&turns).refusals[0].asked_again.unwrap();
        assert_eq!(again.as_secs_f64(), 1.0);
    }
}
