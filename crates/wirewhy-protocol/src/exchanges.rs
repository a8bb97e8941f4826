//! HTTP/1 requests waiting for their responses, in order (RFC 9112 section 9.3).

use std::collections::VecDeque;
use std::sync::Arc;

use crate::http_facts::{Awaiting, Exchange, HttpFacts, TlsComplaint};
use crate::http_request::Request;
use crate::http_trouble::{Detail, HttpTrouble, Purpose, Text, held};
use crate::types::Mark;
use crate::upgrade::{Upgrade, UpgradeProtocol, UpgradeVerdict};

/// The most pipelined requests remembered; servers that pipeline at all stop reading long before.
const MAX_WAITING: usize = 128;

/// What the client direction asked and the server direction has to know.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Exchanges {
    waiting: Queue,
    tunnel: Tunnel,
    /// Set where more requests came than are remembered: answers can no longer be matched.
    overflowed: bool,
    /// The last request to a proxy for a tunnel.
    connect: Option<Box<Upgrade>>,
    pub(crate) tally: ExchangeCounts,
}

crate::compact!(Exchanges {
    waiting,
    tunnel,
    overflowed,
    connect,
    tally
});

/// What a request's method makes of its response (RFC 9112 section 6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Method {
    Head,
    Connect,
    Other,
}

crate::compact!(Method = { 0 Head, 1 Connect, 2 Other });

/// Whether HTTP hands the connection over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Tunnel {
    #[default]
    None,
    Asked,
    Open,
    Refused,
}

crate::compact!(Tunnel = { 0 None, 1 Asked, 2 Open, 3 Refused });

/// The requests that wait, in order: the first in place, for few clients have more than one under way.
#[derive(Clone, PartialEq, Debug, Default)]
struct Queue {
    /// `None` only where there are no others.
    first: Option<Waiting>,
    others: VecDeque<Waiting>,
}

crate::compact!(Queue { first, others });

#[derive(Clone, PartialEq, Debug)]
struct Waiting {
    /// `None` for a response without a request.
    request: Option<Arc<Request>>,
    method: Method,
    purpose: Purpose,
    sent: Option<Mark>,
    /// Set while the client holds its body back for a "100 Continue" (RFC 9110 section 10.1.1).
    continues: Option<Mark>,
}

crate::compact!(Waiting {
    request,
    method,
    purpose,
    sent,
    continues
});

/// What a client asked for.
pub(crate) struct Asked {
    pub(crate) request: Arc<Request>,
    pub(crate) method: Method,
    pub(crate) purpose: Purpose,
    pub(crate) continues: Option<Mark>,
}

/// What an answer is to.
#[derive(Clone, Copy)]
pub(crate) enum Match {
    Method(Method),
    /// The request was not seen yet.
    NotYet,
    /// The requests can no longer be matched.
    Never,
}

/// The counts and times.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct ExchangeCounts {
    pub(crate) requests: u64,
    responses: u64,
    interim: u64,
    last_request: Option<Arc<Request>>,
    last_status: Option<u16>,
    complaint: Option<TlsComplaint>,
    last: Option<Exchange>,
    slowest: Option<Exchange>,
    trouble: Option<Box<HttpTrouble>>,
}

crate::compact!(ExchangeCounts {
    requests,
    responses,
    interim,
    last_request,
    last_status,
    complaint,
    last,
    slowest,
    trouble,
});

impl Exchanges {
    /// A server complained of TLS.
    pub(crate) fn note_complaint(&mut self, complaint: TlsComplaint) {
        self.tally.complaint.get_or_insert(complaint);
    }

    /// A request whose header was read.
    pub(crate) fn ask(&mut self, asked: Asked) {
        let request = asked.request;
        self.tally.requests += 1;
        self.tally.last_request = Some(Arc::clone(&request));
        if let Some(trouble) = &mut self.tally.trouble {
            trouble.asks(request.begun);
        }
        if asked.purpose != Purpose::Request {
            self.tunnel = Tunnel::Asked;
        }
        if asked.method == Method::Connect {
            self.connect = Some(Box::new(Upgrade {
                target: Some(request.target().into()),
                asked: Some(request.begun),
                verdict: UpgradeVerdict::Unanswered,
                ..Upgrade::new(UpgradeProtocol::HttpConnect)
            }));
        }
        if self.waiting.len() >= MAX_WAITING {
            self.overflowed = true;
            return;
        }
        self.waiting.push(Waiting {
            request: Some(request),
            method: asked.method,
            purpose: asked.purpose,
            sent: None,
            continues: asked.continues,
        });
    }

