//! Zeek's `conn_state` and `history` of the same packets (`scripts/base/protocols/conn/main.zeek`, `TCPSessionAdapter.cc`).
//!
//! Zeek splits a TCP connection after five idle minutes and forgets an unanswered SYN after five seconds; here one stream
//! is one entry. The originator is our client. Checksums are not verified, so `C` does not occur.

use wirewhy_packet::{Seq, TcpFlags};
use wirewhy_protocol::compact::{Compact, CompactReader, CompactWriter};

use crate::Side;
use crate::segment::Segment;

/// Zeek's state machine for one connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Zeek {
    originator: End,
    responder: End,
    history: History,
}

wirewhy_protocol::compact!(Zeek {
    originator,
    responder,
    history
});

/// Zeek's `conn_state`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ConnState(&'static str);

impl ConnState {
    /// The name: `SF`, `REJ` …
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Inactive,
    SynSent,
    SynAckSent,
    Partial,
    Established,
    Closed,
    Reset,
    /// It sent datagrams over UDP.
    Active,
}

wirewhy_protocol::compact!(State = {
    0 Inactive, 1 SynSent, 2 SynAckSent, 3 Partial, 4 Established, 5 Closed, 6 Reset, 7 Active,
});

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct End {
    state: State,
    before: State,
    /// Letters written once per side.
    written: u32,
    highest: Option<Seq>,
    last_syn: Option<Seq>,
    last_fin: Option<Seq>,
    last_rst: Option<Seq>,
    retransmissions: u32,
    zero_windows: u32,
    gaps: u32,
    has_payload: bool,
}

wirewhy_protocol::compact!(End {
    state,
    before,
    written,
    highest,
    last_syn,
    last_fin,
    last_rst,
    retransmissions,
    zero_windows,
    gaps,
    has_payload,
});

const END: End = End {
    state: State::Inactive,
    before: State::Inactive,
    written: 0,
    highest: None,
    last_syn: None,
    last_fin: None,
    last_rst: None,
    retransmissions: 0,
    zero_windows: 0,
    gaps: 0,
    has_payload: false,
};

/// The history letters, bounded: letters repeat at 1, 10, 100 … so real connections stay far below.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct History {
    letters: [u8; History::ROOM],
    len: u8,
}

impl Compact for History {
    fn write(&self, to: &mut CompactWriter) {
        to.text(self.as_bytes());
    }

    fn read(from: &mut CompactReader<'_>) -> Option<History> {
        let text = from.text()?;
        let mut letters = [0; History::ROOM];
        letters.get_mut(..text.len())?.copy_from_slice(&text);
        let len = u8::try_from(text.len()).ok()?;
        Some(History { letters, len })
    }
}

impl History {
    const ROOM: usize = 39;

    fn push(&mut self, letter: u8) {
        if let Some(place) = self.letters.get_mut(usize::from(self.len)) {
            *place = letter;
            self.len += 1;
        }
    }

    /// Changes the case of every letter, and sets a `^` in front or takes it away.
    fn flip(&mut self) {
        let written = std::mem::replace(&mut self.len, 0);
        let before = std::mem::replace(&mut self.letters, [0; History::ROOM]);
        let before = before.get(..usize::from(written)).unwrap_or(&[]);
        let letters = before.strip_prefix(b"^");
        if letters.is_none() {
            self.push(b'^');
        }
        for letter in letters.unwrap_or(before) {
            self.push(letter ^ 0x20);
        }
    }

