//! The facts of HTTP/2 and gRPC.

use std::sync::Arc;

use wirewhy_packet::Interval;

use crate::http_request::Request;
use crate::types::{Mark, Role};

/// What went wrong in the HTTP/2 of a connection.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Http2Facts {
    /// Streams that were reset before their answer was complete, by who reset them and why, in the order of the first of
    /// each; at most [`Http2Facts::MAX_KINDS`].
    pub resets: Vec<StreamResets>,
    /// Requests that the server refused to process and that it did not answer later, sent again in this connection; at most
    /// [`Http2Facts::MAX_REFUSED`].
    pub refused: Vec<Refused>,
    /// Refused requests beyond those kept.
    pub further_refused: u64,
    /// The GOAWAY frames: the first of each side, and the last.
    pub goaways: Vec<GoAway>,
    /// Calls of gRPC that did not end well, by status; at most [`Http2Facts::MAX_KINDS`].
    pub grpc: Vec<GrpcErrors>,
    /// Streams without a complete answer at the end that the last GOAWAY says were not processed: safe to send again.
    pub unprocessed: u64,
    /// Streams without a complete answer at the end that no reset ended, and that may have been processed.
    pub lost: u64,
}

crate::compact!(Http2Facts {
    resets,
    refused,
    further_refused,
    goaways,
    grpc,
    unprocessed,
    lost
});

impl Http2Facts {
    /// The most kinds kept of each.
    pub const MAX_KINDS: usize = 16;

    /// The most refused requests kept.
    pub const MAX_REFUSED: usize = 32;

    /// The server refused a request (RFC 9113 section 8.7).
    pub(crate) fn refuse(&mut self, request: Option<Arc<Request>>, at: Mark) {
        let again = request
            .as_deref()
            .and_then(|request| self.refused_before(request));
        if let Some(known) = again.and_then(|index| self.refused.get_mut(index)) {
            known.at = at;
        } else if self.refused.len() < Http2Facts::MAX_REFUSED {
            self.refused.reserve_exact(1);
            self.refused.push(Refused { request, at });
        } else {
            self.further_refused += 1;
        }
    }

    /// The server answers a request: where it is one that was refused before, it was not lost.
    pub(crate) fn answer(&mut self, request: &Request) {
        if let Some(index) = self.refused_before(request) {
            self.refused.remove(index);
        }
    }

    /// Of which refused request this one is the repetition.
    fn refused_before(&self, request: &Request) -> Option<usize> {
        self.refused.iter().position(|refused| {
            let before = refused.request.as_deref();
            before.is_some_and(|before| {
                before.repeats(request) && refused.at.frame < request.begun.frame
            })
        })
    }
}

/// A request that a server refused to process: REFUSED_STREAM (RFC 9113 section 8.7).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The request, where its header could be read.
    pub request: Option<Arc<Request>>,
    /// The latest refusal.
    pub at: Mark,
}

crate::compact!(Refused { request, at });

/// Streams reset by one side for one reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamResets {
    /// Who reset them.
    pub sender: Role,
    /// Why.
    pub code: Http2Error,
    /// How many.
    pub count: u64,
    /// How many of them had the beginning of an answer.
    pub answered: u64,
    /// The first one's number.
    pub stream: u32,
    /// What it was for, where its header could be read.
    pub request: Option<Arc<Request>>,
    /// Where its request began.
    pub asked: Option<Mark>,
    /// The first reset.
    pub first: Mark,
}

crate::compact!(StreamResets {
    sender,
    code,
    count,
    answered,
    stream,
    request,
    asked,
    first
});

/// A GOAWAY frame (RFC 9113 section 6.8).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GoAway {
    /// Who sent it.
    pub sender: Role,
    /// Why.
    pub code: Http2Error,
    /// The last stream that its sender may have processed.
    pub last_stream: u32,
    /// The highest stream that the client had begun.
    pub opened: u32,
    /// The debug data, cut at 128 bytes, other bytes than printable ones replaced.
    pub debug: Box<str>,
    /// Where it was seen.
    pub mark: Mark,
}