    /// The last request is complete.
    pub(crate) fn sent(&mut self, number: u64, mark: Mark) {
        // Where it was answered early, the last one waiting is not this one.
        if number == self.tally.requests
            && let Some(waiting) = self.waiting.last()
            && waiting.sent.is_none()
        {
            waiting.sent = Some(mark);
            waiting.continues = None;
            if waiting.method == Method::Connect
                && let Some(connect) = &mut self.connect
            {
                connect.asked = Some(mark);
            }
        }
    }

    /// The body of this request begins: held back until now, where nothing gave leave to send it.
    pub(crate) fn body_began(&mut self, number: u64, mark: Mark) {
        if number == self.tally.requests
            && let Some(waiting) = self.waiting.last()
            && let Some(asked) = waiting.continues.take()
        {
            held(
                &mut self.tally.trouble,
                waiting.request.as_ref(),
                asked,
                mark,
            );
        }
    }

    /// Whether the last request, which has this number, has its final answer.
    pub(crate) fn is_answered(&self, number: u64) -> bool {
        number == self.tally.requests && self.waiting.is_empty() && self.tally.responses > 0
    }

    /// Whether the text of a refusal with this status is worth reading.
    pub(crate) fn wants_text(&self, status: u16) -> bool {
        let trouble = self.tally.trouble.as_ref();
        trouble.is_some_and(|trouble| trouble.wants_text(status))
    }

    /// The text of the last answer, which has this status.
    pub(crate) fn says(&mut self, status: u16, text: &Text) {
        if let Some(trouble) = &mut self.tally.trouble {
            trouble.says(status, text);
        }
    }

    /// What the next response answers.
    pub(crate) fn next(&self) -> Match {
        match self.waiting.first.as_ref() {
            Some(waiting) => Match::Method(waiting.method),
            None if self.overflowed => Match::Never,
            None => Match::NotYet,
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Lets a response through that no request asked for.
    pub(crate) fn answer_unasked(&mut self) {
        self.waiting.push(Waiting {
            request: None,
            method: Method::Other,
            purpose: Purpose::Request,
            sent: None,
            continues: None,
        });
    }

    /// An interim response.
    pub(crate) fn interim(&mut self) {
        self.tally.interim += 1;
        if let Some(waiting) = self.waiting.first.as_mut() {
            waiting.continues = None;
        }
    }

    /// The header of a final response, or of a 101; `hands_over` where HTTP ends with it, `says` reads what it says where it
    /// refuses.
    pub(crate) fn answered(
        &mut self,
        status: u16,
        begun: Mark,
        hands_over: HandsOver,
        says: impl FnOnce(Purpose) -> Detail,
    ) {
        let Some(waiting) = self.waiting.pop() else {
            return;
        };
        let purpose = waiting.purpose;
        if purpose != Purpose::Request {
            self.tunnel = match hands_over {
                HandsOver::Yes => Tunnel::Open,
                HandsOver::No => Tunnel::Refused,
            };
        }
        if let Some(trouble) = &mut self.tally.trouble
            && let Some(request) = &waiting.request
        {
            trouble.answered(request, status);
        }
        self.tally
            .answered(waiting.request, waiting.sent, begun, Some(status));
        let refused = match purpose {
            Purpose::Request => status >= 400,
            Purpose::Connect | Purpose::WebSocket | Purpose::Http2 | Purpose::Upgrade => {
                hands_over == HandsOver::No
            }
        };
        if refused && let Some(answer) = self.tally.last.clone() {
            let trouble = self.tally.trouble.get_or_insert_default();
            trouble.refused(purpose, status, answer, says(purpose));
        }
    }

    /// The final answer to a CONNECT, as its status line has it.
    pub(crate) fn connected(&mut self, verdict: UpgradeVerdict, line: Box<str>, begun: Mark) {
        if let Some(connect) = &mut self.connect {
            connect.answered = Some(begun);
            connect.verdict = verdict;
            connect.reply = Some(line);
        }
    }

    /// What became of the last request for a tunnel.
    pub(crate) fn connect(&self) -> Option<&Upgrade> {
        self.connect.as_deref()
    }

    /// Whether the answer to the request for a tunnel is known.
    pub(crate) fn tunnel_decided(&self) -> bool {
        self.tunnel != Tunnel::Asked
    }

    /// The answer to the request for a tunnel, once.
    pub(crate) fn take_tunnel(&mut self) -> HandsOver {
        match std::mem::take(&mut self.tunnel) {
            Tunnel::Open => HandsOver::Yes,
            Tunnel::None | Tunnel::Asked | Tunnel::Refused => HandsOver::No,
        }
    }

    /// The oldest request, if it is complete.
    pub(crate) fn awaiting(&self) -> Option<Awaiting> {
        let waiting = self.waiting.first.as_ref()?;
        Some(Awaiting {
            request: waiting.request.clone(),
            sent: waiting.sent?,
        })
    }

    /// The oldest request, if it waits for leave to send its body.
    pub(crate) fn awaiting_leave(&self) -> Option<Awaiting> {
        let waiting = self.waiting.first.as_ref()?;
        Some(Awaiting {
            request: waiting.request.clone(),
            sent: waiting.continues?,
        })
    }

    /// Bytes of memory of its own.
    pub(crate) fn retained(&self) -> usize {
        let waiting = self.waiting.first.iter().chain(&self.waiting.others);
        let requests = waiting.filter_map(|waiting| waiting.request.as_ref());
        let kept = [&self.tally.last, &self.tally.slowest];
        let kept = kept
            .into_iter()
            .flatten()
            .filter_map(|exchange| exchange.request.as_ref());
        let texts: usize = requests
            .chain(&self.tally.last_request)
            .chain(kept)
            .map(|request| request.retained())
            .sum();
        let trouble = self.tally.trouble.as_ref();
        let connect = self.connect.as_ref().map_or(0, |connect| {
            let texts = [&connect.target, &connect.reply].into_iter().flatten();
            size_of::<Upgrade>() + texts.map(|text| text.len()).sum::<usize>()
        });
        let trouble = trouble.map_or(0, |trouble| trouble.retained());
        self.waiting.others.capacity() * size_of::<Waiting>() + texts + connect + trouble
    }

    pub(crate) fn facts(&self) -> HttpFacts {
        self.tally.clone().facts()
    }
}

impl Queue {
    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The request that came last.
    fn last(&mut self) -> Option<&mut Waiting> {
        self.others.back_mut().or(self.first.as_mut())
    }

    fn push(&mut self, waiting: Waiting) {
        match self.first {
            None => self.first = Some(waiting),
            Some(_) => self.others.push_back(waiting),
        }
    }

    fn pop(&mut self) -> Option<Waiting> {
        std::mem::replace(&mut self.first, self.others.pop_front())
    }
}

/// Whether a response hands the connection over to another protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HandsOver {
    Yes,
    No,
}

impl ExchangeCounts {
    pub(crate) fn facts(self) -> HttpFacts {
        HttpFacts {
            requests: self.requests,
            responses: self.responses,
            interim: self.interim,
            last_request: self.last_request,
            last_status: self.last_status,
            complaint: self.complaint,
            last: self.last,
            slowest: self.slowest,
            trouble: self.trouble,
            http2: None,
        }
    }