    fn as_bytes(&self) -> &[u8] {
        self.letters.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl Default for Zeek {
    fn default() -> Self {
        Zeek {
            originator: END,
            responder: END,
            history: History {
                letters: [0; History::ROOM],
                len: 0,
            },
        }
    }
}

impl Zeek {
    /// The letters so far, upper case for the client.
    #[must_use]
    pub fn history(&self) -> &str {
        std::str::from_utf8(self.history.as_bytes()).unwrap_or("")
    }

    /// The state; the first rule that matches counts.
    #[must_use]
    pub fn conn_state(&self) -> ConnState {
        use State::{Active, Closed, Established, Inactive, Partial, Reset, SynAckSent, SynSent};
        let (os, rs) = (self.originator.state, self.responder.state);
        let idle = |state| matches!(state, Inactive | Partial);
        let payload = self.originator.has_payload || self.responder.has_payload;
        ConnState(match (os, rs) {
            (SynSent | SynAckSent, Reset) => "REJ",
            (Reset, Reset) if !payload => "REJ",
            (os, Reset) if idle(os) => "RSTRH",
            (_, Reset) => "RSTR",
            (Reset, rs) if idle(rs) && self.aborted_half_open() => "RSTOS0",
            (Reset, rs) if idle(rs) => "OTH",
            (Reset, _) => "RSTO",
            (Closed, Closed) => "SF",
            (Closed, rs) if idle(rs) => "SH",
            (Closed, _) => "S2",
            (os, Closed) if idle(os) => "SHR",
            (_, Closed) => "S3",
            (SynSent, Inactive) => "S0",
            (Established, Established) => "S1",
            (Active, Active) => "SF",
            (Active, _) => "S0",
            (_, Active) => "SHR",
            _ => "OTH",
        })
    }

    /// `^?S[^HAFGIQ]*R.*`
    fn aborted_half_open(&self) -> bool {
        let letters = self.history.as_bytes();
        let letters = letters.strip_prefix(b"^").unwrap_or(letters);
        letters.strip_prefix(b"S").is_some_and(|rest| {
            rest.iter().find(|letter| b"HAFGIQR".contains(letter)) == Some(&b'R')
        })
    }

    /// The client turned out to be the other side: what was written changes sides too.
    pub(crate) fn flip(&mut self) {
        std::mem::swap(&mut self.originator, &mut self.responder);
        self.history.flip();
    }

    /// Takes in one segment. `gap` says that its acknowledgement covers bytes never seen.
    pub(crate) fn observe(&mut self, from: Side, segment: &Segment, gap: bool) {
        self.write_letters(from, segment, gap);
        let (own, peer) = match from {
            Side::Client => (&mut self.originator, &mut self.responder),
            Side::Server => (&mut self.responder, &mut self.originator),
        };
        own.transition(peer, segment, from);
        if !segment.is_rst() {
            own.has_payload |= segment.payload_len > 0;
            let end = segment.seq_end();
            if own.highest.is_none_or(|highest| end.is_after(highest)) {
                own.highest = Some(end);
            }
        }
    }

    /// Whether both ends are open, and their bytes so far end where these numbers of client and server say.
    pub(crate) fn agrees(&self, next: [Option<Seq>; 2]) -> bool {
        let open = |end: &End| end.state == State::Established;
        open(&self.originator)
            && open(&self.responder)
            && [self.originator.highest, self.responder.highest] == next
    }

    /// Takes in a segment with bytes in order or an acknowledgement alone, as [`Zeek::observe`] would, while
    /// [`Zeek::agrees`].
    pub(crate) fn observe_expected(&mut self, from: Side, segment: &Segment) {
        let own = match from {
            Side::Client => &mut self.originator,
            Side::Server => &mut self.responder,
        };
        if segment.payload_len > 0 {
            own.has_payload = true;
            own.highest = Some(segment.seq_end());
        }
        let letter = if segment.payload_len > 0 { b'D' } else { b'A' };
        if let Some(letter) = own.once(letter) {
            self.history.push(match from {
                Side::Client => letter,
                Side::Server => letter.to_ascii_lowercase(),
            });
        }
    }

    /// Takes in one datagram, with payload or without.
    pub(crate) fn observe_datagram(&mut self, from: Side, has_payload: bool) {
        let own = match from {
            Side::Client => &mut self.originator,
            Side::Server => &mut self.responder,
        };
        own.state = State::Active;
        own.has_payload |= has_payload;
        if let Some(letter) = has_payload.then(|| own.once(b'D')).flatten() {
            self.history.push(match from {
                Side::Client => letter,
                Side::Server => letter.to_ascii_lowercase(),
            });
        }
    }

    fn write_letters(&mut self, from: Side, segment: &Segment, gap: bool) {
        let (own, peer) = match from {
            Side::Client => (&mut self.originator, &mut self.responder),
            Side::Server => (&mut self.responder, &mut self.originator),
        };
        let case = |letter: u8| {
            if from == Side::Client {
                letter
            } else {
                letter.to_ascii_lowercase()
            }
        };
        if gap && own.may_reveal_gaps() && peer.may_reveal_gaps() {
            own.gaps = own.gaps.saturating_add(1);
            if is_power_of_ten(own.gaps) {
                self.history.push(case(b'G'));
            }
        }
        if let Some(letter) = own.letter(segment) {
            self.history.push(case(letter));
        }
        if own.repeats(segment) {
            own.retransmissions = own.retransmissions.saturating_add(1);
            if is_power_of_ten(own.retransmissions) {
                self.history.push(case(b'T'));
            }
        }
        let counts_window = !segment.is_rst() && peer.state != State::Closed;
        if segment.window == 0 && counts_window && own.state != State::Reset {
            own.zero_windows = own.zero_windows.saturating_add(1);
            if is_power_of_ten(own.zero_windows) {
                self.history.push(case(b'W'));
            }
        }
    }
}

fn is_power_of_ten(count: u32) -> bool {
    matches!(count, 1 | 10 | 100 | 1_000 | 10_000 | 100_000 | 1_000_000)
}

impl End {
    fn may_reveal_gaps(&self) -> bool {
        self.state == State::Established
            || (self.state == State::Closed && self.before == State::Established)
    }

    /// The letter for the flags of a segment, if it is to be written.
    fn letter(&mut self, segment: &Segment) -> Option<u8> {
        let relative = Some(segment.seq);
        let end = Some(segment.seq.advance(segment.payload_len));
        match (segment.is_syn(), segment.is_fin(), segment.is_rst()) {
            (true, false, false) => {
                let letter = if segment.has_ack() { b'H' } else { b'S' };
                (self.last_syn.replace(segment.seq) != relative).then_some(letter)
            }
            (false, true, false) => {
                (std::mem::replace(&mut self.last_fin, end) != end).then_some(b'F')
            }
            (false, false, true) => {
                (self.last_rst.replace(segment.seq) != relative).then_some(b'R')
            }
            (false, true, true) => self.once(b'I'),
            (true, _, _) => self.once(b'Q'),
            (false, false, false) if segment.payload_len > 0 => self.once(b'D'),
            (false, false, false) if segment.has_ack() => self.once(b'A'),
            (false, false, false) => None,
        }
    }

    fn once(&mut self, letter: u8) -> Option<u8> {
        let bit = 1u32 << (letter & 0x1f);
        let fresh = self.written & bit == 0;
        self.written |= bit;
        fresh.then_some(letter)
    }

    fn repeats(&self, segment: &Segment) -> bool {
        segment.payload_len > 0
            && self.state != State::Reset
            && !segment.is_rst()
            && self
                .highest
                .is_some_and(|highest| !segment.seq_end().is_after(highest))
    }

    fn enter(&mut self, state: State) {
        self.before = self.state;
        self.state = state;
    }

    fn transition(&mut self, peer: &mut End, segment: &Segment, from: Side) {
        use State::{Active, Closed, Established, Inactive, Partial, Reset, SynAckSent, SynSent};
        let flags = segment.flags;
        let (syn, fin, rst) = (segment.is_syn(), segment.is_fin(), segment.is_rst());
        match self.state {
            Inactive if rst => self.enter(Reset),
            Inactive if fin => self.enter(Closed),
            Inactive if syn && from == Side::Client => {
                self.enter(if flags.has(TcpFlags::ACK) {
                    SynAckSent
                } else {
                    SynSent
                });
            }
            Inactive if syn => {
                self.enter(Established);
                if peer.state == SynSent {
                    peer.enter(Established);
                }
            }
            Inactive => {
                let ignored =
                    from == Side::Server && segment.payload_len == 0 && peer.state == SynSent;
                if !ignored {
                    let joins = segment.has_ack() && peer.state == Established;
                    self.enter(if joins { Established } else { Partial });
                }
            }
            SynSent | SynAckSent if rst => self.enter(Reset),
            SynSent | SynAckSent if fin => self.enter(Closed),
            Partial if flags.is_pure_syn() && peer.state == Inactive && !rst && !fin => {
                self.enter(SynSent);
            }
            Established | Partial if rst => self.enter(Reset),
            Established | Partial if fin => {
                self.enter(Closed);
                if peer.state == Reset && peer.before == Closed {
                    peer.state = Closed;
                }
            }
            Closed if rst && peer.state != Closed => self.enter(Reset),
            SynSent | SynAckSent | Established | Partial | Closed | Reset | Active => {}
        }
    }
}