crate::compact!(GoAway {
    sender,
    code,
    last_stream,
    opened,
    debug,
    mark
});

/// An error code of HTTP/2 (RFC 9113 section 7).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Http2Error(pub u32);

crate::compact!(Http2Error(number));

impl Http2Error {
    /// `NO_ERROR`.
    pub const NO_ERROR: Http2Error = Http2Error(0x0);
    /// `PROTOCOL_ERROR`.
    pub const PROTOCOL_ERROR: Http2Error = Http2Error(0x1);
    /// `INTERNAL_ERROR`.
    pub const INTERNAL_ERROR: Http2Error = Http2Error(0x2);
    /// `SETTINGS_TIMEOUT`.
    pub const SETTINGS_TIMEOUT: Http2Error = Http2Error(0x4);
    /// `REFUSED_STREAM`.
    pub const REFUSED_STREAM: Http2Error = Http2Error(0x7);
    /// `CANCEL`.
    pub const CANCEL: Http2Error = Http2Error(0x8);
    /// `ENHANCE_YOUR_CALM`.
    pub const ENHANCE_YOUR_CALM: Http2Error = Http2Error(0xb);
    /// `HTTP_1_1_REQUIRED`.
    pub const HTTP_1_1_REQUIRED: Http2Error = Http2Error(0xd);

    /// The registered name, or the number.
    #[must_use]
    pub fn name(self) -> String {
        const NAMES: [&str; 14] = [
            "NO_ERROR",
            "PROTOCOL_ERROR",
            "INTERNAL_ERROR",
            "FLOW_CONTROL_ERROR",
            "SETTINGS_TIMEOUT",
            "STREAM_CLOSED",
            "FRAME_SIZE_ERROR",
            "REFUSED_STREAM",
            "CANCEL",
            "COMPRESSION_ERROR",
            "CONNECT_ERROR",
            "ENHANCE_YOUR_CALM",
            "INADEQUATE_SECURITY",
            "HTTP_1_1_REQUIRED",
        ];
        let index = usize::try_from(self.0).unwrap_or(usize::MAX);
        let known = NAMES.get(index);
        known.map_or_else(|| format!("error {}", self.0), |name| (*name).to_owned())
    }
}

/// Calls of gRPC that ended with one status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GrpcErrors {
    /// The status.
    pub status: GrpcStatus,
    /// How many.
    pub count: u64,
    /// The first message, cut at 200 bytes: hostile text.
    pub message: Option<Box<str>>,
    /// The first call, where its header could be read.
    pub request: Option<Arc<Request>>,
    /// Where it began.
    pub asked: Option<Mark>,
    /// Where it ended.
    pub first: Mark,
    /// How long the client gave it (grpc-timeout).
    pub timeout: Option<Interval>,
    /// Whether the client ended it, by a reset at its deadline.
    pub by_client: bool,
}

crate::compact!(GrpcErrors {
    status,
    count,
    message,
    request,
    asked,
    first,
    timeout,
    by_client
});

/// A status of gRPC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct GrpcStatus(pub u16);

crate::compact!(GrpcStatus(number));

impl GrpcStatus {
    /// `DEADLINE_EXCEEDED`.
    pub const DEADLINE_EXCEEDED: GrpcStatus = GrpcStatus(4);

    /// Its name, or the number.
    #[must_use]
    pub fn name(self) -> String {
        const NAMES: [&str; 17] = [
            "OK",
            "CANCELLED",
            "UNKNOWN",
            "INVALID_ARGUMENT",
            "DEADLINE_EXCEEDED",
            "NOT_FOUND",
            "ALREADY_EXISTS",
            "PERMISSION_DENIED",
            "RESOURCE_EXHAUSTED",
            "FAILED_PRECONDITION",
            "ABORTED",
            "OUT_OF_RANGE",
            "UNIMPLEMENTED",
            "INTERNAL",
            "UNAVAILABLE",
            "DATA_LOSS",
            "UNAUTHENTICATED",
        ];
        let known = NAMES.get(usize::from(self.0));
        known.map_or_else(|| format!("status {}", self.0), |name| (*name).to_owned())
    }
}
