//! A connection that has shown no trouble: its packets, and the few numbers that show that each one is the next in line.
//!
//! Most connections are short and go well. They are kept as they came, and their facts are gathered at once when they are over.
//! The first sign of trouble, or of anything that is out of the ordinary, is whatever [`Brief::take`] does not take: then the packets
//! kept are followed one by one, and all that come after them.

use std::borrow::Cow;

use wirewhy_packet::{Checksum, Interval, MacAddr, Seq, TcpFlags, Timestamp};
use wirewhy_protocol::{
    AppFacts, PayloadSegment, RequestHash, Role, WholeTurns, closing_notice, is_farewell,
    whole_http1,
};

use crate::packed::{PackedSegment, Tag};
use crate::resets::Pause;
use crate::segment::Segment;
use crate::signs::SHORTEST_DELAY;
use crate::{LookedUp, Mark, Side};

/// The packets of a connection without trouble, and what tells whether the next one is in line.
#[derive(Debug)]
pub(crate) struct Brief {
    /// What the tracker knew of the name of its server when the SYN was answered.
    pub(crate) looked_up: Option<Box<LookedUp>>,
    client_is_low: bool,
    stage: BriefStage,
    /// Client and server.
    ends: [End; 2],
    latest: Timestamp,
    /// Whether every segment came soon after the one before, with a checksum that is right, and no larger than it crossed the wire. Else
    /// it is followed once it is over.
    is_plain: bool,
    /// All segments behind the SYN.
    segments: Vec<Entry>,
    /// The payloads of the segments, as far as they are kept, one behind the other.
    bytes: Vec<u8>,
    /// How far its requests and answers are; `None` where they are of another form than most.
    turns: Option<WholeTurns>,
}

/// A segment.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Tagged with [`SERVER`] where the server sent it.
    segment: PackedSegment,
    /// How many bytes of its payload are kept: the others are of a body, and what they are changes nothing.
    kept: u32,
}

/// The server sent it.
const SERVER: Tag = Tag::ONE;

impl Entry {
    #[inline(always)]
    fn from(&self) -> Side {
        match self.segment.has_tag(SERVER) {
            true => Side::Server,
            false => Side::Client,
        }
    }
}

/// What a connection has come to that went well to its end.
#[derive(Debug)]
pub(crate) struct WellEnded {
    /// The last segments of client and server.
    pub(crate) last: [Mark; 2],
    /// The largest IP packets with payload of client and server that were acknowledged.
    pub(crate) largest_delivered: [u32; 2],
    /// From the SYN to the SYN-ACK.
    pub(crate) to_server: Interval,
    /// From the SYN to the ACK.
    pub(crate) handshake: Interval,
    /// From a request to its answer, at most.
    pub(crate) slowest_answer: Interval,
    /// The MAC address of the client.
    pub(crate) client_mac: Option<MacAddr>,
    /// The hop count of the SYN-ACK.
    pub(crate) server_ttl: u8,
    /// The last request, and where it began.
    pub(crate) request: (RequestHash, Mark),
}

/// What one side of such a connection has sent behind its SYN, and what the other one has acknowledged of it.
#[derive(Clone, Copy, Default)]
struct Sent {
    last: Mark,
    next: Seq,
    largest_delivered: u32,
    /// The end of a larger packet that is not acknowledged yet, and its length.
    larger: Option<(Seq, u32)>,
    /// When bytes were sent that no bytes of the other side have followed.
    alone: Option<Timestamp>,
    /// Whether they were acknowledged so late that a delay of the acknowledgement may be the reason.
    is_acknowledged_late: bool,
    /// Where the window ends that the other side wrote, not scaled, and where the one before it did.
    edges: [Option<Seq>; 2],
}

impl Sent {
    /// Takes in bytes. `None` where they show what [`crate::SendingSigns`] may be made of.
    fn send(&mut self, segment: &PackedSegment) -> Option<()> {
        let end = segment.seq_end();
        if self.is_acknowledged_late || self.edges.contains(&Some(end)) {
            return None;
        }
        self.next = end;
        self.alone = Some(segment.time());
        if self.larger.is_none() && segment.ip_len() > self.largest_delivered {
            self.larger = Some((end, segment.ip_len()));
        }
        Some(())
    }

    /// Takes in an acknowledgement of the other side.
    fn acknowledge(&mut self, segment: &PackedSegment) {
        if let Some((_, len)) = self
            .larger
            .take_if(|(end, _)| !segment.ack().is_before(*end))
        {
            self.largest_delivered = self.largest_delivered.max(len);
        }
        let edge = Some(segment.ack().advance(u32::from(segment.window())));
        let [latest, before] = &mut self.edges;
        if *latest != edge {
            (*before, *latest) = (*latest, edge);
        }
        if segment.seq_len() > 0 {
            (self.alone, self.is_acknowledged_late) = (None, false);
        } else if let Some(sent) = self.alone {
            self.is_acknowledged_late |= segment.time().since(sent) >= SHORTEST_DELAY;
        }
    }
}

