//! HTTP/2 streams as an observer sees them (RFC 9113 section 5.1).

use std::collections::BTreeMap;
use std::sync::Arc;

use wirewhy_packet::Interval;

use crate::exchanges::ExchangeCounts;
use crate::http_facts::Awaiting;
use crate::http_request::Request;
use crate::http2_facts::{GoAway, GrpcErrors, GrpcStatus, Http2Error, Http2Facts, StreamResets};
use crate::http2_headers::Fields;
use crate::types::{Framing, Mark, Role, Unfinished, Unreadable, What};

/// The most streams kept at once; endpoints usually allow 100 to 250.
const MAX_OPEN: usize = 1024;

/// The streams that are open.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Http2Streams {
    open: BTreeMap<u32, Stream>,
    /// The highest stream the client has begun: lower ones that are not open are over.
    highest: u32,
    /// Set where streams can no longer be followed.
    unreadable: Option<Unreadable>,
    /// What went wrong.
    facts: Option<Box<Http2Facts>>,
}

crate::compact!(Http2Streams {
    open,
    highest,
    unreadable,
    facts
});

#[derive(Clone, PartialEq, Debug, Default)]
struct Stream {
    client: Half,
    server: Half,
    /// What the client asked for, where its header could be read.
    request: Option<Arc<Request>>,
    /// How long a client of gRPC gives the call.
    timeout: Option<Interval>,
}

crate::compact!(Stream {
    client,
    server,
    request,
    timeout
});

/// One direction of a stream.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
enum Half {
    #[default]
    Idle,
    Begun {
        begun: Mark,
        received: u64,
    },
    Ended {
        at: Mark,
    },
}

crate::compact!(Half = { 0 Idle, 1 Begun { begun, received }, 2 Ended { at } });

impl Half {
    fn is_over(self) -> bool {
        matches!(self, Half::Ended { .. })
    }
}

impl Http2Streams {
    /// A complete header block; what it says where it could be decoded.
    pub(crate) fn headers(
        &mut self,
        role: Role,
        id: u32,
        begun: Mark,
        fields: Option<Fields>,
        tally: &mut ExchangeCounts,
    ) {
        if self.unreadable.is_some() || (id <= self.highest && !self.open.contains_key(&id)) {
            return;
        }
        if role == Role::Client {
            self.highest = self.highest.max(id);
        }
        if self.open.len() >= MAX_OPEN && !self.open.contains_key(&id) {
            self.unreadable = Some(Unreadable::TooMuch);
            self.open = BTreeMap::new();
            return;
        }
        let mut fields = fields.unwrap_or_default();
        let is_interim = fields
            .status
            .is_some_and(|status| (100..200).contains(&status));
        if role == Role::Server && is_interim {
            tally.interim();
            return;
        }
        let stream = self.open.entry(id).or_default();
        let sent = match stream.client {
            Half::Ended { at } => Some(at),
            Half::Idle | Half::Begun { .. } => None,
        };
        let half = stream.half(role);
        if *half == Half::Idle {
            *half = Half::Begun { begun, received: 0 };
            match role {
                Role::Client => {
                    stream.timeout = fields.grpc_timeout;
                    stream.request = fields.request(begun).map(Arc::new);
                    tally.begun(stream.request.as_ref());
                }
                Role::Server => {
                    if let (Some(facts), Some(request)) = (&mut self.facts, &stream.request) {
                        facts.answer(request);
                    }
                    tally.answered(stream.request.clone(), sent, begun, fields.status);
                    if let Some(status) = fields.status {
                        tally.says(status, fields.detail.take());
                    }
                }
            }
        }
        // In the trailers, or in a header that has no other block behind it.
        if role == Role::Server
            && let Some(status) = fields.grpc_status.filter(|status| *status != 0)
        {
            let call = stream.call();
            let message = fields.grpc_message.take();
            self.failed(GrpcStatus(status), message, call, begun, false);
        }
    }

    /// A complete DATA frame.
    pub(crate) fn data(&mut self, role: Role, id: u32, length: u64) {
        if let Some(stream) = self.open.get_mut(&id)
            && let Half::Begun { received, .. } = stream.half(role)
        {
            *received = received.saturating_add(length);
        }
    }

    /// A complete frame with END_STREAM.
    pub(crate) fn end(&mut self, role: Role, id: u32, at: Mark) {
        if let Some(stream) = self.open.get_mut(&id) {
            *stream.half(role) = Half::Ended { at };
            if stream.client.is_over() && stream.server.is_over() {
                self.open.remove(&id);
            }
        }
    }