    /// A request of HTTP/2 began; its header, where it could be read.
    pub(crate) fn begun(&mut self, request: Option<&Arc<Request>>) {
        self.requests += 1;
        if let Some(request) = request {
            if let Some(trouble) = &mut self.trouble {
                trouble.asks(request.begun);
            }
            self.last_request = Some(Arc::clone(request));
        }
    }

    /// An interim response of HTTP/2.
    pub(crate) fn interim(&mut self) {
        self.interim += 1;
    }

    /// What the last response, a final one of HTTP/2, says.
    pub(crate) fn says(&mut self, status: u16, detail: Option<Box<Detail>>) {
        let Some(last) = self.last.clone() else {
            return;
        };
        if let (Some(trouble), Some(request)) = (&mut self.trouble, &last.request) {
            trouble.answered(request, status);
        }
        if status >= 400 {
            let detail = detail.map_or_else(Detail::default, |detail| *detail);
            let trouble = self.trouble.get_or_insert_default();
            trouble.refused(Purpose::Request, status, last, detail);
        }
    }

    /// The last final response is complete.
    pub(crate) fn completed(&mut self, mark: Mark) {
        let Some(last) = &mut self.last else { return };
        last.ended = Some(mark);
        if let Some(slowest) = &mut self.slowest
            && slowest.answered == last.answered
            && slowest.ended.is_none()
        {
            slowest.ended = Some(mark);
        }
    }

    /// A final response began.
    pub(crate) fn answered(
        &mut self,
        request: Option<Arc<Request>>,
        sent: Option<Mark>,
        answered: Mark,
        status: Option<u16>,
    ) {
        self.responses += 1;
        self.last_status = status.or(self.last_status);
        let exchange = Exchange {
            request,
            sent,
            answered,
            ended: None,
            status,
        };
        if wait(&exchange) > self.slowest.as_ref().and_then(wait) {
            self.slowest = Some(exchange.clone());
        }
        self.last = Some(exchange);
    }
}

/// How long a complete request waited; `None`, which is least, where it was not complete.
fn wait(exchange: &Exchange) -> Option<wirewhy_packet::Interval> {
    exchange
        .sent
        .map(|sent| exchange.answered.time.since(sent.time))
}