/// A payload of this length as far as it is kept, and zeros behind it.
pub(crate) fn whole_payload(kept: &[u8], len: u32) -> Cow<'_, [u8]> {
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let mut payload = Cow::Borrowed(kept);
    if kept.len() < len {
        payload.to_mut().resize(len, 0);
    }
    payload
}

fn role_of(side: Side) -> Role {
    match side {
        Side::Client => Role::Client,
        Side::Server => Role::Server,
    }
}

fn is_notice(payload: &[u8], segment: &PackedSegment) -> bool {
    let Mark { frame, time } = segment.mark();
    closing_notice(payload, frame, time).is_some()
}

/// How far a connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BriefStage {
    /// The SYN was sent.
    Asked,
    /// The SYN-ACK was sent.
    Answered,
    /// The SYN-ACK was acknowledged.
    Open,
    /// Both sides have closed, and acknowledged that.
    Over,
}

/// One end.
#[derive(Clone, Copy, Debug)]
struct End {
    next: Seq,
    acknowledged: Seq,
    /// The largest payload it accepts in one segment.
    mss: u32,
    has_closed: bool,
}

const NOTHING: End = End {
    next: Seq(0),
    acknowledged: Seq(0),
    mss: u32::MAX,
    has_closed: false,
};

/// How many segments are kept; what goes on longer is followed.
const SEGMENTS: usize = 96;

/// How many bytes of payload; the last of them may be a whole segment more.
const BYTES: usize = 8 * 1024;

/// How long a payload may be: longer than any segment crosses a wire, and often as long as it is taken from a host.
const LONGEST: u32 = 24 * 1024;

/// The flags that decide what a segment does.
const DECISIVE: u16 = TcpFlags::SYN.0 | TcpFlags::FIN.0 | TcpFlags::RST.0 | TcpFlags::ACK.0;

/// Acknowledgement, accepted SYN, and end.
const ACK: u16 = TcpFlags::ACK.0;
const SYN_ACK: u16 = TcpFlags::SYN.0 | ACK;
const FIN_ACK: u16 = TcpFlags::FIN.0 | ACK;

/// How many segments, and how many bytes of payload, most connections have at most.
const USUAL_SEGMENTS: usize = 14;
const USUAL_BYTES: usize = 640;

impl Brief {
    /// One of which nothing was seen, with room for what most have.
    pub(crate) fn with_room() -> Brief {
        Brief {
            segments: Vec::with_capacity(USUAL_SEGMENTS),
            bytes: Vec::with_capacity(USUAL_BYTES),
            ..Brief::without_room()
        }
    }

    /// The same without.
    pub(crate) fn without_room() -> Brief {
        Brief {
            looked_up: None,
            client_is_low: false,
            stage: BriefStage::Asked,
            ends: [NOTHING; 2],
            latest: Timestamp(0),
            is_plain: true,
            segments: Vec::new(),
            bytes: Vec::new(),
            turns: None,
        }
    }

    /// Makes it one of which this SYN was seen, in place.
    pub(crate) fn begin(&mut self, syn: &Segment, client_is_low: bool) {
        // Named one by one, so that none is forgotten.
        let Brief {
            looked_up,
            client_is_low: low,
            stage,
            ends,
            latest,
            is_plain,
            segments,
            bytes,
            turns,
        } = self;
        *looked_up = None;
        *low = client_is_low;
        *stage = BriefStage::Asked;
        let client = End {
            next: syn.seq_end(),
            mss: syn.options.mss.map_or(u32::MAX, u32::from),
            ..NOTHING
        };
        *ends = [client, NOTHING];
        *latest = syn.time;
        *is_plain = syn.checksum != Checksum::Unfinished;
        segments.clear();
        bytes.clear();
        *turns = Some(WholeTurns::default());
    }

    /// Bytes of memory that it takes beyond what most do.
    #[inline]
    pub(crate) fn beyond_usual(&self) -> usize {
        let segments = self.segments.capacity().saturating_sub(USUAL_SEGMENTS);
        segments * size_of::<Entry>() + self.bytes.capacity().saturating_sub(USUAL_BYTES)
    }

    /// How far it is.
    pub(crate) fn stage(&self) -> BriefStage {
        self.stage
    }

    /// When its latest segment came.
    pub(crate) fn latest(&self) -> Timestamp {
        self.latest
    }

    /// Whether the client is the lower end of the pair (see [`crate::Pair::source_is_low`]).
    pub(crate) fn client_is_low(&self) -> bool {
        self.client_is_low
    }

