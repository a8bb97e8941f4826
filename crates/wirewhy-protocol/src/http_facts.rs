//! The facts of HTTP.

use std::sync::Arc;

use crate::http_request::Request;
use crate::http_trouble::HttpTrouble;
use crate::http2_facts::Http2Facts;
use crate::types::Mark;

/// HTTP requests and responses of a connection.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HttpFacts {
    /// Requests begun.
    pub requests: u64,
    /// Final responses begun.
    pub responses: u64,
    /// Interim responses (1xx other than 101).
    pub interim: u64,
    /// The last request whose header was read.
    pub last_request: Option<Arc<Request>>,
    /// The last final status, or 101.
    pub last_status: Option<u16>,
    /// The complaint about TLS in a response with status 400.
    pub complaint: Option<TlsComplaint>,
    /// The last request that was answered.
    pub last: Option<Exchange>,
    /// The request that waited longest for its answer.
    pub slowest: Option<Exchange>,
    /// Answers that refuse, and bodies held back; `None` where there are none.
    pub trouble: Option<Box<HttpTrouble>>,
    /// Streams of HTTP/2 that were reset or lost, and calls of gRPC that failed; `None` where there are none.
    pub http2: Option<Box<Http2Facts>>,
}

crate::compact!(HttpFacts {
    requests,
    responses,
    interim,
    last_request,
    last_status,
    complaint,
    last,
    slowest,
    trouble,
    http2,
});

/// What a server answers in HTTP, with status 400, about the TLS around it or the lack of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TlsComplaint {
    /// The client speaks HTTP where TLS is expected (nginx, Apache, Go).
    ExpectsTls,
    /// The client presented no certificate (nginx).
    NoClientCertificate,
    /// The client's certificate does not verify (nginx).
    BadClientCertificate,
}

crate::compact!(TlsComplaint = { 0 ExpectsTls, 1 NoClientCertificate, 2 BadClientCertificate });

/// A request and the start of its final response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exchange {
    /// The request; `None` where its header could not be read.
    pub request: Option<Arc<Request>>,
    /// The request's last byte; `None` where the answer began before the request was complete.
    pub sent: Option<Mark>,
    /// The first byte of the final response.
    pub answered: Mark,
    /// The response's last byte; `None` where its end was not seen, or where it ends with the stream.
    pub ended: Option<Mark>,
    /// The response's status; `None` where its header could not be read.
    pub status: Option<u16>,
}

crate::compact!(Exchange {
    request,
    sent,
    answered,
    ended,
    status
});

/// A request that waits for its answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Awaiting {
    /// The request; `None` in HTTP/2.
    pub request: Option<Arc<Request>>,
    /// The request's last byte; of a request that waits for "100 Continue" the last byte of its header.
    pub sent: Mark,
}

crate::compact!(Awaiting { request, sent });