    /// RST_STREAM, by either side.
    pub(crate) fn reset(&mut self, role: Role, id: u32, code: Http2Error, mark: Mark) {
        self.highest = self.highest.max(id);
        let Some(stream) = self.open.remove(&id) else {
            return;
        };
        // Behind a complete answer nothing is lost: the rest of the request is not wanted.
        if stream.server.is_over() {
            return;
        }
        let (request, asked, timeout) = stream.call();
        if role == Role::Client
            && code == Http2Error::CANCEL
            && let (Some(timeout), Some(asked)) = (timeout, asked)
            && mark.time.since(asked.time).0 >= timeout.0 / 20 * 19
        {
            let call = (request, Some(asked), Some(timeout));
            self.failed(GrpcStatus::DEADLINE_EXCEEDED, None, call, mark, true);
            return;
        }
        let answered = u64::from(stream.server != Half::Idle);
        let facts = self.facts.get_or_insert_default();
        if role == Role::Server && code == Http2Error::REFUSED_STREAM {
            facts.refuse(request.clone(), mark);
        }
        let resets = &mut facts.resets;
        let mut kinds = resets.iter_mut();
        if let Some(kind) = kinds.find(|kind| kind.sender == role && kind.code == code) {
            kind.count += 1;
            kind.answered += answered;
            return;
        }
        if resets.len() < Http2Facts::MAX_KINDS {
            resets.reserve_exact(1);
            resets.push(StreamResets {
                sender: role,
                code,
                count: 1,
                answered,
                stream: id,
                request,
                asked,
                first: mark,
            });
        }
    }

    /// GOAWAY.
    pub(crate) fn go_away(&mut self, frame: GoAway) {
        let goaways = &mut self.facts.get_or_insert_default().goaways;
        let opened = self.highest;
        let frame = GoAway { opened, ..frame };
        // The first of each side, and the last one.
        let known = goaways.iter().any(|other| other.sender == frame.sender);
        if known && goaways.len() > 2 {
            goaways.pop();
        }
        goaways.push(frame);
    }

    /// A call of gRPC that did not end well.
    fn failed(
        &mut self,
        status: GrpcStatus,
        message: Option<Box<str>>,
        (request, asked, timeout): Call,
        first: Mark,
        by_client: bool,
    ) {
        let kinds = &mut self.facts.get_or_insert_default().grpc;
        let mut known = kinds.iter_mut();
        if let Some(kind) = known.find(|kind| kind.status == status && kind.by_client == by_client)
        {
            kind.count += 1;
            return;
        }
        if kinds.len() < Http2Facts::MAX_KINDS {
            kinds.reserve_exact(1);
            kinds.push(GrpcErrors {
                status,
                count: 1,
                message,
                request,
                asked,
                first,
                timeout,
                by_client,
            });
        }
    }

    /// What went wrong, with the streams that are left without a complete answer; `None` where nothing did.
    pub(crate) fn facts(&self) -> Option<Box<Http2Facts>> {
        let mut facts = self.facts.clone()?;
        let last = facts
            .goaways
            .iter()
            .rfind(|goaway| goaway.sender == Role::Server)
            .map_or(u32::MAX, |goaway| goaway.last_stream);
        let open = self
            .open
            .iter()
            .filter(|(id, stream)| !id.is_multiple_of(2) && !stream.server.is_over());
        for (&id, _) in open {
            if id > last {
                facts.unprocessed += 1;
            } else {
                facts.lost += 1;
            }
        }
        Some(facts)
    }

    /// One direction cannot be followed, so resets and ends may go unseen.
    pub(crate) fn stop(&mut self) {
        self.unreadable.get_or_insert(Unreadable::Gap);
        self.open = BTreeMap::new();
    }

    /// Where a direction stands that has no frame unfinished.
    pub(crate) fn framing(&self, role: Role) -> Framing {
        if let Some(reason) = self.unreadable {
            return Framing::Unknown(reason);
        }
        let unfinished = self.open.iter().find_map(|(&id, stream)| {
            let half = match role {
                Role::Client => stream.client,
                Role::Server => stream.server,
            };
            match half {
                Half::Begun { begun, received } => Some(Unfinished {
                    what: What::Http2Stream {
                        stream: id,
                        received,
                    },
                    begun,
                }),
                Half::Idle | Half::Ended { .. } => None,
            }
        });
        unfinished.map_or(Framing::Boundary, Framing::Inside)
    }

    /// Bytes of memory of the streams that are open, with what was asked for on each.
    pub(crate) fn requests(&self) -> usize {
        // A tree's nodes are at least half full.
        let nodes = self.open.len() * 2 * (size_of::<Stream>() + size_of::<u32>());
        let requests = self
            .open
            .values()
            .filter_map(|stream| stream.request.as_ref());
        nodes + requests.map(|request| request.retained()).sum::<usize>()
    }

    #[cfg(test)]
    pub(crate) fn retained(&self) -> usize {
        let kinds = (Http2Facts::MAX_KINDS * 3 + Http2Facts::MAX_REFUSED) * 1_024;
        self.requests() + self.facts.as_ref().map_or(0, |_| kinds)
    }

    /// The oldest stream whose request is complete and whose answer has not begun.
    pub(crate) fn awaiting(&self) -> Option<Awaiting> {
        self.open
            .values()
            .find_map(|stream| match (stream.client, stream.server) {
                (Half::Ended { at }, Half::Idle) => Some(Awaiting {
                    request: stream.request.clone(),
                    sent: at,
                }),
                _ => None,
            })
    }
}

/// What was asked for, where that began, and how long it may take.
type Call = (Option<Arc<Request>>, Option<Mark>, Option<Interval>);

impl Stream {
    fn call(&self) -> Call {
        let request = self.request.clone();
        let asked = request.as_ref().map(|request| request.begun);
        (request, asked, self.timeout)
    }

    fn half(&mut self, role: Role) -> &mut Half {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }
}