    /// Whether it is open, and neither side has said anything yet.
    pub(crate) fn is_silent(&self) -> bool {
        self.stage == BriefStage::Open && self.bytes.is_empty()
    }

    /// Whether its bytes, if there are any, are requests and responses as most are.
    pub(crate) fn is_usual(&self) -> bool {
        self.bytes.is_empty() || self.turns.is_some()
    }

    /// Whether a side has sent its FIN.
    pub(crate) fn is_closing(&self) -> bool {
        self.ends.iter().any(|end| end.has_closed)
    }

    /// Who sends, where the source is the lower end of the pair or not.
    fn sender(&self, source_is_low: bool) -> Side {
        if source_is_low == self.client_is_low {
            Side::Client
        } else {
            Side::Server
        }
    }

    /// Whether a segment is larger than the other side accepts: taken from the host before its network card cut it, or behind one that
    /// had joined several.
    fn is_offloaded(&self, from: Side, segment: &PackedSegment) -> bool {
        let [client, server] = &self.ends;
        let peer = match from {
            Side::Client => server,
            Side::Server => client,
        };
        segment.payload_len() > peer.mss
    }

    /// The same of one that was kept.
    pub(crate) fn has_kept_offloaded(&self, source_is_low: bool, segment: &PackedSegment) -> bool {
        !self.is_plain && self.is_offloaded(self.sender(source_is_low), segment)
    }

    /// Keeps a segment if it is the next in line and nothing about it is out of the ordinary. Whether it was kept.
    pub(crate) fn take(
        &mut self,
        source_is_low: bool,
        segment: &PackedSegment,
        payload: &[u8],
    ) -> bool {
        let from = self.sender(source_is_low);
        if !self.is_ordinary(segment) || !self.advance(from, segment, payload) {
            return false;
        }
        self.is_plain &= segment.time().since(self.latest) < Pause::SHORTEST
            && segment.checksum() != Checksum::Unfinished;
        self.latest = segment.time();
        let mut bytes = payload;
        if !payload.is_empty() {
            self.is_plain &= !self.is_offloaded(from, segment);
            bytes = self.deciding(from, segment, payload);
            self.bytes.extend_from_slice(bytes);
        }
        let mut segment = *segment;
        segment.tag(SERVER, from == Side::Server);
        self.segments.push(Entry {
            segment,
            kept: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        });
        true
    }

    /// The bytes of a payload that decide anything: all, but for those of the body of a response.
    fn deciding<'a>(&mut self, from: Side, segment: &PackedSegment, payload: &'a [u8]) -> &'a [u8] {
        let role = role_of(from);
        let (bytes, mark) = (payload, segment.mark());
        let head = self
            .turns
            .as_mut()
            .and_then(|turns| turns.take(PayloadSegment { role, bytes, mark }))
            // Last words are read wherever they stand.
            .filter(|head| *head > 0 || !is_farewell(payload) && !is_notice(payload, segment));
        if head.is_none() {
            self.turns = None;
        }
        head.and_then(|head| payload.get(..head)).unwrap_or(payload)
    }

    /// Whether a segment came undamaged and whole.
    fn is_ordinary(&self, segment: &PackedSegment) -> bool {
        segment.time() >= self.latest
            && segment.checksum() != Checksum::Wrong
            && segment.window() > 0
            && self.segments.len() < SEGMENTS
    }

    /// Moves on with a segment that is the next in line.
    fn advance(&mut self, from: Side, segment: &PackedSegment, payload: &[u8]) -> bool {
        let Brief {
            stage, ends, bytes, ..
        } = self;
        let [client, server] = ends;
        let flags = segment.flags().0 & DECISIVE;
        match (*stage, from) {
            (BriefStage::Asked, Side::Server) => {
                if flags != SYN_ACK || segment.payload_len() > 0 || segment.ack() != client.next {
                    return false;
                }
                *server = End {
                    next: segment.seq_end(),
                    acknowledged: segment.ack(),
                    mss: segment.mss().map_or(u32::MAX, u32::from),
                    has_closed: false,
                };
                *stage = BriefStage::Answered;
                true
            }
            (BriefStage::Answered, Side::Client) => {
                let accepts = flags == ACK
                    && segment.payload_len() == 0
                    && (segment.seq(), segment.ack()) == (client.next, server.next);
                if accepts {
                    client.acknowledged = segment.ack();
                    *stage = BriefStage::Open;
                }
                accepts
            }
            (BriefStage::Open, _) => {
                let (own, peer) = match from {
                    Side::Client => (client, server),
                    Side::Server => (server, client),
                };
                let in_line = segment.seq() == own.next
                    && !segment.ack().is_after(peer.next)
                    && !segment.ack().is_before(own.acknowledged);
                let fits = match flags {
                    FIN_ACK => segment.payload_len() == 0 && !own.has_closed,
                    // One that acknowledges nothing new may be a copy, or the second of several alike.
                    ACK if segment.payload_len() == 0 => segment.ack() != own.acknowledged,
                    ACK => {
                        let begins = !bytes.is_empty()
                            || from == Side::Client && payload.starts_with(b"GET ");
                        begins
                            && segment.payload_len() <= LONGEST
                            && !own.has_closed
                            && !peer.has_closed
                            && bytes.len() <= BYTES
                    }
                    _ => false,
                };
                if !in_line || !fits {
                    return false;
                }
                own.next = segment.seq_end();
                own.acknowledged = segment.ack();
                own.has_closed |= flags == FIN_ACK;
                let over = own.has_closed
                    && peer.has_closed
                    && own.acknowledged == peer.next
                    && peer.acknowledged == own.next;
                if over {
                    *stage = BriefStage::Over;
                }
                true
            }
            (BriefStage::Asked | BriefStage::Answered | BriefStage::Over, _) => false,
        }
    }

    /// The segments kept, with what is kept of their payloads.
    pub(crate) fn segments(&self) -> impl Iterator<Item = (Side, &PackedSegment, &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.segments.iter().map(move |entry| {
            let len = usize::try_from(entry.kept).unwrap_or(usize::MAX);
            let (payload, after) = rest.split_at_checked(len).unwrap_or((rest, &[]));
            rest = after;
            (entry.from(), &entry.segment, payload)
        })
    }

    /// The segments kept, with their payloads: zeros where those are not kept.
    pub(crate) fn kept(&self) -> impl Iterator<Item = (Side, Segment, Cow<'_, [u8]>)> {
        self.segments().map(|(from, segment, kept)| {
            let payload = whole_payload(kept, segment.payload_len());
            (from, segment.unpack(), payload)
        })
    }

    /// What its bytes show, where it is over and they can be read at once.
    pub(crate) fn app(&self) -> Option<Box<AppFacts>> {
        if !self.is_plain || self.stage != BriefStage::Over {
            return None;
        }
        self.turns.filter(|turns| turns.is_complete())?;
        let payloads: Vec<_> = self
            .kept()
            .filter(|(_, segment, _)| segment.payload_len > 0)
            .collect();
        whole_http1(
            payloads
                .iter()
                .map(|(from, segment, bytes)| PayloadSegment {
                    role: role_of(*from),
                    bytes,
                    mark: segment.mark(),
                }),
        )
    }

    /// What it has come to, where it went well to its end: each segment was in line, each request was answered with success, and
    /// nothing about it is a sign of trouble but, perhaps, how long it took.
    pub(crate) fn outcome(&self, syn: &Segment) -> Option<WellEnded> {
        if !self.is_plain || self.stage != BriefStage::Over || syn.asks_for_more() {
            return None;
        }
        let turns = self.turns.filter(|turns| turns.is_complete())?;
        let [syn_ack, ack] =
            [self.segments.first()?, self.segments.get(1)?].map(|entry| &entry.segment);
        let to_server = syn_ack.time().since(syn.time);
        let mut sent = [Sent::default(); 2];
        let mut slowest_answer = Interval::ZERO;
        let mut asked: Option<Timestamp> = None;
        let mut client_mac = syn.mac;
        let mut request: Option<Mark> = None;
        for entry in &self.segments {
            let (from, segment) = (entry.from(), &entry.segment);
            let [client, server] = &mut sent;
            let (own, peer) = match from {
                Side::Client => (client, server),
                Side::Server => (server, client),
            };
            own.last = segment.mark();
            if segment.flags().has(TcpFlags::SYN) {
                continue;
            }
            if from == Side::Client {
                client_mac = client_mac.or(segment.mac());
            }
            if segment.payload_len() > 0 {
                own.send(segment)?;
                match from {
                    Side::Client => {
                        asked = Some(segment.time());
                        request = Some(segment.mark());
                    }
                    Side::Server if segment.ack() != peer.next => return None,
                    Side::Server => {
                        let waited = asked.take().map(|asked| segment.time().since(asked));
                        slowest_answer = slowest_answer.max(waited.unwrap_or(slowest_answer));
                    }
                }
            }
            peer.acknowledge(segment);
        }
        Some(WellEnded {
            last: sent.map(|side| side.last),
            largest_delivered: sent.map(|side| side.largest_delivered),
            to_server,
            handshake: Interval(
                to_server
                    .0
                    .saturating_add(ack.time().since(syn_ack.time()).0),
            ),
            slowest_answer,
            client_mac,
            server_ttl: syn_ack.ttl(),
            request: (turns.last_request(), request?),
        })
    }
}
